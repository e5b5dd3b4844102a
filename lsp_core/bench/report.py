"""The bench as a page to read, and on what machine it ran."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from lsp_core.bench.pair import Extent
from lsp_core.bench.timing import Measurement, Timing
from lsp_core.store import provenance
from lsp_core.types import Record

SCHEMA = "lsp-lab/bench/1"
HEADINGS = ("what", "against", "ours", "theirs", "ratio", "processor time", "runs", "finding", "goal")
GOALS = ("what", "against", "time, ours over theirs", "goal", "finding")
ABOUT = {
    "pgd": "PGD from the image itself, with the same steps and step size on both sides, and the verdict at its end. "
    "Ours attacks batches side by side on every core and takes an example that any iterate fools out; foolbox and the "
    "plain loop judge the last iterate alone, with every thread in each pass. By way of bfloat16: the way is sought "
    "in it, and in float32 again by what it brought near the border. Goal, at the radius of the training: no example "
    "that only foolbox fools, in 0.5 of its time on a plain model and 0.65 on a robust one; by way of bfloat16 in 0.3 "
    "and 0.35.",
    "ensemble": "Our fast ensemble on every core and AutoAttack standard with every thread, on the same images. Goal: "
    "at most 0.2 points fewer examples fooled and one that only AutoAttack fools, in a tenth of the time.",
    "cores": "The same images by as many workers as there are cores, by one, and one batch at a time that all threads "
    "share. Goal: 0.9 of one worker's speed for each worker, the same bits, and no slower than threads.",
    "scale": "A large network on drawn images: what attacks and adversarial training add to bare passes. Goal, on a "
    "GPU: attacks at 0.9 and training at 0.85 of the rate of bare passes. On a processor a few images only show that "
    "it runs.",
    "metrics": "Neighbourhood metrics and scikit-learn's, on training images and the plain model's embedding of them.",
    "training": "The training loop's own step with the recipe's settings: what LSP adds to it, and what the step adds "
    "to one forward and backward pass of the batch.",
    "passes": "PGD steps, no early stop, and as many bare forward and backward passes: what the attack itself costs.",
    "growth": "How the cost grows with one thing at a time, beside what the smallest size leads one to expect. An "
    "evaluation (PGD that takes every step; drawn images, the small CNN, one worker) should take time in proportion to "
    "the images and to the square of the side, the same for any classes, and one over the workers; a search for the "
    "nearest neighbours of all points in proportion to their square. Memory is what is taken beyond what was there. "
    "Goal: at most 1.15 times the time in proportion to the images, and at most 64 MB more than the smallest takes.",
}


def machine(device: str) -> Record:
    """Describe what the figures depend on, and nothing that says whose machine it is."""
    about = provenance.Machine.of(device).to_record()
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {**about, "load_before": load, "versions": {**about["versions"], **_rivals()}}


def to_record(rows: Iterable[Measurement], about: Record, extent: Extent, absent: list[str]) -> Record:
    """Return the bench for JSON."""
    entries = [row.to_record() for row in rows]
    return {
        "schema": SCHEMA,
        "machine": about,
        "settings": extent.to_record(),
        "absent_data": absent,
        "rows": entries,
    }


def to_markdown(
    rows: list[Measurement], about: Record, extent: Extent, absent: list[str], plots: Mapping[str, str] | None = None
) -> str:
    """Write the bench as a page; ``plots`` has links by part."""
    used = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    lines = [
        "# Bench",
        "",
        f"{about['date']}; {about['processor']}, {about['cores']} cores, {about['threads']} threads, device "
        f"{about['device']}, load before the start {about['load_before']}; {used}.",
        "",
        "Both sides took turns in one process. A time is the median of its runs with the lowest and the highest; a "
        "ratio is our median over theirs, below 1 is faster, with the range over single turns; processor time is the "
        f"same ratio for the work of all threads. Random choices: seed {extent.seed}. Images under attack are test "
        "images that the model gets right.",
    ]
    if absent:
        lines += ["", f"Left out, since the data was not there: {', '.join(absent)}."]
    goals = [row for row in rows if row.limit is not None]
    if goals:
        met = sum(bool(row.met) for row in goals)
        lines += ["", "## Goals", "", f"{met} of {len(goals)} are met. A goal wants speed and a finding as good.", ""]
        lines += [_line(GOALS), _line(["---"] * len(GOALS))]
        lines += [_line(goal(row)) for row in goals]
    for part in dict.fromkeys(row.part for row in rows):
        lines += ["", f"## {part}", "", ABOUT[part], ""]
        if plots and part in plots:
            lines += [f"![{part}]({plots[part]})", ""]
        some = [row for row in rows if row.part == part]
        lines += [f"<details><summary>{len(some)} measurements</summary>", ""]
        lines += [_line(HEADINGS), _line(["---"] * len(HEADINGS)), *(_line(cells(row)) for row in some)]
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def goal(row: Measurement) -> list[str]:
    """Write a row that has a goal as the columns of ``GOALS``."""
    verdict = f"{'**met**' if row.met else 'missed'}, {row.limit:.2g} or less"
    return [row.what, row.against, f"{row.ratio:.2f}", verdict, row.finding]


def cells(row: Measurement) -> list[str]:
    """Write a row as the columns of ``HEADINGS``."""
    low, high = row.ratio_range
    goal = "" if row.limit is None else f"{'met' if row.met else 'not met'} (at most {row.limit:.2g})"
    ratio = f"{row.ratio:.2f} ({low:.2f} to {high:.2f})"
    times = [_show(row.ours), _show(row.theirs)]
    return [row.what, row.against, *times, ratio, f"{row.cpu_ratio:.2f}", str(len(row.ours.wall)), row.finding, goal]


def _show(timing: Timing) -> str:
    """Write a median and its range, in seconds or milliseconds."""
    unit, factor = ("s", 1.0) if timing.median >= 1 else ("ms", 1000.0)
    low, middle, high = (f"{factor * value:.3g}" for value in (min(timing.wall), timing.median, max(timing.wall)))
    return f"{middle} {unit} ({low} to {high})"


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _rivals() -> dict[str, str]:
    found = {}
    for name in ("foolbox", "pyautoattack"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
