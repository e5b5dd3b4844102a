"""Two models at once: what a page waits for, and what it does not wait for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import streamlit as st
import torch

from lsp_core.workers import side_by_side, take_threads

MODELS = 2
MOST = 8  # threads, if several sessions want something at once
T = TypeVar("T")
R = TypeVar("R")
quiet = threading.Event()  # while no attack runs that somebody waits for
quiet.set()


@contextlib.contextmanager
def urgent() -> Iterator[None]:
    """Let what nobody waits for wait. One at a time."""
    quiet.clear()
    try:
        yield
    finally:
        quiet.set()


def both(work: Callable[[T], R], pair: Sequence[T]) -> list[R]:
    """Return what ``work`` makes of what belongs to each of two models, at once and on a core each."""
    return list(side_by_side(work, pair, MODELS, lambda: None))


@st.cache_resource(show_spinner=False)
def helpers() -> ThreadPoolExecutor:
    """Return threads for batches of images, of which two, one a model, use all cores."""
    return ThreadPoolExecutor(MOST, "help", take_threads, (max(1, torch.get_num_threads() // MODELS),))


@st.cache_resource(show_spinner=False)
def surveyors() -> ThreadPoolExecutor:
    """Return threads for what nobody waits for, one a model: they take none from those who do."""
    return ThreadPoolExecutor(MODELS, "survey", take_threads, (max(1, torch.get_num_threads() // MODELS),))
