"""Checks of what the model returns and of the attack's bookkeeping: figures mean nothing where these fail."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lsp_core.attacks import PGD
from lsp_core.attacks.describe import label
from lsp_core.attacks.norms import NORMS
from lsp_core.audit.probe import Probe
from lsp_core.audit.report import Finding
from lsp_core.evaluation import predict
from lsp_core.evaluation.intervals import wilson_interval

FORWARDS, SAME_LOGIT, OTHER_ORDER = 5, 1e-4, 1e-2
ALONE, TOGETHER = 128, 64
FEW = 50
UNROUNDED = 1e-6  # a float32 pixel may pass eps by this much


def determinism(probe: Probe) -> Finding:
    """The same images must give the same logits; a random model needs attacks that average over its draws."""
    logits = [probe.predict(probe.images) for _ in range(FORWARDS)]
    counts = [int((each.argmax(1) == probe.labels).sum()) for each in logits]
    spread = max(float((each - logits[0]).abs().amax()) for each in logits)
    allowed = SAME_LOGIT * max(1.0, float(logits[0].abs().amax()))
    return Finding(
        "fail" if spread > allowed or len(set(counts)) > 1 else "pass",
        f"Over {FORWARDS} forward passes the logits differ by up to {spread:.2g}, the number right by "
        f"{max(counts) - min(counts)}.",
        f"logits differ by more than {SAME_LOGIT:g} (times the largest, where that is above 1), or the number right "
        "differs at all",
        {"spread": spread, "allowed": allowed, "right": counts},
    )


def distribution(probe: Probe) -> Finding:
    """The outputs must be logits: after a softmax the usual losses saturate, and the attack loses its gradient."""
    rows = probe.logits
    within = bool((rows >= 0).all() and (rows <= 1).all())
    off = float((rows.sum(1) - 1).abs().amax())
    looks = within and off < 1e-3
    return Finding(
        "fail" if looks else "pass",
        "The outputs lie in [0,1] and sum to 1: there is a softmax inside the model."
        if looks
        else f"The outputs are no distribution: they reach from {float(rows.amin()):.3g} to {float(rows.amax()):.3g}.",
        "every row lies in [0,1] and sums to 1 within 0.001",
        {"lowest": float(rows.amin()), "highest": float(rows.amax()), "furthest_from_1": off},
    )


def batch_size(probe: Probe) -> Finding:
    """An image must get the same answer alone and among others, and no part of the model may be in training mode."""
    images = probe.images[:ALONE]
    alone, together = predict(probe.model, images, 1), predict(probe.model, images, TOGETHER)
    others = int((alone.argmax(1) != together.argmax(1)).sum())
    apart = float((alone - together).abs().amax()) / max(float(together.abs().amax()), 1e-12)
    training = sum(module.training for module in probe.original.modules())
    return Finding(
        "fail" if training or apart > OTHER_ORDER else "pass",
        f"Alone and in batches of {TOGETHER}, {others} of {len(images)} images get another class and logits differ by "
        f"{apart:.2g} of the largest; {training} parts of the model are in training mode.",
        f"logits differ by more than {OTHER_ORDER:.0%} of the largest (sums in another order move float32 by 1e-6, "
        "TensorFloat-32 by 1e-3); or any part is in training mode",
        {"other_class": others, "apart": apart, "training_parts": training, "images": len(images)},
    )


def budget(probe: Probe) -> Finding:
    """Radius 0 must change nothing, no attack may leave its ball, and images saved as PNG must still be inside.

    Rounding to 8 bits moves a pixel by up to half a grey level, so that much beyond eps is allowed after saving; where
    eps and the image are whole grey levels, none of it is used.
    """
    still = PGD(0.0, None, 2, probe.norm, seed=probe.seed)(probe.model, probe.images, probe.labels)
    moved = int((still != probe.images).flatten(1).any(1).sum())
    changed = int((probe.predict(still).argmax(1) != probe.labels).sum())
    excess = max(probe.excess.values(), default=0.0)
    outside = [label(attack) for attack, furthest in probe.excess.items() if furthest > UNROUNDED]
    found = probe.attacks.pgd()(probe.model, probe.images, probe.labels)
    saved = through_png(found)
    half = 0.5 / 255 * (1.0 if probe.norm == "Linf" else math.sqrt(found[0].numel()))
    beyond = float(NORMS[probe.norm].size(saved - probe.images).amax()) - probe.eps
    undone = int(
        ((probe.predict(found).argmax(1) != probe.labels) & (probe.predict(saved).argmax(1) == probe.labels)).sum()
    )
    broken = moved or changed or outside or beyond > half + UNROUNDED
    return Finding(
        "fail" if broken else "pass",
        f"At eps 0, {moved} images move and {changed} change class; after saving as 8-bit PNG the furthest lies "
        f"{max(beyond, 0.0) * 255:.2g} grey levels beyond eps, and rounding undoes {undone} of the successes."
        + (f" Left its ball or [0,1], by up to {excess:.2g}: {', '.join(outside)}." if outside else ""),
        "any image moves or changes class at eps 0; any attack of the audit leaves its ball or [0,1]; or a saved image "
        "lies more than half a grey level beyond eps",
        {"moved_at_0": moved, "changed_at_0": changed, "excess": excess, "beyond_after_png": beyond, "undone": undone},
    )


def through_png(images: Tensor) -> Tensor:
    """Save images (N,C,H,W) in [0,1] as an 8-bit PNG, and load them again: channels and images lie below each other."""
    levels = (images * 255).round().to(torch.uint8).cpu().contiguous()
    file = io.BytesIO()
    Image.fromarray(levels.flatten(0, 2).numpy()).save(file, format="PNG")
    with Image.open(io.BytesIO(file.getvalue())) as opened:
        loaded = torch.from_numpy(np.array(opened))
    return loaded.view(levels.shape).to(images.device, images.dtype) / 255


def sample_size(probe: Probe) -> Finding:
    """A figure must rest on enough images; the worst case counts per image, over all white-box runs."""
    correct = int(probe.best().sum())
    low, high = wilson_interval(correct, probe.n)
    return Finding(
        "warn" if probe.n < FEW else "pass",
        f"Of {probe.n} images {correct / probe.n:.1%} survive every white-box attack (95 % interval {low:.1%} to "
        f"{high:.1%}).",
        f"fewer than {FEW} images (own choice): one would weigh more than 2 points, and the checks look for gaps of 1 "
        "to 3",
        {"n": probe.n, "worst_case_accuracy": correct / probe.n, "low": low, "high": high},
    )
