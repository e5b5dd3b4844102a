"""Models by name: from image shape, number of classes, mean and standard deviation to a classifier."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from torch import nn

from lsp_core.models.cnn import SmallCNN
from lsp_core.models.preactresnet import PreActResNet
from lsp_core.types import Classifier, pick

MODELS: dict[str, Callable[..., Classifier]] = {
    "cnn": SmallCNN,
    # Sees 16x16 positions after the stem: 1.2 million weights that train on two cores.
    "preactresnet-small": functools.partial(PreActResNet, widths=(64, 128, 256), blocks=1, stem_stride=2),
    "preactresnet18": functools.partial(PreActResNet, widths=(64, 128, 256, 512), blocks=2, stem_stride=1),
}


def build_model(
    name: str, image_shape: tuple[int, int, int], classes: int, mean: Sequence[float], std: Sequence[float]
) -> Classifier:
    """Build an untrained model; its weights come from torch's global generator.

    Raises:
        ValueError: if the name is unknown.
    """
    model = pick("model", name, MODELS)(image_shape, classes, mean, std)
    for module in model.modules():
        # On the device "meta" there is nothing to draw, and torch would load its compiler to do so: 1.3 s.
        if isinstance(module, nn.Conv2d | nn.Linear) and not module.weight.is_meta:
            # He et al. 2015: torch's own default shrinks the signal layer by layer, and training starts epochs later.
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if module is model.head else "relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


__all__ = ["MODELS", "build_model"]
