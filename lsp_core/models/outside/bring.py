"""Bring a model: from a file and labelled images to a model and its card; how it wants images is found by trial."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import torch
from torch import Tensor, nn

from lsp_core.data.dataset import ImageDataset
from lsp_core.models.outside.checks import FEW, run_checks, settle_batch, slope_of
from lsp_core.models.outside.foreign import Foreign
from lsp_core.models.outside.make import made_of
from lsp_core.models.outside.network import OnnxModule
from lsp_core.models.outside.preparation import Arrange, preparations
from lsp_core.models.outside.rebuild import ONNX, assembled
from lsp_core.models.outside.reference import as_defined
from lsp_core.models.outside.wrapped import Wrapped
from lsp_core.store.card import Card
from lsp_core.store.origin import Origin, Tried
from lsp_core.store.provenance import today, versions
from lsp_core.types import pick

BATCH = 50  # images at once


def bring(
    foreign: Foreign,
    data: ImageDataset,
    name: str,
    *,
    classes: tuple[str, ...] | None = None,
    wanted: str | None = None,
    n: int = 200,
    seed: int = 0,
    command: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Wrapped, Card]:
    """Make a classifier of a file, with the preparation of images under which it is most often right.

    Args:
        foreign: the file.
        data: labelled images of the size that it takes.
        name: what it is to be called.
        classes: in the order of its logits; None means those of the data, or ImageNet's if there are 1,000.
        wanted: the name of a preparation, see ``preparations``; None chooses the best.
        n: images to try on.
        seed: draws them.
        command: for the card.
        on_progress: told how many of all preparations were tried; it may raise to cancel.

    Raises:
        ValueError: in one sentence, if file, images and classes do not fit together.
    """
    made = made_of(foreign, data, classes)
    data = data.named(made.classes)
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:n]
    images, labels = data.float(rows), data.labels[rows]
    choices = preparations(images, made.layouts)
    if wanted is not None:
        pick("preparation", wanted, choices)
    models = {name: assembled(made.module, made.classes, one, made.embedding) for name, one in choices.items()}
    if isinstance(made.module, OnnxModule):
        settle_batch(made.module, next(iter(models.values())), images)
    tried = []
    for done, (choice, model) in enumerate(models.items()):
        tried.append(Tried(choice, _right(model, images, labels), len(labels)))
        if on_progress is not None:
            on_progress(done + 1, len(models))
    best = choices[wanted or max(tried, key=lambda one: one.right).name]
    model = models[best.name]
    checks = run_checks(model, images)
    if foreign.graph is not None and isinstance(made.module, OnnxModule):
        prepared = Arrange(best.order, best.layout)(model.normalize(images[:1]))
        checks = (*checks, as_defined(foreign.graph, made.module, prepared))
    origin = Origin(
        foreign.file,
        foreign.sha256,
        foreign.graph.producer if foreign.graph else "",
        best.name,
        best.order,
        best.layout,
        made.module.batch if isinstance(made.module, OnnxModule) else "whole",
        made.embedding,
        made.softmax,
        bool((slope_of(model, images[:FEW]) != 0).any()),
        tuple(tried),
        checks,
    )
    facts = (name, foreign.model, data.name, "imported", data.image_shape, made.classes, best.mean, best.std)
    return model, Card(
        *facts, versions={**versions(), **_libraries(foreign.model)}, date=today(), command=command, origin=origin
    )


def _libraries(model: str) -> dict[str, str]:
    """Return the versions of those libraries that an import depends on besides the usual."""
    names = ("onnx", "onnx2pytorch") if model == ONNX else ("timm",) if model.startswith("timm/") else ()
    return {name: version(name) for name in names}


def _right(model: nn.Module, images: Tensor, labels: Tensor) -> int:
    with torch.no_grad():
        found = [model(some).argmax(1) for some in images.split(BATCH)]
    return int((torch.cat(found) == labels).sum())
