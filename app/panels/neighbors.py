"""The nearest test images of both models before and after the attack."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.figures.html import render
from app.figures.pictures import data_uri
from app.figures.text import sentence
from app.panels.lanes import lane_names
from app.state.images import reference_rows, test_images
from app.state.jobs import Job
from app.state.models import LoadedModel
from lsp_core.explain.trace import Neighborhood

GLANCE = 0.25  # seconds between two looks at what goes on


def draw_neighbors(job: Job) -> None:
    """Draw the nearest reference images of both models before and after, marked as kept, lost or new."""
    st.subheader("Are the neighbours kept?", anchor=False)
    place = st.empty()
    while not job.find_neighbors(GLANCE):
        place.caption("Looking for them …")  # here Streamlit sees whether somebody wants something else by now
    place.empty()
    lanes = [(lane, name) for lane, name in zip(job.lanes, lane_names(job), strict=True) if lane.neighborhood]
    if not lanes:
        why = next((lane.alone for lane in job.lanes if lane.alone), "")
        st.caption(f"There are no neighbours to show: {sentence(why)}")
        return
    cards = [
        _card(lane.model, lane.neighborhood, lane.trace.label, name)
        for lane, name in lanes
        if lane.neighborhood is not None and lane.trace is not None
    ]
    st.html(render("neighbors", cards=cards))
    count = len(reference_rows(lanes[0][0].model.card.dataset))
    st.caption(
        f"Nearest of {count} test images in each model's own embedding, at unit length. "
        "Framed: near before and after. Faded: lost to the attack. Dashed: new."
    )


def _card(model: LoadedModel, found: Neighborhood, label: int, name: str) -> dict[str, Any]:
    data, reference = test_images(model.card.dataset), reference_rows(model.card.dataset)
    rows = []
    for title, near, mark in (("before", found.before, "lost"), ("after", found.after, "new")):
        pairs = zip(near.indices[0].tolist(), near.distances[0].tolist(), strict=True)
        shown = [
            {
                "label": data.classes[int(data.labels[reference[index]])],
                "mark": "kept" if index in found.kept else mark,
                "distance": distance,
                "picture": data_uri(data.images[reference[index]].numpy()),
            }
            for index, distance in pairs
        ]
        rows.append({"title": title, "near": shown})
    return {
        "name": name,
        "kept": len(found.kept),
        "k": found.before.indices.shape[1],
        "same": int((data.labels[reference[found.after.indices[0]]] == label).sum()),
        "label": data.classes[label],
        "moved": found.moved,
        "rows": rows,
    }
