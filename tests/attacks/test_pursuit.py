"""A GPU is asked every few steps who is fooled; here a processor is made to do the same."""

import pytest
import torch
from conftest import RowByRow, random_batch

from lsp_core.attacks import APGD, PGD, Noise, Square, pursuit

ATTACKS = [
    PGD(0.05, steps=13),
    PGD(0.05, steps=16, restarts=2),
    PGD(0.05, steps=3),
    APGD(0.05, steps=20),
    APGD(0.05, steps=9, targets=3),
    Square(0.1, queries=30),
    Noise(0.2, draws=11),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{type(attack).__name__}-{attack.passes}")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_patience_changes_no_verdict(attack, precision, monkeypatch):
    net = RowByRow(2).eval()
    images, labels = random_batch(net, 40)
    if hasattr(attack, "precision"):
        object.__setattr__(attack, "precision", precision)
    prompt = attack(net, images, labels)
    begin = pursuit.Pursuit.__init__

    def patient(self, *arguments, **named):
        begin(self, *arguments, **named)
        self._patience = pursuit.PATIENCE

    monkeypatch.setattr(pursuit.Pursuit, "__init__", patient)
    late = attack(net, images, labels)
    fooled = [net(found).argmax(1) != labels for found in (prompt, late)]
    assert 0 < fooled[0].sum() < 40
    if precision == "float32":
        assert fooled[0].equal(fooled[1])
        torch.testing.assert_close(late[fooled[0]], prompt[fooled[0]], rtol=0, atol=1e-6)  # as the first that fooled
    else:
        assert abs(int(fooled[0].sum()) - int(fooled[1].sum())) <= 2
