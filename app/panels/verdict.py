"""The outcome for each model in one sentence, in colour."""

from __future__ import annotations

import streamlit as st

from app.figures.html import render
from app.figures.outcome import tell_afterwards, tell_outcome
from app.figures.text import sentence
from app.panels.lanes import lane_names
from app.state.jobs import Job, Lane

SIGNS = {"holds": "✓", "fooled": "✕", "wrong": "!", "": "·"}


def draw_verdict(job: Job) -> None:
    """Draw one sentence per model, and before them what kept the attack from its end."""
    with st.container(key="verdict"):
        if job.state == "failed":
            st.error(sentence(job.problem))
        if job.state == "stopped":
            st.caption(f"Stopped after {job.steps_done} of {job.most_steps} steps; what is there is shown.")
        st.html(verdicts(job))


def verdicts(job: Job) -> str:
    """Return both sentences as HTML."""
    told = [(name, *_told(job, lane)) for name, lane in zip(lane_names(job), job.lanes, strict=True)]
    return render(
        "verdicts",
        verdicts=[
            {"name": name, "kind": kind, "sign": SIGNS[kind], "sentence": sentence} for name, kind, sentence in told
        ],
    )


def _told(job: Job, lane: Lane) -> tuple[str, str]:
    if lane.trace is None:
        return "", "waiting …" if job.active else "not attacked."
    outcome = tell_outcome(lane.trace, lane.model.card.classes, job.request.label is not None)
    return outcome.kind, outcome.sentence


def told_afterwards(job: Job) -> list[str]:
    """Return what is to be said of each adversarial image elsewhere: by the other model, and rounded to 8 bits."""
    first, second = lane_names(job)
    sentences = []
    for lane, own, other in zip(job.lanes, (first, second), (second, first), strict=True):
        if lane.trace is not None and lane.afterwards is not None:
            sentences += tell_afterwards(lane.trace, lane.afterwards, lane.model.card.classes, own, other)
    return sentences
