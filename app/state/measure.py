"""What an evaluation and an audit do once their turn has come: the same as the commands, with the same files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from lsp_core.attacks.table import parse_attack
from lsp_core.audit import audit
from lsp_core.cli.audit import audited, find_twin
from lsp_core.cli.evaluate import EvaluationsFile
from lsp_core.cli.options import ModelOnImages, open_model
from lsp_core.evaluation import Entry, evaluate
from lsp_core.radius import show_eps
from lsp_core.store.schema import Stored
from lsp_core.types import Norm

BATCH = 256  # images at once, at most, as the commands take

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Order(Stored):
    """What is to be measured of a checkpoint of a folder. ``attack`` is "" for an audit, in its quick form."""

    checkpoint: str
    work: Literal["evaluation", "audit"]
    attack: str
    norm: Norm
    eps: float
    n: int
    seed: int = 0


Told = Callable[[Path, Order, OnProgress], str]


def run_evaluation(place: Path, order: Order, on_progress: OnProgress) -> str:
    """Evaluate a checkpoint of a folder under an attack, and add the result to its file; return what came of it.

    It goes on where one of the same was cut off, begun here or by the command.

    Raises:
        ValueError: if a file, a name or a number is not what it should be.
        OSError: if nothing can be written there.
    """
    path, subject = _open(place, order)
    file = EvaluationsFile(path.with_name(f"{order.checkpoint}.json"), subject, order.seed, BATCH)
    file.read()  # a damaged one is told of before the work
    attack = parse_attack(order.attack, order.eps, order.norm, order.seed)
    if (before := file.find(attack)) is not None:
        return f"was there already: {_told(before)}"
    result = evaluate(
        subject.model,
        subject.images,
        subject.labels,
        attack,
        BATCH,
        workers=_workers(),
        state=file.state,
        on_progress=on_progress,
    )
    return _told(file.add(result.entry(order.attack)))


def run_audit(place: Path, order: Order, on_progress: OnProgress) -> str:
    """Audit a checkpoint of a folder in the quick form, and write its file anew; return what came of it.

    Raises:
        ValueError: as ``run_evaluation``.
        OSError: if nothing can be written there.
    """
    path, subject = _open(place, order)
    report = audit(
        subject.model,
        subject.images,
        subject.labels,
        order.eps,
        order.norm,
        twin=find_twin(path, subject, None),
        seed=order.seed,
        batch_size=BATCH,
        workers=_workers(),
        on_progress=on_progress,
    )
    audited(report, subject).write(path.with_name(f"{order.checkpoint}.audit.json"))
    return f"{report.verdict.removesuffix('.')} ({len(report.checks)} checks on {report.n} images)."


WORK: dict[str, Told] = {"evaluation": run_evaluation, "audit": run_audit}


def _open(place: Path, order: Order) -> tuple[Path, ModelOnImages]:
    """Load a checkpoint of one's own, not that of the pages: they need not wait for it between two batches."""
    path = place / f"{order.checkpoint}.safetensors"
    device = os.environ.get("LSP_DEVICE") or "auto"
    return path, open_model(path, None, order.n, order.seed, device, None, False)


def _workers() -> int:
    """Leave a core to the pages."""
    return max(1, torch.get_num_threads() - 1)


def _told(entry: Entry) -> str:
    low, high = entry.robust_interval
    return (
        f"{entry.robust_accuracy:.1%} right under {_label(entry)}, {entry.norm} {show_eps(entry.eps)} "
        f"(95 %: {low:.1%} to {high:.1%}, n = {entry.n})."
    )


def _label(entry: Entry) -> str:
    """Return what an entry's attack is called; a sequence goes by its name."""
    return entry.label if len(entry.fooled_by) == 1 else entry.name
