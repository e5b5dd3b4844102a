"""A checkpoint is one safetensors file: the weights, and in its header the model card."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lsp_core.models import build_model
from lsp_core.models.outside.rebuild import rebuild
from lsp_core.store.card import Card
from lsp_core.store.files import replacing
from lsp_core.store.schema import SchemaError, parse
from lsp_core.store.weights import weights_sha256
from lsp_core.types import Classifier

OF_TRAINING = (".last", ".resume")  # NAME.last and NAME.resume belong to a training run
KEPT_FOR = (*OF_TRAINING, ".audit")  # NAME.audit.json is an audit


class CheckpointError(ValueError):
    """A file that is no checkpoint of this project; the message is one sentence that says why."""


def save_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file; a reader finds the old file or the new one, never half of it."""
    with replacing(path) as partial:
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, partial, metadata)


def save_checkpoint(path: str | Path, model: Classifier, card: Card) -> None:
    """Write the model's weights and its card to ``path`` (atomic: temporary file, fsync, rename)."""
    save_tensors(path, model.state_dict(), {"card": json.dumps(card.to_record())})


def read_card(path: str | Path) -> Card:
    """Read the card alone, without the weights.

    Raises:
        CheckpointError: as ``load_checkpoint``.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if "card" not in metadata:
            raise CheckpointError(f"{path} is no checkpoint: it has no model card, so it is not of this project.")
        return parse(Card, metadata["card"])
    except SchemaError as error:
        raise CheckpointError(f"{path} is no checkpoint: its card is no {Card.SCHEMA}: {error}") from error
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist.") from None
    except (OSError, SafetensorError):
        raise CheckpointError(f"{path} is no checkpoint: it is not a complete safetensors file.") from None


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> tuple[Classifier, Card]:
    """Load a model in evaluation mode, and its card. Nothing in the file is executed.

    Raises:
        CheckpointError: if the file is missing, truncated, pickled, of another project, or its weights are not finite
            or do not fit its card.
    """
    card = read_card(path)
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        model = _unfilled(card, weights)
        kinds = {key: value.dtype for key, value in model.state_dict().items()}
        model.load_state_dict(weights, strict=True, assign=True)
    except (RuntimeError, TypeError, OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no checkpoint: its weights do not fit a {card.model} of its card.") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is no checkpoint: {error}") from error
    if any(value.dtype != kinds[key] for key, value in weights.items()):
        raise CheckpointError(f"{path} is no checkpoint: its weights have another number format than a {card.model}.")
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise CheckpointError(f"{path} holds weights that are not finite, so nothing it predicts means anything.")
    return model.to(device).eval().requires_grad_(False), card


def _unfilled(card: Card, weights: dict[str, Tensor]) -> Classifier:
    """Build the model that a card tells of; ``weights`` are looked at only where it was brought from outside."""
    if card.origin is not None:
        return rebuild(card, card.origin, weights)
    with torch.device("meta"):  # shapes only: a card cannot make us allocate anything
        return build_model(card.model, card.image_shape, len(card.classes), card.mean, card.std)


def new_path(folder: str | Path, name: str) -> Path:
    """Return where a checkpoint of a name that somebody chose will stand.

    Raises:
        ValueError: if it is no name for a file, or one that is there already.
    """
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise ValueError(f"name is {name!r:.110}, but it must be of letters, digits, points, - and _, at most 100.")
    if name.endswith(KEPT_FOR):
        raise ValueError(f"name is {name!r:.110}, but names that end with {', '.join(KEPT_FOR)} belong to other files.")
    path = Path(folder) / f"{name}.safetensors"
    if os.path.lexists(path):
        raise ValueError(f"name is {name}, but {path} is there already: give another name, or remove it.")
    return path


def checkpoint_weights(path: str | Path) -> str:
    """Return the SHA-256 of a checkpoint's weights alone, see ``weights_sha256``.

    Raises:
        CheckpointError: if the file is missing or truncated.
    """
    try:
        return weights_sha256(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no checkpoint: it is not a complete safetensors file.") from error


def list_checkpoints(folder: str | Path) -> tuple[dict[str, Card], dict[str, str]]:
    """Return the cards of all checkpoints in a folder by file name without suffix, and a sentence for each bad file."""
    cards, problems = {}, {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        if path.stem.endswith(OF_TRAINING) or path.name.startswith("."):
            continue
        try:
            cards[path.stem] = read_card(path)
        except CheckpointError as error:
            problems[path.stem] = str(error)
    return cards, problems
