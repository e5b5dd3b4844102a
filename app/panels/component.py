"""A part of a page that lives in the browser: its script and its style, in ``static``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

STATIC = Path(__file__).parent.parent / "static"


def component(name: str) -> Any:
    """Register ``static/NAME.js``, with ``static/NAME.css`` if there is one; it draws into ``<div class="NAME">``."""
    script, style = (STATIC / f"{name}.{kind}" for kind in ("js", "css"))
    return st.components.v2.component(
        f"lsp_lab_{name}",
        html=f'<div class="{name}"></div>',
        css=style.read_text(encoding="utf-8") if style.is_file() else None,
        js=script.read_text(encoding="utf-8"),
    )
