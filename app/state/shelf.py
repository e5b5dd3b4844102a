"""What lies in the folder of checkpoints: cards, evaluations and audits, read anew when a file there changes."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from app.state.audits import SUFFIX, Audited, AuditError, read_audit
from app.state.shipped import shipped
from lsp_core import Card
from lsp_core.evaluation.records import Evaluations
from lsp_core.store.checkpoint import list_checkpoints
from lsp_core.store.files import sha256
from lsp_core.store.schema import SchemaError, read
from lsp_core.store.weights import weights_sha256
from lsp_core.training.objectives import OBJECTIVES
from lsp_core.types import Record


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
    cards, problems = list_checkpoints(place)
    for name, card in list(cards.items()):
        if not _is_drawable(card):
            del cards[name]
            problems[name] = (
                f"{Path(place) / name}.safetensors has a card that cannot be shown: values are missing or odd."
            )
    return cards, problems


def _is_drawable(card: Card) -> bool:
    """Whether the pages know what a card speaks of."""
    return card.objective in OBJECTIVES


def trained_eps(card: Card) -> float:
    """Return the radius a checkpoint was trained for and is opened at."""
    return card.eps


def evaluations() -> tuple[dict[str, list[Record]], list[str]]:
    """Return the evaluations beside the checkpoints by name, and a sentence for each file that holds none."""
    states = tuple(state for state in _states("*.json") if not state[0].endswith(SUFFIX))
    return _evaluations(str(folder()), states, _states("*.safetensors"))


@st.cache_data(show_spinner=False, max_entries=4)
def _evaluations(
    place: str, states: tuple[tuple[str, int], ...], weights_states: tuple[tuple[str, int], ...]
) -> tuple[dict[str, list[Record]], list[str]]:
    found: dict[str, list[Record]] = {}
    problems = []
    for name, _ in states:
        try:
            kept, weights = read(Evaluations, Path(place) / name), (Path(place) / name).with_suffix(".safetensors")
            if weights.is_file() and kept.weights != weights_sha256(weights):
                problems.append(f"{name} was measured on other weights than {weights.name} holds: evaluate it again.")
                continue
            found[Path(name).stem] = [entry.to_record() for entry in kept.evaluations]
        except SchemaError as error:
            problems.append(str(error))
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
