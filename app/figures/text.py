"""Text from a file, written so that Streamlit's Markdown shows it as it is."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    r"""Write a text on one line, so that Markdown takes none of its characters for markup.

    >>> print(plain("a_b *c*"))
    a\_b \*c\*
    """
    return re.sub(r"([^\w\s]|_)", r"\\\1", " ".join(text.split()))
