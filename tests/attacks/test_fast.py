"""The fast ensemble, and passes in half precision that decide nothing."""

import pytest
import torch
from conftest import LinearPair, TinyNet, random_batch

from lsp_core import evaluate
from lsp_core.attacks import APGD, PGD, Square, fast
from lsp_core.types import Classifier


class Liar(Classifier):
    """Right in full precision; in half precision it says that everything is fooled."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, images):
        half = torch.is_autocast_enabled("cpu")
        self.asked.append(half)
        brightness = images.flatten(1).mean(1)
        logits = torch.stack([brightness + 2, brightness * 0 + 1, 0 * brightness], 1)
        return logits.flip(1) if half else logits


HALF = [
    PGD(0.1, steps=4, precision="bfloat16"),
    APGD(0.1, steps=4, precision="bfloat16"),
    Square(0.1, queries=4, precision="bfloat16"),
]


@pytest.mark.parametrize("attack", HALF, ids=lambda attack: type(attack).__name__)
def test_half_precision_fools_nobody(attack):
    images, labels = torch.rand(6, 1, 8, 8), torch.zeros(6, dtype=torch.int64)
    model, seen = Liar().eval(), []
    result = evaluate(model, images, labels, attack)
    assert result.robust_accuracy == 1
    assert {True, False} == set(model.asked)
    attack(model, images, labels, on_step=seen.append)
    assert len(seen) >= 4  # nobody left early
    assert all((step.logits.argmax(1) == 0).all() for step in seen)  # what is shown is what full precision says


@pytest.mark.parametrize("enabled", [True, False])
def test_full_precision_is_the_callers_own(enabled):
    model = Liar().eval()
    images, labels = torch.rand(6, 1, 8, 8), torch.zeros(6, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        PGD(0.1, steps=2, early_stop=False)(model, images, labels)
    assert set(model.asked) == {enabled}


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_ensemble_leaves_no_more_than_any_of_its_parts(norm, trained, digits_test):
    images, labels = digits_test.float(slice(0, 40)), digits_test.labels[:40]
    eps = 0.1 if norm == "Linf" else 0.7
    whole = evaluate(trained, images, labels, fast(eps, norm))
    for attack in (PGD(eps, steps=20, norm=norm), APGD(eps, steps=30, norm=norm), Square(eps, queries=100, norm=norm)):
        alone = evaluate(trained, images, labels, attack)
        assert whole.robust_accuracy <= alone.robust_accuracy
    assert 0 < whole.robust_accuracy < whole.clean_accuracy


def test_half_precision_finds_nearly_what_full_precision_finds(trained, digits_test):
    images, labels = digits_test.float(slice(0, 50)), digits_test.labels[:50]
    half, full = (evaluate(trained, images, labels, fast(0.1, precision=kind)) for kind in ("bfloat16", "float32"))
    assert abs(int(half.robust_correct.sum()) - int(full.robust_correct.sum())) <= 2


def test_two_and_five_classes_are_enough():
    pair = LinearPair(torch.ones(1, 8, 8), bias=-32.0).eval()
    images = torch.full((4, 1, 8, 8), 0.5) + torch.tensor([-0.2, -0.05, 0.05, 0.2]).view(4, 1, 1, 1)
    labels = torch.tensor([0, 0, 1, 1])
    assert evaluate(pair, images, labels, fast(0.1)).robust_correct.tolist() == [True, False, False, True]
    net = TinyNet().eval()
    assert evaluate(net, *random_batch(net), fast(0.0)).robust_accuracy == 1
