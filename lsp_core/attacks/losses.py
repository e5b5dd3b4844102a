"""What an attack maximises, per example: logits (N,K) and labels (N,) to (N,)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

AttackLoss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy. It vanishes in float32 where the logits are large: see ``margin``."""
    return functional.cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the best other logit minus the label's: above 0 means fooled (Carlini and Wagner 2017, f6).

    >>> margin(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0]))
    tensor([-1.])
    """
    of_label = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return (others.amax(1, keepdim=True) - of_label).squeeze(1)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the margin over the gap between the first and the third logit, so that scaling logits changes nothing.

    Source: Croce and Hein 2020, equation 6.

    >>> dlr(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([0]))
    tensor([-0.5000])

    Raises:
        ValueError: if there are fewer than three classes.
    """
    if logits.shape[1] < 3:
        raise ValueError(f"loss is dlr, which needs three classes or more, but the model has {logits.shape[1]}.")
    ordered = logits.sort(1, descending=True).values
    return margin(logits, labels) / (ordered[:, 0] - ordered[:, 2]).clamp_min(1e-12)


LOSSES: dict[str, AttackLoss] = {"ce": cross_entropy, "margin": margin, "dlr": dlr}
