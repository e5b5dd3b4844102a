"""Models as ONNX files: exported in the forms that people have, or put together by hand."""

import contextlib
import io
import logging
import warnings

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper

from lsp_core.models.outside.bring import bring
from lsp_core.models.outside.foreign import read_foreign

ANY = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
OLD = {"dynamo": False}
FORMS = {
    "today's default": {},
    "any batch": ANY,
    "opset 18": {"opset_version": 18, "external_data": False},
    "opset 13, old": {**OLD, "opset_version": 13},
    "opset 17, old, any batch": {
        **OLD,
        "opset_version": 17,
        "input_names": ["images"],
        "dynamic_axes": {"images": {0: "batch"}},
    },
}


def exported(model, shape, folder, form="opset 13, old"):
    """Export a model of images of a shape: what the file holds, and what its companion does, if it has one."""
    path, settings = folder / "model.onnx", FORMS[form]
    images = torch.rand(2 if settings is ANY else 1, *shape)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (images,), path, **settings)
    companion = path.with_name("model.onnx.data")
    return path.read_bytes(), companion.read_bytes() if companion.exists() else None


def brought(content, data, companion=None, wanted="unit", **settings):
    """Bring an ONNX file that takes images as they are: the model and its card."""
    return bring(read_foreign(content, "model.onnx", companion=companion), data, "mine", wanted=wanted, **settings)


def tensor(name, values, kind=np.float32):
    return numpy_helper.from_array(np.asarray(values, kind), name)


def by_hand(nodes, weights=(), shape=(None, 1, 2, 2), output="out", opset=17, **changes):
    """Return the bytes of a graph of nodes (operator, inputs, outputs, attributes) from ``in`` to ``out``."""
    made = [helper.make_node(kind, inputs, outputs, **attributes) for kind, inputs, outputs, attributes in nodes]
    graph = helper.make_graph(
        made,
        "graph",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        list(weights),
    )
    for name, value in changes.items():
        getattr(graph, name).extend(value)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]).SerializeToString()


# Two pixels' sum and difference of the first row, of images of 1x2x2.
WEIGHT = [[1.0, 1.0, 0.0, 0.0], [1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
FLAT = ("Flatten", ["in"], ["flat"], {})
LINEAR = ("Gemm", ["flat", "w", "b"], ["logits"], {"transB": 1})


def small(*more, output="logits", **settings):
    """Return a linear model of three classes by hand, and whatever comes after its logits."""
    weights = [tensor("w", WEIGHT), tensor("b", [0.0, 0.5, 0.0])]
    return by_hand([FLAT, LINEAR, *more], [*weights, *settings.pop("weights", ())], output=output, **settings)
