"""The probe: each attack once, batch by batch, on what the model gets right."""

import pytest
import torch
from conftest import TinyNet
from fabricated import small

from lsp_core.attacks import FGSM, Square
from lsp_core.audit import controls
from lsp_core.audit.probe import Probe
from lsp_core.types import Step

WRAPPERS = ("ScaledLogits", "Quantized", "Thermometer", "RandomResize", "SoftmaxOutputs")


def test_a_probe_runs_an_attack_once_and_batches_end_alike():
    model, x, y = small()
    probe = Probe(model, x, y, 0.1, batch_size=25)
    attack = probe.attacks.restarted()
    run = probe.run(attack)
    assert probe.run(attack) is run
    assert run.fooled.shape == run.margins.shape == (len(run.restarts), 60)
    assert run.excess <= 1e-6
    assert run.correct == int((model(attack(model, x[:25], y[:25])).argmax(1) == y[:25]).sum()) + sum(
        int((model(attack(model, x[rows], y[rows])).argmax(1) == y[rows]).sum())
        for rows in (slice(25, 50), slice(50, 60))
    )
    assert run.within(1) >= run.within(3) >= run.within(5) == run.correct


def test_only_what_is_right_is_attacked():
    model, x, y = small()
    y = y.clone()
    y[:10] = (y[:10] + 1) % 5
    probe = Probe(model, x, y, 0.1)
    assert (probe.n, len(probe.labels)) == (60, 50)
    assert probe.run(probe.attacks.fgsm()).survived.shape == (50,)


def test_every_attack_counts_however_it_is_run():
    model, x, y = small()
    probe = Probe(model, x, y, 0.1, batch_size=25)
    wide, narrow = FGSM(0.2), FGSM(0.05)
    assert probe.run(wide).correct < probe.run(narrow).correct < 60
    assert probe.standing.equal(probe.run(narrow).unbroken)  # the wide one leaves the ball that is asked about
    assert list(probe.ran) == ["FGSM"]
    rows = torch.arange(60) < 30
    left = probe.left_of(rows, Square(0.1, 20))
    assert 0 < left.sum() < 30
    assert not left[30:].any()
    assert probe.standing.equal(probe.run(narrow).unbroken & (left | ~rows))
    assert list(probe.ran) == ["FGSM", "Square-20"]
    assert max(probe.excess.values()) <= 1e-6
    assert probe.excess.keys() == {wide, narrow, Square(0.1, 20)}


def test_an_attack_that_returns_what_is_no_number_has_left_its_ball(monkeypatch):
    def broken(attack, model, images, labels, *, on_step=None):
        on_step(Step(0, 0, images, model(images)))
        return images * torch.nan

    monkeypatch.setattr(FGSM, "__call__", broken)
    probe = Probe(*small(), 0.1)
    probe.run(probe.attacks.fgsm())
    assert list(probe.excess.values()) == [torch.inf]


def test_a_model_without_a_path_to_the_pixels_is_attacked_with_a_zero_gradient():
    model, x, y = small()
    probe = Probe(controls.Thermometer(model), x, y, 0.1)
    assert not probe.connected
    assert torch.equal(probe.predict(x), controls.Thermometer(model)(x))
    assert Probe(model, x, y, 0.1).connected


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrappers_take_over_the_mode(name):
    model, x, _ = small()
    wrapped = getattr(controls, name)(model)
    assert not wrapped.training
    assert getattr(controls, name)(TinyNet()).training
    assert wrapped(x).shape == (60, 5)
