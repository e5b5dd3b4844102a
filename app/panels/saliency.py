"""Which pixels the prediction of each model hangs on, before and after the attack."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import streamlit as st

from app.figures.html import render
from app.figures.pictures import data_uri, heat
from app.figures.text import sentence
from app.panels.lanes import lane_names
from app.state.jobs import Job
from app.state.maps import Mapping, mappings, wait_for
from lsp_core.explain.saliency import METHODS, Method
from lsp_core.explain.trust import RADIUS

GLANCE, PATIENCE = 0.2, 1.0  # seconds between two looks, and until Stop is offered
WITHOUT_GRADIENT = ("Occlusion",)
SHARE = 0.99  # of the pixels lie below full colour


def draw_saliency(job: Job) -> None:
    """Draw the maps of the clean and of the adversarial image, on one scale for both models."""
    left, right = st.columns([2, 2], vertical_alignment="bottom")
    left.subheader("Where does each model look?", anchor=False)
    blind = not all(lane.model.card.gradient for lane in job.lanes)
    offered = [name for name in METHODS if name in WITHOUT_GRADIENT or not blind]
    if st.session_state.get("method") not in offered:
        st.session_state["method"] = offered[0]
    shape = tuple(job.request.image.shape)
    right.selectbox(
        "Saliency method",
        offered,
        format_func=lambda name: f"{name} · {_cost(METHODS[name], shape)}",
        key="method",
        persist_state="session",
        label_visibility="collapsed",
    )
    name = st.session_state["method"]
    method, found = METHODS[name], mappings(job).of(name)
    if method.caution:
        st.warning(method.caution, icon=":material/warning:")
    watch([one for one in found if one.maps is None])
    names = [own for own, lane in zip(lane_names(job), job.lanes, strict=True) if lane.trace is not None]
    if problem := next((one.problem for one in found if one.problem and one.maps is None), ""):
        st.caption(f"There are no maps to show: {sentence(problem)}")
        st.button("Try again", key="try-saliency", on_click=_try_again, args=(found,))
        return
    maps = [one.maps for one in found if one.maps is not None]
    scale = float(np.quantile(np.abs(np.concatenate(maps)), SHARE))
    cards = st.empty()

    def draw() -> None:
        drawn = [_card(own, one, scale) for own, one in zip(names, found, strict=True)]
        cards.html(render("saliency", cards=drawn))

    draw()
    st.caption(
        f"{name} by {method.by}. {method.note}; full colour is {scale:.2g} {method.unit} and beyond, for both models "
        "and all pictures. A saliency map is a hint, not evidence."
    )
    st.button("How far can the maps be trusted?", key="trust", on_click=_ask, args=(found,), type="tertiary")
    if any(one.work is not None and not one.work.done() for one in found):
        watch(found)
        draw()


def watch(found: list[Mapping]) -> None:
    """Wait for what was begun; where it takes long, say how far it is and offer to stop it."""
    place, button, began = st.empty(), st.empty(), time.monotonic()
    offered = False
    while not wait_for(found, GLANCE):
        if time.monotonic() - began < PATIENCE:
            place.caption("Working it out …")  # here Streamlit sees whether somebody wants something else
            continue
        seen, passes = sum(one.seen for one in found), sum(one.passes for one in found)
        place.progress(min(1.0, seen / max(1, passes)), f"{seen} of {passes} passes" if seen else "Working it out …")
        if not offered:
            button.button("Stop", key="stop-saliency", on_click=_stop, args=(found,))
            offered = True
    place.empty()
    button.empty()


def _cost(method: Method, shape: tuple[int, ...]) -> str:
    count = method.passes(shape)
    return f"{count} pass{'' if count == 1 else 'es'} an image"


def _stop(found: list[Mapping]) -> None:
    for one in found:
        one.stop()


def _try_again(found: list[Mapping]) -> None:
    for one in found:
        one.begin(one.draw_maps)


def _ask(found: list[Mapping]) -> None:
    for one in found:
        one.begin(one.measure_trust)


def _card(name: str, one: Mapping, scale: float) -> dict[str, Any]:
    assert one.maps is not None
    classes, clean, attacked = one.lane.model.card.classes, one.trace.image.numpy(), one.trace.adversarial.numpy()
    before, after = one.maps
    shown = (
        ("clean", clean, before, f"clean: why “{classes[one.targets[0]]}”"),
        ("attacked", attacked, after, f"attacked: why “{classes[one.targets[1]]}”"),
        ("change", attacked, after - before, "what the attack changed"),
    )
    trusted = None
    if one.trusted is not None:
        rows = zip(("clean", "attacked"), one.trusted, strict=True)
        trusted = [
            {
                "which": which,
                "sensitivity": f"{100 * found.sensitivity:.0f} %",
                "infidelity": "no meaning here" if found.infidelity is None else f"{found.infidelity:.2f}",
            }
            for which, found in rows
        ]
    return {
        "name": name,
        "maps": [
            {"which": which, "picture": data_uri(heat(found, scale, image)), "label": label}
            for which, image, found, label in shown
        ],
        "trusted": trusted,
        "radius": RADIUS,
    }
