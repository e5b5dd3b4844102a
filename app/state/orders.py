"""Evaluations and audits that somebody ordered from a page: one at a time, behind the pages of every session.

What is not over yet stands in a file beside the checkpoints, so that it can go on after the app was stopped. The
threads draw nothing.
"""

from __future__ import annotations

import itertools
import queue
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from app.state.jobs import Cancelled, tell
from app.state.measure import WORK, Order, Told
from app.state.task import Task
from lsp_core.store.schema import SchemaError, Stored, read
from lsp_core.workers import take_threads

FILE = ".orders.json"
KEPT = 4  # orders that are over and still told of
_TURN = threading.Lock()  # of all folders one at a time


@dataclass(frozen=True)
class Orders(Stored):
    """The orders that are not over."""

    SCHEMA: ClassVar[str] = "lsp-lab/orders/1"

    orders: tuple[Order, ...] = ()


class Board:
    """The orders on one folder of checkpoints."""

    def __init__(self, place: Path, work: dict[str, Told] | None = None):
        self.place, self.work = place, WORK if work is None else work
        self.tasks: list[Task] = []
        self._numbers, self._change = itertools.count(1), threading.Lock()
        self._waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._begun = False

    @property
    def active(self) -> list[Task]:
        """Those that run or wait, in their order."""
        return [task for task in self.tasks if task.active]

    @property
    def over(self) -> int:
        """How many have ended: what changes when there is something new to show."""
        return sum(task.number for task in self.tasks if not task.active)

    def place_order(self, order: Order) -> Task:
        """Put an order at the end of the line; the same one twice is one.

        Raises:
            OSError: if nothing can be written in the folder.
        """
        with self._change:
            there = next((task for task in self.active if task.order == order), None)
            if there is not None:
                return there
            self._write([*(one for one in self._read() if one != order), order])
            over = [task for task in self.tasks if not task.active and task.order != order][-KEPT:]
            task = Task(order, next(self._numbers))
            self.tasks = [*over, *self.active, task]
            self._waiting.put(task)
            if not self._begun:
                self._begun = True
                # No pool: Python would wait for its threads to end, hours perhaps, before the app could.
                threading.Thread(target=self._go_on, name="orders", daemon=True).start()
        return task

    def cut_off(self) -> list[Order]:
        """Return the orders that are neither over nor on their way: stopped, or left when the app was."""
        mine = [task.order for task in self.active]
        return [order for order in self._read() if order not in mine]

    def forget(self, order: Order) -> None:
        """Take an order off the list."""
        with self._change:
            self._write([one for one in self._read() if one != order])
            self.tasks = [task for task in self.tasks if task.active or task.order != order]

    def _go_on(self) -> None:
        take_threads(1)
        while True:
            task = self._waiting.get()
            with _TURN:
                ended = "stopped" if task.stop_wanted else self._do(task)
            if ended != "stopped":
                with self._change:
                    self._write([one for one in self._read() if one != task.order])
            task.state = ended

    def _do(self, task: Task) -> str:
        task.state = "running"
        try:
            task.said = self.work[task.order.work](self.place, task.order, task.tell)
        except Cancelled:
            return "stopped"
        except Exception as error:  # the page must say something whatever happens
            task.said = tell(error, f"The {task.order.work}")
            return "failed"
        return "done"

    def _read(self) -> list[Order]:
        try:
            return list(read(Orders, self.place / FILE).orders)
        except SchemaError:  # not there, or nothing that can be used
            return []

    def _write(self, orders: list[Order]) -> None:
        path = self.place / FILE
        if orders:
            Orders(tuple(orders)).write(path)
        else:
            path.unlink(missing_ok=True)


_BOARDS: dict[Path, Board] = {}  # of the whole process, not of Streamlit's caches, which anybody may empty
_OPENING = threading.Lock()


def board(place: Path) -> Board:
    """Return the orders on a folder, the same for every session."""
    with _OPENING:
        return _BOARDS.setdefault(place.resolve(), Board(place.resolve()))


def stop_all() -> None:
    """Ask all that runs or waits to end, and leave it on its list: the app is about to stop."""
    for each in _BOARDS.values():
        for task in each.active:
            task.stop()
