"""Cards, traces, jobs, evaluations and audits, made by hand."""

import numpy as np
import torch
from conftest import TinyNet

from app.figures.measured import measured
from app.state.jobs import Job, Lane, Request
from app.state.models import LoadedModel
from lsp_core import Card
from lsp_core.attacks import PGD, fast
from lsp_core.attacks.describe import label
from lsp_core.audit import Audited, Check
from lsp_core.evaluation.entry import Entry, Fooled, pack
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.explain.neighborhood import Neighborhood
from lsp_core.explain.trace import Trace
from lsp_core.neighborhoods import Neighbors

CLASSES = ("cat", "dog", "fox")
FAST = label(fast(0.1))


def make_trace(steps, label=0, clean=(0.8, 0.1, 0.1), size=4):
    """A trace whose probabilities are written by hand, one row per step."""
    images = torch.linspace(0, 1, len(steps) * size * size).view(len(steps), 1, size, size)
    return Trace(torch.zeros(1, size, size), label, torch.tensor(clean), images, torch.tensor(steps))


def make_neighborhood(pixels=((1, 2),), before=((2, 3),), after=((3, 4),)):
    """Neighbourhoods by hand: for each image the rows that are near."""
    near = (Neighbors(torch.ones(len(rows), len(rows[0])), torch.tensor(rows)) for rows in (pixels, before, after))
    return Neighborhood(*near, moved=torch.full((len(before),), 0.5))


def make_card(name="toy-cnn-standard", **changes):
    facts = {
        "model": "cnn",
        "dataset": "toy",
        "objective": "standard",
        "image_shape": (1, 4, 4),
        "classes": CLASSES,
        "mean": (0.5,),
        "std": (0.5,),
        "lsp": {"term": "vicinity"} if name.endswith("-lsp") else None,
        "config": {"eps": 0.1},
    }
    return Card(name, **{**facts, **changes})


CARDS = {name: make_card(name) for name in ("toy-cnn-standard", "toy-cnn-standard-lsp")}


def make_job(traces, attack=None, state="done", cards=None, label=0):
    models = tuple(LoadedModel(card.name, card.name, TinyNet(), card) for card in cards or CARDS.values())
    request = Request(models, torch.zeros(1, 4, 4), label, "toy 0", attack or PGD(0.1, steps=2))
    lanes = tuple(Lane(model, trace) for model, trace in zip(models, traces, strict=True))
    return Job(request, lanes, state=state)


def kept(count, of=200, start=0):
    """Which images survive: ``count`` of them."""
    return np.array([start <= place < start + count for place in range(of)])


def entry(survivors, name="pgd", label="PGD-20", eps=0.1, **changes):
    """An evaluation that all images of enter right and ``survivors`` leave right."""
    survivors = np.asarray(survivors, dtype=bool)
    n, left = len(survivors), int(survivors.sum())
    facts = {
        "name": name,
        "attack": "PGD",
        "label": label,
        "norm": "Linf",
        "eps": eps,
        "settings": {},
        "n": n,
        "clean_accuracy": 1.0,
        "clean_interval": wilson_interval(n, n),
        "robust_accuracy": left / n,
        "robust_interval": wilson_interval(left, n),
        "fooled_by": (Fooled(label, n - left),),
        "clean_correct": pack(np.ones(n, bool)),
        "robust_correct": pack(survivors),
        "forward_passes": 0,
        "backward_passes": 0,
        "seconds": 1.0,
        "dataset": "toy",
        "split": "test",
        "seed": 0,
    }
    return Entry(**{**facts, **changes})


NAMES = {"pgd": "PGD-20", "fast": FAST, "autoattack": "AutoAttack"}


def refereed(baseline=(100, 90, 88), lsp=(150, 140, 138), names=tuple(NAMES), of=200):
    """The evaluations of both twins: how many images each attack leaves."""
    return {
        twin: [entry(kept(count, of), name, NAMES[name]) for name, count in zip(names, counts, strict=False)]
        for twin, counts in zip(CARDS, (baseline, lsp), strict=True)
    }


def found(evaluations, cards=CARDS):
    return measured(evaluations, cards)


def audit(statuses=("pass", "warn", "pass"), **changes):
    """An audit of three checks; ``changes`` replace whatever of it."""
    names = ("outputs", "restarts", "known-answer controls")
    figures = {"left": 3, "curve": [0.5] * 9}
    checks = tuple(
        Check(name, status, f"{name} showed it.", "more than 1 point", "Carlini et al. 2019", figures)
        for name, status in zip(names, statuses, strict=True)
    )
    facts = {
        **{"checks": checks, "left_out": {"loss surface": "a picture"}, "n": 64, "seed": 0, "eps": 0.1, "norm": "Linf"},
        **{"form": "quick", "batch_size": 256, "clean_accuracy": 0.9, "clean_interval": (0.8, 0.95)},
        **{"robust_accuracy": 0.5, "robust_interval": (0.4, 0.6), "attacks": ("PGD-20",), "seconds": 3.0},
        **{"checkpoint": "toy", "weights": "f" * 64, "dataset": "toy", "split": "test", "device": "cpu"},
        **{"versions": {}, "date": "2026-11-22"},
    }
    return Audited(**{**facts, **changes})
