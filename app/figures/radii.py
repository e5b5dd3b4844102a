"""One bar for a model: how far an image is safe for sure, what is not known, and from where on the model is fooled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lsp_core.types import Norm

ROOM = 1.15  # of the largest radius there is to show
LEAST = 8 / 255


@dataclass(frozen=True)
class Reach:
    """What is known of one model: radii in pixel units, None where nobody has looked yet.

    Attributes:
        proved: up to where nothing changes the class.
        found: from where on the model was seen fooled, inf where that was never seen.
    """

    proved: float | None
    found: float | None
    norm: Norm = "Linf"

    @property
    def sentence(self) -> str:
        """What the bar says, for those who do not see it."""
        return f"{self.safe}; {self.fooled}."

    @property
    def safe(self) -> str:
        """How far it is proved."""
        if self.proved is None:
            return "safe radius not worked out yet"
        return f"proved safe up to {written(self.proved, self.norm)}" if self.proved else "nothing proved"

    @property
    def fooled(self) -> str:
        """From where on it is fooled."""
        if self.found is None:
            return "smallest that fools not looked for yet"
        if self.found == 0:
            return "wrong before any attack"
        return (
            f"fooled from {written(self.found, self.norm)} (found)"
            if math.isfinite(self.found)
            else "nothing found that fools"
        )


def written(radius: float, norm: Norm) -> str:
    """Write a radius of one image as people read it.

    >>> written(0.05, "Linf"), written(0.5, "L2")
    ('12.8/255 (0.050)', '0.500')
    """
    return f"{255 * radius:.1f}/255 ({radius:.3f})" if norm == "Linf" else f"{radius:.3f}"


def scale(reaches: list[Reach], eps: float) -> float:
    """Return where the bars of several models end, so that all radii and the attack's own are on them."""
    known = [one for reach in reaches for one in (reach.proved, reach.found) if one is not None and math.isfinite(one)]
    return ROOM * max([*known, eps, LEAST])


def bar(reach: Reach, end: float) -> list[dict[str, Any]]:
    """Return the parts of a bar, each with its kind, its width in percent and what is written on it.

    >>> [(part["kind"], part["width"]) for part in bar(Reach(0.05, 0.15), 0.2)]
    [('safe', '25.00'), ('unknown', '50.00'), ('fooled', '25.00')]
    """
    safe, fooled = min(reach.proved or 0.0, end), end if reach.found is None else min(reach.found, end)
    parts = [
        ("safe", safe, "safe"),
        ("unknown", max(0.0, fooled - safe), "not known"),
        ("fooled", end - fooled, "fooled"),
    ]
    shown = [(kind, 100 * length / end, word) for kind, length, word in parts if length > 0]
    return [{"kind": kind, "width": f"{width:.2f}", "word": word if width > 14 else ""} for kind, width, word in shown]


def tick(radius: float, end: float, norm: Norm) -> dict[str, str]:
    """Return where a radius stands on the scale, and how it is written there."""
    return {"at": f"{100 * radius / end:.2f}", "said": f"{255 * radius:.0f}/255" if norm == "Linf" else f"{radius:.2f}"}
