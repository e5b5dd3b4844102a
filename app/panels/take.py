"""Take a chart or a table away: small buttons that make the file only once somebody wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from altair import TopLevelMixin


def take_away(name: str, chart: TopLevelMixin | None = None, rows: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Draw a button for each format: SVG and PNG of a chart, CSV of a table. ``name`` is that of the files."""
    from app.figures import export  # it needs Altair, which the first page is drawn without

    made: dict[str, tuple[Callable[[], bytes], str]] = {}
    if chart is not None:
        made["svg"] = partial(export.svg, chart), "image/svg+xml"
        made["png"] = partial(export.png, chart), "image/png"
    if rows:
        made["csv"] = partial(export.comma_separated, rows), "text/csv"
    with st.container(key=f"take-{name}", horizontal=True, gap="xxsmall"):
        for suffix, (make, mime) in made.items():
            st.download_button(
                suffix.upper(),
                make,
                f"lsp-{name}.{suffix}",
                mime,
                key=f"{suffix}-{name}",
                help=f"Take this away as {suffix.upper()}",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
            )
