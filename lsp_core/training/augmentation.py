"""Random changes of images that leave their class as it is: a new one is a function and a line in ``CHANGES``.

Which of them a data set bears stands in its row of ``lsp_core.data.DATASETS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lsp_core.lsp.lsp import uniform_noise
from lsp_core.types import pick


@dataclass(frozen=True)
class Change:
    """A random change of images (N,C,H,W), and what a card says of it; "{reach}" there is the reach in pixels."""

    apply: Callable[[Tensor, torch.Generator], Tensor]
    words: str


def reach(height: int, width: int) -> int:
    """Return by how many pixels images are shifted at most: an eighth of the shorter side, 4 of 32."""
    return min(height, width) // 8


def shift(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to ``reach`` pixels down or up and right or left; zeros come in."""
    count, _, height, width = images.shape
    device, most = images.device, reach(height, width)
    padded = functional.pad(images, (most, most, most, most))
    offset = torch.randint(0, 2 * most + 1, (2, count, 1), generator=generator, device=device)
    rows = offset[0] + torch.arange(height, device=device)
    columns = offset[1] + torch.arange(width, device=device)
    which = torch.arange(count, device=device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)  # the permuted view of NHWC is channels_last


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability one half."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(3), images)


CHANGES: dict[str, Change] = {
    "shift": Change(shift, "shifts of up to {reach} pixels"),
    "flip": Change(flip, "flips"),
}


def augment(images: Tensor, changes: Sequence[str], generator: torch.Generator) -> Tensor:
    """Change images (N,C,H,W) in [0,1] at random, in the ways that ``changes`` names, one after the other."""
    for name in changes:
        images = pick("random change", name, CHANGES).apply(images, generator)
    return images


def describe_changes(changes: Sequence[str], height: int, width: int) -> str:
    """Return the random changes of a data set in words.

    >>> describe_changes(("shift", "flip"), 32, 32)
    'shifts of up to 4 pixels and flips'

    Raises:
        ValueError: if one is unknown.
    """
    words = [pick("random change", name, CHANGES).words.format(reach=reach(height, width)) for name in changes]
    return " and ".join(words) or "none"


def noise_half(images: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """Add ``uniform_noise`` to a random half of the images, rounded up, and leave the others as they are."""
    order = torch.randperm(len(images), generator=generator, device=images.device)
    noisy = (order < (len(images) + 1) // 2)[:, None, None, None]
    return torch.where(noisy, uniform_noise(images, radius, generator), images)
