"""Charts and tables as files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from altair import TopLevelMixin

WIDTH = 640  # of a chart that has none of its own, in pixels
SHARP = 2  # pixels of a PNG to one of the chart's
FORMULA = re.compile(r"[=@\t\r]|[-+](?![\d.])")  # at the beginning of a cell a spreadsheet would work it out


def svg(chart: TopLevelMixin) -> bytes:
    """Draw a chart as SVG, without a browser."""
    drawn = io.StringIO()
    _wide(chart).save(drawn, format="svg")
    return drawn.getvalue().encode()


def png(chart: TopLevelMixin) -> bytes:
    """Draw a chart as PNG, without a browser."""
    drawn = io.BytesIO()
    _wide(chart).save(drawn, format="png", scale_factor=SHARP)
    return drawn.getvalue()


def _wide(chart: Any) -> Any:
    return chart.properties(width=WIDTH)


def comma_separated(rows: Sequence[Mapping[str, Any]]) -> bytes:
    r"""Write rows as CSV in UTF-8, under the names of the first; lists have spaces between their items.

    >>> comma_separated([{"name": "a,b", "curve": [1, 2]}, {"name": "=1+1", "curve": []}])
    b'name,curve\r\n"a,b",1 2\r\n\'=1+1,\r\n'
    """
    written = io.StringIO(newline="")
    table = csv.writer(written)
    if rows:
        table.writerow([_cell(name) for name in rows[0]])
    table.writerows([[_cell(row[name]) for name in rows[0]] for row in rows])
    return written.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value
