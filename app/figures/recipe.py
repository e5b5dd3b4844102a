"""The settings of LSP that a checkpoint was trained with, as two parts that add up."""

from __future__ import annotations

from typing import Any

from lsp_core import Card
from lsp_core.lsp import LSP
from lsp_core.lsp.lsp import NONE, VICINITIES
from lsp_core.radius import show_eps


def recipe(card: Card) -> dict[str, Any] | None:
    """Return what the template ``recipe`` draws; None for a baseline, or for settings that are not known here."""
    if card.lsp is None:
        return None
    try:
        lsp = LSP.from_record(card.lsp)
    except (TypeError, ValueError):  # a card from elsewhere
        return None
    return {
        "weight": f"{lsp.weight:g}",
        "beside": f"{lsp.neighbors_weight:g}",
        "parts": [part for part in (_ball(lsp), _neighbors(lsp)) if part],
        "rest": (
            f"Both act on the {lsp.layer}"
            f"{', measured at unit length unless the term is free of scale' if lsp.unit_length else ''}; "
            f"the weight rises from 0 over the first {lsp.warmup:.0%} of the training."
        ),
    }


def _ball(lsp: LSP) -> dict[str, str] | None:
    if lsp.ball == NONE:
        return None
    return {
        "kind": "ball",
        "term": lsp.ball,
        "about": (
            f"An image and {VICINITIES[lsp.vicinity]} stay together"
            f"{f', within {show_eps(lsp.eps)}' if lsp.vicinity == 'noise' else ''}; {lsp.share:.0%} of each batch."
        ),
    }


def _neighbors(lsp: LSP) -> dict[str, str] | None:
    if lsp.neighbors == NONE:
        return None
    warm = f", temperature {lsp.temperature:g}" if lsp.neighbors == "distribution" else ""
    return {
        "kind": "neighbors",
        "term": lsp.neighbors,
        "about": f"What lies near in pixels stays near, in the same proportions: k = {lsp.k} nearest images{warm}.",
    }
