"""The functions of torch that a bound can be taken through, each as one layer or two on the tape.

Each takes the tape, the shape of the maps that come out, and what the function itself was given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lsp_core.certify import arithmetic
from lsp_core.certify.layers import Conv, Linear, Relu, Reshape, Scale
from lsp_core.certify.rows import Shape
from lsp_core.certify.tape import Noted, Tape


def _conv(
    tape: Tape,
    shape: Shape,
    given: Noted,
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


def _linear(tape: Tape, shape: Shape, given: Noted, weight: Tensor, bias: Tensor | None = None) -> int:
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
    given: Noted,
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


def _relu(tape: Tape, shape: Shape, given: Noted, inplace: bool = False) -> int:
    return tape.add(Relu(), given.number, shape=shape)


def _reshape(tape: Tape, shape: Shape, given: Noted, *_: Any, **__: Any) -> int:
    return tape.add(Reshape(tape.shape(given.number), shape), given.number, shape=shape)


def _dropout(
    tape: Tape, shape: Shape, given: Noted, p: float = 0.5, training: bool = True, inplace: bool = False
) -> int:
    if training:
        raise ValueError("model has a dropout that is at work: certify needs it in evaluation mode.")
    return int(given.number)


def _pool(
    tape: Tape,
    shape: Shape,
    given: Noted,
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


def _adaptive_pool(tape: Tape, shape: Shape, given: Noted, output_size: Any) -> int:
    sizes = tape.shape(given.number)[1:]
    if any(size % out for size, out in zip(sizes, shape[1:], strict=True)):
        raise ValueError(f"model pools {sizes} to {shape[1:]}, but certify needs windows of one size.")
    return _pool(tape, shape, given, tuple(size // out for size, out in zip(sizes, shape[1:], strict=True)))


def _two(value: Any) -> tuple[int, int]:
    pair = (value,) if isinstance(value, int) else tuple(value)
    return int(pair[0]), int(pair[-1])


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
    "add": arithmetic.add,
    "sub": arithmetic.sub,
    "mul": arithmetic.mul,
    "div": arithmetic.div,
    "dropout": _dropout,
}
KNOWN = "convolution, batch norm, ReLU, linear, addition, average pooling, flatten and normalising"
