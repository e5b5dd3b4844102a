"""The vocabulary: what an attack, a classifier and a structure term are to the rest of the package."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    NamedTuple,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from torch import Tensor, nn

Norm = Literal["Linf", "L2"]
PassPrecision = Literal["float32", "bfloat16"]  # what passes run in
Precision = Literal["auto", "float32", "bfloat16"]  # what a person may ask for: "auto" leaves it to the machine
T = TypeVar("T")
WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    dict: "a table",
    NoneType: "None",
}  # kinds of values, as people call them


class Classifier(nn.Module):
    """Images (N,C,H,W) in [0,1] to logits (N,K), by way of an embedding.

    A subclass defines ``features`` and a linear ``head``, and normalises its input in its first layer, so that an
    attack always works in pixel units.
    """

    head: nn.Linear

    def features(self, images: Tensor) -> Tensor:
        """Return the embedding (N,D) that feeds the last linear layer."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N,K)."""
        logits: Tensor = self.head(self.features(images))
        return logits


class Step(NamedTuple):
    """One iterate of an attack, ``images`` (N,C,H,W) and their ``logits`` (N,K); ``number`` 0 is its start."""

    restart: int
    number: int
    images: Tensor
    logits: Tensor


OnStep = Callable[[Step], None]


@runtime_checkable
class Attack(Protocol):
    """Moves images (N,C,H,W) in [0,1] within an ``eps`` ball of ``norm``, and within [0,1]."""

    @property
    def norm(self) -> Norm:
        """The norm that bounds the perturbation."""

    @property
    def eps(self) -> float:
        """The radius in pixel units: 8/255, not 8."""

    def __call__(self, model: nn.Module, images: Tensor, labels: Tensor, *, on_step: OnStep | None = None) -> Tensor:
        """Return the adversarial images, of the same shape; ``on_step`` sees every iterate and may raise to cancel."""


def pick(kind: str, name: str, table: Mapping[str, T]) -> T:
    """Look ``name`` up in ``table``.

    Raises:
        ValueError: naming the valid choices, if it is not there.
    """
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}: choose one of {', '.join(table)}.")
    return table[name]


def check_fields(instance: Any, owner: str) -> None:
    """Refuse a dataclass in which a value is not of the kind that its annotation names; a table may hold anything.

    Raises:
        ValueError: naming the field and its ``owner``, what arrived and what is valid.
    """
    kinds = get_type_hints(type(instance))
    for name in (own.name for own in dataclasses.fields(instance)):
        value, kind = getattr(instance, name), kinds[name]
        if not _fits(value, kind):
            raise ValueError(f"{name} of {owner} is {value!r}, but it must be {_words(kind)}.")


def _fits(value: Any, kind: Any) -> bool:
    outer, inner = get_origin(kind) or kind, get_args(kind)
    if outer in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if outer is Literal:
        return value in inner
    if outer is tuple:
        return isinstance(value, tuple) and all(_fits(item, inner[0]) for item in value)
    if outer in (int, float):
        return isinstance(value, (int, outer)) and not isinstance(value, bool)
    return isinstance(value, outer)


def _words(kind: Any) -> str:
    outer, inner = get_origin(kind) or kind, get_args(kind)
    if outer in (Union, UnionType):
        return " or ".join(map(_words, inner))
    if outer is Literal:
        return f"one of {', '.join(inner)}"
    if outer is tuple:
        return f"a list (in Python a tuple), each item {_words(inner[0])}"
    return WORDS.get(outer) or str(outer.__name__)


Record = dict[str, Any]  # what goes into JSON
