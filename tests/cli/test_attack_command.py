"""``attack``: what it says of each image is what the model says of the files that it writes."""

import dataclasses
import json
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file
from torch import float32

import lsp_core
from lsp_core.store.weights import weights_sha256

NAME = "digits-cnn-standard"
CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / f"{NAME}.safetensors"
WIDE = CHECKPOINT.with_stem("mnist-cnn-standard")


def test_its_words_are_those_of_the_model_on_the_images_that_it_writes(run):
    status, out, err = run("attack", CHECKPOINT, "--n", 6, "--seed", 3, "--out", "found", "--json", "found/a.json")
    assert status == 0, err
    record = json.loads(Path("found/a.json").read_text())
    model, card = lsp_core.load_checkpoint(CHECKPOINT)
    files = load_file(f"found/{NAME}.attack.safetensors")
    assert {files[side].dtype for side in ("clean", "adversarial")} == {float32}
    assert (files["adversarial"] - files["clean"]).abs().amax() <= 32 / 255 + 1e-6
    assert 0 <= files["adversarial"].amin() <= files["adversarial"].amax() <= 1
    fooled = 0
    for place, row in enumerate(record["images"]):
        assert row["class"] == card.classes[files["labels"][place]]
        for side in ("clean", "adversarial"):
            shares = model(files[side][place : place + 1]).softmax(1)[0]
            assert row[side]["prediction"] == card.classes[shares.argmax()]
            assert row[side]["probability"] == pytest.approx(shares.max().item(), abs=1e-5)
        assert row["moved"] == pytest.approx((files["adversarial"] - files["clean"])[place].abs().max().item())
        assert row["fooled"] == (row["clean"]["prediction"] == row["class"] != row["adversarial"]["prediction"])
        fooled += row["fooled"]
    assert (record["n"], record["label"], record["eps"]) == (6, "PGD-20", 32 / 255)
    assert record["weights"] == weights_sha256(CHECKPOINT)
    assert f"{fooled} of {sum(row['clean']['prediction'] == row['class'] for row in record['images'])} images" in out
    assert fooled > 0
    with Image.open(f"found/{NAME}.attack.png") as sheet:
        assert sheet.size == (6 * (96 + 4) + 4, 3 * (96 + 4) + 4)


def test_images_are_transferred_from_another_checkpoint(run):
    other = CHECKPOINT.with_stem("digits-cnn-mart")
    status, _, err = run("attack", CHECKPOINT, "--attack", "transfer", "--source", other, "--n", 3, "--steps", 2,
                           "--json", "a.json")  # fmt: skip
    assert status == 0, err
    assert json.loads(Path("a.json").read_text())["label"] == "PGD-2 from digits-cnn-mart"


def test_at_eps_0_nothing_moves_and_nothing_is_fooled(run):
    status, out, err = run("attack", CHECKPOINT, "--n", 4, "--eps", 0, "--json", "a.json")
    assert status == 0, err
    assert "0 of 4 images" in out
    assert {(row["moved"], row["fooled"]) for row in json.loads(Path("a.json").read_text())["images"]} == {(0.0, False)}


def test_the_same_command_gives_the_same_images(run):
    for folder in ("one", "two"):
        assert run("attack", CHECKPOINT, "--n", 4, "--attack", "pgd+square", "--queries", 60, "--out", folder)[0] == 0
    first, second = (load_file(f"{folder}/{NAME}.attack.safetensors") for folder in ("one", "two"))
    assert first["adversarial"].equal(second["adversarial"])


@pytest.mark.parametrize("name", ["../escaped", "{here}/elsewhere/escaped", "a/b", "..", ""])
def test_a_hostile_card_writes_nothing_outside_the_folder(run, tmp_path, name):
    model, card = lsp_core.load_checkpoint(CHECKPOINT)
    lsp_core.save_checkpoint(
        tmp_path / "mine.safetensors", model, dataclasses.replace(card, name=name.format(here=tmp_path))
    )
    before = {path for path in tmp_path.rglob("*")}
    status, _, err = run("attack", "mine.safetensors", "--n", 2, "--attack", "fgsm", "--out", "deep/found")
    assert status == 0, err
    new = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path not in before}
    files = {f"deep/found/mine.attack.{kind}" for kind in ("png", "safetensors")}
    assert new == {"deep", "deep/found", *files}


def test_another_kind_of_file_is_not_lost_to_the_result(run, tmp_path):
    (tmp_path / "a.json").write_text('{"schema": "lsp-lab/evaluations/2"}')
    status, out, err = run("attack", CHECKPOINT, "--n", 2, "--json", "a.json")
    assert (status, out) == (2, "")
    assert err == "Error: json is a.json, which is no lsp-lab/attack file and would be lost: give another path.\n"
    (tmp_path / "a.json").write_text('{"schema": "lsp-lab/attack/1"}')
    assert run("attack", CHECKPOINT, "--n", 2, "--json", "a.json")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--attack", "magic"), "unknown attack 'magic'"),
        (("--attack", "transfer"), "transfer attacks with what fools another model"),
        (("--attack", "pgd", "--source", CHECKPOINT), "source is given, but no attack here takes it"),
        (("--attack", "transfer", "--source", "none.safetensors"), "none.safetensors does not exist"),
        (("--attack", "transfer", "--source", WIDE), f"source is {WIDE}, which takes other images or classes than"),
        (("--norm", "L2"), "eps is missing"),
        (("--eps", "wide"), "eps is 'wide'"),
        (("--n", 0), "n is 0"),
        (
            ("--attack", "fgsm", "--steps", 77),
            "steps is given, but no attack here takes it: fgsm takes loss, targeted.",
        ),
        (("--attack", "noise", "--loss", "ce"), "loss is given, but no attack here takes it"),
        (("--attack", "square", "--restarts", 2), "restarts is given, but no attack here takes it"),
    ],
)
def test_bad_input_is_one_sentence(run, arguments, sentence):
    status, out, err = run("attack", CHECKPOINT, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"Error: {sentence}")
    assert err.count("\n") == 1
