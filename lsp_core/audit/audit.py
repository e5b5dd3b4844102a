"""An audit: every rule looks at the model once."""

from __future__ import annotations

import time
from collections.abc import Callable

from torch import Tensor, nn

from lsp_core.attacks.contract import check_batch, check_logits, check_settings
from lsp_core.audit.arsenal import FULL, QUICK
from lsp_core.audit.probe import LeftOut, Probe
from lsp_core.audit.report import Check, Report
from lsp_core.audit.rules import NOT_HERE, RULES, Rule
from lsp_core.evaluation import predict
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.types import Norm

OnProgress = Callable[[int, int], None]


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
    workers: int | None = None,
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
        batch_size: images at once, at most; apart from rounding in the model no figure depends on it.
        workers: batches side by side, each on one core; None is one for each thread that torch would use. No figure
            depends on it.
        on_progress: called with (checks done, checks in all), also during a check; what it raises ends the audit.

    Raises:
        ValueError: if an argument is not what it should be, or the model gets no image right.
    """
    _check_arguments(model, x, y, eps, norm, twin, batch_size)
    form, started, progress = QUICK if quick else FULL, time.perf_counter(), _Progress(on_progress)
    probe = Probe(
        model,
        x,
        y,
        eps,
        norm,
        form=form,
        twin=twin,
        seed=seed,
        batch_size=batch_size,
        workers=workers,
        tick=progress.tell,
    )
    if len(probe.labels) == 0:
        raise ValueError(f"model gets none of the {probe.n} images right, so there is nothing to attack.")
    checks: dict[str, Check] = {}
    left_out = dict(NOT_HERE)
    for name, rule in sorted(RULES.items(), key=lambda row: row[1].last):
        try:
            checks[name] = _look(name, rule, probe, progress)
        except LeftOut as reason:
            left_out[name] = str(reason)
        progress.advance()
    clean, robust = len(probe.labels), int(probe.standing.sum())
    return Report(
        checks=tuple(checks[name] for name in RULES if name in checks),
        left_out=left_out,
        n=probe.n,
        seed=seed,
        eps=eps,
        norm=norm,
        form=form.name,
        batch_size=batch_size,
        clean_accuracy=clean / probe.n,
        clean_interval=wilson_interval(clean, probe.n),
        robust_accuracy=robust / probe.n,
        robust_interval=wilson_interval(robust, probe.n),
        attacks=tuple(probe.ran),
        seconds=round(time.perf_counter() - started, 2),
    )


class _Progress:
    """Tells how far the audit is; an error from the listener is told apart from an error of the model."""

    def __init__(self, listener: OnProgress | None):
        self.listener, self.done, self.cancelled = listener, 0, False

    def tell(self) -> None:
        if self.listener is not None:
            try:
                self.listener(self.done, len(RULES))
            except BaseException:
                self.cancelled = True
                raise

    def advance(self) -> None:
        self.done += 1
        self.tell()


def _look(name: str, rule: Rule, probe: Probe, progress: _Progress) -> Check:
    try:
        found = rule.look(probe)
        return Check(name, found.status, found.evidence, found.threshold, rule.source, found.figures)
    except ValueError as error:  # such as logits that are finite at the images but not where an attack goes
        if progress.cancelled:
            raise
        return Check(name, "fail", f"It could not be completed: {error}", "it must be possible", rule.source)


def _check_arguments(
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
