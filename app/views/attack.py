"""The main page: one image, two models, an attack that is watched step by step."""

from __future__ import annotations

import contextlib
from typing import Any

import streamlit as st

from app.figures.html import render
from app.figures.text import plain, sentence
from app.panels.fetch import offer_dataset
from app.panels.gallery import choose_picture
from app.panels.lanes import lane_names
from app.panels.link import open_link
from app.panels.marks import Pair, draw_marks
from app.panels.pair import SURE_CHOICE, choose_models, load_pair
from app.panels.settings import choose_attack, choose_blind, opening_attack
from app.panels.share import draw_share
from app.panels.stage import current_job, watch
from app.panels.table import LATE, PANELS
from app.panels.upload import uploaded_picture
from app.panels.welcome import draw_welcome
from app.state.images import Picture
from app.state.jobs import Job, Request
from app.state.shelf import catalogue
from lsp_core import Card, CheckpointError, DatasetError
from lsp_core.types import Attack


def main() -> None:
    """Draw the controls, attack where something new is to be seen, and draw the stage."""
    cards, problems = catalogue()
    if not cards:
        st.error(
            "There is no checkpoint to attack: train a pair with `python -m lsp_core train digits --out checkpoints`."
        )
        for problem in problems.values():
            st.warning(sentence(problem))
        st.stop()
    draw_welcome()
    open_link(cards)
    said: list[str] = st.session_state.get("link-problems", [])
    for problem in said:
        st.warning(sentence(problem))
    if said:
        st.button("I have read it", on_click=forget_problems, key="forget-problems")
    with st.container(key="bench"):
        panel, stage = st.columns([1, 2.9], gap="large")
    with stage, st.container(key="models"):
        names = choose_models(cards)
    with panel:
        request, asked, marks = choose(cards, names)
    with stage:
        job = current_job(request, asked)
        watch(job)
        with panel:
            draw_share(job)
        if not job.active and any(lane.trace is not None for lane in job.lanes):
            places = {key: st.container(key=key) for key in PANELS}
            for key in sorted(PANELS, key=LATE.__contains__):
                with places[key]:
                    drawn = PANELS[key](job)
                    for _ in drawn if key in LATE else ():
                        mark(marks, job)
            mark(marks, job)


def forget_problems() -> None:
    """Take away what was said of a link."""
    st.session_state["link-problems"] = []


def choose(cards: dict[str, Card], names: tuple[str, str]) -> tuple[Request, bool, Any]:
    """Draw the controls; return what is to be attacked, whether the button was pressed, and a place for marks."""
    st.html(render("controls"))
    with st.container():
        pair, picture = choose_subject(cards, names)
        marks = st.empty()
        picture = uploaded_picture(pair[0].card) or picture
    if picture is None:
        st.stop()
    blind = next((of.name for of in pair if not of.card.gradient), None)
    attack = choose_attack(pair[0].card) if blind is None else choose_blind(pair[0].card, blind)
    busy = "job" in st.session_state and st.session_state["job"].active
    asked = st.button("Attack both", key="run-attack", type="primary", width="stretch", disabled=busy)
    return Request(pair, picture.image, picture.label, picture.key, attack, picture.row), asked, marks


def choose_subject(cards: dict[str, Card], names: tuple[str, str]) -> tuple[Pair, Picture | None]:
    """Load the pair and draw its gallery, or that of another where this one cannot be; no picture if there is none."""
    try:
        pair = load_pair(names)
        return pair, choose_picture(pair, attack_before(pair))
    except DatasetError as error:
        st.info(sentence(str(error)))
        offer_dataset(cards[names[0]].dataset)
        if st.session_state.get("own") is not None:  # an upload needs no data set
            return pair, None
        pair = stand_in(cards, None)
    except ValueError as error:  # a damaged checkpoint, or one whose outputs are not finite
        st.error(sentence(str(error)))
        job: Job | None = st.session_state.get("job")
        pair = stand_in(cards, job.request.models if job else None)
    return pair, choose_picture(pair, attack_before(pair))


def attack_before(pair: Pair) -> Attack:
    """Return the attack that a pair is under on the page: the last, else the one that it opens with."""
    job: Job | None = st.session_state.get("job")
    known = job is not None and [of.digest for of in job.request.models] == [of.digest for of in pair]
    return job.request.attack if job is not None and known else opening_attack([of.card for of in pair])


def mark(place: Any, job: Job) -> None:
    """Draw what became of the gallery's images, as far as it is known; without test images there is nothing to mark."""
    with contextlib.suppress(DatasetError):
        draw_marks(place, job.request.models, lane_names(job), job.request.attack)


def stand_in(cards: dict[str, Card], former: Pair | None) -> Pair:
    """Return what is shown in place of a pair that cannot be: the one before it, else the digits twins.

    The digits need no data set beside the project. Without them the page ends here.
    """
    if former is None and SURE_CHOICE in cards:
        twin = cards[SURE_CHOICE].twin
        with contextlib.suppress(CheckpointError):
            former = load_pair((SURE_CHOICE, twin if twin in cards else SURE_CHOICE))
    if former is None:
        st.stop()
    st.caption(f"Until then the page shows {plain(former[0].name)} and {plain(former[1].name)}.")
    return former


main()
