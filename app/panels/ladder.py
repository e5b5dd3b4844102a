"""The ladders: one row an attack, both twins on one scale, so that a figure that falls is seen at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.figures.html import render
from app.figures.measured import Measured
from app.figures.naming import referee_name
from app.figures.protocol import beneath, the_rule
from app.figures.referee import Ladder, Rung
from app.panels.checklist import checklist
from lsp_core.audit import Audited

SIGNS = {"holds": "✓", "wrong": "!", "unsure": "?", None: "·"}
TWINS = (("a", "baseline"), ("b", "LSP"))


def draw_ladders(found: Sequence[Ladder], audits: Mapping[str, Audited]) -> None:
    """Draw a card for each pair, and below them how they are to be read."""
    with st.container(key="referee"):
        st.html(render("ladders", ladders=[ladder_card(ladder, audits) for ladder in found], rule=the_rule()))
    st.caption(beneath(found))


def ladder_card(ladder: Ladder, audits: Mapping[str, Audited]) -> dict[str, Any]:
    """Return what the template draws of one pair: the ruling in a sentence, the rungs, and the audits of both."""
    rungs = [_rung(rung, ladder.rungs[0]) for rung in ladder.rungs]
    if ladder.rungs[-1].role != "referee":
        rungs.append({"role": "absent", "short": referee_name(), "protocol": "not run", "twins": []})
    return {
        "objective": ladder.objective,
        "norm": ladder.norm,
        "eps": ladder.eps,
        "kind": ladder.ruling or "",
        "sign": SIGNS[ladder.ruling],
        "sentence": ladder.sentence,
        "rungs": rungs,
        "twins": [
            {"mark": mark, "word": word, "audit": checklist(audits.get(name))}
            for name, (mark, word) in zip(ladder.names, TWINS, strict=True)
        ],
    }


def _rung(rung: Rung, first: Rung) -> dict[str, Any]:
    trio = zip(rung.figures, first.figures, TWINS, strict=True)
    lead = rung.lead
    head, _, tail = lead.points.partition(" ") if lead else ("–", "", "")
    return {
        "role": rung.role,
        "short": rung.short,
        "protocol": _protocol(rung),
        "twins": [{"mark": mark, **_place(one), "ghost": _share(before)} for one, before, (mark, _) in trio],
        "lead": head,
        "lead_note": None if lead is None else tail.strip("()") or ("" if lead.n else "on other images"),
    }


def _share(one: Measured | None) -> str | None:
    return None if one is None else f"{100 * one.entry.robust_accuracy:.2f}"


def _place(one: Measured | None) -> dict[str, str | None]:
    """Return where an evaluation stands on the scale, in percent, and what is said of it."""
    if one is None:
        return {"robust": None, "low": None, "width": None, "said": "–", "interval": "not run"}
    low, high = (100 * bound for bound in one.entry.robust_interval)
    return {
        "robust": _share(one),
        "low": f"{low:.2f}",
        "width": f"{max(0.0, high - low):.2f}",
        "said": f"{one.entry.robust_accuracy:.1%}",
        "interval": f"{low:.1f} to {high:.1f}",
    }


def _protocol(rung: Rung) -> str:
    counts = " or ".join(map(str, sorted(rung.counts)))
    drawn = {one.entry.seed for one in rung.figures if one is not None and one.entry.seed is not None}
    seeds = " or ".join(map(str, sorted(drawn)))
    return f"n = {counts}, seed {seeds}" if seeds else f"n = {counts}"
