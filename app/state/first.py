"""The first use of everything that is slow once, so that the first visitor does not wait for it."""

from __future__ import annotations

import contextlib

import torch

from app.state.models import load
from app.state.shelf import catalogue
from lsp_core.attacks import PGD
from lsp_core.data import load_dataset
from lsp_core.explain.saliency import attribute


def warm_up(favourite: str = "digits-cnn-standard") -> None:
    """Attack a blank image with one checkpoint, the ``favourite`` if it is there, and load its test images."""
    cards, _ = catalogue()
    name = favourite if favourite in cards else next(iter(cards), None)
    if name is None:
        return
    with contextlib.suppress(ValueError, OSError):  # the page says what is wrong with a checkpoint or a data set
        load_dataset(cards[name].dataset, "test")  # not by its cache, whose spinner wants a page to turn on
        loaded = load(name)
        blank = loaded.put(torch.zeros(1, *loaded.card.image_shape))
        label = loaded.put(torch.zeros(1, dtype=torch.int64))
        with loaded.lock:
            PGD(0.1, steps=1)(loaded.model, blank, label)
            attribute(loaded.model, blank, label)
