"""The map: both embeddings of the reference images side by side, and the attack's way through them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.figures.text import sentence
from app.panels.component import component
from app.panels.lanes import lane_names
from app.panels.own import forget_own
from app.state.atlas import atlas, sprite, way
from app.state.cores import both
from app.state.images import reference_rows, test_images
from app.state.jobs import Job, Lane
from app.state.near import NEIGHBORS, places
from lsp_core import DatasetError

_component = component("map")


def draw_map(job: Job) -> None:
    """Draw both maps, once somebody opens them."""
    fold = st.expander("Map of both embeddings", icon=":material/scatter_plot:", key="map-fold", on_change="rerun")
    if not fold.open:
        return
    with fold:
        try:
            data = map_data(job)
        except DatasetError as error:
            st.caption(f"There is no map: {sentence(str(error))}")
            return
        _component(data=data, key="map", on_picked_change=_picked, on_brushed_change=_brushed)
        st.caption(
            "Each model's embedding of the test images, at unit length, in the two directions of its largest spread, "
            "fitted once to those images; the way of the attack is put into it. Two dimensions are a shadow: what is "
            "near in the picture need not be near. A click attacks an image; a frame drawn with the mouse filters the "
            "gallery. With keys: arrows go from image to image, Enter attacks."
        )


def map_data(job: Job) -> dict[str, Any]:
    """Return everything the browser needs: places between 0 and 1, labels, small pictures, and both ways.

    Raises:
        DatasetError: if the test images are not there.
    """
    dataset = job.request.models[0].card.dataset
    data, rows = test_images(dataset), reference_rows(dataset)
    named = zip(lane_names(job), job.lanes, strict=True)
    there = [(name, lane) for name, lane in named if lane.trace is not None]
    pictures, columns = sprite(dataset)
    row = job.request.row
    return {
        "id": f"{id(job)} {job.started}",
        "dark": st.context.theme.type == "dark",
        "classes": data.classes,
        "labels": data.labels[rows].tolist(),
        "rows": rows.tolist(),
        "sprite": pictures,
        "columns": columns,
        "own": -1 if row is None else int(places(dataset, rows.new_tensor([row]))),
        "lanes": both(lambda one: _lane(*one), there),
    }


def _lane(name: str, lane: Lane) -> dict[str, Any]:
    assert lane.trace is not None
    found = atlas(lane.model)
    path, steps = way(lane.model, lane.trace)
    low, high = found.places.min(0), found.places.max(0)
    scale = float((high - low).max()) or 1.0  # one for both directions: the picture keeps its proportions
    middle = (low + high) / 2

    def drawn(points: Any) -> list[list[float]]:
        moved: list[list[float]] = ((points - middle) / scale + 0.5).round(4).tolist()
        return moved

    fooled = lane.trace.fooled_at
    about = (
        f"{100 * found.projection.share:.0f} % of the spread; of the {NEIGHBORS} nearest in all "
        f"{found.projection.mean.numel()} dimensions {100 * found.overlap:.0f} % are so in the picture"
    )
    return {
        "name": name,
        "places": drawn(found.places),
        "path": drawn(path),
        "steps": steps,
        "fooledAt": fooled,
        "about": about,
    }


def _picked() -> None:
    row = st.session_state["map"].get("picked")
    if isinstance(row, int):
        st.session_state["gallery"] = row
        forget_own()


def _brushed() -> None:
    rows = st.session_state["map"].get("brushed")
    st.session_state["gallery-brushed"] = [row for row in rows if isinstance(row, int)] if rows else []
    st.session_state.pop("gallery-page", None)
