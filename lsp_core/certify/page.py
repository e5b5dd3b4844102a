"""A page of radii: every twin, what was proved of it and where it was seen fooled, and what LSP changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from lsp_core.certify.radii import RADII, Radii, median
from lsp_core.evaluation.intervals import median_interval, paired_interval
from lsp_core.radius import show_eps
from lsp_core.store.card import twin_of
from lsp_core.store.schema import read

INTRODUCTION = """# Radii

Up to which radius is an image safe for sure, and from which on was the model seen fooled? *Proved*: no image within this
radius gets another class. That is a bound by linear relaxation (CROWN, Zhang et al. 2018), in float64 with outward margins,
and no attack has a part in it. *Found*: the closest image that {attack} found to be classified otherwise; there may be closer
ones that nobody found. What lies between the two is not known. That gap belongs to the method, not to the model.

Each cell has the baseline → its LSP twin, which differs in nothing but the LSP term, and below it the paired difference
with its 95 % interval over other test images, given these very trainings (of one seed). Radii are medians over all images, in
pixel units, 0 where the model is wrong already or nothing is proved; their difference is the median of the images'
differences, with an interval of order statistics (Thompson 1936). Certified accuracy is the percent of the images
that are right and proved to stay so (difference in points, Newcombe 1998).
"""


def page_of(folder: Path) -> str:
    """Return the page of all results in a folder.

    Raises:
        SchemaError: if a file there is no such result.
    """
    return page([read(Radii, path) for path in sorted(folder.glob("*.json"))])


def page(results: Sequence[Radii]) -> str:
    """Return a page, with a table for each data set, norm, n and seed, and a row for each pair of twins in it."""
    attack = " or ".join(sorted({one.attack for one in results if one.attack})) or "an attack"
    parts = [INTRODUCTION.format(attack=attack)]
    groups: dict[tuple[str, str, int, int], dict[str, Radii]] = {}
    for one in results:
        groups.setdefault((one.dataset, one.norm, one.n, one.seed), {})[one.checkpoint] = one
    for (dataset, norm, n, seed), group in sorted(groups.items()):
        smallest = " --smallest" if any(one.found for one in group.values()) else ""
        command = f"lsp certify checkpoints/NAME.safetensors --norm {norm} --n {n} --seed {seed}{smallest} --json FOLDER/NAME.json"
        parts.append(
            f"## {dataset}, {norm}\n\nn = {n} test images, seed {seed}: `{command}`, and `--page` for this page.\n"
        )
        parts.append(_table(group))
    return "\n".join(parts)


def _table(group: dict[str, Radii]) -> str:
    radii = RADII[next(iter(group.values())).norm]
    head = ["baseline", "proved", "found", *(f"certified at {show_eps(eps)}" for eps in radii), "seconds an image"]
    lines = [head, ["---"] * len(head)]
    for name, baseline in group.items():
        twin = group.get(twin_of(name))
        if twin is not None and not name.endswith("-lsp"):
            seconds = (f"{(one.proved_seconds + one.found_seconds) / one.n:.1f}" for one in (baseline, twin))
            lines.append([name, *_cells(baseline, twin, radii), " → ".join(seconds)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(baseline: Radii, twin: Radii, radii: Sequence[float]) -> list[str]:
    cells = [_medians(list(baseline.proved), list(twin.proved))]
    cells.append(_medians(baseline.smallest, twin.smallest) if baseline.found and twin.found else "not looked for")
    for eps in radii:
        before, after = (100 * one.accuracy(eps)[0] for one in (baseline, twin))
        low, high = (100 * bound for bound in paired_interval(twin.certified(eps), baseline.certified(eps)))
        cells.append(f"{before:.1f} → {after:.1f}<br>{after - before:+.1f} ({low:+.1f} to {high:+.1f})")
    return cells


def _medians(before: list[float], after: list[float]) -> str:
    # Where neither was fooled there is no difference to speak of.
    gains = [0.0 if one == two else two - one for one, two in zip(before, after, strict=True)]
    gain, (low, high) = median(gains)[0], median_interval(gains)
    shown = f"({low:+.3f} to {high:+.3f})" if math.isfinite(low) else "(too few images for an interval)"
    return f"{median(before)[0]:.3f} → {median(after)[0]:.3f}<br>{gain:+.3f} {shown}"
