"""Presets, and any attack of the table with settings of one's own."""

import pytest
import session
from session import open_view, settle, texts, verdicts

from app.panels.controls import CONTROLS
from app.panels.settings import OFFERED
from lsp_core.attacks import ATTACKS
from lsp_core.attacks.describe import most_steps

empty, shipped = session.empty, session.shipped
SHORT = {"steps": 3, "queries": 5, "draws": 4}


def keys(at):
    widgets = [*at.number_input, *at.selectbox, *at.toggle, *at.slider, *at.text_input]
    return {widget.key for widget in widgets if widget.key}


@pytest.mark.parametrize("name", OFFERED)
def test_an_attack_of_the_table_has_the_controls_that_it_takes_and_runs(shipped, name):
    at = open_view()
    at.get_by_key("preset").set_value("Own")
    at.run()
    at.selectbox(key="attack").set_value(name)
    at.run()
    takes = ATTACKS[name].takes
    shown = {key.removeprefix("own-").replace("-", "_") for key in keys(at) if key.startswith("own-")}
    assert shown == {key for key in CONTROLS if key in takes or key == "seed"}
    assert "steps" not in keys(at)  # the quick look's own
    for key, value in SHORT.items():
        if key in takes:
            at.number_input(key=f"own-{key}").set_value(value)
    at.button(key="run-attack").click()
    settle(at.run())
    job = at.session_state["job"]
    assert job.state == "done"
    assert all(0 <= len(lane.trace.images) - 1 <= most_steps(job.request.attack) for lane in job.lanes)
    assert len(verdicts(at)) == 2


def test_settings_reach_the_attack(shipped):
    at = open_view()
    at.get_by_key("preset").set_value("Own")
    at.run()
    at.text_input(key="own-alpha").set_value("2/255")
    at.number_input(key="own-seed").set_value(9)
    at.toggle(key="own-random-start").set_value(False)
    at.slider(key="own-momentum").set_value(0.5)
    at.number_input(key="own-restarts").set_value(2)
    at.button(key="run-attack").click()
    settle(at.run())
    attack = at.session_state["job"].request.attack
    assert (attack.alpha, attack.seed, attack.random_start, attack.momentum, attack.restarts) == (
        2 / 255,
        9,
        False,
        0.5,
        2,
    )
    assert not attack.early_stop  # a trace wants every step


def test_what_cannot_be_meant_is_a_sentence(shipped):
    at = open_view()
    at.get_by_key("preset").set_value("Own")
    at.run()
    at.selectbox(key="own-loss").set_value("kl")
    at.toggle(key="own-random-start").set_value(False)
    settle(at.run())
    assert "it needs a random start" in texts(at.error)
    at.toggle(key="own-random-start").set_value(True)
    at.text_input(key="own-alpha").set_value("a little")
    settle(at.run())
    assert not at.error
    assert "step size must be a number" in texts(at.caption)


@pytest.mark.parametrize("preset", ["Standard", "Strongest"])
def test_a_stronger_preset_keeps_what_the_quick_look_fooled(shipped, preset):
    """More attacks never help the defender; what the quick look fools, the ensemble fools, too."""
    at = open_view()
    quick = [lane.trace.fooled_at is not None for lane in at.session_state["job"].lanes]
    at.get_by_key("preset").set_value(preset)
    at.run()
    at.button(key="run-attack").click()
    settle(at.run())
    strong = [lane.trace.fooled_at is not None for lane in at.session_state["job"].lanes]
    assert all(after >= before for before, after in zip(quick, strong, strict=True))
    assert "at most" in texts(at.caption)
