"""An attack on both models in a worker thread, watched and stopped from the page.

The thread draws nothing. It writes into its Job, and the page reads it.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import streamlit as st
from torch import Tensor

from app.state.images import reference_rows
from app.state.models import LoadedModel
from app.state.worked import reference_embedding
from lsp_core.attacks import PGD
from lsp_core.data import DatasetError
from lsp_core.explain.trace import Neighborhood, Trace, compare_neighborhoods, trace_attack

ABANDONED_AFTER = 30.0  # seconds without anybody looking: the page was closed
NEIGHBORS = 8
FAR = 1e3  # from embeddings of unit length; infinity would leave no distance defined


class Cancelled(Exception):
    """Somebody pressed Stop, or nobody looks any more."""


@dataclass(frozen=True)
class Request:
    """What is attacked and how. ``picture`` names the image.

    ``label``, the class, and ``row``, the place among the test images, are None where nobody knows them.
    """

    models: tuple[LoadedModel, LoadedModel]
    image: Tensor
    label: int | None
    picture: str
    attack: PGD
    row: int | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """What is looked at: a change of it starts an attack by itself, a change of the settings does not."""
        return (*(model.digest for model in self.models), self.picture)


@dataclass
class Lane:
    """One model's part of a job; its tensors are in the processor's memory, wherever the model lies."""

    model: LoadedModel
    trace: Trace | None = None
    neighborhood: Neighborhood | None = None


@dataclass
class Job:
    """A request on its way: lanes fill step by step; ``state`` ends as done, stopped or failed."""

    request: Request
    lanes: tuple[Lane, Lane]
    started: float = field(default_factory=time.monotonic)
    looked_at: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    state: str = "waiting"
    problem: str = ""
    stop_wanted: bool = False
    future: Future[None] | None = None

    @property
    def active(self) -> bool:
        """Whether there is more to come."""
        return self.state in ("waiting", "running")

    @property
    def steps_done(self) -> int:
        """Attack steps finished so far, of both models together."""
        return sum(len(lane.trace.images) - 1 for lane in self.lanes if lane.trace is not None)

    def stop(self) -> None:
        """Ask the attack to end at its next step; one that still waits for another ends at once."""
        self.stop_wanted = True
        if self.future is not None and self.future.cancel():
            self.state = "stopped"

    def wait(self, seconds: float) -> None:
        """Give a short attack the time to finish, so that the page need not be drawn twice."""
        end = time.monotonic() + seconds
        while self.active and time.monotonic() < end:
            time.sleep(0.01)

    def run(self) -> None:
        """Attack with both models in turn. Runs in the worker thread."""
        self.state = "running"
        try:
            for lane in self.lanes:
                self._attack(lane)
            self.state = "done"
        except Cancelled:
            self.state = "stopped"
        except Exception as error:  # the page must say something whatever happens
            self.problem = (
                str(error) if isinstance(error, ValueError) else f"The attack failed: {type(error).__name__}."
            )
            self.state = "failed"
        self.seconds = time.monotonic() - self.started

    def _attack(self, lane: Lane) -> None:
        request, loaded = self.request, lane.model

        def on_step(so_far: Trace) -> None:
            lane.trace = so_far.cpu()
            if self.stop_wanted or time.monotonic() - self.looked_at > ABANDONED_AFTER:
                raise Cancelled
            # Between two steps the model is free for whoever else waits for it.
            loaded.lock.release()
            time.sleep(0)
            loaded.lock.acquire()

        image = loaded.put(request.image)
        with loaded.lock:
            trace = trace_attack(loaded.model, image, request.label, request.attack, on_step)
        lane.trace = trace.cpu()
        try:
            embedding = others(loaded, request.row)
        except DatasetError:
            return  # an upload can be attacked without the data set; the page says what is missing
        with loaded.lock:
            found = compare_neighborhoods(loaded.model, trace, embedding, min(NEIGHBORS, len(embedding) - 1))
        lane.neighborhood = found.cpu()


@st.cache_resource(show_spinner=False)
def worker() -> ThreadPoolExecutor:
    """Return the one thread that attacks: the cores are shared best by one attack at a time."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="attack")


def submit(request: Request, pool: ThreadPoolExecutor) -> Job:
    """Queue a request and return its job."""
    first, second = request.models
    job = Job(request, (Lane(first), Lane(second)))
    job.future = pool.submit(job.run)
    return job


def others(model: LoadedModel, row: int | None) -> Tensor:
    """Return the embeddings (M,D) of the reference images, the one of test image ``row`` moved out of reach.

    Nothing is its own neighbour.

    Raises:
        DatasetError: if the test images are not there.
    """
    embedding = reference_embedding(model)
    if row is None:
        return embedding
    own = model.put(reference_rows(model.card.dataset) == row)
    return embedding.masked_fill(own[:, None], FAR)
