"""What the attack page shows once an attack is over, from top to bottom: a new panel is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.panels.map import draw_map
from app.panels.neighbors import draw_neighbors
from app.panels.radii import draw_radii
from app.panels.saliency import draw_saliency
from app.panels.survey import draw_survey
from app.state.jobs import Job

# By the key of its container on the page. It draws its own heading; at least one lane of the job has a trace.
PANELS: dict[str, Callable[[Job], Any]] = {
    "neighbors": draw_neighbors,
    "survey": draw_survey,
    "radii": draw_radii,
    "embeddings": draw_map,
    "saliency": draw_saliency,
}
# What takes so long that the others are drawn before it, wherever it stands: it yields whenever there is more.
LATE = {"survey"}
