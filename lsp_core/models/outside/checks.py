"""What a model from outside must do to be attacked in earnest: each check catches a complaint that people have."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsp_core.models.outside.network import BATCHES, OnnxModule
from lsp_core.models.outside.wrapped import ALIKE
from lsp_core.store.origin import Finding

FEW = 8  # images that a check looks at


def run_checks(model: nn.Module, images: Tensor) -> tuple[Finding, ...]:
    """Run every check on a few images (N,C,H,W) in [0,1], of which some must be there."""
    images = images[:FEW]
    return tuple(check(model, images) for check in (same_twice, whole_batch, steep, no_probabilities))


def same_twice(model: nn.Module, images: Tensor) -> Finding:
    """Check that the same images give the same logits twice."""
    with torch.no_grad():
        moved = float((model(images) - model(images)).abs().max())
    return Finding("same output twice", moved == 0, f"largest difference of a logit {moved:.2g}")


def whole_batch(model: nn.Module, images: Tensor) -> Finding:
    """Check that images in a batch get the logits that each gets alone."""
    share = _apart(model, images)
    return Finding("a batch equals its images", share <= ALIKE, f"largest difference {share:.1g} of the largest logit")


def steep(model: nn.Module, images: Tensor) -> Finding:
    """Check that the highest logit has a gradient with respect to the pixels, finite and nowhere zero throughout."""
    slope = slope_of(model, images)
    if not slope.isfinite().all():
        return Finding("gradient", False, "not finite")
    flat = int((slope.flatten(1).abs().amax(1) == 0).sum())
    return Finding("gradient", flat == 0, f"zero at {flat} of {len(images)} images")


def slope_of(model: nn.Module, images: Tensor) -> Tensor:
    """Return the gradient of the highest logit with respect to the pixels of each image, 0 where none reaches them."""
    asked = images.detach().clone().requires_grad_()
    with torch.enable_grad():
        top = model(asked).amax(1).sum()
        found = torch.autograd.grad(top, asked, allow_unused=True)[0] if top.requires_grad else None
    return torch.zeros_like(images) if found is None else found


def no_probabilities(model: nn.Module, images: Tensor) -> Finding:
    """Check that the outputs are logits: probabilities flatten the gradient where the model is sure of itself."""
    with torch.no_grad():
        outputs = model(images)
    low, high, sums = float(outputs.min()), float(outputs.max()), outputs.sum(1)
    likely = low >= 0 and high <= 1 and bool(((sums - 1).abs() < 1e-3).all())
    evidence = f"outputs from {low:.3g} to {high:.3g}{', each row with the sum 1' if likely else ''}"
    return Finding("logits, not probabilities", not likely, evidence)


def settle_batch(module: OnnxModule, model: nn.Module, images: Tensor) -> None:
    """Choose how several images go through a graph: the first way that gives what each image gives alone."""
    for batch in BATCHES:
        module.batch = batch
        try:
            if _apart(model, images[:FEW]) <= ALIKE:
                return
        except (RuntimeError, ValueError, IndexError, TypeError):
            continue  # a graph of one image baked in fails on two, wherever that is


def _apart(model: nn.Module, images: Tensor) -> float:
    with torch.no_grad():
        together = model(images)
        alone = torch.cat([model(image[None]) for image in images])
    return float((together - alone).abs().max() / alone.abs().max().clamp(min=1e-12))
