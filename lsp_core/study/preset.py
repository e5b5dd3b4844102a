"""A preset: the grids of runs that a study asks for, read from a small TOML file.

``seeds``, ``n`` and ``attacks`` at the top hold for every grid that does not set its own. Each ``[[grid]]`` has a
``title``, ``datasets``, ``objectives`` and a table ``variants``; it may have an ``about``, which stands below that,
a table ``settings`` that holds for all its variants, and a ``control``, the variant that a reviewer would try instead.
A variant is what differs from the data set's recipe: fields of ``TrainConfig``, and ``lsp``, a table of fields of
``LSP`` ({} is the recipe's). The first variant of a grid is the one that the others are compared with.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path

from lsp_core.attacks import ATTACKS
from lsp_core.lsp.lsp import LSP
from lsp_core.study.preservation import K
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.training.recipes import TrainConfig
from lsp_core.types import Record, check_fields, pick

FOLDER = Path(__file__).parent / "presets"
KEYS = "seeds, attacks and n, which may stand at the top"
SETTINGS = {key.name for key in fields(TrainConfig)} - {"dataset", "objective", "seed"}


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
class Grid:
    """A question, and the runs that answer it: every data set with every objective, variant and seed."""

    title: str
    datasets: tuple[str, ...]
    objectives: tuple[str, ...]
    variants: dict[str, Record]
    seeds: tuple[int, ...]
    attacks: tuple[str, ...]
    n: int
    about: str = ""
    control: str = ""
    settings: Record = field(default_factory=dict)

    def __post_init__(self) -> None:
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
        if self.control and self.control not in self.variants:
            raise ValueError(f"control of {self.title!r} is {self.control!r}, which is none of its variants.")
        if self.n <= 2 * K:
            raise ValueError(f"n of {self.title!r} is {self.n}, but {K} neighbours need more than {2 * K} images.")
        for name, variant in self.variants.items():
            whole = {**self.settings, **variant}
            for key in whole.keys() - {"lsp"}:
                pick(f"setting of variant {name!r}", key, dict.fromkeys(sorted(SETTINGS)))
            LSP(**whole.get("lsp", {}))

    def runs(self) -> Iterator[Run]:
        """Yield the runs, all variants of one seed after each other, so that a study cut off has whole comparisons."""
        for dataset, objective, seed in itertools.product(self.datasets, self.objectives, self.seeds):
            for name, settings in self.variants.items():
                whole = {**self.settings, **settings}
                yield Run(dataset, objective, name, seed, whole, self.attacks, self.n)


@dataclass(frozen=True)
class Preset:
    """A named study; ``text`` is its file, word for word."""

    name: str
    grids: tuple[Grid, ...]
    text: str

    def runs(self) -> list[Run]:
        """Return the runs grid by grid: one that stands in two has in the second the attacks of both.

        Raises:
            ValueError: if two grids mean different things by one run, or two folders have one last name.
        """
        found: list[Run] = []
        latest: dict[str, Run] = {}
        for run in itertools.chain.from_iterable(grid.runs() for grid in self.grids):
            known = latest.get(run.id, run)
            if known.dataset != run.dataset:
                raise ValueError(f"{known.dataset} and {run.dataset} have one last name, and so one file: rename one.")
            if (known.settings, known.n) != (run.settings, run.n):
                raise ValueError(f"variant {run.variant!r} of {run.id} has other settings or n in another grid.")
            latest[run.id] = replace(run, attacks=tuple(dict.fromkeys(known.attacks + run.attacks)))
            found.append(latest[run.id])
        return found


def parse_preset(name: str, text: str) -> Preset:
    """Read a preset from TOML.

    Raises:
        ValueError: saying what is wrong with it.
    """
    try:
        content: Record = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"preset {name} cannot be read: {error}.") from error
    common: Record = {key: content.pop(key) for key in ("seeds", "attacks", "n") if key in content}
    entries = content.pop("grid", None)
    if not isinstance(entries, list) or content:
        raise ValueError(
            f"preset {name} has {', '.join(content) or 'no [[grid]]'}; it needs [[grid]] tables and {KEYS}."
        )
    try:
        preset = Preset(name, tuple(_grid({**common, **entry}) for entry in entries), text)
        preset.runs()
    except (TypeError, AttributeError) as error:  # a list where a table should be, and the like
        raise ValueError(f"preset {name} cannot be read: {error}.") from error
    return preset


def _grid(entry: Record) -> Grid:
    required = [key.name for key in fields(Grid) if key.default is MISSING and key.default_factory is MISSING]
    for key in entry:
        pick("key of a grid", key, {key.name: key for key in fields(Grid)})
    if lacking := [key for key in required if key not in entry]:
        raise ValueError(f"a grid lacks {', '.join(lacking)}; it needs these, in the grid or at the top of the file.")
    settings: Record = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return Grid(**settings)


def read_preset(name: str) -> Preset:
    """Return a preset of the package by its name, or one of your own by the path of its file.

    Raises:
        ValueError: if there is none, it cannot be read, or it has the name of a preset of the package.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(preset.stem for preset in FOLDER.glob("*.toml")))
        raise ValueError(f"unknown preset {name!r}: choose one of {known}, or the path of a file that ends in .toml.")
    text, namesake = path.read_text(encoding="utf-8"), FOLDER / f"{path.stem}.toml"
    if namesake.is_file() and namesake.read_text(encoding="utf-8") != text:
        raise ValueError(f"{path} has the name of a preset of the package, and their results would mix: rename it.")
    return parse_preset(path.stem, text)
