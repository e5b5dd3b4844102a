"""What one attack did, iterate by iterate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Run:
    """One attack on all M images that the model gets right.

    Attributes:
        survived: (M,) bool; the image that came back is still classified right when the model is asked once more.
        fooled: (T,M) bool, of every iterate that the attack showed.
        margins: (T,M) best other logit minus the label's, of every iterate.
        restarts: (T,) the restart that each iterate belongs to.
        excess: the furthest that an image moved beyond eps, in the units of the norm, or left [0,1]; below 0 if none.
    """

    survived: Tensor
    fooled: Tensor
    margins: Tensor
    restarts: Tensor
    excess: float = 0.0

    @property
    def correct(self) -> int:
        """The number of images that are still right."""
        return int(self.survived.sum())

    @property
    def unbroken(self) -> Tensor:
        """Which images (M,) were right at every iterate, and are in the end."""
        return self.survived & ~self.fooled.any(0)

    def within(self, restarts: int) -> int:
        """Return how many images the first ``restarts`` restarts left right at every iterate."""
        return int((~self.fooled[self.restarts < restarts].any(0)).sum())

    def after(self, steps: int) -> int:
        """Return how many images were right at every iterate up to ``steps`` (of a run without restarts)."""
        return int((~self.fooled[: steps + 1].any(0)).sum())

    @classmethod
    def joined(cls, batches: Sequence[Run]) -> Run:
        """Return one run of several on different images; where one ended early, all fooled, it stays as it is."""
        longest = max(len(batch.margins) for batch in batches)
        return cls(
            torch.cat([batch.survived for batch in batches]),
            torch.cat([_stretch(batch.fooled, longest) for batch in batches], 1),
            torch.cat([_stretch(batch.margins, longest) for batch in batches], 1),
            max((batch.restarts for batch in batches), key=len),
            max(batch.excess for batch in batches),
        )


def _stretch(rows: Tensor, length: int) -> Tensor:
    """Repeat the last row of (T,M) until there are ``length``."""
    return torch.cat([rows, rows[-1:].expand(length - len(rows), -1)]) if len(rows) < length else rows
