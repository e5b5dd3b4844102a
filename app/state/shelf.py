"""What lies in the folder of checkpoints: cards, evaluations and audits, read anew when a file there changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import streamlit as st

from app.state.shipped import shipped
from lsp_core import Card, CheckpointError
from lsp_core.audit import Audited
from lsp_core.evaluation.entry import Entry
from lsp_core.evaluation.records import Evaluations
from lsp_core.store.checkpoint import checkpoint_weights, list_checkpoints
from lsp_core.store.schema import SchemaError, read

AUDIT = ".audit.json"
States = tuple[tuple[str, int], ...]  # name and time of each file: what changes when the folder does
T = TypeVar("T", Audited, Evaluations)


def folder() -> Path:
    """Return the folder of checkpoints: $LSP_CHECKPOINTS, else the shipped one."""
    return Path(os.environ.get("LSP_CHECKPOINTS") or shipped("checkpoints", "checkpoints"))


def catalogue() -> tuple[dict[str, Card], dict[str, str]]:
    """Return the cards of all checkpoints by name, and a sentence for each file that is none."""
    return _catalogue(str(folder()), _states("*.safetensors"))


@st.cache_data(show_spinner=False, max_entries=4)
def _catalogue(place: str, states: States) -> tuple[dict[str, Card], dict[str, str]]:
    return list_checkpoints(place)


def evaluations() -> tuple[dict[str, tuple[Entry, ...]], list[str]]:
    """Return the evaluations of each checkpoint by its name, and a sentence for each file that holds none of it."""
    states = tuple(state for state in _states("*.json") if not state[0].endswith(AUDIT))
    found, problems = _evaluations(str(folder()), states, _states("*.safetensors"))
    return {name: kept.evaluations for name, kept in found.items()}, problems


@st.cache_data(show_spinner=False, max_entries=4)
def _evaluations(place: str, states: States, weights: States) -> tuple[dict[str, Evaluations], list[str]]:
    return _beside(Evaluations, place, states, ".json", "evaluate it again")


def audits() -> tuple[dict[str, Audited], list[str]]:
    """Return the audit of each checkpoint by its name, and a sentence for each file that holds none of it."""
    return _audits(str(folder()), _states(f"*{AUDIT}"), _states("*.safetensors"))


@st.cache_data(show_spinner=False, max_entries=4)
def _audits(place: str, states: States, weights: States) -> tuple[dict[str, Audited], list[str]]:
    return _beside(Audited, place, states, AUDIT, "audit it again")


def _beside(kind: type[T], place: str, states: States, suffix: str, cure: str) -> tuple[dict[str, T], list[str]]:
    """Read the files that belong to a checkpoint each; a file without a checkpoint has nothing to speak of."""
    found: dict[str, T] = {}
    problems = []
    for file, _ in states:
        name = file.removesuffix(suffix)
        weights = Path(place) / f"{name}.safetensors"
        if not weights.is_file():
            continue
        try:
            kept = read(kind, Path(place) / file)
        except SchemaError as error:
            problems.append(str(error))
            continue
        if kept.weights == _weights(str(weights), modified(weights)):
            found[name] = kept
        else:
            problems.append(f"{file} speaks of other weights than {weights.name} holds: {cure}.")
    return found, problems


def weights_of(name: str) -> str:
    """Return which weights a checkpoint of the folder holds; "" if it is not there or damaged."""
    path = folder() / f"{name}.safetensors"
    return _weights(str(path), modified(path))


@st.cache_data(show_spinner=False, max_entries=256)
def _weights(path: str, written: int) -> str:
    """Return which weights a checkpoint holds; "" if it is damaged, which the catalogue says."""
    try:
        return checkpoint_weights(path)
    except CheckpointError:
        return ""


def _states(pattern: str) -> States:
    return tuple((path.name, modified(path)) for path in sorted(folder().glob(pattern)))


def modified(path: Path) -> int:
    """Return when a file was last written, 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:  # a link to nothing, or a file that was just replaced
        return 0
