"""Two checkpoints beside each other: only what differs."""

from __future__ import annotations

from collections.abc import Sequence

from app.figures.naming import short_name
from app.figures.pairs import difference
from app.figures.summary import percent
from lsp_core import Card
from lsp_core.attacks.table import rank
from lsp_core.evaluation.entry import Entry
from lsp_core.radius import show_eps
from lsp_core.types import Record

FACTS = ("model", "dataset", "objective", "image_shape", "classes", "mean", "std", "seed", "epoch", "date", "command")
NONE = "–"  # where a setting is not there
Row = dict[str, str | int | float | None]


def settings_apart(first: Card, second: Card) -> list[tuple[str, str, str]]:
    """Return the settings that two cards differ in, each with both values as text."""
    one, other = _settings(first), _settings(second)
    rows = [(key, one.get(key, NONE), other.get(key, NONE)) for key in dict.fromkeys([*one, *other])]
    return [row for row in rows if row[1] != row[2]]


def _settings(card: Card) -> dict[str, str]:
    facts = {key: getattr(card, key) for key in FACTS}
    config = {key: value for key, value in card.config.items() if key not in ("history", "lsp", *FACTS)}
    return _flat({**facts, "lsp": card.lsp or {}, **config, "versions": card.versions})


def _flat(record: Record, before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = _shown(key, value)
    return found


def _shown(key: str, value: object) -> str:
    if key == "eps" and isinstance(value, float):
        return show_eps(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def figures_apart(first: Sequence[Entry], second: Sequence[Entry]) -> list[Row]:
    """Return a row for each attack that was run on both: accuracies in percent, and the second's lead in points.

    The strongest attack comes first. Of several choices of images the pair that shares the most counts; the interval is
    paired, image by image, and "" where the images are not the same.
    """
    rows: dict[tuple[str, str, float, str], tuple[int, Row]] = {}
    for one in first:
        for other in second:
            if _what(one) != _what(other):
                continue
            lead = difference(other, one)
            if _what(one) not in rows or lead.n > rows[_what(one)][0]:
                rows[_what(one)] = (lead.n, _row(one, other))
    ordered = sorted(rows, key=lambda what: (-rank(what[0]), what[1], what[2], what[3]))
    return [rows[what][1] for what in ordered]


def _what(entry: Entry) -> tuple[str, str, float, str]:
    return entry.name, entry.norm, entry.eps, entry.label


def _row(one: Entry, other: Entry) -> Row:
    lead = difference(other, one)
    low, high = lead.interval or (0.0, 0.0)
    return {
        "attack": short_name(one),
        "eps": f"{one.norm} {show_eps(one.eps)}",
        "first": percent(one.robust_accuracy),
        "second": percent(other.robust_accuracy),
        "second ahead by": percent(lead.gained),
        "paired 95 %": f"{100 * low:+.1f} to {100 * high:+.1f}" if lead.interval else "",
        "n": lead.n or None,
    }
