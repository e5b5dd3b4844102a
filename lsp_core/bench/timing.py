"""Timing of things side by side: in turns, in one process, so that what slows one down slows the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from lsp_core.types import Record

Arm = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds that one thing took, run by run: on the clock, and of the processor (all threads together)."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median on the clock."""
        return statistics.median(self.wall)


@dataclass(frozen=True)
class Measurement:
    """Ours against somebody else's, and what each found.

    Attributes:
        part: of the bench that it belongs to.
        what: was done.
        against: what ``theirs`` is.
        finding: what both found, in words.
        figures: the same for machines.
        limit: the goal, if there is one: the largest ratio.
        agrees: the goal's other half: what was found is as good as theirs.
    """

    part: str
    what: str
    against: str
    ours: Timing
    theirs: Timing
    finding: str = ""
    figures: Record = field(default_factory=dict)
    limit: float | None = None
    agrees: bool = True

    @property
    def ratio(self) -> float:
        """Our median over theirs; below 1 is faster."""
        return self.ours.median / self.theirs.median

    @property
    def ratio_range(self) -> tuple[float, float]:
        """The lowest and the highest ratio of one turn."""
        pairs = [ours / theirs for ours, theirs in zip(self.ours.wall, self.theirs.wall, strict=True)]
        return min(pairs), max(pairs)

    @property
    def cpu_ratio(self) -> float:
        """The ratio of the medians in processor time, which the machine's other work disturbs less."""
        return statistics.median(self.ours.cpu) / max(statistics.median(self.theirs.cpu), 1e-9)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None if there is none."""
        return None if self.limit is None else self.ratio <= self.limit and self.agrees

    def to_record(self) -> Record:
        """Return what goes into JSON."""
        low, high = self.ratio_range
        return {
            "part": self.part,
            "what": self.what,
            "against": self.against,
            "ours": {"wall": list(self.ours.wall), "cpu": list(self.ours.cpu)},
            "theirs": {"wall": list(self.theirs.wall), "cpu": list(self.theirs.cpu)},
            "ratio": self.ratio,
            "ratio_range": [low, high],
            "cpu_ratio": self.cpu_ratio,
            "finding": self.finding,
            "figures": self.figures,
            "limit": self.limit,
            "met": self.met,
        }


def race(
    arms: Mapping[str, Arm], runs: int, *, repeat: int = 1, device: str = "cpu", warm: bool = True
) -> dict[str, Timing]:
    """Time every arm ``runs`` times, in turns; every other turn goes backwards, so that no arm is always the first.

    Args:
        arms: what to time, by name.
        runs: turns.
        repeat: calls in one run; the time is that of one call. For what is too short to time alone.
        device: waited for before the clock is read, since a GPU works on by itself.
        warm: call every arm once before, uncounted.

    Raises:
        ValueError: if runs or repeat is below 1.
    """
    if runs < 1 or repeat < 1:
        raise ValueError(f"runs and repeat are {runs} and {repeat}, but both must be 1 or more.")
    names = list(arms)
    for name in names if warm else ():
        arms[name]()
    wall: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(runs):
        for name in names if turn % 2 == 0 else reversed(names):
            _wait(device)
            started, worked = time.perf_counter(), time.process_time()
            for _ in range(repeat):
                arms[name]()
            _wait(device)
            cpu[name].append((time.process_time() - worked) / repeat)
            wall[name].append((time.perf_counter() - started) / repeat)
    return {name: Timing(tuple(wall[name]), tuple(cpu[name])) for name in names}


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
