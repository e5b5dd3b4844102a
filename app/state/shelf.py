"""What lies in the folder of checkpoints: cards, evaluations and audits, read anew when a file there changes."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from app.state.audits import SUFFIX, Audited, AuditError, read_audit
from app.state.shipped import shipped
from lsp_core import Card, CheckpointError
from lsp_core.evaluation.entry import Entry
from lsp_core.evaluation.records import Evaluations
from lsp_core.store.checkpoint import checkpoint_weights, list_checkpoints
from lsp_core.store.files import sha256
from lsp_core.store.schema import SchemaError, read


def folder() -> Path:
    """Return the folder of checkpoints: $LSP_CHECKPOINTS, else the shipped one."""
    return Path(os.environ.get("LSP_CHECKPOINTS") or shipped("checkpoints", "checkpoints"))


def catalogue() -> tuple[dict[str, Card], dict[str, str]]:
    """Return the cards of all checkpoints by name, and a sentence for each file that is none."""
    return _catalogue(str(folder()), _states("*.safetensors"))


def _states(pattern: str) -> tuple[tuple[str, int], ...]:
    """Return name and time of each file: what changes when the folder does."""
    return tuple((path.name, modified(path)) for path in sorted(folder().glob(pattern)))


def modified(path: Path) -> int:
    """Return when a file was last written, 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:  # a link to nothing, or a file that was just replaced
        return 0


@st.cache_data(show_spinner=False, max_entries=4)
def _catalogue(place: str, states: tuple[tuple[str, int], ...]) -> tuple[dict[str, Card], dict[str, str]]:
    return list_checkpoints(place)


@st.cache_data(show_spinner=False, max_entries=256)
def _weights(path: str, written: int) -> str:
    """Return which weights a checkpoint holds; "" if it is damaged, which the catalogue says."""
    try:
        return checkpoint_weights(path)
    except CheckpointError:
        return ""


def evaluations() -> tuple[dict[str, tuple[Entry, ...]], list[str]]:
    """Return the evaluations beside the checkpoints by name, and a sentence for each file that holds none."""
    states = tuple(state for state in _states("*.json") if not state[0].endswith(SUFFIX))
    return _evaluations(str(folder()), states, _states("*.safetensors"))


@st.cache_data(show_spinner=False, max_entries=4)
def _evaluations(
    place: str, states: tuple[tuple[str, int], ...], weights_states: tuple[tuple[str, int], ...]
) -> tuple[dict[str, tuple[Entry, ...]], list[str]]:
    found: dict[str, tuple[Entry, ...]] = {}
    problems = []
    for name, _ in states:
        path = Path(place) / name
        weights = path.with_suffix(".safetensors")
        try:
            kept = read(Evaluations, path)
        except SchemaError as error:
            problems.append(str(error))
            continue
        if weights.is_file() and kept.weights != _weights(str(weights), modified(weights)):
            problems.append(f"{name} was measured on other weights than {weights.name} holds: evaluate it again.")
            continue
        found[path.stem] = kept.evaluations
    return found, problems


def audits() -> tuple[dict[str, Audited], list[str]]:
    """Return the audits beside the checkpoints by name, and a sentence for each file that holds none of its weights."""
    return _audits(str(folder()), _states(f"*{SUFFIX}"), _states("*.safetensors"))


@st.cache_data(show_spinner=False, max_entries=4)
def _audits(
    place: str, states: tuple[tuple[str, int], ...], weights_states: tuple[tuple[str, int], ...]
) -> tuple[dict[str, Audited], list[str]]:
    found: dict[str, Audited] = {}
    problems = []
    for file, _ in states:
        name = file.removesuffix(SUFFIX)
        weights = Path(place) / f"{name}.safetensors"
        if not weights.is_file():
            continue  # nothing is shown that it could speak of
        try:
            audited = read_audit(Path(place) / file)
            if audited.sha256 != sha256(weights):
                problems.append(f"{file} is an audit of other weights than {weights.name} holds: audit it again.")
                continue
            found[name] = audited
        except AuditError as error:
            problems.append(str(error))
    return found, problems
