"""Every command with nasty values and files: status 0, or 2 with one sentence or the usage, and never a traceback.

The choices are seeded and few, and what is accepted is tiny work.
"""

import json
import pickle
import random
import re
import shutil
from pathlib import Path

import pytest
import torch
from conftest import write_folder
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import lsp_core

SHIPPED = Path(__file__).parents[2] / "checkpoints"
GOOD = "digits-cnn-standard.safetensors"

NUMBERS = ("0", "-1", "nan", "inf", "", " ", "1e3", "ten", "0x10", "9" * 30, "2.5", "--", "١٢")
FEW = tuple(value for value in NUMBERS if value != "9" * 30)  # where a large one would be hours of work
RADII = ("", "0", "-0.1", "nan", "inf", "8", "8/0", "1/2/3", "/", ",", "0.1,", "1e999", "1e-400", "8//255", "-0/5", "x")
NAMES = ("", " ", ".", "..", "/", "~", "a\nb", "\x1b[31m", "é" * 90, "x" * 300, "-", "none", "[red]", "💥", "a,b", "+")
LISTS = (*NAMES, ",", "fgsm,", "fgsm+", "fgsm++fgsm", "FGSM", "pgd,magic", "apgd-t")
FILES = (
    "empty",
    "noise",
    "truncated",
    "pickled",
    "no-card",
    "deep",
    "folder",
    "absent",
    "link",
    "good",
    "letters",
    "wide",
)
CARDS = {
    "eps-null": {"config": {"eps": None}},
    "eps-list": {"config": {"eps": [0.1]}},
    "eps-text": {"config": {"eps": "8/255"}},
    "eps-large": {"config": {"eps": 8}},
    "config-null": {"config": None},
    "held-out": {"held_out": {"clean_accuracy": "good"}},
    "epoch": {"epoch": "last"},
    "seed": {"seed": [1]},
    "name-path": {"name": "../../escaped"},
    "name-none": {"name": ""},
    "name-control": {"name": "\x1b]0;owned\x07[red]" + "x" * 5000},
    "name-surrogate": {"name": "\ud800"},
    "dataset-none": {"dataset": ""},
    "dataset-path": {"dataset": "../.."},
    "dataset-root": {"dataset": "/"},
    "dataset-long": {"dataset": "x" * 5000},
    "dataset-null": {"dataset": "a\0b"},
    "model": {"model": "vgg"},
    "objective": {"objective": "\n"},
    "classes-null": {"classes": [None] * 10},
    "classes-same": {"classes": ["a"] * 10},
    "shape": {"image_shape": [3, 8, 8], "mean": [0, 0, 0], "std": [1, 1, 1]},
    "shape-large": {"image_shape": [1, 4096, 4096]},
    "shape-negative": {"image_shape": [1, -8, 8]},
    "std-zero": {"std": [0]},
    "mean-large": {"mean": [1e308]},
    "versions": {"versions": {"torch": 2}},
    "schema": {"schema": "lsp-lab/checkpoint/99"},
    "old": {"schema": None, "format": "lsp-lab/checkpoint/1"},
}
RECORDS = {
    "list": "[]",
    "none": "",
    "null": "null",
    "binary": b"\xff\xfe\0",
    "deep": "[" * 100_000,
    "other": '{"mine": 1}',
    "schema-list": '{"schema": []}',
    "evaluations": '{"schema": "lsp-lab/evaluations/2"}',
    "evaluations-null": '{"schema": "lsp-lab/evaluations/2", "checkpoint": null, "weights": 1, "evaluations": [null]}',
    "evaluations-old": '{"schema": "lsp-lab/evaluations/1", "evaluations": []}',
    "audit": '{"schema": "lsp-lab/audit/99"}',
}
PLACES = ("folder", "absent/deep/a.json", "file/a.json", "x" * 300, "good.json", ".", "", "link")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Make a folder full of nasty files."""
    base = tmp_path_factory.mktemp("zoo")
    whole = (SHIPPED / GOOD).read_bytes()
    with safe_open(SHIPPED / GOOD, framework="pt") as file:
        card = json.loads(file.metadata()["card"])
    weights = load_file(SHIPPED / GOOD)

    def write(name, changes, state=weights):
        save_file(state, base / f"{name}.safetensors", {"card": json.dumps({**card, **changes})})

    for name, content in {"empty": b"", "noise": b"\xff" * 99, "truncated": whole[:-50], "good": whole}.items():
        (base / f"{name}.safetensors").write_bytes(content)
    (base / "pickled.safetensors").write_bytes(pickle.dumps({"card": "x"}))
    save_file(weights, base / "no-card.safetensors")
    save_file(weights, base / "deep.safetensors", {"card": "[" * 100_000})
    (base / "folder.safetensors").mkdir()
    (base / "link.safetensors").symlink_to("link.safetensors")
    write("letters", {"classes": list("abcdefghij")})
    shutil.copy(SHIPPED / "mnist-cnn-standard.safetensors", base / "wide.safetensors")
    for name, changes in CARDS.items():
        write(name, changes)
    write("nan", {}, {**weights, "head.bias": weights["head.bias"] * torch.nan})
    write("half", {}, {key: value.half() for key, value in weights.items()})
    for name, content in RECORDS.items():
        (base / f"{name}.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    (base / "folder").mkdir()
    (base / "file").write_text("in the way")
    (base / "link").symlink_to("link")
    (base / "hollow" / "train").mkdir(parents=True)
    write_folder(base / "mine", "0123456789")
    write_folder(base / "pair", "ab", 28)
    write_folder(base / "broken", "ab")
    (base / "broken" / "test" / "a" / "0.png").write_bytes(b"no image")
    write_folder(base / "bare", "ab")
    (base / "bare" / "test" / "a" / "0.png").unlink()
    return base


FOLDERS = ("folder", "hollow", "broken", "bare", "pair", "file", "mine", "link", "mnist", "cifar10", "svhn")
COMMON = {"--device": ("tpu", "", "cuda:99", "CPU"), "--data-root": ("", "file", "absent", "x" * 300)}
SEED = {"--seed": (*NUMBERS, "4294967296")}
OUTPUT = {"--json": PLACES + tuple(f"{name}.json" for name in RECORDS)}
MODEL = {
    "--eps": RADII,
    "--norm": (*NAMES, "L1", "linf", "L2"),
    "--n": (*NUMBERS, "1"),
    "--dataset": (*NAMES, *FOLDERS),
    **SEED,
    **COMMON,
    **OUTPUT,
}
OPTIONS = {
    "train": {
        "--objective": NAMES,
        "--lsp": (*NAMES, "distribution"),
        "--weight": (*NUMBERS, "1e999"),
        "--vicinity": (*NAMES, "noise"),
        "--ball": RADII,
        "--model": NAMES,
        "--epochs": FEW,
        "--batch-size": NUMBERS,
        "--lr": (*NUMBERS, "1e-400"),
        "--eps": RADII,
        "--steps": FEW,
        "--n": (*NUMBERS, "1", "201"),
        "--out": ("file", "file/deep", "x" * 300, "link"),
        **SEED,
        **COMMON,
        "--json": PLACES,
    },
    "evaluate": {
        **MODEL,
        "--attacks": LISTS,
        "--steps": FEW,
        "--restarts": FEW,
        "--loss": (*NAMES, "kl", "dlr"),
        "--queries": NUMBERS,
        "--source": (*NAMES, *(f"{name}.safetensors" for name in (*FILES, *CARDS))),
        "--batch-size": NUMBERS,
        "--resume": (None,),
    },
    "attack": {
        **MODEL,
        "--attack": LISTS,
        "--steps": FEW,
        "--restarts": FEW,
        "--loss": (*NAMES, "kl", "dlr"),
        "--out": ("file", "file/deep", "x" * 300, "link"),
    },
    "audit": {
        **MODEL,
        "--twin": (*NAMES, *(f"{name}.safetensors" for name in (*FILES, *CARDS))),
        "--batch-size": NUMBERS,
        "--full": (None,),
    },
    "study": {"--only": NAMES, "--out": ("file", "link"), "--work": ("file", "link"), **COMMON, "--json": PLACES},
    "bench": {
        "--parts": LISTS,
        "--datasets": LISTS,
        "--n": FEW,
        "--runs": FEW,
        "--checkpoints": ("file", "folder", "absent", "", "link"),
        "--out": ("folder", "file/a.md", "x" * 300),
        **SEED,
        **COMMON,
        "--json": PLACES,
    },
    "info": {**COMMON, "--json": PLACES},
}
CHECKPOINTS = [f"{name}.safetensors" for name in (*FILES, *CARDS, "nan", "half")]
TABLE = '[[grid]]\ntitle = "t"\ndatasets = ["digits"]\nobjectives = ["standard"]\n'
PRESETS = {
    "empty": "",
    "broken": "[[grid",
    "binary": b"\xff\xfe\0",
    "list": "grid = [1]",
    "seeds": f'seeds = ["a"]\nattacks = ["fgsm"]\nn = 30\n{TABLE}variants = {{a = {{}}}}',
    "seed": f'seeds = [-1]\nattacks = ["fgsm"]\nn = 30\n{TABLE}variants = {{a = {{epochs = 1, limit = 300}}}}',
    "n": f'seeds = [0]\nattacks = ["fgsm"]\nn = "many"\n{TABLE}variants = {{a = {{}}}}',
    "attack": f"seeds = [0]\nattacks = [1]\nn = 30\n{TABLE}variants = {{a = {{}}}}",
    "attacks": f'seeds = [0]\nattacks = "fgsm"\nn = 30\n{TABLE}variants = {{a = {{}}}}',
    "eps": f'seeds = [0]\nattacks = ["fgsm"]\nn = 30\n{TABLE}variants = {{a = {{eps = [0.1]}}}}',
    "lsp": f'seeds = [0]\nattacks = ["fgsm"]\nn = 30\n{TABLE}variants = {{a = {{lsp = 3}}}}',
    "term": f'seeds = [0]\nattacks = ["fgsm"]\nn = 30\n{TABLE}variants = {{a = {{lsp = {{k = "x"}}}}}}',
    "variants": f'seeds = [0]\nattacks = ["fgsm"]\nn = 30\n{TABLE}variants = ["a"]',
    "dataset": f'seeds = [0]\nattacks = ["fgsm"]\nn = 30\n{TABLE}variants = {{a = {{}}}}'.replace("digits", "../.."),
    "nan": f'seeds = [0]\nattacks = ["fgsm"]\nn = 30\n{TABLE}variants = {{a = {{lr = nan}}}}',
}
SUBJECTS = {
    "train": ("digits", *NAMES, *FOLDERS),
    "evaluate": (*NAMES, *CHECKPOINTS),
    "attack": (*NAMES, *CHECKPOINTS),
    "audit": (*NAMES, *CHECKPOINTS),
    "study": (*NAMES, *(f"{name}.toml" for name in PRESETS), "folder", "file"),
    "bench": (),
    "info": (*NAMES, *CHECKPOINTS, *FOLDERS),
}
FOUND = {  # what once ended in a traceback or in somebody else's words
    "train": (("--n", "201"), ("--json", "."), ("--out", "file")),
    "evaluate": (
        ("--batch-size", "9" * 30),
        ("--seed", "9" * 30),
        ("--attacks", "transfer", "--source", "wide.safetensors"),
    ),
    "audit": (("--batch-size", "9" * 30), ("--eps", "1e-400")),
}
SUBJECTS_EACH = {"attack": 12, "audit": 12}  # evaluate and info see them all
TINY = {
    "train": ("digits", "--epochs", "1", "--n", "264", "--batch-size", "64"),
    "evaluate": ("good.safetensors", "--attacks", "fgsm", "--n", "3"),
    "attack": ("good.safetensors", "--attack", "fgsm", "--n", "2"),
    "audit": ("good.safetensors", "--n", "2"),
    "study": ("seeds.toml",),
    "bench": ("--quick", "--runs", "1", "--parts", "metrics"),
    "info": ("good.safetensors",),
}


def cases(command):
    """Yield each nasty subject once, and each option with some of its values, sometimes two options at once."""
    draw, tiny = random.Random(command), TINY[command]
    for options in FOUND.get(command, ()):
        yield (*tiny, *options)
    for subject in draw.sample(SUBJECTS[command], min(SUBJECTS_EACH.get(command, 99), len(SUBJECTS[command]))):
        yield (subject, *tiny[1:])
    for name, values in OPTIONS[command].items():
        for value in draw.sample(list(values), min(2, len(values))):
            second = draw.choice(list(OPTIONS[command]))
            extra = given(second, draw.choice(list(OPTIONS[command][second]))) if draw.random() < 0.2 else ()
            yield (*tiny, *given(name, value), *extra)


def given(name, value):
    return (name,) if value is None else (f"{name}={value}",)


def cut_short(*arguments, on_progress, **settings):
    """Audit until it begins to attack: its own checks of what it is given, and none of the minutes after them."""

    def stop(done, total):
        raise ValueError("This is all that is wanted here.")

    return lsp_core.audit(*arguments, on_progress=stop, **settings)


@pytest.mark.parametrize("command", OPTIONS)
def test_no_input_ends_in_a_traceback(run, zoo, tmp_path, monkeypatch, command):
    monkeypatch.setattr("lsp_core.cli.audit.run_audit", cut_short)
    shutil.copytree(zoo, tmp_path, symlinks=True, dirs_exist_ok=True)
    for name, text in PRESETS.items():
        (tmp_path / f"{name}.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    wrong = []
    for arguments in cases(command):
        status, _, err = run(command, *arguments)
        if problem := fault(status, err):
            wrong.append((problem, command, *arguments))
    assert not wrong


def fault(status, err):
    """Return what is wrong with how a command ended."""
    if status not in (0, 2) or "Traceback" in err:
        return f"status {status}: {err}"
    if status == 0 or "Usage: " in err:
        return ""
    lines = [line for line in re.split(r"[\r\n]+", err) if line.strip()]
    sound = re.fullmatch(r"Error: \S+( \S+){2,}\.", lines[-1])
    return "" if sound and sum(line.startswith("Error: ") for line in lines) == 1 else f"no sentence: {err}"


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")])
def test_too_little_memory_is_a_sentence(refused, monkeypatch, error):
    def exhaust(*arguments, **settings):
        raise error

    monkeypatch.setattr("lsp_core.cli.info.read_card", exhaust)
    assert "give a smaller --batch-size or --n" in refused("info", SHIPPED / GOOD)
