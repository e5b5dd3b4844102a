"""Text from a file, written so that Streamlit's Markdown shows it as it is."""

from __future__ import annotations

import re

# Streamlit makes arrows and dashes of the first and links of the others even where every character is escaped. What
# keeps them apart has no width.
JOINER = "\u2060"
RUNS = re.compile(r"(?<=[-<>=~])(?=[-<>=~])|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=@)(?=\w)", re.IGNORECASE)
MARKUP = re.compile(r"([!-/:-@\[-`{-~])")  # the punctuation of ASCII: no other character can be escaped
COMMANDS = re.compile(r"(`python -m lsp_core[-\w ./]*`)")


def plain(text: str) -> str:
    r"""Write a text on one line, so that Markdown takes none of its characters for markup.

    >>> print(plain("a_b *c*"))
    a\_b \*c\*
    """
    return _escaped(" ".join(text.split()))


def sentence(text: str) -> str:
    r"""Write one of our own sentences, in which there may be names from a file: commands stay commands.

    >>> print(sentence("*x* is not there: `python -m lsp_core info x --download` fetches it."))
    \*x\* is not there\: `python -m lsp_core info x --download` fetches it\.
    """
    parts = COMMANDS.split(" ".join(text.split()))
    return "".join(part if place % 2 else _escaped(part) for place, part in enumerate(parts))


def _escaped(line: str) -> str:
    return MARKUP.sub(r"\\\1", RUNS.sub(JOINER, line))
