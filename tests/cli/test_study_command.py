"""``study``: from a preset to a page, again and again."""

import itertools
import json
import re
import tarfile
from pathlib import Path

import pytest
import safetensors.torch

import lsp_core
from lsp_core.study import budget


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
        (("fog",), "unknown preset 'fog': choose one of cpu, gpu, smoke, terms, or the path"),
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

    (tmp_path / "mine.toml").write_text(MINE)
    status, _, err = run("study", "mine.toml", "--only", "baseline")
    assert status == 0, err
    monkeypatch.setattr(Worker, "do", stop)
    status, _, err = run("study", "mine.toml", "--archive", "mine.tar")
    assert status == 130
    with tarfile.open("mine.tar") as tar:
        assert "results/digits-standard-baseline-0.json" in tar.getnames()
    assert err.splitlines()[-1] == "Interrupted. What was finished is kept: the same command goes on."


SLICED = """
seeds = [0]
n = 24
attacks = ["pgd"]
[[grid]]
title = "Sliced"
datasets = ["digits"]
objectives = ["standard"]
settings = { epochs = 3, limit = 300 }
[grid.variants]
baseline = {}
LSP = { lsp = {} }
"""


def without_times(record):
    """A result as far as it must not depend on when, and in how many calls, it was made."""
    if isinstance(record, dict):
        times = ("seconds", "seconds_per_epoch")
        return {key: without_times(value) for key, value in record.items() if key not in times}
    return [without_times(value) for value in record] if isinstance(record, list) else record


def test_slices_on_a_new_machine_each_end_as_one_call_does(run, tmp_path, monkeypatch):
    (tmp_path / "sliced.toml").write_text(SLICED)
    status, out, err = run("study", "sliced.toml", "--out", "whole", "--work", "work", "--archive", "whole.tar")
    assert status == 0, err
    assert re.search(r"^2 runs: whole/README.md, and whole.tar in 1 part of \d\.\d MB in all$", out, re.M)
    ticks = itertools.count()
    monkeypatch.setattr(budget, "monotonic", lambda: float(next(ticks)))  # a look at the clock takes a second
    said = []
    for call in range(40):
        home, minutes = Path(f"call-{call}"), 0.05 if call < 3 else 0.8  # three looks, or 48
        arguments = ("--out", home, "--work", home / "work", "--archive", "slices.tar", "--minutes", minutes)
        status, out, err = run("study", "sliced.toml", *arguments)
        assert status == 0, err
        said.append(out.splitlines()[-1])
        if "left" not in said[-1]:
            break
    assert said[0].startswith("the 0.05 minutes are over with 0 runs done and 2 left, and the same command goes on: ")
    assert any("1 run done and 1 left" in line for line in said)
    assert len(said) > 4
    for name in ("digits-standard-baseline-0", "digits-standard-lsp-0"):
        ours, theirs = (json.loads((top / "sliced" / f"{name}.json").read_text()) for top in (home, Path("whole")))
        assert without_times(ours) == without_times(theirs)
    with tarfile.open("slices.tar") as ours, tarfile.open("whole.tar") as theirs:
        names = [member.name for member in ours]
        assert names == [member.name for member in theirs]
        assert sum(name.endswith(".safetensors") for name in names) == 2  # the best of each
        for name in (name for name in names if name.endswith(".safetensors")):
            contents = [safetensors.torch.load(tar.extractfile(name).read()) for tar in (ours, theirs)]
            assert contents[0].keys() == contents[1].keys()
            assert all(contents[0][key].equal(contents[1][key]) for key in contents[0])


def test_a_training_stops_at_the_end_of_an_epoch_and_before_one_that_would_end_too_late(run, tmp_path, monkeypatch):
    (tmp_path / "sliced.toml").write_text(SLICED)
    ticks = itertools.count(0, 100)
    monkeypatch.setattr(budget, "monotonic", lambda: 0.0)  # no time goes by, but an epoch says that it took some
    monkeypatch.setattr("lsp_core.training.trainer.time.perf_counter", lambda: next(ticks))
    status, out, err = run("study", "sliced.toml", "--minutes", 1)
    assert status == 0, err
    assert "over with 0 runs done and 2 left" in out
    (state,) = (tmp_path / "runs" / "sliced" / "digits-standard-baseline-0").glob("*.resume.safetensors")
    with safetensors.safe_open(state, "pt") as file:
        assert len(json.loads(file.metadata()["state"])["history"]) == 1


@pytest.mark.parametrize("archive", ["a.tar", "."])
def test_an_archive_that_cannot_be_used_is_refused_before_anything_is_done(refused, tmp_path, archive):
    (tmp_path / "a.tar").write_bytes(b"nothing")
    (tmp_path / "sliced.toml").write_text(SLICED)
    assert "archive" in refused("study", "sliced.toml", "--archive", archive)
    assert "minutes is 0, but it must be finite and above 0." in refused("study", "smoke", "--minutes", 0)
    assert not (tmp_path / "results").exists()
