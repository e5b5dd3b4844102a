"""What an audit found. The record that goes into JSON has the schema ``lsp-lab/audit/1``.

It holds ``schema``, ``n``, ``seed``, ``eps`` (pixel units), ``norm``, ``form`` ("quick" or "full"), ``batch_size``,
``clean_accuracy`` and ``robust_accuracy`` (fractions; the second is the worst case of all white-box runs, per example)
with their Wilson 95 % ``…_interval``, ``attacks`` (names of the runs behind it), ``seconds``, ``verdict``, ``checks``,
a list of ``name``, ``status`` ("pass", "warn", "fail"), ``evidence`` (a sentence for people), ``figures`` (numbers by
name), ``threshold`` (a sentence) and ``source``, and ``left_out``, a list of ``name`` and ``reason``. The command adds
``checkpoint`` (its name), ``sha256`` (of the weights file), ``dataset``, ``split``, ``device``, ``versions``, ``date``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from lsp_core.types import Record

SCHEMA = "lsp-lab/audit/1"
CLEAN = "no sign of masking found"
Status = Literal["pass", "warn", "fail"]
Figures = dict[str, float | int | list[float] | list[int]]


@dataclass(frozen=True)
class Finding:
    """What one check saw: whether that is a sign of masking, why in one sentence, the numbers, and the limit."""

    status: Status
    evidence: str
    threshold: str
    figures: Figures = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A finding under its name, with the paper or project that the check comes from."""

    name: str
    status: Status
    evidence: str
    threshold: str
    source: str
    figures: Figures = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The checks of one audit, those left out with the reason, and all that is needed to repeat it."""

    checks: tuple[Check, ...]
    left_out: tuple[tuple[str, str], ...]
    n: int
    seed: int
    eps: float
    norm: str
    form: str
    batch_size: int
    accuracies: Record
    seconds: float

    def named(self, status: Status) -> list[str]:
        """Return the names of the checks with a status."""
        return [check.name for check in self.checks if check.status == status]

    @property
    def verdict(self) -> str:
        """One line: what was found. It can only ever say that no sign was found, since no audit proves robustness."""
        failed, warned = self.named("fail"), self.named("warn")
        if CONTROLS in failed:
            return f"evaluation invalid: {CONTROLS} were not caught, so nothing else here counts."
        found = [f"{', '.join(names)} ({word})" for names, word in ((failed, "fail"), (warned, "warn")) if names]
        return f"signs of masking or of a weak attack: {'; '.join(found)}" if found else CLEAN

    def to_record(self) -> Record:
        """Return what goes into JSON, with the fields that the module names."""
        return {
            "schema": SCHEMA,
            **{key: getattr(self, key) for key in ("n", "seed", "eps", "norm", "form", "batch_size")},
            **self.accuracies,
            "seconds": round(self.seconds, 2),
            "verdict": self.verdict,
            "checks": [dataclasses.asdict(check) for check in self.checks],
            "left_out": [{"name": name, "reason": reason} for name, reason in self.left_out],
        }


CONTROLS = "known-answer controls"
