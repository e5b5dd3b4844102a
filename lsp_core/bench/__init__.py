"""Measures LSP Lab side by side with what else there is: attacks, metrics and training steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lsp_core.bench.attacks import ensemble, passes, pgd
from lsp_core.bench.cores import every_core
from lsp_core.bench.growth import cost_growth
from lsp_core.bench.metrics import neighbor_metrics
from lsp_core.bench.pair import Extent, ModelPair, open_pair
from lsp_core.bench.rivals import need
from lsp_core.bench.scale import large_network
from lsp_core.bench.timing import Measurement, Timing, race
from lsp_core.bench.training import training_steps
from lsp_core.data import DatasetError
from lsp_core.types import pick

Part = Callable[[ModelPair, Extent], Iterator[Measurement]]
PARTS: dict[str, Part] = {
    "pgd": pgd,
    "ensemble": ensemble,
    "metrics": neighbor_metrics,
    "training": training_steps,
    "passes": passes,
    "cores": every_core,
    "scale": large_network,
    "growth": cost_growth,
}
ONCE = {"growth", "scale"}  # parts that no data set matters to
NEEDS = {"pgd": "foolbox", "ensemble": "pyautoattack"}  # before minutes of work, not after
DATASETS = ("digits", "mnist", "cifar10")  # the first is always there
QUICK = {"runs": 3, "images": 64, "referee_images": 8, "referee_runs": 1, "points": 1000, "growth": 8}


def open_pairs(
    names: Iterable[str], checkpoints: str | Path, data_root: str | None, device: str
) -> tuple[list[ModelPair], list[str]]:
    """Load the data sets that are here, and say which are not; ``digits`` always is.

    Raises:
        ValueError: if a checkpoint is not what it should be.
    """
    found, absent = [], []
    for name in names:
        try:
            found.append(open_pair(name, Path(checkpoints), data_root, device))
        except DatasetError:
            absent.append(name)
    return found, absent


def measure(
    parts: Iterable[str], pairs: list[ModelPair], extent: Extent, on_row: Callable[[Measurement], None] | None = None
) -> list[Measurement]:
    """Return the rows of the parts, each on every pair, those in ``ONCE`` on the first; ``on_row`` sees each.

    Raises:
        ValueError: if a part is unknown, or a library is missing that it measures against.
    """
    rows: list[Measurement] = []
    chosen = {name: pick("part", name, PARTS) for name in parts}
    for name in chosen.keys() & NEEDS.keys():
        need(NEEDS[name])
    for name, part in chosen.items():
        for pair in pairs[:1] if name in ONCE else pairs:
            for row in part(pair, extent):
                rows.append(row)
                if on_row is not None:
                    on_row(row)
    return rows


__all__ = [
    "DATASETS",
    "PARTS",
    "QUICK",
    "Extent",
    "Measurement",
    "ModelPair",
    "Timing",
    "measure",
    "open_pairs",
    "race",
]
