"""Saliency maps of a job's images, worked out behind the page, watched and stopped."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from app.state.cores import helpers
from app.state.jobs import Job, Lane, tell
from lsp_core.explain.saliency import METHODS, attribute
from lsp_core.explain.trace import Trace
from lsp_core.explain.trust import Trust, trust

Maps = NDArray[np.float32]  # (2,H,W), of the clean image and of the attacked one


class Stopped(Exception):
    """Somebody pressed Stop."""


@dataclass
class Mapping:
    """The maps of one model by one method, and once they are asked for the figures of how far they can be trusted."""

    lane: Lane
    trace: Trace
    method: str
    maps: Maps | None = None
    trusted: tuple[Trust, Trust] | None = None
    problem: str = ""
    seen: int = 0
    stop_wanted: bool = False
    work: Future[None] | None = None

    @property
    def targets(self) -> tuple[int, int]:
        """The classes that the maps speak of: what the model takes the clean and the attacked image for."""
        return int(self.trace.clean.argmax()), self.trace.predicted[self.trace.final]

    @property
    def passes(self) -> int:
        """How many passes the maps cost."""
        return 2 * METHODS[self.method].passes(tuple(self.trace.image.shape))

    def begin(self, what: Callable[[], None]) -> None:
        """Do one or the other in a thread, if nothing is being done."""
        if self.work is None or self.work.done():
            self.stop_wanted, self.seen, self.problem = False, 0, ""
            self.work = helpers().submit(self._do, what)

    def draw_maps(self) -> None:
        """Work out the maps."""
        model = self.lane.model
        images = model.put(torch.stack([self.trace.image, self.trace.adversarial]))
        with model.lock:
            found = attribute(model.model, images, model.put(torch.tensor(self.targets)), self.method, self._on_pass)
        self.maps = found.cpu().numpy()

    def measure_trust(self) -> None:
        """Work out how far the maps can be trusted."""
        model, found = self.lane.model, []
        for image, target in zip((self.trace.image, self.trace.adversarial), self.targets, strict=True):
            with model.lock:
                found.append(trust(model.model, model.put(image), target, self.method))
        self.trusted = (found[0], found[1])

    def _do(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Stopped:
            self.problem = "Stopped."
        except Exception as error:  # the page must say something whatever happens
            self.problem = tell(error, "The method")

    def _on_pass(self, images: int) -> None:
        self.seen += images
        if self.stop_wanted:
            raise Stopped

    def stop(self) -> None:
        """Ask it to end before its next pass."""
        self.stop_wanted = True


@dataclass
class Mappings:
    """All that were asked for of one job, by model and method; a new job begins anew."""

    job: Job
    found: dict[tuple[int, str], Mapping] = field(default_factory=dict)

    def of(self, method: str) -> list[Mapping]:
        """Return those of both models by a method, as far as they have a trace; they are begun with the first look."""
        there = []
        for place, lane in enumerate(self.job.lanes):
            if lane.trace is None:
                continue
            if (place, method) not in self.found:
                own = self.found[place, method] = Mapping(lane, lane.trace, method)
                own.begin(own.draw_maps)
            there.append(self.found[place, method])
        return there


def mappings(job: Job) -> Mappings:
    """Return the maps of the session's job."""
    kept: Mappings | None = st.session_state.get("mappings")
    if kept is None or kept.job is not job:
        kept = st.session_state["mappings"] = Mappings(job)
    return kept


def wait_for(some: list[Mapping], seconds: float) -> bool:
    """Wait, so many seconds at most, and return whether all that was begun is over."""
    return not wait([one.work for one in some if one.work is not None], seconds).not_done
