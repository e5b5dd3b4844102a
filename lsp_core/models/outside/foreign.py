"""A file from outside, read and checked, and nothing made of it yet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from lsp_core.models.outside.formats import OutsideError, kind_of
from lsp_core.models.outside.graph import Graph, read_graph
from lsp_core.models.outside.rebuild import ONNX


@dataclass(frozen=True)
class Foreign:
    """A file that was read and checked.

    Attributes:
        file: its name; ``sha256`` of its bytes, and of its companion's after them.
        model: "onnx", or the name of the architecture.
        graph: of an ONNX file; ``weights`` of a safetensors file.
    """

    file: str
    sha256: str
    model: str
    graph: Graph | None = None
    weights: Mapping[str, Tensor] | None = None

    @property
    def side(self) -> int | None:
        """The height and width in pixels that it was made for, None if it does not say."""
        sides = self.graph.shape[1:] if self.graph else (None,) * 3
        return sides[1] if sides[1] == sides[2] or sides[1] == sides[0] else None


def read_foreign(content: bytes, file: str, *, companion: bytes | None = None, named: str | None = None) -> Foreign:
    """Read a file from outside. Nothing of it is executed, and nothing else is opened.

    Args:
        content: all of it.
        file: its name, which is only noted.
        companion: what NAME.onnx.data holds, where an ONNX file has its weights there.
        named: the architecture of weights in a safetensors file, "torchvision/NAME" or "timm/NAME".

    Raises:
        OutsideError: in one sentence, if it is not what it must be.
    """
    digest = hashlib.sha256(content)
    digest.update(companion or b"")
    if kind_of(content) == "onnx":
        if named is not None:
            raise OutsideError(f"architecture is {named}, but an ONNX file has its own: leave it out.")
        return Foreign(file, digest.hexdigest(), ONNX, graph=read_graph(content, companion))
    if named is None:
        raise OutsideError("it holds weights alone: name their architecture, torchvision/NAME or timm/NAME.")
    try:
        weights = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise OutsideError("it is no complete safetensors file.") from error
    return Foreign(file, digest.hexdigest(), named, weights=weights)
