"""Does a quick attack's figure survive stronger ones? For a pair of twins: what each leaves, the weakest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.figures.measured import Measured, largest, twins
from app.figures.naming import referee_name, role_of, usual_label
from app.figures.pairs import Difference, difference
from lsp_core import Card
from lsp_core.attacks.table import Role, rank

ROLES: tuple[Role, ...] = ("quick", "strong", "referee")
TWINS = ("the baseline", "LSP")
MARGIN = 0.03  # what the referee may take beyond a quick attack's figure that is still borne out
NOTHING = 0.0005  # below it a difference reads 0.0 points
Ruling = Literal["holds", "wrong", "unsure"]


@dataclass(frozen=True)
class Rung:
    """One attack on both twins: its evaluations for the baseline and for LSP, None where it was not run."""

    role: Role
    short: str
    figures: tuple[Measured | None, Measured | None]

    @property
    def lead(self) -> Difference | None:
        """How far LSP is ahead of its baseline."""
        first, second = self.figures
        return None if first is None or second is None else difference(second.entry, first.entry)

    @property
    def counts(self) -> set[int]:
        """On how many images it was run."""
        return {one.entry.n for one in self.figures if one is not None}


@dataclass(frozen=True)
class Ladder:
    """The attacks on a pair of twins (baseline, LSP) at one radius, a rung a role."""

    names: tuple[str, str]
    objective: str
    norm: str
    eps: float
    rungs: tuple[Rung, ...]

    @property
    def gaps(self) -> tuple[Difference | None, Difference | None]:
        """The lowest rung's figure minus that of the highest, of each twin; None where either is not there."""
        weak, strong = self.rungs[0], self.rungs[-1]
        first, second = (
            None if a is None or b is None else difference(a.entry, b.entry)
            for a, b in zip(weak.figures, strong.figures, strict=True)
        )
        return first, second

    @property
    def rulings(self) -> dict[str, Ruling]:
        """How the referee rules on the figure of each twin that met both; nobody before he was asked."""
        if self.rungs[-1].role != "referee":
            return {}
        return {which: rule(gap) for gap, which in zip(self.gaps, TWINS, strict=True) if gap is not None}

    @property
    def ruling(self) -> Ruling | None:
        """How the referee rules on the pair: by the worse of its twins; None before he was asked."""
        rulings = set(self.rulings.values())
        return next((kind for kind in ("wrong", "unsure", "holds") if kind in rulings), None)

    @property
    def sentence(self) -> str:
        """Say what the strongest attack takes beyond the quick one, and what follows."""
        weak, strong = self.rungs[0].short, self.rungs[-1].short
        taken = [f"{_taken(gap)} {which}" for gap, which in zip(self.gaps, TWINS, strict=True) if gap]
        told = (" and ".join(taken) if taken else "what nobody knows: no checkpoint met both") + self._where
        if self.ruling is None:
            return f"{referee_name()} has not been run on this pair. Beyond {weak}, the {strong} takes {told}."
        return f"{self._head(weak)}: beyond it, {strong} takes {told}."

    def _head(self, weak: str) -> str:
        rulings, ruling = self.rulings, self.ruling
        those = [which for which, kind in rulings.items() if kind == ruling]
        whom = "both" if len(those) == len(TWINS) else those[0]
        if ruling == "wrong":
            return f"{weak} is too kind to {whom}"
        if ruling == "holds":
            return f"{weak} is borne out{'' if whom == 'both' else f' for {whom}'}"
        return f"Whether {weak} is borne out{'' if whom == 'both' else f' for {whom}'} cannot be told on so few images"

    @property
    def _where(self) -> str:
        """Say on which images the gaps were measured, where those are not all of both."""
        shared = {gap.n for gap in self.gaps if gap is not None}
        if shared <= {0}:
            return ", but on other images" if shared else ""
        counts = self.rungs[0].counts | self.rungs[-1].counts
        return f" on the {' or '.join(map(str, sorted(shared)))} images that both saw" if len(counts) > 1 else ""


def rule(gap: Difference) -> Ruling:
    """Rule on a quick attack's figure, by what the referee takes beyond it.

    It is borne out (``holds``) where the paired 95 % interval of that ends at or below ``MARGIN``; it is too kind
    (``wrong``) where the interval begins above 0 and more than ``MARGIN`` is taken; else the images are too few to tell
    (``unsure``), or not the same.
    """
    if gap.interval is None:
        return "unsure"
    low, high = gap.interval
    if high <= MARGIN:
        return "holds"
    return "wrong" if low > 0 and gap.gained > MARGIN else "unsure"


def _taken(gap: Difference) -> str:
    low, high = (100 * bound for bound in gap.interval or (0.0, 0.0))
    sure = f" ({low:.1f} to {high:.1f})" if gap.interval else ""
    if abs(gap.gained) < NOTHING:
        return f"nothing{sure} from"
    return f"{100 * gap.gained:.1f} points{sure} from"


def ladders(found: Sequence[Measured]) -> list[Ladder]:
    """Return a ladder for each pair of twins that more was run on than a quick attack; all of one data set."""
    cards = {one.checkpoint: one.card for one in found}
    made = (_ladder(found, names, cards[names[0]]) for names in twins(found))
    return [ladder for ladder in made if ladder is not None]


def _ladder(found: Sequence[Measured], names: tuple[str, str], card: Card) -> Ladder | None:
    """Climb at the radius where most attacks were run; among equals, the nearest to what the pair was trained for."""
    both = [one for one in found if one.checkpoint in names]
    made = []
    for norm, eps in sorted({(one.entry.norm, one.entry.eps) for one in both}):
        here = [one for one in both if (one.entry.norm, one.entry.eps) == (norm, eps)]
        rungs = tuple(rung for role in ROLES if (rung := _rung(here, role, names)))
        if len(rungs) > 1 and rungs[0].role == ROLES[0]:
            full = sum(one is not None for one in rungs[-1].figures)
            height = (ROLES.index(rungs[-1].role), full, norm == "Linf", -abs(eps - card.eps), len(rungs))
            made.append((height, Ladder(names, card.objective, norm, eps, rungs)))
    return max(made, key=lambda pair: pair[0])[1] if made else None


def _rung(found: Sequence[Measured], role: Role, names: tuple[str, str]) -> Rung | None:
    """Choose an attack of a role: one that was run on both, then by its rank, as it usually is, on the most images."""
    those = [one for one in found if role_of(one.entry.name) == role]
    offers = {
        short: {one.checkpoint: one for one in largest(one for one in those if one.short == short)}
        for short in sorted({one.short for one in those})
    }
    if not offers:
        return None

    def worth(short: str) -> tuple[int, float, bool, int]:
        chosen = list(offers[short].values())
        entry = chosen[0].entry
        usual = entry.label == usual_label(entry.name)
        return len(chosen), rank(entry.name), usual, max(one.entry.n for one in chosen)

    short = max(offers, key=worth)
    first, second = (offers[short].get(name) for name in names)
    return Rung(role, short, (first, second))
