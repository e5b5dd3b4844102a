"""What lies in the folders of checkpoints: cards, evaluations and audits, read anew when a file there changes."""

from __future__ import annotations

import os
from collections.abc import Callable
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


def imported() -> Path:
    """Return the folder of models that were brought: $LSP_IMPORTED, else where the command ``import`` puts them."""
    return Path(os.environ.get("LSP_IMPORTED") or "imported")


def folders() -> tuple[Path, ...]:
    """Return both folders; of one name in both the first counts."""
    own, brought = folder(), imported()
    return (own,) if own.resolve() == brought.resolve() else (own, brought)


def path_of(name: str) -> Path:
    """Return where a checkpoint stands; one that stands nowhere would stand in the first folder."""
    paths = [place / f"{name}.safetensors" for place in folders()]
    return next((path for path in paths if os.path.lexists(path)), paths[0])


def catalogue() -> tuple[dict[str, Card], dict[str, str]]:
    """Return the cards of all checkpoints by name, and a sentence for each file that is none or that nobody sees."""
    cards: dict[str, Card] = {}
    problems: dict[str, str] = {}
    for place in folders():
        found, said = _catalogue(str(place), _states(place, "*.safetensors"))
        hidden = {name for name in (*found, *said) if path_of(name).parent != place}
        cards.update((name, card) for name, card in found.items() if name not in hidden)
        problems.update((name, problem) for name, problem in said.items() if name not in hidden)
        for name in sorted(hidden):
            problems[f"{place.name}/{name}"] = (
                f"{place.name}/{name}.safetensors is not shown, because {folder().name}/ has a checkpoint of that "
                "name: give it another."
            )
    return cards, problems


@st.cache_data(show_spinner=False, max_entries=4)
def _catalogue(place: str, states: States) -> tuple[dict[str, Card], dict[str, str]]:
    return list_checkpoints(place)


def evaluations() -> tuple[dict[str, tuple[Entry, ...]], list[str]]:
    """Return the evaluations of each checkpoint by its name, and a sentence for each file that holds none of it."""
    found, problems = _of_all(_evaluations, ".json")
    return {name: kept.evaluations for name, kept in found.items()}, problems


@st.cache_data(show_spinner=False, max_entries=4)
def _evaluations(place: str, states: States, weights: States) -> tuple[dict[str, Evaluations], list[str]]:
    return _beside(Evaluations, place, states, ".json", "evaluate it again")


def audits() -> tuple[dict[str, Audited], list[str]]:
    """Return the audit of each checkpoint by its name, and a sentence for each file that holds none of it."""
    return _of_all(_audits, AUDIT)


@st.cache_data(show_spinner=False, max_entries=4)
def _audits(place: str, states: States, weights: States) -> tuple[dict[str, Audited], list[str]]:
    return _beside(Audited, place, states, AUDIT, "audit it again")


def _of_all(
    reader: Callable[[str, States, States], tuple[dict[str, T], list[str]]], suffix: str
) -> tuple[dict[str, T], list[str]]:
    """Read the files of a kind in both folders, but for those of checkpoints that nobody sees."""
    found: dict[str, T] = {}
    problems: list[str] = []
    for place in folders():
        states = [state for state in _states(place, f"*{suffix}") if suffix == AUDIT or not state[0].endswith(AUDIT)]
        seen = tuple(state for state in states if path_of(state[0].removesuffix(suffix)).parent == place)
        some, said = reader(str(place), seen, _states(place, "*.safetensors"))
        found.update(some)
        problems.extend(said)
    return found, problems


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
    """Return which weights a checkpoint holds; "" if it is not there or damaged."""
    path = path_of(name)
    return _weights(str(path), modified(path))


@st.cache_data(show_spinner=False, max_entries=256)
def _weights(path: str, written: int) -> str:
    """Return which weights a checkpoint holds; "" if it is damaged, which the catalogue says."""
    try:
        return checkpoint_weights(path)
    except CheckpointError:
        return ""


def _states(place: Path, pattern: str) -> States:
    return tuple((path.name, modified(path)) for path in sorted(place.glob(pattern)))


def modified(path: Path) -> int:
    """Return when a file was last written, 0 if it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:  # a link to nothing, or a file that was just replaced
        return 0
