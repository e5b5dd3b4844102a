"""A copy without batch norms that looks for the way, and decides nothing."""

import pytest
import torch
from torch import nn

from lsp_core import evaluate
from lsp_core.attacks import APGD, PGD, Square, scouted
from lsp_core.models import MODELS, build_model
from lsp_core.models.folding import folded


def network(name, shape=(3, 32, 32)):
    """A model whose batch norms have seen something."""
    torch.manual_seed(0)
    model = build_model(name, shape, 10, (0.4,) * shape[0], (0.3,) * shape[0])
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(16, *shape))
    return model.eval()


@pytest.mark.parametrize("name", ["cnn", "preactresnet-small"])
def test_the_copy_answers_as_the_model_does(name):
    assert name in MODELS
    model, images = network(name), torch.rand(8, 3, 32, 32)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    copy = folded(model, images)
    norms = [sum(isinstance(part, nn.BatchNorm2d) for part in one.modules()) for one in (model, copy)]
    assert norms[1] < norms[0]
    torch.testing.assert_close(copy(images), model(images), rtol=1e-4, atol=1e-4)
    slopes = []
    for one in (model, copy):
        asked = images.clone().requires_grad_()
        slopes.append(torch.autograd.grad(one(asked)[:, 0].sum(), asked)[0])
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-3, atol=1e-5)
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())  # the model is left alone


class Moody(nn.Module):
    """Answers differently each time."""

    def __init__(self):
        super().__init__()
        self.inner = network("cnn", (1, 8, 8))

    def forward(self, images):
        return self.inner(images) + torch.rand(1)


class Winding(nn.Module):
    """Looks at its images to choose a way, which nobody can follow."""

    def __init__(self):
        super().__init__()
        self.inner = network("cnn", (1, 8, 8))

    def forward(self, images):
        return self.inner(images) if images.mean() > 0 else self.inner(-images)


@pytest.mark.parametrize("model", [Moody(), Winding(), nn.Sequential(nn.Flatten(), nn.Linear(64, 3))])
def test_what_cannot_be_folded_has_no_copy(model):
    assert folded(model.eval(), torch.rand(4, 1, 8, 8)) is None


class Liar(nn.Module):
    """Says that every image is fooled."""

    def forward(self, images):
        return torch.tensor([0.0, 1.0, 0.0]) + images.flatten(1).mean(1, keepdim=True)


class Honest(nn.Module):
    def forward(self, images):
        return torch.tensor([1.0, 0.0, 0.0]) + images.flatten(1).mean(1, keepdim=True)


@pytest.mark.parametrize("attack", [PGD(0.1, steps=3), APGD(0.1, steps=3, targets=2), Square(0.1, queries=5)])
def test_a_scout_decides_nothing(attack):
    images, labels, seen = torch.rand(5, 1, 4, 4), torch.zeros(5, dtype=torch.int64), []
    model = scouted.Scouted(Honest(), Liar())
    attack(model, images, labels, on_step=seen.append)
    assert seen[-1].number == len([step for step in seen if step.restart == seen[-1].restart]) - 1  # nobody left early
    assert all((step.logits.argmax(1) == 0).all() for step in seen)
    assert evaluate(model.eval(), images, labels, attack).robust_accuracy == 1


def test_a_scout_finds_what_the_model_would(monkeypatch, trained, digits_test):
    images, labels = digits_test.float(slice(0, 80)), digits_test.labels[:80]
    attack = PGD(0.1, steps=8)
    results = {}
    for worth in (0, 10**12):
        monkeypatch.setattr(scouted, "WORTH", worth)
        results[worth] = evaluate(trained, images, labels, attack)
    assert 0 < results[0].robust_accuracy < results[0].clean_accuracy
    assert int((results[0].robust_correct != results[10**12].robust_correct).sum()) <= 1
