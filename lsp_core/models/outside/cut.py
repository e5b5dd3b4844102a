"""Cut a graph where the embedding is: before its last linear layer, and without a softmax behind it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lsp_core.models.outside.graph import Graph

Matrix = NDArray[np.float32]


class Linear(NamedTuple):
    """A linear layer: its input is the value of that name; weight (K,D), bias (K,)."""

    source: str
    weight: Matrix
    bias: Matrix


class Cut(NamedTuple):
    """A graph as bytes that ends with the embedding, and what makes logits of that.

    Attributes:
        linear: None if nothing linear is last; the embedding is then the logits.
        softmax: whether there was one, which was cut off.
    """

    body: bytes
    linear: Linear | None
    softmax: bool


def cut(graph: Graph, *, whole: bool = False) -> Cut:
    """Cut a graph; ``whole`` leaves the last linear layer in it."""
    model = type(graph.model)()
    model.CopyFrom(graph.model)
    makers = {name: node for node in model.graph.node for name in node.output}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    output, softmax = model.graph.output[0].name, False
    while (node := makers.get(output)) is not None and (node.op_type == "Identity" or _is_softmax(node)):
        softmax |= node.op_type != "Identity"
        output = node.input[0]
    linear = None if whole else _linear(output, makers, weights)
    _end_with(model.graph, linear.source if linear else output, makers)
    return Cut(model.SerializeToString(deterministic=True), linear, softmax)


def _is_softmax(node: Any) -> bool:
    axes = [part.i for part in node.attribute if part.name == "axis"]
    return node.op_type in ("Softmax", "LogSoftmax") and axes in ([], [1], [-1])


def _linear(output: str, makers: dict[str, Any], weights: dict[str, Any]) -> Linear | None:
    """Return the linear layer that makes a value: Gemm, MatMul, or MatMul and Add, of weights that are constants."""
    last, bias = makers.get(output), None
    if last is not None and last.op_type == "Add":
        constant = [name for name in last.input if name in weights]
        product = [makers[name] for name in last.input if name in makers]
        if len(constant) != 1 or len(product) != 1 or product[0].op_type != "MatMul":
            return None
        last, bias = product[0], _numbers(weights[constant[0]])
    if last is None or last.op_type not in ("Gemm", "MatMul") or len(last.input) < 2:
        return None
    given = {part.name: part.i if part.type == part.INT else part.f for part in last.attribute}
    source, matrix = last.input[0], weights.get(last.input[1])
    addend = last.input[2] if len(last.input) > 2 else ""
    if source not in makers or matrix is None or given.get("transA") or (addend and addend not in weights):
        return None
    weight = _numbers(matrix) * np.float32(given.get("alpha", 1))
    if weight.ndim != 2:
        return None
    weight = weight if given.get("transB") else weight.T
    if addend:
        bias = _numbers(weights[addend]) * np.float32(given.get("beta", 1))
    bias = np.zeros(1, np.float32) if bias is None else bias
    if bias.size not in (1, len(weight)):
        return None
    return Linear(source, weight, np.broadcast_to(bias.reshape(-1), len(weight)))


def _numbers(tensor: Any) -> Matrix:
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor).astype(np.float32)


def _end_with(graph: Any, output: str, makers: dict[str, Any]) -> None:
    """Let a graph end with a value, and remove what that does not need."""
    needed, seen = [output], {output}
    while needed:
        for name in makers[maker].input if (maker := needed.pop()) in makers else ():
            if name not in seen:
                seen.add(name)
                needed.append(name)
    nodes = [node for node in graph.node if seen & set(node.output)]
    weights = [tensor for tensor in graph.initializer if tensor.name in seen]
    for part, kept in ((graph.node, nodes), (graph.initializer, weights)):
        del part[:]
        part.extend(kept)
    graph.output[0].Clear()
    graph.output[0].name = output
