"""A network as a list of layers, in the order in which they are worked at."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lsp_core.certify.layers import Layer, Relu
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


class Noted(Tensor):
    """A tensor that knows which entry of which tape it holds."""

    tape: Tape
    number: int


def map_shape(tensor: Tensor) -> Shape:
    """Return the shape of the maps that a batch (N,C,H,W) or (N,D) holds; vectors are maps of one place."""
    sizes = (*tensor.shape[1:], 1, 1)
    return sizes[0], sizes[1], sizes[2]
