"""One evaluation of a run, read back from its file and checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsp_core.study.checked import TOLERANCE, count, fraction, interval, number, text
from lsp_core.types import Record

EVIDENCE = ("autoattack", "fast")  # what is more than one gradient attack that might be masked
STRONGEST = (*EVIDENCE, "apgd-t", "apgd-dlr", "apgd", "pgd")


@dataclass(frozen=True)
class Score:
    """One evaluation; accuracies are fractions.

    Attributes:
        name: the attack as the preset writes it; "" in ``last`` and ``curve``.
        attack: what people call it.
        interval: Wilson 95 % of ``robust``; ``clean_interval`` is that of ``clean``.
        right: (n,) whether each image was right before and under the attack; ``clean_right``: before it.
    """

    name: str
    attack: str
    eps: float
    n: int
    clean: float
    clean_interval: tuple[float, float]
    clean_right: NDArray[np.bool_]
    robust: float
    interval: tuple[float, float]
    right: NDArray[np.bool_]

    @classmethod
    def of(cls, entry: Record) -> Score:
        """Read an entry as ``lsp_core.evaluation.records`` documents it.

        Raises:
            ValueError: if it is none, or its results per image contradict its accuracies.
        """
        name, label, n = text(entry, "name", ""), text(entry, "label"), count(entry, "n")
        clean_right, right = _right(entry, "clean", n), _right(entry, "robust", n)
        if (right & ~clean_right).any():
            raise ValueError(f"robust_correct has images that clean_correct lacks under {label}")
        clean, robust = fraction(entry, "clean_accuracy"), fraction(entry, "robust_accuracy")
        return cls(
            name=name,
            attack="fast ensemble" if name == "fast" else label,
            eps=number(entry, "eps"),
            n=n,
            clean=clean,
            clean_interval=interval(entry, "clean_interval", clean),
            clean_right=clean_right,
            robust=robust,
            interval=interval(entry, "robust_interval", robust),
            right=right,
        )


def strongest_first(attacks: Iterable[str]) -> list[str]:
    """Order attacks, by their names in the preset: the most trusted first, those without a rank last, as they are."""
    rank = {name: place for place, name in enumerate(STRONGEST)}
    return sorted(attacks, key=lambda name: rank.get(name, len(rank)))


def _right(entry: Record, which: str, n: int) -> NDArray[np.bool_]:
    """Return (n,) which images were right, if that is what the accuracy says."""
    try:
        packed = np.frombuffer(bytes.fromhex(text(entry, f"{which}_correct")), np.uint8)
    except ValueError as error:
        raise ValueError(f"{which}_correct cannot be read ({error})") from error
    right = np.unpackbits(packed)[:n].astype(bool)
    accuracy = fraction(entry, f"{which}_accuracy")
    if len(packed) != -(-n // 8) or abs(right.mean() - accuracy) > TOLERANCE:
        raise ValueError(f"{which}_accuracy is {accuracy:g} of {n}, which is not that of {which}_correct")
    return right
