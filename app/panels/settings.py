"""The attack's settings: three presets, and any attack of the table with settings of one's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import get_args

import streamlit as st

from app.figures.text import plain, sentence
from app.panels.controls import CONTROLS
from lsp_core import Card
from lsp_core.attacks import APGD, PGD, Square, fast
from lsp_core.attacks.describe import label, most_steps
from lsp_core.attacks.table import ATTACKS
from lsp_core.radius import show_eps
from lsp_core.types import Attack, Norm

LINF_STEPS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128)
L2_RADII = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
DEFAULT_STEPS, MOST_STEPS = 20, 200
HELP = {
    "norm": "Linf bounds how far any single pixel may move, L2 the length of the whole change.",
    "eps": "The radius of the ball that the attack must stay in, in pixel units: black is 0, white is 1.",
    "steps": "How often PGD follows the gradient uphill and goes back into the ball; more steps attack better.",
    "preset": "A quick look is one attack and no evidence; the strongest is many, tried until one fools the model.",
}  # each teaches a term
QUICK, OWN = "Quick look", "Own"
PRESETS: dict[str, tuple[str, Callable[[float, Norm], Attack]]] = {
    "Standard": (
        "APGD on the margin towards the three nearest classes, 100 steps each.",
        lambda eps, norm: APGD(eps, steps=100, norm=norm, loss="margin", targets=3),
    ),
    "Strongest": ("Our fast ensemble: eight attacks, each only if the ones before did not fool.", fast),
}
# All but those of which nobody sees a step: one needs a third model, one takes a minute.
OFFERED = [name for name in ATTACKS if name not in ("transfer", "autoattack")]
BLIND_QUERIES = 500  # that the page opens with: a second or two for small models
BLIND = [name for name in OFFERED if not ATTACKS[name].gradient]  # what a model without a gradient can be under


def default_attack(card: Card, norm: Norm = "Linf") -> PGD:
    """Return the attack that a data set's page opens with: the radius its first model is measured at."""
    if norm == "Linf":
        return PGD(card.eps, steps=DEFAULT_STEPS, early_stop=False)
    like = card.eps * math.sqrt(math.prod(card.image_shape)) / 2  # half of what the Linf ball reaches in L2
    return PGD(min(L2_RADII, key=lambda radius: abs(radius - like)), steps=DEFAULT_STEPS, norm="L2", early_stop=False)


def opening_attack(cards: Sequence[Card]) -> Attack:
    """Return the attack that a pair opens with: one that both can be under."""
    usual = default_attack(cards[0])
    return usual if all(card.gradient for card in cards) else Square(usual.eps, queries=BLIND_QUERIES)


def choose_blind(card: Card, without: str) -> Attack:
    """Draw the settings for a pair of which one, named ``without``, has no gradient."""
    st.caption(
        f"{plain(without)} has no gradient with respect to the pixels, so only attacks that need none are offered."
    )
    st.session_state["preset"] = OWN
    for key, value in {"norm": "Linf", "own-queries": BLIND_QUERIES}.items():
        st.session_state.setdefault(key, value)
    if st.session_state.get("attack") not in BLIND:
        st.session_state["attack"] = BLIND[-1]
    st.segmented_control("Norm", get_args(Norm), key="norm", required=True, persist_state="session", help=HELP["norm"])
    norm: Norm = st.session_state["norm"]
    return own_attack(choose_radius(card, norm), norm, BLIND)


def choose_attack(card: Card) -> Attack:
    """Draw preset, norm, eps, and what else the chosen attack takes."""
    for key, value in {"preset": QUICK, "norm": "Linf", "steps": DEFAULT_STEPS}.items():
        st.session_state.setdefault(key, value)  # not a widget's default, which nothing else may set, as a link does
    presets = [QUICK, *PRESETS, OWN]
    st.segmented_control(
        "Attack", presets, key="preset", required=True, persist_state="session", width="stretch", help=HELP["preset"]
    )
    st.segmented_control("Norm", get_args(Norm), key="norm", required=True, persist_state="session", help=HELP["norm"])
    preset, norm = st.session_state["preset"], st.session_state["norm"]
    eps = choose_radius(card, norm)
    if preset in PRESETS:
        about, build = PRESETS[preset]
        attack = build(eps, norm)
        st.caption(f"{about} Seed 0, at most {most_steps(attack):,} steps a model.")
        return attack
    if preset == OWN:
        return own_attack(eps, norm)
    steps = st.slider("PGD steps", 1, MOST_STEPS, key="steps", persist_state="session", help=HELP["steps"])
    quick = PGD(eps, steps=steps, norm=norm, early_stop=False)
    st.caption(f"Step size {quick.step_size:.2g} (2.5 eps / steps), random start, seed {quick.seed}, cross-entropy.")
    return quick


def choose_radius(card: Card, norm: Norm) -> float:
    """Draw eps; a data set, a norm or models trained at another radius bring their usual one back."""
    usual, options = default_attack(card, norm).eps, radii(card, norm)
    if st.session_state.get("eps") not in options or st.session_state.get("eps-for") != (card.dataset, norm, usual):
        st.session_state["eps"], st.session_state["eps-for"] = usual, (card.dataset, norm, usual)
    eps: float = st.select_slider(
        "Radius eps", options, format_func=show_eps, key="eps", help=HELP["eps"], persist_state="session"
    )
    return eps


def radii(card: Card, norm: Norm) -> list[float]:
    """Return the radii that can be chosen, the usual one of the models among them."""
    usual = {default_attack(card, norm).eps}
    return sorted(usual | ({value / 255 for value in LINF_STEPS} if norm == "Linf" else set(L2_RADII)))


def own_attack(eps: float, norm: Norm, offered: Sequence[str] = OFFERED) -> Attack:
    """Draw an attack of the table and the settings that it takes; what cannot be meant leaves a sentence."""
    st.session_state.setdefault("attack", "pgd")
    name = st.selectbox("Attack of the table", offered, key="attack", persist_state="session")
    kind = ATTACKS[name]
    given = {key: CONTROLS[key](kind) for key in CONTROLS if key in kind.takes or key == "seed"}
    if "early_stop" in kind.takes:
        given["early_stop"] = False  # a trace wants every step
    try:
        attack = kind.make(eps, norm, **given)
    except ValueError as error:
        if "pgd" not in offered:
            st.error(sentence(f"{error} Until then its usual form stands in."))
            return kind.make(eps, norm)
        st.error(sentence(f"{error} Until then the quick look stands in."))
        return PGD(eps, steps=DEFAULT_STEPS, norm=norm, early_stop=False)
    told = f"{kind.about}; " if kind.about else ""
    st.caption(f"{plain(label(attack))}: {told}at most {most_steps(attack):,} steps a model.")
    return attack
