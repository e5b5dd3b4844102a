"""Beside the one image: what both models keep of the neighbourhoods of many, under the same attack."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import streamlit as st

from app.figures.html import render
from app.figures.preserved import FIGURES, Mean, Preserved, compared, interval
from app.figures.text import sentence
from app.panels.lanes import lane_names
from app.state.jobs import Job
from app.state.survey import Survey, look_on, survey
from lsp_core.attacks.describe import label
from lsp_core.explain.neighborhood import Neighborhood

GLANCE = 0.25  # seconds between two looks at what goes on
LONGEST = 20.0  # seconds that a page goes on looking; another look goes on from there
MARKS = ("a", "b")


def draw_survey(job: Job) -> Iterator[None]:
    """Draw both models' figures as they come; who does something else on the page does not wait for them.

    It yields whenever more images were tried.
    """
    if job.state != "done" or any(lane.neighborhood is None for lane in job.lanes):
        return
    first, second = (survey(model, job.request.attack) for model in job.request.models)
    place, end = st.empty(), time.monotonic() + LONGEST
    while not look_on((first, second), GLANCE) and time.monotonic() < end:
        # Here Streamlit sees whether somebody wants something else.
        _draw(place, job, (first, second), f"Trying the same attack on {first.wanted} test images …")
        yield
    too_long = f"The same attack on {first.wanted} test images takes longer than this page waits."
    _draw(place, job, (first, second), too_long)
    yield


def _draw(place: Any, job: Job, surveys: Sequence[Survey], without: str) -> None:
    """Draw what is there, or say what is said ``without`` anything."""
    problem = next((each.problem for each in surveys if each.problem), "")
    if problem:
        place.caption(f"There is no comparison over many images: {sentence(problem)}")
    elif not all(each.parts for each in surveys):
        place.caption(without)
    else:
        place.html(survey_html(job, surveys))


def survey_html(job: Job, surveys: Sequence[Survey]) -> str:
    """Return the figures of both models as HTML; "" where one has none yet."""
    if not all(each.parts for each in surveys):
        return ""
    found, names = [each.found for each in surveys], lane_names(job)
    if names[0] == "LSP":  # its baseline comes first and has the first colour, as on every page
        found, names = found[::-1], names[::-1]
    n, wanted = min(len(each.moved) for each in found), surveys[0].wanted
    seen = f"{n}" if n == wanted else f"{n} of {wanted}"
    attack = job.request.attack
    return render("survey", seen=seen, attack=attack, label=label(attack), **survey_card(found, names))


def survey_card(found: Sequence[Neighborhood], names: tuple[str, str]) -> dict[str, Any]:
    """Return what the template draws of two models: three figures, and what lies between them."""
    figures = {figure: Preserved.of(figure, *found) for figure in FIGURES}
    return {
        "sentence": compared(figures["kept"], names),
        "k": found[0].k,
        "models": [{"mark": mark, "name": name} for mark, name in zip(MARKS, names, strict=True)],
        "figures": [
            {
                "name": name,
                "note": note,
                "models": [_place(mark, mean) for mark, mean in zip(MARKS, figures[figure].means, strict=True)],
                "lead": f"{100 * figures[figure].lead.value:+.1f}",
                "interval": interval(figures[figure].lead),
            }
            for figure, (name, note) in FIGURES.items()
        ],
    }


def _place(mark: str, mean: Mean) -> dict[str, str]:
    """Return where a mean stands on the scale, in percent, and what is said of it."""
    low, high = (100 * bound for bound in mean.interval)
    return {
        "mark": mark,
        "at": f"{100 * mean.value:.2f}",
        "low": f"{low:.2f}",
        "width": f"{high - low:.2f}",
        "said": f"{mean.value:.1%}",
        "interval": f"{low:.1f} to {high:.1f}",
    }
