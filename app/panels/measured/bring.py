"""Bring a model: a file is tried behind the page, and what it wants done to images is for a person to decide."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.figures.brought import brought, tried_rows
from app.figures.html import render
from app.figures.text import plain, sentence
from app.panels.pair import comparable
from app.panels.versus import ATTACK
from app.state.bringing import Bringing, offer_of
from app.state.images import are_here
from app.state.shelf import imported
from lsp_core import Card
from lsp_core.cli.import_ import doubt
from lsp_core.data import DATASETS

GLANCE = 0.5  # seconds between two looks
NAME = "my-model"
ABOUT = (
    "ONNX (.onnx, with its .data file if it has one), or weights alone (.safetensors). No code of it is run; "
    "pickles and TorchScript are refused."
)
LARGER = "Up to 10 MB a file here; a larger one is brought by `lsp import FILE --data NAME`, which takes 600 MB."


def draw_bring(cards: Mapping[str, Card]) -> None:
    """Draw the form, how far it is, and what came of it."""
    found: Bringing | None = st.session_state.get("bringing")
    st.session_state.setdefault("bring", found is not None)  # open again for who comes back from another page
    pane = st.expander("Bring a model", icon=":material/upload:", key="bring", on_change="rerun")
    if not pane.open:  # only now are the data sets looked for
        return
    with pane:
        draw_form(cards)
        found = st.session_state.get("bringing")
        if found is not None:
            watch(found)
            draw_end(found, cards)


def draw_form(cards: Mapping[str, Card]) -> None:
    """Draw what must be said of a file; the button tries it."""
    files = st.file_uploader("A trained model", key="import-model", accept_multiple_files=True, help=ABOUT)
    st.caption(LARGER)
    left, middle, right = st.columns(3)
    names = [name for name in dict.fromkeys([*DATASETS, *(card.dataset for card in cards.values())]) if are_here(name)]
    dataset = left.selectbox("Whose images it is for", names, format_func=plain, key="import-data")
    name = middle.text_input("What to call it", NAME, key="import-name", max_chars=100)
    architecture = ""
    if any(file.name.endswith(".safetensors") for file in files):
        architecture = right.text_input(
            "Architecture of the weights", key="import-architecture", placeholder="torchvision/resnet18 or timm/…"
        )
    found: Bringing | None = st.session_state.get("bringing")
    busy = found is not None and found.active
    if st.button("Try it", key="import-start", type="primary", disabled=not files or busy):
        if found is not None:
            found.stop()
        st.session_state["bringing"], st.session_state["import-problem"] = None, ""
        try:
            offer = offer_of({file.name: file.getvalue() for file in files}, dataset, name, architecture)
            offer.check()
            st.session_state["bringing"] = Bringing(offer).begin()
        except ValueError as error:
            st.session_state["import-problem"] = str(error)
    if problem := st.session_state.get("import-problem"):
        st.error(sentence(problem))


def watch(found: Bringing) -> None:
    """Draw how far it is, again and again; the page is drawn anew at the end."""
    running = found.active

    @st.fragment(run_every=GLANCE if running else None)
    def look() -> None:
        if running and not found.active:
            st.rerun()
        if not running:
            return
        bar, button = st.columns([4, 1], vertical_alignment="center")
        done = f"{found.done} of {found.total} preprocessings tried" if found.total else "being read"
        said = "stops before the next preprocessing" if found.stop_wanted else done
        waits = "waits for another model to be tried" if found.state == "waiting" else said
        bar.progress(found.done / found.total if found.total else 0.0, f"{plain(found.offer.file[:80])}: {waits}")
        button.button("Stop", key="stop-import", on_click=found.stop, width="stretch")

    look()


def draw_end(found: Bringing, cards: Mapping[str, Card]) -> None:
    """Draw what came of it: a problem, or what is proposed and what was kept."""
    if found.active:
        return
    if found.state == "stopped":
        st.caption("Stopped: nothing was kept.")
    if found.problem:
        st.error(sentence(found.problem))
    card = found.card
    if card is None or card.origin is None:
        return
    origin, rows = card.origin, tried_rows(card.origin)
    share = st.column_config.NumberColumn(format="%.1f %%", help="Right without an attack, on test images.")
    st.dataframe(rows, hide_index=True, key="import-tried", column_config={"right": share})
    if found.state == "kept":
        if said := doubt(card, origin):
            st.warning(sentence(said))
        st.html(render("brought", **brought(origin)))
        draw_kept(card, cards)
        return
    names = [str(row["preprocessing"]) for row in rows]
    chosen = st.selectbox(
        "What it wants done to images", names, names.index(origin.preparation), key=f"import-preparation-{id(found)}"
    )
    if chosen == origin.preparation:
        if said := doubt(card, origin):
            st.warning(sentence(said))
        st.html(render("brought", **brought(origin)))
    else:
        st.caption("The checks are done anew with this one when it is kept.")
    if st.button("Keep it", key="import-keep", type="primary"):
        found.keep(chosen)
        st.rerun()


def draw_kept(card: Card, cards: Mapping[str, Card]) -> None:
    """Draw where it is, and the button that opens the attack page with it, beside another model where one fits."""
    st.markdown(f"**{plain(card.name)}** is kept in {plain(imported().name)}/.")
    if st.button("Attack it", key="attack-import", icon=":material/bolt:"):
        rivals = [name for name, other in cards.items() if name != card.name and comparable(other, card)]
        rival = (rivals or [card.name])[0]
        st.session_state.update({"model-a": card.name, "model-b": rival, "paired-with": card.name})
        st.switch_page(ATTACK)
