"""Loaded checkpoints, kept between reruns and shared between sessions."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st
from torch import Tensor

from app.state.shelf import modified, path_of
from app.state.turns import Turns
from lsp_core import Card, load_checkpoint
from lsp_core.device import pick_device
from lsp_core.types import Classifier


@dataclass(frozen=True)
class LoadedModel:
    """A loaded checkpoint. Hold ``lock`` around every use of ``model``: Captum's hooks change it while they run.

    ``digest`` tells files apart, also two that were one after the other under one name.
    """

    name: str
    digest: str
    model: Classifier
    card: Card
    lock: Turns = field(default_factory=Turns)

    def put(self, tensor: Tensor) -> Tensor:
        """Return the tensor where the model lies, which may be a GPU."""
        return tensor.to(self.model.head.weight.device)


def load(name: str) -> LoadedModel:
    """Load a checkpoint; a file that was replaced is loaded anew.

    Raises:
        ValueError: if it is none, or $LSP_DEVICE names a device that is not here.
    """
    path = path_of(name)
    return _load(str(path), modified(path), pick_device(os.environ.get("LSP_DEVICE") or "auto"))


@st.cache_resource(show_spinner=False, max_entries=16)
def _load(path: str, written: int, device: str) -> LoadedModel:
    model, card = load_checkpoint(path, device)
    digest = hashlib.sha256(f"{path} {written}".encode()).hexdigest()[:16]
    return LoadedModel(Path(path).stem, digest, model, card)
