"""What a model does with an image, layer by layer, written down while it does it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lsp_core.certify.steps import KNOWN, STEPS
from lsp_core.certify.tape import Noted, Tape, map_shape

UNSEEN = {"get", "dim", "size"}  # what asks only for a shape or an attribute


def record(model: nn.Module, images: Tensor) -> Tape:
    """Return what a model in evaluation mode does with images (N,C,H,W), in float64 and without touching the model.

    Two images go through a copy of it as tensors that note each function they are given to. Nothing is guessed: a
    function that is not in ``STEPS`` is refused.

    Raises:
        ValueError: naming the layer, if the model has one that no bound can be taken through.
    """
    double = copy.deepcopy(model).double().requires_grad_(False)
    shape = map_shape(images)
    tape = Tape(shape, [])
    with torch.no_grad():
        pair = images[:1].double().expand(2, *shape).contiguous().as_subclass(_Noting)
        pair.tape, pair.number = tape, -1
        logits = double(pair)
    if not isinstance(logits, _Noting) or tuple(logits.shape[:-1]) != (2,):
        raise ValueError(
            "model does not return logits (N,K) for images (N,C,H,W), so that there is nothing to certify."
        )
    return tape


class _Noting(Noted):
    """Writes down what is made of it."""

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = super().__torch_function__(function, types, args, kwargs or {})
        name = function.__name__.strip("_")
        if name in UNSEEN:
            return result
        source, step = next((one for one in args if isinstance(one, _Noting)), None), STEPS.get(name)
        if step is None or source is None:
            raise ValueError(f"model uses {name}, which no bound can be taken through here: certify knows {KNOWN}.")
        with torch._C.DisableTorchFunctionSubclass():  # what is written down here is not itself noted
            if not isinstance(result, _Noting) or len(result) != 2:
                raise ValueError(f"model uses {name} in a way that mixes images, so that none has a bound of its own.")
            result.tape, result.number = source.tape, step(source.tape, map_shape(result), *args, **(kwargs or {}))
        return result
