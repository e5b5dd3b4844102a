"""The page of a study, written from the results alone: the same results give the same page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lsp_core.attacks.describe import label
from lsp_core.attacks.fast import fast
from lsp_core.files import replacing
from lsp_core.study.canvas import available
from lsp_core.study.cells import accuracy_lines, cost_lines, neighbor_lines
from lsp_core.study.curves import curve_plot
from lsp_core.study.outcome import Outcome, read_outcomes
from lsp_core.study.preset import FOLDER, Grid, Preset, parse_preset
from lsp_core.study.scatter import scatter_plot
from lsp_core.study.summary import Table, tables

INTRO = (
    "Each row is a variant of the recipe, trained once per seed. Accuracies are percent of n test images, the same for "
    "every run, that are right before and under the attack. *a ± b* is the mean and the standard deviation over seeds; "
    "of a single seed the brackets hold Wilson's 95 % interval. Differences are in points and paired, image by image "
    "and seed by seed; their brackets hold the 95 % interval over test images, given these trainings (Newcombe 1998 of "
    "one seed, Bonett and Price 2012 of several), while the ± beside it is the spread over trainings. About one such "
    "interval in twenty misses by chance.",
    "PGD alone is never evidence. The fast ensemble is LSP Lab's own sequence "
    f"({label(fast(0.1))}), each attack on what the ones before left standing; AutoAttack is its authors' standard "
    "sequence, by their library. Every attack has the radius that the model was trained for, in Linf and pixel units.",
    "Neighbourhoods are those of the model's embedding: trustworthiness, continuity and k-NN overlap compare them with "
    "those of the clean pixels, clean → under PGD-20, and *kept* is the mean share of an image's neighbours in the "
    "embedding that it still has when it alone is attacked. 1 is best in each. They are measured twice: in the "
    "embedding as the last layer sees it, and in its directions alone (unit length), on which the structure terms act.",
)
NO_PLOTS = "There are no plots, since altair and vl-convert-python, which draw them, were not there."


def write_report(out: Path) -> Path:
    """Write ``README.md`` and ``plots/*.svg`` of all presets that have a folder in ``out``.

    Returns:
        The path of the page.

    Raises:
        ValueError: naming the file, if a preset or a result cannot be read.
    """
    lines = ["# Study", ""]
    for text in INTRO if available() else (*INTRO, NO_PLOTS):
        lines += [text, ""]
    for path in sorted(out.glob("*/preset.toml")):
        preset = parse_preset(path.parent.name, path.read_text(encoding="utf-8"))
        lines += _preset_lines(preset, read_outcomes(path.parent, preset), out)
    page = out / "README.md"
    with replacing(page) as partial:
        partial.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return page


def _preset_lines(preset: Preset, outcomes: Mapping[str, Outcome], out: Path) -> list[str]:
    name = preset.name if (FOLDER / f"{preset.name}.toml").is_file() else f"{preset.name}.toml"
    command = f"`python -m lsp_core study {name}`, which [this preset]({preset.name}/preset.toml) describes."
    lines = [f"## {preset.name}", "", command, ""]
    lines += [*_machines(outcomes.values()), ""] if outcomes else []
    found = [(grid, tables(grid, outcomes)) for grid in preset.grids]
    shown: set[str] = set()
    for place, (grid, there) in enumerate(found):
        lines += [f"### {grid.title}", "", *([grid.about, ""] if grid.about else []), _progress(grid, outcomes), ""]
        again = {run.id for run in grid.runs()} <= shown  # more attacks on runs that stand above
        shown |= {run.id for run in grid.runs()}
        if not again and len(grid.variants) <= 3:
            for dataset in dict.fromkeys(table.dataset for table in there):
                path = out / "plots" / f"{preset.name}-{place + 1}-{Path(dataset).name}.svg"
                own = [table for table in there if table.dataset == dataset]
                lines += _plot(curve_plot(own, path), f"{dataset}: accuracy against eps", out)
        for table in there:
            lines += _table_lines(table, grid, again)
    every = [table for _, there in found for table in there]
    path = out / "plots" / f"{preset.name}-neighbours.svg"
    scatter = _plot(scatter_plot(every, path), "robust accuracy against the neighbours that are kept", out)
    return lines + (["### Robustness and neighbourhoods", "", *scatter] if scatter else [])


def _plot(path: Path | None, what: str, out: Path) -> list[str]:
    return [f"![{what}]({path.relative_to(out).as_posix()})", ""] if path else []


def _progress(grid: Grid, outcomes: Mapping[str, Outcome]) -> str:
    runs = list(grid.runs())
    there = [outcomes[run.id] for run in runs if run.id in outcomes]
    done = sum(all(name in outcome.scores for name in grid.attacks) for outcome in there)
    begun = f", {len(there) - done} more in part" if len(there) > done else ""
    return f"{done} of {len(runs)} runs have been through every attack{begun}."


def _machines(outcomes: Iterable[Outcome]) -> list[str]:
    """Say on what the runs were made, machine by machine, and when."""
    dates = defaultdict(list)
    for outcome in outcomes:
        about = outcome.machine
        used = ", ".join(f"{name} {number}" for name, number in dict(about.get("versions") or {}).items())
        parts = [str(about.get("processor", "unknown processor"))]
        parts += [_count(about[f"{noun}s"], noun) for noun in ("core", "thread") if about.get(f"{noun}s")]
        what = f"{', '.join(parts)}, device {about.get('device', 'unknown')}{'; ' if used else ''}{used}"
        dates[what].append(str(about.get("date", "")))
    return [f"- {what}: {_days(days)} ({_count(len(days), 'run')})." for what, days in sorted(dates.items())]


def _days(dates: Sequence[str]) -> str:
    first, last = min(dates), max(dates)
    return first if first == last else f"{first} to {last}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _table_lines(table: Table, grid: Grid, again: bool) -> list[str]:
    heading = f"#### {table.dataset}, {table.objective}, eps {' and '.join(table.radii)}"
    parts = [accuracy_lines(table, len(grid.seeds))]
    if not again:
        parts += [neighbor_lines(table), cost_lines(table)]
    return [heading, "", *(line for part in parts if part for line in (*part, ""))]
