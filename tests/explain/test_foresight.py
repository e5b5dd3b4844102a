"""What one gradient foresees: exact on linear models, and a good guess on a shipped one."""

import pytest
import torch
from conftest import LinearPair

from lsp_core import evaluate, load_checkpoint, load_dataset
from lsp_core.attacks import PGD
from lsp_core.explain.foresight import foreseen_margin


@pytest.mark.parametrize(("norm", "length"), [("Linf", 7.0), ("L2", 5.0)])
def test_a_linear_margin_shrinks_by_eps_times_the_dual_norm(norm, length):
    """w = (3, -4, 0, 0): |w|_1 = 7 and |w|_2 = 5. At x = (1, 0.5, 0, 0) the second logit leads by 3 - 2 + 0.25."""
    model = LinearPair(torch.tensor([3.0, -4.0, 0.0, 0.0]), 0.25).eval()
    images = torch.tensor([1.0, 0.5, 0.0, 0.0]).view(1, 1, 2, 2).repeat(2, 1, 1, 1)
    left = foreseen_margin(model, images, torch.tensor([1, 0]), 0.1, norm)
    assert left.tolist() == pytest.approx([1.25 - 0.1 * length, -1.25 - 0.1 * length])
    assert not images.requires_grad


def test_it_foresees_most_of_what_an_attack_does():
    model, card = load_checkpoint("checkpoints/digits-cnn-standard.safetensors")
    data = load_dataset("digits")
    images, labels = data.float(slice(0, 200)), data.labels[:200]
    held = torch.as_tensor(evaluate(model, images, labels, PGD(card.eps, steps=20)).robust_correct)
    foreseen = foreseen_margin(model, images, labels, card.eps) > 0
    assert float((held == foreseen).float().mean()) > 0.8


def test_outputs_that_are_not_finite_are_refused():
    model = LinearPair(torch.full((4,), torch.inf)).eval()
    with pytest.raises(ValueError, match="not finite"):
        foreseen_margin(model, torch.ones(1, 1, 2, 2), torch.tensor([0]), 0.1)
