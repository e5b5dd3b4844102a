"""Which pixels a prediction hangs on, by Captum.

Its hooks change a model while they run: hold the model's lock around every call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lsp_core.explain.methods import (
    PATH_STEPS,
    SMOOTHING_SAMPLES,
    Shape,
    grad_cam,
    gradient,
    guided_gradient,
    input_times_gradient,
    integrated_gradients,
    occlusion,
    smooth_gradient,
    windows,
)
from lsp_core.types import Classifier, pick

Compute = Callable[[Classifier, Tensor, Tensor], Tensor]


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
        passes=windows,
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
