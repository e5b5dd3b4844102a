"""``info``: cards, folders and data sets."""

import json
from pathlib import Path

from conftest import write_folder

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
