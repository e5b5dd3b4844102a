"""A machine that did something for a study."""

from __future__ import annotations

from dataclasses import dataclass

from lsp_core.study.checked import count, table, text
from lsp_core.types import Record


@dataclass(frozen=True)
class Machine:
    """A processor with its device and libraries, as people read it.

    Attributes:
        what: its name; two with the same are one.
        date: the day on which it did what is told of.
    """

    what: str
    date: str

    @classmethod
    def of(cls, record: Record) -> Machine:
        """Read what ``lsp_core.store.provenance.machine`` writes.

        Raises:
            ValueError: if it is something else.
        """
        versions = table(record, "versions")
        used = ", ".join(f"{name} {text(versions, name)}" for name in versions)
        parts = [text(record, "processor", "unknown processor")]
        numbers = {noun: count(record, f"{noun}s") for noun in ("core", "thread") if record.get(f"{noun}s")}
        parts += [f"{number} {noun}{'s' if number > 1 else ''}" for noun, number in numbers.items()]
        what = f"{', '.join(parts)}, device {text(record, 'device', 'unknown')}{'; ' if used else ''}{used}"
        return cls(what, text(record, "date", ""))
