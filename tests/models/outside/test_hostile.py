"""Files that mean harm, or are no models: one sentence each, little memory, and nothing read but what was given."""

import dataclasses
import io
import json
import pickle
import random
import resource
import sys
import zipfile

import pytest
import torch

pytest.importorskip("onnx2pytorch", reason="onnx2pytorch is not installed: no graph can be read.")
import onnx
from conftest import TinyNet
from exported import FLAT, WEIGHT, brought, by_hand, exported, small, tensor
from onnx import TensorProto, helper
from safetensors.torch import load_file, save_file

import lsp_core
from lsp_core.data import ImageDataset
from lsp_core.models.outside.foreign import read_foreign
from lsp_core.models.outside.formats import OutsideError
from lsp_core.models.outside.wire import pruned
from lsp_core.store.checkpoint import CheckpointError

TINY = ImageDataset("tiny", "test", torch.zeros(2, 1, 2, 2).byte(), torch.tensor([0, 1]), ("a", "b", "c"))
GEMM = ("Gemm", ["flat", "w"], ["out"], {"transB": 1})
TILED = ("Tile", ["in", "s"], ["out"], {})
W = tensor("w", WEIGHT)


def peak():
    """Return the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def refused(content, data=TINY, companion=None, **settings):
    before = peak()
    with pytest.raises(OutsideError) as caught:
        brought(content, data, companion, **settings)
    assert peak() - before < 1024
    message = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in message
    assert message.endswith(".")
    assert len(message) < 400
    return message


def external(**said):
    """Return a small model whose matrix lies elsewhere."""
    model = onnx.load_model_from_string(small())
    matrix = model.graph.initializer[0]
    matrix.ClearField("raw_data")
    matrix.data_location = TensorProto.EXTERNAL
    for key, value in said.items():
        matrix.external_data.add(key=key, value=str(value))
    return model.SerializeToString()


def archive(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, b"x")
    return file.getvalue()


class Harm:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"hello, world", "no ONNX file"),
        (b"\xff" * 100, "no ONNX file"),
        (archive("a/data.pkl", "a/data/0"), "is a pickle of PyTorch, whose loading can run code: export it where"),
        (archive("a/data.pkl", "a/constants.pkl", "a/code/x.py"), "is TorchScript, which is code"),
        (archive("m/archive_format", "m/data/constants/data.pkl"), "is a torch.export program"),
        (archive("serialized_exported_program.json"), "is a torch.export program"),
        (archive("config.json", "model.weights.h5"), "is a Keras model: export it where it was made: model.export"),
        (archive("readme.txt"), "is a zip archive, and no ONNX"),
        (pickle.dumps(Harm()), "is a pickle, whose loading can run code: .*torch.onnx.export"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
    ],
)
def test_what_is_no_model_is_told_what_it_is(content, message):
    with pytest.raises(OutsideError, match=message):
        read_foreign(content, "model.onnx")


@pytest.mark.parametrize("saved", [torch.save, lambda model, file: torch.jit.save(torch.jit.script(model), file)])
def test_what_torch_saves_is_refused(saved):
    file = io.BytesIO()
    saved(torch.nn.Linear(2, 2), file)
    with pytest.raises(OutsideError, match=r"torch\.onnx\.export"):
        read_foreign(file.getvalue(), "model.pt")


def test_an_exported_program_is_refused():
    file = io.BytesIO()
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), file)
    with pytest.raises(OutsideError, match=r"is a torch.export program \(.pt2\)"):
        read_foreign(file.getvalue(), "model.pt2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (by_hand([FLAT, ("Gemm", ["flat", "w"], ["out"], {"domain": "ai.me"})], [W]), "domain 'ai.me', but only"),
        (by_hand([FLAT, ("Load", ["flat"], ["out"], {})]), "the operator 'Load', which is none of those"),
        (by_hand([FLAT, ("RandomNormalLike", ["flat"], ["out"], {})]), "the operator 'RandomNormalLike'"),
        (by_hand([FLAT, ("Relu", ["out"], ["y"], {}), ("Relu", ["y"], ["out"], {})]), "goes in a circle"),
        (by_hand([("Flatten", ["nowhere"], ["out"], {})]), "uses what nothing makes"),
        (by_hand([FLAT, GEMM], [W, W]), "have the same name"),
        (by_hand([FLAT, GEMM], [W], output="other"), "output is nothing that its graph makes"),
        (by_hand([FLAT, ("Gemm", ["flat", "flat"], ["out"], {})]), "Gemm has weights that the graph computes"),
        (by_hand([FLAT, GEMM], [W], opset=99), "opset 99"),
        (by_hand([FLAT, GEMM], [W], opset=6), "opset 6"),
        (by_hand([FLAT, GEMM], [W], shape=(4, 1, 2, 2)), "4 images at once"),
        (by_hand([FLAT, GEMM], [W], shape=(1, 4)), "no batch of images"),
        (by_hand([FLAT, GEMM], [W], shape=(1, 3, 2, 2)), "takes images of 3 x 2 x 2, but those of tiny are of"),
        (by_hand([FLAT, GEMM], [W], input=[helper.make_tensor_value_info("x", 1, [1])]), "2 inputs and 1 outputs"),
        (by_hand([FLAT, GEMM], [tensor("w", WEIGHT, "float16")]), "of kind FLOAT16, but only FLOAT"),
        (by_hand([FLAT, GEMM], [tensor("w", [[1.0] * 5] * 3)]), "cannot be run"),
        (
            by_hand([FLAT, ("Gemm", ["flat", "w"], ["out"], {})], [tensor("w", [[1.0] * 5] * 4)]),
            "tells 5 classes apart",
        ),
    ],
)
def test_a_graph_that_is_no_plain_classifier_is_refused(content, message):
    assert message in refused(content)


def test_a_graph_in_a_graph_is_refused():
    inner = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "inner", [], [])
    for kind in ("If", "Loop", "Relu"):
        assert "has a graph of its own" in refused(by_hand([FLAT, (kind, ["flat"], ["out"], {"body": inner})]))


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "a/b", "..", "C:\\x", ""])
def test_weights_that_lie_outside_are_not_read(place, tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(bytes(48))
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    assert "but only a file right beside it" in refused(external(location=place), companion=bytes(48))


def test_weights_in_the_companion_are_read_from_what_was_given_and_nowhere_else(tmp_path, monkeypatch):
    (tmp_path / "model.onnx.data").write_bytes(bytes(48))
    monkeypatch.chdir(tmp_path)
    content = external(location="model.onnx.data", offset=0, length=48)
    assert "lie in another file, 'model.onnx.data': put that beside it" in refused(content)
    model, _ = brought(content, TINY, torch.tensor(WEIGHT).numpy().tobytes())
    assert model.head.weight.tolist() == WEIGHT


@pytest.mark.parametrize("said", [{"offset": 1}, {"offset": -4}, {"offset": 10**30}, {"length": 4}, {"offset": "x"}])
def test_a_place_that_is_not_in_the_companion_is_refused(said):
    assert "of its other file" in refused(external(location="x.data", **said), companion=bytes(48))


def test_shapes_that_declare_more_than_there_is_are_refused_before_anything_is_made():
    huge = tensor("w", WEIGHT)
    huge.dims[:] = [10**9, 10**9]
    assert "declare 4,000,000,000,000,000," in refused(by_hand([FLAT, GEMM], [huge]))
    huge.dims[:] = [3, 5]
    assert "declares 60 bytes, but holds 48" in refused(by_hand([FLAT, GEMM], [huge]))
    huge.dims[:] = [-3, -4]
    assert "has the shape (-3, -4)" in refused(by_hand([FLAT, GEMM], [huge]))


@pytest.mark.parametrize(
    "nodes",
    [
        [("ConstantOfShape", ["s"], ["y"], {}), ("Exp", ["y"], ["out"], {})],
        [("Expand", ["in", "s"], ["y"], {}), ("Exp", ["y"], ["out"], {})],
        [TILED],
        [("Range", ["zero", "many", "one"], ["out"], {})],
        [("Pad", ["in", "p"], ["out"], {})],
        [("Conv", ["in", "k"], ["out"], {"kernel_shape": [100_000, 100_000]})],
        [("Resize", ["in", "", "", "s"], ["out"], {})],
        [("Reshape", ["in", "t"], ["y"], {}), ("Tile", ["y", "m"], ["z"], {}), ("Mul", ["z", "u"], ["out"], {})],
    ],
)
def test_a_small_graph_that_would_fill_the_memory_is_stopped_before_it_does(nodes):
    weights = [
        tensor("s", [1, 1, 10**5, 10**5], "int64"),
        tensor("p", [0, 0, 0, 0, 0, 0, 10**5, 10**5], "int64"),
        tensor("k", [[[[1.0]]]]),
        tensor("t", [4, 1], "int64"),
        tensor("m", [10**5, 1], "int64"),
        tensor("u", [[1.0] * 20_000]),
        *(tensor(name, value, "int64") for name, value in (("zero", 0), ("many", 10**12), ("one", 1))),
    ]
    assert "of memory" in refused(by_hand(nodes, weights))


def test_a_file_of_millions_of_empty_parts_is_stopped_before_it_is_parsed():
    many = b"\x0a\x00" * 2_000_000  # empty nodes, two bytes each
    graph = b"\x3a" + bytes([0x80 | len(many) & 127, 0x80 | len(many) >> 7 & 127, 0x80 | len(many) >> 14 & 127])
    assert "more than 20,000 nodes" in refused(graph + bytes([len(many) >> 21]) + many)
    assert "parts" in refused(b"\x32\x00" * 1_500_000)  # documentation, which is left out


def test_what_is_left_out_before_parsing_changes_nothing(tmp_path):
    content, _ = exported(TinyNet().eval(), (1, 8, 8), tmp_path)
    whole, kept = onnx.load_model_from_string(content), onnx.load_model_from_string(pruned(content))
    assert [node.op_type for node in kept.graph.node] == [node.op_type for node in whole.graph.node]
    assert list(kept.graph.initializer) == list(whole.graph.initializer)
    assert kept.graph.input == whole.graph.input


def test_three_hundred_damaged_files_are_read_or_refused_in_a_sentence(tmp_path):
    content, _ = exported(TinyNet().eval(), (1, 8, 8), tmp_path)
    data = ImageDataset("x", "test", torch.zeros(2, 1, 8, 8).byte(), torch.tensor([0, 1]), tuple("abcde"))
    draw, before, said = random.Random(0), peak(), []
    form = [at for at, byte in enumerate(content) if 32 <= byte < 127 or byte < 16]  # few of the weights' bytes are so
    for _ in range(300):
        damaged = bytearray(content)
        for place in draw.sample(form, draw.choice((1, 2, 8))):
            damaged[place] = draw.randrange(256)
        if draw.random() < 0.2:
            del damaged[draw.randrange(len(damaged)) :]
        try:
            brought(bytes(damaged), data)
        except OutsideError as error:
            said.append(str(error))
    assert peak() - before < 1024
    assert len(said) > 100
    assert [sentence for sentence in said if "\n" in sentence or not sentence.endswith(".")] == []


def test_a_checkpoint_cannot_bring_in_what_an_import_would_not(tmp_path):
    model, card = brought(small(), TINY)
    path = tmp_path / "mine.safetensors"
    lsp_core.save_checkpoint(path, model, card)
    weights, large = load_file(path), tensor("s", [1, 1, 10**5, 10**5], "int64")
    for graph, message in {b"nothing": "no ONNX file", by_hand([TILED], [large]): "of memory"}.items():
        weights["module.1.graph"] = torch.frombuffer(bytearray(graph), dtype=torch.uint8)
        save_file(weights, path, {"card": json.dumps(card.to_record())})
        with pytest.raises(CheckpointError, match=message):
            lsp_core.load_checkpoint(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding": "0"}, "embedding is '1.0', which is no linear layer"),
        ({"embedding": "head.__class__"}, "which is no linear layer"),
        ({"batch": "all"}, "its card is no lsp-lab/checkpoint/2: origin.batch"),
        ({"layout": "NHWC", "more": 1}, "origin.more"),
        ({"file": None}, "origin.file"),
    ],
)
def test_an_origin_that_is_wrong_is_refused(changes, message, tmp_path):
    model, card = brought(small(), TINY)
    lsp_core.save_checkpoint(tmp_path / "a.safetensors", model, card)
    record = card.to_record()
    record["origin"] = {**record["origin"], **changes}
    save_file(load_file(tmp_path / "a.safetensors"), tmp_path / "a.safetensors", {"card": json.dumps(record)})
    with pytest.raises(CheckpointError, match=message):
        lsp_core.load_checkpoint(tmp_path / "a.safetensors")


def test_a_card_that_names_an_architecture_of_other_weights_allocates_nothing(tmp_path):
    model, card = brought(small(), TINY)
    for name, message in {
        "torchvision/regnet_y_128gf": "would need more than 64 MiB",
        "onnxx": "unknown architecture",
    }.items():
        lsp_core.save_checkpoint(tmp_path / "a.safetensors", model, dataclasses.replace(card, model=name))
        before = peak()
        with pytest.raises(CheckpointError, match=message):
            lsp_core.load_checkpoint(tmp_path / "a.safetensors")
        assert peak() - before < 1024


def test_without_the_library_there_is_one_sentence(monkeypatch, tmp_path):
    model, card = brought(small(), TINY)
    lsp_core.save_checkpoint(tmp_path / "mine.safetensors", model, card)
    content = small()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OutsideError, match="ONNX needs two packages that are not installed: pip install onnx onnx2py"):
        read_foreign(content, "model.onnx")
    with pytest.raises(CheckpointError, match="pip install onnx onnx2pytorch"):
        lsp_core.load_checkpoint(tmp_path / "mine.safetensors")
