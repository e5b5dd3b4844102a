"""What a page would load or do for the first time, done in a thread while the port is open already.

Pages wait for its end: of two threads that import the same packages at once, one may find them half there. Once a page
waits, only what the first verdict needs is still loaded; the page loads the rest where it is used.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import pkgutil
import threading

_awaited = threading.Event()
_done = threading.Event()
_done.set()  # there is nothing to wait for unless somebody starts it


def start() -> None:
    """Begin, and return at once."""
    _done.clear()
    threading.Thread(target=_preload, name="preload", daemon=True).start()


def wait() -> None:
    """Return when all is loaded that a page cannot do without."""
    _awaited.set()
    _done.wait()


def waiting() -> bool:
    """Whether there is something to wait for."""
    return not _done.is_set()


def _preload() -> None:
    gc.disable()  # nothing that is imported is garbage yet, and to look through it takes a sixth of the time
    try:
        for name in _modules("app.panels"):
            importlib.import_module(name)
        for name in ("captum.attr", *_modules("app.figures"), *_modules("app.panels.measured"), "pandas", "pyarrow"):
            if _awaited.is_set():
                break
            importlib.import_module(name)
        else:
            _warm_up()
    finally:
        gc.freeze()  # what is loaded by now stays; to look it over at every collection would hold up pages and attacks
        gc.enable()
        _done.set()  # whatever is wrong, the page says it


def _modules(package: str) -> list[str]:
    """Import a package; return the names of its modules."""
    path = importlib.import_module(package).__path__
    return [module.name for module in pkgutil.iter_modules(path, f"{package}.")]


def _warm_up() -> None:
    """Attack a blank image with one checkpoint: torch, Captum and the data sets set much up at first use."""
    import torch

    from app.panels.pair import first_choice
    from app.state.images import reference_rows
    from app.state.models import load
    from app.state.shelf import catalogue
    from lsp_core.attacks import PGD
    from lsp_core.explain.saliency import attribute

    cards, _ = catalogue()
    if not cards:
        return
    name = first_choice(cards)
    with contextlib.suppress(ValueError, OSError):  # the page says what is wrong with a checkpoint or a data set
        reference_rows(cards[name].dataset)
        loaded = load(name)
        blank = loaded.put(torch.zeros(1, *loaded.card.image_shape))
        label = loaded.put(torch.zeros(1, dtype=torch.int64))
        with loaded.lock:
            PGD(0.1, steps=1)(loaded.model, blank, label)
            attribute(loaded.model, blank, label)
