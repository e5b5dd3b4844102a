"""The same attack on many test images, behind the page: who holds, and are the neighbours kept?"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

import streamlit as st
import torch
from torch import Tensor

from app.state.cores import quiet, surveyors
from app.state.images import reference_rows, test_images
from app.state.jobs import tell
from app.state.models import LoadedModel
from app.state.near import neighborhood
from lsp_core.evaluation import predict
from lsp_core.explain.neighborhood import Neighborhood
from lsp_core.types import Attack, Step

SURVEYED = 200  # test images, which take the classes in turn
BATCH = 10  # what is lost where nobody looks any more, and how many outcomes come at once
UNSEEN_AFTER = 2.0  # seconds without anybody looking: nobody wants to know any more


class Unseen(Exception):
    """Nobody looks."""


@dataclass
class Survey:
    """The outcomes and neighbourhoods of the first reference images, before and under one attack, batch by batch.

    ``right`` has for each batch who is taken for what it is, (n,2) bool: before the attack, and under it. It goes on
    while somebody looks, and waits while an attack runs that somebody waits for. What is there stays.
    """

    model: LoadedModel
    attack: Attack
    wanted: int
    right: list[Tensor] = field(default_factory=list)
    parts: list[Neighborhood] = field(default_factory=list)
    problem: str = ""
    _looked_at: float = 0.0
    _work: Future[None] | None = None
    _beginning: threading.Lock = field(default_factory=threading.Lock)

    @property
    def count(self) -> int:
        """Images so far."""
        return sum(len(part.moved) for part in self.parts)

    @property
    def found(self) -> Neighborhood:
        """The neighbourhoods so far, of which there is at least one batch."""
        return Neighborhood.of(tuple(self.parts))  # while it is put together, another batch may come

    @property
    def outcomes(self) -> list[tuple[bool, bool]]:
        """Whether each image so far is taken for what it is, before the attack and under it."""
        return [(bool(before), bool(under)) for part in tuple(self.right) for before, under in part.tolist()]

    @property
    def over(self) -> bool:
        """Whether there is no more to come."""
        return bool(self.problem) or self.count >= self.wanted

    def look(self) -> Future[None]:
        """Say that somebody looks; return what ends with the work, which goes on now if it did not."""
        self._looked_at = time.monotonic()
        with self._beginning:  # two sessions may look at once
            if self._work is None or (self._work.done() and not self.over):
                self._work = surveyors().submit(self._go_on)
            return self._work

    def _go_on(self) -> None:
        dataset = self.model.card.dataset
        try:
            data, rows = test_images(dataset), reference_rows(dataset)[self.count : self.wanted]
            for some in rows.split(BATCH):
                images, labels = self.model.put(data.float(some)), self.model.put(data.labels[some])
                with self.model.lock:
                    attacked = self.attack(self.model.model, images, labels, on_step=self._on_step)
                    guesses = [predict(self.model.model, shown).argmax(1) for shown in (images, attacked)]
                del self.right[len(self.parts) :]  # of a batch whose neighbours were not found in time
                self.right.append(torch.stack([guess == labels for guess in guesses], 1).cpu())
                self.parts.append(neighborhood(self.model, images, attacked, some))
        except Unseen:
            pass
        except Exception as error:  # the page must say something whatever happens
            self.problem = tell(error, "The comparison")

    def _on_step(self, _: Step) -> None:
        if time.monotonic() - self._looked_at > UNSEEN_AFTER:
            raise Unseen
        self.model.lock.pass_on(quiet.wait)


def survey(of: LoadedModel, attack: Attack) -> Survey:
    """Return the survey of a model under an attack, the same for every session; nothing begins before a look.

    Raises:
        DatasetError: if the test images are not there.
    """
    return _survey(of, of.digest, of.card.dataset, attack, repr(attack))


@st.cache_resource(show_spinner=False, max_entries=64)
def _survey(_of: LoadedModel, digest: str, dataset: str, _attack: Attack, settings: str) -> Survey:
    return Survey(_of, _attack, min(SURVEYED, len(reference_rows(dataset))))


def look_on(surveys: Sequence[Survey], seconds: float) -> bool:
    """Look once at surveys, which go on side by side; return, after so many seconds at most, whether all are over."""
    wait([each.look() for each in surveys], seconds)
    return all(each.over for each in surveys)


def forget_surveys() -> None:
    """Begin all anew: the test images are others."""
    _survey.clear()
