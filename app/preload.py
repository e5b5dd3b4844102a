"""What a page would load or do for the first time, done before the first visitor comes."""

from __future__ import annotations

import contextlib
import gc
import importlib
import pkgutil

FAVOURITE = "digits-cnn-standard"
LATE = ("pandas", "pyarrow")  # Streamlit loads them when it draws its first table


def preload() -> None:
    """Load all that pages need and use it once; who opens a page meanwhile waits for no more than is missing."""
    for package in ("app.panels", "app.figures"):
        path = importlib.import_module(package).__path__
        for module in pkgutil.iter_modules(path, f"{package}."):
            importlib.import_module(module.name)
    warm_up()
    for name in LATE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is loaded by now stays; to look it over at every collection would hold up pages and attacks


def warm_up() -> None:
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
