"""``import``: a model from a file is then a checkpoint like any other."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("onnx2pytorch", reason="onnx2pytorch is not installed: no graph can be read.")
sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "outside"))
from exported import by_hand, exported, small, tensor

import lsp_core
from lsp_core.store.weights import weights_sha256


@pytest.fixture(scope="module")
def content(trained_path, tmp_path_factory):
    """A shipped-like checkpoint of digits as an ONNX file."""
    model, card = lsp_core.load_checkpoint(trained_path)
    return exported(model, card.image_shape, tmp_path_factory.mktemp("exported"))[0]


@pytest.fixture
def digits(content, tmp_path):
    path = tmp_path / "my model.onnx"
    path.write_bytes(content)
    return path


def figures(run, path):
    status, _, err = run("evaluate", path, "--attacks", "fgsm,pgd", "--eps", "0.05,0.1", "--n", 200, "--json", "e.json")
    assert status == 0, err
    found = json.loads(Path("e.json").read_text())["evaluations"]
    Path("e.json").unlink()
    return [(one["label"], one["eps"], one["clean_correct"], one["robust_correct"]) for one in found]


def test_an_imported_model_has_the_figures_of_the_one_that_was_exported(run, digits, trained_path):
    status, out, err = run("import", digits, "--data", "digits", "--json", "import.json")
    assert status == 0, err
    path = Path("imported/my-model.safetensors")
    assert f"checkpoint: {path}" in out
    assert [line.split()[1] for line in out.splitlines() if "chosen" in line] == ["unit"]
    assert out.count("pass") == 5
    assert "fail" not in out
    assert "chance" not in out
    assert figures(run, path) == figures(run, trained_path)
    record = json.loads(Path("import.json").read_text())
    assert record["weights"] == weights_sha256(path)
    assert record["origin"]["preparation"] == "unit"
    assert {one["n"] for one in record["origin"]["tried"]} == {200}
    assert record["command"].startswith("python -m lsp_core import")


def test_info_and_attack_take_it_as_any_other(run, digits):
    assert run("import", digits, "--data", "digits", "--name", "mine", "--out", "there", "--n", 20)[0] == 0
    status, out, _ = run("info", "there/mine.safetensors")
    assert status == 0
    assert "pytorch" in out
    assert "digits, onnx, imported" in run("info", "there")[1]
    status, out, err = run("attack", "there/mine.safetensors", "--eps", "0.3", "--n", 3)
    assert status == 0, err
    assert "are not any more" in out


def test_weights_in_the_file_beside_it_are_read(run, tmp_path, trained_path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: nothing can be exported.")
    model, card = lsp_core.load_checkpoint(trained_path)
    exported(model, card.image_shape, tmp_path, "today's default")
    assert Path("model.onnx.data").exists()
    assert run("import", "model.onnx", "--data", "digits", "--n", 20)[0] == 0


def test_a_folder_of_larger_images_is_read_in_the_size_that_the_file_says(run, tmp_path):
    for split in ("train", "test"):
        for label, title in enumerate("abc"):
            (tmp_path / "photos" / split / title).mkdir(parents=True)
            for number in range(2):
                place = tmp_path / "photos" / split / title / f"{number}.png"
                Image.fromarray(np.full((30, 40), 80 * label, np.uint8)).save(place)
    (tmp_path / "small.onnx").write_bytes(small(shape=(None, 1, 2, 2)))
    (tmp_path / "names.txt").write_text("c\nb\na\n")
    status, _, err = run("import", "small.onnx", "--data", "photos", "--classes", "names.txt")
    assert status == 0, err
    card = lsp_core.load_checkpoint("imported/small.safetensors")[1]
    assert (card.image_shape, card.classes) == ((1, 2, 2), ("c", "b", "a"))
    status, _, err = run("evaluate", "imported/small.safetensors", "--attacks", "fgsm")
    assert status == 0, err


def test_a_model_without_a_gradient_is_attacked_without_one(run, refused, tmp_path):
    rounding = [("Round", ["in"], ["whole"], {}), ("Flatten", ["whole"], ["flat"], {})]
    weight = torch.randn(10, 64, generator=torch.Generator().manual_seed(0)).numpy()
    nodes = [*rounding, ("Gemm", ["flat", "w"], ["out"], {"transB": 1})]
    (tmp_path / "flat.onnx").write_bytes(by_hand(nodes, [tensor("w", weight)], (None, 1, 8, 8)))
    status, out, _ = run("import", "flat.onnx", "--data", "digits", "--n", 50, "--preprocessing", "unit")
    assert status == 0
    assert "zero at 8 of 8 images" in out
    assert "unit does not do better than chance: are these its images" in out
    wanted = "flat has no gradient for pgd to follow: choose of noise, transfer, square."
    assert wanted in refused("evaluate", "imported/flat.safetensors", "--attacks", "square+pgd")
    assert wanted in refused("attack", "imported/flat.safetensors")
    assert run("evaluate", "imported/flat.safetensors", "--attacks", "noise", "--n", 20)[0] == 0


def test_what_cannot_be_imported_is_refused_in_a_sentence_and_leaves_nothing(run, refused, digits, tmp_path):
    (tmp_path / "model.pt").write_bytes(b"\x80\x02}q\x00.")
    assert "model.pt cannot be imported: it is a pickle" in refused("import", "model.pt", "--data", "digits")
    assert "none.onnx cannot be used: No such file" in refused("import", "none.onnx", "--data", "digits")
    assert "unknown data set 'nothing'" in refused("import", digits, "--data", "nothing")
    assert "takes images of 1 x 8 x 8, but" in refused("import", digits, "--data", photos(tmp_path))
    assert "unknown preparation 'raw': choose one of unit" in refused(
        "import", digits, "--data", "digits", "--preprocessing", "raw"
    )
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    assert "tells 10 classes apart, but the names of 2 are given" in refused(
        "import", digits, "--data", "digits", "--classes", "names.txt"
    )
    assert "name is '../mine', but" in refused("import", digits, "--data", "digits", "--name", "../mine")
    assert not Path("imported").exists()
    assert run("import", digits, "--data", "digits", "--n", 20)[0] == 0
    assert "is there already: give another name" in refused("import", digits, "--data", "digits")


def photos(folder):
    for title in "ab":
        (folder / "p" / "test" / title).mkdir(parents=True)
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / "p" / "test" / title / "0.png")
    return folder / "p"
