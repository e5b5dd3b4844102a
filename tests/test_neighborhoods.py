"""Neighbourhood figures: hand-worked values, scikit-learn, and slow loops."""

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.neighbors import NearestNeighbors

from lsp_core.neighborhoods import continuity, knn, knn_overlap, trustworthiness


def points(count=60, dimensions=5, seed=0):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_knn_by_hand():
    found = knn(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]), k=2)
    assert found.indices.tolist() == [[2, 1], [2, 0], [0, 1]]
    torch.testing.assert_close(found.distances[0], torch.tensor([1.0, 5.0]))


def test_knn_of_queries_may_be_the_point_itself():
    base = points(10)
    found = knn(base, 1, queries=base[3:5])
    assert found.indices.tolist() == [[3], [4]]
    assert found.distances.tolist() == [[0.0], [0.0]]


def test_knn_gives_ties_to_the_lower_row():
    assert knn(torch.zeros(5, 2), 2).indices.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]


@pytest.mark.parametrize("k", [1, 5, 59])
def test_knn_equals_scikit_learn(k):
    base, queries = points(), points(20, seed=1)
    distances, indices = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(base).kneighbors()
    ours = knn(base, k)
    assert ours.indices.tolist() == indices.tolist()
    np.testing.assert_allclose(ours.distances, distances)
    distances, indices = NearestNeighbors(n_neighbors=k).fit(base).kneighbors(queries)
    ours = knn(base, k, queries)
    assert ours.indices.tolist() == indices.tolist()
    np.testing.assert_allclose(ours.distances, distances)


def test_knn_tells_close_neighbours_apart_far_from_the_origin():
    # The matrix-product shortcut for distances loses these digits in float32.
    line = torch.tensor([[1000.0], [1000.001], [1000.003]])
    assert knn(line, 1).indices.tolist() == [[1], [0], [1]]


@pytest.mark.parametrize("k", [0, -1, 60])
def test_knn_refuses_k_out_of_range(k):
    with pytest.raises(ValueError, match=f"k is {k}, but it must be from 1 to 59"):
        knn(points(), k)


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


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_points_that_are_nowhere_are_refused(value):
    points = torch.rand(10, 3, generator=torch.Generator().manual_seed(0))
    spoilt = points.index_fill(0, torch.tensor(4), value)
    for bad in ((spoilt, 2), (points, 2, spoilt)):
        with pytest.raises(ValueError, match="not all finite"):
            knn(*bad)


def test_many_duplicates_are_neighbours_in_order():
    points = torch.cat([torch.zeros(40, 5), torch.ones(3, 5)])
    assert knn(points, 3).indices[[0, 1, 39]].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 2]]
    assert knn(points, 2).indices[40:].tolist() == [[41, 42], [40, 42], [40, 41]]
