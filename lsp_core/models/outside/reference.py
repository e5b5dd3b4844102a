"""The standard's own account of a graph: onnx's reference implementation in numpy, on one image."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lsp_core.models.outside.cut import cut
from lsp_core.models.outside.graph import Graph
from lsp_core.models.outside.network import OnnxModule
from lsp_core.models.outside.wrapped import ALIKE
from lsp_core.store.origin import Finding

MOST = 2**27  # numbers that a convolution may unfold to, which the reference does at once


def as_defined(graph: Graph, module: OnnxModule, prepared: Tensor) -> Finding:
    """Check that a graph means to us what it means by ONNX's definition.

    Args:
        graph: as it was read.
        module: what was made of it.
        prepared: one image as the graph wants it, (1,C,H,W) or (1,H,W,C).
    """
    name = "as ONNX defines it"
    with torch.no_grad():
        ours, unfolded = _observed(module, prepared)
    if unfolded > MOST:
        return Finding(name, False, f"not compared: a convolution of {unfolded:,} numbers is too large for that")
    try:
        theirs = torch.as_tensor(_reference(cut(graph, whole=True).body, prepared)).flatten(1)
        apart = float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-12))
    except Exception as error:  # it knows fewer versions of operators, and raises whatever comes
        return Finding(name, False, f"not compared: {type(error).__name__} in onnx's reference implementation")
    return Finding(name, apart <= ALIKE, f"largest difference {apart:.1g} of the largest logit")


def _reference(graph: bytes, prepared: Tensor) -> Any:
    from onnx import ModelProto
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun

    class BatchNormalization(OpRun):  # that of onnx takes the batch's own mean where an opset has no training_mode
        op_domain = ""

        def _run(self, x: Any, scale: Any, bias: Any, mean: Any, var: Any, **settings: Any) -> tuple[Any]:
            scale, bias, mean, var = (part.reshape(-1, *(1,) * (x.ndim - 2)) for part in (scale, bias, mean, var))
            return ((x - mean) / (var + settings.get("epsilon", 1e-5)) ** 0.5 * scale + bias,)

    model = ModelProto.FromString(graph)
    evaluator = ReferenceEvaluator(model, new_ops=[BatchNormalization])
    outputs: Any = evaluator.run(None, {model.graph.input[0].name: prepared.numpy()})
    return outputs[0]


def _observed(module: OnnxModule, prepared: Tensor) -> tuple[Tensor, int]:
    """Return the logits, and how many numbers the largest convolution unfolds to."""
    sizes = [0]

    def note(layer: Any, _given: Any, made: Tensor) -> None:
        sizes.append(math.prod(made.shape[2:]) * math.prod(layer.kernel_size) * layer.in_channels)

    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    handles = [layer.register_forward_hook(note) for layer in convolutions]
    try:
        return module(prepared), max(sizes)
    finally:
        for handle in handles:
            handle.remove()
