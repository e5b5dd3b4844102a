"""The model card in the header of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from lsp_core.store.origin import Origin
from lsp_core.store.schema import Stored
from lsp_core.types import Record

USUAL_EPS = 8 / 255  # the radius of a model whose card names none
SIDES, CLASSES = range(1, 4097), range(2, 100_001)


@dataclass(frozen=True)
class Card(Stored):
    """What a person must know of a checkpoint before believing a figure of it.

    Attributes:
        name: ``<data set>-<model>-<objective>[-lsp]``; a file may be called otherwise, so this is never a path.
        lsp: the settings of the regularizer, None for a baseline.
        config: the whole training configuration.
        held_out: accuracies (fractions) on the part of the training set that was held out, with their n and attack.
        epoch: the one whose weights these are, from 1.
        command: the command that made it.
        origin: of a model that was brought from outside, None for one that was trained here.
    """

    SCHEMA: ClassVar[str] = "lsp-lab/checkpoint/2"

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
    origin: Origin | None = None

    def __post_init__(self) -> None:
        """Refuse what no model can be built from, and figures that no page could show.

        Raises:
            ValueError: naming the value.
        """
        if not all(side in SIDES for side in self.image_shape):
            raise ValueError(f"image_shape is {self.image_shape}, but each must be from 1 to {SIDES[-1]}.")
        if not len(self.mean) == len(self.std) == self.image_shape[0]:
            raise ValueError(f"mean and std are of {len(self.mean)} and {len(self.std)} channels, not of the images'.")
        if len(self.classes) not in CLASSES:
            raise ValueError(f"classes are {len(self.classes)}, but must be from 2 to {CLASSES[-1]}.")
        if self.epoch < 0:
            raise ValueError(f"epoch is {self.epoch}, but it must be 0 or more.")
        shares = {f"held_out.{key}_accuracy": self.held_out.get(f"{key}_accuracy", 0) for key in ("clean", "robust")}
        for key, share in {"config.eps": self.config.get("eps", USUAL_EPS), **shares}.items():
            if not _is_fraction(share):
                raise ValueError(f"{key} is {share!r:.40}, but it must be a number from 0 to 1.")

    @property
    def eps(self) -> float:
        """The Linf radius that it was trained for, in pixel units: what is used where nobody gives one."""
        return float(self.config.get("eps", USUAL_EPS))

    @property
    def gradient(self) -> bool:
        """Whether the model has one with respect to the pixels; without it only attacks that need none make sense."""
        return self.origin is None or self.origin.gradient

    @property
    def twin(self) -> str:
        """The name of the checkpoint that differs in nothing but the LSP term."""
        return twin_of(self.name)


def twin_of(name: str) -> str:
    """Return what the checkpoint that differs in nothing but the LSP term is called.

    >>> twin_of("digits-cnn-standard"), twin_of("digits-cnn-standard-lsp")
    ('digits-cnn-standard-lsp', 'digits-cnn-standard')
    """
    return name.removesuffix("-lsp") if name.endswith("-lsp") else f"{name}-lsp"


def _is_fraction(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
