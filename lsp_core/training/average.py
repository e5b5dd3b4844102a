"""The exponential average of the weights over the steps of a training."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def weight_average(model: nn.Module, decay: float) -> AveragedModel:
    """Return a frozen copy of ``model`` in evaluation mode, which ``update_parameters(model)`` brings up to a step.

    Update t (the first is number 0, and a copy) keeps ``min(decay, (1 + t) / (10 + t))`` of the average: a fixed decay
    near 1 would show little but the initial weights for as long as an epoch. The buffers are averaged in the same way,
    so that the statistics of batch norm come from the same steps as the weights: those of the last step alone do not
    fit.
    """

    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        step = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))(averaged, current, count)

    average = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    return average.eval().requires_grad_(False)
