"""Audits as ``python -m lsp_core audit --json checkpoints/NAME.audit.json`` leaves them beside the checkpoints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_core.audit import Check, Report
from lsp_core.audit.report import SCHEMA, Status
from lsp_core.types import Record

SUFFIX = ".audit.json"
STATUSES: tuple[Status, ...] = ("pass", "warn", "fail")
FIELDS = ("n", "seed", "eps", "norm", "form", "batch_size", "seconds")


class AuditError(ValueError):
    """A JSON file that holds no audit; the message is one sentence."""


@dataclass(frozen=True)
class Audited:
    """An audit, and what it is of: the ``sha256`` of the weights, the data set, the day."""

    report: Report
    sha256: str
    dataset: str
    date: str


def read_audit(path: str | Path) -> Audited:
    """Read an audit; its verdict is told from its checks, whatever the file says.

    Raises:
        AuditError: if it is no such file.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            raise AuditError(f"{path} has another schema than {SCHEMA}.")
        if not isinstance(found.get("sha256"), str):
            raise AuditError(f"{path} does not say which weights it is of: make it with `python -m lsp_core audit`.")
        return Audited(_report(found), found["sha256"], str(found.get("dataset", "")), str(found.get("date", "")))
    except AuditError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise AuditError(f"{path} is no audit: {type(error).__name__}.") from error


def _report(found: Record) -> Report:
    checks = tuple(_check(entry) for entry in found["checks"])
    if not checks:
        raise ValueError("no checks")
    accuracies = {name: float(found[name]) for name in ("clean_accuracy", "robust_accuracy")}
    low, high = found["robust_interval"]
    return Report(
        checks,
        tuple((str(entry["name"]), str(entry["reason"])) for entry in found["left_out"]),
        **{
            field: _as(kind, found[field])
            for field, kind in zip(FIELDS, (int, int, float, str, str, int, float), strict=True)
        },
        accuracies={**accuracies, "robust_interval": [float(low), float(high)]},
    )


def _as(kind: type, value: Any) -> Any:
    if isinstance(value, bool) or (kind is str) != isinstance(value, str):
        raise TypeError("a value of another kind")
    return kind(value)


def _check(entry: Record) -> Check:
    words = {key: _as(str, entry[key]) for key in ("name", "evidence", "threshold", "source")}
    if entry["status"] not in STATUSES:
        raise ValueError("an unknown status")
    figures = entry.get("figures", {})
    return Check(**words, status=entry["status"], figures={str(key): _figure(value) for key, value in figures.items()})


def _figure(value: Any) -> Any:
    return [float(item) for item in value] if isinstance(value, list) else float(value)
