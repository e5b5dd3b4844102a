"""One control for each setting that an attack may take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import streamlit as st

from lsp_core.attacks.losses import LOSSES
from lsp_core.attacks.table import Kind
from lsp_core.radius import parse_eps

Control = Callable[[Kind], Any]  # draws; returns the value, None for the attack's own


def usual(kind: Kind, name: str) -> Any:
    """Return what an attack does where nobody says otherwise."""
    return kind.usual.get(name, inspect.signature(kind.build).parameters[name].default)


RANGES = {
    "steps": (1, 500),
    "restarts": (1, 20),
    "targets": (0, 9),
    "queries": (1, 5000),
    "draws": (1, 500),
    "seed": (0, 2**31 - 1),
}  # of the whole numbers


def whole(title: str, name: str) -> Control:
    """Return a control for a whole number."""
    low, high = RANGES[name]

    def draw(kind: Kind) -> int:
        value = usual(kind, name) if name != "seed" else 0
        key = f"own-{name}"
        st.session_state.setdefault(key, min(max(value, low), high))
        return int(st.number_input(title, low, high, key=key, persist_state="session"))

    return draw


def _loss(kind: Kind) -> str:
    st.session_state.setdefault("own-loss", usual(kind, "loss"))
    chosen: str = st.selectbox("Loss", list(LOSSES), key="own-loss", persist_state="session")
    return chosen


def _alpha(_: Kind) -> float | None:
    """An empty field is the attack's own step; "2/255" is as good as 0.0078."""
    text = st.text_input(
        "Step size", key="own-alpha", placeholder="2.5 eps / steps", help="0.01, or 2/255", persist_state="session"
    )
    if not text.strip():
        return None
    try:
        return parse_eps(text)
    except ValueError:
        st.caption("The step size must be a number such as 0.01 or 2/255; the attack's own stands in.")
        return None


def _random_start(_: Kind) -> bool:
    st.session_state.setdefault("own-random-start", True)
    return st.toggle("Random start", key="own-random-start", persist_state="session")


def _momentum(_: Kind) -> float:
    return st.slider("Momentum", 0.0, 1.0, step=0.05, key="own-momentum", persist_state="session")


# By the name of the setting, in the order in which they are drawn.
CONTROLS: dict[str, Control] = {
    "steps": whole("Steps", "steps"),
    "alpha": _alpha,
    "restarts": whole("Restarts", "restarts"),
    "loss": _loss,
    "targets": whole("Targets, 0 for none", "targets"),
    "queries": whole("Queries", "queries"),
    "draws": whole("Draws", "draws"),
    "random_start": _random_start,
    "momentum": _momentum,
    "seed": whole("Seed", "seed"),
}
