"""The lines under the figures: what was run on what, and what follows from it. All of them are Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from app.figures.measured import Measured
from app.figures.naming import referee_name, role_of, what_ran
from app.figures.referee import MARGIN, Ladder
from app.figures.text import plain
from lsp_core.radius import show_eps


def the_rule() -> str:
    """Say how the referee rules, in one sentence for people."""
    points, referee = f"{100 * MARGIN:g} points", referee_name()
    return (
        f"✓ where the paired 95 % interval of what {referee} takes beyond the first attack ends at or below {points}, "
        f"! where it begins above 0 and more than {points} are taken, ? where the images are too few to tell."
    )


def beneath(ladders: Sequence[Ladder]) -> str:
    """Say what the attacks beyond the first were, and how the rungs are to be read."""
    ran = {
        rung.short: what_ran(one.entry, rung.short)
        for ladder in ladders
        for rung in ladder.rungs[1:]
        for one in rung.figures
        if one is not None
    }
    said = " ".join(f"{plain(words[:1].upper() + words[1:])}." for words in ran.values())
    return (
        f"{said} Bars are Wilson 95 % intervals; thin lines stand where the first attack stood. Intervals of "
        f"differences are paired, image by image, 95 %. {the_rule()}"
    )


def protocol(chosen: Sequence[Measured], whole: Sequence[Measured]) -> str:
    """Say how the chosen figures were made and what they are not; ``whole`` holds all of the data set."""
    entry = chosen[0].entry
    counts = " or ".join(map(str, sorted({one.entry.n for one in chosen})))
    seeds = " or ".join(map(str, sorted({one.entry.seed for one in chosen if one.entry.seed is not None})))
    drawn = f" (seed {seeds})" if seeds else ""
    return (
        f"{plain(what_ran(entry, chosen[0].short))}, {entry.norm}, on {counts} test images of "
        f"{plain(entry.dataset)}{drawn}; bands are Wilson 95 % intervals; the point at 0 is the clean accuracy. These "
        f"are upper bounds: a stronger attack may find more. {refereed(chosen, whole)}"
    )


def refereed(chosen: Sequence[Measured], whole: Sequence[Measured]) -> str:
    """Say what the referee has to do with the figures shown."""
    first, names, referee = chosen[0], {one.checkpoint for one in chosen}, referee_name()
    if role_of(first.entry.name) == "referee":
        return (
            f"{plain(first.short)} is the referee here, and not the last word: "
            "an attack made for one model may find more."
        )
    judged = [
        one
        for one in whole
        if role_of(one.entry.name) == "referee" and one.entry.norm == first.entry.norm and one.checkpoint in names
    ]
    if not judged:
        return (
            f"{referee} has not been run on these checkpoints, and {plain(first.short)} alone is no evidence of "
            "robustness."
        )
    radii = ", ".join(show_eps(eps) for eps in sorted({one.entry.eps for one in judged}))
    count = len({one.checkpoint for one in judged})
    return f"{referee} has been run on {count} of these {len(names)} checkpoints, at {radii}."
