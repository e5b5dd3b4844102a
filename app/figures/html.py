"""HTML from templates, where every value is text: whatever a card or a file says, none of it becomes markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lsp_core.radius import show_eps

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["eps"] = show_eps
_TEMPLATES.filters["percent"] = "{:.1%}".format


def render(template: str, **values: Any) -> str:
    """Fill a template, of whose file name ``.html`` is left out.

    Draw what comes back with ``st.html``, not with ``st.markdown``: a blank line in a value would end the HTML there.

    Raises:
        UndefinedError: if a value is missing.
    """
    return _TEMPLATES.get_template(f"{template}.html").render(**values)
