"""What LSP changes, in a sentence for each pair of twins."""

from __future__ import annotations

from collections.abc import Sequence

from app.figures.measured import Measured, largest, twins
from app.figures.pairs import difference
from app.figures.text import plain
from lsp_core.radius import show_eps


def twin_sentences(found: Sequence[Measured]) -> list[str]:
    """Say for each pair of twins what LSP changes, at the measured radius nearest to what they were trained for.

    ``found`` is of one attack. The sentences are Markdown.
    """
    by_place = {(one.checkpoint, one.entry.eps): one for one in largest(found)}
    sentences = []
    for name, twin in twins(found):
        shared = [eps for checkpoint, eps in by_place if checkpoint == name and (twin, eps) in by_place]
        if not shared:
            continue
        card = next(one.card for one in found if one.checkpoint == name)
        eps = min(shared, key=lambda radius: abs(radius - card.eps))
        base, lsp = by_place[name, eps].entry, by_place[twin, eps].entry
        lead, sure = difference(lsp, base), ""
        if lead.interval and base.n == lsp.n:
            low, high = lead.interval
            sure = f"; paired 95 %: {100 * low:+.1f} to {100 * high:+.1f}"
        sentences.append(
            f"**{plain(card.objective)}** at {show_eps(eps)}: the baseline keeps {base.robust_accuracy:.1%}, "
            f"LSP **{lsp.robust_accuracy:.1%}** "
            f"({100 * (lsp.robust_accuracy - base.robust_accuracy):+.1f} points{sure})."
        )
    return sentences
