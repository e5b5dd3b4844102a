"""Neighbourhood figures: hand-worked values, scikit-learn, and slow loops."""

import pytest
import torch
from sklearn.manifold import trustworthiness as sklearn_trustworthiness

from lsp_core.neighborhoods import continuity, figures, knn, knn_overlap, trustworthiness


def points(count=60, dimensions=5, seed=0):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_trustworthiness_by_hand():
    # The embedding swaps points 0 and 3, so the nearest of 0, 1, 2, 3, 4 become 2, 3, 1, 1, 0, whose ranks among the
    # inputs are 2, 3, 1, 3, 4. Their excess over k = 1 is 1 + 2 + 0 + 2 + 3 = 8, and T = 1 - 2 * 8 / (5 * 1 * 6).
    inputs = torch.tensor([[0.0], [1.0], [2.1], [3.3], [4.6]])
    embedding = torch.tensor([[3.3], [1.0], [2.1], [0.0], [4.6]])
    assert trustworthiness(inputs, embedding, 1) == pytest.approx(14 / 30)


def slow_trustworthiness(inputs, embedding, k):
    count, total = len(inputs), 0
    for i in range(count):
        others = [j for j in range(count) if j != i]
        by_input = sorted(others, key=lambda j: ((inputs[i] - inputs[j]) ** 2).sum().item())
        by_embedding = sorted(others, key=lambda j: ((embedding[i] - embedding[j]) ** 2).sum().item())
        total += sum(max(0, by_input.index(j) + 1 - k) for j in by_embedding[:k])
    return 1 - 2 * total / (count * k * (2 * count - 3 * k - 1))


@pytest.mark.parametrize("k", [1, 4, 11])
def test_trustworthiness_equals_a_slow_loop(k):
    inputs, embedding = points(24), points(24, 2, seed=1)
    value = trustworthiness(inputs, embedding, k)
    assert value == pytest.approx(slow_trustworthiness(inputs, embedding, k), abs=1e-12)
    assert value < 1


@pytest.mark.parametrize("k", [1, 5, 29])
@pytest.mark.parametrize("seed", range(3))
def test_trustworthiness_equals_scikit_learn(k, seed):
    inputs, embedding = points(seed=seed), points(60, 2, seed=seed + 10)
    expected = sklearn_trustworthiness(inputs.numpy(), embedding.numpy(), n_neighbors=k)
    assert trustworthiness(inputs, embedding, k) == pytest.approx(expected, abs=1e-12)
    swapped = sklearn_trustworthiness(embedding.numpy(), inputs.numpy(), n_neighbors=k)
    assert continuity(inputs, embedding, k) == pytest.approx(swapped, abs=1e-12)
    assert expected != pytest.approx(swapped, abs=1e-6)


def test_overlap_by_hand_and_by_loop():
    inputs, embedding = points(30), points(30, 2, seed=1)
    ours, theirs = knn(inputs, 6).indices.tolist(), knn(embedding, 6).indices.tolist()
    expected = sum(len(set(a) & set(b)) / 6 for a, b in zip(ours, theirs, strict=True)) / 30
    assert knn_overlap(inputs, embedding, 6) == pytest.approx(expected)
    assert 0 < expected < 1


@pytest.mark.parametrize("figure", [trustworthiness, continuity, knn_overlap])
def test_a_faithful_embedding_scores_one(figure):
    inputs = points()
    assert figure(inputs, inputs * 3 + 1, 5) == 1
    assert figure(inputs.view(60, 5, 1, 1), inputs, 5) == 1  # images are flattened
    assert figure(inputs, points(seed=1), 5) < 0.9


@pytest.mark.parametrize("figure", [trustworthiness, continuity, knn_overlap])
def test_figures_refuse_lengths_that_differ(figure):
    with pytest.raises(ValueError, match="each needs one per point"):
        figure(points(20), points(21), 5)


@pytest.mark.parametrize("figure", [trustworthiness, continuity])
@pytest.mark.parametrize("k", [0, 10])
def test_trustworthiness_refuses_k_out_of_range(figure, k):
    with pytest.raises(ValueError, match="below half of the 20 points"):
        figure(points(20), points(20), k)


@pytest.mark.parametrize("figure", [trustworthiness, continuity, knn_overlap])
def test_figures_refuse_points_that_are_nowhere(figure):
    spoilt = points(20).index_fill(0, torch.tensor(4), torch.nan)
    for pair in ((spoilt, points(20)), (points(20), spoilt)):
        with pytest.raises(ValueError, match="not all finite"):
            figure(*pair, 5)


@pytest.mark.parametrize("whole", [figures.WHOLE, 0])  # products once for both points, and not
def test_figures_of_many_points_are_those_of_scikit_learn(whole, monkeypatch):
    monkeypatch.setattr(figures, "WHOLE", whole)
    inputs, embedding = points(3000, 40).float(), points(3000, 3, seed=1).float()  # more than one tile
    expected = sklearn_trustworthiness(inputs.double().numpy(), embedding.double().numpy(), n_neighbors=7)
    assert trustworthiness(inputs, embedding, 7) == pytest.approx(expected, abs=1e-9)
    assert 0.4 < expected < 0.6
