"""The curves in the evidence of an audit's checks: accuracy against steps, restarts, radius."""

from __future__ import annotations

from typing import Any

from lsp_core.audit import Check

ACROSS = "accuracy"  # the list of figures that is drawn against another


def curve(check: Check) -> dict[str, Any] | None:
    """Return what the template draws of a check's lists; None where there are not two of one length to draw.

    The points stand side by side at equal distances, whatever lies between them: radii and steps are chosen by ratios.
    """
    lists = {name: value for name, value in check.figures.items() if isinstance(value, list)}
    shares = lists.pop(ACROSS, [])
    over = next((name for name, value in lists.items() if len(value) == len(shares)), None)
    if over is None or len(shares) < 2 or not all(0 <= share <= 1 for share in shares):
        return None
    points = [
        {"share": f"{100 * share:.2f}", "x": f"{x:.3g}", "y": f"{share:.1%}"}
        for x, share in zip(lists[over], shares, strict=True)
    ]
    return {"over": over.replace("_", " "), "drawn": (over, ACROSS), "points": points}
