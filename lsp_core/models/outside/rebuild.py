"""Build anew, from a checkpoint, a model that was once brought from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from lsp_core.models.outside.formats import OutsideError
from lsp_core.models.outside.named import architecture
from lsp_core.models.outside.network import OnnxModule
from lsp_core.models.outside.preparation import Arrange, Preparation, arranged
from lsp_core.models.outside.wrapped import Wrapped

if TYPE_CHECKING:
    from lsp_core.store.card import Card
    from lsp_core.store.origin import Origin

ONNX = "onnx"  # what cards call the architecture of a model that is a graph
GRAPH, WEIGHT = "module.1.graph", "module.1.head.weight"  # of a ``Wrapped`` around what ``assembled`` makes


def assembled(module: nn.Module, classes: tuple[str, ...], chosen: Preparation, embedding: str) -> Wrapped:
    """Put a module behind a preparation of images; ``embedding`` is where in it the last linear layer is."""
    whole = nn.Sequential(Arrange(chosen.order, chosen.layout), module)
    path = f"1.{embedding}" if embedding else ""
    return Wrapped(whole, classes, chosen.mean, chosen.std, path).eval()


def rebuild(card: Card, origin: Origin, weights: Mapping[str, Tensor]) -> Wrapped:
    """Build the model of a card, for its weights to be put in; what is a graph among them is checked once more.

    Raises:
        OutsideError: if they are not those of such a model, or a library that it needs is not installed.
    """
    if card.model == ONNX:
        if GRAPH not in weights:
            raise OutsideError("it holds no graph, although its card says that the model is one.")
        outputs, inputs = weights[WEIGHT].shape if WEIGHT in weights else (0, 0)
        head = nn.Linear(inputs, outputs, device="meta") if origin.embedding else nn.Identity()
        graph = OnnxModule(weights[GRAPH].cpu().numpy().tobytes(), head, origin.batch)
        graph.try_out(arranged(card.image_shape, origin.layout))
        module: nn.Module = graph
    else:
        size = sum(value.numel() * value.element_size() for value in weights.values())
        module = architecture(card.model, len(card.classes), card.image_shape, size)
    chosen = Preparation(origin.preparation, card.mean, card.std, origin.order, origin.layout)
    return assembled(module, card.classes, chosen, origin.embedding)
