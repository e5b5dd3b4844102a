"""What stands under a key of a record, if it is what it should be; every error names the key and what is valid."""

from __future__ import annotations

from typing import Any

from lsp_core.types import Record

LARGEST = 1e9  # no number of a study is larger
TOLERANCE = 1e-6


def table(record: Record, key: str) -> Record:
    """Return a table, {} if there is none.

    Raises:
        ValueError: if it is something else.
    """
    return _table(found, key) if (found := record.get(key)) is not None else {}


def tables(record: Record, key: str) -> list[Record]:
    """Return a list of tables, [] if there is none.

    Raises:
        ValueError: if it is something else.
    """
    found = record.get(key)
    if found is not None and not isinstance(found, list):
        raise ValueError(f"{key} is {_show(found)}, but it must be a list")
    return [_table(each, f"an entry of {key}") for each in found or []]


def text(record: Record, key: str, default: str | None = None) -> str:
    """Return a text; ``default`` if there is none.

    Raises:
        ValueError: if it is something else, or it lacks and has no default.
    """
    found = _there(record, key) if default is None else record.get(key, default)
    if not isinstance(found, str):
        raise ValueError(f"{key} is {_show(found)}, but it must be a text")
    return found


def number(record: Record, key: str, high: float = LARGEST) -> float:
    """Return a finite number from 0 to ``high``.

    Raises:
        ValueError: if it is something else, or it lacks.
    """
    return _number(_there(record, key), key, high)


def fraction(record: Record, key: str) -> float:
    """Return a number from 0 to 1.

    Raises:
        ValueError: if it is something else, or it lacks.
    """
    return number(record, key, 1.0)


def count(record: Record, key: str, low: int = 1) -> int:
    """Return a whole number of at least ``low``.

    Raises:
        ValueError: if it is something else, or it lacks.
    """
    found = _there(record, key)
    if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= LARGEST:
        raise ValueError(f"{key} is {_show(found)}, but it must be a whole number from {low} to {LARGEST:g}")
    return found


def interval(record: Record, key: str, value: float) -> tuple[float, float]:
    """Return two fractions that have ``value`` between them.

    Raises:
        ValueError: if it is something else, or it lacks.
    """
    found = _there(record, key)
    if not isinstance(found, list) or len(found) != 2:
        raise ValueError(f"{key} is {_show(found)}, but it must be two numbers")
    low, high = (_number(bound, key, 1.0) for bound in found)
    if not low - TOLERANCE <= value <= high + TOLERANCE:
        raise ValueError(f"{key} is {low:g} to {high:g}, but {value:g} must lie between them")
    return low, high


def _there(record: Record, key: str) -> Any:
    if key not in record:
        raise ValueError(f"{key} is missing")
    return record[key]


def _table(found: Any, what: str) -> Record:
    if not isinstance(found, dict):
        raise ValueError(f"{what} is {_show(found)}, but it must be a table")
    return found


def _number(found: Any, key: str, high: float) -> float:
    if not isinstance(found, int | float) or isinstance(found, bool) or not -TOLERANCE <= found <= high + TOLERANCE:
        raise ValueError(f"{key} is {_show(found)}, but it must be a number from 0 to {high:g}")
    return min(max(float(found), 0.0), high)


def _show(found: Any) -> str:
    text = repr(found)
    return text if len(text) <= 40 else f"{text[:37]}..."
