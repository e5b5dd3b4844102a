"""What the tests of a study's page share: presets, and results written by hand beside them."""

import json
import re

import numpy as np

from lsp_core.evaluation.entry import pack
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.study import parse_preset
from lsp_core.training import TrainConfig

N = 40
PRESET = """
seeds = [0, 1, 2]
n = 40
attacks = ["pgd", "fast", "autoattack"]

[[grid]]
title = "Main"
about = "Does it help?"
datasets = ["digits"]
objectives = ["pgd-at"]
[grid.variants]
baseline = {}
LSP = { lsp = {} }
"""
LABELS = {"pgd": "PGD-20", "fast": "a long list", "autoattack": "AutoAttack"}
METRICS = dict.fromkeys(("trustworthiness", "continuity", "knn_overlap"), 0.9)
NEAR = {"k": 10, "n": N, "clean": METRICS, "adversarial": METRICS, "kept": 0.5}
TIME = {"epoch": 2, "epochs": 4, "seconds_per_epoch": 1.0, "held_out": {}}
ABACUS = {"processor": "Abacus", "cores": 2, "threads": 1, "device": "beads", "versions": {"wood": "3"}}


def entry(name, right, eps=0.2, n=N, clean=36):
    """An evaluation in which the first ``right`` images stand."""
    label = LABELS.get(name, name)
    return {
        "name": name,
        "attack": "Any",
        "label": label,
        "norm": "Linf",
        "eps": eps,
        "settings": {},
        "n": n,
        "clean_accuracy": clean / n,
        "clean_interval": wilson_interval(clean, n),
        "robust_accuracy": right / n,
        "robust_interval": wilson_interval(right, n),
        "fooled_by": [{"label": label, "fooled": clean - right}],
        "clean_correct": pack(np.arange(n) < clean),
        "robust_correct": pack(np.arange(n) < right),
        "forward_passes": 1,
        "backward_passes": 1,
        "seconds": 1.0,
    }


def result(folder, preset, variant, seed, *, objective=None, eps=0.2, clean=36, attacks=None, **parts):
    """Write what is known of a run; ``attacks`` names how many images stand under each."""
    runs = (run for run in preset.runs() if (run.variant, run.seed) == (variant, seed))
    run = next(run for run in runs if objective in (None, run.objective))
    record = {
        "schema": "lsp-lab/run/2",
        "id": run.id,
        "dataset": run.dataset,
        "model": "cnn",
        "objective": run.objective,
        "variant": variant,
        "seed": seed,
        "config": TrainConfig(run.dataset, "cnn", run.objective, eps=eps, seed=seed).to_record(),
        "machine": {**ABACUS, "date": f"2026-01-0{seed + 1}"},
        "evaluations": [entry(name, right, eps, clean=clean) for name, right in (attacks or {}).items()],
    }
    if near := parts.get("preservation"):
        parts.setdefault("directions", {**near, "kept": near["kept"] / 2})
    path = folder / preset.name / f"{run.id}.json"
    path.write_text(json.dumps({**record, **parts}))
    return path


def put(folder, text=PRESET, name="mine"):
    """Put a preset down in a folder of results; return it with that folder."""
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "preset.toml").write_text(text)
    return parse_preset(name, text), folder


def rows(page, title="seeds", first="variant"):
    """The cells of the first table whose heading row begins with ``first`` and holds ``title``, by their first."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in page.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip().replace("\u00a0", " ") for cell in line] for line in lines]
    start = next(place for place, line in enumerate(cells) if line[0] == first and title in line)
    found = {}
    for line in cells[start + 2 :]:
        if line[0] == first or len(line) != len(cells[start]):
            break
        found[line[0]] = dict(zip(cells[start], line, strict=True))
    return found


def short(page):
    """The first table of the page."""
    return rows(page, "clean", "data set, objective")


def three_seeds(preset, out, **parts):
    for seed, right in enumerate((18, 26, 22)):
        result(out, preset, "baseline", seed, attacks={"pgd": 30, "fast": right}, **parts)
        result(out, preset, "LSP", seed, attacks={"pgd": 32, "fast": 28}, **parts)


def plotted(preset, out):
    """Write all that a plot can show."""
    for seed in range(3):
        for variant, right in (("baseline", 20), ("LSP", 28)):
            attacks = {"pgd": right + 2, "fast": right + seed}
            curve = [entry("pgd", right - 4 * step, 0.1 * step) for step in (1, 2, 3)]
            near = {**NEAR, "kept": 0.5 + seed / 10}
            result(out, preset, variant, seed, attacks=attacks, curve=curve, preservation=near)
