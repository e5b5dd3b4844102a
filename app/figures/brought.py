"""What was found out of a model that was brought from outside."""

from __future__ import annotations

from typing import Any

from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.store.origin import Origin

SIGNS = {"pass": "✓", "fail": "✕"}


def tried_rows(origin: Origin) -> list[dict[str, str | float | int]]:
    """Return a line for each preparation of images that was tried, the best first; accuracies are percent."""
    rows: list[dict[str, str | float | int]] = []
    for one in sorted(origin.tried, key=lambda one: -one.right):
        low, high = wilson_interval(one.right, one.n)
        interval = f"{100 * low:.1f} to {100 * high:.1f}"
        rows.append({"preprocessing": one.name, "right": 100 * one.right / one.n, "95 %": interval, "n": one.n})
    return rows


def brought(origin: Origin) -> dict[str, Any]:
    """Return what the template ``brought`` draws: where it came from, and the checks, those that failed first."""
    facts = [
        ("file", origin.file),
        ("sha256", origin.sha256),
        ("written by", origin.producer),
        ("preprocessing", f"{origin.preparation}, channels {origin.order}, axes {origin.layout}"),
        ("batches", {"whole": "whole", "mapped": "whole, mapped", "single": "image by image"}[origin.batch]),
        ("softmax", "cut off" if origin.softmax else "none"),
        ("embedding", "what feeds the last linear layer" if origin.embedding else "its logits"),
    ]
    checks = sorted(origin.checks, key=lambda check: check.passed)
    return {
        "facts": [(name, value) for name, value in facts if value],
        "checks": [
            {"name": one.name, "status": status, "sign": SIGNS[status], "evidence": one.evidence}
            for one in checks
            for status in ["pass" if one.passed else "fail"]
        ],
    }
