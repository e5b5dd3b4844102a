"""The page of a study, written from the results alone: the same results give the same page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lsp_core.attacks.describe import label
from lsp_core.attacks.table import kind, rank
from lsp_core.store.files import replacing
from lsp_core.study.agenda import crafted_by
from lsp_core.study.lead import called, is_evidence
from lsp_core.study.page.canvas import available
from lsp_core.study.page.cells import cell, line
from lsp_core.study.page.chapter import Chapter
from lsp_core.study.preset import parse_preset
from lsp_core.study.result import read_results
from lsp_core.training import OBJECTIVES, TrainConfig
from lsp_core.training.log import validation_attack
from lsp_core.types import Record

TEMPLATES = Path(__file__).parent / "templates"
BESIDE = {"../docs/method.md": "What it means", "bench.md": "What it costs"}  # pages that belong to this one
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
PLOT = re.compile(r"^!\[[^\]]*\]\(plots/([^/)]+\.svg)\)$", re.MULTILINE)


def write_report(out: Path) -> Path | None:
    """Write ``README.md`` and ``plots/*.svg`` of all presets that have a folder in ``out``.

    Plots that the page showed before, and does not show now, are removed.

    Returns:
        The path of the page; None if jinja2, which writes it, is not there.

    Raises:
        ValueError: naming the file, if a preset or a result cannot be read.
    """
    if find_spec("jinja2") is None:
        return None
    chapters = []
    for path in sorted(out.glob("*/preset.toml")):
        preset = parse_preset(path.parent.name, path.read_text(encoding="utf-8"))
        chapters.append(Chapter.of(preset, read_results(preset.runs(), path.parent), out))
    beside = {name: title for name, title in BESIDE.items() if (out / name).is_file()}
    page, text = (
        out / "README.md",
        render_page("page.md.jinja", {"chapters": chapters, "beside": beside, **_notation(chapters)}),
    )
    before = set(PLOT.findall(page.read_text(encoding="utf-8", errors="replace"))) if page.is_file() else set()
    with replacing(page) as partial:
        partial.write_text(text, encoding="utf-8")
    for name in (
        before - set(PLOT.findall(text)) if available() else ()
    ):  # of a grid that is gone; undrawable plots stay
        (out / "plots" / name).unlink(missing_ok=True)
    return page


def render_page(template: str, content: Record) -> str:
    """Fill a template of Markdown; ``contents`` is a function there, of a text to the list of its headings.

    Raises:
        ValueError: if jinja2, which does it, is not there.
    """
    if find_spec("jinja2") is None:
        raise ValueError("a page needs the library jinja2: pip install jinja2.")
    import jinja2

    loader = jinja2.FileSystemLoader(TEMPLATES)
    settings: Record = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    pages = jinja2.Environment(loader=loader, autoescape=False, **settings)  # Markdown; ``cell`` escapes in tables
    pages.filters.update({"cell": cell, "line": line, "flow": _flow})
    text = pages.get_template(template).render(content, contents=contents)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _notation(chapters: Sequence[Chapter]) -> Record:
    """Return what the words on the page stand for, as far as it is not always the same."""
    results = [result for chapter in chapters for result in chapter.results]
    entries = {(entry.name, called(entry), entry.label) for result in results for entry in result.evaluations}
    known = {name: kind(name) for name, _, _ in entries}
    return {
        "crafted_by": crafted_by(),
        "validated_by": label(validation_attack(TrainConfig("digits", "cnn"))),
        "plain": [name for name, objective in OBJECTIVES.items() if not objective(1, 0.0).crafts],
        "evidence": [
            (shown, whole, own.about)
            for name in sorted(filter(is_evidence, known), key=rank)
            for entry_name, shown, whole in sorted(entries)
            if entry_name == name and (own := known[name])
        ],
        "drawn": available(),
    }


def _flow(text: str) -> str:
    """Write each paragraph on one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")) + "\n"


def contents(top: str, below: str) -> str:
    r"""Return the headings of ``below``, of the second and third level, as a list of links by GitHub's anchors.

    >>> print(contents("# Page", "## One\n### A, *b*\ntext\n## Two\n### A, *b*"))
    - [One](#one): [A, *b*](#a-b)
    - [Two](#two): [A, *b*](#a-b-1)
    """
    chapters: list[list[str]] = []
    seen: Counter[str] = Counter()
    for text in (top, below):
        for marks, title in HEADING.findall(text):
            slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            link = f"[{title}](#{slug}-{seen[slug]})" if seen[slug] else f"[{title}](#{slug})"
            seen[slug] += 1
            if text is below and len(marks) == 2:
                chapters.append([link])
            elif text is below and len(marks) == 3 and chapters:
                chapters[-1].append(link)
    return "\n".join(f"- {first}{': ' if rest else ''}{', '.join(rest)}" for first, *rest in chapters)
