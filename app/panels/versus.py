"""Two checkpoints compared: only what differs."""

from __future__ import annotations

import streamlit as st

from app.figures.differing import figures_apart, settings_apart
from app.figures.html import render
from app.figures.summary import Summary
from app.figures.text import plain
from app.panels.pair import comparable
from app.panels.take import take_away

ATTACK = "views/attack.py"


def draw_versus(first: Summary, second: Summary) -> None:
    """Draw the figures that both have, and the settings that they differ in."""
    st.subheader(f"{plain(first.name)} and {plain(second.name)}", anchor=False)
    attack_both(first, second)
    rows = figures_apart(first.entries, second.entries)
    if rows:
        names = {"first": first.name, "second": second.name}
        share, points = "%.1f %%", "%+.1f"
        st.dataframe(
            rows,
            hide_index=True,
            key="versus-figures",
            column_config={
                **{key: st.column_config.NumberColumn(name, format=share) for key, name in names.items()},
                "second ahead by": st.column_config.NumberColumn(format=points, help="In points."),
                "paired 95 %": st.column_config.TextColumn(help="In points, image by image, where both saw the same."),
                "n": st.column_config.NumberColumn(help="Test images that both saw."),
            },
        )
        take_away("versus-figures", rows=rows)
    else:
        st.caption("No attack was run on both at one radius.")
    apart = settings_apart(first.card, second.card)
    if not apart:
        st.caption("Their cards say the same of both.")
        return
    st.html(render("apart", names=(first.name, second.name), rows=apart))
    take_away(
        "versus-settings", rows=[dict(zip(("setting", first.name, second.name), row, strict=True)) for row in apart]
    )


def attack_both(first: Summary, second: Summary) -> None:
    """Draw the button that opens the attack page with these two."""
    fit = comparable(first.card, second.card)
    if st.button(
        "Attack these two",
        key="attack-these",
        icon=":material/bolt:",
        disabled=not fit,
        help=None if fit else "They take other images or name other classes, so no image can be shown to both.",
    ):
        chosen = {"model-a": first.name, "model-b": second.name, "paired-with": first.name}
        for key, name in chosen.items():
            st.session_state[key] = name
        st.switch_page(ATTACK)
