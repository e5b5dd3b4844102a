"""Two checkpoints under one attack: who holds which images, and class by class."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.figures.classes import by_class, class_chart
from app.figures.measured import Measured, largest, twins
from app.figures.standing import standing, standing_chart
from app.figures.text import plain, sentence
from app.panels.take import take_away
from app.state.labels import labels_of
from lsp_core import DatasetError
from lsp_core.radius import show_eps


def draw_pairwise(chosen: Sequence[Measured]) -> None:
    """Draw both figures for two of the checkpoints; ``chosen`` are the evaluations of one attack."""
    by_place = {(one.checkpoint, one.entry.eps): one for one in largest(chosen)}
    names = list(dict.fromkeys(name for name, _ in by_place))
    if len(names) < 2:
        return
    st.subheader("Who holds where?", anchor=False)
    first, second = choose_pair(names, chosen)
    shared = sorted(eps for name, eps in by_place if name == first and (second, eps) in by_place)
    if not shared:
        st.caption("This attack was not run on both at one radius.")
        return
    eps = choose_radius(shared, by_place[first, shared[0]].card.eps)
    pair = by_place[first, eps], by_place[second, eps]
    draw_standing(pair)
    draw_classes(pair)


def choose_pair(names: Sequence[str], chosen: Sequence[Measured]) -> tuple[str, str]:
    """Draw the choice of two; it begins with the first twins among them."""
    usual = next(iter(twins(chosen)), (names[0], names[1]))
    for key, name in zip(("hold-a", "hold-b"), usual, strict=True):
        if st.session_state.get(key) not in names:
            st.session_state[key] = name
    left, right = st.columns(2)
    first = left.selectbox("First", names, key="hold-a")
    others = [name for name in names if name != first]
    if st.session_state["hold-b"] not in others:
        twin = next((b if a == first else a for a, b in twins(chosen) if first in (a, b)), others[0])
        st.session_state["hold-b"] = twin
    return first, right.selectbox("Second", others, key="hold-b")


def choose_radius(shared: Sequence[float], usual: float) -> float:
    """Draw the choice of radius, if there is one; it begins with the nearest to that of the training."""
    if len(shared) == 1:
        return shared[0]
    if st.session_state.get("hold-eps") not in shared:
        st.session_state["hold-eps"] = min(shared, key=lambda eps: abs(eps - usual))
    return st.select_slider("Radius eps", shared, format_func=show_eps, key="hold-eps")


def draw_standing(pair: tuple[Measured, Measured]) -> None:
    """Draw how many images both hold, one of them, or none."""
    first, second = pair
    found = standing(first, second)
    if found is None:
        st.caption("The two were not evaluated on the same images, so that none can be compared with itself.")
        return
    st.markdown(
        f"Under {plain(first.short)}, {first.entry.norm} {show_eps(first.entry.eps)}, on the same {found.n} test "
        f"images: {plain(second.checkpoint)} is ahead of {plain(first.checkpoint)} by {found.lead.points} points "
        "(paired 95 % interval)."
    )
    chart = standing_chart(found, pair)
    with st.container(key="standing"):
        st.altair_chart(chart, width="stretch")
    take_away("standing", chart, found.rows)


def draw_classes(pair: tuple[Measured, Measured]) -> None:
    """Draw accuracy class by class, or say why nobody knows it."""
    st.subheader("Class by class", anchor=False)
    try:
        labels = [labels_of(one.entry, one.card) for one in pair]
    except DatasetError as error:
        st.caption(f"The classes of the images are in the data set: {sentence(str(error))}")
        return
    rows = [row for one, own in zip(pair, labels, strict=True) for row in by_class(one, own, one.card.classes)]
    chart = class_chart(rows, pair)
    with st.container(key="classes"):
        st.altair_chart(chart, width="stretch")
    take_away("classes", chart, rows)
    counts = [int(row["n"]) for row in rows]
    st.caption(
        f"On {min(counts)} to {max(counts)} images a class; the lines are Wilson 95 % intervals of what the attack "
        "leaves. What an attacked image is taken for is not kept in an evaluation, which says right or wrong of each "
        "image: a confusion matrix would need the predicted class before and under the attack."
    )
