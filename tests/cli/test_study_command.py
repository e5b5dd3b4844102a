"""``study``: from a preset to a page, again and again."""

import json
import re
from pathlib import Path

import pytest

import lsp_core


def test_study_smoke_from_end_to_end_and_again(run, tmp_path):
    status, out, err = run("study", "smoke", "--only", "-0", "--json", "all.json")
    assert status == 0, err
    page = (tmp_path / "results" / "README.md").read_text()
    assert "4 of 8 runs have been through every attack" in page
    assert "python -m lsp_core study smoke" in page
    runs = json.loads(Path("all.json").read_text())["runs"]
    assert [record["id"] for record in runs][:2] == ["digits-standard-baseline-0", "digits-standard-lsp-0"]
    for record in runs:
        result = json.loads((tmp_path / "results" / "smoke" / f"{record['id']}.json").read_text())
        assert result == record
        assert f"{record['evaluations'][0]['robust_accuracy']:.1%}" in err + out
    for name in re.findall(r"\]\((plots/[^)]*)\)", page):
        assert (tmp_path / "results" / name).read_text().startswith("<svg")
    (tmp_path / "results" / "smoke" / "digits-trades-lsp-0.json").unlink()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.safetensors")}
    status, _, err = run("study", "smoke", "--only", "trades-lsp-0")
    assert status == 0, err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.safetensors")} == times
    again = json.loads((tmp_path / "results" / "smoke" / "digits-trades-lsp-0.json").read_text())
    assert again["evaluations"][1]["robust_correct"] == runs[-1]["evaluations"][1]["robust_correct"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fog",), "unknown preset 'fog': choose one of cpu, gpu, smoke, or the path"),
        (("fog.toml",), "unknown preset 'fog.toml'"),
        (("smoke", "--only", "imagenet"), "no run of smoke has 'imagenet' in its name: they are digits-standard-b"),
        (("cpu", "--only", "mnist", "--data-root", "none"), "python -m lsp_core info mnist --download"),
    ],
)
def test_study_refuses_bad_input(refused, arguments, sentence, tmp_path):
    assert sentence in refused("study", *arguments)
    assert not (tmp_path / "results").exists()


MINE = """
seeds = [0]
n = 30
attacks = ["fgsm"]
[[grid]]
title = "Mine"
datasets = ["digits"]
objectives = ["standard"]
settings = { epochs = 1, limit = 300 }
[grid.variants]
baseline = {}
other = { lr = 0.01 }
"""


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("lr = 0.01", 'epochs = "ten"', "digits-standard-other-0: epochs of TrainConfig is 'ten'"),
        ("lr = 0.01", "eps = 8.0", "digits-standard-other-0: eps is 8, but it must be from 0 to 1"),
        ('["fgsm"]', '["fgsm", "transfer"]', "digits-standard-baseline-0: transfer attacks with what fools another"),
    ],
)
def test_study_refuses_a_bad_run_before_it_trains_a_good_one(refused, tmp_path, old, new, sentence):
    (tmp_path / "mine.toml").write_text(MINE.replace(old, new))
    assert sentence in refused("study", "mine.toml")
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "runs").exists()


def test_study_goes_on_after_a_run_that_fails(run, tmp_path):
    text = MINE.replace("[grid.variants]", "[grid.variants]\nwild = { lr = 1e30 }")
    (tmp_path / "my own.toml").write_text(text)
    status, out, err = run("study", "my own.toml", "--json", "all.json")
    assert status == 2
    assert "Traceback" not in err
    failure = "digits-standard-wild-0: model returns logits that are not finite"
    assert failure in out
    assert err.splitlines()[-1].startswith(f"Error: 1 of 3 runs failed. {failure}")
    done = [record["id"] for record in json.loads((tmp_path / "all.json").read_text())["runs"]]
    assert done == ["digits-standard-baseline-0", "digits-standard-other-0"]
    assert "2 of 3 runs have been through every attack" in (tmp_path / "results" / "README.md").read_text()
    (path,) = (tmp_path / "runs" / "my own" / done[0]).glob("*.last.safetensors")
    command = lsp_core.load_checkpoint(path)[1].command
    assert command == "python -m lsp_core study 'my own.toml' --only digits-standard-baseline-0"
    assert (tmp_path / "results" / "my own" / "preset.toml").read_text() == text
    (tmp_path / "my own.toml").write_text(text.replace("0.01", "0.02"))
    status, _, err = run("study", "my own.toml")
    assert status == 2
    assert "digits-standard-other-0.json was made with other settings" in err
    assert (tmp_path / "results" / "my own" / "preset.toml").read_text() == text


def test_study_says_what_ctrl_c_leaves(run, tmp_path, monkeypatch):
    from lsp_core.study import Worker

    def stop(self, run):
        raise KeyboardInterrupt

    monkeypatch.setattr(Worker, "do", stop)
    (tmp_path / "mine.toml").write_text(MINE)
    status, _, err = run("study", "mine.toml")
    assert status == 130
    assert err.splitlines()[-1] == "Interrupted. What was finished is kept: the same command goes on."
