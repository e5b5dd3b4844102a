"""Objectives: what they craft, what they minimise, and that they leave a model as training needs it."""

import pytest
import torch
from conftest import TinyNet, random_batch
from torch.nn import functional

from lsp_core.attacks import PGD
from lsp_core.objectives import OBJECTIVES

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
LABELS = torch.tensor([0, 1])


@pytest.fixture
def net():
    return TinyNet().train()


def test_standard_minimises_cross_entropy_of_clean_logits():
    two = torch.tensor(2.0)
    by_hand = ((1 + (-two).exp()).log() + two.log()) / 2
    standard = OBJECTIVES["standard"](7)
    torch.testing.assert_close(standard.loss(LOGITS, None, LABELS), by_hand)


def test_adversarial_training_minimises_cross_entropy_of_adversarial_logits_only():
    objective = OBJECTIVES["pgd-at"](7)
    expected = functional.cross_entropy(LOGITS, LABELS)
    torch.testing.assert_close(objective.loss(LOGITS * 9, LOGITS, LABELS), expected)
    torch.testing.assert_close(objective.loss(None, LOGITS, LABELS), expected)


def test_standard_crafts_nothing(net):
    images, labels = random_batch(net)
    objective = OBJECTIVES["standard"](7)
    assert not objective.crafts
    assert objective.needs_clean
    assert objective.craft(net, images, labels, 0.1, seed=0) is images


def test_adversarial_training_crafts_full_length_pgd(net):
    images, labels = random_batch(net)
    labels[::2] = (labels[::2] + 1) % 5  # fooled from the start, and yet all steps are taken
    objective = OBJECTIVES["pgd-at"](3)
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
    OBJECTIVES[name](2).craft(model, digits_train.float(slice(0, 8)), digits_train.labels[:8], 0.1, seed=0)
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
