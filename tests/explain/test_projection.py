"""An embedding in two dimensions: by hand, and as scikit-learn has it."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from lsp_core.explain.projection import Projection


def test_a_cross_is_laid_along_its_arms():
    """Arms of 3 along z and 1 along x: the spread is 2 * 9 and 2 * 1, all of it in two directions."""
    points = torch.tensor([[0.0, 5, 3], [0, 5, -3], [1, 5, 0], [-1, 5, 0]])
    found = Projection.of(points)
    assert found.mean.tolist() == [0, 5, 0]
    assert torch.allclose(found.axes, torch.tensor([[0.0, 0, 1], [1, 0, 0]]), atol=1e-6)
    assert found.share == pytest.approx(1)
    assert torch.allclose(found(torch.tensor([[2.0, 9, -4]])), torch.tensor([[-4.0, 2]]), atol=1e-6)


def test_it_is_what_scikit_learn_finds():
    points = np.random.default_rng(0).normal(size=(60, 7)) * np.arange(1, 8)
    oracle = PCA(2).fit(points)
    found = Projection.of(torch.as_tensor(points))
    assert found.share == pytest.approx(oracle.explained_variance_ratio_.sum())
    for own, other in zip(found(torch.as_tensor(points)).T, oracle.transform(points).T, strict=True):
        sign = np.sign(own.numpy() @ other)
        assert np.allclose(own.numpy(), sign * other)


def test_the_same_points_in_another_order_give_the_same_map():
    points = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(Projection.of(points).axes, Projection.of(points.flip(0)).axes, atol=1e-5)


@pytest.mark.parametrize("points", [torch.zeros(1, 5), torch.zeros(5, 1), torch.zeros(5)])
def test_too_few_points_are_refused(points):
    with pytest.raises(ValueError, match="both at least 2"):
        Projection.of(points)
    with pytest.raises(ValueError, match="not all finite"):
        Projection.of(torch.full((3, 3), torch.nan))
