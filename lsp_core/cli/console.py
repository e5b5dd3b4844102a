"""The one console that prints."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text


def plain(text: str) -> str:
    r"""Return a text without control characters, which would be commands to a terminal.

    >>> plain("a\x1b[31mb")
    'a [31mb'
    """
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)


class PlainConsole(Console):
    """Prints texts as they stand: they may come from a file that nobody vouches for."""

    def render_str(self, text: str, **settings: Any) -> Text:
        """Return a text to print."""
        return super().render_str(plain(text), **settings)


console = PlainConsole(markup=False, emoji=False)
