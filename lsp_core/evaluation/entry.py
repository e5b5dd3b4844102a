"""One evaluation as files keep it: in the evaluations of a checkpoint, and in the runs of a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsp_core.attacks.describe import settings
from lsp_core.store.provenance import Machine
from lsp_core.store.schema import Stored
from lsp_core.types import Attack, Norm, Record

TOLERANCE = 1e-6
Identity = tuple[str, str, int | None, int, str, str, Record]


@dataclass(frozen=True)
class Fooled(Stored):
    """How many images an attack of a sequence ``fooled``, of those that the ones before it left standing."""

    label: str
    fooled: int

    def __post_init__(self) -> None:
        if self.fooled < 0:
            raise ValueError(f"fooled is {self.fooled}, but it must be 0 or more.")


@dataclass(frozen=True)
class Entry(Stored):
    """A model under one attack: accuracies are fractions, robust means right before and under the attack.

    Attributes:
        name: of the attack in ``lsp_core.attacks.ATTACKS``, several joined by ``+``; "" for one in no table.
        attack: its class.
        label: what people call it.
        eps: radius in pixel units.
        settings: every field of the attack; those of the attacks inside it nested, with their ``class``.
        n: how many images there were.
        clean_interval: Wilson 95 % of ``clean_accuracy``; ``robust_interval`` of ``robust_accuracy``.
        fooled_by: for each attack in the sequence how many images it fooled.
        clean_correct: which images were right before the attack, in the order in which ``seed`` draws them, as the
            hexadecimal digits of packed bits; ``robust_correct`` before and under it. See ``clean_right``.
        forward_passes: images that the attacks sent through the model; ``backward_passes`` gradients they took.
        seconds: wall time.
        dataset: name of the data set; "" where the file says it elsewhere, as a study's run does, like what follows.
        split: of the data set.
        seed: of the choice of images.
        batch_size: images at once.
        device: cpu or cuda.
        versions: of the libraries.
        date: YYYY-MM-DD.
        machine: where it was measured, if that is not where the file says.
    """

    name: str
    attack: str
    label: str
    norm: Norm
    eps: float
    settings: Record
    n: int
    clean_accuracy: float
    clean_interval: tuple[float, float]
    robust_accuracy: float
    robust_interval: tuple[float, float]
    fooled_by: tuple[Fooled, ...]
    clean_correct: str
    robust_correct: str
    forward_passes: int
    backward_passes: int
    seconds: float
    dataset: str = ""
    split: Literal["", "train", "test"] = ""
    seed: int | None = None
    batch_size: int | None = None
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    machine: Machine | None = None

    def __post_init__(self) -> None:
        """Refuse figures that contradict each other.

        Raises:
            ValueError: naming the field.
        """
        for key in ("eps", "forward_passes", "backward_passes", "seconds"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} is {getattr(self, key):g}, but it must be 0 or more.")
        for key in ("n", "batch_size"):
            if (count := getattr(self, key)) is not None and count < 1:
                raise ValueError(f"{key} is {count}, but it must be 1 or more.")
        for which, right in (("clean", self.clean_right), ("robust", self.robust_right)):
            share, (low, high) = getattr(self, f"{which}_accuracy"), getattr(self, f"{which}_interval")
            if abs(float(right.mean()) - share) > TOLERANCE:
                raise ValueError(f"{which}_accuracy is {share:g} of {self.n}, which is not that of {which}_correct.")
            if not -TOLERANCE <= low <= share + TOLERANCE <= high + 2 * TOLERANCE <= 1 + 3 * TOLERANCE:
                raise ValueError(f"{which}_interval is {low:g} to {high:g}, but {share:g} must lie between them.")
        if (self.robust_right & ~self.clean_right).any():
            raise ValueError("robust_correct has images that clean_correct lacks.")
        lost, said = int((self.clean_right & ~self.robust_right).sum()), sum(part.fooled for part in self.fooled_by)
        if said != lost:
            raise ValueError(f"fooled_by counts {said} images, but {lost} are right before the attack alone.")

    @cached_property
    def clean_right(self) -> NDArray[np.bool_]:
        """Which images (n,) were right before the attack."""
        return self._unpacked("clean_correct")

    @cached_property
    def robust_right(self) -> NDArray[np.bool_]:
        """Which images (n,) were right before and under the attack."""
        return self._unpacked("robust_correct")

    @property
    def passes(self) -> int:
        """Forward and backward passes."""
        return self.forward_passes + self.backward_passes

    @property
    def identity(self) -> Identity:
        """What decides the figures, given the weights: the images and the attack."""
        return (self.dataset, self.split, self.seed, self.n, self.attack, self.norm, self.settings)

    def _unpacked(self, key: str) -> NDArray[np.bool_]:
        try:
            packed = np.frombuffer(bytes.fromhex(getattr(self, key)), np.uint8)
        except ValueError as error:
            raise ValueError(f"{key} holds no hexadecimal digits.") from error
        if len(packed) != -(-self.n // 8):
            raise ValueError(f"{key} is of {8 * len(packed)} images, but n is {self.n}.")
        right = np.unpackbits(packed)[: self.n].astype(bool)
        right.setflags(write=False)
        return right


def pack(right: ArrayLike) -> str:
    """Return which images (n,) were right as ``clean_correct`` and ``robust_correct`` write it.

    >>> pack([True, False, False, False, False, False, False, False, True])
    '8080'
    """
    return np.packbits(np.asarray(right, dtype=bool)).tobytes().hex()


def identity(attack: Attack, dataset: str, split: str, seed: int, n: int) -> Identity:
    """Return what ``Entry.identity`` will be of an attack on the first ``n`` images that ``seed`` draws."""
    return (dataset, split, seed, n, type(attack).__name__, attack.norm, settings(attack))
