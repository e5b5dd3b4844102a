"""Fetching a whole data set from the page."""

import dataclasses
import threading
import time

import pytest
import session
from conftest import toy_dataset
from session import open_view, save_card, settle, texts, verdicts

from app.state.fetching import fetching
from lsp_core import DatasetError
from lsp_core.data.registry import DATASETS

empty, shipped = session.empty, session.shipped


@pytest.fixture
def absent(shipped, monkeypatch):
    """A checkpoint whose images come when they are fetched, which waits for leave and may fail."""
    leave, there, harm = threading.Event(), [], []

    def load(root, split, download):
        if download:
            leave.wait(20)
            if harm:
                raise DatasetError(f"svhn could not be downloaded to {root}: the network is away.")
            there.append(split)
            (root / "svhn").mkdir(exist_ok=True)
        if not there:
            raise DatasetError("svhn is not under data: fetch it with `python -m lsp_core info svhn --download`.")
        return dataclasses.replace(toy_dataset(split), name="svhn")

    monkeypatch.setitem(DATASETS, "svhn", dataclasses.replace(DATASETS["svhn"], load=load))
    save_card(shipped, "svhn-cnn-standard", "svhn", (1, 8, 8), classes=3)
    return leave, harm


def offered(at):
    return any(button.key == "fetch" for button in at.button)


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_is_fetched_behind_the_page_and_then_shown(absent):
    leave, _ = absent
    at = open_view()
    at.selectbox(key="model-a").set_value("svhn-cnn-standard")
    settle(at.run())
    assert "svhn is not under data" in texts(at.info)
    button = at.button(key="fetch")
    assert "246 MB" in button.label
    button.click()
    settle(at.run())
    assert not offered(at)  # it is on its way
    other = open_view()  # a page that is loaded anew sees that, too
    other.selectbox(key="model-a").set_value("svhn-cnn-standard")
    settle(other.run())
    assert not offered(other)
    leave.set()
    until(lambda: fetching("svhn").state == "done")
    settle(at.run())
    assert not at.info
    assert at.session_state["job"].request.models[0].name == "svhn-cnn-standard"
    assert len(verdicts(at)) == 2


def test_what_fails_is_a_sentence_and_can_be_tried_again(absent):
    leave, harm = absent
    leave.set()
    harm.append(True)
    at = open_view()
    at.selectbox(key="model-a").set_value("svhn-cnn-standard")
    settle(at.run())
    at.button(key="fetch").click()
    settle(at.run())
    until(lambda: fetching("svhn").state == "failed")
    settle(at.run())
    assert "the network is away" in texts(at.error)
    assert "Nothing was changed" in texts(at.error)
    harm.clear()
    at.button(key="fetch").click()
    settle(at.run())
    until(lambda: fetching("svhn").state == "done")
