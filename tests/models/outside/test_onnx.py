"""ONNX: what comes back is the model that was exported, whatever the form."""

import numpy as np
import pytest
import torch

pytest.importorskip("onnx2pytorch", reason="onnx2pytorch is not installed: no graph can be read.")
from conftest import TinyNet
from exported import FLAT, FORMS, WEIGHT, brought, by_hand, exported, small, tensor
from onnx import TensorProto, helper
from torch import nn

import lsp_core
from lsp_core.attacks import PGD
from lsp_core.data import ImageDataset
from lsp_core.models import build_model
from lsp_core.models.outside import network
from lsp_core.models.outside.formats import OutsideError
from lsp_core.store.origin import Finding
from lsp_core.store.weights import weights_sha256

PIXELS = torch.tensor([[0.0, 1.0, 0.25, 0.5], [0.75, 0.5, 1.0, 0.0], [0.1, 0.2, 0.9, 0.3]]).view(3, 1, 2, 2)
TINY = ImageDataset("tiny", "test", (PIXELS * 255).byte(), torch.tensor([0, 1, 2]), ("a", "b", "c"))
WANTED = PIXELS.flatten(1) @ torch.tensor(WEIGHT).T + torch.tensor([0.0, 0.5, 0.0])


@pytest.fixture(scope="module")
def originals():
    """Our own two networks, with batch norms that have seen something, and images for them."""
    found = {}
    for name, shape in (("cnn", (1, 8, 8)), ("preactresnet-small", (3, 16, 16))):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build_model(name, shape, 5, [0.4] * shape[0], [0.3] * shape[0])
            images = (torch.rand(12, *shape) * 255).round() / 255
            for _ in range(3):
                model(images)
        model.eval().requires_grad_(False)
        labels = model(images).argmax(1)
        data = ImageDataset(name, "test", (images * 255).round().byte(), labels, tuple("abcde"))
        found[name] = model, data, data.float()
    return found


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *(("cnn", form) for form in FORMS),
        *(("preactresnet-small", form) for form in ("today's default", "opset 13, old", "opset 17, old, any batch")),
    ],
)
def test_an_exported_model_comes_back_with_its_logits_gradient_and_weaknesses(originals, name, form, tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: nothing can be exported.")
    model, data, images = originals[name]
    content, companion = exported(model, images.shape[1:], tmp_path, form)
    found, card = brought(content, data, companion, wanted=None)
    torch.testing.assert_close(found(images), model(images), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.features(images), model.features(images), atol=1e-5, rtol=1e-4)
    slopes = []
    for one in (model, found):
        asked = images.clone().requires_grad_()
        slopes.append(torch.autograd.grad(one(asked)[:, 0].sum(), asked)[0])
    assert (slopes[1] - slopes[0]).norm() <= 1e-4 * slopes[0].norm()
    labels, attack = model(images).argmax(1), PGD(eps=0.004, steps=5)
    fooled = [one(attack(one, images, labels)).argmax(1) != labels for one in (model, found)]
    assert fooled[1].equal(fooled[0])
    assert 0 < fooled[0].sum() < len(images)
    assert card.origin.preparation == "unit"
    assert [check.name for check in card.origin.checks if not check.passed] == []


def test_a_graph_by_hand_gives_its_logits_and_its_embedding():
    model, card = brought(small(), TINY)
    torch.testing.assert_close(model(PIXELS), WANTED)
    assert model.features(PIXELS).equal(PIXELS.flatten(1))
    assert model.head.weight.tolist() == WEIGHT
    assert (card.model, card.objective, card.classes) == ("onnx", "imported", ("a", "b", "c"))
    assert card.origin.batch == "whole"


@pytest.mark.parametrize("last", ["Softmax", "LogSoftmax"])
def test_a_last_softmax_is_cut_off(last):
    model, card = brought(small((last, ["logits"], ["out"], {"axis": -1}), output="out"), TINY)
    torch.testing.assert_close(model(PIXELS), WANTED)
    assert card.origin.softmax
    assert model.features(PIXELS).equal(PIXELS.flatten(1))


def test_probabilities_that_cannot_be_cut_are_noticed():
    doubled = ("Softmax", ["logits"], ["p"], {"axis": -1}), ("Mul", ["p", "one"], ["out"], {})
    _, card = brought(small(*doubled, output="out", weights=[tensor("one", 1.0)]), TINY)
    assert {check.name: check.passed for check in card.origin.checks}["logits, not probabilities"] is False


@pytest.mark.parametrize(
    ("nodes", "weights"),
    [
        ([("MatMul", ["flat", "w"], ["out"], {})], [tensor("w", np.transpose(WEIGHT))]),
        (
            [("MatMul", ["flat", "w"], ["y"], {}), ("Add", ["c", "y"], ["out"], {})],
            [tensor("w", np.transpose(WEIGHT)), tensor("c", [0.0, 0.5, 0.0])],
        ),
        (
            [("Gemm", ["flat", "w", "c"], ["out"], {"alpha": 2.0, "beta": 0.5})],
            [tensor("w", np.transpose(WEIGHT) / 2), tensor("c", [[0.0, 1.0, 0.0]])],
        ),
    ],
)
def test_each_way_to_write_a_linear_layer_is_one(nodes, weights):
    model, card = brought(by_hand([FLAT, *nodes], weights), TINY)
    bias = torch.zeros(3) if len(nodes) == 1 and nodes[0][0] == "MatMul" else torch.tensor([0.0, 0.5, 0.0])
    torch.testing.assert_close(model(PIXELS), PIXELS.flatten(1) @ torch.tensor(WEIGHT).T + bias)
    assert card.origin.embedding == "head"


def test_a_matrix_on_the_left_of_a_product_stays_there():
    """onnx2pytorch takes any constant for the one on the right."""
    turn, nodes = [[0.0, 1.0], [1.0, 0.0]], [("MatMul", ["turn", "in"], ["turned"], {})]
    nodes += [("Flatten", ["turned"], ["flat"], {}), ("Gemm", ["flat", "w"], ["out"], {"transB": 1})]
    model, _ = brought(by_hand(nodes, [tensor("turn", turn), tensor("w", WEIGHT)]), TINY)
    torch.testing.assert_close(model(PIXELS), PIXELS.flip(2).flatten(1) @ torch.tensor(WEIGHT).T)


def test_without_a_last_linear_layer_the_logits_are_the_embedding():
    weights = [tensor("k", np.arange(12.0).reshape(3, 1, 2, 2))]
    nodes = [("Conv", ["in", "k"], ["y"], {"kernel_shape": [2, 2]}), ("Flatten", ["y"], ["out"], {})]
    model, card = brought(by_hand(nodes, weights), TINY)
    assert card.origin.embedding == ""
    assert model.features(PIXELS).equal(model(PIXELS))
    assert model.head(model(PIXELS)).equal(model(PIXELS))


def test_a_batch_of_one_that_is_baked_in_is_worked_around():
    baked = [("Reshape", ["in", "s"], ["flat"], {}), ("Gemm", ["flat", "w"], ["out"], {"transB": 1})]
    weights = [tensor("s", [1, 4], np.int64), tensor("w", WEIGHT)]
    model, card = brought(by_hand(baked, weights, shape=(1, 1, 2, 2)), TINY)
    assert card.origin.batch == "mapped"
    torch.testing.assert_close(model(PIXELS), PIXELS.flatten(1) @ torch.tensor(WEIGHT).T)


def test_a_graph_without_a_gradient_is_said_to_have_none():
    steps = [("Round", ["in"], ["whole"], {}), ("Flatten", ["whole"], ["flat"], {})]
    _, card = brought(by_hand([*steps, ("Gemm", ["flat", "w"], ["out"], {"transB": 1})], [tensor("w", WEIGHT)]), TINY)
    assert card.origin.gradient is False
    assert card.origin.checks[2].evidence == "zero at 3 of 3 images"


def test_an_old_export_of_batch_norms_says_evaluation_mode_and_one_in_training_is_refused():
    one = [tensor(name, [1.0]) for name in ("s", "v")] + [tensor(name, [0.0]) for name in ("z", "m")]
    for training, message in ((0, None), (1, "exported in training mode")):
        norm = ("BatchNormalization", ["in", "s", "z", "m", "v"], ["y"], {"training_mode": training, "epsilon": 0.0})
        nodes = [norm, ("Flatten", ["y"], ["flat"], {}), ("Gemm", ["flat", "w"], ["out"], {"transB": 1})]
        content = by_hand(nodes, [*one, tensor("w", WEIGHT)], opset=15)
        if message:
            with pytest.raises(OutsideError, match=message):
                brought(content, TINY)
        else:
            torch.testing.assert_close(brought(content, TINY)[0](PIXELS), PIXELS.flatten(1) @ torch.tensor(WEIGHT).T)


def test_names_that_would_become_one_stay_apart():
    """onnx2pytorch turns points into underlines."""
    more = ("Mul", ["logits", "a.b"], ["y"], {}), ("Add", ["y", "a_b"], ["out"], {})
    model, _ = brought(small(*more, output="out", weights=[tensor("a.b", 2.0), tensor("a_b", 1.0)]), TINY)
    torch.testing.assert_close(model(PIXELS), 2 * WANTED + 1)


def test_the_layout_that_the_file_states_is_used():
    nodes = [("Transpose", ["in"], ["y"], {"perm": [0, 3, 1, 2]}), ("Flatten", ["y"], ["flat"], {})]
    content = by_hand([*nodes, ("Gemm", ["flat", "w"], ["out"], {"transB": 1})], [tensor("w", WEIGHT)], (1, 2, 2, 1))
    model, card = brought(content, TINY, wanted="unit-nhwc")
    assert (card.origin.layout, card.origin.preparation) == ("NHWC", "unit-nhwc")
    torch.testing.assert_close(model(PIXELS), PIXELS.flatten(1) @ torch.tensor(WEIGHT).T)


def test_a_checkpoint_of_it_is_one_file_that_comes_back_the_same(tmp_path):
    tiny = TinyNet(classes=3).eval()
    data = ImageDataset("tiny", "test", torch.randint(0, 256, (9, 1, 8, 8)).byte(), torch.arange(9) % 3, tuple("abc"))
    model, card = brought(exported(nn.Sequential(tiny.body, tiny.head), (1, 8, 8), tmp_path)[0], data)
    path = tmp_path / "mine.safetensors"
    lsp_core.save_checkpoint(path, model, card)
    again, read = lsp_core.load_checkpoint(path)
    assert read == card
    assert again(data.float()).equal(model(data.float()))
    assert again.features(data.float()).equal(model.features(data.float()))
    assert not any(parameter.requires_grad for parameter in again.parameters())
    assert weights_sha256(again) == weights_sha256(path)


def test_weights_that_layers_share_behind_another_name_are_theirs():
    """Exporters share equal weights so, and onnx2pytorch would then give a layer the next best."""
    numbers = {"s": [2.0], "z": [1.0], "m": [0.0], "v": [4.0]}
    nodes = [
        ("Identity", ["z0"], ["z"], {}),
        ("BatchNormalization", ["in", "s", "z", "m", "v"], ["y"], {"epsilon": 0.0}),
    ]
    nodes += [("Flatten", ["y"], ["flat"], {}), ("Gemm", ["flat", "w"], ["out"], {"transB": 1})]
    weights = [tensor("z0" if name == "z" else name, value) for name, value in numbers.items()]
    model, card = brought(by_hand(nodes, [*weights, tensor("w", WEIGHT)]), TINY)
    torch.testing.assert_close(model(PIXELS), (PIXELS + 1).flatten(1) @ torch.tensor(WEIGHT).T)
    assert card.origin.checks[-1].name == "as ONNX defines it"
    assert card.origin.checks[-1].passed


def test_what_is_understood_otherwise_than_onnx_defines_it_is_noticed(monkeypatch):
    monkeypatch.setattr(network, "_converted", lambda model: Doubled(model))
    _, card = brought(small(), TINY)
    assert card.origin.checks[-1] == Finding("as ONNX defines it", False, "largest difference 1 of the largest logit")


class Doubled(nn.Module):
    """Takes a graph for twice what it is."""

    def __init__(self, model):
        super().__init__()
        self.onnx_model = model

    def forward(self, images):
        return 2 * images.flatten(1)


def test_nothing_is_drawn_from_the_global_generator():
    before = torch.get_rng_state()
    brought(small(), TINY)
    assert torch.get_rng_state().equal(before)


def test_constants_of_each_kind_are_weights():
    value = helper.make_tensor("", TensorProto.FLOAT, [3], [0.0, 0.0, 1.0])
    more = [("Constant", [], ["c"], {"value": value}), ("Constant", [], ["d"], {"value_float": 2.0})]
    more += [("Add", ["logits", "c"], ["y"], {}), ("Mul", ["y", "d"], ["out"], {})]
    model, _ = brought(small(*more, output="out"), TINY)
    torch.testing.assert_close(model(PIXELS), 2 * (WANTED + torch.tensor([0.0, 0.0, 1.0])))
