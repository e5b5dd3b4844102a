"""The parts of the main page that are drawn as HTML: verdict, neighbours and saliency."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st
import torch

from app.figures.pictures import data_uri, heat
from app.panels.outcome import judge
from app.state.cache import Subject, reference, saliency_maps, test_images
from app.state.jobs import Job, Lane
from lsp_core.explain.trace import Neighborhood

METHOD_NOTES = {
    "SmoothGrad": "Where it is red, a brighter pixel speaks for the predicted class; where it is blue, against it",
    "Gradient": "Where it is red, a brighter pixel speaks for the predicted class; where it is blue, against it",
    "Integrated gradients": "Compared with a black image, red pixels speak for the predicted class, blue against it",
}
ICONS = {"holds": "✓", "fooled": "✕", "wrong": "!"}


def lane_names(job: Job) -> tuple[str, str]:
    """Return what both lanes are called: "Baseline" and "LSP" for twins, else the names of the checkpoints."""
    first, second = (subject.card for subject in job.request.subjects)
    if first.is_twin_of(second):
        return ("Baseline", "LSP") if first.lsp is None else ("LSP", "Baseline")
    return job.request.subjects[0].name, job.request.subjects[1].name


def draw_verdict(job: Job, names: tuple[str, str]) -> None:
    """Draw one sentence per model, in colour."""
    with st.container(key="verdict"):
        if job.state == "failed":
            st.error(job.problem)
        if job.state == "stopped":
            st.caption(
                f"Stopped after {job.steps_done} of {2 * job.request.attack.steps} steps; what is there is shown."
            )
        cards = "".join(_verdict(job, lane, name) for lane, name in zip(job.lanes, names, strict=True))
        st.markdown(f'<div class="pair verdicts" role="status">{cards}</div>', unsafe_allow_html=True)


def _verdict(job: Job, lane: Lane, name: str) -> str:
    if lane.trace is None:
        waits = "waiting …" if job.active else "not attacked."
        return f'<div class="verdict"><span class="sign">·</span><p><b>{escape(name)}:</b> {waits}</p></div>'
    found = judge(lane.trace, lane.subject.card.classes, job.request.label is not None)
    return (
        f'<div class="verdict {found.kind}"><span class="sign">{ICONS[found.kind]}</span>'
        f"<p><b>{escape(name)}:</b> {escape(found.sentence)}</p></div>"
    )


def draw_neighbors(job: Job, names: tuple[str, str]) -> None:
    """Draw the nearest reference images of both models before and after, marked as kept, lost or new."""
    lanes = [lane for lane in job.lanes if lane.neighborhood is not None]
    if not lanes:
        why = "its test images are not here" if job.state == "done" else "the attack ended before they were looked for"
        st.caption(f"There are no neighbours to show: {why}.")
        return
    drawn = [
        _neighbors(lane.subject, lane.neighborhood, lane.trace.label, name)
        for lane, name in zip(job.lanes, names, strict=True)
        if lane.neighborhood is not None and lane.trace is not None
    ]
    st.markdown(f'<div class="pair">{"".join(drawn)}</div>', unsafe_allow_html=True)
    count = len(reference(lanes[0].subject.card.dataset))
    st.caption(
        f"Nearest of {count} test images in each model's own embedding, at unit length. "
        "Framed: near before and after. Faded: lost to the attack. Dashed: new."
    )


def _neighbors(subject: Subject, found: Neighborhood, label: int, name: str) -> str:
    kept, k = found.kept, found.before.indices.shape[1]
    rows = []
    for title, near, mark in (("before", found.before, "lost"), ("after", found.after, "new")):
        thumbs = "".join(
            _thumbnail(subject, index, distance, "kept" if index in kept else mark)
            for index, distance in zip(near.indices[0].tolist(), near.distances[0].tolist(), strict=True)
        )
        rows.append(f'<div class="row"><span>{title}</span>{thumbs}</div>')
    data = test_images(subject.card.dataset)
    near = reference(subject.card.dataset)[found.after.indices[0]]
    same = int((data.labels[near] == label).sum())
    lead = (
        f"<b>{escape(name)}</b> keeps <b>{len(kept)} of {k}</b> neighbours. Afterwards <b>{same} of {k}</b> show "
        f"“{escape(data.classes[label])}”; the image moved {found.moved:.2f}."
    )
    return f'<div class="card"><p class="lead">{lead}</p>{"".join(rows)}</div>'


def _thumbnail(subject: Subject, index: int, distance: float, mark: str) -> str:
    dataset = subject.card.dataset
    data, row = test_images(dataset), int(reference(dataset)[index])
    title = escape(f"{data.classes[int(data.labels[row])]}, {mark}, distance {distance:.2f}", quote=True)
    picture, label = data_uri(data.images[row].numpy()), escape(data.classes[int(data.labels[row])])
    image = f'<img src="{picture}" alt="{title}">'
    return f'<figure class="{mark}" title="{title}">{image}<figcaption>{label}</figcaption></figure>'


def draw_saliency(job: Job, names: tuple[str, str], method: str) -> None:
    """Draw the saliency maps of the clean and of the adversarial image, on one scale for both models."""
    lanes = [(lane, name) for lane, name in zip(job.lanes, names, strict=True) if lane.trace is not None]
    maps = [_maps(job, lane, method) for lane, _ in lanes]
    scale = float(np.quantile(np.abs(np.concatenate(maps)), 0.99))
    drawn = "".join(_saliency(lane, name, found, scale) for (lane, name), found in zip(lanes, maps, strict=True))
    st.markdown(f'<div class="pair">{drawn}</div>', unsafe_allow_html=True)
    st.caption(
        f"{method} by Captum. {METHOD_NOTES[method]}; both models share "
        "one colour scale. A saliency map is a hint, not evidence."
    )


def _maps(job: Job, lane: Lane, method: str) -> np.ndarray:
    trace = lane.trace
    assert trace is not None
    targets = (int(trace.clean.argmax()), trace.predicted[trace.final])
    images = torch.stack([trace.image, trace.adversarial])
    key = f"{lane.subject.digest} {job.request.picture} {job.request.attack} {trace.final}"
    return saliency_maps(lane.subject, images, targets, method, key)


def _saliency(lane: Lane, name: str, maps: np.ndarray, scale: float) -> str:
    trace = lane.trace
    assert trace is not None
    classes = lane.subject.card.classes
    shown = zip(
        ("clean", "attacked"),
        maps,
        (trace.image, trace.adversarial),
        (int(trace.clean.argmax()), trace.predicted[trace.final]),
        strict=True,
    )
    figures = "".join(
        f'<figure><img src="{data_uri(heat(found, scale, image.numpy()))}" alt="saliency of the {which} image">'
        f"<figcaption>{which}: why “{escape(classes[guess])}”</figcaption></figure>"
        for which, found, image, guess in shown
    )
    return f'<div class="card"><p class="lead"><b>{escape(name)}</b></p><div class="maps">{figures}</div></div>'
