"""``info``: cards, folders and data sets."""

import dataclasses
import json
import re
from pathlib import Path

from conftest import write_folder

import lsp_core
from lsp_core.store.weights import weights_sha256


def test_info_shows_a_card(run, trained_path):
    status, out, _ = run("info", trained_path, "--json", "card.json")
    assert status == 0
    assert "digits-cnn-standard" in out
    assert weights_sha256(trained_path) in out
    assert json.loads(Path("card.json").read_text())["objective"] == "standard"


def test_info_lists_a_folder_with_its_bad_files(run, trained_path, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "good.safetensors").write_bytes(trained_path.read_bytes())
    (folder / "bad.safetensors").write_bytes(b"nothing")
    status, out, _ = run("info", folder)
    assert status == 0
    assert "digits, cnn, standard" in out
    assert "is no checkpoint" in out


def test_info_shows_a_data_set(run):
    status, out, _ = run("info", "digits")
    assert status == 0
    assert "1198 of shape (1, 8, 8)" in out
    assert "599 of shape (1, 8, 8)" in out


def test_info_prints_markup_as_it_stands(run, tmp_path):
    # A name from a file that nobody vouches for must not be taken for a command to the terminal.
    folder = write_folder(tmp_path / "plain", ["[bold]a[-bold]", "[red]b", ":smile:"])
    status, out, _ = run("info", folder)
    assert status == 0
    assert "[bold]a[-bold]" in out
    assert ":smile:" in out


def test_info_refuses_what_is_nothing(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no checkpoint: train one with" in refused("info", tmp_path / "empty")
    assert "unknown data set 'nonsense'" in refused("info", "nonsense")
    assert "does not exist" in refused("info", "none.safetensors")


def test_info_sends_no_commands_to_the_terminal(run, trained_path, tmp_path):
    model, card = lsp_core.load_checkpoint(trained_path)
    hostile = dataclasses.replace(card, name="\x1b]0;owned\x07mine", command="\x1b[2J\rpython")
    lsp_core.save_checkpoint(tmp_path / "a.safetensors", model, hostile)
    status, out, _ = run("info", "a.safetensors")
    assert status == 0
    assert "mine" in out
    assert all(letter.isprintable() or letter == "\n" for letter in out)
    status, _, err = run("info", "\x1b[2J.safetensors")
    assert (status, err) == (2, "Error: [2J.safetensors does not exist.\n")


def test_info_packs_a_data_set_that_is_then_found(run, tmp_path):
    status, _, err = run("info", "digits", "--pack", "carried", "--n", 700, "--json", "info.json")
    assert status == 0, err
    record = json.loads(Path("info.json").read_text())
    assert re.fullmatch(r"700 in 2 files of 0.\d MB in all, in carried/digits", record["packed train images"])
    assert record["packed test images"].startswith("599 in 2 files")
    train, test = (lsp_core.load_dataset("digits", split, "carried") for split in ("train", "test"))
    assert test.images.equal(lsp_core.load_dataset("digits", "test").images)
    assert len(train) == 700
    shares = train.labels.bincount() / 700 - lsp_core.load_dataset("digits", "train").labels.bincount() / 1198
    assert shares.abs().max() < 2 / 700
    assert "CC BY 4.0" in (tmp_path / "carried" / "digits" / "test.json").read_text()


def test_info_refuses_to_pack_what_would_not_be_found_or_hidden(refused, tmp_path):
    folder = write_folder(tmp_path / "plain", ["a", "b"])
    assert "pack is for data sets with a name (digits, mnist" in refused("info", folder, "--pack", "carried")
    assert "n is 5, but only what is packed can be less" in refused("info", "digits", "--n", 5)
    assert "and would be hidden: give another" in refused("info", "digits", "--pack", "data", "--data-root", "data")
    (tmp_path / "file").write_text("")
    assert "pack is below" in refused("info", "digits", "--pack", "file/x")
    assert not (tmp_path / "carried").exists()
