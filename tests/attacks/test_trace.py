"""Traces: what an attack did at every step, told by the attack and checked with the model."""

import pytest
import torch
from conftest import TinyNet, random_batch

from lsp_core.attacks import APGD, FGSM, PGD, Noise, Square
from lsp_core.attacks.losses import LOSSES, cross_entropy, margin
from lsp_core.attacks.trace import trace

EVERY = [
    Noise(0.1, draws=4),
    FGSM(0.1),
    PGD(0.1, steps=6, restarts=2),
    PGD(0.1, steps=6, loss="kl"),
    APGD(0.1, steps=8),
    Square(0.1, queries=12),
]


@pytest.mark.parametrize("attack", EVERY, ids=repr)
def test_a_trace_is_what_the_model_says_of_every_image(attack):
    net = TinyNet().eval()
    images, labels = random_batch(net)
    found = trace(attack, net, images, labels, keep_images=True)
    assert len(found.number) == len(found.restart) == len(found.images) > 1
    with torch.no_grad():
        for step, shown in enumerate(found.images):
            logits = net(shown)
            torch.testing.assert_close(found.margin[step], margin(logits, labels))
            assert found.predicted[step].equal(logits.argmax(1))
            if getattr(attack, "loss", None) == "kl":
                torch.testing.assert_close(found.loss[step], LOSSES["kl"](logits, net(images)))
            elif getattr(attack, "loss", None) == "ce":
                torch.testing.assert_close(found.loss[step], cross_entropy(logits, labels))
            else:
                torch.testing.assert_close(found.loss[step], found.margin[step])
    assert found.images[-1].equal(found.adversarial)
    assert trace(attack, net, images, labels).images is None


def test_a_trace_shows_the_whole_way():
    net = TinyNet().eval()
    images, labels = random_batch(net)
    found = trace(PGD(0.5, steps=10), net, images, labels, keep_images=True)
    fooled = found.margin > 0
    early = fooled.any(0) & (fooled.float().argmax(0) < 5)
    assert early.any()
    moves = (found.images[1:] - found.images[:-1]).abs().amax((2, 3, 4))
    assert (moves[6:, early] > 0).any()  # nobody stops where it is fooled


def test_a_targeted_trace_climbs_towards_the_target():
    net = TinyNet().eval()
    images, labels = random_batch(net)
    found = trace(PGD(0.3, steps=10, targeted=True), net, images, (labels + 1) % 5)
    assert found.loss[-1].mean() > found.loss[0].mean()
    torch.testing.assert_close(found.loss[-1], -cross_entropy(net(found.adversarial), (labels + 1) % 5))
