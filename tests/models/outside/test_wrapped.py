"""``wrap``: any module that returns logits is a classifier, attackable and with an embedding."""

import copy

import pytest
import torch
from conftest import TinyNet, random_batch
from torch import nn

import lsp_core
from lsp_core.attacks import PGD
from lsp_core.types import Classifier

NAMES = ("a", "b", "c")


def small():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


class Pooled(nn.Module):
    """Its linear layer sees every position, and the largest of each class is its logit."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 3)
        self.fc.weight.data = torch.tensor([[1.0], [-1.0], [1.0]])  # were all above 0, the largest would give all three

    def forward(self, images):
        return self.fc(images.flatten(2).transpose(1, 2)).amax(1)


def test_a_module_becomes_a_classifier_whose_head_makes_its_logits_of_the_embedding():
    module, images = small(), torch.rand(6, 1, 2, 2)
    model = lsp_core.wrap(module, classes=NAMES, mean=(0.5,), std=(0.25,))
    assert isinstance(model, Classifier)
    wanted = module((images - 0.5) / 0.25)
    assert model(images).equal(wanted)
    assert model.features(images).equal(module[:3]((images - 0.5) / 0.25))
    assert model.head(model.features(images)).equal(wanted)


def test_the_module_is_shared_and_stays_whole():
    module = small()
    before = copy.deepcopy(module)
    model = lsp_core.wrap(module, classes=NAMES)
    model.features(torch.rand(2, 1, 2, 2))
    assert repr(module) == repr(before)
    names = {"normalize.mean", "normalize.std", *(f"module.{key}" for key in module.state_dict())}
    assert set(model.state_dict()) == names
    module[3].bias.data.fill_(7.0)
    assert model.head.bias.tolist() == [7.0] * 3


def test_a_wrapped_module_is_in_evaluation_mode_and_no_dropout_moves_it():
    model = lsp_core.wrap(nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(4, 3)), classes=NAMES)
    images = torch.rand(4, 1, 2, 2)
    assert model(images).equal(model(images))


def test_without_a_linear_layer_the_logits_are_the_embedding():
    model = lsp_core.wrap(nn.Sequential(nn.Conv2d(1, 3, 2), nn.Flatten()), classes=NAMES)
    images = torch.rand(4, 1, 2, 2)
    assert model.features(images).equal(model(images))
    assert model.head(model.features(images)).equal(model(images))


def test_a_layer_that_does_not_give_the_logits_is_no_embedding():
    model = lsp_core.wrap(Pooled(), classes=NAMES)
    assert model(torch.rand(2, 1, 2, 2)).shape == (2, 3)
    with pytest.raises(ValueError, match="with 3 outputs, fc, does not give its logits"):
        model.features(torch.rand(2, 1, 2, 2))


def test_what_is_wrapped_is_attacked_and_evaluated_as_any_other():
    tiny = TinyNet()
    model = lsp_core.wrap(nn.Sequential(tiny.body, tiny.head), classes="abcde")
    images, labels = random_batch(model)
    found = lsp_core.evaluate(model, images, labels, PGD(eps=0.3, alpha=0.1, steps=5))
    assert found.clean_accuracy == 1
    assert found.robust_accuracy < 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a",)}, "classes are 1, but a classifier has at least two"),
        ({"mean": (0.5, 0.5)}, "but they must be as many numbers"),
        ({"std": (0.0,)}, "those of std above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        lsp_core.wrap(small(), **{"classes": NAMES, **changes})


@pytest.mark.parametrize(("module", "found"), [(nn.Flatten(), r"\(2, 4\)"), (lambda x: [x], "a list")])
def test_what_returns_no_logits_is_refused_when_it_is_run(module, found):
    whole = module if isinstance(module, nn.Module) else type("Listing", (nn.Module,), {"forward": lambda s, x: [x]})()
    with pytest.raises(ValueError, match=rf"returns {found}, but it must return logits \(2, 3\)"):
        lsp_core.wrap(whole, classes=NAMES)(torch.rand(2, 1, 2, 2))
