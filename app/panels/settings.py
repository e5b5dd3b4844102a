"""The attack's settings."""

from __future__ import annotations

import math

import streamlit as st

from lsp_core import Card
from lsp_core.attacks import PGD
from lsp_core.attacks.norms import NORMS
from lsp_core.radius import show_eps

LINF_STEPS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128)
L2_RADII = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
DEFAULT_STEPS, MOST_STEPS = 20, 200


def default_attack(card: Card, norm: str = "Linf") -> PGD:
    """Return the attack that a data set's page opens with: the radius its first model is measured at."""
    if norm == "Linf":
        return PGD(card.eps, steps=DEFAULT_STEPS, early_stop=False)
    like = card.eps * math.sqrt(math.prod(card.image_shape)) / 2  # half of what the Linf ball reaches in L2
    return PGD(min(L2_RADII, key=lambda radius: abs(radius - like)), steps=DEFAULT_STEPS, norm="L2", early_stop=False)


def choose_attack(card: Card) -> PGD:
    """Draw eps, steps and norm."""
    norm = st.segmented_control("Norm", list(NORMS), key="norm", default="Linf", required=True, persist_state="session")
    usual = default_attack(card, norm)
    radii = {value / 255 for value in LINF_STEPS} if norm == "Linf" else set(L2_RADII)
    options = sorted(radii | {usual.eps})
    if st.session_state.get("eps") not in options or st.session_state.get("eps-for") != (card.dataset, norm, usual.eps):
        st.session_state["eps"], st.session_state["eps-for"] = usual.eps, (card.dataset, norm, usual.eps)
    eps = st.select_slider(
        "Radius eps", options, format_func=show_eps, key="eps", help="In pixel units, of 1.", persist_state="session"
    )
    steps = st.slider("PGD steps", 1, MOST_STEPS, DEFAULT_STEPS, key="steps", persist_state="session")
    attack = PGD(eps, steps=steps, norm=usual.norm, early_stop=False)
    st.caption(f"Step size {attack.step_size:.2g} (2.5 eps / steps), random start, seed {attack.seed}, cross-entropy.")
    return attack
