"""The outcome in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from lsp_core.explain.afterwards import Afterwards
from lsp_core.explain.trace import Trace


def percent(probability: float) -> str:
    """Write a probability no more exactly than it is: no model is certain, so none reads 100 % or 0 %.

    >>> percent(0.9997), percent(0.123), percent(1e-6)
    ('> 99 %', '12 %', '< 1 %')
    """
    whole = round(100 * probability)
    return "> 99 %" if whole > 99 else "< 1 %" if whole < 1 else f"{whole} %"


HOLDS, FALLS, WRONG = "✓", "✕", "!"
HOLDERS = ("both hold", "only one holds", "both fall")  # who keeps an image under attack


def sign(right: tuple[bool, bool]) -> str:
    """Return the sign of one model's outcome: whether it was right about an image before and under an attack."""
    return (HOLDS if right[1] else FALLS) if right[0] else WRONG


def holder(signs: tuple[str, str]) -> str:
    """Return which of ``HOLDERS`` the signs of two models' outcomes are; who was wrong before keeps nothing.

    >>> holder(("✓", "!"))
    'only one holds'
    """
    return HOLDERS[len(signs) - signs.count(HOLDS)]


@dataclass(frozen=True)
class Outcome:
    """One model's outcome: ``kind`` is holds, fooled or wrong, and decides the colour."""

    kind: str
    sentence: str


def tell_outcome(trace: Trace, classes: tuple[str, ...], labelled: bool) -> Outcome:
    """Say what became of one image under one model's attack.

    Args:
        trace: the attack, whole or so far.
        classes: names by class number.
        labelled: whether the true class is known; without it only a change of the prediction can be told.
    """
    clean, label = int(trace.clean.argmax()), classes[trace.label]
    if labelled and clean != trace.label:
        sure = f"{percent(float(trace.clean[clean]))} sure"
        return Outcome("wrong", f"wrong before any attack, takes {label} for {classes[clean]}, {sure}.")
    outcome = trace.probabilities[trace.final]
    guess = int(outcome.argmax())
    sure = f"{percent(float(outcome[guess]))} sure"
    if trace.fooled_at is None:
        steps = len(trace.images) - 1
        return Outcome("holds", f"still {label} after {steps} step{'' if steps == 1 else 's'}, {sure}.")
    when = f"at step {trace.fooled_at}" if trace.fooled_at else "by the random start alone"
    return Outcome("fooled", f"fooled {when}, {label} became {classes[guess]}, {sure}.")


def tell_afterwards(trace: Trace, then: Afterwards, classes: tuple[str, ...], own: str, other: str) -> list[str]:
    """Say whether what fools one model fools the other, and whether 8 bits change the outcome, where they do.

    Args:
        trace: the attack on the model that is called ``own``.
        then: what both models make of its outcome.
        classes: names by class number.
        own: what the attacked model is called.
        other: what the other model is called.
    """
    said, fooled = [], trace.predicted[trace.final] != trace.label
    if fooled:
        guess = int(then.elsewhere.argmax())
        sure = f"{percent(float(then.elsewhere[guess]))} sure"
        kept = guess == trace.label
        said.append(
            f"What fools {own} does not fool {other}: still {classes[guess]}, {sure}."
            if kept
            else f"What fools {own} does not pass with {other} either: it takes it for {classes[guess]}, {sure}."
        )
    if fooled and int(then.rounded.argmax()) == trace.label:
        said.append(f"Rounded to 8 bits, as a PNG keeps it, the image does not fool {own} any more.")
    if not fooled and int(then.rounded.argmax()) != trace.label:
        said.append(f"As attacked the image does not fool {own}, but rounded to 8 bits it does.")
    return said
