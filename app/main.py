"""Page configuration and navigation; every page is a file in ``views``."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import preload

HERE = Path(__file__).parent

if preload.waiting():
    with st.spinner("Starting …"):
        preload.wait()
st.set_page_config("LSP Lab", page_icon=str(HERE / "static" / "mark.svg"), layout="wide")
st.logo(str(HERE / "static" / "logo.svg"), size="large")
st.html(HERE / "static" / "style.css")
page = st.navigation(
    [
        st.Page(HERE / "views" / "attack.py", title="Attack", icon=":material/bolt:", default=True),
        st.Page(HERE / "views" / "robustness.py", title="Robustness", icon=":material/show_chart:"),
        st.Page(HERE / "views" / "models.py", title="Models", icon=":material/inventory_2:"),
        st.Page(HERE / "views" / "models.py", title="Models", url_path="checkpoints", visibility="hidden"),
    ],
    position="top",
)
page.run()
