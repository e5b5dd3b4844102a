"""What a model gets right before and after attacks, per example."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lsp_core.attacks import Ensemble
from lsp_core.attacks.contract import alone, check_batch, check_logits, check_untargeted, passes
from lsp_core.attacks.describe import label, settings
from lsp_core.attacks.ensemble import way
from lsp_core.attacks.losses import margin
from lsp_core.attacks.norms import NORMS
from lsp_core.attacks.scouted import scouted
from lsp_core.evaluation.batches import images_at_once
from lsp_core.evaluation.entry import Entry, Fooled, pack
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.evaluation.passes import FEWEST, Meter, OnProgress, PassCounter
from lsp_core.evaluation.resume import Sitting, fingerprint
from lsp_core.types import Attack
from lsp_core.workers import pick_workers, portions, side_by_side

TOLERANCE = 1e-6


@dataclass(frozen=True)
class Evaluation:
    """Per-example results (N,) bool; robust means right before and after every attack.

    Attributes:
        attack: what was run; several attacks are an ``Ensemble``.
        fooled_by: (N,) the place in the sequence of the attack that fooled the example; -1 if none did, or none had to.
        forward_passes: images that the attacks sent through the model.
        backward_passes: gradients that they took.
        seconds: wall time, over all sittings.
    """

    attack: Attack
    clean_correct: Tensor
    robust_correct: Tensor
    seconds: float
    fooled_by: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    forward_passes: int = 0
    backward_passes: int = 0

    @property
    def n(self) -> int:
        """The number of examples."""
        return len(self.clean_correct)

    @property
    def clean_accuracy(self) -> float:
        """Fraction right without attack."""
        return int(self.clean_correct.sum()) / max(1, self.n)

    @property
    def robust_accuracy(self) -> float:
        """Fraction right without and under attack."""
        return int(self.robust_correct.sum()) / max(1, self.n)

    @property
    def clean_interval(self) -> tuple[float, float]:
        """Wilson 95 % interval of the clean accuracy."""
        return wilson_interval(int(self.clean_correct.sum()), self.n)

    @property
    def robust_interval(self) -> tuple[float, float]:
        """Wilson 95 % interval of the robust accuracy."""
        return wilson_interval(int(self.robust_correct.sum()), self.n)

    def entry(self, name: str = "") -> Entry:
        """Return what files keep of it; which images these are, and where and when it was, the caller adds.

        Args:
            name: of the attack in ``ATTACKS``, or several joined by ``+``; "" for one that stands in no table.
        """
        return Entry(
            name=name,
            attack=type(self.attack).__name__,
            label=label(self.attack),
            norm=self.attack.norm,
            eps=self.attack.eps,
            settings=settings(self.attack),
            n=self.n,
            clean_accuracy=self.clean_accuracy,
            clean_interval=self.clean_interval,
            robust_accuracy=self.robust_accuracy,
            robust_interval=self.robust_interval,
            fooled_by=tuple(
                Fooled(label(part), int((self.fooled_by == place).sum()))
                for place, part in enumerate(sequence(self.attack))
            ),
            clean_correct=pack(self.clean_correct.cpu().numpy()),
            robust_correct=pack(self.robust_correct.cpu().numpy()),
            forward_passes=self.forward_passes,
            backward_passes=self.backward_passes,
            seconds=round(self.seconds, 2),
        )


def sequence(attack: Attack) -> tuple[Attack, ...]:
    """Return the attacks of an ensemble, or the attack alone."""
    return attack.attacks if isinstance(attack, Ensemble) else (attack,)


def reach(attack: Attack, place: int) -> float:
    """Return how far images must have been brought for the attack at ``place`` of an ensemble to try them."""
    return attack.least(place) if isinstance(attack, Ensemble) else 0.0


def predict(model: nn.Module, images: Tensor, batch_size: int = 256) -> Tensor:
    """Return the logits (N,K) of images (N,C,H,W), batch by batch."""
    with torch.no_grad():
        return torch.cat([model(batch) for batch in images.split(batch_size)])


def evaluate(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack | Sequence[Attack],
    batch_size: int = 256,
    *,
    workers: int | None = None,
    state: str | Path | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Attack every image that the model gets right, and check each attack's budget and range on the way.

    Of several attacks each gets what the ones before left standing, so that the result is the worst case per example.

    Args:
        model: in evaluation mode, from [0,1] images to logits; several threads may ask it at once.
        images: (N,C,H,W) float in [0,1].
        labels: (N,) int64.
        attack: any ``Attack`` that is not targeted, or several of one norm and eps.
        batch_size: examples at once, at most; apart from rounding in the model, and from AutoAttack, whose library
            draws for a whole batch, no result depends on it.
        workers: batches side by side, each on one core; None is one for each thread that torch would use. No result
            depends on it.
        state: a file that an interrupted evaluation goes on from; removed at the end.
        on_progress: called with (done, total) passes during each attack, where total falls as examples are fooled;
            what it raises ends the evaluation.

    Raises:
        ValueError: if an argument is not what it should be, the model's outputs are not finite, or an attack leaves
            its ball or [0,1].
    """
    check_batch(model, images, labels)
    if len(images) == 0:
        raise ValueError("images are empty, so there is nothing to evaluate.")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, but it must be 1 or more.")
    crew = pick_workers(workers, images.device)
    whole = attack if isinstance(attack, Attack) else Ensemble(tuple(attack))
    check_untargeted(whole, "an evaluation")
    path, parts = Path(state) if state else None, sequence(whole)
    identity = fingerprint(model, images, labels, whole) if path else ""
    before = _verdict(model, images, labels, batch_size)
    sitting = Sitting(path, identity, before.right)
    subject, meter = scouted(model, images[:FEWEST], len(images) * passes(whole)), Meter(on_progress)
    size = images_at_once(subject, images, batch_size)

    def work(part: Attack, rows: Tensor) -> _Outcome:
        counter = meter.open(subject)
        adversarial = part(counter, images[rows], labels[rows])
        _check_budget(part, images[rows], adversarial)
        return rows, _verdict(model, adversarial, labels[rows], batch_size), counter

    for place, part in enumerate(parts):
        rows, do = sitting.waiting(place, reach(whole, place)), functools.partial(work, part)
        meter.done, meter.left = sitting.passes, sitting.left(parts)
        if images.is_cuda or alone(part):
            results: Iterable[_Outcome] = map(do, rows.split(batch_size) if len(rows) else ())
        else:
            results = side_by_side(do, portions(rows, size, crew, FEWEST), crew, meter.stop)
        for some, after, counter in results:
            sitting.note(place, some, ~after.right, way(before.margin[some], after.margin), counter)
            meter.close(counter, sitting.passes, sitting.left(parts))
    sitting.close()
    if on_progress is not None:
        on_progress(max(1, sitting.passes), max(1, sitting.passes))
    spent = (sitting.forward_passes, sitting.backward_passes)
    return Evaluation(whole, sitting.clean, sitting.robust, sitting.seconds, sitting.fooled_by, *spent)


class _Verdict(NamedTuple):
    """Whether each image is right (N,) bool, and its margin (N,): best other logit minus the label's."""

    right: Tensor
    margin: Tensor


_Outcome = tuple[Tensor, _Verdict, PassCounter]  # the rows of a batch, what became of them, and what it cost


def _verdict(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int) -> _Verdict:
    logits = predict(model, images, batch_size)
    check_logits(logits, labels)
    return _Verdict(logits.argmax(1) == labels, margin(logits, labels))


def _check_budget(attack: Attack, images: Tensor, adversarial: Tensor) -> None:
    name = type(attack).__name__
    if adversarial.shape != images.shape:
        raise ValueError(f"{name} returned shape {tuple(adversarial.shape)} for {tuple(images.shape)}.")
    spent = NORMS[attack.norm].size(adversarial - images).amax().item()
    if not spent <= attack.eps * (1 + 1e-5) + TOLERANCE:
        raise ValueError(f"{name} moved an image by {spent:g} in {attack.norm}, beyond eps {attack.eps:g}.")
    if not (adversarial.amin() >= 0 and adversarial.amax() <= 1):
        raise ValueError(f"{name} returned pixels outside [0,1].")
