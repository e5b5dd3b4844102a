"""Which pixels the prediction of each model hangs on, before and after the attack."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from app.figures.html import render
from app.figures.pictures import data_uri, heat
from app.panels.lanes import lane_names
from app.state.cores import both
from app.state.jobs import Job, Lane
from app.state.worked import saliency_maps
from lsp_core.explain.saliency import METHODS
from lsp_core.explain.trace import Trace


def draw_saliency(job: Job) -> None:
    """Draw the maps of the clean and of the adversarial image, on one scale for both models."""
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    left.subheader("Where does each model look?", anchor=False)
    st.session_state.setdefault("method", next(iter(METHODS)))
    right.segmented_control(
        "Saliency method",
        list(METHODS),
        key="method",
        persist_state="session",
        required=True,
        label_visibility="collapsed",
    )
    method = st.session_state["method"]
    named = zip(lane_names(job), job.lanes, strict=True)
    there = [(name, lane, lane.trace) for name, lane in named if lane.trace is not None]
    found = both(lambda one: _maps(job, one[1], one[2], method), there)
    shown = [(*one, maps) for one, maps in zip(there, found, strict=True)]
    scale = float(np.quantile(np.abs(np.concatenate([maps for *_, maps in shown])), 0.99))
    st.html(render("saliency", cards=[_card(name, lane, trace, maps, scale) for name, lane, trace, maps in shown]))
    st.caption(
        f"{method} by {METHODS[method].by}. {METHODS[method].note}; both models share one colour scale. "
        "A saliency map is a hint, not evidence."
    )


def _guesses(trace: Trace) -> tuple[int, int]:
    """Return the classes that the maps speak of: what the model takes the clean and the attacked image for."""
    return int(trace.clean.argmax()), trace.predicted[trace.final]


def _maps(job: Job, lane: Lane, trace: Trace, method: str) -> NDArray[np.float32]:
    images = torch.stack([trace.image, trace.adversarial])
    key = f"{lane.model.digest} {job.request.picture} {job.request.attack} {trace.final}"
    return saliency_maps(lane.model, images, _guesses(trace), method, key)


def _card(name: str, lane: Lane, trace: Trace, maps: NDArray[np.float32], scale: float) -> dict[str, Any]:
    classes, images = lane.model.card.classes, (trace.image, trace.adversarial)
    shown = zip(("clean", "attacked"), images, maps, _guesses(trace), strict=True)
    return {
        "name": name,
        "maps": [
            {"which": which, "picture": data_uri(heat(found, scale, image.numpy())), "label": classes[guess]}
            for which, image, found, guess in shown
        ],
    }
