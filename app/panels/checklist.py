"""An audit: chips and verdict on one line, which opens to the list of checks."""

from __future__ import annotations

from typing import Any

from app.state.audits import STATUSES, Audited
from lsp_core.audit import Check
from lsp_core.radius import show_eps

SIGNS = {"pass": "✓", "warn": "!", "fail": "✕"}
MOST_FIGURES = 8  # of one list


def checklist(audited: Audited | None) -> dict[str, Any] | None:
    """Return what the template ``audit`` draws of an audit: the worst first; None for none."""
    if audited is None:
        return None
    report = audited.report
    ordered = sorted(report.checks, key=lambda check: -STATUSES.index(check.status))
    low, high = report.accuracies["robust_interval"]
    counts = {status: len(report.named(status)) for status in STATUSES}
    return {
        "chips": [{"status": status, "sign": SIGNS[status], "count": count} for status, count in counts.items()],
        "verdict": report.verdict[:1].upper() + report.verdict[1:].removesuffix("."),
        "about": (
            f"{report.form} form on {report.n} test images of {audited.dataset}, {report.norm} {show_eps(report.eps)}, "
            f"seed {report.seed}{f', {audited.date}' if audited.date else ''}. Clean "
            f"{report.accuracies['clean_accuracy']:.1%}, worst case of all its white-box runs "
            f"{report.accuracies['robust_accuracy']:.1%} ({low:.1%} to {high:.1%})."
        ),
        "checks": [_item(check) for check in ordered],
        "left_out": "; ".join(f"{name} ({reason})" for name, reason in report.left_out),
    }


def _item(check: Check) -> dict[str, str]:
    figures = [f"{name.replace('_', ' ')} {_number(value)}" for name, value in check.figures.items()]
    words = {key: getattr(check, key) for key in ("name", "status", "evidence", "threshold", "source")}
    return {**words, "sign": SIGNS[check.status], "figures": ", ".join(figures)}


def _number(value: float | int | list[float] | list[int]) -> str:
    if isinstance(value, list):
        more = " …" if len(value) > MOST_FIGURES else ""
        return f"[{', '.join(f'{item:.4g}' for item in value[:MOST_FIGURES])}{more}]"
    return f"{value:.4g}"
