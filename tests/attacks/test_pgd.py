"""PGD and FGSM: closed forms, hand-worked steps, and Foolbox as an independent oracle."""

import dataclasses
import itertools
import warnings

import pytest
import torch
from conftest import Counted, LinearPair, Pit, RowByRow, Scripted, TinyNet, alike, linear_case, random_batch
from torch import nn

from lsp_core.attacks import FGSM, PGD
from lsp_core.attacks.norms import NORMS
from lsp_core.evaluation import evaluate

EPS = {"Linf": 0.1, "L2": 1.0}


@pytest.fixture
def net():
    return TinyNet().eval()


def test_default_step_crosses_the_ball():
    assert PGD(0.2, steps=10).step_size == pytest.approx(0.05)
    assert PGD(0.2, alpha=0.01, steps=10).step_size == 0.01


def test_fgsm_is_one_step_of_pgd_from_the_image(net):
    images, labels = random_batch(net)
    for norm, eps in EPS.items():
        step = PGD(eps, eps, 1, norm, random_start=False, early_stop=False)
        assert FGSM(eps, norm)(net, images, labels).equal(step(net, images, labels))


# --- Closed forms on a linear model ---


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
    for settings in ({"random_start": False}, {"random_start": False, "momentum": 0.9}, {"steps": 60, "alpha": 0.1}):
        attack = PGD(0.2, norm="L2", early_stop=False, **settings)
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
    images, labels = digits_test.float(slice(0, 60)), digits_test.labels[:60]
    target = (labels + 1) % 10
    before = nn.functional.cross_entropy(trained(images), target)
    for attack in (FGSM(0.05, targeted=True), PGD(0.3, targeted=True), PGD(3.0, norm="L2", targeted=True)):
        assert nn.functional.cross_entropy(trained(attack(trained, images, target)), target) < before
    for loss in ("ce", "margin", "dlr"):
        aimed = PGD(0.4, steps=40, loss=loss, targeted=True)
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


# --- Who leaves the batch, and when ---


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


def test_fooled_examples_cost_nothing_more():
    # The first pixel must pass 0.5; in steps of 0.1 the five images need 1, 2, 3, 4 and, too many, 5 of them.
    model = Counted(LinearPair(torch.tensor([1.0]), bias=-0.5))
    images, labels = torch.tensor([0.45, 0.35, 0.25, 0.15, 0.05]).view(5, 1, 1, 1), torch.zeros(5, dtype=torch.int64)
    attack = PGD(1.0, alpha=0.1, steps=4, random_start=False)
    adversarial = attack(model, images, labels)
    assert (model.forwards, model.backwards) == ([5, 5, 4, 3], [5, 5, 4, 3])  # what the last step fools, nobody asks
    torch.testing.assert_close(adversarial.flatten(), torch.tensor([0.55, 0.55, 0.55, 0.55, 0.45]))
    watched = Counted(model.model)
    assert attack(watched, images, labels, on_step=lambda step: None).equal(adversarial)
    assert (watched.forwards, watched.backwards) == ([5, 5, 4, 3, 2], [5, 5, 4, 3])
    again = Counted(model.model)
    dataclasses.replace(attack, restarts=2)(again, images, labels)
    assert (again.forwards, again.backwards) == ([5, 5, 4, 3, 2, 1, 1, 1, 1], [5, 5, 4, 3, 1, 1, 1, 1])
    whole = Counted(model.model)
    last = dataclasses.replace(attack, early_stop=False)(whole, images, labels)
    assert (whole.forwards, whole.backwards) == ([5] * 4, [5] * 4)
    torch.testing.assert_close(last, images + 0.4)


@pytest.mark.parametrize("early_stop", [True, False])
@pytest.mark.parametrize("restarts", [1, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_being_watched_changes_no_bit(norm, restarts, early_stop, trained, digits_test):
    images, labels = digits_test.float(slice(0, 60)), digits_test.labels[:60]
    attack = PGD(EPS[norm], steps=4, norm=norm, restarts=restarts, early_stop=early_stop, momentum=0.5)
    unseen = attack(trained, images, labels)
    assert attack(trained, images, labels, on_step=lambda step: None).equal(unseen)


def test_an_example_fooled_on_the_way_is_returned_fooled():
    model, images, labels = Pit().eval(), torch.full((3, 1, 1, 1), 0.5), torch.zeros(3, dtype=torch.int64)
    attack = PGD(0.3, alpha=0.1, steps=3, random_start=False)
    assert (model(attack(model, images, labels)).argmax(1) == 1).all()
    last = dataclasses.replace(attack, early_stop=False)(model, images, labels)
    assert (model(last).argmax(1) == 0).all()
    torch.testing.assert_close(last, torch.full_like(images, 0.8))


def test_an_example_that_is_wrong_already_is_not_moved(net):
    images, labels = random_batch(net)
    assert PGD(0.1, random_start=False)(net, images, (labels + 1) % 5).equal(images)


@pytest.mark.parametrize("early_stop", [True, False])
@pytest.mark.parametrize("norm", NORMS)
def test_more_restarts_never_help_the_defender(norm, early_stop, trained, digits_test):
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


def test_a_restart_starts_elsewhere_and_the_first_one_is_the_same(net):
    images, labels = random_batch(net, 4)
    steps = []
    PGD(0.01, steps=1, restarts=3)(net, images, labels, on_step=steps.append)
    starts = [step.images for step in steps if step.number == 0]
    assert [step.restart for step in steps] == [0, 0, 1, 1, 2, 2]
    assert not any(one.equal(other) for one, other in itertools.combinations(starts, 2))
    PGD(0.01, steps=1)(net, images, labels, on_step=steps.append)
    assert steps[6].images.equal(starts[0])


# --- Where it starts, and momentum ---


@pytest.mark.parametrize("norm", NORMS)
def test_the_random_start_is_uniform_in_the_ball(norm, net):
    images = alike(2000, 1, 8, 8)
    steps = []
    attack = PGD(EPS[norm], steps=1, norm=norm, seed=3)
    attack(net, images, net(images).argmax(1), on_step=steps.append)
    sizes = NORMS[norm].size(steps[0].images - images) / EPS[norm]
    # The largest of 64 uniform numbers, and the radius of a uniform point of the 64-dimensional ball, are both below r
    # with probability r^64.
    for share in (0.1, 0.5, 0.9):
        assert sizes.quantile(share).item() == pytest.approx(share ** (1 / 64), abs=0.004)
    assert len(steps[0].images.flatten(1).unique(dim=0)) == len(images)


def test_without_a_random_start_the_first_iterate_is_the_image(net):
    images, labels = random_batch(net)
    steps = []
    PGD(0.1, random_start=False)(net, images, labels, on_step=steps.append)
    assert steps[0].images.equal(images)


def test_momentum_by_hand():
    # Gradients (4,-2) and (-1,2), scaled to mean absolute value 1: (4/3,-2/3) and (-2/3,4/3). With all of the momentum
    # they add up to (2/3,2/3), with half of it to (0,1); without it the second step undoes the first.
    gradients = torch.tensor([[4.0, -2.0], [-1.0, 2.0]]).view(2, 1, 1, 2)
    images, labels = torch.full((1, 1, 1, 2), 0.5), torch.tensor([0])
    by_hand = {0.0: (0.5, 0.5), 0.5: (0.6, 0.5), 1.0: (0.7, 0.5)}
    for momentum, expected in by_hand.items():
        model = Scripted(torch.tensor([-1.0]), gradients)
        attack = PGD(0.4, 0.1, 2, loss="margin", momentum=momentum, random_start=False)
        torch.testing.assert_close(attack(model, images, labels).flatten(), torch.tensor(expected))


def test_momentum_forgets_with_every_restart():
    gradients = torch.tensor([[4.0, 4.0], [-1.0, -1.0], [-1.0, -1.0]]).view(3, 1, 1, 2)
    model = Scripted(torch.tensor([-1.0]), gradients)
    attack = PGD(0.4, 0.1, 1, loss="margin", momentum=1.0, random_start=False, restarts=2)
    adversarial = attack(model, torch.full((1, 1, 1, 2), 0.5), torch.tensor([0]))
    torch.testing.assert_close(adversarial.flatten(), torch.tensor([0.4, 0.4]))


def test_the_loss_kl_finds_what_no_label_says(trained, digits_test):
    # Given the model's own answers, or none that make sense, kl climbs alike: it never looks at a label.
    images = digits_test.float(slice(0, 60))
    answers = trained(images).argmax(1)
    attack = PGD(0.2, loss="kl", early_stop=False)
    adversarial = attack(trained, images, answers)
    assert attack(trained, images, (answers + 3) % 10).equal(adversarial)
    assert (trained(adversarial).argmax(1) != answers).float().mean() > 0.5
