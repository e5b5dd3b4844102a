"""Attacks: one contract for all, closed forms, Foolbox as an independent oracle, and other libraries' bugs."""

import dataclasses
import itertools
import warnings

import pytest
import torch
from conftest import LinearPair, TinyNet, random_batch
from torch import nn

from lsp_core.attacks import ATTACKS, FGSM, PGD
from lsp_core.attacks.contract import check_batch, check_settings
from lsp_core.attacks.losses import LOSSES
from lsp_core.attacks.norms import NORMS
from lsp_core.evaluation import evaluate
from lsp_core.types import Attack

EPS = {"Linf": 0.1, "L2": 1.0}
EVERY = [pytest.param(name, norm, id=f"{name}-{norm}") for name in ATTACKS for norm in NORMS]


def make(name, norm="Linf", eps=None, **settings):
    return ATTACKS[name](eps=EPS[norm] if eps is None else eps, norm=norm, **settings)


@pytest.fixture
def net():
    return TinyNet().eval()


# --- The contract: every entry of ATTACKS ---


@pytest.mark.parametrize(("name", "norm"), EVERY)
@pytest.mark.parametrize("loss", LOSSES)
def test_stays_in_shape_range_and_budget(name, norm, loss, net):
    images, labels = random_batch(net)
    images[:4], images[4:8] = images[:4].round(), 0.0  # saturated pixels: the clip to [0,1] must bite
    attack = make(name, norm, loss=loss)
    adversarial = attack(net, images, labels)
    assert isinstance(attack, Attack)
    assert (adversarial.shape, adversarial.dtype) == (images.shape, images.dtype)
    assert adversarial.amin() >= 0
    assert adversarial.amax() <= 1
    assert NORMS[norm].size(adversarial - images).amax() <= EPS[norm] + 1e-6
    assert not adversarial.equal(images)
    assert not adversarial.requires_grad


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_eps_zero_is_the_identity(name, norm, net):
    images, labels = random_batch(net)
    assert make(name, norm, eps=0.0)(net, images, labels).equal(images)


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_is_deterministic_whatever_the_global_seed(name, norm, net):
    images, labels = random_batch(net)
    torch.manual_seed(1)
    first = make(name, norm)(net, images, labels)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert make(name, norm)(net, images, labels).equal(first)
    assert torch.get_rng_state().equal(state)


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_leaves_model_and_input_as_they_were(name, norm, net):
    images, labels = random_batch(net)
    images.requires_grad_()
    net.head.bias.requires_grad_(False)
    net.head.weight.grad = torch.full_like(net.head.weight, 7.0)
    before = images.detach().clone(), labels.clone(), {k: v.clone() for k, v in net.state_dict().items()}
    make(name, norm)(net, images, labels)
    assert images.detach().equal(before[0])
    assert images.requires_grad
    assert images.grad is None
    assert labels.equal(before[1])
    assert all(value.equal(before[2][key]) for key, value in net.state_dict().items())
    assert (net.head.weight.grad == 7).all()
    assert net.body[0].weight.grad is None
    assert net.body[0].weight.requires_grad
    assert not net.head.bias.requires_grad
    assert not any(module.training for module in net.modules())


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_works_without_gradients_and_on_frozen_models(name, norm, net):
    images, labels = random_batch(net)
    free = make(name, norm)(net, images, labels)
    with torch.no_grad():
        assert make(name, norm)(net.requires_grad_(False), images, labels).equal(free)
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_beats_noise_on_a_trained_model(name, norm, trained, digits_test):
    images, labels = digits_test.float(slice(0, 200)), digits_test.labels[:200]
    attack = make(name, norm)
    result = evaluate(trained, images, labels, attack)
    noise = NORMS[norm].project(NORMS[norm].random(images, 1e6, torch.Generator().manual_seed(0)), attack.eps)
    under_noise = (trained((images + noise).clamp(0, 1)).argmax(1) == labels).float().mean().item()
    assert result.clean_accuracy > 0.85
    assert result.robust_accuracy < under_noise - 0.1


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_on_step_sees_every_iterate_with_its_logits(name, norm, net):
    images, labels = random_batch(net)
    steps = []
    adversarial = make(name, norm)(net, images, labels, on_step=steps.append)
    assert [step.number for step in steps] == list(range(len(steps)))
    assert len(steps) >= 2
    assert steps[-1].images.equal(adversarial)
    for step in steps:
        assert step.images.shape == images.shape
        torch.testing.assert_close(net(step.images), step.logits)
        assert not step.logits.requires_grad
    assert not steps[0].images.equal(steps[1].images)  # copies, not one tensor that goes on changing
    assert make(name, norm)(net, images, labels).equal(adversarial)  # being watched changes nothing


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_on_step_may_cancel(name, norm, net):
    def cancel(step):
        raise InterruptedError

    images, labels = random_batch(net)
    before = images.clone()
    with pytest.raises(InterruptedError):
        make(name, norm)(net, images, labels, on_step=cancel)
    assert images.equal(before)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_takes_an_empty_batch(name, norm, net):
    empty = torch.zeros(0, 1, 8, 8)
    assert make(name, norm)(net, empty, torch.zeros(0, dtype=torch.int64)).shape == empty.shape


BAD_CALLS = {
    "training mode": (lambda m, x, y: (m.train(), x, y), r"training mode.*model\.eval\(\)"),
    "above 1": (lambda m, x, y: (m, x * 255, y), r"must lie in \[0,1\]"),
    "below 0": (lambda m, x, y: (m, x - 0.5, y), r"must lie in \[0,1\]"),
    "NaN": (lambda m, x, y: (m, x.where(x < 0.9, torch.nan), y), r"must lie in \[0,1\]"),
    "bytes": (lambda m, x, y: (m, (x * 255).byte(), y), r"images are torch.uint8"),
    "three axes": (lambda m, x, y: (m, x[0], y), r"shape \(1, 8, 8\), not float of shape \(N,C,H,W\)"),
    "float labels": (lambda m, x, y: (m, x, y.float()), r"labels are torch.float32"),
    "int32 labels": (lambda m, x, y: (m, x, y.int()), r"labels are torch.int32"),
    "one-hot labels": (lambda m, x, y: (m, x, torch.eye(5)[y].long()), r"not int64 of shape \(24,\)"),
    "too few labels": (lambda m, x, y: (m, x, y[1:]), r"shape \(23,\), not int64 of shape \(24,\)"),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("bad", BAD_CALLS)
def test_refuses_what_would_give_meaningless_figures(name, bad, net):
    spoil, message = BAD_CALLS[bad]
    with pytest.raises(ValueError, match=message) as caught:
        make(name)(*spoil(net, *random_batch(net)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "L1"}, "unknown norm 'L1': choose one of Linf, L2"),
        ({"loss": "mse"}, "unknown loss 'mse': choose one of ce, margin, dlr"),
        ({"eps": -0.1}, "eps is -0.1"),
        ({"eps": 8.0}, "eps is 8, but it must be from 0 to 1"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"eps": float("inf"), "norm": "L2"}, "eps is inf"),
    ],
)
def test_refuses_settings_that_cannot_be_meant(name, settings, message):
    with pytest.raises(ValueError, match=message):
        ATTACKS[name](**{"eps": 0.1, **settings})


@pytest.mark.parametrize("setting", ["steps", "restarts"])
def test_pgd_refuses_counts_below_one(setting):
    with pytest.raises(ValueError, match=f"{setting} is 0, but it must be 1 or more"):
        PGD(0.1, **{setting: 0})


@pytest.mark.parametrize("alpha", [-0.1, float("nan"), float("inf")])
def test_pgd_refuses_a_step_that_is_none(alpha):
    with pytest.raises(ValueError, match="alpha is"):
        PGD(0.1, alpha)


def test_attacks_are_frozen_values():
    assert PGD(0.1) == PGD(0.1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        PGD(0.1).eps = 0.2
    check_settings(0.1, "Linf", "ce")
    check_batch(TinyNet().eval(), *random_batch(TinyNet()))


def test_default_step_crosses_the_ball():
    assert PGD(0.2, steps=10).step_size == pytest.approx(0.05)
    assert PGD(0.2, alpha=0.01, steps=10).step_size == 0.01


# --- Losses, by hand ---

LOGITS = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [0.0, 0.0, 5.0]])
LABELS = torch.tensor([0, 1, 2])


def test_losses_by_hand():
    assert LOSSES["margin"](LOGITS, LABELS).tolist() == [-1.0, 2.0, -5.0]
    assert LOSSES["dlr"](LOGITS, LABELS).tolist() == [-0.5, 1.0, -1.0]
    by_hand = [-(row[label].exp() / row.exp().sum()).log().item() for row, label in zip(LOGITS, LABELS, strict=True)]
    assert LOSSES["ce"](LOGITS, LABELS).tolist() == pytest.approx(by_hand)


def test_dlr_ignores_scale_where_cross_entropy_vanishes():
    assert LOSSES["dlr"](LOGITS * 1000, LABELS).tolist() == [-0.5, 1.0, -1.0]
    assert LOSSES["ce"](LOGITS * 1000, LABELS)[0] == 0


def test_dlr_needs_three_classes():
    model = LinearPair(torch.ones(4))
    with pytest.raises(ValueError, match="dlr, which needs three classes or more, but the model has 2"):
        PGD(0.1, loss="dlr")(model.eval(), torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64))


# --- Closed forms on a linear model ---


def linear_case(seed=0, count=40):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(9, generator=generator)
    images = 0.3 + 0.4 * torch.rand(count, 1, 3, 3, generator=generator)  # far enough from 0 and 1 never to be clipped
    model = LinearPair(weight, bias=-float(weight.sum() * 0.5)).eval()
    return model, weight.view(1, 3, 3), images, model(images).argmax(1).detach()


@pytest.mark.parametrize("seed", range(5))
def test_linf_equals_the_closed_form_on_a_linear_model(seed):
    model, weight, images, labels = linear_case(seed)
    away = 1 - 2 * labels.view(-1, 1, 1, 1).float()  # class 1 lies where w.x + b is positive
    expected = images + 0.1 * away * weight.sign()
    for attack in (FGSM(0.1), PGD(0.1, early_stop=False), PGD(0.1, steps=40, alpha=0.01, early_stop=False)):
        torch.testing.assert_close(attack(model, images, labels), expected)


@pytest.mark.parametrize("seed", range(5))
def test_l2_equals_the_closed_form_on_a_linear_model(seed):
    model, weight, images, labels = linear_case(seed)
    away = 1 - 2 * labels.view(-1, 1, 1, 1).float()
    expected = images + 0.2 * away * weight / weight.norm()
    attack = PGD(0.2, norm="L2", random_start=False, early_stop=False)
    torch.testing.assert_close(attack(model, images, labels), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_more_eps_steps_or_restarts_never_help_a_linear_defender(norm):
    model, _, images, labels = linear_case()
    unit = 0.03 if norm == "Linf" else 0.08

    def robust(**settings):
        return evaluate(model, images, labels, PGD(norm=norm, **settings)).robust_correct

    ladders = [
        [robust(eps=unit * k, steps=20) for k in range(5)],
        [robust(eps=2 * unit, alpha=unit / 4, steps=steps) for steps in (1, 2, 4, 8, 16)],
        [robust(eps=2 * unit, alpha=unit / 8, steps=2, restarts=restarts) for restarts in (1, 2, 4)],
    ]
    for ladder in ladders:
        for weaker, stronger in itertools.pairwise(ladder):
            assert not (stronger & ~weaker).any()
        assert ladder[-1].sum() < ladder[0].sum()


def test_a_targeted_attack_goes_to_the_target(trained, digits_test):
    # ART#840: the sign of the step must follow the goal.
    images, labels = digits_test.float(slice(0, 60)), digits_test.labels[:60]
    target = (labels + 1) % 10
    before = nn.functional.cross_entropy(trained(images), target)
    for attack in (FGSM(0.05, targeted=True), PGD(0.3, targeted=True), PGD(3.0, norm="L2", targeted=True)):
        assert nn.functional.cross_entropy(trained(attack(trained, images, target)), target) < before
    aimed = PGD(0.4, steps=40, targeted=True)
    assert (trained(aimed(trained, images, target)).argmax(1) == target).float().mean() > 0.9
    fleeing = dataclasses.replace(aimed, targeted=False)
    assert (trained(fleeing(trained, images, target)).argmax(1) == target).sum() == 0


# --- Foolbox ---


def foolbox_result(model, images, labels, norm, steps, alpha, targeted=False):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        foolbox = pytest.importorskip("foolbox", reason="Foolbox is not installed: nothing to compare with.")
    kinds = {"Linf": foolbox.attacks.LinfPGD, "L2": foolbox.attacks.L2PGD}
    attack = kinds[norm](abs_stepsize=alpha, steps=steps, random_start=False)
    goal = foolbox.criteria.TargetedMisclassification if targeted else foolbox.criteria.Misclassification
    wrapped = foolbox.PyTorchModel(model, (0, 1), device="cpu")
    # run gives the last iterate; calling the attack would put the clean image back where it failed.
    return attack.run(wrapped, images, goal(labels), epsilon=EPS[norm])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(20))
def test_equals_foolbox_to_the_last_bit(seed, norm):
    net = TinyNet(seed).eval()
    images, labels = random_batch(net, seed=seed)
    labels[::4] = (labels[::4] + 1) % 5
    for steps, alpha in ((10, EPS[norm] / 4), (3, EPS[norm] / 2)):
        ours = PGD(EPS[norm], alpha, steps, norm, random_start=False, early_stop=False)(net, images, labels)
        assert ours.equal(foolbox_result(net, images, labels, norm, steps, alpha))
    fgsm = FGSM(EPS[norm], norm)(net, images, labels)
    assert fgsm.equal(foolbox_result(net, images, labels, norm, 1, EPS[norm]))
    aimed = PGD(EPS[norm], 0.05, 5, norm, random_start=False, early_stop=False, targeted=True)
    assert aimed(net, images, labels).equal(foolbox_result(net, images, labels, norm, 5, 0.05, targeted=True))


class RowByRow(nn.Module):
    """Two layers without a matrix product: BLAS would sum in another order once fooled images have left the batch."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(12, 64, generator=generator) / 8)
        self.second = nn.Parameter(torch.randn(5, 12, generator=generator))

    def forward(self, images):
        hidden = (images.flatten(1)[:, None] * self.first).sum(2).relu()
        return (hidden[:, None] * self.second).sum(2)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(20))
def test_early_stop_changes_no_bit_of_what_no_step_fools(seed, norm):
    net = RowByRow(seed).eval()
    images, labels = random_batch(net, 33, seed)
    settings = {"eps": EPS[norm], "alpha": EPS[norm] / 8, "norm": norm, "random_start": False}
    stands = torch.ones(33, dtype=torch.bool)
    whole = PGD(**settings, early_stop=False)(
        net, images, labels, on_step=lambda step: stands.logical_and_(step.logits.argmax(1) == labels)
    )
    early = PGD(**settings)(net, images, labels)
    assert whole.equal(foolbox_result(net, images, labels, norm, 10, EPS[norm] / 8))
    assert early[stands].equal(whole[stands])
    assert (net(early[~stands]).argmax(1) != labels[~stands]).all()


def test_some_networks_are_fooled_and_some_are_not():
    # Guards the test above: it would prove nothing if every image, or none, were fooled.
    fooled = []
    for seed in range(20):
        net = RowByRow(seed).eval()
        images, labels = random_batch(net, 33, seed)
        adversarial = PGD(0.1, 0.0125, random_start=False)(net, images, labels)
        fooled.append((net(adversarial).argmax(1) != labels).float().mean())
    assert 0.05 < torch.stack(fooled).mean() < 0.95


# --- Bugs that slipped through in other libraries ---


def test_pixels_are_clipped_to_the_range():
    # ART#148: PGD that projects into the ball but not into [0,1].
    model = linear_case()[0]
    for edge in (0.0, 1.0):
        images = torch.full((4, 1, 3, 3), edge)
        for label in (0, 1):
            labels = torch.full((4,), label)
            adversarial = PGD(0.2, early_stop=False)(model, images, labels)
            assert adversarial.amin() >= 0
            assert adversarial.amax() <= 1
            assert adversarial.unique().tolist() == pytest.approx([0.0, 0.2] if edge == 0 else [0.8, 1.0])


@pytest.mark.parametrize("early_stop", [True, False])
@pytest.mark.parametrize("norm", NORMS)
def test_restarts_are_worst_case_per_example(norm, early_stop, trained, digits_test):
    # ART#714 chose the best restart per data set; MadryLab's byte mask let every restart overwrite every example.
    images, labels = digits_test.float(slice(0, 150)), digits_test.labels[:150]
    eps = 0.12 if norm == "Linf" else 0.9
    attack = PGD(eps, eps / 2, 2, norm, early_stop=early_stop)
    robust = [
        evaluate(trained, images, labels, dataclasses.replace(attack, restarts=count)).robust_correct
        for count in (1, 2, 3, 5)
    ]
    for fewer, more in itertools.pairwise(robust):
        assert not (more & ~fewer).any()
    assert robust[-1].sum() < robust[0].sum()


def test_a_restart_leaves_fooled_examples_alone(trained, digits_test):
    images, labels = digits_test.float(slice(0, 60)), digits_test.labels[:60]
    once = PGD(0.12, 0.06, 2, restarts=1)(trained, images, labels)
    thrice = PGD(0.12, 0.06, 2, restarts=3)(trained, images, labels)
    fooled = trained(once).argmax(1) != labels
    assert 0 < fooled.sum() < 60
    assert thrice[fooled].equal(once[fooled])
    assert not thrice[~fooled].equal(once[~fooled])


class Pit(nn.Module):
    """Fooled only where the first pixel lies between 0.55 and 0.65: a step that goes on leaves the pit again."""

    def forward(self, images):
        x = images[:, 0, 0, 0]
        return torch.stack([torch.zeros_like(x), x - 1 + 2 * ((x > 0.55) & (x < 0.65))], 1)


def test_an_example_fooled_on_the_way_is_returned_fooled():
    # secml-torch#145: the best iterate was saved after it had been changed.
    model, images, labels = Pit().eval(), torch.full((3, 1, 1, 1), 0.5), torch.zeros(3, dtype=torch.int64)
    attack = PGD(0.3, alpha=0.1, steps=3, random_start=False)
    assert (model(attack(model, images, labels)).argmax(1) == 1).all()
    last = dataclasses.replace(attack, early_stop=False)(model, images, labels)
    assert (model(last).argmax(1) == 0).all()
    torch.testing.assert_close(last, torch.full_like(images, 0.8))


@pytest.mark.parametrize("norm", NORMS)
def test_the_random_start_is_taken_and_seeded(norm, net):
    # torchattacks#83 and MadryLab#32: a random start that is not applied, or is the same for every image.
    images, labels = random_batch(net)
    images = images * 0.2 + 0.4
    steps = []
    PGD(EPS[norm], norm=norm, seed=3)(net, images, labels, on_step=steps.append)
    start = steps[0].images - images
    assert (NORMS[norm].size(start) > 0.1 * EPS[norm]).all()
    assert len(start.flatten(1).unique(dim=0)) == len(images)
    assert not PGD(EPS[norm], norm=norm, seed=4)(net, images, labels).equal(steps[-1].images)
    PGD(EPS[norm], norm=norm, random_start=False)(net, images, labels, on_step=steps.append)
    assert steps[-1].number == 0 or not steps[-1].images.equal(images)


def test_without_a_random_start_the_first_iterate_is_the_image(net):
    images, labels = random_batch(net)
    steps = []
    PGD(0.1, random_start=False)(net, images, labels, on_step=steps.append)
    assert steps[0].images.equal(images)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_all_misclassified_batch_comes_back(name, net):
    # auto-attack#81: Square failed on a batch with nothing left to attack.
    images, labels = random_batch(net)
    adversarial = make(name)(net, images, (labels + 1) % 5)
    assert adversarial.shape == images.shape


def test_an_example_that_is_wrong_already_is_not_moved(net):
    images, labels = random_batch(net)
    assert PGD(0.1, random_start=False)(net, images, (labels + 1) % 5).equal(images)


@pytest.mark.parametrize("name", ATTACKS)
def test_whole_grey_levels_survive_without_rounding(name, net):
    # torchattacks#136: a round trip through normalisation left -3e-8 and tripped range checks.
    images = torch.randint(0, 256, (24, 1, 8, 8), generator=torch.Generator().manual_seed(0)).float() / 255
    images[:12] = images[:12].round()
    labels = net(images).argmax(1)
    assert make(name, eps=0.0)(net, images, labels).equal(images)
    adversarial = make(name, eps=1.0)(net, images, labels)
    assert adversarial.amin() >= 0
    assert adversarial.amax() <= 1
