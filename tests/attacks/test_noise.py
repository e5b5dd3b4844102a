"""Noise: uniform draws, and what is kept of them."""

import pytest
import torch
from conftest import Counted, LinearPair, Stubborn, TinyNet, alike, random_batch

from lsp_core.attacks import Noise
from lsp_core.attacks.norms import NORMS
from lsp_core.evaluation import evaluate


@pytest.mark.parametrize("norm", NORMS)
def test_draws_uniformly_from_the_ball(norm):
    images, labels = alike(2000, 1, 2, 2), torch.zeros(2000, dtype=torch.int64)
    delta = Noise(0.2, draws=1, norm=norm)(Stubborn().eval(), images, labels) - images
    sizes = NORMS[norm].size(delta) / 0.2
    for share in (0.1, 0.5, 0.9):  # both the largest of four numbers and the radius in four dimensions
        assert sizes.quantile(share).item() == pytest.approx(share ** (1 / 4), abs=0.02)
    assert len(delta.flatten(1).unique(dim=0)) == 2000
    assert delta.mean(0).abs().amax() < 0.01


def test_every_draw_is_another_and_more_draws_begin_with_the_same():
    net = Stubborn().eval()
    images, labels = alike(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64)
    steps = []
    last = Noise(0.1, draws=5)(net, images, labels, on_step=steps.append)
    assert [step.number for step in steps] == list(range(5))
    assert len({step.images.sum().item() for step in steps}) == 5
    assert last.equal(steps[-1].images)
    assert Noise(0.1, draws=3)(net, images, labels).equal(steps[2].images)
    assert not Noise(0.1, draws=3, seed=1)(net, images, labels).equal(steps[2].images)


def test_the_first_draw_that_fools_is_kept_and_costs_nothing_more():
    # One pixel at 0.5 - d is fooled by a draw above d: with probability (0.1 - d) / 0.2.
    images, labels = torch.linspace(0.3, 0.5, 200).view(-1, 1, 1, 1), torch.zeros(200, dtype=torch.int64)
    model = Counted(LinearPair(torch.ones(1), bias=-0.5))
    steps = []
    adversarial = Noise(0.1, draws=6)(model, images, labels, on_step=steps.append)
    guesses = torch.stack([step.logits.argmax(1) for step in steps])
    assert (guesses[1:] >= guesses[:-1]).all()  # once fooled, always fooled
    assert all((step.images - images).abs().amax() <= 0.1 + 1e-6 for step in steps)  # the draw of its own image
    standing = [int((row == 0).sum()) for row in guesses]
    assert model.forwards == [200, *standing[:-1]]
    assert not model.backwards
    fooled = guesses[0] == 1
    assert 20 < fooled.sum() < 80
    assert adversarial[fooled].equal(steps[0].images[fooled])
    assert standing[-1] >= 100  # those below 0.4 can never be fooled
    shares = 1 - ((0.1 - (0.5 - images.flatten())).clamp(0, None) / 0.2)
    assert standing[0] == pytest.approx(shares.sum().item(), abs=15)
    assert standing[-1] == pytest.approx((shares**6).sum().item(), abs=12)


def test_more_draws_never_help_the_defender():
    net = TinyNet().eval()
    images, labels = random_batch(net, 60)
    stands = [evaluate(net, images, labels, Noise(0.9, draws=draws)).robust_correct for draws in (1, 5, 50)]
    assert not (stands[1] & ~stands[0]).any()
    assert not (stands[2] & ~stands[1]).any()


def test_targeted_noise_waits_for_the_target():
    images, labels = alike(50, 1, 1, 1, value=0.45), torch.ones(50, dtype=torch.int64)
    model = LinearPair(torch.ones(1), bias=-0.5).eval()
    reached = model(Noise(0.1, draws=20, targeted=True)(model, images, labels)).argmax(1)
    assert reached.float().mean() > 0.9  # a draw does it with probability a quarter
    assert model(Noise(0.1, draws=1, targeted=True)(model, images, labels)).argmax(1).float().mean() < 0.6
