"""What a model does with an image, layer by layer, written down while it does it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lsp_core.certify.ranges import Range
from lsp_core.certify.steps import KNOWN, STEPS
from lsp_core.certify.tape import Noted, Tape, map_shape

UNSEEN = {"get", "dim", "size"}  # what asks only for a shape or an attribute
ALIKE = 1e-7  # share of the largest logit by which a tape may differ from its model, both in float64


def record(model: nn.Module, images: Tensor) -> Tape:
    """Return what a model in evaluation mode does with images (N,C,H,W), in float64 and without touching the model.

    An image and its negative go through a copy of the model as tensors that note each function they are given to.
    Nothing is guessed: a function that is not in ``STEPS`` is refused, and what was noted must give the same logits.

    Raises:
        ValueError: naming the layer, if the model has one that no bound can be taken through.
    """
    double = copy.deepcopy(model).double().requires_grad_(False)
    plain = torch.cat([images[:1], 1 - images[:1]]).double()
    tape = Tape(map_shape(plain), [])
    with torch.no_grad():
        pair = plain.as_subclass(_Noting)
        pair.tape, pair.number = tape, -1
        noted = double(pair)
        if not isinstance(noted, _Noting) or tuple(noted.shape[:-1]) != (2,) or noted.number < 0:
            raise ValueError("model does not return logits (N,K) for images (N,C,H,W): there is nothing to certify.")
        del tape.entries[noted.number + 1 :]  # what the logits do not come from
        logits, played = noted.as_subclass(Tensor), _played(tape, plain)
        if not torch.allclose(played, logits, rtol=ALIKE, atol=ALIKE * float(logits.abs().amax())):
            raise ValueError(
                "model does something that cannot be followed, perhaps in place: certify has no bound of it."
            )
    return tape


def _played(tape: Tape, images: Tensor) -> Tensor:
    """Return the logits (N,K) that the layers on a tape give images."""
    values = {-1: Range(images, images)}
    for number, entry in enumerate(tape.entries):
        values[number] = entry.layer.interval(*(values[source] for source in entry.inputs))
    return values[len(tape.entries) - 1].middle.flatten(1)


class _Noting(Noted):
    """Writes down what is made of it."""

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = super().__torch_function__(function, types, args, kwargs or {})
        name = function.__name__.strip("_")
        if name in UNSEEN and not isinstance(result, Tensor):
            return result
        source, step = next((one for one in args if isinstance(one, _Noting)), None), STEPS.get(name)
        if step is None or source is None:
            raise ValueError(f"model uses {name}, which no bound can be taken through here: certify knows {KNOWN}.")
        with torch._C.DisableTorchFunctionSubclass():  # what is written down here is not itself noted
            if not isinstance(result, _Noting) or len(result) != 2:
                raise ValueError(f"model uses {name} in a way that mixes images, so that none has a bound of its own.")
            result.tape, result.number = source.tape, step(source.tape, map_shape(result), *args, **(kwargs or {}))
        return result
