"""The report of an evaluation: one HTML file with the ruling, the curves, the figures behind them, and the weights."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from app.figures import export
from app.figures.chart import accuracy_chart
from app.figures.html import render
from app.figures.lead import twin_sentences
from app.figures.measured import Measured, largest
from app.figures.protocol import protocol, the_rule
from app.figures.referee import ladders
from app.figures.rows import rows
from app.panels.ladder import ladder_card
from app.state.shelf import weights_of
from lsp_core.audit import Audited
from lsp_core.store.provenance import today, versions

STYLE = Path(__file__).parents[2] / "static" / "style.css"


def offer_report(chosen: Sequence[Measured], whole: Sequence[Measured], audited: Mapping[str, Audited]) -> None:
    """Draw the button; the file is made when it is pressed."""
    names = dict.fromkeys(one.checkpoint for one in whole)
    weights = {name: weights_of(name) for name in names}
    st.download_button(
        "The report: one HTML file",
        partial(evaluation_report, list(chosen), list(whole), dict(audited), weights),
        f"lsp-lab-{whole[0].card.dataset}.html".replace("/", "-"),
        "text/html",
        key="download-report",
        on_click="ignore",
        icon=":material/description:",
    )


def evaluation_report(
    chosen: Sequence[Measured], whole: Sequence[Measured], audited: Mapping[str, Audited], weights: Mapping[str, str]
) -> bytes:
    """Return the report.

    Args:
        chosen: the records of the attack that is shown.
        whole: the records of all attacks on the same checkpoints.
        audited: the audit of each checkpoint.
        weights: sha256 of each checkpoint's weights.
    """
    climbed, table = ladders(whole), rows(chosen)
    parts = []
    if climbed:
        parts.append(render("ladders", ladders=[ladder_card(ladder, audited) for ladder in climbed], rule=the_rule()))
    chart = export.svg(accuracy_chart(largest(chosen)))
    markup = render(
        "evaluation",
        style=STYLE.read_text(encoding="utf-8"),
        dataset=whole[0].card.dataset,
        attack=chosen[0].short,
        parts=parts,
        sentences=[_unmarked(said) for said in twin_sentences(chosen)],
        chart=f"data:image/svg+xml;base64,{base64.b64encode(chart).decode()}",
        protocol=protocol(chosen, whole),
        columns=list(table[0]),
        rows=table,
        weights=weights,
        versions=versions(),
        date=today(),
    )
    return markup.encode()


def _unmarked(said: str) -> str:
    """Return a sentence of Markdown as text."""
    return said.replace("**", "").replace("\\", "")
