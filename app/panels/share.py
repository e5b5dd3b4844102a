"""What can be taken away: a link to what is on the page, the case as a file, and a report."""

from __future__ import annotations

from functools import partial

import streamlit as st
import torch

from app.figures.outcome import tell_outcome
from app.figures.report import Reported, case_report
from app.figures.text import sentence
from app.panels.lanes import lane_names
from app.panels.link import address, apply_view, view_of
from app.panels.neighbors import neighbors_html
from app.panels.own import Own
from app.panels.survey import survey_html
from app.panels.verdict import told_afterwards
from app.state.jobs import Job
from app.state.shelf import catalogue, weights_of
from app.state.survey import survey
from lsp_core.attacks.recorded import from_record, to_record
from lsp_core.store.case import Case, Subject, as_png, read_case, write_case
from lsp_core.store.provenance import today, versions
from lsp_core.store.schema import SchemaError

CASE, REPORT = "The case: images as attacked, exact, with all settings", "The report: one HTML file"


def draw_share(job: Job) -> None:
    """Draw the link and the downloads of a job that is over, and a way to open a case again."""
    with st.popover("Take away", icon=":material/ios_share:", width="stretch", key="take-away"):
        view = view_of(job.request)
        link = address(view)
        st.markdown("A link to this view")
        with st.container(key="share-link"):
            st.code(link, language=None, wrap_lines=True)
        if job.request.row is None:
            st.caption("An image of your own cannot be in a link; it is in the case.")
        if any(lane.trace is None for lane in job.lanes) or job.active:
            st.caption("The case and the report can be had once the attack is over.")
        else:
            draw_downloads(job, view, link)
        st.file_uploader("Open a case", type=["zip"], key="open-case", on_change=_open_case)
        for problem in st.session_state.get("case-problems", ()):
            st.error(sentence(problem))


def draw_downloads(job: Job, view: dict[str, str], link: str) -> None:
    """Draw the buttons; what they give is made when they are pressed, of what is on the page now."""
    stem = f"lsp-lab-{job.request.models[0].name}"
    for key, words, make, suffix, mime, icon in (
        ("case", CASE, partial(case_file, job, view), "zip", "application/zip", "folder_zip"),
        ("report", REPORT, partial(report_file, job, link), "html", "text/html", "description"),
    ):
        st.download_button(
            words,
            make,
            f"{stem}.{suffix}",
            mime,
            key=f"download-{key}",
            on_click="ignore",
            icon=f":material/{icon}:",
            width="stretch",
        )


def report_file(job: Job, link: str) -> bytes:
    """Return the report of a job whose attacks are over, as one HTML file that asks for nothing else."""
    told = [
        (outcome.kind, outcome.sentence)
        for outcome in (
            tell_outcome(lane.trace, lane.model.card.classes, job.request.label is not None)
            for lane in job.lanes
            if lane.trace is not None
        )
    ]
    further = [neighbors_html(job)]
    if job.request.row is not None:
        further.append(survey_html(job, [survey(model, job.request.attack) for model in job.request.models]))
    subjects = [
        Reported(name, lane.model.name, weights_of(lane.model.name), *outcome, lane.trace)
        for name, lane, outcome in zip(lane_names(job), job.lanes, told, strict=True)
        if lane.trace is not None
    ]
    return case_report(job.request, subjects, told_afterwards(job), further, link).encode()


def case_file(job: Job, view: dict[str, str]) -> bytes:
    """Return the case of a job whose attacks are over."""
    request, traces = job.request, [lane.trace for lane in job.lanes if lane.trace is not None]
    card = request.models[0].card
    case = Case(
        dataset=card.dataset,
        classes=card.classes,
        label=request.label,
        attack=to_record(request.attack),
        subjects=tuple(
            Subject(model.name, weights_of(model.name), int(trace.clean.argmax()), trace.predicted[trace.final])
            for model, trace in zip(request.models, traces, strict=True)
        ),
        view=view,
        versions=versions(),
        date=today(),
    )
    return write_case(case, request.image, torch.stack([trace.adversarial for trace in traces]))


def _open_case() -> None:
    """Set the page as a case says; one that cannot be read leaves a sentence, and the page as it was."""
    file = st.session_state["open-case"]
    st.session_state["case-problems"] = []
    if file is None:
        return
    try:
        case, clean, _ = read_case(file.getvalue())
        from_record(case.attack)
    except (SchemaError, ValueError) as error:
        st.session_state["case-problems"] = [str(error)]
        return
    cards, _ = catalogue()
    problems = apply_view(case.view, cards)
    for subject in case.subjects:
        if subject.name in cards and weights_of(subject.name) != subject.weights:
            problems.append(f"{subject.name} holds other weights here than in the case: what comes may differ.")
    first = cards.get(case.view.get("a", ""))
    if first is not None and first.image_shape != tuple(clean.shape):
        problems.append("The case's image is none that its model takes here.")
    elif "image" not in case.view or problems:
        st.session_state["own"] = Own(as_png(clean))
    st.session_state["case-problems"] = problems
