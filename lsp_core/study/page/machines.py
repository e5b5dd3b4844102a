"""What the runs of a study were made on."""

from __future__ import annotations

import string
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from lsp_core.store.provenance import Machine
from lsp_core.study.page.cells import counted
from lsp_core.study.result import Result


@dataclass(frozen=True)
class Machines:
    """All that had a part in a preset's runs.

    Attributes:
        trained: one entry a training.
        evaluated: one entry an evaluation: an attack at a radius, or a measurement of neighbourhoods.
    """

    trained: tuple[Machine, ...]
    evaluated: tuple[Machine, ...]

    @classmethod
    def of(cls, results: Collection[Result]) -> Machines:
        """Collect those of the runs of a preset."""
        trained = tuple(result.machine for result in results if result.training)
        return cls(trained, tuple(part.machine or result.machine for result in results for part in result.measured))

    def lines(self) -> list[str]:
        """Say of each what it did, and when; with its letter if there are several."""
        letters = self._letters()
        return [f"{f'**{letters[name]}**: ' if len(letters) > 1 else ''}{name}: {self._did(name)}." for name in letters]

    def mark(self, machines: Iterable[Machine]) -> str:
        """Return the letters of these machines in brackets, "" if one has done everything."""
        letters, there = self._letters(), {machine.name for machine in machines}
        found = [letter for name, letter in letters.items() if name in there]
        return f" ({', '.join(found)})" if len(letters) > 1 and found else ""

    def _letters(self) -> dict[str, str]:
        names = sorted({machine.name for machine in (*self.trained, *self.evaluated)})
        return dict(zip(names, string.ascii_uppercase, strict=False))

    def _did(self, name: str) -> str:
        trained, evaluated = ([each for each in group if each.name == name] for group in (self.trained, self.evaluated))
        dates = sorted({machine.date for machine in (*trained, *evaluated) if machine.date})
        when = [dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"] if dates else []
        return ", ".join([counted(len(trained), "training"), counted(len(evaluated), "evaluation"), *when])
