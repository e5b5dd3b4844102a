"""How far a saliency map can be trusted, in two figures by Captum.

Hold the model's lock around every call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from lsp_core.explain.saliency import METHODS
from lsp_core.types import Classifier, pick

RADIUS = 0.02  # of the pixel range, Linf, around the image
SENSITIVITY_SAMPLES, INFIDELITY_SAMPLES = 8, 32
NOISE = 0.1  # standard deviation, in units of the pixel range


class Trust(NamedTuple):
    """Two figures of a map, both the better the smaller.

    Attributes:
        sensitivity: how far the map moves at most, of its own length, where the image moves by at most ``RADIUS``.
        infidelity: how badly the map tells what noise does to the logit, scaled so that models can be compared; None
            for a method whose maps are coarser than the pixels.
    """

    sensitivity: float
    infidelity: float | None


def trust(model: Classifier, image: Tensor, target: int, method: str, seed: int = 0) -> Trust:
    """Measure the map of one image (C,H,W) for a class.

    Source: Yeh et al. 2019, max-sensitivity and infidelity, by Captum. The random draws are from ``seed`` and not from
    torch's global generator.

    Raises:
        ValueError: if the method is unknown.
    """
    from captum.metrics import infidelity, sensitivity_max

    chosen = pick("saliency method", method, METHODS)
    generator = torch.Generator(image.device).manual_seed(seed)
    targets = torch.tensor([target], device=image.device)

    def drawn(like: Tensor, make: Callable[..., Tensor]) -> Tensor:
        return make(like.shape, generator=generator, device=like.device)

    def explain(images: Tensor | tuple[Tensor]) -> Tensor:
        own = _alone(images)
        return chosen.compute(model, own.detach().clone(), targets.expand(len(own))).detach()

    def near(images: Tensor | tuple[Tensor], radius: float) -> tuple[Tensor]:
        own = _alone(images)
        return ((own + radius * (2 * drawn(own, torch.rand) - 1)).clamp(0, 1),)

    def noisy(images: Tensor) -> tuple[Tensor, Tensor]:
        noise = NOISE * drawn(images, torch.randn)
        return noise, images - noise

    shown = image[None].detach().clone()
    found = explain(shown)
    moved = sensitivity_max(
        explain, shown, near, perturb_radius=RADIUS, n_perturb_samples=SENSITIVITY_SAMPLES, max_examples_per_batch=1
    )
    if chosen.coarse:
        return Trust(float(moved), None)
    with torch.no_grad():
        missed = infidelity(
            model, noisy, shown, found, target=targets, n_perturb_samples=INFIDELITY_SAMPLES, normalize=True
        )
    return Trust(float(moved), float(missed))


def _alone(images: Tensor | tuple[Tensor]) -> Tensor:
    """Return the images; Captum hands over a tuple of them for a model with several inputs, and sometimes for one."""
    return images[0] if isinstance(images, tuple) else images
