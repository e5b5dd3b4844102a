"""What a model does with an image, layer by layer, written down while it does it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lsp_core.certify.layers import Add, Conv, Layer, Linear, Relu, Reshape, Scale
from lsp_core.certify.rows import Shape


@dataclass(frozen=True)
class Entry:
    """A layer, the entries (by number) that it takes its values from, and the shape of its own maps."""

    layer: Layer
    inputs: tuple[int, ...]
    shape: Shape


@dataclass
class Tape:
    """A network as a list of layers; number -1 is the image, the last entry the logits."""

    image_shape: Shape
    entries: list[Entry]

    @property
    def rectified(self) -> set[int]:
        """The entries whose values a ReLU takes."""
        return {entry.inputs[0] for entry in self.entries if isinstance(entry.layer, Relu)}

    def shape(self, number: int) -> Shape:
        """Return the shape of an entry's maps."""
        return self.image_shape if number < 0 else self.entries[number].shape

    def add(self, layer: Layer, *inputs: int, shape: Shape) -> int:
        """Write down a layer and return its number."""
        self.entries.append(Entry(layer, inputs, shape))
        return len(self.entries) - 1


def record(model: nn.Module, images: Tensor) -> Tape:
    """Return what a model in evaluation mode does with images (N,C,H,W), in float64 and without touching the model.

    Two images go through a copy of it as tensors that note each function they are given to. Nothing is guessed: a
    function that is not in ``STEPS`` is refused.

    Raises:
        ValueError: naming the layer, if the model has one that no bound can be taken through.
    """
    double = copy.deepcopy(model).double().requires_grad_(False)
    shape = _shape(images)
    tape = Tape(shape, [])
    with torch.no_grad():
        pair = images[:1].double().expand(2, *shape).contiguous().as_subclass(_Noted)
        pair.tape, pair.number = tape, -1
        logits = double(pair)
    if not isinstance(logits, _Noted) or tuple(logits.shape[:-1]) != (2,):
        raise ValueError(
            "model does not return logits (N,K) for images (N,C,H,W), so that there is nothing to certify."
        )
    return tape


def _shape(tensor: Tensor) -> Shape:
    sizes = (*tensor.shape[1:], 1, 1)
    return sizes[0], sizes[1], sizes[2]


class _Noted(Tensor):
    """A tensor that knows which entry of which tape it holds, and writes down what is made of it."""

    tape: Tape
    number: int

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = super().__torch_function__(function, types, args, kwargs or {})
        name = function.__name__.strip("_")
        if name in UNSEEN:
            return result
        source, step = next((one for one in args if isinstance(one, _Noted)), None), STEPS.get(name)
        if step is None or source is None:
            raise ValueError(f"model uses {name}, which no bound can be taken through here: certify knows {KNOWN}.")
        with torch._C.DisableTorchFunctionSubclass():  # what is written down here is not itself noted
            if not isinstance(result, _Noted) or len(result) != 2:
                raise ValueError(f"model uses {name} in a way that mixes images, so that none has a bound of its own.")
            result.tape, result.number = source.tape, step(source.tape, _shape(result), *args, **(kwargs or {}))
        return result


Numbered = Any  # a tensor of the tape


def _conv(
    tape: Tape,
    shape: Shape,
    given: Numbered,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> int:
    if isinstance(padding, str):
        raise ValueError(f"model has a convolution with padding {padding!r}, but certify needs it in numbers.")
    layer = Conv(weight.as_subclass(Tensor), _two(stride), _two(padding), _two(dilation), groups)
    return _biased(tape, tape.add(layer, given.number, shape=shape), bias, shape)


def _linear(tape: Tape, shape: Shape, given: Numbered, weight: Tensor, bias: Tensor | None = None) -> int:
    if given.dim() != 2:
        raise ValueError(
            f"model gives a linear layer {given.dim()} dimensions, but certify knows it only behind flatten."
        )
    return _biased(tape, tape.add(Linear(weight.as_subclass(Tensor)), given.number, shape=shape), bias, shape)


def _biased(tape: Tape, number: int, bias: Tensor | None, shape: Shape) -> int:
    if bias is None:
        return number
    summand = bias.as_subclass(Tensor).view(-1, 1, 1)
    return tape.add(Scale(torch.ones_like(summand), summand), number, shape=shape)


def _batch_norm(
    tape: Tape,
    shape: Shape,
    given: Numbered,
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> int:
    if training or mean is None or variance is None:
        raise ValueError("model has a batch norm that depends on the batch, and so does what could be proved of it.")
    factor = (variance + eps).rsqrt() * (1.0 if weight is None else weight)
    summand = (0.0 if bias is None else bias) - mean * factor
    layer = Scale(
        factor.as_subclass(Tensor).view(-1, 1, 1), torch.as_tensor(summand).as_subclass(Tensor).view(-1, 1, 1)
    )
    return tape.add(layer, given.number, shape=shape)


def _relu(tape: Tape, shape: Shape, given: Numbered, inplace: bool = False) -> int:
    return tape.add(Relu(), given.number, shape=shape)


def _reshape(tape: Tape, shape: Shape, given: Numbered, *_: Any, **__: Any) -> int:
    return tape.add(Reshape(tape.shape(given.number), shape), given.number, shape=shape)


def _dropout(
    tape: Tape, shape: Shape, given: Numbered, p: float = 0.5, training: bool = True, inplace: bool = False
) -> int:
    if training:
        raise ValueError("model has a dropout that is at work: certify needs it in evaluation mode.")
    return int(given.number)


def _pool(
    tape: Tape,
    shape: Shape,
    given: Numbered,
    kernel: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> int:
    size, pad = _two(kernel), _two(padding)
    if ceil_mode or divisor_override or (pad != (0, 0) and not count_include_pad):
        raise ValueError("model has an average pooling that weighs its borders, which certify does not know.")
    weight = torch.full((shape[0], 1, *size), 1 / (size[0] * size[1]), dtype=torch.float64, device=given.device)
    return tape.add(Conv(weight, _two(stride or kernel), pad, groups=shape[0]), given.number, shape=shape)


def _adaptive_pool(tape: Tape, shape: Shape, given: Numbered, output_size: Any) -> int:
    sizes = tape.shape(given.number)[1:]
    if any(size % out for size, out in zip(sizes, shape[1:], strict=True)):
        raise ValueError(f"model pools {sizes} to {shape[1:]}, but certify needs windows of one size.")
    return _pool(tape, shape, given, tuple(size // out for size, out in zip(sizes, shape[1:], strict=True)))


def _add(tape: Tape, shape: Shape, first: Any, second: Any, *, alpha: float = 1.0) -> int:
    if isinstance(first, _Noted) and isinstance(second, _Noted):
        if alpha != 1 or first.shape != second.shape:
            raise ValueError("model adds layers of different shapes or weights, which certify does not know.")
        return tape.add(Add(), first.number, second.number, shape=shape)
    given, other = (first, second) if isinstance(first, _Noted) else (second, first)
    return _scaled(tape, shape, given, 1.0, _map(other) * alpha)


def _sub(tape: Tape, shape: Shape, first: Any, second: Any) -> int:
    if isinstance(second, _Noted):
        raise ValueError("model subtracts one layer from another, which certify does not know.")
    return _scaled(tape, shape, first, 1.0, -_map(second))


def _mul(tape: Tape, shape: Shape, first: Any, second: Any) -> int:
    given, other = (first, second) if isinstance(first, _Noted) else (second, first)
    if isinstance(other, _Noted):
        raise ValueError("model multiplies two layers, which certify does not know.")
    return _scaled(tape, shape, given, _map(other), 0.0)


def _div(tape: Tape, shape: Shape, first: Any, second: Any) -> int:
    if not isinstance(first, _Noted) or isinstance(second, _Noted):
        raise ValueError("model divides by a layer, which certify does not know.")
    return _scaled(tape, shape, first, 1 / _map(second), 0.0)


def _scaled(tape: Tape, shape: Shape, given: Numbered, factor: Any, summand: Any) -> int:
    if given.dim() != 4 or shape != tape.shape(given.number):
        raise ValueError("model scales something else than a map, which certify does not know.")
    like = torch.zeros(1, 1, 1, dtype=torch.float64, device=given.device)
    return tape.add(Scale(like + factor, like + summand), given.number, shape=shape)


def _map(value: Any) -> Tensor:
    """Return a constant of the model as something that broadcasts over a map (C,H,W)."""
    constant = torch.as_tensor(value).double()
    while constant.dim() > 3 and len(constant) == 1:
        constant = constant[0]
    if constant.dim() > 3:
        raise ValueError(
            "model adds or multiplies a constant of another shape than an image, which certify does not know."
        )
    return constant


def _two(value: Any) -> tuple[int, int]:
    pair = (value,) if isinstance(value, int) else tuple(value)
    return int(pair[0]), int(pair[-1])


UNSEEN = {"get", "dim", "size"}  # what asks only for a shape or an attribute
STEPS: dict[str, Callable[..., int]] = {
    "conv2d": _conv,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "relu": _relu,
    "flatten": _reshape,
    "reshape": _reshape,
    "view": _reshape,
    "avg_pool2d": _pool,
    "adaptive_avg_pool2d": _adaptive_pool,
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "dropout": _dropout,
}
KNOWN = "convolution, batch norm, ReLU, linear, addition, average pooling, flatten and normalising"
