"""What a page would load or do for the first time, done in a thread while the port is open already.

Pages wait for its end: of two threads that import the same packages at once, one may find them half there.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import pkgutil
import threading

FAVOURITE = "digits-cnn-standard"
LATE = ("captum.attr", "pandas", "pyarrow", "sklearn.datasets", "sklearn.model_selection")  # loaded where they are used
_done = threading.Event()
_done.set()  # there is nothing to wait for unless somebody starts it


def start() -> None:
    """Begin, and return at once."""
    _done.clear()
    threading.Thread(target=_preload, name="preload", daemon=True).start()


def wait() -> None:
    """Return when all is loaded."""
    _done.wait()


def waiting() -> bool:
    """Whether there is something to wait for."""
    return not _done.is_set()


def _preload() -> None:
    try:
        for package in ("app.panels", "app.figures"):
            path = importlib.import_module(package).__path__
            for module in pkgutil.iter_modules(path, f"{package}."):
                importlib.import_module(module.name)
        for name in LATE:
            importlib.import_module(name)
        _warm_up()
    finally:
        _done.set()  # whatever is wrong, the page says it
    gc.collect()
    gc.freeze()  # what is loaded by now stays; to look it over at every collection would hold up pages and attacks


def _warm_up() -> None:
    """Attack a blank image with one checkpoint: torch, Captum and the data sets set much up at first use."""
    import torch

    from app.state.models import load
    from app.state.shelf import catalogue
    from lsp_core.attacks import PGD
    from lsp_core.data import load_dataset
    from lsp_core.explain.saliency import attribute

    cards, _ = catalogue()
    if (name := FAVOURITE if FAVOURITE in cards else next(iter(cards), None)) is None:
        return
    with contextlib.suppress(ValueError, OSError):  # the page says what is wrong with a checkpoint or a data set
        load_dataset(cards[name].dataset, "test")  # not by its cache, whose spinner wants a page to turn on
        loaded = load(name)
        blank = loaded.put(torch.zeros(1, *loaded.card.image_shape))
        label = loaded.put(torch.zeros(1, dtype=torch.int64))
        with loaded.lock:
            PGD(0.1, steps=1)(loaded.model, blank, label)
            attribute(loaded.model, blank, label)
