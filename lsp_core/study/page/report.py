"""The page of a study, written from the results alone: the same results give the same page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from lsp_core.store.files import replacing
from lsp_core.study.headline import headlines
from lsp_core.study.outcome import Outcome, read_outcomes
from lsp_core.study.page.brief import brief_lines
from lsp_core.study.page.canvas import available
from lsp_core.study.page.contents import contents
from lsp_core.study.page.curves import curve_plot
from lsp_core.study.page.machines import Machines
from lsp_core.study.page.markdown import accuracy_lines, cost_lines, difference_lines, neighbor_lines
from lsp_core.study.page.notation import QUESTION, notation
from lsp_core.study.page.scatter import scatter_plot
from lsp_core.study.preset import FOLDER, Grid, Preset, parse_preset
from lsp_core.study.summary import Table, tables

NO_PLOTS = "There are no plots, since altair and vl-convert-python, which draw them, were not there."


def write_report(out: Path) -> Path:
    """Write ``README.md`` and ``plots/*.svg`` of all presets that have a folder in ``out``.

    Plots that the page showed before, and does not show now, are removed.

    Returns:
        The path of the page.

    Raises:
        ValueError: naming the file, if a preset or a result cannot be read.
    """
    found = []
    for path in sorted(out.glob("*/preset.toml")):
        preset = parse_preset(path.parent.name, path.read_text(encoding="utf-8"))
        found.append((preset, read_outcomes(path.parent, preset)))
    top, short = ["# Study", "", QUESTION, ""], 0
    for preset, outcomes in found:
        if pairs := headlines(preset, outcomes):
            title = "## In short" if len(found) == 1 else f"## In short: {preset.name}"
            top += [title, "", *brief_lines(pairs, Machines.of(outcomes.values())), ""]
            short += 1
    below = ["## How to read it", ""]
    bench = "[the bench](bench.md)" if (out / "bench.md").is_file() else "the bench (`python -m lsp_core bench`)"
    for text in (*notation(bench), *([] if available() else [NO_PLOTS])):
        below += [text, ""]
    for preset, outcomes in found:
        below += _preset_lines(preset, outcomes, out)
    lines = [*top, *_links(out), *contents([*top, *below])[short:], "", *below]
    page, text = out / "README.md", "\n".join(lines).rstrip() + "\n"
    before = _plots(page.read_text(encoding="utf-8", errors="replace")) if page.is_file() else set()
    with replacing(page) as partial:
        partial.write_text(text, encoding="utf-8")
    for name in before - _plots(text) if available() else ():  # of a grid that is gone; undrawable plots stay
        (out / "plots" / name).unlink(missing_ok=True)
    return page


def _plots(page: str) -> set[str]:
    """Return the names of the plots that a page shows."""
    return set(re.findall(r"^!\[[^\]]*\]\(plots/([^/)]+\.svg)\)$", page, re.MULTILINE))


def _links(out: Path) -> list[str]:
    """Name the pages that belong to this one, if they are there."""
    pages = {"../docs/method.md": "What it means", "bench.md": "What it costs"}
    there = [f"[{title}]({name})" for name, title in pages.items() if (out / name).is_file()]
    return [f"{'. '.join(there)}.", ""] if there else []


def _preset_lines(preset: Preset, outcomes: Mapping[str, Outcome], out: Path) -> list[str]:
    name = preset.name if (FOLDER / f"{preset.name}.toml").is_file() else f"{preset.name}.toml"
    command = f"`python -m lsp_core study {name}`, which [this preset]({preset.name}/preset.toml) describes."
    machines = Machines.of(outcomes.values())
    lines = [f"## {preset.name}", "", command, "", *machines.lines(), ""]
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
            lines += _table_lines(table, grid, machines, again)
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


def _table_lines(table: Table, grid: Grid, machines: Machines, again: bool) -> list[str]:
    heading = f"#### {table.dataset}, {table.objective}, eps {' and '.join(table.radii)}"
    parts = [accuracy_lines(table, grid.seeds, machines), difference_lines(table, grid.seeds, machines)]
    if not again:
        parts += [neighbor_lines(table, machines), cost_lines(table, machines)]
    return [heading, "", *(line for part in parts if part for line in (*part, ""))]
