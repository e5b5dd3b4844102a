"""Which pixels a prediction hangs on, by Captum.

Its hooks change a model while they run: hold the model's lock around every call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.types import Classifier, pick

SMOOTHING_SAMPLES = 25
SMOOTHING_SHARE = 0.1  # standard deviation of the noise, in units of the pixel range [0,1]
PATH_STEPS = 32
WINDOWS_AT_ONCE = 64
LARGE, COARSE, COARSE_OF_SMALL = 28, 7, 4  # pixels: a large image's side, and the least side of the layer for Grad-CAM

Compute = Callable[[Classifier, Tensor, Tensor], Tensor]
Shape = tuple[int, ...]


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


def _windows(shape: Shape) -> int:
    side, stride = window(shape)
    across, down = (-(-(length - side) // stride) + 1 for length in shape[1:])
    return across * down


def guided_gradient(model: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient without what falls at a ReLU on its way back (Springenberg et al. 2015)."""
    from captum.attr import GuidedBackprop

    found: Tensor = GuidedBackprop(model).attribute(images.requires_grad_(), target=targets)
    return found


@dataclass(frozen=True)
class Method:
    """A way to tell which pixels count.

    Attributes:
        compute: (model, images (N,C,H,W), targets (N,)) to signed maps of the images' shape, or of one channel.
        note: how its maps are to be read: red is what speaks for the predicted class, blue what speaks against it.
        by: whose code works it out.
        unit: of its numbers.
        passes: how many passes an image of a shape (C,H,W) costs.
        coarse: whether its maps are of a layer and not of the pixels.
        caution: why its maps may mislead, for a method that is offered with a warning.
    """

    compute: Compute
    note: str
    by: str = "Captum"
    unit: str = "logits a unit of brightness"
    passes: Callable[[Shape], int] = lambda _: 1
    coarse: bool = False
    caution: str = ""


_BRIGHTER = "Where it is red, a brighter pixel speaks for the predicted class; where it is blue, against it"

# The first is the one that people see unless they choose.
METHODS: dict[str, Method] = {
    "SmoothGrad": Method(smooth_gradient, _BRIGHTER, passes=lambda _: SMOOTHING_SAMPLES),
    "Integrated gradients": Method(
        integrated_gradients,
        "Compared with a black image, red pixels speak for the predicted class, blue against it",
        unit="logits",
        passes=lambda _: PATH_STEPS,
    ),
    "Gradient": Method(gradient, _BRIGHTER),
    "Input × gradient": Method(
        input_times_gradient,
        "To first order, red pixels speak for the predicted class by being as bright as they are, blue against it",
        unit="logits",
    ),
    "Grad-CAM": Method(
        grad_cam,
        "Red is where a late layer saw what speaks for the predicted class; it is as coarse as that layer, and nothing "
        "is blue",
        unit="activation times gradient",
        passes=lambda _: 2,
        coarse=True,
    ),
    "Occlusion": Method(
        occlusion,
        "Where a black window makes the predicted class less likely it is red, where more likely blue",
        unit="logits",
        passes=_windows,
    ),
    "Guided backpropagation": Method(
        guided_gradient,
        _BRIGHTER,
        caution="Its maps hardly change where a model's weights are drawn at random (Adebayo et al. 2018): they show "
        "edges of the image more than what the model looks at.",
    ),
}


def attribute(
    model: Classifier,
    images: Tensor,
    targets: Tensor,
    method: str = "SmoothGrad",
    on_pass: Callable[[int], None] | None = None,
) -> Tensor:
    """Return signed maps (N,H,W): how much each pixel, summed over the channels, speaks for the target class.

    Args:
        model: in evaluation mode; nothing else may use it meanwhile.
        images: (N,C,H,W) in [0,1].
        targets: (N,) class numbers.
        method: one of ``METHODS``.
        on_pass: sees before each pass how many images it has, and may raise to cancel.

    Raises:
        ValueError: if the method is unknown, or not for this model.
    """
    chosen = pick("saliency method", method, METHODS)
    hook = model.register_forward_pre_hook(lambda _, given: on_pass(len(given[0])) if on_pass else None)
    try:
        return chosen.compute(model, images.detach().clone(), targets).detach().sum(1)
    finally:
        hook.remove()
