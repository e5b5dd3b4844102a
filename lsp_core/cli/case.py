"""A case that the app, or somebody else, has written: its image and its attack, for a checkpoint."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from lsp_core.attacks.recorded import from_record
from lsp_core.cli.options import ModelOnImages
from lsp_core.data import ImageDataset
from lsp_core.device import pick_device
from lsp_core.evaluation import predict
from lsp_core.store.case import MOST_BYTES, Case, read_case
from lsp_core.store.checkpoint import checkpoint_weights, load_checkpoint
from lsp_core.types import Attack


def open_case(path: Path, checkpoint: Path, device: str) -> tuple[ModelOnImages, Attack, Case]:
    """Load a checkpoint and a case: the model on the case's image, and the attack.

    Where nobody knows the true class, the model's own prediction is the one to leave.

    Raises:
        ValueError: if either file is not what it should be, or they do not fit.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"case is {path}, which cannot be read: {error.strerror}.") from error
    case, clean, _ = read_case(content)
    place = pick_device(device)
    model, card = load_checkpoint(checkpoint, place)
    if (card.image_shape, card.classes) != (tuple(clean.shape), case.classes):
        raise ValueError(f"case is {path}, whose image or classes are others than those of {checkpoint.stem}.")
    image = clean[None].to(place)
    own = int(predict(model, image).argmax()) if case.label is None else case.label
    labels = torch.tensor([own])
    data = ImageDataset(case.dataset, "test", (clean[None] * 255).round().byte(), labels, case.classes)
    weights = checkpoint_weights(checkpoint)
    subject = ModelOnImages(checkpoint.stem, weights, model, card, data, image, labels.to(place))
    return subject, from_record(case.attack), case


def compared(case: Case, subject: ModelOnImages, found: Tensor) -> str:
    """Say whether an attack came to what the case says of the same weights."""
    then = next((known for known in case.subjects if known.weights == subject.weights), None)
    if then is None:
        return f"The case is of other weights: {', '.join(known.name for known in case.subjects)}."
    clean, attacked = (int(predict(subject.model, images).argmax()) for images in (subject.images, found))
    if (clean, attacked) == (then.clean, then.attacked):
        return "The same as the case says."
    says = f"{case.classes[then.clean]} before and {case.classes[then.attacked]} after"
    return f"Not the same as the case, which says {says}."
