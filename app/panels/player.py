"""The player: both models under attack, step by step, scrubbed in the browser without asking the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from torch import Tensor

from app.figures.pictures import data_uri, magnified, noise_factor, to_pixels
from app.panels.lanes import lane_names
from app.state.jobs import Job
from app.state.models import LoadedModel
from lsp_core.explain.trace import Trace

STATIC = Path(__file__).parent.parent / "static"
ROWS = 4

_component = st.components.v2.component(
    "lsp_lab_player",
    html='<div class="player"></div>',
    css=(STATIC / "player.css").read_text(encoding="utf-8"),
    js=(STATIC / "player.js").read_text(encoding="utf-8"),
)


def draw_player(job: Job, *, play: bool) -> None:
    """Draw the job as far as it is; ``play`` lets a finished attack run once from its start."""
    dark = st.context.theme.type == "dark"
    _component(data=player_data(job, play=play, dark=dark), key="step")


def player_data(job: Job, *, play: bool = False, dark: bool = False) -> dict[str, Any]:
    """Return everything the browser needs: pictures as data: addresses, and probabilities.

    While the job runs, only each lane's last picture is there and the others are empty: several times a second all of
    them would be too many.
    """
    factor = noise_factor(float(job.request.attack.eps) if job.request.attack.norm == "Linf" else _largest_change(job))
    running = job.active
    drawn = [
        _lane(lane.model, lane.trace, name, factor, len(lane.trace.images) - 1 if running else 0)
        for lane, name in zip(job.lanes, lane_names(job), strict=True)
        if lane.trace is not None
    ]
    return {
        "id": f"{id(job)} {job.started}",
        "running": running,
        "play": play,
        "dark": dark,
        "steps": job.request.attack.steps,
        "factor": factor,
        "classes": job.request.models[0].card.classes,
        "clean": data_uri(to_pixels(job.request.image.numpy())),
        "lanes": drawn,
    }


def _lane(model: LoadedModel, trace: Trace, name: str, factor: int, first: int) -> dict[str, Any]:
    images, clean = trace.images[first:].numpy(), trace.image.numpy()
    likely = np.argsort(-(trace.probabilities.numpy().max(0) + trace.clean.numpy()), kind="stable")
    rows = [trace.label, *(int(index) for index in likely if int(index) != trace.label)][:ROWS]
    return {
        "name": name,
        "title": model.name,
        "label": trace.label,
        "rows": rows,
        "cleanGuess": int(trace.clean.argmax()),
        "cleanProbabilities": _short(trace.clean),
        "probabilities": _short(trace.probabilities),
        "fooledAt": trace.fooled_at,
        "frames": [""] * first + [data_uri(to_pixels(image)) for image in images],
        "noise": [""] * first + [data_uri(magnified(image - clean, factor)) for image in images],
    }


def _short(probabilities: Tensor) -> list[Any]:
    # Below 1, so that the browser never writes 100 %; six digits, so that rounding makes no ties for the first place.
    shortened: list[Any] = np.minimum(np.round(probabilities.double().numpy(), 6), 0.999999).tolist()
    return shortened


def _largest_change(job: Job) -> float:
    changes = [
        float((lane.trace.images - lane.trace.image).abs().max()) for lane in job.lanes if lane.trace is not None
    ]
    return max(changes, default=0.0)
