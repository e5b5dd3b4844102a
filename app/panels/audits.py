"""The audits of several checkpoints, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app.figures.html import render
from app.figures.summary import training_of
from app.panels.checklist import checklist
from lsp_core import Card
from lsp_core.audit import Audited


def draw_audits(names: Sequence[str], cards: Mapping[str, Card], audited: Mapping[str, Audited]) -> None:
    """Draw the audits of those checkpoints that have one."""
    there = [name for name in names if name in audited]
    if not there:
        return
    st.subheader("Do attacks fail for another reason?", anchor=False)
    drawn = [{"name": name, "training": training_of(cards[name]), "audit": checklist(audited[name])} for name in there]
    with st.container(key="audits"):
        st.html(render("audits", cards=drawn))
