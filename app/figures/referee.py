"""Does PGD's figure survive stronger attacks? For a pair of twins: what each attack leaves, weakest attack first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from app.figures.curves import largest, twins
from app.figures.pairs import Difference, difference
from app.state.shelf import trained_eps
from lsp_core import Card

RUNGS = ("PGD", "Ensemble", "AutoAttack")
PREFERRED = ("PGD-20", "fast ensemble", "AutoAttack")
NOTHING = 0.0005  # below it a difference reads 0.0 points


@dataclass(frozen=True)
class Rung:
    """One attack on both twins: a row of the table for the baseline and for LSP, None where it was not run."""

    kind: str
    short: str
    rows: tuple[Any, Any]

    @property
    def lead(self) -> Difference | None:
        """How far LSP is ahead of its baseline."""
        first, second = self.rows
        return None if first is None or second is None else difference(second, first)


@dataclass(frozen=True)
class Ladder:
    """The attacks on a pair of twins (baseline, LSP) at one radius."""

    names: tuple[str, str]
    objective: str
    norm: str
    eps: float
    rungs: tuple[Rung, ...]

    @property
    def gaps(self) -> tuple[Difference | None, Difference | None]:
        """PGD's figure minus that of the strongest attack, of each twin; None where either is not there."""
        weak, strong = self.rungs[0], self.rungs[-1]
        found = [
            None if a is None or b is None else difference(a, b) for a, b in zip(weak.rows, strong.rows, strict=True)
        ]
        return found[0], found[1]

    @property
    def kind(self) -> str:
        """``holds`` or ``wrong`` once AutoAttack has been run, by whether it bears PGD out; before that, nothing."""
        gaps = [gap for gap in self.gaps if gap is not None]
        if self.rungs[-1].kind != "AutoAttack" or not gaps:
            return ""
        return "holds" if all(gap.within for gap in gaps) else "wrong"

    @property
    def sentence(self) -> str:
        """Say what the strongest attack takes beyond PGD."""
        weak, strong = self.rungs[0], self.rungs[-1]
        taken = [f"{_taken(gap)} {which}" for gap, which in zip(self.gaps, ("the baseline", "LSP"), strict=True) if gap]
        told = " and ".join(taken) if taken else "what nobody knows: no checkpoint met both"
        told += self._where
        if not self.kind:
            return f"AutoAttack has not been run on this pair. Beyond {weak.short}, the {strong.short} takes {told}."
        head = f"{weak.short} is borne out" if self.kind == "holds" else f"{weak.short} is too kind"
        return f"{head}: beyond it, AutoAttack takes {told}."

    @property
    def _where(self) -> str:
        """Say on which images the gaps were measured, where those are not all of both."""
        counts = {int(row["n"]) for rung in (self.rungs[0], self.rungs[-1]) for row in rung.rows if row is not None}
        shared = {gap.n for gap in self.gaps if gap is not None}
        if shared <= {0}:
            return ", but on other images" if shared else ""
        return f" on the {' or '.join(map(str, sorted(shared)))} images that both saw" if len(counts) > 1 else ""


def _taken(gap: Difference) -> str:
    if abs(gap.gained) < NOTHING:
        return "nothing from"
    low, high = (100 * bound for bound in gap.interval or (0.0, 0.0))
    sure = f" ({low:.1f} to {high:.1f})" if gap.interval else ""
    return f"{100 * gap.gained:.1f} points{sure} from"


def ladders(table: pd.DataFrame, cards: dict[str, Card]) -> list[Ladder]:
    """Return a ladder for each pair of twins that more was run on than PGD; ``table`` is of one data set."""
    found = (_ladder(table, names, cards[names[0]]) for names in twins(table, cards))
    return [ladder for ladder in found if ladder is not None]


def _ladder(table: pd.DataFrame, names: tuple[str, str], card: Card) -> Ladder | None:
    """Climb at the radius where most attacks were run; among equals, the nearest to what the pair was trained for."""
    both = table[table["checkpoint"].isin(names) & table["kind"].isin(RUNGS)]
    goal, made = trained_eps(card), []
    for (norm, eps), rows in both.groupby(["norm", "eps"]):
        rungs = tuple(rung for kind in RUNGS if (rung := _rung(rows[rows["kind"] == kind], kind, names)))
        if len(rungs) > 1 and rungs[0].kind == "PGD":
            full = sum(row is not None for row in rungs[-1].rows)
            rank = (RUNGS.index(rungs[-1].kind), full, norm == "Linf", -abs(eps - goal), len(rungs))
            made.append((rank, Ladder(names, card.objective, str(norm), float(eps), rungs)))
    return max(made, key=lambda pair: pair[0])[1] if made else None


def _rung(rows: pd.DataFrame, kind: str, names: tuple[str, str]) -> Rung | None:
    """Choose one attack of a kind: the usual one, else the one that was run on both and on most images."""
    if rows.empty:
        return None
    offers = {short: largest(found).set_index("checkpoint", drop=False) for short, found in rows.groupby("short")}
    short = max(offers, key=lambda name: (name in PREFERRED, len(offers[name]), int(offers[name]["n"].max())))
    chosen = offers[short]
    first, second = (chosen.loc[name] if name in chosen.index else None for name in names)
    return Rung(kind, str(short), (first, second))
