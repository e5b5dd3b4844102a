"""A grid of runs: every data set with every objective, variant and seed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from lsp_core.attacks import ATTACKS
from lsp_core.lsp.lsp import LSP
from lsp_core.store.schema import Stored
from lsp_core.study.preservation import K
from lsp_core.training import OBJECTIVES, TrainConfig
from lsp_core.types import Record, check_fields, pick

TRAINING = {key.name for key in fields(TrainConfig)} - {"dataset", "objective", "seed"}
TERM = {key.name for key in fields(LSP)}


@dataclass(frozen=True)
class Run:
    """One training and everything that is measured of it.

    Attributes:
        variant: its name in the grid.
        settings: what differs from the recipe, as in the preset.
        attacks: names as in ``evaluate --attacks``, all at the radius of the training.
        n: test images, the first of those that seed 0 draws.
    """

    dataset: str
    objective: str
    variant: str
    seed: int
    settings: Record
    attacks: tuple[str, ...]
    n: int

    @property
    def id(self) -> str:
        """The name of its files."""
        slug = re.sub(r"[^a-z0-9.]+", "-", self.variant.lower()).strip("-")
        return f"{Path(self.dataset).name}-{self.objective}-{slug}-{self.seed}"


@dataclass(frozen=True)
class Grid(Stored):
    """A question, and the runs that answer it: every data set with every objective, variant and seed.

    Attributes:
        about: stands below the title.
        controls: the variants that a reviewer would try instead, which the others are compared with, too.
        settings: hold for all variants.
    """

    title: str
    datasets: tuple[str, ...]
    objectives: tuple[str, ...]
    variants: dict[str, Record]
    seeds: tuple[int, ...]
    attacks: tuple[str, ...]
    n: int
    about: str = ""
    controls: tuple[str, ...] = ()
    settings: Record = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a grid that means nothing.

        Raises:
            ValueError: naming the field.
        """
        check_fields(self, repr(self.title))
        for name in self.objectives:
            pick("objective", name, OBJECTIVES)
        for name in self.attacks:
            pick("attack", name, ATTACKS)
        for name in ("datasets", "objectives", "variants", "seeds", "attacks"):
            if not getattr(self, name):
                raise ValueError(f"{name} of {self.title!r} is empty, but a grid needs at least one.")
        for name in ("datasets", "objectives", "seeds", "attacks"):
            if len(set(values := getattr(self, name))) < len(values):
                raise ValueError(f"{name} of {self.title!r} is {list(values)}, but each may stand there only once.")
        for name in self.controls:
            if name not in self.variants:
                raise ValueError(f"controls of {self.title!r} have {name!r}, which is none of its variants.")
        if self.n <= 2 * K:
            raise ValueError(f"n of {self.title!r} is {self.n}, but {K} neighbours need more than {2 * K} images.")
        for run in self.runs():
            _check_settings(run)

    def runs(self) -> Iterator[Run]:
        """Yield the runs, all variants of one seed after each other, so that a study cut off has whole comparisons."""
        for dataset, objective, seed in itertools.product(self.datasets, self.objectives, self.seeds):
            for name, settings in self.variants.items():
                whole = {**self.settings, **settings}
                yield Run(dataset, objective, name, seed, whole, self.attacks, self.n)


def _check_settings(run: Run) -> None:
    lsp = run.settings.get("lsp", {})
    if not isinstance(lsp, dict):
        raise ValueError(f"lsp of variant {run.variant!r} is {lsp!r}, but it must be a table.")
    for what, given, known in (("setting", run.settings.keys() - {"lsp"}, TRAINING), ("setting of lsp", lsp, TERM)):
        for key in sorted(given):
            pick(f"{what} of variant {run.variant!r}", key, dict.fromkeys(sorted(known)))
    LSP.from_record(lsp)
