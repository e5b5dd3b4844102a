"""One checkpoint: what it is, what was measured, what the audit found, and how to make it again."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.figures.brought import brought
from app.figures.html import render
from app.figures.naming import role_of, short_name
from app.figures.summary import training_of
from app.figures.text import plain
from app.panels.checklist import checklist
from lsp_core import Card
from lsp_core.attacks.table import EVIDENCE, rank
from lsp_core.audit import Audited
from lsp_core.evaluation.entry import Entry
from lsp_core.radius import show_eps


def draw_card(name: str, card: Card, entries: Sequence[Entry], audited: Audited | None) -> None:
    """Draw the card, closed but for its figures."""
    facts = f"{card.model} · {card.objective} · {'×'.join(map(str, card.image_shape))} · {len(card.classes)} classes"
    with st.container(border=True, key=f"card-{name}"):
        st.html(
            render(
                "card",
                name=name,
                training=training_of(card),
                facts=facts,
                headline=headline(card, entries),
                audit=checklist(audited),
            )
        )
        with st.expander("Card"):
            config = {key: value for key, value in card.config.items() if key != "history"}
            st.code(card.command or "unknown", language="bash")
            if card.origin is None:
                trained = plain(card.date) or "on an unknown day"
                st.markdown(f"Trained {trained}, seed {card.seed}, kept after epoch {card.epoch}. {held_out(card)}")
            else:
                st.markdown(f"Brought from outside, {plain(card.date)}; nothing is known of its training.")
                st.html(render("brought", **brought(card.origin)))
            left, right = st.columns(2)
            left.json({"lsp": card.lsp, "training": config}, expanded=True)
            about = {key: getattr(card, key) for key in ("classes", "mean", "std", "versions")}
            right.json({**about, "held out": card.held_out}, expanded=True)


def held_out(card: Card) -> str:
    """Return what the training saw on the images it held out."""
    held = card.held_out
    if not {"n", "clean_accuracy", "robust_accuracy"} <= set(held):
        return "Nothing was measured on held-out training images."
    return (
        f"On {plain(str(held['n']))} held-out training images: {held['clean_accuracy']:.1%} clean, "
        f"{held['robust_accuracy']:.1%} under {_selecting(held.get('attack'))} at {show_eps(card.eps)}."
    )


def _selecting(attack: object) -> str:
    """Return what the attack is called that the epoch was chosen by; anybody can write a card."""
    if isinstance(attack, dict) and {"name", "steps"} <= set(attack):
        return plain(f"{attack['name']}-{attack['steps']}")
    return "attack"


def headline(card: Card, entries: Sequence[Entry]) -> str:
    """Return the figures that stand on the closed card, with their n and interval: of a quick and of a strong attack.

    The quick one is that measured nearest to the radius that the checkpoint was trained for.
    """
    if not entries:
        return "not evaluated on test images"
    own = [entry for entry in entries if (entry.norm, entry.dataset) == ("Linf", card.dataset)]
    if not own:
        return "not evaluated on test images of its own data set"
    quick = [entry for entry in own if role_of(entry.name) == "quick"] or own
    first = min(quick, key=lambda entry: (abs(entry.eps - card.eps), -rank(entry.name), -entry.n))
    said = f"test: {first.clean_accuracy:.1%} clean, {survival(first)}"
    stronger = [entry for entry in own if role_of(entry.name) in EVIDENCE and entry.eps == first.eps]
    if stronger and first not in stronger:
        said += f"; {survival(max(stronger, key=lambda entry: (rank(entry.name), entry.n)))}"
    return said


def survival(entry: Entry) -> str:
    """Return what one attack leaves, with all that a figure must be quoted with."""
    low, high = entry.robust_interval
    return (
        f"{entry.robust_accuracy:.1%} under {short_name(entry)} at {entry.norm} {show_eps(entry.eps)} "
        f"(95 %: {low:.1%} to {high:.1%}, n = {entry.n})"
    )
