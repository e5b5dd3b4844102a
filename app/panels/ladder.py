"""A ladder as HTML: one row an attack, both twins on one scale, so that a figure that falls is seen at once."""

from __future__ import annotations

from html import escape
from typing import Any

from app.figures.referee import Ladder, Rung
from app.panels.checklist import checklist
from app.state.audits import Audited
from lsp_core.radius import show_eps

SIGNS = {"holds": "✓", "wrong": "!", "": "·"}
TWINS = (("a", "baseline"), ("b", "LSP"))


def draw_ladder(ladder: Ladder, audits: dict[str, Audited]) -> str:
    """Return the card of one pair: the verdict in a sentence, the rungs, and the audits of both."""
    rungs = "".join(_rung(rung, ladder.rungs[0]) for rung in ladder.rungs)
    missing = "" if ladder.rungs[-1].kind == "AutoAttack" else _not_run()
    heads = "".join(f'<span class="cell {mark}"><i class="key"></i>{word}</span>' for mark, word in TWINS)
    audited = "".join(
        checklist(audits.get(name), f'<span class="who {mark}"><i class="key"></i>{word}</span>')
        for name, (mark, word) in zip(ladder.names, TWINS, strict=True)
    )
    return (
        f'<div class="card ladder"><div class="head"><b>{escape(ladder.objective)}</b> '
        f"{escape(ladder.norm)} {show_eps(ladder.eps)}</div>"
        f'<div class="verdict {ladder.kind}"><span class="sign">{SIGNS[ladder.kind]}</span>'
        f"<p>{escape(ladder.sentence)}</p></div>"
        f'<div class="rungs"><div class="rung legend"><span class="name"></span>'
        f'<span class="track"><small>0%</small><small>accuracy left</small><small>100%</small></span>'
        f'{heads}<span class="cell">LSP ahead by</span></div>{rungs}{missing}</div>{audited}</div>'
    )


def _rung(rung: Rung, first: Rung) -> str:
    marks = "".join(
        _mark(row, before, mark) for row, before, (mark, _) in zip(rung.rows, first.rows, TWINS, strict=True)
    )
    cells = "".join(_cell(row, mark) for row, (mark, _) in zip(rung.rows, TWINS, strict=True))
    return (
        f'<div class="rung {rung.kind.lower()}"><span class="name"><b>{escape(rung.short)}</b>'
        f'<small>{_protocol(rung)}</small></span><span class="track">{marks}</span>{cells}{_lead(rung)}</div>'
    )


def _mark(row: Any, before: Any, mark: str) -> str:
    ghost = "" if before is None else f'<i class="ghost {mark}" style="left:{before["robust"]:.2%}"></i>'
    if row is None:
        return ghost
    width = max(0.0, row["high"] - row["low"])
    return (
        f'{ghost}<i class="bar {mark}" style="left:{row["low"]:.2%};width:{width:.2%}"></i>'
        f'<i class="dot {mark}" style="left:{row["robust"]:.2%}"></i>'
    )


def _cell(row: Any, mark: str) -> str:
    if row is None:
        return f'<span class="cell {mark}"><b>–</b><small>not run</small></span>'
    return (
        f'<span class="cell {mark}"><b>{row["robust"]:.1%}</b>'
        f"<small>{100 * row['low']:.1f} to {100 * row['high']:.1f}</small></span>"
    )


def _lead(rung: Rung) -> str:
    lead = rung.lead
    if lead is None:
        return '<span class="cell"><b>–</b></span>'
    head, _, tail = lead.points.partition(" ")
    note = tail.strip("()") or ("" if lead.n else "on other images")
    return f'<span class="cell"><b>{head}</b><small>{note}</small></span>'


def _protocol(rung: Rung) -> str:
    rows = [row for row in rung.rows if row is not None]
    counts = " or ".join(str(count) for count in sorted({int(row["n"]) for row in rows}))
    seeds = " or ".join(str(int(seed)) for seed in sorted({row["seed"] for row in rows if row["seed"] == row["seed"]}))
    return f"n = {counts}{f', seed {seeds}' if seeds else ''}"


def _not_run() -> str:
    return (
        '<div class="rung absent"><span class="name"><b>AutoAttack</b><small>not run</small></span>'
        '<span class="track"></span></div>'
    )
