"""An audit: chips and verdict on one line, which opens to the list of checks."""

from __future__ import annotations

from typing import Any

from app.figures.evidence import curve
from lsp_core.audit import Audited, Check
from lsp_core.audit.report import STATUSES
from lsp_core.radius import show_eps

SIGNS = {"pass": "✓", "warn": "!", "fail": "✕"}
MOST_FIGURES = 8  # of one list


def checklist(audited: Audited | None) -> dict[str, Any] | None:
    """Return what the template ``audit`` draws of an audit: the gravest first; None for none."""
    if audited is None:
        return None
    ordered = sorted(audited.checks, key=lambda check: -STATUSES.index(check.status))
    low, high = audited.robust_interval
    return {
        "chips": [
            {"status": status, "sign": SIGNS[status], "count": len(audited.named(status))} for status in STATUSES
        ],
        "verdict": audited.verdict[:1].upper() + audited.verdict[1:].removesuffix("."),
        "about": (
            f"{audited.form} form on {audited.n} test images of {audited.dataset}, {audited.norm} "
            f"{show_eps(audited.eps)}, seed {audited.seed}, {audited.date}. Clean {audited.clean_accuracy:.1%}, worst "
            f"case of all its white-box runs {audited.robust_accuracy:.1%} ({low:.1%} to {high:.1%})."
        ),
        "checks": [_item(check) for check in ordered],
        "left_out": "; ".join(f"{name} ({reason})" for name, reason in audited.left_out.items()),
    }


def _item(check: Check) -> dict[str, Any]:
    drawn = curve(check)
    rest = {name: value for name, value in check.figures.items() if drawn is None or name not in drawn["drawn"]}
    figures = [f"{name.replace('_', ' ')} {_number(value)}" for name, value in rest.items()]
    words = {key: getattr(check, key) for key in ("name", "status", "evidence", "threshold", "source")}
    return {**words, "sign": SIGNS[check.status], "figures": ", ".join(figures), "curve": drawn}


def _number(value: float | int | list[float] | list[int]) -> str:
    if isinstance(value, list):
        more = " …" if len(value) > MOST_FIGURES else ""
        return f"[{', '.join(f'{item:.4g}' for item in value[:MOST_FIGURES])}{more}]"
    return f"{value:.4g}"
