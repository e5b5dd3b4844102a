"""How far can each model be trusted with this image: proved, not known, fooled, on one bar a model."""

from __future__ import annotations

import time
from typing import Any

import streamlit as st

from app.figures.html import render
from app.figures.pictures import data_uri, to_pixels
from app.figures.radii import Reach, bar, scale, tick
from app.figures.text import sentence
from app.panels.lanes import lane_names
from app.state.jobs import Job, Lane
from app.state.quests import Kind, Quest, begin

GLANCE = 0.25  # seconds between two looks at what goes on
QUICK = 0.8  # seconds to wait for a short search before the page is drawn without its end
BUTTONS: dict[Kind, tuple[str, str]] = {
    "proved": (
        "Prove how far it is safe",
        "Bounds by linear relaxation (CROWN): a second for digits, minutes for larger images.",
    ),
    "smallest": ("Find from where on it is fooled", "The closest image that our attack finds; about a second."),
}


def draw_radii(job: Job) -> None:
    """Draw a button for either end of the bars, and the bars as far as they are known."""
    st.subheader("How far can each be trusted with this image?", anchor=False)
    lanes = [lane for lane in job.lanes if lane.trace is not None]
    quests = _quests(job)
    blind = not all(lane.model.card.gradient for lane in lanes)
    if blind:
        st.caption("Neither end can be looked for where a model has no gradient with respect to the pixels.")
    columns = st.columns(2)
    for column, kind in zip(columns, BUTTONS, strict=True):
        words, about = BUTTONS[kind]
        mine = [quest for quest in quests if quest.kind == kind]
        over = any(quest.active for quest in mine) or (bool(mine) and all(quest.state == "done" for quest in mine))
        if column.button(words, key=kind, help=about, disabled=over or blind, width="stretch"):
            quests = [quest for quest in quests if quest.kind != kind] + [_begin(job, lane, kind) for lane in lanes]
            st.session_state["quests"] = (_identity(job), quests)
            _wait(quests, QUICK)
            st.rerun()
    running = any(quest.active for quest in quests)

    @st.fragment(run_every=GLANCE if running else None)
    def look() -> None:
        for quest in quests:
            quest.looked_at = time.monotonic()
        active = [quest for quest in quests if quest.active]
        if running and not active:
            st.rerun()  # the whole page: the buttons can be pressed again
        _draw(job, lanes, quests)
        if active:
            place, button = st.columns([4, 1], vertical_alignment="center")
            done = sum(quest.share for quest in active) / len(active)
            place.progress(min(1.0, done), f"{done:.0%} of the {_called(active)}")
            button.button("Stop", key="stop-radii", on_click=_stop, args=(active,), width="stretch")

    look()


def _identity(job: Job) -> tuple[str, ...]:
    return (*job.request.identity, job.request.attack.norm)


def _quests(job: Job) -> list[Quest]:
    """Return what was asked for this image, these models and this norm; whatever else goes on is stopped."""
    identity, quests = st.session_state.get("quests", ((), []))
    if identity == _identity(job):
        return list(quests)
    _stop(quests)
    return []


def _stop(quests: list[Quest]) -> None:
    for quest in quests:
        quest.stop()


def _begin(job: Job, lane: Lane, kind: Kind) -> Quest:
    if lane.trace is None:
        raise ValueError("a lane without a trace has no class to keep.")
    return begin(Quest(kind, lane.model, job.request.image, lane.trace.label, job.request.attack.norm))


def _wait(quests: list[Quest], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(quest.active for quest in quests) and time.monotonic() < end:
        time.sleep(0.02)


def _called(active: list[Quest]) -> str:
    kinds = {quest.kind for quest in active}
    return " and the ".join(word for kind, word in (("proved", "proof"), ("smallest", "search")) if kind in kinds)


def _draw(job: Job, lanes: list[Lane], quests: list[Quest]) -> None:
    named = {id(lane): name for lane, name in zip(job.lanes, lane_names(job), strict=True)}
    of_lane = [{quest.kind: quest for quest in quests if quest.model is lane.model} for lane in lanes]
    reaches = [
        Reach(_radius(found.get("proved")), _radius(found.get("smallest")), job.request.attack.norm)
        for found in of_lane
    ]
    attack = job.request.attack
    end = scale(reaches, attack.eps)
    cards = [
        {
            "name": named[id(lane)],
            "reach": reach,
            "parts": bar(reach, end),
            "picture": _picture(lane, found.get("smallest")),
        }
        for lane, reach, found in zip(lanes, reaches, of_lane, strict=True)
    ]
    st.html(
        render(
            "radii",
            cards=cards,
            norm=attack.norm,
            eps=tick(attack.eps, end, attack.norm),
            end=tick(end, end, attack.norm),
        )
    )
    for problem in dict.fromkeys(quest.problem for quest in quests if quest.problem):
        st.caption(f"There is no bound: {sentence(problem)}")


def _radius(quest: Quest | None) -> float | None:
    return None if quest is None else quest.radius


def _picture(lane: Lane, quest: Quest | None) -> dict[str, Any] | None:
    """Return what the model is fooled with, and what it is taken for."""
    if quest is None or quest.picture is None or quest.guess is None:
        return None
    classes = lane.model.card.classes
    return {
        "source": data_uri(to_pixels(quest.picture.numpy())),
        "guess": classes[quest.guess],
        "label": classes[quest.label],
    }
