"""The main page in a simulated session, with the shipped digits."""

import session
import streamlit as st
import torch
from session import drawn, gallery, open_view, read, settle, surveyed, texts, verdicts

from app.panels.table import PANELS
from lsp_core.explain.saliency import METHODS, Method

empty, shipped = session.empty, session.shipped
KEYS = ("verdict", "step", "neighbors", "survey", "saliency", "gallery", "upload", "eps", "steps", "norm", "run-attack")


def test_the_page_opens_with_an_attack_that_tells_the_twins_apart(shipped):
    at = open_view()
    assert at.selectbox(key="model-a").value == "digits-cnn-standard"
    assert at.selectbox(key="model-b").value == "digits-cnn-standard-lsp"
    baseline, lsp = verdicts(at)
    assert baseline.startswith("Baseline: ")
    assert lsp.startswith("LSP: ")
    assert ("fooled" in baseline) != ("fooled" in lsp)
    assert not at.error
    assert not at.warning
    assert [block.value for block in at.subheader] == [
        "Are the neighbours kept?",
        "How far can each be trusted with this image?",
        "Where does each model look?",
    ]
    panels = drawn(at)
    assert panels.count("of 8</b> neighbours") == 2
    assert read(panels).count("in pixels") >= 2
    assert "Over 40 test images, " in surveyed(at)
    assert panels.count("saliency of the clean image") == panels.count("saliency of the attacked image") == 2
    for key in KEYS:  # what tests and links rely on
        assert at.get_by_key(key) is not None
    for method, row in METHODS.items():
        at.get_by_key("method").set_value(method)
        settle(at.run())
        assert any(caption.value.startswith(f"{method} by Captum. {row.note}") for caption in at.caption)


def test_a_new_panel_and_a_new_saliency_method_are_a_line_each(shipped, monkeypatch):
    monkeypatch.setitem(PANELS, "mine", lambda job: st.text(f"{len(job.lanes)} lanes in a panel of mine"))
    monkeypatch.setitem(METHODS, "Mine", Method(lambda model, images, targets: images, "Red is bright", "nobody"))
    at = open_view()
    assert "2 lanes in a panel of mine" in [block.value for block in at.text]
    assert at.get_by_key("mine") is not None
    before = drawn(at)
    at.get_by_key("method").set_value("Mine")
    settle(at.run())
    assert any(caption.value.startswith("Mine by nobody. Red is bright") for caption in at.caption)
    assert drawn(at) != before


def test_another_image_is_attacked_at_once(shipped):
    at = open_view()
    before = at.session_state["job"]
    rows = gallery(at)
    other = next(row for row in rows if row != at.session_state["gallery"])
    at.session_state["gallery"] = other
    settle(at.run())
    after = at.session_state["job"]
    assert after is not before
    assert after.request.picture == f"digits {other}"
    assert len(verdicts(at)) == 2


def test_settings_wait_for_the_button(shipped):
    at = open_view()
    first = at.session_state["job"]
    at.slider(key="steps").set_value(3)
    settle(at.run())
    assert at.session_state["job"] is first
    assert "settings have changed" in texts(at.info)
    at.button(key="run-attack").click()
    settle(at.run())
    assert at.session_state["job"].request.attack.steps == 3
    assert len(at.session_state["job"].lanes[0].trace.images) == 4
    assert not at.info


def test_with_radius_0_nothing_is_fooled(shipped):
    at = open_view()
    at.select_slider(key="eps").set_value(0)
    at.button(key="run-attack").click()
    settle(at.run())
    job = at.session_state["job"]
    assert job.request.attack.eps == 0
    assert all(torch.equal(lane.trace.adversarial, lane.trace.image) for lane in job.lanes)
    assert all("still" in sentence or "wrong before any attack" in sentence for sentence in verdicts(at))
    assert all(lane.neighborhood.kept.tolist() == [lane.neighborhood.k] for lane in job.lanes)


def test_l2_has_radii_of_its_own(shipped):
    at = open_view()
    at.get_by_key("norm").set_value("L2")
    at.run()
    at.button(key="run-attack").click()
    settle(at.run())
    job = at.session_state["job"]
    assert job.request.attack.norm == "L2"
    spent = max(float((lane.trace.images - lane.trace.image).flatten(1).norm(dim=1).max()) for lane in job.lanes)
    assert 0 < spent <= job.request.attack.eps * (1 + 1e-4)


def test_choosing_a_model_brings_its_twin(shipped):
    at = open_view()
    at.selectbox(key="model-a").set_value("digits-cnn-pgd-at-lsp")
    settle(at.run())
    assert at.selectbox(key="model-b").value == "digits-cnn-pgd-at"
    assert [sentence.split(":")[0] for sentence in verdicts(at)] == ["LSP", "Baseline"]
    at.selectbox(key="model-b").set_value("digits-cnn-standard")
    settle(at.run())
    names = [sentence.split(":")[0] for sentence in verdicts(at)]
    assert names == ["digits-cnn-pgd-at-lsp", "digits-cnn-standard"]  # no twins: their own names


def test_choices_survive_a_look_at_another_view(shipped):
    at = open_view()
    at.selectbox(key="model-a").set_value("digits-cnn-pgd-at")
    at.slider(key="steps").set_value(7)
    settle(at.run())
    job = at.session_state["job"]
    at.switch_page("views/robustness.py").run()
    at.switch_page("views/attack.py").run()
    settle(at)
    assert at.selectbox(key="model-a").value == "digits-cnn-pgd-at"
    assert at.slider(key="steps").value == 7
    assert at.session_state["job"] is job
