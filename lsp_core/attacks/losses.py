"""What an attack raises, per example: logits (N,K) and a class each (N,) to (N,)."""

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
    ordered = logits.topk(3, dim=1).values
    return margin(logits, labels) / (ordered[:, 0] - ordered[:, 2]).clamp_min(1e-12)


def targeted_dlr(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the lead of the target, over the gap from the first logit to the mean of the third and fourth.

    The third alone would not do: where the target comes third, minus ``dlr`` is -1 whatever the logits are. Source:
    Croce and Hein 2020, equation 7, with the best other class in the place of the label.

    >>> targeted_dlr(torch.tensor([[3.0, 1.0, 2.0, 0.0]]), torch.tensor([1]))
    tensor([-0.8000])

    Raises:
        ValueError: if there are fewer than four classes.
    """
    if logits.shape[1] < 4:
        raise ValueError(
            f"loss is dlr towards a target, which needs four classes or more, but the model has {logits.shape[1]}."
        )
    ordered = logits.topk(4, dim=1).values
    return -margin(logits, targets) / (ordered[:, 0] - ordered[:, 2:].mean(1)).clamp_min(1e-12)


def kl(logits: Tensor, clean: Tensor) -> Tensor:
    """Return KL(p || q) of the clean image's prediction p, as logits (N,K), and this one's q (Zhang et al. 2019).

    It needs no label; its gradient is zero at the clean image itself.

    >>> kl(torch.zeros(1, 2), torch.tensor([[0.0, 0.0]]))
    tensor([0.])
    """
    p, q = functional.log_softmax(clean, 1), functional.log_softmax(logits, 1)
    return functional.kl_div(q, p, log_target=True, reduction="none").sum(1)


def _minus(loss: AttackLoss) -> AttackLoss:
    return lambda logits, targets: -loss(logits, targets)


LOSSES: dict[str, AttackLoss] = {"ce": cross_entropy, "margin": margin, "dlr": dlr, "kl": kl}
TARGETED: dict[str, AttackLoss] = {"ce": _minus(cross_entropy), "margin": _minus(margin), "dlr": targeted_dlr}
