"""A checked ONNX graph, in fewer words: the same function, said in the one way that is read on."""

from __future__ import annotations

from typing import Any

from lsp_core.models.outside.formats import OutsideError

CONSTANTS = {"value_float": "FLOAT", "value_floats": "FLOAT", "value_int": "INT64", "value_ints": "INT64"}


def constants_to_weights(graph: Any) -> None:
    """Turn nodes that hold a constant into weights, as which all readers know them."""
    from onnx import helper

    kept = []
    for node in graph.node:
        if node.op_type != "Constant":
            kept.append(node)
            continue
        part = node.attribute[0] if len(node.attribute) == 1 and len(node.output) == 1 else None
        if part is not None and part.name == "value" and part.type == part.TENSOR:
            graph.initializer.add().CopyFrom(part.t)
        elif part is not None and part.name in CONSTANTS:
            value, kind = helper.get_attribute_value(part), CONSTANTS[part.name]
            shape = [len(value)] if part.name.endswith("s") else []
            numbers = value if shape else [value]
            made = helper.make_tensor("", graph.initializer.add().DataType.Value(kind), shape, numbers)
            graph.initializer[-1].CopyFrom(made)
        else:
            raise OutsideError("it has a constant of an unread kind.")
        graph.initializer[-1].name = node.output[0]
    del graph.node[:]
    graph.node.extend(kept)


def evaluating(node: Any) -> None:
    """Bring a node into evaluation mode; one that was exported in training mode is refused."""
    if node.op_type == "BatchNormalization":
        kept = [part for part in node.attribute if part.name != "training_mode"]
        if any(part.name == "training_mode" and part.i for part in node.attribute) or len(node.output) > 1:
            raise OutsideError("it was exported in training mode: call model.eval() before the export.")
        del node.attribute[:]
        node.attribute.extend(kept)
    if node.op_type == "Dropout":  # which does nothing in evaluation mode
        node.op_type = "Identity"
        del node.attribute[:], node.input[1:], node.output[1:]


def skip_identities(graph: Any) -> None:
    """Remove operators that only give a value another name, behind which exporters hide weights that layers share."""
    same: dict[str, str] = {}
    kept = []
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        if node.op_type == "Identity" and len(node.input) == 1 and node.output[0] != graph.output[0].name:
            same[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def shield_weights(graph: Any) -> None:
    """Hide from onnx2pytorch weights that it would take for the matrix on the right of a product, but are not."""
    flat = {tensor.name: len(tensor.dims) == 2 for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        hidden = [at for at, name in enumerate(node.input) if name in flat] if node.op_type == "MatMul" else []
        if hidden and (hidden != [1] or not flat[node.input[1]]):
            for at in hidden:
                nodes.append(type(node)(op_type="Identity", input=[node.input[at]], output=[f"{node.output[0]}/{at}"]))
                node.input[at] = nodes[-1].output[0]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def rename(graph: Any) -> None:
    """Name the values v0, v1 and so on: a name is nobody's attribute then, and no two become one."""
    given: dict[str, str] = {"": ""}

    def name(old: str) -> str:
        return given.setdefault(old, f"v{len(given) - 1}")

    graph.input[0].name = name(graph.input[0].name)
    for node in graph.node:
        node.input[:] = [name(old) for old in node.input]
        node.output[:] = [name(old) for old in node.output]
    for tensor in graph.initializer:
        tensor.name = name(tensor.name)
    graph.output[0].name = name(graph.output[0].name)
