"""What a model gets right before and after an attack, per example."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch
from lsp_core.attacks.norms import NORMS
from lsp_core.types import Attack, Record

OnProgress = Callable[[int, int], None]
TOLERANCE = 1e-6


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction (Wilson 1927).

    >>> [round(bound, 3) for bound in wilson_interval(50, 100)]
    [0.404, 0.596]
    """
    if n == 0:
        return 0.0, 1.0
    z = 1.959963984540054
    centre, spread = correct + z * z / 2, z * math.sqrt(correct * (n - correct) / n + z * z / 4)
    return max(0.0, (centre - spread) / (n + z * z)), min(1.0, (centre + spread) / (n + z * z))


@dataclass(frozen=True)
class Evaluation:
    """Per-example results (N,) bool of one attack; robust means right before the attack and after it."""

    attack: Attack
    clean_correct: Tensor
    robust_correct: Tensor
    seconds: float

    @property
    def n(self) -> int:
        """The number of examples."""
        return len(self.clean_correct)

    @property
    def clean_accuracy(self) -> float:
        """Fraction right without attack."""
        return int(self.clean_correct.sum()) / max(1, self.n)

    @property
    def robust_accuracy(self) -> float:
        """Fraction right without and under attack."""
        return int(self.robust_correct.sum()) / max(1, self.n)

    @property
    def clean_interval(self) -> tuple[float, float]:
        """Wilson 95 % interval of the clean accuracy."""
        return wilson_interval(int(self.clean_correct.sum()), self.n)

    @property
    def robust_interval(self) -> tuple[float, float]:
        """Wilson 95 % interval of the robust accuracy."""
        return wilson_interval(int(self.robust_correct.sum()), self.n)

    def to_record(self) -> Record:
        """Return what goes into JSON: the attack with all its settings, n, fractions and intervals."""
        settings: Record = {}
        if dataclasses.is_dataclass(self.attack):
            settings = dataclasses.asdict(self.attack)
        return {
            "attack": type(self.attack).__name__,
            "norm": self.attack.norm,
            "eps": self.attack.eps,
            "settings": settings,
            "n": self.n,
            "clean_accuracy": self.clean_accuracy,
            "clean_interval": list(self.clean_interval),
            "robust_accuracy": self.robust_accuracy,
            "robust_interval": list(self.robust_interval),
            "seconds": round(self.seconds, 2),
        }


def predict(model: nn.Module, images: Tensor, batch_size: int = 256) -> Tensor:
    """Return the logits (N,K) of images (N,C,H,W), batch by batch."""
    with torch.no_grad():
        return torch.cat([model(batch) for batch in images.split(batch_size)])


def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    batch_size: int = 256,
    *,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Attack every image that the model gets right, and check the attack's budget and range on the way.

    Args:
        model: in evaluation mode, from [0,1] images to logits.
        images: (N,C,H,W) float in [0,1].
        labels: (N,) int64.
        attack: any ``Attack``.
        batch_size: examples at once; random starts depend on it.
        on_progress: called with (done, n) after each batch; what it raises ends the evaluation.

    Raises:
        ValueError: if an argument is not what it should be, the model's outputs are not finite, or the attack leaves
            its ball or [0,1].
    """
    check_batch(model, images, labels)
    if len(images) == 0:
        raise ValueError("images are empty, so there is nothing to evaluate.")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, but it must be 1 or more.")
    started = time.perf_counter()
    logits = _finite_logits(model, images, batch_size)
    lowest, highest, last = int(labels.amin()), int(labels.amax()), logits.shape[1] - 1
    if lowest < 0 or highest > last:
        raise ValueError(f"labels reach from {lowest} to {highest}, but the model has the classes 0 to {last}.")
    clean = logits.argmax(1) == labels
    robust = torch.zeros_like(clean)
    right = clean.nonzero().squeeze(1)
    for rows in right.split(batch_size) if len(right) else ():
        adversarial = attack(model, images[rows], labels[rows])
        _check_budget(attack, images[rows], adversarial)
        robust[rows] = _finite_logits(model, adversarial, batch_size).argmax(1) == labels[rows]
        if on_progress is not None:
            on_progress(int(rows[-1]) + 1, len(images))
    if on_progress is not None:
        on_progress(len(images), len(images))
    return Evaluation(attack, clean, robust, time.perf_counter() - started)


def _finite_logits(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    logits = predict(model, images, batch_size)
    if not logits.isfinite().all():  # argmax takes NaN for the largest, so a broken model could pass for a robust one
        raise ValueError("model returns logits that are not finite, so no accuracy of it means anything.")
    return logits


def _check_budget(attack: Attack, images: Tensor, adversarial: Tensor) -> None:
    name = type(attack).__name__
    if adversarial.shape != images.shape:
        raise ValueError(f"{name} returned shape {tuple(adversarial.shape)} for {tuple(images.shape)}.")
    spent = NORMS[attack.norm].size(adversarial - images).amax().item()
    if not spent <= attack.eps * (1 + 1e-5) + TOLERANCE:
        raise ValueError(f"{name} moved an image by {spent:g} in {attack.norm}, beyond eps {attack.eps:g}.")
    if not (adversarial.amin() >= 0 and adversarial.amax() <= 1):
        raise ValueError(f"{name} returned pixels outside [0,1].")
