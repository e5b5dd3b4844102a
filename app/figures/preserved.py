"""How much of their neighbourhoods two models keep, over many images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lsp_core.evaluation.intervals import mean_difference_interval, mean_interval
from lsp_core.explain.neighborhood import Neighborhood

# By the property of a neighbourhood: what people call it, and of what it is a share.
FIGURES = {
    "overlap": ("Near in pixels, too", "before the attack"),
    "overlap_attacked": ("Near in pixels, too", "under attack"),
    "kept": ("Kept", "near before and under attack"),
}


@dataclass(frozen=True)
class Mean:
    """A mean over images with its 95 % interval, as fractions."""

    value: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Preserved:
    """One figure of ``FIGURES`` for two models (first, second), which have seen the same images; fractions.

    Attributes:
        figure: its name.
        means: of both models.
        lead: the second minus the first, image by image.
    """

    figure: str
    means: tuple[Mean, Mean]
    lead: Mean

    @classmethod
    def of(cls, figure: str, first: Neighborhood, second: Neighborhood) -> Preserved:
        """Compare two models by a figure of the images that both have seen: the first of each."""
        n = min(len(first.moved), len(second.moved))
        shares = [getattr(each, figure)[:n].double() / each.k for each in (first, second)]
        own, other = (Mean(float(share.mean()), mean_interval(share.tolist())) for share in shares)
        return cls(figure, (own, other), _lead(shares[1] - shares[0]))


def _lead(differences: Tensor) -> Mean:
    return Mean(float(differences.mean()), mean_difference_interval(differences.tolist()))


def compared(kept: Preserved, names: tuple[str, str]) -> str:
    """Say, as the end of a sentence, which of two models keeps more, if that is to be seen."""
    if kept.lead.interval[0] <= 0 <= kept.lead.interval[1]:
        return f"neither is seen to keep more neighbours under attack ({interval(kept.lead)} points)."
    more, less = names[::-1] if kept.lead.value > 0 else names
    low, high = sorted(abs(100 * bound) for bound in kept.lead.interval)
    return (
        f"{more} keeps {abs(100 * kept.lead.value):.1f} points more of its neighbours under attack than {less} "
        f"({low:.1f} to {high:.1f})."
    )


def interval(mean: Mean) -> str:
    """Return the bounds of a difference in points, signed."""
    low, high = (100 * bound for bound in mean.interval)
    return f"{low:+.1f} to {high:+.1f}"
