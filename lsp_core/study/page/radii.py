"""A page of radii: every pair of twins, what was proved of them, where they were seen fooled, and what LSP changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from lsp_core.certify.radii import RADII, Radii, median
from lsp_core.evaluation.intervals import median_interval, paired_interval
from lsp_core.radius import show_eps
from lsp_core.store.card import twin_of
from lsp_core.store.schema import read
from lsp_core.study.page.cells import cell
from lsp_core.study.page.report import render_page
from lsp_core.types import Record

Twins = tuple[Radii, Radii]


def radii_page(folder: Path) -> str:
    """Return the page of all results of ``certify --json`` in a folder.

    Raises:
        SchemaError: if a file there is no such result.
    """
    return page_of([read(Radii, path) for path in sorted(folder.glob("*.json"))])


def page_of(results: Sequence[Radii]) -> str:
    """Return a page with a table for each data set, norm, n and seed, and in it a row for each pair of twins."""
    groups: dict[tuple[str, str, int, int], dict[str, Radii]] = {}
    for one in results:
        groups.setdefault((one.dataset, one.norm, one.n, one.seed), {})[one.checkpoint] = one
    attack = " or ".join(sorted({one.attack for one in results if one.attack})) or "an attack"
    tables = [_group(list(group.values())) for _, group in sorted(groups.items())]
    return render_page("radii.md.jinja", {"attack": attack, "groups": [one for one in tables if one["rows"]]})


def _group(results: Sequence[Radii]) -> Record:
    first, named = results[0], {one.checkpoint: one for one in results}
    pairs = [
        (one, named[twin]) for name, one in named.items() if (twin := twin_of(name)) in named and len(twin) > len(name)
    ]
    radii = RADII[first.norm]
    head = ["baseline", "proved", "found", *(f"certified at {show_eps(eps)}" for eps in radii), "seconds an image"]
    smallest = " --smallest" if any(one.found for one in results) else ""
    return {
        "dataset": first.dataset,
        "norm": first.norm,
        "n": first.n,
        "seed": first.seed,
        "command": f"lsp certify checkpoints/NAME.safetensors --norm {first.norm} --n {first.n} --seed {first.seed}"
        f"{smallest} --json FOLDER/NAME.json",
        "head": f"{_line(head)}\n{_line(['---'] * len(head))}",
        "rows": [_line(_cells(pair, radii)) for pair in pairs],
    }


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(pair: Twins, radii: Sequence[float]) -> list[str]:
    before, after = pair
    proved = _medians(list(before.proved), list(after.proved))
    found = _medians(before.smallest, after.smallest) if before.found and after.found else "not looked for"
    seconds = " → ".join(f"{(one.proved_seconds + one.found_seconds) / one.n:.1f}" for one in pair)
    return [
        cell(text) for text in (before.checkpoint, proved, found, *(_certified(pair, eps) for eps in radii), seconds)
    ]


def _certified(pair: Twins, eps: float) -> str:
    before, after = (100 * one.accuracy(eps)[0] for one in pair)
    low, high = (100 * bound for bound in paired_interval(pair[1].certified(eps), pair[0].certified(eps)))
    return f"{before:.1f} → {after:.1f}<br>{after - before:+.1f} ({low:+.1f} to {high:+.1f})"


def _medians(before: list[float], after: list[float]) -> str:
    # Where neither was fooled there is no difference to speak of.
    gains = [0.0 if one == two else two - one for one, two in zip(before, after, strict=True)]
    gain, (low, high) = median(gains)[0], median_interval(gains)
    interval = f"({low:+.3f} to {high:+.3f})" if math.isfinite(low) else "(too few images for an interval)"
    return f"{median(before)[0]:.3f} → {median(after)[0]:.3f}<br>{gain:+.3f} {interval}"
