"""The report of a case: one HTML file that holds its images and asks for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.figures.html import render
from app.figures.outcome import percent
from app.figures.pictures import data_uri, magnified, noise_factor, to_pixels
from app.state.jobs import Request
from lsp_core.attacks.describe import label, settings
from lsp_core.explain.trace import Trace
from lsp_core.store.provenance import today, versions

STYLE = Path(__file__).parent.parent / "static" / "style.css"
ROWS = 5
WIDTH, HEIGHT = 600, 120  # of the curve


@dataclass(frozen=True)
class Reported:
    """What became of the image by one model.

    Attributes:
        name: what it is called on the page; ``checkpoint`` its file, ``weights`` their sha256.
        kind: of the outcome, which decides its colour; ``sentence`` says it.
    """

    name: str
    checkpoint: str
    weights: str
    kind: str
    sentence: str
    trace: Trace


def case_report(
    request: Request, subjects: Sequence[Reported], afterwards: Sequence[str], further: Sequence[str], link: str
) -> str:
    """Return the report as HTML.

    Args:
        request: what was attacked and how.
        subjects: what became of it, by model.
        afterwards: sentences on the images elsewhere.
        further: parts of the page, as HTML of our own templates; "" for none.
        link: to the same view.
    """
    changes = [float((one.trace.images - one.trace.image).abs().max()) for one in subjects]
    linf = request.attack.norm == "Linf"
    factor = noise_factor(float(request.attack.eps) if linf else max(changes, default=0.0))
    classes = request.models[0].card.classes
    return render(
        "report",
        style=STYLE.read_text(encoding="utf-8"),
        dataset=request.models[0].card.dataset,
        true_class=None if request.label is None else classes[request.label],
        label=label(request.attack),
        attack=request.attack,
        settings=settings(request.attack),
        subjects=[_subject(one, classes, factor) for one in subjects],
        factor=factor,
        clean=data_uri(to_pixels(request.image.numpy())),
        curves=_curves(subjects),
        width=WIDTH,
        height=HEIGHT,
        afterwards=afterwards,
        further=[part for part in further if part],
        link=link,
        versions=versions(),
        date=today(),
    )


def _subject(one: Reported, classes: tuple[str, ...], factor: int) -> dict[str, Any]:
    trace = one.trace
    attacked, clean = trace.adversarial.numpy(), trace.image.numpy()
    shares = trace.probabilities[trace.final]
    both = {"before": trace.clean, "after": shares}
    order = np.argsort(-(shares + trace.clean).numpy(), kind="stable")[:ROWS]
    return {
        "name": one.name,
        "checkpoint": one.checkpoint,
        "weights": one.weights,
        "kind": one.kind,
        "sentence": one.sentence,
        "attacked": data_uri(to_pixels(attacked)),
        "noise": data_uri(magnified(attacked - clean, factor)),
        "guess": classes[int(shares.argmax())],
        "step": trace.final,
        "rows": [
            {"name": classes[place], **{when: percent(float(of[place])) for when, of in both.items()}}
            for place in map(int, order)
        ],
    }


def _curves(subjects: Sequence[Reported]) -> list[dict[str, str]]:
    """Return the probability of the class to leave over the steps, as the points of a line."""
    longest = max(len(one.trace.images) for one in subjects) - 1 or 1
    drawn = []
    for mark, one in zip("ab", subjects, strict=False):
        shares = one.trace.probabilities[:, one.trace.label].tolist()
        points = (f"{WIDTH * step / longest:.1f},{HEIGHT * (1 - share):.1f}" for step, share in enumerate(shares))
        drawn.append({"mark": mark, "name": one.name, "points": " ".join(points)})
    return drawn
