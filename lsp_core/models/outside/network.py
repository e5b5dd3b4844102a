"""An ONNX graph as a torch module, by way of onnx2pytorch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from lsp_core.models.outside.bounded import LIMIT, SLACK, Bounded
from lsp_core.models.outside.cut import Linear
from lsp_core.models.outside.formats import OutsideError
from lsp_core.models.outside.graph import read_graph

Batch = Literal["whole", "mapped", "single"]  # how several images go through: as they are, by vmap, one by one
BATCHES: tuple[Batch, ...] = get_args(Batch)


class OnnxModule(nn.Module):
    """A graph that gives the embedding, and the linear layer that makes logits of it.

    What its state holds of the graph is the graph itself, as bytes, and not the weights that were made of it: so a
    checkpoint of it holds all that it is built from, and nothing twice.

    Attributes:
        head: the last linear layer, or a stand-in that hands on what is already logits.
    """

    graph: Tensor

    def __init__(self, graph: bytes, head: nn.Module, batch: Batch = "whole"):
        super().__init__()
        self.register_buffer("graph", torch.frombuffer(bytearray(graph), dtype=torch.uint8))
        self.converted, self.head, self.batch = convert(graph), head, batch
        self.register_state_dict_post_hook(_leave_out)
        self.register_load_state_dict_post_hook(_do_not_miss)

    def embed(self, images: Tensor) -> Tensor:
        """Return the embedding (N,D)."""
        if self.batch == "whole":
            return self._flat(images)
        if self.batch == "mapped":
            mapped: Callable[[Tensor], Tensor] = torch.vmap(lambda image: self._flat(image[None])[0])
            return mapped(images)
        return torch.cat([self._flat(image[None]) for image in images])

    def _flat(self, images: Tensor) -> Tensor:
        found: Tensor = self.converted(images)
        return found.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N,K)."""
        logits: Tensor = self.head(self.embed(images))
        return logits

    def try_out(self, shape: tuple[int, ...]) -> int:
        """Embed one grey image of a shape, and return how many numbers the embedding has.

        Raises:
            OutsideError: if it cannot be run, is too large for memory, or gives no finite numbers.
        """
        return len(_attempt("run", lambda: self._tried(shape), LIMIT))

    def _tried(self, shape: tuple[int, ...]) -> Tensor:
        with torch.no_grad():
            embedding = self._flat(torch.full((1, *shape), 0.5))
        if embedding.dim() != 2 or len(embedding) != 1 or not embedding.isfinite().all():
            raise OutsideError(f"its graph makes {tuple(embedding.shape)} numbers of an image, or some are not finite.")
        return embedding[0]


def convert(graph: bytes) -> nn.Module:
    """Make a torch module of a graph, in evaluation mode; every check is done anew.

    Raises:
        OutsideError: if the graph is not what it must be, or one of its operators is not understood.
    """
    model = read_graph(graph).model
    made = _attempt("converted", lambda: _converted(model), 3 * len(graph) + SLACK)  # it holds all weights twice
    del made.onnx_model.graph.initializer[:]  # which are in its layers by now
    converted: nn.Module = made.eval().requires_grad_(False)
    return converted


def linear_layer(linear: Linear) -> nn.Linear:
    """Return a linear layer of its numbers, without drawing others first."""
    outputs, inputs = linear.weight.shape
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
    layer.weight.data.copy_(torch.tensor(linear.weight))
    layer.bias.data.copy_(torch.tensor(linear.bias))
    return layer.requires_grad_(False)


def _converted(model: Any) -> Any:
    try:
        from onnx2pytorch import ConvertModel
        from onnx2pytorch.constants import STANDARD_LAYERS
    except ImportError:
        raise OutsideError("ONNX needs a package that is not installed: pip install onnx2pytorch.") from None
    with torch.random.fork_rng(devices=[]):  # it draws weights before it has the right ones
        made = ConvertModel(model)
    users: dict[str, bool] = {}  # of a buffer: whether all who read it have weights of their own
    for node in made.onnx_model.graph.node:
        own = isinstance(getattr(made, made.mapping[node.output[0]]), STANDARD_LAYERS)
        for name in node.input:
            users[name] = users.get(name, True) and own
    for name in (name for name, own in users.items() if own and hasattr(made, f"_initializer_{name}")):
        delattr(made, f"_initializer_{name}")
    return made


def _attempt(what: str, work: Callable[[], Any], limit: int) -> Any:
    """Do foreign work in so many bytes; whatever goes wrong in it becomes one sentence."""
    try:
        with warnings.catch_warnings(), Bounded(limit):
            warnings.simplefilter("ignore")
            return work()
    except OutsideError:
        raise
    except Exception as error:  # the library, and torch on wrong sizes, raise whatever comes
        reason = " ".join(str(error).split())[:160].rstrip(".")
        raise OutsideError(f"its graph cannot be {what}: {type(error).__name__}: {reason}.") from error


def _leave_out(_module: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    for name in [name for name in state if name.startswith(f"{prefix}converted.")]:
        del state[name]


def _do_not_miss(_module: nn.Module, keys: Any) -> None:
    keys.missing_keys[:] = [name for name in keys.missing_keys if ".converted." not in f".{name}"]
