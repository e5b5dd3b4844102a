"""Measures LSP Lab side by side with what else there is: attacks, metrics, training steps, and what makes them fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lsp_core.bench.attacks import ensemble, passes, pgd
from lsp_core.bench.levers import all_levers
from lsp_core.bench.metrics import neighbor_metrics
from lsp_core.bench.rivals import need
from lsp_core.bench.subject import Settings, Subject, open_subject
from lsp_core.bench.timing import Row, Timing, race
from lsp_core.bench.training import training_steps
from lsp_core.data import DatasetError
from lsp_core.types import pick

Part = Callable[[Subject, Settings], Iterator[Row]]
PARTS: dict[str, Part] = {
    "pgd": pgd,
    "ensemble": ensemble,
    "metrics": neighbor_metrics,
    "training": training_steps,
    "passes": passes,
    "levers": all_levers,
}
NEEDS = {"pgd": "foolbox", "ensemble": "pyautoattack"}  # before minutes of work, not after
DATASETS = ("digits", "mnist", "cifar10")  # the first is always there
QUICK = {"runs": 3, "images": 64, "referee_images": 8, "referee_runs": 1, "points": 1000, "largest_batch": 128}


def open_subjects(
    names: Iterable[str], checkpoints: str | Path, data_root: str | None, device: str
) -> tuple[list[Subject], list[str]]:
    """Load the data sets that are here, and say which are not; ``digits`` always is.

    Raises:
        ValueError: if a checkpoint is not what it should be.
    """
    found, absent = [], []
    for name in names:
        try:
            found.append(open_subject(name, Path(checkpoints), data_root, device))
        except DatasetError:
            absent.append(name)
    return found, absent


def measure(
    parts: Iterable[str], subjects: list[Subject], settings: Settings, on_row: Callable[[Row], None] | None = None
) -> list[Row]:
    """Return the rows of the parts, each on every subject; ``on_row`` sees each as it is done.

    Raises:
        ValueError: if a part is unknown, or a library is missing that it measures against.
    """
    rows: list[Row] = []
    chosen = {name: pick("part", name, PARTS) for name in parts}
    for name in chosen.keys() & NEEDS.keys():
        need(NEEDS[name])
    for part in chosen.values():
        for subject in subjects:
            for row in part(subject, settings):
                rows.append(row)
                if on_row is not None:
                    on_row(row)
    return rows


__all__ = ["DATASETS", "PARTS", "QUICK", "Row", "Settings", "Subject", "Timing", "measure", "open_subjects", "race"]
