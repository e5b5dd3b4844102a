"""A link that restores the page: what goes into it, and what is believed of one that somebody brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.panels.controls import RANGES
from app.panels.settings import MOST_STEPS, OFFERED, OWN, PRESETS, QUICK, default_attack, radii
from app.state.images import image_ids, test_images
from app.state.jobs import Request
from lsp_core import Card, DatasetError
from lsp_core.attacks.losses import LOSSES
from lsp_core.attacks.norms import NORMS
from lsp_core.explain.saliency import METHODS
from lsp_core.types import pick

VERSION = "1"
Reader = Callable[[str], Any]  # of a value from the link; a ValueError says what is valid


def one_of(*names: str) -> Reader:
    """Return a reader of a name."""
    return lambda text: pick("value", text, dict.fromkeys(names)) or text


def whole(low: int, high: int) -> Reader:
    """Return a reader of a whole number."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text[:12]) <= high):
            raise ValueError(f"it must be a whole number from {low} to {high}.")
        return int(text)

    return read


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError("it must be a number from 0 to 1.")
    return value


# By what the link calls it: the key on the page, and how it is read.
PARTS: dict[str, tuple[str, Reader]] = {
    "preset": ("preset", one_of(QUICK, *PRESETS, OWN)),
    "norm": ("norm", one_of(*NORMS)),
    "steps": ("steps", whole(1, MOST_STEPS)),
    "attack": ("attack", one_of(*OFFERED)),
    **{f"own-{name}": (f"own-{name}", whole(*limits)) for name, limits in RANGES.items()},
    "own-loss": ("own-loss", one_of(*LOSSES)),
    "own-alpha": ("own-alpha", lambda text: text[:20]),
    "own-random-start": ("own-random-start", lambda text: bool(whole(0, 1)(text))),
    "own-momentum": ("own-momentum", share),
    "saliency": ("method", one_of(*METHODS)),
}


def view_of(request: Request) -> dict[str, str]:
    """Return all that a link says of what is on the page; an image of one's own cannot be in it."""
    first, second = request.models
    said = {"view": VERSION, "a": first.name, "b": second.name}
    if request.row is not None:
        said["image"] = image_ids(first.card.dataset)[request.row]
    preset = st.session_state.get("preset")
    for name, (key, _) in PARTS.items():
        value = st.session_state.get(key)
        fits = not name.startswith(("own-", "attack")) or preset == OWN
        if value is not None and value != "" and fits and (name != "steps" or preset == QUICK):
            said[name] = str(int(value)) if isinstance(value, bool) else str(value)
    said["eps"] = repr(float(st.session_state.get("eps", request.attack.eps)))
    return said


def address(view: Mapping[str, str]) -> str:
    """Return the link."""
    return f"{(st.context.url or '').partition('?')[0]}?{urlencode(view)}"


def open_link(cards: Mapping[str, Card]) -> None:
    """Set the page as the link of its address says, once; keep a sentence for each part that cannot be used."""
    given = {name: str(value) for name, value in st.query_params.items()}
    if "view" not in given or st.session_state.get("link-opened") == given:
        return
    st.session_state["link-opened"] = given
    st.session_state["link-problems"] = apply_view(given, cards)


def apply_view(given: Mapping[str, str], cards: Mapping[str, Card]) -> list[str]:
    """Set the page as a link or a case says; return a sentence for each part that cannot be used."""
    if given.get("view") != VERSION:
        return [f"The link is of version {given.get('view', 'none')[:20]}, which this page cannot read."]
    problems = []
    for name, (key, reader) in PARTS.items():
        if name in given:
            try:
                st.session_state[key] = reader(given[name])
            except ValueError as error:
                problems.append(f"The link's {name} is {given[name][:40]!r}: {error}")
    first = given.get("a", "")
    if first not in cards:
        return [*problems, f"The link's model {first[:80]!r} is not here."]
    second = given.get("b", first)
    if second not in cards:
        problems.append(f"The link's model {second[:80]!r} is not here.")
        second = first
    st.session_state.update({"model-a": first, "model-b": second, "paired-with": first})
    return [*problems, *_radius(given, cards[first]), *_image(given, cards[first])]


def _radius(given: Mapping[str, str], card: Card) -> list[str]:
    if "eps" not in given:
        return []
    norm = st.session_state.get("norm", "Linf")
    try:
        wanted = float(given["eps"])
    except ValueError:
        wanted = -1.0
    nearest = min(radii(card, norm), key=lambda radius: abs(radius - wanted))
    if not abs(nearest - wanted) <= 1e-6:  # written so that NaN fails
        return [f"The link's eps is {given['eps'][:20]!r}, which is none of the radii here."]
    st.session_state["eps"], st.session_state["eps-for"] = nearest, (card.dataset, norm, default_attack(card, norm).eps)
    return []


def _image(given: Mapping[str, str], card: Card) -> list[str]:
    if "image" not in given:
        return []
    try:
        known = image_ids(card.dataset)
        if given["image"] in known:
            place = known.index(given["image"])
            st.session_state.update({"gallery": place, "gallery-of": card.dataset, "own": None})
            return []
        whole_set = test_images(card.dataset).rows is None
    except DatasetError:
        return []  # the page says so itself
    where = f"none of the test images of {card.dataset}" if whole_set else f"not in the sample of {card.dataset} here"
    return [f"The link's image is {where}."]
