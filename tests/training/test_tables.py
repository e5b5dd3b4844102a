"""A new objective, structure term, data set, model or random change is one line: everything else finds it there."""

import dataclasses
import os
import subprocess
import sys

import pytest
import torch
from conftest import TinyNet, toy_dataset

import lsp_core
from lsp_core.data import DATASETS
from lsp_core.data.registry import NamedDataset
from lsp_core.lsp import TERMS
from lsp_core.models import MODELS
from lsp_core.training import OBJECTIVES, TrainConfig, Trainer
from lsp_core.training.augmentation import CHANGES, Change


class Doubled:
    """An objective: twice the cross-entropy, on images that are a little brighter."""

    needs_clean, crafts = True, True

    def __init__(self, steps, smoothing):
        self.steps, self.smoothing = steps, smoothing

    def craft(self, model, images, labels, eps, seed):
        return (images + eps / self.steps).clamp(0, 1)

    def loss(self, clean, adversarial, labels):
        return sum(torch.nn.functional.cross_entropy(logits, labels) for logits in (clean, adversarial))


def pull(images, features, anchors, k, temperature):
    """A structure term: all embeddings are drawn to zero."""
    return features.square().mean()


class Dummy(TinyNet):
    """A model of one channel and 8x8 pixels."""

    def __init__(self, image_shape, classes, mean, std):
        super().__init__(classes=classes)


def stripes(root, split, download):
    return toy_dataset(split, count=60)


ROWS = {
    "objective": (OBJECTIVES, Doubled),
    "term": (TERMS, pull),
    "data set": (DATASETS, NamedDataset(stripes, changes=("dummy-change",))),
    "model": (MODELS, Dummy),
}
COMMAND = {
    "objective": ("digits", "--objective", "dummy-row"),
    "term": ("digits", "--lsp", "dummy-row"),
    "data set": ("dummy-row", "--batch-size", 12),
    "model": ("digits", "--model", "dummy-row"),
}


@pytest.fixture(params=ROWS)
def kind(request, monkeypatch):
    table, row = ROWS[request.param]
    monkeypatch.setitem(table, "dummy-row", row)
    monkeypatch.setitem(CHANGES, "dummy-change", Change(lambda images, generator: images.flip(2), "turns"))
    return request.param


def test_a_new_row_can_be_trained(kind, run, tmp_path):
    status, out, err = run("train", *COMMAND[kind], "--epochs", 1, "--out", tmp_path, "--json", "out.json")
    assert status == 0, err
    (path,) = [path for path in tmp_path.glob("*.safetensors") if ".last" not in path.name]
    card = lsp_core.load_checkpoint(path)[1]
    where = {"objective": card.objective, "term": (card.lsp or {}).get("ball"), "data set": card.dataset}
    assert {**where, "model": card.model}[kind] == "dummy-row"
    if kind == "data set":
        assert card.config["augmentation"] == "turns, where augment is on"
        status, out, _ = run("info", "dummy-row")
        assert (status, "60 of shape (1, 8, 8)" in out, "dummy-change" in out) == (0, True, True)
    status, out, err = run("evaluate", path, "--attacks", "fgsm", "--n", 20)
    assert status == 0, err


def test_a_new_objective_trains_a_twin(monkeypatch, run, tmp_path):
    monkeypatch.setitem(OBJECTIVES, "dummy-row", Doubled)
    arguments = ("digits", "--objective", "dummy-row", "--lsp", "vicinity", "--epochs", 1, "--n", 400)
    status, _, err = run("train", *arguments, "--out", tmp_path)
    assert status == 0, err
    card = lsp_core.load_checkpoint(tmp_path / "digits-cnn-dummy-row-lsp.safetensors")[1]
    assert card.lsp["vicinity"] == "adversarial"  # it crafts examples, so that they are there


def test_a_new_change_is_made(monkeypatch, tmp_path):
    monkeypatch.setitem(CHANGES, "dummy-change", Change(lambda images, generator: images.flip(2), "turns"))
    data = dataclasses.replace(toy_dataset(), changes=("dummy-change",))
    config = TrainConfig("toy", "cnn", batch_size=12, held_out=12, augment=True)
    trainer, seen = Trainer(data, config, tmp_path), []
    features = trainer.model.features
    monkeypatch.setattr(trainer.model, "features", lambda images: (seen.append(images), features(images))[1])
    trainer.model.train()
    trainer._step(torch.arange(12), 0.5)
    assert seen[0].equal(trainer.train_set.float(slice(0, 12)).flip(2))


def test_help_names_the_new_rows():
    # The help text is made when the command line is imported, so a process of its own adds the rows before that.
    program = """
import sys
from lsp_core.data import DATASETS
from lsp_core.lsp import TERMS
from lsp_core.models import MODELS
from lsp_core.training import OBJECTIVES
for table, name in ((DATASETS, "setA"), (TERMS, "termB"), (MODELS, "modelC"), (OBJECTIVES, "goalD")):
    table[name] = next(iter(table.values()))
from lsp_core.cli.main import main
sys.argv = ["lsp", "train", "--help"]
main()
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "300"})
    assert done.returncode == 0, done.stderr
    for name in ("setA", "termB", "modelC", "goalD"):
        assert name in done.stdout
