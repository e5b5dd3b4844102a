"""Ways to tell which pixels count: each takes a model, images (N,C,H,W) and classes (N,), and returns signed maps.

Captum's hooks change a model while they run: hold the model's lock around every call.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsp_core.types import Classifier

SMOOTHING_SAMPLES = 25
SMOOTHING_SHARE = 0.1  # standard deviation of the noise, in units of the pixel range [0,1]
PATH_STEPS = 32
WINDOWS_AT_ONCE = 64
LARGE, COARSE, COARSE_OF_SMALL = 28, 7, 4  # pixels: a large image's side, and the least side of the layer for Grad-CAM

Shape = tuple[int, ...]  # (C,H,W)


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


def input_times_gradient(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return each pixel times its gradient (Shrikumar et al. 2016)."""
    from captum.attr import InputXGradient

    found: Tensor = InputXGradient(model).attribute(images.requires_grad_(), target=targets)
    return found


def integrated_gradients(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return the gradients integrated from a black image (Sundararajan et al. 2017)."""
    from captum.attr import IntegratedGradients

    found: Tensor = IntegratedGradients(model).attribute(
        images, target=targets, n_steps=PATH_STEPS, internal_batch_size=PATH_STEPS * len(images)
    )
    return found


def grad_cam(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return where the channels of a late layer that speak for the class are active (Selvaraju et al. 2017)."""
    from captum.attr import LayerAttribution, LayerGradCam

    coarse = LayerGradCam(model, late_layer(model, images)).attribute(images, target=targets, relu_attributions=True)
    found: Tensor = LayerAttribution.interpolate(coarse, images.shape[2:], "bilinear")
    return found


def late_layer(model: Classifier, images: Tensor) -> nn.Module:
    """Return the last convolution whose output is not too coarse to show a place.

    Raises:
        ValueError: if the model has no convolution.
    """
    sides: list[tuple[int, nn.Module]] = []
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    hooks = [
        layer.register_forward_hook(lambda own, _, made: sides.append((min(made.shape[2:]), own))) for layer in layers
    ]
    try:
        with torch.no_grad():
            model(images[:1])
    finally:
        for hook in hooks:
            hook.remove()
    if not sides:
        raise ValueError("Grad-CAM needs a convolution, and this model has none: choose another method.")
    least = COARSE if min(images.shape[2:]) >= LARGE else COARSE_OF_SMALL
    fine = [layer for side, layer in sides if side >= least]
    return fine[-1] if fine else sides[0][1]


def occlusion(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return how far the logit falls where a window is laid black (Zeiler and Fergus 2014)."""
    from captum.attr import Occlusion

    side, stride = window(images.shape[1:])
    found: Tensor = Occlusion(model).attribute(
        images,
        sliding_window_shapes=(images.shape[1], side, side),
        strides=(images.shape[1], stride, stride),
        baselines=0.0,
        target=targets,
        perturbations_per_eval=WINDOWS_AT_ONCE,
    )
    return found


def window(shape: Shape) -> tuple[int, int]:
    """Return the side of the black window for images (C,H,W), an eighth of theirs and 2 at least, and its stride."""
    side = max(2, min(shape[1:]) // 8)
    return side, max(1, side // 2)


def windows(shape: Shape) -> int:
    """Return at how many places the black window lies."""
    side, stride = window(shape)
    across, down = (-(-(length - side) // stride) + 1 for length in shape[1:])
    return across * down


def guided_gradient(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient without what falls at a ReLU on its way back (Springenberg et al. 2015)."""
    from captum.attr import GuidedBackprop

    found: Tensor = GuidedBackprop(model).attribute(images.requires_grad_(), target=targets)
    return found
