"""The bars of how far each model can be trusted with one image: only when asked for, behind the page, and stopped."""

import time

import session
import torch
from conftest import TinyNet
from session import drawn, gallery, open_view, read, settle
from torch import nn

from app.figures.radii import Reach, bar, scale, written
from app.state import quests
from app.state.models import LoadedModel
from app.state.quests import Quest, begin
from lsp_core import Card

empty, shipped = session.empty, session.shipped
PATIENCE = 30.0


def ended(found):
    end = time.monotonic() + PATIENCE
    while found.active:
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def make_quest(kind="proved", model=None, **changes):
    classes = tuple("01234")
    card = Card("one", "cnn", "toy", "standard", (1, 8, 8), classes, (0.0,), (1.0,))
    model = (model or TinyNet()).eval()
    image = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    label = int(model(image[None]).argmax(1)) if not changes.pop("wrong", False) else 4
    return Quest(kind, LoadedModel("one", "one", model, card), image, label, "Linf", **changes)


# --- What a bar says ---


def test_the_parts_of_a_bar_are_the_radii():
    assert [(part["kind"], part["width"]) for part in bar(Reach(0.1, 0.3), 0.4)] == [
        ("safe", "25.00"),
        ("unknown", "50.00"),
        ("fooled", "25.00"),
    ]
    assert [part["kind"] for part in bar(Reach(None, None), 0.4)] == ["unknown"]
    assert [part["kind"] for part in bar(Reach(0.0, 0.0), 0.4)] == ["fooled"]
    assert [part["kind"] for part in bar(Reach(0.1, float("inf")), 0.4)] == ["safe", "unknown"]


def test_says_the_same_without_colour():
    assert Reach(0.05, 0.15).sentence == "proved safe up to 12.8/255 (0.050); fooled from 38.2/255 (0.150) (found)."
    assert Reach(None, None).sentence == "safe radius not worked out yet; smallest that fools not looked for yet."
    assert Reach(0.0, 0.0).sentence == "nothing proved; wrong before any attack."
    assert Reach(0.5, float("inf"), "L2").sentence == "proved safe up to 0.500; nothing found that fools."


def test_all_radii_are_on_the_scale():
    assert scale([Reach(0.1, 0.2), Reach(None, 0.3)], 0.05) > 0.3
    assert scale([Reach(None, float("inf"))], 0.2) > 0.2
    assert written(8 / 255, "Linf") == "8.0/255 (0.031)"


# --- Behind the page ---


def test_both_ends_are_found_and_the_safe_one_is_below():
    safe, fooled = ended(begin(make_quest())), ended(begin(make_quest("smallest")))
    assert (safe.state, fooled.state) == ("done", "done")
    assert 0 < safe.radius < fooled.radius
    assert fooled.guess != fooled.label
    assert fooled.model.model(fooled.picture[None]).argmax(1).item() == fooled.guess


def test_a_layer_without_a_bound_is_named():
    model = TinyNet()
    model.body = nn.Sequential(model.body, nn.Sigmoid())
    found = ended(begin(make_quest(model=model)))
    assert found.state == "failed"
    assert "sigmoid" in found.problem


def test_ends_when_stopped_or_unseen(monkeypatch):
    found = make_quest("smallest")
    found.stop_wanted = True
    assert ended(begin(found)).state == "stopped"
    monkeypatch.setattr(quests, "UNSEEN_AFTER", -1.0)
    assert ended(begin(make_quest("smallest"))).state == "stopped"


# --- On the page ---


def bars(at):
    return next(read(block.value) for block in at.html if 'class="card radii"' in block.value)


def press(at, key):
    at.button(key=key).click().run()
    end = time.monotonic() + PATIENCE
    while any(quest.active for quest in at.session_state["quests"][1]):
        assert time.monotonic() < end
        time.sleep(0.05)
        at.run()
    return settle(at.run())


def test_nothing_is_worked_out_before_a_button_is_pressed(shipped):
    at = open_view()
    assert "quests" not in at.session_state
    assert "safe radius not worked out yet" in bars(at)
    press(at, "smallest")
    assert "fooled from" in bars(at)
    assert "safe radius not worked out yet" in bars(at)
    assert "the closest image found that fools" in drawn(at)
    press(at, "proved")
    assert "proved safe up to" in bars(at)
    assert at.button(key="proved").disabled
    pair = at.session_state["quests"][1]
    assert {quest.kind for quest in pair} == {"proved", "smallest"}
    assert len(pair) == 4


def test_another_image_has_bars_of_its_own(shipped):
    at = press(open_view(), "smallest")
    at.session_state["gallery"] = next(row for row in gallery(at) if row != at.session_state["gallery"])
    settle(at.run())
    assert "fooled from" not in bars(at)
