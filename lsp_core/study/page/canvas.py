"""What the plots of a study share. They are dark on white, so that they read the same on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lsp_core.store.files import replacing
from lsp_core.study.comparison import BASELINE, TWIN

# altair is imported where something is drawn: a machine that only trains need not have it.
COLOURS = {BASELINE: "#D0702F", TWIN: "#3D8BD4"}  # as in the app
OTHERS = ("#7A5BA6", "#3F8F5B", "#B8487F", "#707070", "#A08A1F", "#2F8F96")
WIDTH, HEIGHT = 330, 300  # of a panel


def available() -> bool:
    """Whether what draws them is there."""
    return all(find_spec(name) for name in ("altair", "vl_convert"))


def colours(names: Sequence[str]) -> list[str]:
    """Return a colour for each name; the names that the app knows have the app's."""
    spare = [name for name in names if name not in COLOURS]
    others = {name: OTHERS[place % len(OTHERS)] for place, name in enumerate(spare)}
    return [{**COLOURS, **others}[name] for name in names]


def span(numbers: Sequence[int]) -> str:
    """Write numbers as "3" or "2 to 3"."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def save(panels: Sequence[Any], title: str, about: Sequence[str], path: Path, columns: int = 2) -> Path:
    """Draw charts side by side, so many a row, below a title and lines that say what they show; return ``path``."""
    import altair as alt

    ink = {"labelColor": "#222", "titleColor": "#222"}
    chart = alt.concat(
        *panels, columns=columns, title=alt.TitleParams(title, subtitle=list(about), offset=16, fontSize=16)
    )
    styled = (
        chart.configure(background="white", font="Helvetica, Arial, sans-serif", padding=14)
        .configure_axis(labelFontSize=12, titleFontSize=13, gridColor="#e4e4e4", labelFlush=False, **ink)
        .configure_legend(labelFontSize=12, titleFontSize=13, symbolSize=130, labelLimit=260, symbolOpacity=1, **ink)
        .configure_title(fontSize=14, subtitleFontSize=12.5, anchor="start", color="#222", subtitleColor="#444")
        .configure_view(stroke="#bbb")
    )
    with replacing(path) as partial:
        styled.save(str(partial), format="svg")
    return path
