"""Objectives: what they craft, what they minimise, and that they leave a model as training needs it."""

import math

import pytest
import torch
from conftest import TinyNet, random_batch
from torch.nn import functional

from lsp_core.attacks import PGD
from lsp_core.training.objectives import OBJECTIVES

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
LABELS = torch.tensor([0, 1])


@pytest.fixture
def net():
    return TinyNet().train()


def test_standard_minimises_cross_entropy_of_clean_logits():
    two = torch.tensor(2.0)
    by_hand = ((1 + (-two).exp()).log() + two.log()) / 2
    standard = OBJECTIVES["standard"](7, 0.0)
    torch.testing.assert_close(standard.loss(LOGITS, None, LABELS), by_hand)


def test_adversarial_training_minimises_cross_entropy_of_adversarial_logits_only():
    objective = OBJECTIVES["pgd-at"](7, 0.0)
    expected = functional.cross_entropy(LOGITS, LABELS)
    torch.testing.assert_close(objective.loss(LOGITS * 9, LOGITS, LABELS), expected)
    torch.testing.assert_close(objective.loss(None, LOGITS, LABELS), expected)


def test_trades_by_hand():
    # Clean: p = (0.8, 0.2), under attack q = (0.5, 0.5). KL(p || q) = 0.8 log 1.6 + 0.2 log 0.4.
    clean, adversarial = torch.tensor([[math.log(4), 0.0]]), torch.zeros(1, 2)
    divergence = 0.8 * math.log(1.6) + 0.2 * math.log(0.4)
    loss = OBJECTIVES["trades"](7, 0.0).loss(clean, adversarial, torch.tensor([0]))
    assert loss.item() == pytest.approx(-math.log(0.8) + 6 * divergence, rel=1e-6)


def test_trades_pulls_at_both_sides():
    clean = torch.tensor([[1.0, 0.0]], requires_grad=True)
    adversarial = torch.tensor([[0.0, 0.5]], requires_grad=True)
    trades = OBJECTIVES["trades"](7, 0.0)
    trades.loss(clean, adversarial, torch.tensor([0])).backward()
    alone = torch.autograd.grad(functional.cross_entropy(clean, torch.tensor([0])), clean)[0]
    assert adversarial.grad.abs().min() > 0
    assert (clean.grad - alone).abs().min() > 0.1  # the divergence moves the clean side, too


def test_mart_by_hand():
    # Label 0. Clean p = (0.8, 0.2, 0), under attack q = (0.25, 0.5, 0.25): the rival has 0.5.
    clean, adversarial = torch.tensor([[0.8, 0.2, 1e-30]]).log(), torch.tensor([[0.25, 0.5, 0.25]]).log()
    divergence = 0.8 * math.log(0.8 / 0.25) + 0.2 * math.log(0.2 / 0.5)
    expected = -math.log(0.25) - math.log(0.5001) + 5 * divergence * (1 - 0.8)
    loss = OBJECTIVES["mart"](7, 0.0).loss(clean, adversarial, torch.tensor([0]))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


# The first row of LOGITS has -log p of 0.127 and 2.127, the second log 2 twice: a fifth of the label, divided among the
# classes, adds 0.2 * (mean over the classes - that of the label) = 0.2 to the first row and nothing to the second.
SMOOTHED = {"standard": 0.1, "pgd-at": 0.2, "trades": 0.1, "mart": 0.2, "fast-at": 0.2}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_label_smoothing_by_hand(name):
    sharp, smooth = OBJECTIVES[name](7, 0.0), OBJECTIVES[name](7, 0.2)
    logits = (LOGITS, 2 * LOGITS, LABELS)  # the adversarial ones twice as far apart, and so is what is added
    assert (smooth.loss(*logits) - sharp.loss(*logits)).item() == pytest.approx(SMOOTHED[name], abs=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_crafting_knows_no_label_smoothing(name, net):
    images, labels = random_batch(net)
    sharp, smooth = (OBJECTIVES[name](3, share).craft(net, images, labels, 0.1, seed=5) for share in (0.0, 0.5))
    assert sharp.equal(smooth)


def test_each_crafts_with_its_own_attack(net):
    images, labels = random_batch(net)
    eps, seed = 0.1, 5
    attacks = {
        "trades": PGD(eps, steps=3, loss="kl", early_stop=False, seed=seed),
        "mart": PGD(eps, steps=3, early_stop=False, seed=seed),
        "fast-at": PGD(eps, alpha=1.25 * eps, steps=1, early_stop=False, seed=seed),
    }
    for name, attack in attacks.items():
        crafted = OBJECTIVES[name](3, 0.0).craft(net, images, labels, eps, seed)
        assert net.training
        assert crafted.equal(attack(net.eval(), images, labels)), name
        net.train()


def test_standard_crafts_nothing(net):
    images, labels = random_batch(net)
    objective = OBJECTIVES["standard"](7, 0.0)
    assert not objective.crafts
    assert objective.needs_clean
    assert objective.craft(net, images, labels, 0.1, seed=0) is images


def test_adversarial_training_crafts_full_length_pgd(net):
    images, labels = random_batch(net)
    labels[::2] = (labels[::2] + 1) % 5  # fooled from the start, and yet all steps are taken
    objective = OBJECTIVES["pgd-at"](3, 0.0)
    crafted = objective.craft(net, images, labels, 0.1, seed=5)
    assert net.training
    assert crafted.equal(PGD(0.1, steps=3, early_stop=False, seed=5)(net.eval(), images, labels))
    assert (crafted - images).abs().max() <= 0.1 + 1e-6
    assert not crafted.equal(objective.craft(net, images, labels, 0.1, seed=6))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_crafting_leaves_gradients_and_statistics_alone(name, digits_train):
    from lsp_core.models import build_model

    model = build_model("cnn", (1, 8, 8), 10, [0.3], [0.4]).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    OBJECTIVES[name](2, 0.0).craft(model, digits_train.float(slice(0, 8)), digits_train.labels[:8], 0.1, seed=0)
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
