"""The command line: what a person types, what comes back, and one sentence with status 2 on bad input."""

import functools
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

import lsp_core
from lsp_core.cli.options import pick_device
from lsp_core.evaluation import evaluate
from lsp_core.evaluation.records import read_records
from lsp_core.radius import parse_eps, show_eps
from lsp_core.store.files import sha256


@pytest.fixture
def refused(run):
    """Run bad input: its one sentence."""

    def call(*arguments):
        status, out, err = run(*arguments)
        assert status == 2
        assert out == ""
        lines = [line for line in re.split(r"[\r\n]+", err) if line.strip()]
        assert len(lines) == 1, err
        assert lines[0].startswith("Error: ")
        assert "Traceback" not in err
        return lines[0]

    return call


SHORT = ("--epochs", 1, "--n", 400, "--batch-size", 64)

# --- train ---


def test_train_writes_a_checkpoint_and_its_story(run, tmp_path):
    status, out, err = run("train", "digits", *SHORT, "--seed", 3, "--out", "models", "--json", "train.json")
    assert status == 0, err
    path = Path("models/digits-cnn-standard.safetensors")
    assert f"best epoch 1: {path}" in out
    card = lsp_core.load_checkpoint(tmp_path / path)[1]
    assert (card.dataset, card.seed, card.lsp) == ("digits", 3, None)
    assert card.command.startswith("python -m lsp_core train digits --epochs 1")
    record = json.loads((tmp_path / "train.json").read_text())
    assert record["checkpoint"] == str(path)
    assert record["config"]["epochs"] == 1
    assert record["history"][0]["clean_accuracy"] == card.held_out["clean_accuracy"]


def test_train_makes_a_twin_with_lsp(run, tmp_path):
    options = ("--lsp", "distribution", "--weight", 2, "--ball", "8/255", "--vicinity", "noise")
    status, _, err = run("train", "digits", *SHORT, *options, "--eps", "16/255", "--out", tmp_path)
    assert status == 0, err
    card = lsp_core.load_checkpoint(tmp_path / "digits-cnn-standard-lsp.safetensors")[1]
    assert (card.lsp["term"], card.lsp["weight"], card.lsp["eps"]) == ("distribution", 2.0, 8 / 255)
    assert card.config["eps"] == 16 / 255


def test_train_resumes(run, tmp_path, monkeypatch):
    from lsp_core.training.resume import RunState

    save = RunState.save

    def cut(self, *arguments):
        save(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "save", cut)
        status, _, err = run("train", "digits", "--epochs", 2, "--n", 400, "--out", tmp_path)
    assert status == 130
    assert "goes on with --resume" in err
    assert "Traceback" not in err
    status, out, _ = run("train", "digits", "--epochs", 2, "--n", 400, "--out", tmp_path, "--resume")
    assert status == 0
    assert "digits-cnn-standard: 1 of 2 epochs are done" in out
    assert lsp_core.load_checkpoint(tmp_path / "digits-cnn-standard.last.safetensors")[1].epoch == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing",), "unknown data set 'nothing': choose one of digits"),
        (("mnist", "--data-root", "none"), "python -m lsp_core info mnist --download"),
        (("digits", "--objective", "magic"), "unknown objective 'magic': choose one of standard, pgd-at"),
        (("digits", "--model", "vgg"), "unknown model 'vgg': choose one of cnn"),
        (("digits", "--lsp", "graph"), "unknown structure term 'graph': choose one of vicinity"),
        (
            ("digits", "--lsp", "vicinity", "--vicinity", "far"),
            "vicinity of LSP is 'far', but it must be one of noise, adversarial",
        ),
        (("digits", "--lsp", "vicinity", "--vicinity", "adversarial"), "standard crafts none"),
        (("digits", "--weight", "3"), "add --lsp"),
        (("digits", "--eps", "big"), "eps is 'big', but it must be a number from 0 to 1, like 0.1 or 8/255."),
        (("digits", "--eps", "8/0"), "eps is '8/0'"),
        (("digits", "--eps", "8"), "eps is 8, but it must be from 0 to 1"),
        (("digits", "--eps", "nan"), "eps is nan"),
        (("digits", "--lsp", "vicinity", "--ball", "2"), "LSP"),
        (("digits", "--epochs", "0"), "epochs is 0, but it must be 1 or more"),
        (("digits", "--batch-size", "0"), "batch_size is 0"),
        (("digits", "--batch-size", "5000"), "too few for held_out 200 and a batch of 5000"),
        (("digits", "--n", "0"), "limit is 0"),
        (("digits", "--n", "100"), "digits has 100 training images, too few"),
        (("digits", "--lr", "-1"), "lr is -1"),
        (("digits", "--eps", ""), "eps is ''"),
        (("digits", "--lsp", "vicinity", "--ball", ""), "eps is ''"),
        (("digits", "--n", "1195"), "cannot be set apart with some of each of 10 classes"),
        (("digits", "--device", "tpu"), "unknown device 'tpu': choose auto, cpu or cuda."),
    ],
)
def test_train_refuses_bad_input(refused, arguments, sentence):
    assert sentence in refused("train", *arguments)


def test_train_does_not_overwrite_the_model_of_another_folder(run, refused, tmp_path):
    for place, split, number in itertools.product("ab", ("train", "test"), range(20)):
        path = tmp_path / place / "fruit" / split / f"class {number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 10 * number + (place == "b")).save(path)
    options = ("--epochs", 1, "--batch-size", 8, "--out", "models")
    status, _, err = run("train", "a/fruit", *options)
    assert status == 0, err
    card = lsp_core.load_checkpoint(tmp_path / "models" / "fruit-cnn-standard.safetensors")[1]
    assert card.dataset == "a/fruit"
    for more in ((), ("--resume",)):
        sentence = refused("train", "b/fruit", *options, *more)
        assert "fruit-cnn-standard.safetensors was trained on other data (a/fruit: 2 classes of 1x8x8)" in sentence
        assert "choose another folder for the checkpoints (--out), or remove it" in sentence
    status, _, err = run("train", "a/fruit", *options, "--seed", 1)
    assert status == 0, err


def test_train_says_where_it_cannot_write(run, tmp_path):
    (tmp_path / "file").write_text("in the way")
    status, _, err = run("train", "digits", *SHORT, "--out", tmp_path / "file")
    assert status == 2
    assert "Traceback" not in err
    assert re.search(r"Error: .*file", err)


# --- study ---


def test_study_smoke_from_end_to_end_and_again(run, tmp_path):
    status, out, err = run("study", "smoke", "--json", "all.json")
    assert status == 0, err
    page = (tmp_path / "results" / "README.md").read_text()
    assert "8 of 8 runs have been through every attack" in page
    assert "python -m lsp_core study smoke" in page
    runs = json.loads(Path("all.json").read_text())["runs"]
    assert [record["id"] for record in runs][:2] == ["digits-standard-baseline-0", "digits-standard-lsp-0"]
    for record in runs:
        result = json.loads((tmp_path / "results" / "smoke" / f"{record['id']}.json").read_text())
        assert result == record
        assert f"{record['evaluations'][0]['robust_accuracy']:.1%}" in err + out
    for name in re.findall(r"\]\((plots/[^)]*)\)", page):
        assert (tmp_path / "results" / name).read_text().startswith("<svg")
    (tmp_path / "results" / "smoke" / "digits-trades-lsp-1.json").unlink()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.safetensors")}
    status, _, err = run("study", "smoke", "--only", "trades")
    assert status == 0, err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.safetensors")} == times
    again = json.loads((tmp_path / "results" / "smoke" / "digits-trades-lsp-1.json").read_text())
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


# --- evaluate ---


def test_evaluate_prints_a_table_and_writes_records(run, trained_path, tmp_path):
    options = ("--attacks", "fgsm, pgd", "--eps", "0.05,16/255", "--n", 120, "--steps", 5, "--seed", 1)
    status, out, err = run("evaluate", trained_path, *options, "--json", "out.json")
    assert status == 0, err
    assert "16/255 (0.063)" in out
    assert out.count("PGD-5") == 2
    assert out.count("FGSM") == 2
    record = read_records(tmp_path / "out.json")
    assert record["checkpoint"] == "digits-cnn-standard"
    assert record["sha256"] == sha256(trained_path)
    entries = record["evaluations"]
    assert [(e["attack"], e["eps"]) for e in entries] == [
        ("FGSM", 0.05), ("FGSM", 16 / 255), ("PGD", 0.05), ("PGD", 16 / 255)
    ]  # fmt: skip
    for found in entries:
        assert (found["n"], found["seed"], found["dataset"], found["split"]) == (120, 1, "digits", "test")
        low, high = found["robust_interval"]
        assert low <= found["robust_accuracy"] <= high
    assert entries[2]["settings"]["steps"] == 5
    assert entries[2]["settings"]["seed"] == 1


def test_evaluate_counts_what_the_library_counts(run, trained_path, trained, digits_test, tmp_path):
    from lsp_core.attacks import PGD

    status, _, err = run("evaluate", trained_path, "--attacks", "pgd", "--n", 50, "--norm", "L2", "--eps", "0.5",
                         "--restarts", 2, "--loss", "margin", "--json", "out.json")  # fmt: skip
    assert status == 0, err
    (found,) = read_records(tmp_path / "out.json")["evaluations"]
    rows = torch.randperm(599, generator=torch.Generator().manual_seed(0))[:50]
    attack = PGD(0.5, steps=20, norm="L2", loss="margin", restarts=2)
    result = evaluate(trained, digits_test.float(rows), digits_test.labels[rows], attack)
    assert found["clean_accuracy"] == result.clean_accuracy
    assert found["robust_accuracy"] == pytest.approx(result.robust_accuracy, abs=0.021)  # one image: channels_last
    assert found["settings"]["loss"] == "margin"


def test_evaluate_asks_at_the_radius_of_the_training(run, trained_path, tmp_path):
    run("evaluate", trained_path, "--attacks", "fgsm", "--n", 20, "--json", "out.json")
    assert read_records(tmp_path / "out.json")["evaluations"][0]["eps"] == 0.1


def test_evaluate_takes_the_worst_of_attacks_that_are_joined(run, trained_path, tmp_path):
    status, out, err = run("evaluate", trained_path, "--attacks", "noise,fgsm+pgd+transfer", "--source", trained_path,
                           "--n", 60, "--steps", 4, "--json", "out.json")  # fmt: skip
    assert status == 0, err
    assert "worst of these" in out
    joined, noise = read_records(tmp_path / "out.json")["evaluations"]
    assert noise["label"] == "Noise-10"
    assert joined["label"] == "FGSM + PGD-4 + PGD-4 from digits-cnn-standard"
    assert [part["class"] for part in joined["settings"]["attacks"]] == ["FGSM", "PGD", "Transfer"]
    assert sum(part["fooled"] for part in joined["fooled_by"]) == round(
        60 * (joined["clean_accuracy"] - joined["robust_accuracy"])
    )


def test_evaluate_resumes_with_the_evaluation_that_was_cut_off(run, trained_path, tmp_path, monkeypatch):
    options = ("--attacks", "fgsm,noise", "--n", 40, "--json", "out.json")
    run("evaluate", trained_path, "--attacks", "fgsm", "--n", 40, "--json", "out.json")
    before = read_records(tmp_path / "out.json")["evaluations"]
    status, out, err = run("evaluate", trained_path, *options, "--resume")
    assert status == 0, err
    assert "FGSM at 0.1: done before" in out
    after = read_records(tmp_path / "out.json")["evaluations"]
    assert [entry["label"] for entry in after] == ["FGSM", "Noise-10"]
    assert after[0] == before[0]
    _, out, _ = run("evaluate", trained_path, *options)
    assert "done before" not in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--attacks", "deepfool"), "unknown attack 'deepfool': choose one of noise, fgsm, pgd, apgd"),
        (("--attacks", ""), "unknown attack ''"),
        (("--norm", "L1"), "unknown norm 'L1': choose one of Linf, L2"),
        (("--loss", "mse"), "unknown loss 'mse'"),
        (("--eps", "0.1,"), "eps is ''"),
        (("--eps", "8"), "eps is 8"),
        (("--eps", "-0.1"), "eps is -0.1"),
        (("--steps", "0"), "steps is 0"),
        (("--restarts", "0"), "restarts is 0"),
        (("--n", "0"), "n is 0, but it must be 1 or more"),
        (("--attacks", "pgd+"), "unknown attack ''"),
        (("--attacks", "transfer"), "name that checkpoint as its source"),
        (("--attacks", "square", "--queries", "0"), "queries is 0"),
        (("--resume",), "--resume goes on with what --json holds, so it needs --json"),
        (("--source", "none.safetensors"), "none.safetensors does not exist"),
        (("--dataset", "nowhere"), "unknown data set 'nowhere'"),
    ],
)
def test_evaluate_refuses_bad_input(refused, trained_path, arguments, sentence):
    assert sentence in refused("evaluate", trained_path, *arguments)


def test_evaluate_refuses_what_is_no_checkpoint(refused, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    assert "is no checkpoint" in refused("evaluate", tmp_path / "bad.safetensors")
    assert "does not exist" in refused("evaluate", tmp_path / "none.safetensors")
    assert str(tmp_path) in refused("evaluate", tmp_path)


def write_folder(base, titles, size=8):
    import numpy as np
    from PIL import Image

    for split in ("train", "test"):
        for label, title in enumerate(titles):
            (base / split / title).mkdir(parents=True)
            Image.fromarray(np.full((size, size), 20 * label, np.uint8)).save(base / split / title / "0.png")
    return base


def test_evaluate_takes_another_folder_of_the_same_classes(run, trained_path, tmp_path):
    folder = write_folder(tmp_path / "mine", "0123456789")
    status, out, err = run("evaluate", trained_path, "--dataset", folder, "--attacks", "fgsm")
    assert status == 0, err
    assert "FGSM" in out


def test_evaluate_refuses_data_of_another_kind(refused, trained_path, tmp_path):
    shapes = write_folder(tmp_path / "large", "0123456789", 16)
    assert "takes images of (1, 8, 8), but" in refused("evaluate", trained_path, "--dataset", shapes)
    titles = write_folder(tmp_path / "letters", "abcdefghij")
    assert "was trained on other classes" in refused("evaluate", trained_path, "--dataset", titles)


def test_evaluate_does_not_overwrite_a_file_that_is_something_else(run, trained_path, tmp_path):
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    status, _, err = run("evaluate", trained_path, "--attacks", "fgsm", "--n", 20, "--json", "notes.json")
    assert status == 2
    assert "is no evaluations file" in err
    assert (tmp_path / "notes.json").read_text() == '{"mine": 1}'


# --- info ---


def test_info_shows_a_card(run, trained_path):
    status, out, _ = run("info", trained_path, "--json", "card.json")
    assert status == 0
    assert "digits-cnn-standard" in out
    assert sha256(trained_path) in out
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


# --- Small parts ---


@pytest.mark.parametrize(("text", "value"), [("0.1", 0.1), ("8/255", 8 / 255), (" 1 / 2 ", 0.5)])
def test_parse_eps(text, value):
    assert parse_eps(text) == value


@pytest.mark.parametrize(("eps", "text"), [(2 / 255, "2/255 (0.008)"), (0.25, "0.25"), (0.0, "0")])
def test_show_eps(eps, text):
    assert show_eps(eps) == text


def test_device():
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="torch finds no GPU here"):
            pick_device("cuda")


# --- The real process ---


def spawn(*arguments, **settings):
    command = [sys.executable, "-m", "lsp_core", *map(str, arguments)]
    # A shell that runs the tests in the background lets its children ignore Ctrl-C.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, preexec_fn=heed, **settings)


@pytest.mark.parametrize("command", [(), ("train",), ("evaluate",), ("info",)])
def test_help(command):
    process = spawn(*command, "--help")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Usage" in out


def test_bad_input_ends_the_process_with_status_2():
    process = spawn("train", "digits", "--objective", "magic")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err == "Error: unknown objective 'magic': choose one of standard, pgd-at, trades, mart, fast-at.\n"


def test_ctrl_c_keeps_what_is_finished(tmp_path):
    process = spawn("train", "digits", "--epochs", 500, "--n", 300, "--out", tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "digits-cnn-standard.resume.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "What was finished is kept: the same command goes on with --resume." in err
    assert "Traceback" not in err
    lsp_core.load_checkpoint(tmp_path / "digits-cnn-standard.safetensors")
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
