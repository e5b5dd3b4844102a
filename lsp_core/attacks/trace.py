"""An attack written down: what every step did to every example."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lsp_core.attacks.goal import Goal
from lsp_core.attacks.losses import margin
from lsp_core.types import Attack, Step


@dataclass(frozen=True)
class AttackTrace:
    """One row per reported step (T), one column per example (N).

    Attributes:
        restart: (T,) the restart, run or place in the sequence that a step belongs to.
        number: (T,) the step within it.
        loss: (T,N) what the attack raises; the margin where an attack has no loss.
        margin: (T,N) best other logit minus the label's: above 0 means fooled.
        predicted: (T,N) class.
        adversarial: (N,C,H,W) what the attack returned.
        images: (T,N,C,H,W) in [0,1], if they were asked for.
    """

    restart: Tensor
    number: Tensor
    loss: Tensor
    margin: Tensor
    predicted: Tensor
    adversarial: Tensor
    images: Tensor | None = None


def trace(
    attack: Attack, model: nn.Module, images: Tensor, labels: Tensor, *, keep_images: bool = False
) -> AttackTrace:
    """Run an attack and record every step; one that can stop early does not.

    Raises:
        ValueError: as the attack does.
    """
    settings: Any = attack
    if getattr(attack, "early_stop", False):
        settings = dataclasses.replace(settings, early_stop=False)
    targeted, loss = bool(getattr(attack, "targeted", False)), str(getattr(attack, "loss", "margin"))
    goal = Goal.of(loss, model, images.detach(), labels, targeted)
    steps: list[Step] = []
    losses: list[Tensor] = []

    def keep(step: Step) -> None:
        losses.append(goal.value(step.logits))
        steps.append(step if keep_images else step._replace(images=step.images[:0]))

    adversarial = settings(model, images, labels, on_step=keep)
    return AttackTrace(
        torch.tensor([step.restart for step in steps]),
        torch.tensor([step.number for step in steps]),
        torch.stack(losses),
        torch.stack([margin(step.logits, labels) for step in steps]),
        torch.stack([step.logits.argmax(1) for step in steps]),
        adversarial,
        torch.stack([step.images for step in steps]) if keep_images else None,
    )
