"""The cores, shared: what is worked out of two models runs side by side, a thread each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import streamlit as st
import torch
from threadpoolctl import ThreadpoolController

MODELS = 2  # side by side
MANY = 8  # threads at most, if several sessions want something at once
T = TypeVar("T")
R = TypeVar("R")


@st.cache_resource(show_spinner=False)
def attackers() -> ThreadPoolExecutor:
    """Return the two threads that attack, on a core each: on more of them a pass of one image takes no less time."""
    return ThreadPoolExecutor(MODELS, "attack", _on, (1,))


@st.cache_resource(show_spinner=False)
def helpers() -> ThreadPoolExecutor:
    """Return the threads for batches of images, for each such a share of the cores that two of them use all."""
    return ThreadPoolExecutor(MANY, "help", _on, (max(1, torch.get_num_threads() // MODELS),))


def side_by_side(pool: ThreadPoolExecutor, work: Callable[[T], R], both: Sequence[T]) -> list[R]:
    """Return what ``work`` makes of each, done at once and waited for.

    Raises:
        Exception: what ``work`` raised for the first for which it did, once all have ended.
    """
    begun = [pool.submit(work, one) for one in both]
    wait(begun)
    return [one.result() for one in begun]


def _on(cores: int) -> None:
    """Let torch use so many cores in this thread.

    Not by ``torch.set_num_threads``: that also decides for every thread that asks torch for the first time after it, or
    just then, and no moment is safe to set it back. OpenMP has a number for each thread; torch sets it where a thread
    first asks, which therefore comes first.
    """
    torch.get_num_threads()
    ThreadpoolController().select(user_api="openmp").limit(limits=cores)
