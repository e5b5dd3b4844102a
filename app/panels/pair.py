"""Which two models are attacked."""

from __future__ import annotations

import streamlit as st

from app.state.images import are_here
from app.state.models import LoadedModel, load
from lsp_core import Card

SURE_CHOICE = "digits-cnn-standard"  # its images are a part of scikit-learn, and it is quick
FIRST_CHOICES = ("cifar10-preactresnet-small-standard", SURE_CHOICE)


def choose_models(cards: dict[str, Card]) -> tuple[str, str]:
    """Draw both model lists; choosing the first brings its twin into the second."""
    names = list(cards)
    if st.session_state.get("model-a") not in names:
        st.session_state["model-a"] = first_choice(cards)
    first = st.session_state["model-a"]
    rivals = [name for name in names if comparable(cards[name], cards[first])]
    if st.session_state.get("model-b") not in rivals or st.session_state.get("paired-with") != first:
        twin = cards[first].twin
        st.session_state["model-b"] = twin if twin in rivals else first
        st.session_state["paired-with"] = first
    left, right = st.columns(2)
    left.selectbox("Model A", names, key="model-a", label_visibility="collapsed", persist_state="session")
    right.selectbox("Model B", rivals, key="model-b", label_visibility="collapsed", persist_state="session")
    return first, st.session_state["model-b"]


def first_choice(cards: dict[str, Card]) -> str:
    """Return the model that the page opens with: in colour where there are such images, else one that needs no data."""
    there = (name for name in FIRST_CHOICES if name in cards and are_here(cards[name].dataset))
    return next(there, next(iter(cards)))


def comparable(one: Card, other: Card) -> bool:
    """Whether two checkpoints can look at the same image and name the same classes."""
    return (one.dataset, one.image_shape, one.classes) == (other.dataset, other.image_shape, other.classes)


def load_pair(names: tuple[str, str]) -> tuple[LoadedModel, LoadedModel]:
    """Load both checkpoints.

    Raises:
        ValueError: if one cannot be loaded.
    """
    return load(names[0]), load(names[1])
