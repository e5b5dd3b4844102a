"""Work on several cores: independent batches side by side, each pass of a model on one thread."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")


def pick_workers(workers: int | None, device: str | torch.device) -> int:
    """Return how many batches to work at side by side: without a wish as many as torch would use threads.

    That is one for each core, unless the caller or the environment has said less. A GPU takes one batch at a time.

    Raises:
        ValueError: if it is below 1.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}, but it must be 1 or more (batches side by side).")
    if torch.device(device).type != "cpu":
        return 1
    return torch.get_num_threads() if workers is None else workers


def side_by_side(work: Callable[[T], R], items: Sequence[T], workers: int, stop: Callable[[], None]) -> Iterator[R]:
    """Yield what ``work`` makes of each item, in order, ``workers`` items at a time.

    Several threads inside one pass wait for each other at every layer; threads that each have a pass of their own do
    not, since torch lets go of Python's lock while it computes. Each is therefore held to one torch thread, also where
    there is one worker, so that a result does not depend on their number.

    Args:
        items: what to work on.
        workers: threads.
        work: must be fit to run in several threads at once. What it raises first is raised here, after the last of
            the items that are finished.
        stop: called when an item fails or the caller loses interest; it should make the others end early.
    """
    failed = list[BaseException]()

    def guarded(item: T) -> R:
        if failed:
            raise failed[0]
        try:
            return work(item)
        except BaseException as error:
            failed.append(error)  # those that ``stop`` ends come later
            stop()
            raise

    with ThreadPoolExecutor(min(workers, max(1, len(items))), "worker", take_threads, (1,)) as pool:
        futures = [pool.submit(guarded, item) for item in items]
        try:
            for future in futures:
                if future.exception() is None:
                    yield future.result()
            if failed:
                raise failed[0]
        finally:
            if not all(future.done() for future in futures):
                stop()
                for future in futures:
                    future.cancel()
            pool.shutdown()


def take_threads(count: int) -> None:
    """Let torch use so many threads for what this thread asks of it, and leave all others alone.

    ``torch.set_num_threads`` decides for the whole process: for every thread that first asks torch for something after
    it, or just then, and no moment is safe to set it back. OpenMP keeps a number for each thread. Where a thread first
    asks, torch sets that, too, so it is asked first.
    """
    torch.get_num_threads()
    _openmp()(count)


@functools.cache
def _openmp() -> Callable[[int], None]:
    """Return what sets OpenMP's number of the thread that calls it; where torch has no OpenMP, torch's for all."""
    # Of the library that torch is linked with. To search all that are loaded can deadlock beside a thread that imports.
    found: Callable[[int], None] = getattr(ctypes.CDLL(torch._C.__file__), "omp_set_num_threads", torch.set_num_threads)
    return found


def portions(rows: Tensor, most: int, workers: int, fewest: int) -> list[Tensor]:
    """Split rows (N,) into batches of at most ``most``, alike in size and, if each gets ``fewest``, enough for all.

    >>> [len(part) for part in portions(torch.arange(10), 4, workers=2, fewest=2)]
    [3, 3, 2, 2]
    """
    if len(rows) == 0:
        return []
    needed = -(-len(rows) // most)
    shared = -(-needed // workers) * workers
    return list(rows.tensor_split(max(needed, min(shared, -(-len(rows) // fewest)))))
