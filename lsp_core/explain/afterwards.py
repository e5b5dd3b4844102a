"""What becomes of an adversarial image elsewhere: rounded to a file's 256 levels, and shown to another model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsp_core.types import Classifier

LEVELS = 255


@dataclass(frozen=True)
class Afterwards:
    """Class probabilities (K,) of what an attack on one model made.

    Attributes:
        rounded: by the same model, of the image rounded to 8 bits a value, as a file keeps it.
        elsewhere: by another model, of the image as attacked.
    """

    rounded: Tensor
    elsewhere: Tensor


def rounded_to_bytes(images: Tensor) -> Tensor:
    """Return images in [0,1] as they are once they were kept with 8 bits a value."""
    return (images * LEVELS).round() / LEVELS


def probabilities(model: Classifier, image: Tensor) -> Tensor:
    """Return what a model takes one image (C,H,W) for: (K,), in the processor's memory."""
    with torch.no_grad():
        found: Tensor = model(image[None]).softmax(1)[0].cpu()
    return found
