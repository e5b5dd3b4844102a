"""An order on its way: how far it is, how long it will take, and whether it is to end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from app.state.cores import quiet
from app.state.jobs import Cancelled
from app.state.measure import Order

LOOK = 0.2  # seconds between two looks at whether an attack is over that somebody waits for


@dataclass
class Task:
    """An order on its way: ``state`` ends as done, stopped or failed; ``said`` is what came of it, in a sentence."""

    order: Order
    number: int
    state: str = "waiting"
    said: str = ""
    done: int = 0
    total: int = 0
    stop_wanted: bool = False
    _first: tuple[int, float] | None = field(default=None, repr=False)

    @property
    def active(self) -> bool:
        """Whether there is more to come."""
        return self.state in ("waiting", "running")

    @property
    def seconds_left(self) -> float | None:
        """How long it will go on, at the speed of this sitting; None where nobody knows yet."""
        if self._first is None or self.done <= self._first[0]:
            return None
        return (time.monotonic() - self._first[1]) * (self.total - self.done) / (self.done - self._first[0])

    def stop(self) -> None:
        """Ask it to end at its next step, or not to begin."""
        self.stop_wanted = True

    def tell(self, done: int, total: int) -> None:
        """Take note of how far it is, and wait while an attack runs that somebody waits for.

        Raises:
            Cancelled: if somebody pressed Stop.
        """
        if self._first is None:
            self._first = done, time.monotonic()
        self.done, self.total = done, total
        while not (self.stop_wanted or quiet.wait(LOOK)):
            pass
        if self.stop_wanted:
            raise Cancelled
