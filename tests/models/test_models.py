"""Models: the contract of every entry of MODELS."""

import pytest
import torch
from torch import nn

from lsp_core.models import MODELS, build_model
from lsp_core.models.normalize import Normalize

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 17, 23)]


def build(name, shape=(1, 8, 8), classes=7, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_model(name, shape, classes, [0.4] * shape[0], [0.2] * shape[0]).eval()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_images_become_an_embedding_and_then_logits(name, shape):
    model, images = build(name, shape), torch.rand(3, *shape)
    with torch.no_grad():
        features = model.features(images)
        assert features.shape == (3, model.head.in_features)
        assert model(images).shape == (3, 7)
        assert model(images).equal(model.head(features))
        assert model(images).isfinite().all()


@pytest.mark.parametrize("name", MODELS)
def test_weights_follow_the_seed(name):
    same, other = build(name).state_dict(), build(name, seed=1).state_dict()
    weights = build(name).state_dict()
    assert all(value.equal(same[key]) for key, value in weights.items())
    assert not weights["head.weight"].equal(other["head.weight"])


@pytest.mark.parametrize("name", MODELS)
def test_an_image_does_not_depend_on_its_batch_in_evaluation_mode(name):
    model, images = build(name), torch.rand(4, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(model(images[:1]), model(images)[:1])


@pytest.mark.parametrize("name", MODELS)
def test_normalisation_is_a_buffer_and_comes_first(name):
    model, images = build(name), torch.rand(2, 1, 8, 8)
    assert model.state_dict()["normalize.mean"].flatten().tolist() == pytest.approx([0.4])
    with torch.no_grad():
        before = model(images)
        model.normalize.mean.zero_()
        model.normalize.std.fill_(1.0)
        torch.testing.assert_close(model((images - 0.4) / 0.2), before)


@pytest.mark.parametrize("name", MODELS)
def test_the_signal_keeps_its_size_through_the_layers(name):
    # He initialisation: without it the logits of a fresh model are orders of magnitude apart from unit size.
    model = build(name, (3, 32, 32)).train()
    spread = model(torch.rand(16, 3, 32, 32)).std().item()
    assert 0.1 < spread < 10
    biases = [module.bias for module in model.modules() if isinstance(module, nn.Linear)]
    assert all((bias == 0).all() for bias in biases)


def test_normalize_by_hand():
    layer = Normalize([0.5, 0.0], [0.25, 2.0])
    assert layer(torch.ones(1, 2, 1, 1)).flatten().tolist() == [2.0, 0.5]
    assert list(layer.parameters()) == []


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ValueError, match=f"unknown model 'vgg': choose one of {', '.join(MODELS)}"):
        build_model("vgg", (1, 8, 8), 10, [0.0], [1.0])
