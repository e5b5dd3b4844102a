"""Adversarial images, made on every core."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsp_core.attacks.contract import alone
from lsp_core.evaluation.batches import Batches
from lsp_core.evaluation.passes import Meter
from lsp_core.types import Attack


def craft(
    attack: Attack,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    batch_size: int = 256,
    workers: int | None = None,
) -> Tensor:
    """Return what an attack makes of images (N,C,H,W), batches side by side; arguments as for ``evaluate``.

    Raises:
        ValueError: as the attack does, or if ``batch_size`` or ``workers`` is below 1.
    """
    if len(images) == 0:
        return attack(model, images, labels)
    batches, meter = Batches(model, images, batch_size, workers), Meter(None)

    def work(rows: Tensor) -> Tensor:
        return attack(meter.open(model), images[rows], labels[rows])

    rows = torch.arange(len(images), device=images.device)
    return torch.cat(list(batches.work(work, rows, meter.stop, alone(attack))))
