"""What an attack will leave, guessed from one gradient: enough to choose what to look at first, and no evidence."""

from __future__ import annotations

import torch
from torch import Tensor

from lsp_core.attacks.contract import check_logits
from lsp_core.attacks.losses import margin
from lsp_core.attacks.norms import NORMS
from lsp_core.types import Classifier, Norm


def foreseen_margin(model: Classifier, images: Tensor, labels: Tensor, eps: float, norm: Norm = "Linf") -> Tensor:
    """Return by how much the true class will still lead the next one, were the model linear around each image.

    Below 0 an attack at ``eps`` should succeed. An image that is taken for another class has a negative lead already.
    Source: the first-order bound behind FGSM (Goodfellow et al. 2015, section 3); its use here is our own.

    Args:
        model: in eval mode.
        images: (N,C,H,W) in [0,1].
        labels: (N,) the true classes.
        eps: the radius in pixel units.
        norm: of the ball.

    Returns:
        (N,), in units of the logits.

    Raises:
        ValueError: if the logits are not finite, or do not fit the labels.
    """
    asked = images.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(asked)
        check_logits(logits, labels)
        lead = -margin(logits, labels)
        slope = torch.autograd.grad(lead.sum(), asked)[0].nan_to_num(0.0)
    spent = (NORMS[norm].direction(slope) * slope).flatten(1).sum(1)  # what a unit step against the lead takes of it
    return (lead - eps * spent).detach()
