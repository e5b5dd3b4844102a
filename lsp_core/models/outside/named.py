"""Architectures by the names that torchvision and timm have for them, without weights."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lsp_core.models.outside.bounded import SLACK, Bounded
from lsp_core.models.outside.formats import OutsideError

Shape = tuple[int, int, int]


def architecture(name: str, classes: int, image_shape: Shape, size: int) -> nn.Module:
    """Build an untrained model; nothing is downloaded, and torch's global generator stays as it is.

    Args:
        name: "torchvision/NAME" or "timm/NAME".
        classes: how many.
        image_shape: (C,H,W), which models of a fixed size are built for.
        size: bytes of the weights that it is to have; a model of more than twice as many is refused.

    Raises:
        OutsideError: if there is no such name, or the model cannot be built for such images.
    """
    library, _, own = name.partition("/")
    if library not in LIBRARIES:
        raise OutsideError(f"unknown architecture {name!r:.60}: give torchvision/NAME or timm/NAME.")
    try:
        with torch.random.fork_rng(devices=[]), Bounded(2 * size + SLACK):
            return LIBRARIES[library](own, classes, image_shape).eval()
    except OutsideError:
        raise
    except Exception as error:  # a builder may raise anything on a size that it does not do
        reason = " ".join(str(error).split())[:160].rstrip(".")
        raise OutsideError(f"{name} cannot be built for images of {image_shape}: {reason}.") from error


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's 1,000 classes, in the order that models give them."""
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])


def _torchvision(name: str, classes: int, image_shape: Shape) -> nn.Module:
    import torchvision

    _check(name, "torchvision", torchvision.models.list_models(module=torchvision.models))
    sized = {"image_size": image_shape[1]} if name.startswith("vit_") else {}
    built: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **sized)
    return built


def _timm(name: str, classes: int, image_shape: Shape) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise OutsideError("architectures of timm need a package that is not installed: pip install timm.") from None
    name = name.split(".")[0]  # behind the point timm names weights, of which it would have none here
    _check(name, "timm", timm.list_models())
    settings: dict[str, Any] = {"pretrained": False, "num_classes": classes, "in_chans": image_shape[0]}
    try:
        built: nn.Module = timm.create_model(name, img_size=image_shape[1:], **settings)
    except TypeError:  # a model of no fixed size
        built = timm.create_model(name, **settings)
    return built


def _check(name: str, library: str, known: list[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 3)
        perhaps = f": perhaps {', '.join(near)}" if near else ""
        raise OutsideError(f"{library} has no classifier {name!r:.60}{perhaps}.")


LIBRARIES: dict[str, Callable[[str, int, Shape], nn.Module]] = {"torchvision": _torchvision, "timm": _timm}
