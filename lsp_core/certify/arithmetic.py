"""Sums and products as layers: of a layer with a constant of the model, or the sum of two layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lsp_core.certify.layers import Add, Scale
from lsp_core.certify.rows import Shape
from lsp_core.certify.tape import Noted, Tape


def add(tape: Tape, shape: Shape, first: Any, second: Any, *, alpha: float = 1.0) -> int:
    """Write down a sum."""
    if isinstance(first, Noted) and isinstance(second, Noted):
        if alpha != 1 or first.shape != second.shape:
            raise ValueError("model adds layers of different shapes or weights, which certify does not know.")
        return tape.add(Add(), first.number, second.number, shape=shape)
    given, other = (first, second) if isinstance(first, Noted) else (second, first)
    return _scaled(tape, shape, given, 1.0, _map(other) * alpha)


def sub(tape: Tape, shape: Shape, first: Any, second: Any) -> int:
    """Write down a layer minus a constant."""
    if isinstance(second, Noted):
        raise ValueError("model subtracts one layer from another, which certify does not know.")
    return _scaled(tape, shape, first, 1.0, -_map(second))


def mul(tape: Tape, shape: Shape, first: Any, second: Any) -> int:
    """Write down a layer times a constant."""
    given, other = (first, second) if isinstance(first, Noted) else (second, first)
    if isinstance(other, Noted):
        raise ValueError("model multiplies two layers, which certify does not know.")
    return _scaled(tape, shape, given, _map(other), 0.0)


def div(tape: Tape, shape: Shape, first: Any, second: Any) -> int:
    """Write down a layer over a constant."""
    if not isinstance(first, Noted) or isinstance(second, Noted):
        raise ValueError("model divides by a layer, which certify does not know.")
    return _scaled(tape, shape, first, 1 / _map(second), 0.0)


def _scaled(tape: Tape, shape: Shape, given: Noted, factor: Any, summand: Any) -> int:
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
