"""``attack``: what it says of each image is what the model says of the files that it writes."""

import json
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file
from torch import float32

import lsp_core
from lsp_core.store.files import sha256

NAME = "digits-cnn-standard"
CHECKPOINT = Path(__file__).parents[2] / "checkpoints" / f"{NAME}.safetensors"


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
    assert (record["n"], record["label"], record["eps"], record["sha256"]) == (
        6,
        "PGD-20",
        32 / 255,
        sha256(CHECKPOINT),
    )
    assert f"{fooled} of {sum(row['clean']['prediction'] == row['class'] for row in record['images'])} images" in out
    assert fooled > 0
    with Image.open(f"found/{NAME}.attack.png") as sheet:
        assert sheet.size == (6 * (96 + 4) + 4, 3 * (96 + 4) + 4)


def test_at_eps_0_nothing_moves_and_nothing_is_fooled(run):
    status, out, err = run("attack", CHECKPOINT, "--n", 4, "--eps", 0, "--json", "a.json")
    assert status == 0, err
    assert "0 of 4 images" in out
    assert {(row["moved"], row["fooled"]) for row in json.loads(Path("a.json").read_text())["images"]} == {(0.0, False)}


def test_the_same_command_gives_the_same_images(run):
    for folder in ("one", "two"):
        assert run("attack", CHECKPOINT, "--n", 4, "--attack", "pgd+square", "--eps", "0.05", "--out", folder)[0] == 0
    first, second = (load_file(f"{folder}/{NAME}.attack.safetensors") for folder in ("one", "two"))
    assert first["adversarial"].equal(second["adversarial"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--attack", "magic"), "unknown attack 'magic'"),
        (("--attack", "transfer"), "transfer attacks with what fools another model"),
        (("--norm", "L2"), "eps is missing"),
        (("--eps", "wide"), "eps is 'wide'"),
        (("--n", 0), "n is 0"),
    ],
)
def test_bad_input_is_one_sentence(run, arguments, sentence):
    status, out, err = run("attack", CHECKPOINT, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"Error: {sentence}")
    assert err.count("\n") == 1
