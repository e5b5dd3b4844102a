"""How long a study may work in one go."""

from __future__ import annotations

import math
from time import monotonic


class TimeUp(Exception):
    """The time of this call is over. What is done is written down, and another call goes on from there."""


class Budget:
    """Ends work from its callbacks: begins nothing new once the time is over, or when it would not suffice.

    Attributes:
        minutes: from the making of this on.
    """

    def __init__(self, minutes: float):
        """Begin to count.

        Raises:
            ValueError: if that is no time.
        """
        if not 0 < minutes < math.inf:
            raise ValueError(f"minutes is {minutes:g}, but it must be finite and above 0.")
        self.minutes, self._end = minutes, monotonic() + 60 * minutes

    def check(self, ahead: float = 0.0) -> None:
        """Let the work go on if what comes next, which takes ``ahead`` seconds, ends in time.

        Raises:
            TimeUp: if not, and from then on always: what is shorter must not begin in its place.
        """
        if monotonic() + ahead >= self._end:
            self._end = -math.inf
            raise TimeUp
