"""The masking self-check: does a model look robust only because attacks on it fail for another reason?"""

from __future__ import annotations

import time
from collections.abc import Callable

from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_logits, check_settings
from lsp_core.audit.plan import FULL, QUICK
from lsp_core.audit.probe import LeftOut, Probe
from lsp_core.audit.report import Audited, Check, Report
from lsp_core.audit.rules import NOT_HERE, RULES, Rule
from lsp_core.evaluation import predict
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.types import Norm

OnProgress = Callable[[int, int], None]

__all__ = ["Audited", "Check", "Report", "audit"]


def audit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float = 8 / 255,
    norm: Norm = "Linf",
    *,
    twin: nn.Module | None = None,
    quick: bool = True,
    seed: int = 0,
    batch_size: int = 256,
    on_progress: OnProgress | None = None,
) -> Report:
    """Look for signs that attacks on a model fail for reasons other than robustness.

    What passes is no proof: the checks are necessary, not sufficient, and an adaptive attack is still needed.

    Args:
        model: in evaluation mode, from images in [0,1] to logits.
        x: (N,C,H,W) float in [0,1]; some hundred are enough.
        y: (N,) int64 labels.
        eps: radius in pixel units, above 0.
        norm: "Linf" or "L2".
        twin: another classifier of the same images, in evaluation mode, to craft transferred images on.
        quick: fewer steps, queries and draws, for two CPU cores; else the form for evidence that is published.
        seed: of every random choice.
        batch_size: images at once; random starts depend on it.
        on_progress: called with (checks done, checks in all), also during a check; what it raises ends the audit.

    Raises:
        ValueError: if an argument is not what it should be, or the model gets no image right.
    """
    _check(model, x, y, eps, norm, twin, batch_size)
    started, reached = time.perf_counter(), _Reached(on_progress)
    plan = QUICK if quick else FULL
    probe = Probe(model, x, y, eps, norm, plan=plan, twin=twin, seed=seed, batch_size=batch_size, tick=reached.tick)
    if len(probe.labels) == 0:
        raise ValueError(f"model gets none of the {probe.n} images right, so there is nothing to attack.")
    checks, left_out = [], dict(NOT_HERE)
    for rule in RULES:
        try:
            checks.append(_look(rule, probe, reached))
        except LeftOut as reason:
            left_out[rule.name] = str(reason)
        reached.advance()
    clean, robust = len(probe.labels), int(probe.best().sum())
    return Report(
        checks=tuple(checks),
        left_out=left_out,
        n=probe.n,
        seed=seed,
        eps=eps,
        norm=norm,
        form=plan.name,
        batch_size=batch_size,
        clean_accuracy=clean / probe.n,
        clean_interval=wilson_interval(clean, probe.n),
        robust_accuracy=robust / probe.n,
        robust_interval=wilson_interval(robust, probe.n),
        attacks=(*probe.white_box(), *probe.strong()),
        seconds=round(time.perf_counter() - started, 2),
    )


class _Reached:
    """Tells how far the audit is; an error from the listener is told apart from an error of the model."""

    def __init__(self, on_progress: OnProgress | None):
        self.on_progress, self.done, self.cancelled = on_progress, 0, False

    def tick(self) -> None:
        if self.on_progress is not None:
            try:
                self.on_progress(self.done, len(RULES))
            except BaseException:
                self.cancelled = True
                raise

    def advance(self) -> None:
        self.done += 1
        self.tick()


def _look(rule: Rule, probe: Probe, reached: _Reached) -> Check:
    try:
        found = rule.look(probe)
        return Check(rule.name, found.status, found.evidence, found.threshold, rule.source, found.figures)
    except ValueError as error:  # such as logits that are finite at the images but not where an attack goes
        if reached.cancelled:
            raise
        return Check(rule.name, "fail", f"It could not be completed: {error}", "it must be possible", rule.source)


def _check(
    model: nn.Module, x: Tensor, y: Tensor, eps: float, norm: str, twin: nn.Module | None, batch_size: int
) -> None:
    check_settings(eps, norm)
    if eps == 0:
        raise ValueError("eps is 0, but an audit needs room to attack: give a radius above 0, like 8/255.")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, but it must be 1 or more.")
    check_batch(model, x, y)
    if len(x) == 0:
        raise ValueError("x is empty, so there is nothing to audit.")
    check_logits(predict(model, x, batch_size), y)
    if twin is not None:
        if twin.training:
            raise ValueError("twin is in training mode, so its outputs depend on the batch: call twin.eval() first.")
        if predict(twin, x[:1]).shape != (shape := predict(model, x[:1]).shape):
            raise ValueError(f"twin must return logits of shape {tuple(shape)} for one image, as the model does.")
