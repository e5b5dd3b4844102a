"""Which pixels a prediction hangs on, by Captum.

Its hooks change a model while they run: hold the model's lock around every call.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lsp_core.types import Classifier, pick

SMOOTHING_SAMPLES = 25
SMOOTHING_SHARE = 0.1  # standard deviation of the noise, in units of the pixel range [0,1]
PATH_STEPS = 32


def gradient(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of the target logit (Simonyan et al. 2013)."""
    from captum.attr import Saliency

    found: Tensor = Saliency(model).attribute(images.requires_grad_(), target=targets, abs=False)
    return found


def smooth_gradient(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return the mean gradient under Gaussian noise, the same noise at every call (SmoothGrad, Smilkov et al. 2017)."""
    generator = torch.Generator(images.device).manual_seed(0)
    noise = torch.randn((SMOOTHING_SAMPLES, *images.shape[1:]), generator=generator, device=images.device)
    maps = []
    for image, target in zip(images, targets, strict=True):
        # Captum's NoiseTunnel draws from the global generator, so two looks at one image would differ.
        noisy = (image + SMOOTHING_SHARE * noise).detach()
        maps.append(gradient(model, noisy, target.expand(SMOOTHING_SAMPLES)).mean(0))
    return torch.stack(maps)


def integrated_gradients(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return the gradients integrated from a black image (Sundararajan et al. 2017)."""
    from captum.attr import IntegratedGradients

    found: Tensor = IntegratedGradients(model).attribute(
        images, target=targets, n_steps=PATH_STEPS, internal_batch_size=PATH_STEPS * len(images)
    )
    return found


METHODS: dict[str, Callable[[Classifier, Tensor, Tensor], Tensor]] = {
    "SmoothGrad": smooth_gradient,
    "Integrated gradients": integrated_gradients,
    "Gradient": gradient,
}


def attribute(model: Classifier, images: Tensor, targets: Tensor, method: str = "SmoothGrad") -> Tensor:
    """Return signed maps (N,H,W): how much each pixel, summed over the channels, speaks for the target class.

    Args:
        model: in evaluation mode; nothing else may use it meanwhile.
        images: (N,C,H,W) in [0,1].
        targets: (N,) class numbers.
        method: one of ``METHODS``.

    Raises:
        ValueError: if the method is unknown.
    """
    chosen = pick("saliency method", method, METHODS)
    return chosen(model, images.detach().clone(), targets).detach().sum(1)
