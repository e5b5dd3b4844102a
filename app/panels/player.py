"""The player: both models under attack, step by step, scrubbed in the browser without asking the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from torch import Tensor

from app.figures.pictures import data_uri, magnified, noise_factor, to_pixels
from app.panels.component import component
from app.panels.lanes import lane_names
from app.state.jobs import Job
from app.state.models import LoadedModel
from lsp_core.attacks.describe import most_steps
from lsp_core.explain.trace import Trace

ROWS = 4
CURVE = 400  # points of a curve
TINY = 1e-30  # the least probability whose logarithm is drawn
MEASURES = {
    "confidence": "probability of the class to leave",
    "margin": "its logit minus the next",
    "loss": "cross-entropy",
}
MOST_FRAMES = 120  # of a lane: of a longer attack not every step is drawn, but all that change who it is taken for are

_component = component("player")


def draw_player(job: Job, *, play: bool) -> None:
    """Draw the job as far as it is; ``play`` lets a finished attack run once from its start."""
    dark = st.context.theme.type == "dark"
    _component(data=player_data(job, play=play, dark=dark), key="step")


def player_data(job: Job, *, play: bool = False, dark: bool = False) -> dict[str, Any]:
    """Return everything the browser needs: pictures as data: addresses, and probabilities.

    While the job runs, only each lane's last picture is there and the others are empty: several times a second all of
    them would be too many.
    """
    shown = shown_steps(job)
    factor = noise_factor(float(job.request.attack.eps) if job.request.attack.norm == "Linf" else _largest_change(job))
    running = job.active
    drawn = [
        _lane(lane.model, lane.trace, name, factor, shown)
        for lane, name in zip(job.lanes, lane_names(job), strict=True)
        if lane.trace is not None
    ]
    return {
        "id": f"{id(job)} {job.started}",
        "running": running,
        "play": play,
        "dark": dark,
        "steps": most_steps(job.request.attack) if running else max(shown, default=0),
        "measures": MEASURES,
        "factor": factor,
        "classes": job.request.models[0].card.classes,
        "clean": data_uri(to_pixels(job.request.image.numpy())),
        "lanes": drawn,
    }


def shown_steps(job: Job) -> list[int]:
    """Return the steps that are drawn, of both models together: while the job runs, only the newest of each.

    A lane has no more of them than ``MOST_FRAMES``, but for those at which the prediction changes.
    """
    shown: set[int] = set()
    for trace in (lane.trace for lane in job.lanes if lane.trace is not None):
        last = len(trace.images) - 1
        if job.active:
            shown.add(last)
            continue
        guesses = trace.predicted
        turns = {step for step in range(1, last + 1) if guesses[step] != guesses[step - 1]}
        shown |= {round(place) for place in np.linspace(0, last, min(last + 1, MOST_FRAMES))} | turns | {trace.final}
    return sorted(shown)


def _lane(model: LoadedModel, trace: Trace, name: str, factor: int, shown: Sequence[int]) -> dict[str, Any]:
    clean, steps = trace.image.numpy(), [step for step in shown if step < len(trace.images)]
    images = [trace.images[step].numpy() for step in steps]
    likely = np.argsort(-(trace.probabilities.numpy().max(0) + trace.clean.numpy()), kind="stable")
    rows = [trace.label, *(int(index) for index in likely if int(index) != trace.label)][:ROWS]
    return {
        "name": name,
        "title": model.name,
        "label": trace.label,
        "rows": rows,
        "cleanGuess": int(trace.clean.argmax()),
        "cleanProbabilities": _short(trace.clean),
        "steps": steps,
        "length": len(trace.images),
        "probabilities": _short(trace.probabilities[steps]),
        "fooledAt": trace.fooled_at,
        "frames": [data_uri(to_pixels(image)) for image in images],
        "noise": [data_uri(magnified(image - clean, factor)) for image in images],
        "curves": {name: _curve(trace, name) for name in MEASURES},
    }


def _curve(trace: Trace, measure: str) -> list[float]:
    """Return a measure of the attack's progress at each of the steps, of which a long attack has every n-th."""
    every = max(1, len(trace.images) // CURVE)
    own = trace.probabilities[::every, trace.label].double().clamp_min(TINY)
    others = trace.probabilities[::every].double().clone()
    others[:, trace.label] = 0
    values = {
        "confidence": own,
        "margin": (own / others.amax(1).clamp_min(TINY)).log(),  # of two softmax outputs: the logits' difference
        "loss": -own.log(),
    }[measure]
    return [round(float(value), 4) for value in values]


def _short(probabilities: Tensor) -> list[Any]:
    # Below 1, so that the browser never writes 100 %; six digits, so that rounding makes no ties for the first place.
    shortened: list[Any] = np.minimum(np.round(probabilities.double().numpy(), 6), 0.999999).tolist()
    return shortened


def _largest_change(job: Job) -> float:
    changes = [
        float((lane.trace.images - lane.trace.image).abs().max()) for lane in job.lanes if lane.trace is not None
    ]
    return max(changes, default=0.0)
