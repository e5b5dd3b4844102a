"""The nearest test images of one image: in pixels, and to both models before and after the attack."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from app.figures.html import render
from app.figures.pictures import data_uri
from app.figures.text import sentence
from app.panels.component import component
from app.panels.lanes import lane_names
from app.state.images import reference_rows, test_images
from app.state.jobs import Job
from app.state.models import LoadedModel
from lsp_core.explain.neighborhood import Neighborhood
from lsp_core.neighborhoods import Neighbors

GLANCE = 0.25  # seconds between two looks at what goes on


_component = component("passage")


def draw_neighbors(job: Job) -> None:
    """Draw the nearest reference images in pixels and to both models, marked as kept, lost, new or near in pixels."""
    st.subheader("Are the neighbours kept?", anchor=False)
    place = st.empty()
    while not job.find_neighbors(GLANCE):
        place.caption("Looking for them …")  # here Streamlit sees whether somebody wants something else by now
    place.empty()
    markup = neighbors_html(job)
    if not markup:
        why = next((lane.alone for lane in job.lanes if lane.alone), "")
        st.caption(f"There are no neighbours to show: {sentence(why)}")
        return
    st.html(markup)
    _component(data=passage_data(job), key="passage")


def passage_data(job: Job) -> dict[str, Any]:
    """Return what the browser needs to show both models' neighbours at the step that the player shows."""
    dataset = job.request.models[0].card.dataset
    data, rows = test_images(dataset), reference_rows(dataset)
    lanes = [
        (name, lane.passage, lane.neighborhood)
        for name, lane in zip(lane_names(job), job.lanes, strict=True)
        if lane.passage is not None and lane.neighborhood is not None
    ]
    seen = sorted({index for _, way, _ in lanes for index in way.indices.flatten().tolist()})
    return {
        "id": f"{id(job)} {job.started}",
        "dark": st.context.theme.type == "dark",
        "pictures": {index: data_uri(data.images[rows[index]].numpy()) for index in seen},
        "labels": {index: data.classes[int(data.labels[rows[index]])] for index in seen},
        "lanes": [
            {
                "name": name,
                "steps": way.steps,
                "near": way.indices.tolist(),
                "before": found.before.indices[0].tolist(),
            }
            for name, way, found in lanes
        ],
    }


def neighbors_html(job: Job) -> str:
    """Return both models' cards as HTML, as far as their neighbours were found; "" if there is none."""
    lanes = [(lane, name) for lane, name in zip(job.lanes, lane_names(job), strict=True) if lane.neighborhood]
    if not lanes:
        return ""
    cards = [
        neighbors_card(lane.model, lane.neighborhood, lane.trace.label, name)
        for lane, name in lanes
        if lane.neighborhood is not None and lane.trace is not None
    ]
    count = len(reference_rows(lanes[0][0].model.card.dataset))
    return render("neighbors", cards=cards, count=count)


def neighbors_card(model: LoadedModel, found: Neighborhood, label: int, name: str) -> dict[str, Any]:
    """Return what the template draws of one model."""
    row = partial(_row, model.card.dataset, set(found.pixels.indices[0].tolist()))
    before, after = (set(near.indices[0].tolist()) for near in (found.before, found.after))
    labels = test_images(model.card.dataset).labels[reference_rows(model.card.dataset)]
    return {
        "name": name,
        "k": found.k,
        "kept": int(found.kept),
        "overlap": int(found.overlap),
        "overlap_attacked": int(found.overlap_attacked),
        "same": int((labels[found.after.indices[0]] == label).sum()),
        "label": test_images(model.card.dataset).classes[label],
        "moved": float(found.moved),
        "rows": [
            {"title": "in pixels", "near": row(found.pixels, set(), "")},
            {"title": "before", "near": row(found.before, after, "lost")},
            {"title": "after", "near": row(found.after, before, "new")},
        ],
    }


def _row(dataset: str, pixels: set[int], near: Neighbors, kept: set[int], otherwise: str) -> list[dict[str, Any]]:
    """Return the images of one row, and how each is marked."""
    data, reference = test_images(dataset), reference_rows(dataset)
    return [
        {
            "label": data.classes[int(data.labels[reference[index]])],
            "mark": "kept" if index in kept else otherwise,
            "pixels": index in pixels,
            "distance": distance,
            "picture": data_uri(data.images[reference[index]].numpy()),
        }
        for index, distance in zip(near.indices[0].tolist(), near.distances[0].tolist(), strict=True)
    ]
