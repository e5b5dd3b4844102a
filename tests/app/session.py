"""A simulated session, and folders of checkpoints to open it on. A test module names the fixtures that it takes."""

import html
import re
import shutil
import time
from pathlib import Path

import pytest
import streamlit as st
import torch
from streamlit.testing.v1 import AppTest

from app.figures.text import JOINER
from app.panels import survey as panel
from app.state import survey as state
from lsp_core import Card, save_checkpoint
from lsp_core.models import build_model

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "checkpoints"
DIGITS = ("digits-cnn-standard", "digits-cnn-standard-lsp", "digits-cnn-pgd-at", "digits-cnn-pgd-at-lsp")
PATIENCE = 90.0
SURVEYED = 40  # test images that a page compares the models on


def forget():
    """Empty Streamlit's caches, which are the whole process's."""
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A folder of one's own for checkpoints, and no data set but the digits; what is cached is forgotten."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setenv("LSP_CHECKPOINTS", str(folder))
    monkeypatch.setenv("LSP_DATA", str(tmp_path / "no-data"))
    monkeypatch.setattr(panel, "LONGEST", 5.0)  # a run of a script must end, however slow the machine
    monkeypatch.setattr(state, "SURVEYED", SURVEYED)
    forget()
    yield folder
    forget()


@pytest.fixture
def shipped(empty):
    """The same folder with the shipped digits and their evaluations."""
    for name in DIGITS:
        for suffix in (".safetensors", ".json"):
            shutil.copy(SHIPPED / f"{name}{suffix}", empty)
    return empty


def open_view(view="attack"):
    at = AppTest.from_file(ROOT / "app" / "main.py", default_timeout=60).run()
    if view != "attack":
        at.switch_page(f"views/{view}.py").run()
    return settle(at)


def choose(at, *names, table="models"):
    """Choose rows of a table of checkpoints by their names, whatever was chosen before."""
    at.session_state[f"{table}-chosen"], at.session_state[f"{table}-shown"] = list(names), None
    return settle(at.run())


def settle(at):
    """Look again until the attack is over, as the page does four times a second; nothing may raise."""
    assert not at.exception, at.exception[0].message
    end = time.monotonic() + PATIENCE
    while "job" in at.session_state and at.session_state["job"].active:
        assert time.monotonic() < end, "the attack does not end"
        at.session_state["job"].wait(1)
        at.run()
        assert not at.exception, at.exception[0].message
    return at


def surveyed(at):
    """Look again until all images are there of which the page, on a slow machine, shows only some; return its words."""
    end = time.monotonic() + PATIENCE
    while True:
        told = next((read(block.value) for block in at.html if 'class="card survey"' in block.value), "")
        if f"Over {SURVEYED} test images, " in told:
            return told
        assert time.monotonic() < end, told
        settle(at.run())


def drawn(at):
    """All HTML on the page."""
    return " ".join(
        block.value for block in at.html if "<style" not in block.value and 'id="controls"' not in block.value
    )


def read(markup):
    """What a person reads of HTML."""
    return html.unescape(re.sub("<[^>]+>", "", markup))


def verdicts(at):
    """The sentences of outcome, one a model, as a person reads them."""
    block = next(block.value for block in at.html if 'class="pair verdicts"' in block.value)
    return [read(text) for text in re.findall(r"<p>(.*?)</p>", block)]


def gallery(at):
    """The test images that the gallery shows."""
    return at.session_state["gallery-shown"]


def texts(elements):
    """What Markdown shows, roughly: without what keeps characters from being markup."""
    return " ".join(element.value for element in elements).replace("\\", "").replace(JOINER, "")


def save_card(folder, name, dataset, shape=(1, 8, 8), classes=10, **facts):
    torch.manual_seed(0)
    model = build_model("cnn", shape, classes, (0.5,) * shape[0], (0.5,) * shape[0]).eval()
    names = tuple(str(index) for index in range(classes))
    card = Card(name, "cnn", dataset, "standard", shape, names, (0.5,) * shape[0], (0.5,) * shape[0], **facts)
    save_checkpoint(folder / f"{name}.safetensors", model, card)
    return card
