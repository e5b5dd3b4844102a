"""Which pixels a prediction hangs on."""

import pytest
import torch
from conftest import LinearPair, TinyNet

from lsp_core.explain.saliency import METHODS, Method, attribute


@pytest.fixture
def hyperplane():
    weight = torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(1))
    return LinearPair(weight, 0.5).eval(), weight


def test_the_gradient_of_a_linear_model_is_its_weights(hyperplane):
    model, weight = hyperplane
    maps = attribute(model, torch.rand(2, 1, 3, 3), torch.tensor([1, 1]), "Gradient")
    assert torch.allclose(maps, weight.expand(2, 3, 3), atol=1e-6)


def test_smoothing_a_linear_model_changes_nothing(hyperplane):
    model, weight = hyperplane
    maps = attribute(model, torch.rand(1, 1, 3, 3), torch.tensor([1]), "SmoothGrad")
    assert torch.allclose(maps[0], weight[0], atol=1e-5)


def test_integrated_gradients_add_up_to_the_logits_change():
    model = TinyNet().eval()
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    targets = torch.tensor([1, 3])
    maps = attribute(model, images, targets, "Integrated gradients")
    change = (model(images) - model(torch.zeros_like(images))).gather(1, targets[:, None]).squeeze(1)
    assert torch.allclose(maps.sum((1, 2)), change.detach(), atol=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_two_looks_at_one_image_are_the_same(method):
    model, images, targets = TinyNet().eval(), torch.rand(2, 1, 8, 8), torch.tensor([0, 4])
    state = torch.get_rng_state()
    first = attribute(model, images, targets, method)
    torch.rand(7)
    assert torch.equal(first, attribute(model, images, targets, method))
    assert first.shape == (2, 8, 8)
    assert not images.requires_grad
    torch.set_rng_state(state)


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'Magic'.*SmoothGrad, Integrated gradients, Gradient"):
        attribute(TinyNet().eval(), torch.rand(1, 1, 8, 8), torch.tensor([0]), "Magic")


def test_a_method_is_a_row_of_the_table_with_its_note(monkeypatch):
    monkeypatch.setitem(METHODS, "Brightness", Method(lambda model, images, targets: 2 * images, "It is bright", "us"))
    images = torch.rand(2, 3, 4, 4)
    assert torch.allclose(attribute(TinyNet(), images, torch.tensor([0, 1]), "Brightness"), 2 * images.sum(1))


def test_every_method_says_how_it_is_to_be_read():
    assert all("red" in method.note and "blue" in method.note for method in METHODS.values())
