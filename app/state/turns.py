"""A lock whose users take turns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType


class Turns:
    """A lock that goes to somebody who waits, if there is one, before it goes back to who let go of it.

    ``threading.Lock`` may be taken again by its last holder before those who wait wake up, over and over.
    """

    def __init__(self) -> None:
        self._first, self._lock = threading.Lock(), threading.Lock()  # of who is next in line, and of whose turn it is

    def __enter__(self) -> None:
        with self._first:
            self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def pass_on(self, meanwhile: Callable[[], object] | None = None) -> None:
        """Let somebody else have a turn, if anybody waits, and do something ``meanwhile``; only its holder may call."""
        self._lock.release()
        if meanwhile is not None:
            meanwhile()
        self.__enter__()
