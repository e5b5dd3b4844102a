"""One image under attack by one model: every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lsp_core.types import Attack, Classifier, Step

FIRST_ROOM = 32  # steps


@dataclass(frozen=True)
class Trace:
    """An attack on one image, step by step: row 0 is its start, row t the image after t steps.

    All tensors are in the processor's memory, for those who draw them.

    Attributes:
        image: the clean image (C,H,W) in [0,1].
        label: the class that the attack leaves: the true one, or where nobody knows it the model's own prediction.
        clean: class probabilities (K,) of the clean image.
        images: (T,C,H,W) in [0,1].
        probabilities: (T,K).
    """

    image: Tensor
    label: int
    clean: Tensor
    images: Tensor
    probabilities: Tensor

    @property
    def predicted(self) -> list[int]:
        """The predicted class after each step."""
        return list(map(int, self.probabilities.argmax(1)))

    @property
    def fooled_at(self) -> int | None:
        """The first step whose image is taken for another class than ``label``; None if there is none."""
        return next((step for step, guess in enumerate(self.predicted) if guess != self.label), None)

    @property
    def final(self) -> int:
        """The step that stands for the outcome: the last that fools the model, else the last."""
        fooling = [step for step, guess in enumerate(self.predicted) if guess != self.label]
        return fooling[-1] if fooling else len(self.images) - 1

    @property
    def adversarial(self) -> Tensor:
        """The image (C,H,W) of the outcome."""
        return self.images[self.final]


class _Rows:
    """Tensors that come one by one, all like one that is given; they are copied again only where the room doubles."""

    def __init__(self, like: Tensor):
        self._room, self._count = like.new_empty(FIRST_ROOM, *like.shape), 0

    def add(self, row: Tensor) -> None:
        """Put one below the others."""
        if self._count == len(self._room):
            self._room = torch.cat([self._room, torch.empty_like(self._room)])
        self._room[self._count] = row.cpu()
        self._count += 1

    def stacked(self) -> Tensor:
        """Return all so far, (T,…); later ones do not change it."""
        return self._room[: self._count]


def trace_attack(
    model: Classifier, image: Tensor, label: int | None, attack: Attack, on_step: Callable[[Trace], None] | None = None
) -> Trace:
    """Attack one image (C,H,W) and keep every step; ``on_step`` sees the trace so far and may raise to cancel.

    Raises:
        ValueError: as the attack does.
    """
    with torch.no_grad():
        clean = model(image[None]).softmax(1)[0].cpu()
    goal = int(clean.argmax()) if label is None else label
    shown = image.cpu()
    images, probabilities = _Rows(shown), _Rows(clean)

    def keep(step: Step) -> None:
        images.add(step.images[0])
        probabilities.add(step.logits[0].softmax(0))
        if on_step is not None:
            on_step(so_far())

    def so_far() -> Trace:
        return Trace(shown, goal, clean, images.stacked(), probabilities.stacked())

    attack(model, image[None], torch.tensor([goal], device=image.device), on_step=keep)
    return so_far()
