"""The smallest radius found: the closed form on linear models, and nothing called found that was not."""

import pytest
import torch
from conftest import linear_case
from torch import nn

from lsp_core import load_checkpoint, load_dataset
from lsp_core.attacks import PGD, Minimal
from lsp_core.attacks.smallest import Closest

DIGITS = "checkpoints/digits-cnn-{}.safetensors"
ORDERS = {"Linf": 1, "L2": 2}


class Linear(nn.Module):
    """Three classes over pixels, of which every image is near a border; the box does not bind."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.weight = torch.randn(3, 64, generator=generator) * 0.3

    def forward(self, images):
        return (images.flatten(1) - 0.5) @ self.weight.T


def linear_images():
    images = 0.4 + 0.2 * torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    return images, Linear()(images).argmax(1)


def digits(name, count):
    model, _ = load_checkpoint(DIGITS.format(name))
    data = load_dataset("digits", split="test")
    return model, data.float(slice(0, count)), data.labels[:count]


@pytest.mark.parametrize("norm", ORDERS)
def test_reaches_the_closed_form_on_a_linear_model(norm):
    model, (images, labels) = Linear().eval(), linear_images()
    logits = model(images)
    leads = logits.gather(1, labels[:, None]) - logits
    exact = (leads / (model.weight[labels][:, None] - model.weight).norm(ORDERS[norm], dim=2)).nan_to_num(torch.inf)
    found = Minimal(norm=norm)(model, images, labels)
    torch.testing.assert_close(found.eps.float(), exact.amin(1), rtol=0.01, atol=0)
    assert (found.eps >= exact.amin(1) - 1e-6).all()


@pytest.mark.parametrize("norm", ORDERS)
def test_what_is_returned_fools_and_is_as_far_as_is_said(norm):
    model, images, labels = digits("standard", 4)
    found = Minimal(norm=norm, steps=10)(model, images, labels)
    delta = (found.images - images).double().flatten(1)
    size = delta.abs().amax(1) if norm == "Linf" else delta.norm(dim=1)
    torch.testing.assert_close(found.eps, size, rtol=1e-9, atol=1e-9)
    assert (model(found.images).argmax(1) != labels).all()
    assert ((found.images >= 0) & (found.images <= 1)).all()
    levels = (found.images * 255).round() / 255
    stays = model(levels).argmax(1) != labels
    assert found.eps_8bit.isfinite().equal(stays)


def test_finds_less_than_an_attack_that_fools():
    model, images, labels = digits("standard-lsp", 4)
    found = Minimal()(model, images, labels)
    for eps in (0.9, 1.0):  # PGD at nearly that radius fools none, and there is something at it
        radius = float(found.eps.amin()) * eps
        adversarial = PGD(radius, steps=40, loss="margin")(model, images, labels)
        assert (model(adversarial).argmax(1) == labels).all() or eps == 1.0
    assert (found.eps < 0.4).all()


def test_a_larger_budget_finds_little_more():
    model, images, labels = digits("pgd-at", 3)
    usual, long = (Minimal(steps=steps)(model, images, labels).eps for steps in (20, 60))
    assert (usual <= 1.05 * torch.minimum(usual, long)).all()


def test_an_image_that_is_wrong_is_its_own_answer():
    model, (images, labels) = Linear().eval(), linear_images()
    labels[0] = (labels[0] + 1) % 3
    found = Minimal()(model, images, labels)
    assert found.eps[0] == 0
    assert found.images[0].equal(images[0])
    assert (found.eps[1:] > 0).all()


@pytest.mark.parametrize("norm", ORDERS)
def test_nothing_found_is_infinite_and_no_success(norm):
    class Stubborn(nn.Module):
        def forward(self, images):
            return torch.stack([images.flatten(1).sum(1) * 0 + 1, images.flatten(1).sum(1) * 0], 1)

    images, labels = torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)
    found = Minimal(norm=norm, steps=2)(Stubborn().eval(), images, labels)
    assert found.eps.isinf().all()
    assert found.eps_8bit.isinf().all()
    assert not found.found.any()
    assert found.images.equal(images)


def test_an_image_has_its_radius_in_any_batch():
    model, (images, labels) = Linear().eval(), linear_images()
    together = Minimal(steps=5)(model, images, labels).eps
    alone = torch.cat([Minimal(steps=5)(model, images[row : row + 1], labels[row : row + 1]).eps for row in range(4)])
    torch.testing.assert_close(together[:4], alone, rtol=1e-3, atol=0)


def test_the_closest_is_kept_whatever_comes_after():
    model, _, images, labels = linear_case(0)
    closest = Closest(model, images, labels, "Linf")
    away = (model(torch.zeros_like(images)).argmax(1) != labels).nonzero().squeeze(1)[:1]
    assert len(away) == 1
    closest.offer(away, torch.zeros_like(images[away]))
    best = closest.eps[away].clone()
    assert best.isfinite().all()
    closest.offer(away, images[away])  # right, so that it does not count, however close
    assert closest.eps[away].equal(best)


def test_can_be_cancelled_and_refuses_what_cannot_be_meant():
    model, (images, labels) = Linear().eval(), linear_images()

    def stop(done, total):
        assert 0 <= done < total
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Minimal()(model, images, labels, on_progress=stop)
    with pytest.raises(ValueError, match="steps is 0"):
        Minimal(steps=0)
    with pytest.raises(ValueError, match="unknown norm"):
        Minimal(norm="L1")
    with pytest.raises(ValueError, match="training mode"):
        Minimal()(Linear().train(), images, labels)
    empty = Minimal()(model, images[:0], labels[:0])
    assert empty.eps.shape == (0,)
