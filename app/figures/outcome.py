"""The outcome in one sentence."""

from __future__ import annotations

from dataclasses import dataclass

from lsp_core.explain.trace import Trace


def percent(probability: float) -> str:
    """Write a probability; no model is certain, so none reads 100 %, not even where floating point says 1.

    >>> percent(0.9997), percent(0.123)
    ('99 %', '12 %')
    """
    return f"{min(99, round(100 * probability))} %"


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
