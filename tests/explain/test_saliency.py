"""Which pixels a prediction hangs on."""

import pytest
import torch
from conftest import LinearPair, TinyNet

from lsp_core.explain.methods import late_layer, window
from lsp_core.explain.saliency import METHODS, Method, attribute
from lsp_core.explain.trust import trust


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


def test_input_times_gradient_of_a_linear_model_is_weight_times_pixel(hyperplane):
    model, weight = hyperplane
    images = torch.rand(2, 1, 3, 3)
    maps = attribute(model, images, torch.tensor([1, 1]), "Input × gradient")
    assert torch.allclose(maps, (weight * images)[:, 0], atol=1e-6)


def test_occlusion_of_a_linear_model_is_what_the_window_hid():
    """Windows of 2 by 2 at every place: a pixel gets the mean over the windows that lie on it."""
    weight = torch.arange(16.0).view(1, 4, 4)
    model, images = LinearPair(weight).eval(), torch.ones(1, 1, 4, 4)
    assert window((1, 4, 4)) == (2, 1)
    maps = attribute(model, images, torch.tensor([1]), "Occlusion")
    expected, times = torch.zeros(4, 4), torch.zeros(4, 4)
    for top in range(3):
        for left in range(3):
            place = slice(top, top + 2), slice(left, left + 2)
            expected[place] += weight[0][place].sum()
            times[place] += 1
    assert torch.allclose(maps[0], expected / times, atol=1e-4)


def test_grad_cam_is_the_channels_weighted_by_their_mean_gradient():
    """By hand, on a layer of 4 by 4: the maps of six channels, weighted, without what is below zero."""
    model, images = TinyNet().eval(), torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    layer = late_layer(model, images)
    assert layer is model.body[0]
    made = layer(images).detach().requires_grad_()
    logit = model.head(model.body[1:](made))[0, 3]
    slope = torch.autograd.grad(logit, made)[0].mean((2, 3), keepdim=True)
    expected = torch.nn.functional.interpolate((slope * made).sum(1, keepdim=True).relu(), (8, 8), mode="bilinear")
    maps = attribute(model, images, torch.tensor([3]), "Grad-CAM")
    assert torch.allclose(maps, expected[:, 0].detach(), atol=1e-5)


def test_without_a_convolution_grad_cam_is_a_sentence(hyperplane):
    with pytest.raises(ValueError, match="needs a convolution"):
        attribute(hyperplane[0], torch.rand(1, 1, 3, 3), torch.tensor([1]), "Grad-CAM")


def test_guided_backpropagation_of_a_linear_model_is_its_weights(hyperplane):
    model, weight = hyperplane
    maps = attribute(model, torch.rand(1, 1, 3, 3), torch.tensor([1]), "Guided backpropagation")
    assert torch.allclose(maps[0], weight[0], atol=1e-6)
    assert METHODS["Guided backpropagation"].caution


@pytest.mark.parametrize("method", METHODS)
def test_a_method_costs_what_it_says_and_can_be_stopped(method):
    model, images = TinyNet().eval(), torch.rand(2, 1, 8, 8)
    seen = []
    attribute(model, images, torch.tensor([0, 1]), method, seen.append)
    assert sum(seen) == pytest.approx(2 * METHODS[method].passes((1, 8, 8)), abs=2)

    class Enough(Exception):
        pass

    def stop(_):
        raise Enough

    with pytest.raises(Enough):
        attribute(model, images, torch.tensor([0, 1]), method, stop)
    assert not model._forward_pre_hooks
    before = model(images)
    assert torch.equal(attribute(model, images, torch.tensor([0, 1]), method).isfinite(), torch.ones(2, 8, 8) > 0)
    assert torch.equal(model(images), before)


def test_the_map_of_a_linear_model_can_be_trusted(hyperplane):
    """Its gradient never moves, and tells exactly what noise does."""
    model, _ = hyperplane
    found = trust(model, torch.rand(1, 3, 3), 1, "Gradient")
    assert found.sensitivity == pytest.approx(0, abs=1e-6)
    assert found.infidelity == pytest.approx(0, abs=1e-5)


def test_trust_is_the_same_twice_and_has_no_infidelity_for_coarse_maps():
    model, image = TinyNet().eval(), torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(4))
    state = torch.get_rng_state()
    first = trust(model, image, 2, "Input × gradient")  # moves with the pixels, where no ReLU turns
    torch.rand(5)
    assert trust(model, image, 2, "Input × gradient") == first
    assert first.sensitivity > 0
    assert first.infidelity > 0
    coarse = trust(model, image, 2, "Grad-CAM")
    assert coarse.infidelity is None
    torch.set_rng_state(state)
