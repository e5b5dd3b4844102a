"""What is shipped with the code: the checkpoints, and Streamlit's settings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

APP = Path(__file__).parent.parent


def shipped(inside: str, beside: str) -> Path:
    """Return a shipped folder: ``inside`` the package once it is installed, else ``beside`` it in the source tree."""
    place = APP / inside
    return place if place.is_dir() else APP.parent / beside


def settings() -> dict[str, object]:
    """Return Streamlit's settings by full name, ``theme.light.textColor`` for one, wherever the app is started."""
    with open(shipped("settings", ".streamlit") / "config.toml", "rb") as file:
        return dict(_flat(tomllib.load(file)))


def _flat(table: dict[str, object], path: str = "") -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
