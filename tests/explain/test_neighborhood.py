"""Neighbourhoods of images before and under attack: by hand, and against scikit-learn."""

import pytest
import torch
from conftest import LinearPair, TinyNet, random_batch
from sklearn.neighbors import NearestNeighbors

from lsp_core.explain.neighborhood import Neighborhood, Reference, compare_neighborhoods, embed
from lsp_core.neighborhoods import Neighbors


def near(*rows):
    return Neighbors(torch.zeros(len(rows), len(rows[0])), torch.tensor(rows))


def test_what_rows_have_in_common_is_counted_image_by_image():
    found = Neighborhood(
        pixels=near([1, 2, 3], [4, 5, 6]),
        before=near([3, 9, 1], [7, 8, 9]),
        after=near([9, 2, 3], [7, 6, 5]),
        moved=torch.tensor([0.1, 0.2]),
    )
    assert found.k == 3
    assert found.overlap.tolist() == [2, 0]
    assert found.overlap_attacked.tolist() == [2, 2]
    assert found.kept.tolist() == [2, 1]


def test_groups_become_one():
    first = Neighborhood(near([1, 2]), near([2, 3]), near([3, 4]), torch.tensor([0.1]))
    second = Neighborhood(near([5, 6], [7, 8]), near([6, 5], [7, 9]), near([5, 6], [1, 2]), torch.tensor([0.2, 0.3]))
    found = Neighborhood.of([first, second])
    assert found.overlap.tolist() == [1, 2, 1]
    assert found.kept.tolist() == [1, 2, 0]
    assert found.moved.tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert found.after.distances.shape == (3, 2)


def test_embeddings_count_at_unit_length_and_pixels_as_they_are():
    model = LinearPair(torch.tensor([1.0, -1.0]).view(1, 1, 2))
    clean, attacked = torch.tensor([[[[0.2, 0.0]]]]), torch.tensor([[[[0.0, 0.2]]]])
    pixels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.4]])
    reference = Reference(pixels, embed(model, pixels.view(3, 1, 1, 2)))
    found = compare_neighborhoods(model, clean, attacked, reference, 1, torch.tensor([-1]))
    assert found.pixels.indices.tolist() == [[2]]  # 0.41 away; the first is 0.8 away, but in the very direction
    assert found.before.indices.tolist() == [[0]]
    assert found.after.indices.tolist() == [[1]]
    assert found.moved.tolist() == pytest.approx([2**0.5])
    assert [found.overlap.item(), found.overlap_attacked.item(), found.kept.item()] == [0, 0, 0]


def test_it_agrees_with_scikit_learn_and_nothing_is_its_own_neighbour():
    model = TinyNet().eval()
    images, _ = random_batch(model, 40)
    attacked = (images + 0.3 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    asked = torch.tensor([3, 17, 39])
    reference = Reference(images.flatten(1), embed(model, images))
    found = compare_neighborhoods(model, images[asked], attacked[asked], reference, 5, asked)
    with torch.no_grad():
        clean, moved = (torch.nn.functional.normalize(model.features(group), dim=1) for group in (images, attacked))
    for place, row in enumerate(asked.tolist()):
        others = torch.tensor([other for other in range(40) if other != row])

        def nearest(points, query, others=others):
            search = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(points[others])
            return others[search.kneighbors(query[None])[1][0]].tolist()

        assert found.pixels.indices[place].tolist() == nearest(images.flatten(1), images[row].flatten())
        assert found.before.indices[place].tolist() == nearest(clean, clean[row])
        assert found.after.indices[place].tolist() == nearest(clean, moved[row])
    assert 0 < found.kept.sum() < 15
