"""The table of contents of a page in Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

HEADING = re.compile(r"(#+) (.+)")


def contents(page: Iterable[str]) -> list[str]:
    """Return the headings of the second and third level as a list of links, by the anchors that GitHub gives them.

    >>> contents(["# Page", "## One", "### A, *b*", "text", "## Two", "### A, *b*"])
    ['- [One](#one): [A, *b*](#a-b)', '- [Two](#two): [A, *b*](#a-b-1)']
    """
    chapters: list[list[str]] = []
    seen: Counter[str] = Counter()
    for marks, title in (match.groups() for text in page if (match := HEADING.fullmatch(text))):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        link = f"[{title}](#{slug}-{seen[slug]})" if seen[slug] else f"[{title}](#{slug})"
        seen[slug] += 1
        if len(marks) == 2:
            chapters.append([link])
        elif len(marks) == 3 and chapters:
            chapters[-1].append(link)
    return [f"- {first}{': ' if rest else ''}{', '.join(rest)}" for first, *rest in chapters]
