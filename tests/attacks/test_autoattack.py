"""AutoAttack: the library as it is, on a batch that comes back within our contract."""

import logging
import sys

import pytest
import torch
from conftest import RowByRow, TinyNet, random_batch
from torch import nn

from lsp_core.attacks import APGD, PGD, AutoAttack, Square
from lsp_core.evaluation import evaluate

pyautoattack = pytest.importorskip("pyautoattack", reason="pyautoattack is not installed.")


def case(seed=0, count=6):
    net = RowByRow(seed).eval()
    images = random_batch(net, count, seed)[0]
    return net, images, net(images).argmax(1)


def test_the_whole_of_it_is_no_weaker_than_any_attack_alone():
    net, images, labels = case(count=24)
    stands = evaluate(net, images, labels, AutoAttack(0.08)).robust_correct
    assert 0 < stands.sum() < 24
    for attack in (PGD(0.08, steps=20), APGD(0.08, 50), Square(0.08, 200)):
        assert not (stands & ~evaluate(net, images, labels, attack).robust_correct).any()


@pytest.fixture
def runs(monkeypatch):
    """The referees that were asked, with few queries."""
    asked = []

    class Noted(pyautoattack.AutoAttack):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            asked.append((self, settings))
            self.square.n_queries = self.fab.n_iter = self.apgd.n_iter = self.apgd_targeted.n_iter = 3

    monkeypatch.setattr(pyautoattack, "AutoAttack", Noted)
    return asked


def test_asks_for_the_standard_version_with_its_own_settings(runs):
    AutoAttack(0.1, "L2", seed=7)(*case())
    referee, settings = runs[0]
    assert settings["version"] == "standard"
    assert (referee.norm, referee.epsilon, referee.seed) == ("L2", 0.1, 7)
    assert referee.attacks_to_run == ["apgd-ce", "apgd-t", "fab-t", "square"]
    assert referee.square.rescale_schedule is False


@pytest.mark.parametrize("classes", [4, 5, 9, 10, 12])
def test_targets_as_many_classes_as_there_are(classes, runs):
    # The library aims at nine wrong classes, and fails with an IndexError where there are fewer.
    net = TinyNet(classes=classes).eval()
    images, labels = random_batch(net, 4)
    AutoAttack(0.05)(net, images, labels)
    referee = runs[0][0]
    expected = min(9, classes - 1)
    assert (referee.fab.n_target_classes, referee.apgd_targeted.n_target_classes) == (expected, expected)


@pytest.mark.parametrize("classes", [2, 3])
def test_refuses_too_few_classes(classes):
    net = TinyNet(classes=classes).eval()
    with pytest.raises(ValueError, match=f"four classes or more, but the model has {classes}"):
        AutoAttack(0.05)(net, *random_batch(net, 4))


def test_leaves_gradients_of_parameters_alone_even_when_it_fails(runs):
    # FAB calls backward, which adds to .grad of everything that asks for it.
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.calls = TinyNet(), 0

        def forward(self, images):
            self.calls += 1
            if self.calls == 40:
                raise InterruptedError
            return self.net(images)

    net = TinyNet().eval()
    net.head.bias.requires_grad_(False)
    images, labels = random_batch(net, 4)
    AutoAttack(0.01)(net, images, labels)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert [name for name, parameter in net.named_parameters() if not parameter.requires_grad] == ["head.bias"]
    fragile = Fragile().eval()
    state = torch.get_rng_state()
    with pytest.raises(InterruptedError):
        AutoAttack(0.01)(fragile, images, labels)
    assert all(parameter.requires_grad for parameter in fragile.parameters())
    assert torch.get_rng_state().equal(state)


def test_on_step_sees_the_start_and_the_end(runs):
    net, images, labels = case(count=12)
    steps = []
    adversarial = AutoAttack(0.2)(net, images, labels, on_step=steps.append)
    assert [step.number for step in steps] == [0, 1]
    assert steps[0].images.equal(images)
    assert steps[1].images.equal(adversarial)
    assert (net(adversarial).argmax(1) != labels).any()


def test_prints_and_logs_nothing_of_its_own(runs, capsys, caplog):
    with caplog.at_level(logging.DEBUG):
        AutoAttack(0.05)(*case())
    assert capsys.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno < logging.WARNING]


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(ValueError, match="needs the library pyautoattack: pip install pyautoattack"):
        AutoAttack(0.05)(*case())
