"""``attack --case``: a case of the app, done again by a command."""

import json
from pathlib import Path

import pytest
import torch

import lsp_core
from lsp_core.attacks import PGD
from lsp_core.attacks.recorded import to_record
from lsp_core.store.case import Case, Subject, write_case
from lsp_core.store.checkpoint import checkpoint_weights

FOLDER = Path(__file__).parents[2] / "checkpoints"
CHECKPOINT, OTHER = FOLDER / "digits-cnn-standard.safetensors", FOLDER / "digits-cnn-pgd-at.safetensors"
ATTACK = PGD(40 / 255, steps=7, seed=3, early_stop=False)


@pytest.fixture
def case(tmp_path):
    """A test image under PGD, as the app would keep it."""
    model, card = lsp_core.load_checkpoint(CHECKPOINT)
    data = lsp_core.load_dataset("digits")
    image, label = data.float(slice(5, 6)), data.labels[5:6]
    found = ATTACK(model, image, label)
    guesses = [int(model(shown).argmax()) for shown in (image, found)]
    subject = Subject("digits-cnn-standard", checkpoint_weights(CHECKPOINT), *guesses)
    facts = Case("digits", card.classes, int(label), to_record(ATTACK), (subject,))
    path = tmp_path / "case.zip"
    path.write_bytes(write_case(facts, image[0], found))
    return path, found


def test_a_case_comes_to_the_same_again(run, case):
    path, found = case
    status, out, err = run("attack", CHECKPOINT, "--case", path, "--json", "a.json", "--out", "images")
    assert status == 0, err
    assert "The same as the case says." in out
    record = json.loads(Path("a.json").read_text())
    assert (record["label"], record["eps"], record["n"]) == ("PGD-7", ATTACK.eps, 1)
    from safetensors.torch import load_file

    again = load_file("images/digits-cnn-standard.attack.safetensors")["adversarial"]
    assert torch.equal(again, found)


def test_another_checkpoint_may_have_a_look(run, case):
    status, out, err = run("attack", OTHER, "--case", case[0])
    assert status == 0, err
    assert "The case is of other weights: digits-cnn-standard." in out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--eps", "0.1"), "eps is given, but a case brings its own attack"),
        (("--steps", "3"), "steps is given"),
    ],
)
def test_a_case_brings_its_own_attack(run, case, given, said):
    status, _, err = run("attack", CHECKPOINT, "--case", case[0], *given)
    assert status == 2
    assert said in err


def test_what_is_no_case_or_does_not_fit_is_one_sentence(run, case, tmp_path):
    (tmp_path / "no.zip").write_bytes(b"no")
    for path, checkpoint, said in (
        (tmp_path / "no.zip", CHECKPOINT, "no case of LSP Lab"),
        (tmp_path / "absent.zip", CHECKPOINT, "cannot be read"),
        (case[0], FOLDER / "mnist-cnn-standard.safetensors", "image or classes are others"),
    ):
        status, _, err = run("attack", checkpoint, "--case", path)
        assert status == 2
        assert said in err.replace("\n", " ")
        assert "Traceback" not in err
