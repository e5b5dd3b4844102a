"""The checkpoints and their cards."""

from __future__ import annotations

from html import escape

import streamlit as st

from app.figures.naming import attack_name, short_name
from app.panels.checklist import checklist
from app.panels.controls import plain
from app.state.audits import Audited
from app.state.shelf import audits, catalogue, evaluations, folder, trained_eps
from lsp_core import Card
from lsp_core.radius import show_eps
from lsp_core.types import Record


def main() -> None:
    """List every checkpoint of the folder, and say of each file that is none why not."""
    cards, problems = catalogue()
    records, _ = evaluations()
    audited, complaints = audits()
    st.title("Checkpoints", anchor=False)
    for problem in [*problems.values(), *complaints]:
        st.warning(problem)
    if not cards:
        st.info(f"There is none in {folder().name}/: `python -m lsp_core train digits --out checkpoints` makes one.")
        st.stop()
    datasets = sorted({card.dataset for card in cards.values()}, key=lambda name: (name != "digits", name))
    for dataset in datasets:
        st.subheader(plain(dataset), anchor=False)
        names = [name for name, card in cards.items() if card.dataset == dataset]
        names.sort(key=lambda name: (not name.removesuffix("-lsp").endswith("standard"), name))
        with st.container(key=f"cards-{dataset}".replace("/", "-")):
            for name in names:
                draw_card(name, cards[name], records.get(name, []), audited.get(name))


def draw_card(name: str, card: Card, entries: list[Record], audited: Audited | None) -> None:
    """Draw one card: what it is, what was measured, what the audit found, and how to make it again."""
    mark = '<span class="chip lsp">LSP</span>' if card.lsp else '<span class="chip">baseline</span>'
    facts = f"{card.model} · {card.objective} · {'×'.join(map(str, card.image_shape))} · {len(card.classes)} classes"
    best = headline(card, entries)
    with st.container(border=True, key=f"card-{name}"):
        st.markdown(
            f'<div class="about"><div><b>{escape(name)}</b> {mark}<br><small>{escape(facts)}</small></div>'
            f"<div>{escape(best)}</div></div>"
            f"{checklist(audited, '<span class=who>audit</span>')}",
            unsafe_allow_html=True,
        )
        with st.expander("Card"):
            config = {key: value for key, value in card.config.items() if key != "history"}
            st.code(card.command or "unknown", language="bash")
            st.markdown(
                f"Trained {plain(str(card.date)) or 'on an unknown day'}, seed {card.seed}, kept after epoch "
                f"{card.epoch}. "
                f"{held_out(card)}"
            )
            left, right = st.columns(2)
            left.json({"lsp": card.lsp, "training": config}, expanded=True)
            right.json(
                {
                    "classes": card.classes,
                    "mean": card.mean,
                    "std": card.std,
                    "versions": card.versions,
                    "held out": card.held_out,
                },
                expanded=True,
            )


def held_out(card: Card) -> str:
    """Return what the training saw on the images it held out."""
    held = card.held_out
    if not {"n", "clean_accuracy", "robust_accuracy"} <= set(held):
        return "Nothing was measured on held-out training images."
    return (
        f"On {int(held['n'])} held-out training images: {float(held['clean_accuracy']):.1%} clean, "
        f"{float(held['robust_accuracy']):.1%} under PGD-10 at {show_eps(trained_eps(card))}."
    )


def headline(card: Card, entries: list[Record]) -> str:
    """Return the figures that stand on the closed card, with their n and interval."""
    if not entries:
        return "not evaluated on test images"
    goal = trained_eps(card)
    own = [entry for entry in entries if (entry["norm"], entry["dataset"]) == ("Linf", card.dataset)]
    strongest = [entry for entry in own if entry["attack"] == "PGD"] or own
    if not strongest:
        return "not evaluated on test images of its own data set"
    entry = min(strongest, key=lambda entry: (abs(float(entry["eps"]) - goal), -int(entry["n"])))
    said = f"test: {float(entry['clean_accuracy']):.1%} clean, {survival(entry)}"
    stronger = [
        other for other in own if other["attack"] in ("Ensemble", "AutoAttack") and other["eps"] == entry["eps"]
    ]
    if stronger:
        said += f"; {survival(max(stronger, key=lambda other: (other['attack'] == 'AutoAttack', int(other['n']))))}"
    return said


def survival(entry: Record) -> str:
    """Return what one attack leaves, with all that a figure must be quoted with."""
    low, high = entry["robust_interval"]
    return (
        f"{float(entry['robust_accuracy']):.1%} under {short_name(str(entry['attack']), attack_name(entry))} at Linf "
        f"{show_eps(float(entry['eps']))} (95 %: {float(low):.1%} to {float(high):.1%}, n = {entry['n']})"
    )


main()
