"""An attack on both models side by side, watched and stopped from the page.

The threads draw nothing. They write into their Job, and the page reads it.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import streamlit as st
import torch
from torch import Tensor

from app.state.cores import helpers, urgent
from app.state.models import LoadedModel
from app.state.near import Passage, neighborhood, passage
from lsp_core.attacks.describe import most_steps
from lsp_core.data import DatasetError
from lsp_core.explain.afterwards import Afterwards, probabilities, rounded_to_bytes
from lsp_core.explain.neighborhood import Neighborhood
from lsp_core.explain.trace import Trace, trace_attack
from lsp_core.types import Attack
from lsp_core.workers import side_by_side

ABANDONED_AFTER = 10.0  # seconds without anybody looking: the page was closed


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
    attack: Attack
    row: int | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """What is looked at: a change of it starts an attack by itself, a change of the settings does not."""
        return (*(model.digest for model in self.models), self.picture)


@dataclass
class Lane:
    """One model's part of a job; its tensors are in the processor's memory, wherever the model lies.

    What comes afterwards is there once both lanes are at their end. The neighbourhood, or what is in its way, is there
    once the job was asked to look for it.
    """

    model: LoadedModel
    trace: Trace | None = None
    afterwards: Afterwards | None = None
    neighborhood: Neighborhood | None = None
    passage: Passage | None = None
    alone: str = ""


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
    search: list[Future[None]] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """Whether there is more to come."""
        return self.state in ("waiting", "running")

    @property
    def steps_done(self) -> int:
        """Attack steps finished so far, of both models together."""
        return sum(len(lane.trace.images) - 1 for lane in self.lanes if lane.trace is not None)

    @property
    def most_steps(self) -> int:
        """The most that ``steps_done`` can come to."""
        return len(self.lanes) * most_steps(self.request.attack)

    def stop(self) -> None:
        """Ask the attack to end at its next step; one that still waits for another ends at once."""
        self.stop_wanted = True
        if self.future is not None and self.future.cancel():
            self.state = "stopped"

    def wait(self, seconds: float) -> None:
        """Give a short attack the time to finish, so that the page need not be drawn twice."""
        if self.future is not None:
            wait([self.future], seconds)

    def run(self) -> None:
        """Attack both models side by side. Runs in the worker thread, which waits for theirs."""
        self.state, ended = "running", "done"
        try:
            with urgent():
                deque(side_by_side(self._attack, self.lanes, len(self.lanes), self._end), maxlen=0)
                crossed = list(zip(self.lanes, self.lanes[::-1], strict=True))
                deque(side_by_side(self._look_elsewhere, crossed, len(crossed), self._end), maxlen=0)
        except Cancelled:
            ended = "stopped"
        except Exception as error:  # the page must say something whatever happens
            self.problem, ended = tell(error, "The attack"), "failed"
        self.seconds = time.monotonic() - self.started
        self.state = ended

    def _end(self) -> None:
        self.stop_wanted = True

    def _attack(self, lane: Lane) -> None:
        request, loaded = self.request, lane.model

        def on_step(so_far: Trace) -> None:
            lane.trace = so_far
            if self.stop_wanted or time.monotonic() - self.looked_at > ABANDONED_AFTER:
                raise Cancelled
            loaded.lock.pass_on()  # between two steps the model is free for whoever else waits for it

        image = loaded.put(request.image)
        with loaded.lock:
            lane.trace = trace_attack(loaded.model, image, request.label, request.attack, on_step)

    def _look_elsewhere(self, crossed: tuple[Lane, Lane]) -> None:
        lane, other = crossed

        def ask(model: LoadedModel, image: Tensor) -> Tensor:
            with model.lock:
                return probabilities(model.model, model.put(image))

        assert lane.trace is not None  # its attack is over
        image = lane.trace.adversarial
        lane.afterwards = Afterwards(ask(lane.model, rounded_to_bytes(image)), ask(other.model, image))

    def find_neighbors(self, seconds: float) -> bool:
        """Look for the neighbours of both models that have a trace, side by side; return whether that is over.

        It is begun once, by whoever asks first and not by the attack: there is a verdict without them. Whoever asks
        waits so many seconds at most.
        """
        if not self.search:
            self.search = [helpers().submit(self._find, lane, lane.trace) for lane in self.lanes if lane.trace]
        return not wait(self.search, seconds).not_done

    def _find(self, lane: Lane, trace: Trace) -> None:
        try:
            row = torch.tensor([-1 if self.request.row is None else self.request.row])
            lane.passage = passage(lane.model, trace, row)
            lane.neighborhood = neighborhood(lane.model, trace.image[None], trace.adversarial[None], row)
        except DatasetError:  # an upload can be attacked without the data set
            lane.alone = "its test images are not here."
        except Exception as error:
            lane.alone = tell(error, "The search")


@st.cache_resource(show_spinner=False)
def worker() -> ThreadPoolExecutor:
    """Return the thread that lets one attack after the other begin: the cores are shared best by one at a time."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="queue")


def submit(request: Request, pool: ThreadPoolExecutor) -> Job:
    """Queue a request and return its job."""
    first, second = request.models
    job = Job(request, (Lane(first), Lane(second)))
    job.future = pool.submit(job.run)
    return job


def tell(error: Exception, what: str) -> str:
    """Return a sentence for the page: a ValueError is one."""
    return str(error) if isinstance(error, ValueError) else f"{what} failed: {type(error).__name__}."
