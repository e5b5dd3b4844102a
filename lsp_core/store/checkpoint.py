"""A checkpoint is one safetensors file: the weights, and in its header the model card."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lsp_core.models import build_model
from lsp_core.store.files import replacing
from lsp_core.store.weights import weights_sha256
from lsp_core.types import Classifier, Record

FORMAT = "lsp-lab/checkpoint/1"


class CheckpointError(ValueError):
    """A file that is no checkpoint of this project; the message is one sentence that says why."""


@dataclass(frozen=True)
class Card:
    """What a person must know of a checkpoint before believing a figure of it.

    Attributes:
        name: ``<data set>-<model>-<objective>[-lsp]``.
        lsp: the settings of the regularizer, None for a baseline.
        config: the whole training configuration.
        held_out: accuracies (fractions) on the part of the training set that was held out, with their n and attack.
        command: the command that made it.
    """

    name: str
    model: str
    dataset: str
    objective: str
    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    lsp: Record | None = None
    config: Record = field(default_factory=dict)
    seed: int = 0
    epoch: int = 0
    held_out: Record = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    command: str = ""

    @property
    def twin(self) -> str:
        """The name of the checkpoint that differs in nothing but the LSP term."""
        return self.name.removesuffix("-lsp") if self.name.endswith("-lsp") else f"{self.name}-lsp"

    def is_twin_of(self, other: Card) -> bool:
        """Whether the two differ in nothing but the LSP term: one has it, and all other settings are the same."""
        here, there = (
            {key: value for key, value in card.config.items() if key not in ("lsp", "history")}
            for card in (self, other)
        )
        return (self.lsp is None) != (other.lsp is None) and self.dataset == other.dataset and here == there

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read a card.

        Raises:
            CheckpointError: if something is missing, unknown or of the wrong kind.
        """
        try:
            record = json.loads(text)
            if record.pop("format") != FORMAT:
                raise CheckpointError("its card has another format.")
            for key in ("image_shape", "classes", "mean", "std"):
                record[key] = tuple(record[key])
            card = cls(**record)
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise CheckpointError("its card cannot be read.") from error
        card._check()
        return card

    def _check(self) -> None:
        texts = (self.name, self.model, self.dataset, self.objective, self.date, self.command, *self.classes)
        records = (self.config, self.held_out, self.versions, self.lsp or {})
        if not (
            all(isinstance(value, str) for value in texts)
            and all(isinstance(value, dict) for value in records)
            and all(isinstance(value, int | float) for value in (*self.mean, *self.std))
            and all(isinstance(value, int) for value in (self.seed, self.epoch))
        ):
            raise CheckpointError("its card has values of the wrong kind.")
        if len(self.image_shape) != 3 or not all(isinstance(n, int) and 0 < n <= 4096 for n in self.image_shape):
            raise CheckpointError(f"its card gives the image shape {self.image_shape}.")
        if not len(self.mean) == len(self.std) == self.image_shape[0]:
            raise CheckpointError(f"its card has another number of means or deviations than {self.image_shape[0]}.")
        if not 2 <= len(self.classes) <= 100_000:
            raise CheckpointError(f"its card gives {len(self.classes)} classes.")

    def to_json(self) -> str:
        """Return the card as JSON text."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)})


def save_tensors(path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file; a reader finds the old file or the new one, never half of it."""
    with replacing(path) as partial:
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, partial, metadata)


def save_checkpoint(path: str | Path, model: Classifier, card: Card) -> None:
    """Write the model's weights and its card to ``path`` (atomic: temporary file, fsync, rename)."""
    save_tensors(path, model.state_dict(), {"card": card.to_json()})


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
            raise CheckpointError("it has no model card, so it was not written by this project.")
        return Card.from_json(metadata["card"])
    except CheckpointError as error:
        raise CheckpointError(f"{path} is no checkpoint: {error}") from error.__cause__
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
        with torch.device("meta"):  # shapes only: a card cannot make us allocate anything
            model = build_model(card.model, card.image_shape, len(card.classes), card.mean, card.std)
        with safe_open(path, framework="pt", device=str(device)) as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        kinds = {key: value.dtype for key, value in model.state_dict().items()}
        model.load_state_dict(weights, strict=True, assign=True)
    except (RuntimeError, OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no checkpoint: its weights do not fit a {card.model} of its card.") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is no checkpoint: {error}") from error
    if any(value.dtype != kinds[key] for key, value in weights.items()):
        raise CheckpointError(f"{path} is no checkpoint: its weights have another number format than a {card.model}.")
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise CheckpointError(f"{path} holds weights that are not finite, so nothing it predicts means anything.")
    return model.eval().requires_grad_(False), card


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
        if path.stem.endswith((".last", ".resume")) or path.name.startswith("."):
            continue  # NAME.last and NAME.resume belong to a training run
        try:
            cards[path.stem] = read_card(path)
        except CheckpointError as error:
            problems[path.stem] = str(error)
    return cards, problems
