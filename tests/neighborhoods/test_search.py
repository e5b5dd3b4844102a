"""The nearest are those of measuring everything: by hand, by scikit-learn, and where few digits mislead."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from lsp_core.neighborhoods import knn, knn_others, scan, search


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


def test_others_by_hand():
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    found = knn_others(line, 2, torch.tensor([[0.9], [6.0], [0.9]]), torch.tensor([1, 0, -1]))
    assert found.indices.tolist() == [[0, 2], [3, 2], [1, 0]]  # the second's own row is far off, the third has none
    torch.testing.assert_close(found.distances, torch.tensor([[0.9, 2.1], [1.0, 3.0], [0.1, 0.9]]))


def test_points_asked_for_their_others_are_those_asked_by_themselves():
    base = torch.cat([points(30), points(30)])  # where every point has a copy at distance 0
    ours, theirs = knn_others(base, 7, base, torch.arange(60)), knn(base, 7)
    assert ours.indices.tolist() == theirs.indices.tolist()
    assert torch.equal(ours.distances, theirs.distances)


@pytest.mark.parametrize("k", [0, 60])
def test_others_refuse_k_out_of_range(k):
    with pytest.raises(ValueError, match=f"k is {k}, but it must be from 1 to 59"):
        knn_others(points(), k, points(2), torch.tensor([0, 1]))


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


# --- Where few digits mislead ---


def hostile(dtype):
    """Points that a rounded matrix product cannot tell apart, or whose distances it gets wrong."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def pick(few, count=700):
        return torch.randint(few, (count,), generator=generator)

    whole = torch.randint(-8, 9, (350, 40), generator=generator).double()
    extreme = {torch.float32: (1e30, 1e-17, 1e-30), torch.float64: (1e200, 1e-140, 1e-200)}[dtype]
    found = {
        "plain": normal(700, 40),
        "far from the origin": normal(700, 40) * 1e-2 + 1e4,
        "far and all but equal": normal(700, 40) * 1e-6 + 1e4,
        "few, many times": normal(30, 40)[pick(30)],
        "half are one point": torch.cat([normal(350, 40), normal(1, 40).expand(350, 40)]),
        "half are all but one point": torch.cat([normal(350, 40), normal(1, 40) + 1e-7 * normal(350, 40)]),
        "mixed scales": normal(700, 40) * 10 ** (3 * normal(700, 1)),
        "one lies far off": torch.cat([normal(700, 40), torch.full((1, 40), 1e7, dtype=torch.float64)]),
        "a line": normal(700, 1),
        "evenly on a line": torch.arange(700.0, dtype=torch.float64)[torch.randperm(700, generator=generator), None],
        "a grid": torch.stack([pick(3), pick(4), pick(3)], 1).double(),
        "all equally far": torch.eye(300, dtype=torch.float64),
        "tight clusters": 10 * normal(20, 64)[pick(20)] + 1e-3 * normal(700, 64),
        "distances overflow": normal(700, 20) * extreme[0],
        "squares nearly underflow": normal(700, 20) * extreme[1],
        "squares underflow": normal(700, 20) * extreme[2],
        "some squares underflow": normal(700, 20) * torch.tensor([1, 1e-4 * extreme[1]]).repeat(350)[:, None],
        "bits": torch.randint(0, 2, (700, 64), generator=generator).double(),
        "whole numbers about zero": torch.cat([whole, -whole]),  # rounded points lose nothing, but products do
        "many dimensions": normal(200, 2000),
        "no dimension": normal(700, 0),
    }
    return {name: values.to(dtype) for name, values in found.items()}


NAMES = list(hostile(torch.float32))


def measured(base, k, queries=None):
    """Measure all distances, without a matrix product, and sort them; ties go to the lower row number."""
    asked = base if queries is None else queries
    distances = torch.cdist(asked, base, compute_mode="donot_use_mm_for_euclid_dist")
    if queries is None:
        distances.fill_diagonal_(torch.inf)
    values, indices = distances.sort(dim=1, stable=True)
    return values[:, :k], indices[:, :k]


def check(base, k, queries=None):
    found, (distances, indices) = knn(base, k, queries), measured(base, k, queries)
    assert found.indices.equal(indices)
    assert found.distances.equal(distances)


@pytest.fixture(params=["bfloat16", "float32"])
def precision(request, monkeypatch):
    """Multiply in it first, whatever this machine would."""
    monkeypatch.setattr(search, "pick_precision", lambda name, device: request.param)


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
@pytest.mark.parametrize("name", NAMES)
def test_the_nearest_are_those_of_measuring_everything(name, dtype):
    base = hostile(dtype)[name]
    for k in (1, 10, 70):
        check(base, k)
        check(base, k, torch.cat([base[::7], base[:50] * 1.01]))


@pytest.mark.parametrize("name", ["plain", "a grid", "half are one point"])
def test_all_the_others_may_be_asked_for(name):
    base = hostile(torch.float32)[name]
    for k in (180, len(base) - 1):
        check(base, k)
    check(base, len(base), base[:40])


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("shape", [(2500, 24), (2500, 300), (9000, 16)])
def test_several_tiles_are_one_search(shape):
    base = points(*shape).float()
    base[shape[0] // 2 :] += 3  # what lies in other tiles is mostly farther
    found = knn(base, 10)
    distances, indices = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(base.double()).kneighbors()
    assert found.indices.equal(torch.from_numpy(indices))
    np.testing.assert_allclose(found.distances, distances, rtol=1e-5)
    apart = [knn(base, 10, part) for part in base.split(1700)]
    whole = knn(base, 11)
    assert torch.cat([part.indices for part in apart])[:, 0].equal(torch.arange(len(base)))  # each is its own nearest
    assert torch.cat([part.indices for part in apart])[:, 1:].equal(whole.indices[:, :9])
    assert torch.cat([part.distances for part in apart])[:, 1:].equal(whole.distances[:, :9])


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("shape", [(700, 10), (700, 300)])
def test_a_tile_may_have_fewer_columns_than_neighbours_are_sought(shape, monkeypatch):
    monkeypatch.setattr(scan, "PANEL", 64)
    monkeypatch.setattr(scan, "TILE", 2**13)
    base = points(*shape).float()
    for k in (3, 60, 170):
        check(base, k)


def test_the_largest_numbers_there_are_stay_numbers():
    base = torch.tensor([[1.7e308], [1.6e308], [-1.7e308]], dtype=torch.float64)
    assert knn(base, 1, base).indices.tolist() == [[0], [1], [2]]


def test_products_in_fewer_digits_mislead_nobody(monkeypatch):
    monkeypatch.setattr(search, "pick_precision", lambda name, device: "float32")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")  # a person may allow it
    try:
        for name in ("plain", "tight clusters", "far from the origin"):
            check(hostile(torch.float32)[name], 10)
    finally:
        torch.set_float32_matmul_precision(before)


def test_nothing_asked_is_nothing_found():
    found = knn(points(), 3, points(0))
    assert found.indices.shape == found.distances.shape == (0, 3)


MEMORY = """
import resource, torch
from lsp_core.neighborhoods import knn, trustworthiness
points = torch.randn(12_000, 32, generator=torch.Generator().manual_seed(0))
points[-3000:] = points[-1]
knn(points[:500], 5), trustworthiness(points[:500], points[:500, :2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
knn(points, 10), knn(points, 10, points[:6000]), trustworthiness(points, points[:, :2])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts in other units elsewhere.")
def test_memory_does_not_grow_with_the_square():
    # One matrix of all distances would take 550 MB in float32.
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, timeout=300)
    assert float(done.stdout) < 250
