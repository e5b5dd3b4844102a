"""Read an ONNX graph from bytes that nobody vouches for, and check it before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lsp_core.models.outside.formats import OutsideError, check_bytes
from lsp_core.models.outside.operators import OPERATORS
from lsp_core.models.outside.plain import constants_to_weights, evaluating, rename, shield_weights, skip_identities
from lsp_core.models.outside.tensors import settle_tensors
from lsp_core.models.outside.wire import DAMAGED, pruned

OWN = ("", "ai.onnx")  # the two names of ONNX's own domain
OLDEST = 7
LAYERS = ("Conv", "ConvTranspose", "BatchNormalization", "InstanceNormalization", "Gemm")
PLAIN = ("FLOAT", "INT", "STRING", "TENSOR", "FLOATS", "INTS", "STRINGS")  # kinds of attributes: all but graphs


@dataclass(frozen=True)
class Graph:
    """A graph that was checked: one input, one output, standard operators in order, values named v0, v1 and so on.

    Attributes:
        model: onnx.ModelProto.
        shape: of the input, (N,C,H,W) or (N,H,W,C), None for what may vary.
        producer: who wrote it, and in which version of the operators.
    """

    model: Any
    shape: tuple[int | None, ...]
    producer: str


def read_graph(content: bytes, companion: bytes | None = None) -> Graph:
    """Read an ONNX file; ``companion`` is what NAME.onnx.data holds, for weights that lie there.

    Raises:
        OutsideError: in one sentence, if it is no ONNX file, damaged, too large, or not a plain image classifier.
    """
    try:
        from google.protobuf.message import DecodeError
        from onnx import ModelProto
    except ImportError:
        raise OutsideError("ONNX needs two packages that are not installed: pip install onnx onnx2pytorch.") from None
    check_bytes(len(content) + len(companion or b""))
    model = ModelProto()
    try:
        model.ParseFromString(pruned(content))
        version = _version(model)
        _check_nodes(model.graph)
        constants_to_weights(model.graph)
        settle_tensors([*model.graph.initializer, *_attribute_tensors(model.graph)], companion)
        for node in model.graph.node:
            evaluating(node)
        shape = _shape(model.graph)
        _check_order(model.graph)
    except OutsideError:
        raise
    except (
        DecodeError,
        ValueError,
        TypeError,
    ) as error:  # texts that are none, constants of another kind than they say
        raise OutsideError(DAMAGED) from error
    skip_identities(model.graph)
    _check_layers(model.graph)
    rename(model.graph)
    shield_weights(model.graph)
    producer = f"{model.producer_name} {model.producer_version}".strip()
    return Graph(model, shape, f"{producer or 'unknown'}, opset {version}"[:80])


def _version(model: Any) -> int:
    from onnx.defs import onnx_opset_version

    versions = [one.version for one in model.opset_import if one.domain in OWN]
    if len(versions) != 1:
        raise OutsideError(DAMAGED if not versions else "it names several versions of ONNX's operators.")
    if not OLDEST <= versions[0] <= onnx_opset_version():
        raise OutsideError(f"it is of opset {versions[0]}, but {OLDEST} to {onnx_opset_version()} are read.")
    del model.opset_import[:]
    model.opset_import.add(domain="", version=versions[0])
    return int(versions[0])


def _check_nodes(graph: Any) -> None:
    if not graph.node or graph.sparse_initializer:
        raise OutsideError("its weights are sparse, which is not read." if graph.sparse_initializer else DAMAGED)
    for node in graph.node:
        if node.domain not in OWN:
            raise OutsideError(f"it has an operator of the domain {node.domain!r:.60}, but only ONNX's own are read.")
        if any(part.type in (part.GRAPH, part.GRAPHS) or part.HasField("g") or part.graphs for part in node.attribute):
            raise OutsideError(f"its operator {node.op_type!r:.40} has a graph of its own, which is not read.")
        if node.op_type not in OPERATORS:
            raise OutsideError(f"it has the operator {node.op_type!r:.40}, which is none of those that are read.")
        for part in node.attribute:
            if part.ref_attr_name or part.type not in [part.AttributeType.Value(kind) for kind in PLAIN]:
                raise OutsideError(
                    f"its operator {node.op_type} has the attribute {part.name!r:.40} of an unread kind."
                )
        node.domain = ""


def _attribute_tensors(graph: Any) -> list[Any]:
    return [part.t for node in graph.node for part in node.attribute if part.type == part.TENSOR]


def _shape(graph: Any) -> tuple[int | None, ...]:
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise OutsideError(
            f"it has {len(inputs)} inputs and {len(graph.output)} outputs, but must have one of each: images, logits."
        )
    kind = inputs[0].type.tensor_type
    sides = tuple(side.dim_value if side.dim_value > 0 else None for side in kind.shape.dim)
    if kind.elem_type != 1 or len(sides) != 4:
        raise OutsideError("its input is no batch of images, four axes of float32.")
    if sides[0] not in (None, 1):
        raise OutsideError(f"it takes {sides[0]} images at once: export it for one, or for any number.")
    del graph.input[:]
    graph.input.add().CopyFrom(inputs[0])
    return sides


def _check_layers(graph: Any) -> None:
    """Refuse layers whose weights are no constants: onnx2pytorch would take others for them, and say nothing."""
    weights = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in LAYERS and (node.input[0] in weights or not {*node.input[1:]} <= weights | {""}):
            raise OutsideError(f"its operator {node.op_type} has weights that the graph computes, which is not read.")


def _check_order(graph: Any) -> None:
    """Refuse a graph in which a value is used before it is made, made twice, or never."""
    made = {graph.input[0].name, *(tensor.name for tensor in graph.initializer)}
    if len(made) != 1 + len(graph.initializer) or "" in made:
        raise OutsideError("two of its values have the same name, or one has none.")
    later = {name for node in graph.node for name in node.output}
    for node in graph.node:
        for name in node.input:
            if name and name not in made:
                fault = "goes in a circle, or its nodes are in no order" if name in later else "uses what nothing makes"
                raise OutsideError(f"its graph {fault}, at an operator {node.op_type}.")
        outputs = [name for name in node.output if name]
        if not node.output or not node.output[0] or made & set(outputs) or len(set(outputs)) != len(outputs):
            raise OutsideError("two of its values have the same name, or one has none.")
        made.update(outputs)
    if graph.output[0].name not in made:
        raise OutsideError("its output is nothing that its graph makes.")
