"""The command line: what a person types, what comes back, and one sentence with status 2 on bad input."""

import dataclasses
import functools
import importlib
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
from lsp_core.cli.main import COMMANDS, spelled
from lsp_core.cli.options import pick_device
from lsp_core.radius import parse_eps, show_eps
from lsp_core.training.recipes import RECIPES

SHORT = ("--epochs", 1, "--n", 400, "--batch-size", 64)

# --- What there is ---


def test_help_says_of_each_command_what_the_command_says_of_itself(run):
    status, out, _ = run("--help")
    assert status == 0
    shown = [" ".join(line.strip("│ ").split()) for line in out.splitlines()]
    for name in COMMANDS:
        command = getattr(importlib.import_module(f"lsp_core.cli.{spelled(name)}"), spelled(name))
        assert f"{name} {' '.join(command.__doc__.split())}" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_of_its_own(run, name):
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"lsp_core {name} [OPTIONS]" in out
    assert "--json" in out


def test_an_unknown_command_is_refused(run):
    status, out, err = run("evalute", "--n", 3)
    assert (status, out) == (2, "")
    assert "No such command 'evalute'. Did you mean 'evaluate'?" in err


def test_a_fault_of_the_program_is_not_taken_for_too_little_memory(run, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("a bug")

    monkeypatch.setattr("lsp_core.cli.info.read_card", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run("info", "some.safetensors")


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
    options = (
        "--lsp",
        "none+distribution",
        "--weight",
        2,
        "--neighbors-weight",
        0.5,
        "--ball",
        "8/255",
        "--vicinity",
        "noise",
    )
    status, _, err = run("train", "digits", *SHORT, *options, "--eps", "16/255", "--out", tmp_path)
    assert status == 0, err
    card = lsp_core.load_checkpoint(tmp_path / "digits-cnn-standard-lsp.safetensors")[1]
    assert (card.lsp["ball"], card.lsp["neighbors"]) == ("none", "distribution")
    assert (card.lsp["weight"], card.lsp["neighbors_weight"], card.lsp["eps"]) == (2.0, 0.5, 8 / 255)
    assert card.config["eps"] == 16 / 255


LONGER = ("train", "digits", "--epochs", 2, "--n", 400, "--out")


def cut_off(run, folder, monkeypatch):
    """Train for one epoch of two."""
    from lsp_core.training.resume import RunState

    save = RunState.save

    def cut(self, *arguments):
        save(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "save", cut)
        status, _, err = run(*LONGER, folder)
    assert status == 130
    assert "goes on with --resume" in err
    assert "Traceback" not in err


def test_train_resumes(run, tmp_path, monkeypatch):
    cut_off(run, tmp_path, monkeypatch)
    status, out, _ = run(*LONGER, tmp_path, "--resume")
    assert status == 0
    assert "digits-cnn-standard: 1 of 2 epochs are done, in float32" in out
    assert "as it was begun" not in out
    assert lsp_core.load_checkpoint(tmp_path / "digits-cnn-standard.last.safetensors")[1].epoch == 2


def test_train_says_where_another_precision_would_be_faster(run, tmp_path, monkeypatch, processor):
    digits = RECIPES["digits"]
    auto = dataclasses.replace(digits, common={**digits.common, "precision": "auto"})
    monkeypatch.setitem(RECIPES, "digits", auto)
    processor(True, False)
    cut_off(run, tmp_path, monkeypatch)
    processor(False, False)
    status, out, _ = run(*LONGER, tmp_path, "--resume", "--json", tmp_path / "train.json")
    assert status == 0
    said = " ".join(out.split())
    assert "1 of 2 epochs are done, in bfloat16 It goes on as it was begun; this machine is faster in float32" in said
    assert json.loads((tmp_path / "train.json").read_text())["config"]["precision"] == "bfloat16"
    status, out, _ = run(*LONGER, tmp_path, "--resume")
    assert "2 of 2 epochs are done, in bfloat16" in out
    assert "as it was begun" not in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing",), "unknown data set 'nothing': choose one of digits"),
        (("mnist", "--data-root", "none"), "python -m lsp_core info mnist --download"),
        (("digits", "--objective", "magic"), "unknown objective 'magic': choose one of standard, pgd-at"),
        (("digits", "--model", "vgg"), "unknown model 'vgg': choose one of cnn"),
        (("digits", "--lsp", "graph"), "unknown ball term 'graph': choose one of vicinity"),
        (("digits", "--lsp", "vicinity+graph"), "unknown neighbors term 'graph': choose one of correlation"),
        (
            ("digits", "--lsp", "vicinity", "--vicinity", "far"),
            "vicinity of LSP is 'far', but it must be one of noise, adversarial",
        ),
        (("digits", "--lsp", "recipe", "--vicinity", "adversarial"), "standard crafts none"),
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
