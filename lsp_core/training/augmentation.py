"""Random changes of images that leave their class as it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from lsp_core.lsp.lsp import uniform_noise


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each image by up to 4 pixels (zeros come in) and flip half of them left to right."""
    count, _, height, width = images.shape
    device = images.device
    padded = functional.pad(images, (4, 4, 4, 4))
    shift = torch.randint(0, 9, (2, count, 1), generator=generator, device=device)
    rows = shift[0] + torch.arange(height, device=device)
    columns = shift[1] + torch.arange(width, device=device)
    flip = torch.rand(count, 1, generator=generator, device=device) < 0.5
    columns = torch.where(flip, columns.flip(1), columns)
    which = torch.arange(count, device=device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)  # the permuted view of NHWC is channels_last


def noise_half(images: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """Add ``uniform_noise`` to a random half of the images, rounded up, and leave the others as they are."""
    order = torch.randperm(len(images), generator=generator, device=images.device)
    noisy = (order < (len(images) + 1) // 2)[:, None, None, None]
    return torch.where(noisy, uniform_noise(images, radius, generator), images)
