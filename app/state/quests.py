"""How far one image can be trusted by each model: proved, or found, behind the page and only when it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from app.state.cores import quiet, surveyors
from app.state.jobs import Cancelled, tell
from app.state.models import LoadedModel
from lsp_core.attacks import Minimal
from lsp_core.certify import certify
from lsp_core.types import Norm

Kind = Literal["proved", "smallest"]
UNSEEN_AFTER = 10.0  # seconds without anybody looking: the page shows something else by now


@dataclass
class Quest:
    """One radius of one image under one model; ``state`` ends as done, stopped or failed.

    It waits while an attack runs that somebody waits for.

    Attributes:
        kind: ``proved``, up to which radius nothing changes the class, or ``smallest``, from which on it was seen to.
        image: (C,H,W) and its class, ``label``.
        share: how much is done.
        radius: when it is done; 0 where nothing is proved or the image is wrong already, inf where nothing was found.
        picture: (C,H,W) what fools the model, if that was found, and ``guess``, what the model takes it for.
    """

    kind: Kind
    model: LoadedModel
    image: Tensor
    label: int
    norm: Norm
    share: float = 0.0
    radius: float | None = None
    picture: Tensor | None = None
    guess: int | None = None
    state: str = "running"
    problem: str = ""
    stop_wanted: bool = False
    looked_at: float = field(default_factory=time.monotonic)
    future: Future[None] | None = None

    @property
    def active(self) -> bool:
        """Whether there is more to come."""
        return self.state == "running"

    def stop(self) -> None:
        """Ask it to end; one that has not begun ends at once."""
        self.stop_wanted = True
        if self.future is not None and self.future.cancel():
            self.state = "stopped"

    def run(self) -> None:
        """Work it out. Runs in a thread of its own, which holds the model but for the moments between two passes."""
        ended = "done"
        try:
            with self.model.lock:
                WORK[self.kind](self)
        except Cancelled:
            ended = "stopped"
        except Exception as error:  # the page must say something whatever happens
            self.problem, ended = tell(error, "The search"), "failed"
        self.state = ended

    def on_progress(self, done: int, total: int) -> None:
        """Note how far it is, let others have the model, and end where nobody wants to know any more."""
        self.share = done / max(total, 1)
        if self.stop_wanted or time.monotonic() - self.looked_at > UNSEEN_AFTER:
            raise Cancelled
        self.model.lock.pass_on(quiet.wait)


def _prove(quest: Quest) -> None:
    images, labels = _batch(quest)
    quest.radius = float(certify(quest.model.model, images, labels, quest.norm, on_progress=quest.on_progress)[0])


def _find(quest: Quest) -> None:
    images, labels = _batch(quest)
    found = Minimal(norm=quest.norm)(quest.model.model, images, labels, on_progress=quest.on_progress)
    if bool(found.found[0]):
        quest.guess = int(quest.model.model(found.images).argmax(1)[0])
        quest.picture = found.images[0].cpu()
    quest.radius = float(found.eps[0])


def _batch(quest: Quest) -> tuple[Tensor, Tensor]:
    return quest.model.put(quest.image[None]), quest.model.put(torch.tensor([quest.label]))


WORK: dict[Kind, Callable[[Quest], None]] = {"proved": _prove, "smallest": _find}


def begin(quest: Quest) -> Quest:
    """Let a quest begin behind the page, one a model at a time."""
    quest.future = surveyors().submit(quest.run)
    return quest
