"""The same attack on many images, behind the page: as alone, once for everybody, and only while somebody looks."""

import dataclasses
import re
import threading
import time

import pytest
import session
import streamlit as st
import torch
from conftest import TinyNet, toy_dataset
from session import drawn, gallery, open_view, settle, surveyed

from app.panels import survey as panel
from app.state import survey as surveys
from app.state.cores import quiet, urgent
from app.state.images import reference_rows
from app.state.models import LoadedModel
from app.state.survey import Survey, look_on, survey
from lsp_core import Card
from lsp_core.attacks import PGD
from lsp_core.data.registry import DATASETS, NamedDataset
from lsp_core.explain.neighborhood import Neighborhood, Reference, compare_neighborhoods, embed
from lsp_core.types import Classifier

empty, shipped = session.empty, session.shipped
PATIENCE = 20.0
ATTACK = PGD(0.3, steps=4, early_stop=False)


class Held(Classifier):
    """A small model that waits for leave before each pass."""

    def __init__(self):
        super().__init__()
        self.inner = TinyNet(classes=3)
        self.head, self.leave, self.passes = self.inner.head, threading.Event(), 0

    def features(self, images):
        self.passes += 1
        assert self.leave.wait(PATIENCE)
        return self.inner.features(images)


@pytest.fixture(autouse=True)
def _toy_data(monkeypatch):
    st.cache_resource.clear()
    monkeypatch.setitem(DATASETS, "toy", NamedDataset(lambda root, split, download: toy_dataset(split)))
    monkeypatch.setattr(surveys, "BATCH", 8)
    monkeypatch.setattr(surveys, "UNSEEN_AFTER", PATIENCE)  # a test looks once and waits
    yield
    st.cache_resource.clear()


def make_model(model, name="one"):
    classes = ("class 0", "class 1", "class 2")
    return LoadedModel(
        name, name, model.eval(), Card(name, "cnn", "toy", "standard", (1, 8, 8), classes, (0.0,), (1.0,))
    )


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_it_is_what_the_attack_does_to_all_at_once(monkeypatch):
    monkeypatch.setattr(surveys, "SURVEYED", 30)
    model = make_model(TinyNet(0, 3))
    found = survey(model, ATTACK)
    assert (found.count, found.over, found.wanted) == (0, False, 30)
    assert look_on([found], PATIENCE)
    assert (found.problem, found.count, len(found.parts)) == ("", 30, 4)
    data, rows = toy_dataset("test"), reference_rows("toy")
    images, labels = data.float(rows), data.labels[rows]
    attacked = ATTACK(model.model, images[:30], labels[:30])
    reference = Reference(images.flatten(1), embed(model.model, images))
    alone = compare_neighborhoods(model.model, images[:30], attacked, reference, 8, torch.arange(30))
    whole = Neighborhood.of(found.parts)
    for figure in ("overlap", "overlap_attacked", "kept"):
        assert getattr(whole, figure).tolist() == getattr(alone, figure).tolist()
    assert 0 < int(whole.kept.sum()) < 240


def test_it_is_done_once_for_everybody_and_anew_for_other_settings():
    model = make_model(TinyNet(0, 3))
    found = survey(model, ATTACK)
    assert look_on([found], PATIENCE)
    assert survey(model, dataclasses.replace(ATTACK)) is found
    parts = list(found.parts)
    assert look_on([found], 0)
    assert found.parts == parts
    assert survey(model, dataclasses.replace(ATTACK, steps=5)) is not found
    assert survey(dataclasses.replace(model, digest="two"), ATTACK) is not found


def test_nobody_looks_and_it_ends_and_somebody_looks_and_it_goes_on(monkeypatch):
    monkeypatch.setattr(surveys, "UNSEEN_AFTER", 0.05)
    model = make_model(Held())
    found = survey(model, ATTACK)
    work = found.look()
    until(lambda: model.model.passes == 1)
    time.sleep(0.1)
    model.model.leave.set()
    work.result(PATIENCE)
    assert (found.count, found.over, found.problem) == (0, False, "")
    with model.lock:  # which nobody holds any more
        pass
    monkeypatch.setattr(surveys, "UNSEEN_AFTER", PATIENCE)
    assert look_on([found], PATIENCE)
    assert found.count == found.wanted == 60


def test_what_was_there_before_a_pause_is_not_done_again(monkeypatch):
    model = make_model(TinyNet(0, 3))
    whole, paused = Survey(model, ATTACK, 60), Survey(model, ATTACK, 60)
    assert look_on([whole], PATIENCE)
    paused.parts.extend(whole.parts[:2])
    assert look_on([paused], PATIENCE)
    assert [len(part.moved) for part in paused.parts] == [len(part.moved) for part in whole.parts]
    assert [part.kept.tolist() for part in paused.parts] == [part.kept.tolist() for part in whole.parts]


def test_what_is_seen_of_it_is_whole_while_more_comes():
    """The list grows while it is read: here at the first look at a batch."""
    model = make_model(TinyNet(0, 3))
    whole, growing = Survey(model, ATTACK, 60), Survey(model, ATTACK, 60)
    assert look_on([whole], PATIENCE)

    class Late(Neighborhood):
        def __getattribute__(self, name):
            if name == "pixels":
                growing.parts.append(whole.parts[1])
            return super().__getattribute__(name)

    growing.parts.append(Late(**vars(whole.parts[0])))
    found = growing.found
    assert len(growing.parts) == 2
    assert len(found.pixels.indices) == len(found.before.indices) == len(found.moved) == 8


def test_two_who_look_at_once_begin_it_once():
    model = make_model(Held())
    found = survey(model, ATTACK)
    assert found.look() is found.look()
    model.model.leave.set()
    assert look_on([found], PATIENCE)
    assert found.count == 60


def test_while_somebody_waits_for_an_attack_it_stands_still():
    model = make_model(TinyNet(0, 3))
    found = survey(model, ATTACK)
    with urgent():
        assert not quiet.is_set()
        assert not look_on([found], 0.2)
        assert found.count == 0
        with model.lock:  # and the model is free
            pass
    assert quiet.is_set()
    assert look_on([found], PATIENCE)


def test_what_goes_wrong_is_a_sentence():
    model = make_model(TinyNet(0, 3))
    with torch.no_grad():
        model.model.body[3].bias.fill_(torch.nan)
    found = survey(model, ATTACK)
    assert look_on([found], PATIENCE)
    assert found.problem.endswith(".")
    with model.lock:
        pass


def test_the_page_shows_it_for_both_twins_whichever_comes_first(shipped):
    at = open_view()
    told = surveyed(at)
    assert told.index("Baseline") < told.index("near before and under attack")
    assert len(re.findall(r"\d+\.\d%", told)) == 6
    before = at.session_state["job"]
    at.session_state["gallery"] = next(row for row in gallery(at) if row != at.session_state["gallery"])
    settle(at.run())
    assert at.session_state["job"] is not before
    assert surveyed(at) == told  # other images: the very same survey
    at.selectbox(key="model-a").set_value("digits-cnn-standard-lsp")
    settle(at.run())
    assert surveyed(at) == told  # the baseline comes first, as everywhere


def test_a_page_does_not_wait_for_its_end(shipped, monkeypatch):
    monkeypatch.setattr(panel, "LONGEST", 0.3)
    monkeypatch.setattr(Survey, "_go_on", lambda self: None)
    at = open_view()
    assert 'class="card survey"' not in drawn(at)
    assert any("on 40 test images takes longer than this page waits" in caption.value for caption in at.caption)
    assert "saliency of the clean image" in drawn(at)
