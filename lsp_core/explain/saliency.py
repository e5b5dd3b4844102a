"""Which pixels a prediction hangs on, by Captum.

Its hooks change a model while they run: hold the model's lock around every call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Method:
    """A way to tell which pixels count.

    Attributes:
        compute: (model, images (N,C,H,W), targets (N,)) to signed maps of the images' shape.
        note: how its maps are to be read: red is what speaks for the predicted class, blue what speaks against it.
        by: whose code works it out.
    """

    compute: Callable[[Classifier, Tensor, Tensor], Tensor]
    note: str
    by: str = "Captum"


_BRIGHTER = "Where it is red, a brighter pixel speaks for the predicted class; where it is blue, against it"

# The first is the one that people see unless they choose.
METHODS: dict[str, Method] = {
    "SmoothGrad": Method(smooth_gradient, _BRIGHTER),
    "Integrated gradients": Method(
        integrated_gradients,
        "Compared with a black image, red pixels speak for the predicted class, blue against it",
    ),
    "Gradient": Method(gradient, _BRIGHTER),
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
    return chosen.compute(model, images.detach().clone(), targets).detach().sum(1)
