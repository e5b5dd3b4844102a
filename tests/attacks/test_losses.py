"""What attacks raise: by hand, by finite differences, and what the losses must not care about."""

import math

import pytest
import torch
from conftest import LinearPair
from torch.nn import functional

from lsp_core.attacks import APGD, PGD
from lsp_core.attacks.goal import Goal
from lsp_core.attacks.losses import LOSSES, TARGETED, kl, margin, targeted_dlr

LOGITS = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [0.0, 0.0, 5.0]])
LABELS = torch.tensor([0, 1, 2])
FOUR = torch.tensor([[3.0, 1.0, 2.0, 0.0]])


def random_logits(count=40, classes=6, scale=3.0):
    return scale * torch.randn(count, classes, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_losses_by_hand():
    assert LOSSES["margin"](LOGITS, LABELS).tolist() == [-1.0, 2.0, -5.0]
    assert LOSSES["dlr"](LOGITS, LABELS).tolist() == [-0.5, 1.0, -1.0]
    by_hand = [-(row[label].exp() / row.exp().sum()).log().item() for row, label in zip(LOGITS, LABELS, strict=True)]
    assert LOSSES["ce"](LOGITS, LABELS).tolist() == pytest.approx(by_hand)


def test_targeted_losses_by_hand():
    # The gap is 3 - (1 + 0) / 2 = 2.5; the target's lead over the best other class is -1, 1, -2 and -3.
    by_hand = {2: -1.0, 0: 1.0, 1: -2.0, 3: -3.0}
    for target, lead in by_hand.items():
        assert TARGETED["margin"](FOUR, torch.tensor([target])).item() == lead
        assert TARGETED["dlr"](FOUR, torch.tensor([target])).item() == pytest.approx(lead / 2.5)
        expected = functional.log_softmax(FOUR, 1)[0, target].item()
        assert TARGETED["ce"](FOUR, torch.tensor([target])).item() == pytest.approx(expected)


def test_kl_by_hand():
    # p = (3/4, 1/4) moves to q = (1/2, 1/2): 3/4 log(3/2) + 1/4 log(1/2).
    clean, moved = torch.tensor([[math.log(3), 0.0]]), torch.zeros(1, 2)
    assert kl(moved, clean).item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert kl(clean, moved).item() == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))  # it is not symmetric
    assert kl(clean, clean).item() == pytest.approx(0, abs=1e-7)


def test_kl_is_zero_and_flat_at_the_clean_image_and_positive_elsewhere():
    clean = random_logits()
    at = clean.clone().requires_grad_()
    assert torch.autograd.grad(kl(at, clean).sum(), at)[0].abs().amax() < 1e-12
    assert (kl(clean + random_logits().flip(0), clean) > 0).all()


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_equal_finite_differences(loss, targeted):
    if targeted and loss == "kl":
        pytest.skip("kl knows no target")
    logits, labels = random_logits(), torch.arange(40) % 6
    goal = Goal(loss, labels, targeted, clean=random_logits().flip(0) if loss == "kl" else None)
    assert torch.autograd.gradcheck(goal.value, logits.requires_grad_())


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_dlr_ignores_scale_and_shift_where_cross_entropy_vanishes(scale):
    logits, labels = random_logits(), torch.arange(40) % 6
    for loss in (LOSSES["dlr"], targeted_dlr):
        torch.testing.assert_close(loss(scale * logits - 7, labels), loss(logits, labels), rtol=1e-6, atol=1e-9)
    assert LOSSES["ce"](LOGITS * 1000, LABELS)[0] == 0


@pytest.mark.parametrize("loss", ["margin", "dlr"])
def test_above_zero_means_fooled(loss):
    logits, labels = random_logits(), torch.arange(40) % 6
    fooled = logits.argmax(1) != labels
    assert (LOSSES[loss](logits, labels) > 0).equal(fooled)
    assert (TARGETED[loss](logits, labels) > 0).equal(~fooled)
    assert 0 < fooled.sum() < 40


def test_towards_a_class_or_away_from_the_label():
    labels, others = torch.tensor([0]), torch.tensor([2])
    away, reach = Goal("margin", labels), Goal("margin", labels, targeted=True)
    towards = Goal("margin", labels, towards=others)
    assert [goal.value(FOUR).item() for goal in (away, reach, towards)] == [-1.0, 1.0, -1.0]
    assert [goal.fooled(FOUR).item() for goal in (away, reach, towards)] == [False, True, False]
    # Any other class will do when one is aimed at.
    assert Goal("margin", torch.tensor([3]), towards=others).fooled(FOUR).item()
    rows = torch.tensor([1])
    part = Goal("ce", LABELS, towards=LABELS.flip(0), clean=LOGITS).at(rows)
    assert (part.labels.tolist(), part.towards.tolist(), part.clean.tolist()) == ([1], [1], [LOGITS[1].tolist()])


def test_equal_logits_divide_by_nothing():
    for loss in (LOSSES["dlr"], targeted_dlr):
        assert loss(torch.zeros(1, 5), torch.tensor([0])).isfinite().all()
    assert margin(torch.zeros(1, 5), torch.tensor([0])).item() == 0


@pytest.mark.parametrize("classes", [2, 3])
def test_dlr_needs_three_classes_and_four_towards_a_target(classes):
    images, labels = torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, classes)).eval()
    for attack in (APGD(0.1, loss="dlr", targets=1), PGD(0.1, loss="dlr", targeted=True)):
        with pytest.raises(ValueError, match=f"dlr.*needs (three|four) classes or more, but the model has {classes}"):
            attack(model, images, labels)
    if classes == 3:
        PGD(0.1, loss="dlr")(model, images, labels)
    else:
        with pytest.raises(ValueError, match="dlr, which needs three classes or more, but the model has 2"):
            PGD(0.1, loss="dlr")(LinearPair(torch.ones(4)).eval(), images, labels)


def test_cross_entropy_vanishes_where_dlr_still_attacks(trained, digits_test):
    # The positive control of gradient masking: the same model with logits a thousand times as large.
    class Loud(torch.nn.Module):
        def forward(self, images):
            return 1000 * trained(images)

    images, labels = digits_test.float(slice(0, 60)), digits_test.labels[:60]
    model = Loud().eval()

    def accuracy(loss):
        return (model(PGD(0.2, loss=loss)(model, images, labels)).argmax(1) == labels).float().mean()

    assert accuracy("ce") > accuracy("dlr") + 0.3
    assert accuracy("ce") > accuracy("margin") + 0.3
