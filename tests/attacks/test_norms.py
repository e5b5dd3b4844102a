"""The balls: hand-worked values, then what must hold for every norm."""

import pytest
import torch

from lsp_core.attacks.draws import Draws
from lsp_core.attacks.norms import NORMS

SHAPE = (500, 1, 4, 4)


def rand(seed=0, shape=SHAPE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_sizes_by_hand():
    delta = torch.tensor([[3.0, -4.0], [0.0, 0.5]]).view(2, 1, 1, 2)
    assert NORMS["Linf"].size(delta).tolist() == [4.0, 0.5]
    assert NORMS["L2"].size(delta).tolist() == [5.0, 0.5]


def test_projections_by_hand():
    delta = torch.tensor([[3.0, -4.0], [0.0, 0.5]]).view(2, 1, 1, 2)
    assert NORMS["Linf"].project(delta, 1.0).flatten(1).tolist() == [[1.0, -1.0], [0.0, 0.5]]
    torch.testing.assert_close(NORMS["L2"].project(delta, 1.0).flatten(1), torch.tensor([[0.6, -0.8], [0.0, 0.5]]))


@pytest.mark.parametrize("scale", [1e-30, 1e-14, 1.0, 1e30])
def test_a_gradient_of_any_size_gives_a_whole_l2_step(scale):
    gradient = scale * torch.tensor([3.0, -4.0, 0.0, 0.0]).view(1, 1, 2, 2)
    step = NORMS["L2"].direction(gradient).flatten()
    torch.testing.assert_close(step, torch.tensor([0.6, -0.8, 0.0, 0.0]))


def test_directions_by_hand():
    gradient = torch.tensor([[3.0, -4.0], [0.0, 0.0]]).view(2, 1, 1, 2)
    assert NORMS["Linf"].direction(gradient).flatten(1).tolist() == [[1.0, -1.0], [0.0, 0.0]]
    torch.testing.assert_close(NORMS["L2"].direction(gradient).flatten(1), torch.tensor([[0.6, -0.8], [0.0, 0.0]]))


@pytest.mark.parametrize("norm", NORMS)
def test_projection_ends_in_the_ball_and_moves_nothing_inside(norm):
    ball, delta = NORMS[norm], rand()
    inside = ball.project(delta, 0.7)
    assert (ball.size(inside) <= 0.7 * (1 + 1e-6)).all()
    torch.testing.assert_close(ball.project(inside, 0.7), inside)
    assert ball.project(delta * 1e-3, 0.7).equal(delta * 1e-3)
    assert (ball.project(delta, 0.0) == 0).all()


@pytest.mark.parametrize("norm", NORMS)
def test_projection_is_the_nearest_point_of_the_ball(norm):
    ball, delta = NORMS[norm], rand(shape=(50, 1, 2, 2))
    nearest = (ball.project(delta, 0.5) - delta).flatten(1).norm(dim=1)
    for seed in range(20):
        other = ball.random(delta, 0.5, Draws(delta, seed))
        assert ((other - delta).flatten(1).norm(dim=1) >= nearest - 1e-6).all()


@pytest.mark.parametrize("norm", NORMS)
def test_direction_gains_most_among_unit_steps(norm):
    ball, gradient = NORMS[norm], rand(shape=(50, 1, 2, 2))
    step = ball.direction(gradient)
    torch.testing.assert_close(ball.size(step), torch.ones(50))
    for seed in range(20):
        other = ball.random(gradient, 1.0, Draws(gradient, seed))
        assert ((other * gradient).flatten(1).sum(1) <= (step * gradient).flatten(1).sum(1) + 1e-6).all()


@pytest.mark.parametrize(("norm", "dimensions"), [("Linf", 1), ("L2", 16)])
def test_random_points_are_uniform_in_the_ball(norm, dimensions):
    # P(size <= r eps) is r^D for the L2 ball; for Linf every pixel is uniform. torchattacks#83 drew no L2 start at all.
    ball = NORMS[norm]
    images = rand(shape=(4000, 1, 4, 4))
    drawn = ball.random(images, 2.0, Draws(images, 0))
    sizes = ball.size(drawn) if norm == "L2" else drawn.abs().flatten()
    assert sizes.max() <= 2.0 * (1 + 1e-6)
    for share in (0.25, 0.5, 0.9):
        expected = share ** (1 / dimensions)
        assert (sizes / 2.0).quantile(share).item() == pytest.approx(expected, abs=0.02)
    assert drawn.mean(0).abs().max() < 0.1
    assert len(drawn.flatten(1).unique(dim=0)) == 4000  # every image has a start of its own


@pytest.mark.parametrize("norm", NORMS)
def test_random_follows_seed_and_turn_and_takes_an_empty_batch(norm):
    first, again, other = (NORMS[norm].random(rand(), 1.0, Draws(rand(), seed)) for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)
    assert not first.equal(NORMS[norm].random(rand(), 1.0, Draws(rand(), 1), turn=1))
    empty = torch.zeros(0, 1, 4, 4)
    assert NORMS[norm].random(empty, 1.0, Draws(empty, 0)).shape == (0, 1, 4, 4)
