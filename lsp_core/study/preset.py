"""A preset: the grids of runs that a study asks for, read from a small TOML file.

``seeds``, ``n`` and ``attacks`` at the top hold for every grid that does not set its own. Each ``[[grid]]`` has the
fields of ``Grid``. A variant is what differs from the data set's recipe: fields of ``TrainConfig``, and ``lsp``, a
table of fields of ``LSP`` ({} is the recipe's). The first variant of a grid is the one that the others are compared
with.
"""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from lsp_core.store.schema import SchemaError, Stored, build
from lsp_core.study.grid import Grid, Run
from lsp_core.types import Record

FOLDER = Path(__file__).parent / "presets"
COMMON = ("seeds", "attacks", "n")  # may stand at the top, for all grids


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


@dataclass(frozen=True)
class _File(Stored):
    """What a preset's file holds, with what is common to all grids in each of them."""

    grid: tuple[Grid, ...]

    def __post_init__(self) -> None:
        if not self.grid:
            raise ValueError("it has no [[grid]].")


def parse_preset(name: str, text: str) -> Preset:
    """Read a preset from TOML.

    Raises:
        ValueError: saying what is wrong with it.
    """
    try:
        content: Record = tomllib.loads(text)
        common = {key: content.pop(key) for key in COMMON if key in content}
        grids = content.get("grid", [])
        if isinstance(grids, list):
            content["grid"] = [{**common, **each} if isinstance(each, dict) else each for each in grids]
        found = build(_File, content)
    except (tomllib.TOMLDecodeError, SchemaError) as error:
        raise ValueError(f"preset {name} cannot be read: {str(error).removesuffix('.')}.") from error
    preset = Preset(name, found.grid, text)
    preset.runs()
    return preset


def read_preset(name: str) -> Preset:
    """Return a preset of the package by its name, or one of your own by the path of its file.

    Raises:
        ValueError: if there is none, it cannot be read, or it has the name of a preset of the package.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(preset.stem for preset in FOLDER.glob("*.toml")))
        raise ValueError(f"unknown preset {name!r}: choose one of {known}, or the path of a file that ends in .toml.")
    try:
        text, namesake = path.read_text(encoding="utf-8"), FOLDER / f"{path.stem}.toml"
    except UnicodeError as error:
        raise ValueError(f"preset {path} cannot be read: it is no text.") from error
    if namesake.is_file() and namesake.read_text(encoding="utf-8") != text:
        raise ValueError(f"{path} has the name of a preset of the package, and their results would mix: rename it.")
    return parse_preset(path.stem, text)
