"""One contract for all attacks: every row of ATTACKS, and an ensemble of them, in both norms."""

import dataclasses
import functools

import pytest
import torch
from conftest import Counted, LinearPair, Stubborn, TinyNet, random_batch
from torch import nn

from lsp_core.attacks import APGD, ATTACKS, FGSM, PGD, Ensemble, Noise, Square, parse_attack
from lsp_core.attacks.contract import check_batch, check_settings
from lsp_core.attacks.draws import Draws
from lsp_core.attacks.norms import NORMS
from lsp_core.evaluation import evaluate
from lsp_core.types import Attack

EPS = {"Linf": 0.3, "L2": 2.0}
SHORT = {
    "noise": {"draws": 3},
    "transfer": {"steps": 5, "source": ("another", TinyNet(1).eval())},
    "square": {"queries": 30},
    "pgd": {"steps": 5},
    "apgd": {"steps": 8},
    "apgd-dlr": {"steps": 8},
    "apgd-t": {"steps": 4},
}


def make(name, norm="Linf", eps=None, **settings):
    eps = EPS[norm] if eps is None else eps
    if name == "ensemble":
        return Ensemble((FGSM(eps, norm), PGD(eps, steps=3, norm=norm), Square(eps, 10, norm)))
    if name == "autoattack":
        pytest.importorskip("pyautoattack", reason="pyautoattack is not installed.")
    return parse_attack(name, eps, norm, **{**SHORT.get(name, {}), **settings})


# The fast ensemble is made of what is here already (test_fast.py has it whole), and so is APGD on another loss.
ROWS = [name for name in ATTACKS if name not in ("fast", "apgd-dlr")]
NAMES = [*ROWS, "ensemble"]
EVERY = [pytest.param(name, norm, id=f"{name}-{norm}") for name in NAMES for norm in NORMS]
EVERY_LOSS = [
    pytest.param(name, norm, loss, id=f"{name}-{norm}-{loss}")
    for name in ROWS
    for norm in NORMS
    for loss in (("ce", "margin", "dlr", "kl") if "loss" in ATTACKS[name].takes else (None,))
    if (name, loss) != ("fgsm", "kl")
]
CLASSES = (Noise, FGSM, PGD, APGD, Square)


@pytest.fixture(autouse=True)
def _a_short_referee(monkeypatch):
    """All four attacks of AutoAttack, cut short: test_autoattack.py has it whole."""
    try:
        import pyautoattack
    except ImportError:
        return

    class Short(pyautoattack.AutoAttack):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            self.apgd.n_iter = self.apgd_targeted.n_iter = 4
            self.fab.n_iter, self.square.n_queries = 2, 20

    monkeypatch.setattr(pyautoattack, "AutoAttack", Short)


@pytest.fixture
def net():
    return TinyNet().eval()


@pytest.mark.parametrize(("name", "norm", "loss"), EVERY_LOSS)
def test_stays_in_shape_range_and_budget(name, norm, loss, net):
    images, labels = random_batch(net)
    images[:4], images[4:8] = images[:4].round(), 0.0  # saturated pixels: the clip to [0,1] must bite
    attack = make(name, norm, **({"loss": loss} if loss else {}))
    adversarial = attack(net, images, labels)
    assert isinstance(attack, Attack)
    assert (adversarial.shape, adversarial.dtype) == (images.shape, images.dtype)
    assert adversarial.amin() >= 0
    assert adversarial.amax() <= 1
    assert NORMS[norm].size(adversarial - images).amax() <= EPS[norm] + 1e-6
    assert not adversarial.equal(images)
    assert not adversarial.requires_grad


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 5, 7), (1, 1, 1), (4, 2, 2)])
@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_takes_colour_oblong_and_tiny_images(name, norm, shape):
    if name == "autoattack" and min(shape[1:]) < 5:
        pytest.skip("the library cannot tile an image of fewer than 5 rows")
    if name == "transfer":
        pytest.skip("its source takes 8x8 only")
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], 5)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(model[1].weight.shape, generator=generator))
    images, labels = random_batch(model, 6, shape=shape)
    adversarial = make(name, norm)(model, images, labels)
    assert adversarial.shape == images.shape
    assert NORMS[norm].size(adversarial - images).amax() <= EPS[norm] + 1e-6
    assert not adversarial.equal(images)


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


@pytest.mark.parametrize("name", [name for name in ROWS if name != "fgsm"])
def test_another_seed_is_another_attack(name, net):
    images, labels = random_batch(net)
    other = parse_attack(name, EPS["Linf"], seed=1, **SHORT.get(name, {}))
    assert not other(net, images, labels).equal(make(name)(net, images, labels))


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
def test_the_memory_layout_changes_nothing(name, norm):
    # auto-attack and others view() an image as a vector, which not every layout allows.
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)).eval()
    if name == "transfer":
        pytest.skip("its source takes one channel only")
    images, labels = random_batch(net, 8, shape=(3, 8, 8))
    usual = make(name, norm)(net, images, labels)
    other = images.to(memory_format=torch.channels_last)
    torch.testing.assert_close(make(name, norm)(net, other, labels), usual)


@pytest.mark.parametrize(("name", "norm"), [case for case in EVERY if case.values[0] not in ("noise", "transfer")])
def test_beats_noise_on_a_trained_model(name, norm, trained, digits_test):
    images, labels = digits_test.float(slice(0, 100)), digits_test.labels[:100]
    eps = {"Linf": 0.1, "L2": 1.0}[norm]
    result = evaluate(trained, images, labels, make(name, norm, eps, **({"queries": 400} if name == "square" else {})))
    noise = NORMS[norm].project(NORMS[norm].random(images, 1e6, Draws(images, 0)), eps)
    under_noise = (trained((images + noise).clamp(0, 1)).argmax(1) == labels).float().mean().item()
    assert result.clean_accuracy > 0.85
    assert result.robust_accuracy < under_noise - 0.1


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_on_step_sees_the_iterates_with_their_logits(name, norm, net):
    images, labels = random_batch(net)
    steps = []
    adversarial = make(name, norm)(net, images, labels, on_step=steps.append)
    assert len(steps) >= 2
    for before, step in zip([None, *steps], steps, strict=False):
        assert step.images.shape == images.shape
        torch.testing.assert_close(net(step.images), step.logits)
        assert not step.logits.requires_grad
        if before is None or step.restart != before.restart:
            assert (step.restart, step.number) == (0 if before is None else before.restart + 1, 0)
        else:
            assert step.number == before.number + 1
    assert steps[-1].images.equal(adversarial)
    assert not steps[0].images.equal(adversarial)  # copies, not one tensor that goes on changing
    # Being watched changes nothing, but for the rounding of a smaller or larger batch.
    torch.testing.assert_close(make(name, norm)(net, images, labels), adversarial, rtol=0, atol=1e-6)


STEPS = {"noise": 3, "fgsm": 2, "pgd": 6, "apgd": 9, "apgd-t": 4 * 5, "square": 30, "autoattack": 2, "ensemble": 16}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", STEPS)
def test_on_step_misses_no_iterate(name, norm):
    # Nothing is ever fooled here, and the gradient is zero: every step is taken, and none may turn into NaN.
    images, labels, steps = torch.rand(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64), []
    adversarial = make(name, norm)(Stubborn().eval(), images, labels, on_step=steps.append)
    assert len(steps) == STEPS[name]
    assert adversarial.isfinite().all()


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
    assert all(parameter.requires_grad for parameter in net.parameters())


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_takes_an_empty_batch(name, norm, net):
    empty, seen = torch.zeros(0, 1, 8, 8), []
    adversarial = make(name, norm)(net, empty, torch.zeros(0, dtype=torch.int64), on_step=seen.append)
    assert adversarial.shape == empty.shape


@pytest.mark.parametrize("name", [name for name in NAMES if name != "autoattack"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("stubborn", [True, False])
def test_costs_no_more_passes_than_it_says(name, norm, stubborn, net):
    images, labels = random_batch(net, 4)
    if stubborn:
        labels = torch.zeros(4, dtype=torch.int64)
    for settings in ({}, {"restarts": 3}, {"loss": "kl"}, {"targets": 2}):
        if settings.keys() <= set(ATTACKS[name].takes if name in ATTACKS else ()):
            if (name, settings) == ("fgsm", {"loss": "kl"}):
                continue
            model, attack = Counted(Stubborn() if stubborn else net), make(name, norm, **settings)
            attack(model, images, labels)
            spent = sum(model.forwards) + sum(model.backwards)
            assert spent <= 4 * attack.passes
            if stubborn:  # a bound of a million would hold, too, and a progress bar never move
                # Five classes, not ten.
                assert spent >= 4 * attack.passes * {"transfer": 0.4, "apgd-t": 0.35}.get(name, 0.7)


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
    "a class too many": (lambda m, x, y: (m, x, first(y, 5)), r"labels reach from \d to 5, but .* classes 0 to 4"),
    "a negative class": (lambda m, x, y: (m, x, first(y, -1)), r"labels reach from -1 to \d, but .* classes 0 to 4"),
    "NaN weights": (lambda m, x, y: (broken(m), x, y), r"logits that are not finite"),
    "no logits": (lambda m, x, y: (nn.Identity().eval(), x, y), r"returns shape \(24, 1, 8, 8\) for 24 images"),
}


def first(labels, label):
    labels[0] = label
    return labels


def broken(model):
    model.head.weight.data[0, 0] = torch.nan
    return model


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", BAD_CALLS)
def test_refuses_what_would_give_meaningless_figures(name, bad, net):
    spoil, message = BAD_CALLS[bad]
    with pytest.raises(ValueError, match=message) as caught:
        make(name)(*spoil(net, *random_batch(net)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("attack", CLASSES)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "L1"}, "unknown norm 'L1': choose one of Linf, L2"),
        ({"loss": "mse"}, "unknown loss 'mse': choose one of ce, margin, dlr, kl"),
        ({"eps": -0.1}, "eps is -0.1"),
        ({"eps": 8.0}, "eps is 8, but it must be from 0 to 1"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"eps": float("inf"), "norm": "L2"}, "eps is inf"),
    ],
)
def test_refuses_settings_that_cannot_be_meant(attack, settings, message):
    if not settings.keys() <= {field.name for field in dataclasses.fields(attack)}:
        pytest.skip("has no such setting")
    with pytest.raises(ValueError, match=message):
        attack(**{"eps": 0.1, **settings})


NONSENSE = {
    "steps is 0, but it must be 1 or more": (PGD, {"steps": 0}),
    "restarts is 0, but it must be 1 or more": (PGD, {"restarts": 0}),
    "steps is -1, but it must be 1 or more": (APGD, {"steps": -1}),
    "restarts is -2, but it must be 1 or more": (APGD, {"restarts": -2}),
    "targets is -3, but it must be 1 or more": (APGD, {"targets": -3}),
    "targets picks wrong classes to try, but targeted says": (APGD, {"targets": 3, "targeted": True}),
    "draws is 0, but it must be 1 or more": (Noise, {"draws": 0}),
    "queries is 0, but it must be 1 or more": (Square, {"queries": 0}),
    "area is 0, but it must be above 0 and at most 1": (Square, {"area": 0.0}),
    "area is 1.5, but it must be above 0 and at most 1": (Square, {"area": 1.5}),
    "alpha is -0.1, but it must be 0 or more": (PGD, {"alpha": -0.1}),
    "alpha is nan, but": (PGD, {"alpha": float("nan")}),
    "alpha is inf, but": (PGD, {"alpha": float("inf")}),
    "momentum is -0.5, but it must be from 0 to 1": (PGD, {"momentum": -0.5}),
    "momentum is nan, but it must be from 0 to 1": (PGD, {"momentum": float("nan")}),
    "loss is kl, which leaves the clean prediction and knows no target.*": (PGD, {"loss": "kl", "targeted": True}),
    "loss is kl, which leaves the clean prediction and knows no target": (APGD, {"loss": "kl", "targets": 2}),
    "loss is kl, whose gradient is zero at the image itself.*": (PGD, {"loss": "kl", "random_start": False}),
    "loss is kl, whose gradient is zero at the image itself": (FGSM, {"loss": "kl"}),
}


@pytest.mark.parametrize("message", NONSENSE)
def test_refuses_its_own_settings_that_cannot_be_meant(message):
    attack, settings = NONSENSE[message]
    with pytest.raises(ValueError, match=message):
        attack(0.1, **settings)


@pytest.mark.parametrize("name", NAMES)
def test_attacks_are_frozen_values(name):
    attack = functools.partial(make, name, eps=0.1)
    assert attack() == attack()
    assert hash(attack()) == hash(attack())
    with pytest.raises(dataclasses.FrozenInstanceError):
        attack().attack = None


def test_good_settings_and_batches_pass():
    check_settings(0.1, "Linf", "ce")
    check_settings(8.0, "L2", "kl")
    check_batch(TinyNet().eval(), *random_batch(TinyNet()))


@pytest.mark.parametrize(("name", "norm"), EVERY)
def test_an_example_that_is_wrong_already_stays_wrong(name, norm, net):
    images, labels = random_batch(net)
    adversarial = make(name, norm)(net, images, (labels + 1) % 5)
    assert (net(adversarial).argmax(1) != (labels + 1) % 5).all()


@pytest.mark.parametrize("name", ["pgd", "apgd", "square"])
@pytest.mark.parametrize("norm", NORMS)
def test_an_infinite_or_missing_gradient_spoils_no_image(name, norm):
    class Root(LinearPair):
        """The root's slope at zero is infinite, and not a number once it is multiplied by zero."""

        def forward(self, images):
            dark = images[:, :, 0].flatten(1) * 0
            return super().forward(images) + dark.sqrt().sum(1, keepdim=True)

    model = Root(torch.arange(-4.0, 5.0), bias=0.0).eval()
    images = torch.full((3, 1, 3, 3), 0.5)
    labels = model(images).argmax(1)
    steps = []
    make(name, norm)(model, images, labels, on_step=steps.append)
    assert all(step.images.isfinite().all() for step in steps)
    assert (model(steps[-1].images) - model(images)).detach().diff(dim=1).mul(1 - 2 * labels[:, None]).gt(0).all()
