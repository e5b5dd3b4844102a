"""A module from a file from outside, and what must be known of it: its classes, its embedding, its layouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn

from lsp_core.data.dataset import ImageDataset
from lsp_core.models.outside.cut import cut
from lsp_core.models.outside.foreign import Foreign
from lsp_core.models.outside.formats import OutsideError
from lsp_core.models.outside.graph import Graph
from lsp_core.models.outside.named import architecture, imagenet_classes
from lsp_core.models.outside.network import OnnxModule, linear_layer
from lsp_core.models.outside.preparation import Layout, Preparation, arranged
from lsp_core.models.outside.rebuild import assembled
from lsp_core.models.outside.wrapped import last_linear

IMAGENET = 1000


class Made(NamedTuple):
    """A module that returns logits.

    Attributes:
        embedding: where its last linear layer is, "" if its logits are all that there is.
        layouts: those of the axes that it may want.
        softmax: whether one was cut off.
    """

    module: nn.Module
    classes: tuple[str, ...]
    embedding: str
    layouts: tuple[Layout, ...] = ("NCHW",)
    softmax: bool = False


def made_of(foreign: Foreign, data: ImageDataset, classes: tuple[str, ...] | None) -> Made:
    """Make a module of a file, for images as those of ``data``.

    Args:
        foreign: the file.
        data: labelled images.
        classes: the names of its classes; None means those of the data, or ImageNet's if it tells 1,000 apart.

    Raises:
        OutsideError: if the file, the images and the classes do not fit together.
    """
    if foreign.graph is not None:
        return _of_graph(foreign.graph, data, classes)
    return _of_weights(foreign.model, foreign.weights or {}, data, classes)


def _of_graph(graph: Graph, data: ImageDataset, classes: tuple[str, ...] | None) -> Made:
    layouts = [one for one in get_args(Layout) if _fits(graph.shape[1:], arranged(data.image_shape, one))]
    if not layouts:
        sides = " x ".join("any" if side is None else str(side) for side in graph.shape[1:])
        raise OutsideError(f"it takes images of {sides}, but those of {data.name} are of {data.image_shape}.")
    shape, parts = arranged(data.image_shape, layouts[0]), cut(graph)
    if parts.linear is not None:
        module = OnnxModule(parts.body, linear_layer(parts.linear))
        count, inputs = parts.linear.weight.shape
        if module.try_out(shape) == inputs:
            return Made(module, _names(count, data, classes), "head", tuple(layouts), parts.softmax)
    parts = cut(graph, whole=True)
    module = OnnxModule(parts.body, nn.Identity())
    return Made(module, _names(module.try_out(shape), data, classes), "", tuple(layouts), parts.softmax)


def _fits(declared: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    return all(side in (None, found) for side, found in zip(declared, shape, strict=True))


def _of_weights(name: str, weights: Mapping[str, Tensor], data: ImageDataset, classes: tuple[str, ...] | None) -> Made:
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise OutsideError("some of its weights are not finite.")
    size = sum(value.numel() * value.element_size() for value in weights.values())
    faults = {}
    for count in dict.fromkeys([len(classes)] if classes else [len(data.classes), IMAGENET]):
        module = architecture(name, count, data.image_shape, size)
        faults[count] = _misfit(module.state_dict(), weights)
        if not faults[count]:
            module.load_state_dict(weights, strict=True)
            module.requires_grad_(False)
            found = _names(count, data, classes)
            return Made(module, found, _embedding(module, found, data))
    count, fault = next(iter(faults.items()))
    raise OutsideError(f"its weights are not those of {name} with {count} classes: {fault}.")


def _misfit(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Return the first thing in which weights differ from what a model has, "" for none."""
    for name in wanted.keys() - found.keys():
        return f"{name} is missing"
    for name in found.keys() - wanted.keys():
        return f"{name!r:.60} belongs to nothing"
    shapes = ((name, tuple(wanted[name].shape), tuple(found[name].shape)) for name in wanted)
    return next((f"{name} is of {there} instead of {here}" for name, here, there in shapes if here != there), "")


def _embedding(module: nn.Module, classes: tuple[str, ...], data: ImageDataset) -> str:
    """Return where the last linear layer is, if it gives the logits.

    Raises:
        OutsideError: if the model does not take such images at all.
    """
    path, plain = last_linear(module, len(classes)), Preparation("unit", (0.0,), (1.0,))
    with torch.no_grad():
        image = data.float(slice(0, 1))
        try:
            assembled(module, classes, plain, "")(image)
        except Exception as error:  # whatever a foreign module raises on images that it does not take
            reason = " ".join(str(error).split())[:160].rstrip(".")
            raise OutsideError(f"it does not take images of {data.image_shape}: {reason}.") from error
        try:
            assembled(module, classes, plain, path).features(image)
        except (ValueError, RuntimeError, AttributeError, TypeError):
            return ""
    return path


def _names(count: int, data: ImageDataset, classes: tuple[str, ...] | None) -> tuple[str, ...]:
    if classes is not None and len(classes) != count:
        raise OutsideError(f"it tells {count} classes apart, but the names of {len(classes)} are given.")
    if classes is not None or len(data.classes) == count:
        return classes or data.classes
    if count == IMAGENET:
        return imagenet_classes()
    raise OutsideError(
        f"it tells {count} classes apart, but {data.name} has {len(data.classes)}: give the names of its own."
    )
