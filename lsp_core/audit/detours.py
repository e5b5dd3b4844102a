"""Checks that go round the gradient: what needs none must not find what the gradient missed."""

from __future__ import annotations

import torch
from torch import Tensor

from lsp_core.attacks.draws import Draws
from lsp_core.attacks.losses import LOSSES, margin
from lsp_core.attacks.norms import NORMS
from lsp_core.audit.chance import limit, weigh
from lsp_core.audit.probe import LeftOut, Probe
from lsp_core.audit.report import Finding
from lsp_core.types import Attack

FOUND = 0.002  # the share that AutoAttack's own check allows Square to add
UNSTABLE = 0.1


def black_box(probe: Probe) -> Finding:
    """Square, which asks for outputs only, must not fool what all white-box attacks together left standing."""
    left, queries = probe.best(), probe.form.queries
    found = _found(probe, left, probe.attacks.square())
    return Finding(
        weigh(found, probe.n, FOUND),
        f"{int(left.sum())} images survive every white-box attack; {queries} queries of Square fool {found} of them.",
        f"what it adds is {limit(100 * FOUND)}",
        {"survivors": int(left.sum()), "found": found, "queries": queries},
    )


def transfer(probe: Probe) -> Finding:
    """Adversarial images made on the twin must not fool what the model's own gradient could not.

    Raises:
        LeftOut: if there is no twin.
    """
    if probe.twin is None:
        raise LeftOut("no twin was given to craft on")
    left = probe.best()
    found = _found(probe, left, probe.attacks.transfer(probe.twin))
    return Finding(
        weigh(found, probe.n, FOUND),
        f"{int(left.sum())} images survive every white-box attack; PGD-{probe.form.steps} on the twin fools {found} of "
        "them.",
        f"what it adds is {limit(100 * FOUND)}",
        {"survivors": int(left.sum()), "found": found},
    )


def random_noise(probe: Probe) -> Finding:
    """Random draws from the ball must not fool what PGD left standing."""
    found = ~probe.run(probe.attacks.noise()).unbroken
    missed = int((found & probe.run(probe.attacks.pgd()).survived).sum())
    return Finding(
        weigh(missed, probe.n, FOUND),
        f"{probe.form.draws} random draws fool {int(found.sum())} images, {missed} of which PGD-{probe.form.steps} "
        "missed.",
        f"what they add is {limit(100 * FOUND)}",
        {"draws": probe.form.draws, "fooled": int(found.sum()), "missed_by_pgd": missed},
    )


def stability(probe: Probe) -> Finding:
    """The loss must be nearly flat across one step of the attack, or its gradient says nothing about where it leads.

    The mean relative change of the margin, each capped at 1, under random draws within one step of PGD. Own choice of
    radius and limit: across a step a gradient has to hold, and the networks of this project change by 0.2 to 3 % there,
    one with random resizing by 60 %. Across eps itself the plain ones among them change by up to 15 %, which says that
    eps is large for them, not that they mask.
    """
    radius, draws = probe.attacks.pgd().step_size, Draws(probe.images, probe.seed)
    here = margin(probe.logits, probe.labels)
    changes = []
    for draw in range(probe.form.draws):
        noise = NORMS[probe.norm].random(probe.images, radius, draws, draw)
        there = margin(probe.predict((probe.images + noise).clamp(0, 1)), probe.labels)
        changes.append(((there - here).abs() / here.abs().clamp_min(1e-12)).clamp_max(1).mean())
        probe.tick()
    change = float(torch.stack(changes).mean())
    return Finding(
        "warn" if change > UNSTABLE else "pass",
        f"Under random noise of the size of one step ({radius:.2g}) the margin changes by {change:.1%} on average.",
        f"a mean change of more than {UNSTABLE:.0%} (own choice)",
        {"change": change, "radius": radius, "draws": probe.form.draws},
    )


def input_gradients(probe: Probe) -> Finding:
    """The gradient of the cross-entropy must be there, finite and not zero, at every image.

    The margin's gradient tells a saturated loss, where it is alive, from an operation without a derivative.
    """
    dead = {}
    for loss in ("ce", "margin"):
        gradient = _gradients(probe, loss)
        usable = gradient.flatten(1).isfinite().all(1) & (gradient.flatten(1).abs().amax(1) > 0)
        dead[loss] = int((~usable).sum())
    count = len(probe.labels)
    why = " because the loss is saturated" if dead["ce"] > dead["margin"] else ""
    if not probe.connected:
        why = " because no gradient reaches the pixels"
    return Finding(
        "pass" if dead["ce"] == 0 else weigh(dead["ce"], probe.n, FOUND) if dead["ce"] == 1 else "fail",
        f"The gradient is zero or not finite at {dead['ce']} of {count} images{why}."
        if dead["ce"]
        else f"The gradient is finite and not zero at all {count} images.",
        "a zero or non-finite gradient at any image; a single one only where chance does not allow it",
        {"dead_ce": dead["ce"], "dead_margin": dead["margin"], "images": count},
    )


def _gradients(probe: Probe, loss: str) -> Tensor:
    """Return the raw gradient (M,C,H,W) of a loss at the clean images."""
    parts = []
    for images, labels in zip(probe.images.split(probe.batch_size), probe.labels.split(probe.batch_size), strict=True):
        with torch.enable_grad():
            pixels = images.detach().clone().requires_grad_()
            parts.append(torch.autograd.grad(LOSSES[loss](probe.model(pixels), labels).sum(), pixels)[0])
    return torch.cat(parts)


def _found(probe: Probe, left: Tensor, attack: Attack) -> int:
    return int((left & ~probe.left_of(left, attack)).sum())
