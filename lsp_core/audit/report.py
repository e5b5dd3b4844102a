"""What an audit found, and the file that it is kept in, beside its checkpoint as ``NAME.audit.json``."""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from lsp_core.store.schema import Stored
from lsp_core.types import Norm

CLEAN = "no sign of masking found"
ROUNDING = 1e-9
CONTROLS = "known-answer controls"
Status = Literal["pass", "warn", "fail"]
STATUSES: tuple[Status, ...] = ("pass", "warn", "fail")  # from the best to the gravest
Figures = dict[str, float | int | list[float] | list[int]]


@dataclass(frozen=True)
class Finding:
    """What one check saw: whether that is a sign of masking, why in one sentence, the numbers, and the limit."""

    status: Status
    evidence: str
    threshold: str
    figures: Figures = field(default_factory=dict)


@dataclass(frozen=True)
class Check(Stored):
    """A finding under its name.

    Attributes:
        evidence: a sentence for people.
        threshold: what would have been a sign, in words.
        source: the paper or project that the check comes from.
        figures: numbers by name.

    Raises:
        ValueError: if the status is unknown, or a figure is neither a finite number nor a list of such.
    """

    name: str
    status: Status
    evidence: str
    threshold: str
    source: str
    figures: Figures = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status is {self.status!r}, but it must be one of {', '.join(STATUSES)}.")
        for name, value in self.figures.items():
            if not all(map(_is_number, value if isinstance(value, list) else [value])):
                raise ValueError(f"figure {name} is {value!r}, but it must be a finite number or a list of such.")


@dataclass(frozen=True, kw_only=True)
class Report(Stored):
    """The checks of one audit, those left out, and all that is needed to repeat it.

    Attributes:
        checks: at least one.
        left_out: the reason for each check that is not among them, by its name.
        n: images, right and wrong.
        eps: radius in pixel units.
        clean_accuracy: fraction right without attack, with its Wilson 95 % interval.
        robust_accuracy: fraction that survives every attack within eps, per example, with its Wilson 95 % interval.
        attacks: the names of those attacks.
        seconds: wall time.
        verdict: one line, told from the checks, whatever is given.

    Raises:
        ValueError: if a value cannot be meant.
    """

    checks: tuple[Check, ...]
    left_out: dict[str, str]
    n: int
    seed: int
    eps: float
    norm: Norm
    form: Literal["quick", "full"]
    batch_size: int
    clean_accuracy: float
    clean_interval: tuple[float, float]
    robust_accuracy: float
    robust_interval: tuple[float, float]
    attacks: tuple[str, ...]
    seconds: float
    verdict: str = ""

    def __post_init__(self) -> None:
        names = [check.name for check in self.checks]
        if not names or len(set(names)) < len(names):
            raise ValueError("checks must be one or more, each under a name of its own.")
        for name in ("n", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, but it must be 1 or more.")
        if not (math.isfinite(self.eps) and self.eps > 0):
            raise ValueError(f"eps is {self.eps:g}, but it must be above 0 (pixels).")
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise ValueError(f"seconds are {self.seconds:g}, but they must be 0 or more.")
        if self.robust_accuracy > self.clean_accuracy:
            raise ValueError("robust_accuracy is above clean_accuracy, but an attack can only take away.")
        for which in ("clean", "robust"):
            share, (low, high) = getattr(self, f"{which}_accuracy"), getattr(self, f"{which}_interval")
            if not (0 <= low <= high <= 1 and low - ROUNDING <= share <= high + ROUNDING):
                raise ValueError(f"{which}_accuracy is {share:g} in {low:g} to {high:g}, but both must lie in 0 to 1.")
        object.__setattr__(self, "verdict", _verdict(self))

    def named(self, status: Status) -> list[str]:
        """Return the names of the checks with a status."""
        return [check.name for check in self.checks if check.status == status]


def _verdict(report: Report) -> str:
    """Say what was found. It can only ever say that no sign was found, since no audit proves robustness."""
    failed, warned = report.named("fail"), report.named("warn")
    if CONTROLS in failed:
        return f"evaluation invalid: {CONTROLS} were not caught, so nothing else here counts."
    found = [f"{', '.join(names)} ({word})" for names, word in ((failed, "fail"), (warned, "warn")) if names]
    return f"signs of masking or of a weak attack: {'; '.join(found)}" if found else CLEAN


@dataclass(frozen=True, kw_only=True)
class Audited(Report):
    """A report with what it is of: the content of the file.

    Attributes:
        checkpoint: its name.
        weights: the SHA-256 of its weights (see ``lsp_core.store.weights``).
        date: YYYY-MM-DD.
    """

    SCHEMA: ClassVar[str] = "lsp-lab/audit/2"

    checkpoint: str
    weights: str
    dataset: str
    split: str
    device: str
    versions: dict[str, str]
    date: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch("[0-9a-f]{64}", self.weights):
            raise ValueError(f"weights are {self.weights!r}, but it must be a SHA-256 of 64 hexadecimal digits.")
        try:
            datetime.date.fromisoformat(self.date)
        except ValueError:
            raise ValueError(f"date is {self.date!r}, but it must be YYYY-MM-DD.") from None

    @classmethod
    def of(cls, report: Report, **about: Any) -> Audited:
        """Return a report with what it is of."""
        return cls(**{own.name: getattr(report, own.name) for own in dataclasses.fields(report)}, **about)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
