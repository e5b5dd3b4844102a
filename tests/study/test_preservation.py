"""Neighbourhoods kept: against scikit-learn, and by hand."""

import dataclasses

import pytest
import torch
from conftest import TinyNet, random_batch
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from lsp_core.store.schema import build
from lsp_core.study.preservation import Preservation, preservation


def test_preservation_agrees_with_scikit_learn():
    model = TinyNet().eval()
    images, _ = random_batch(model, 60)
    moved = (images + 0.2 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    found = preservation(model, images, moved, k=5)
    pixels = images.flatten(1).numpy()
    with torch.no_grad():
        clean, after = model.features(images).numpy(), model.features(moved).numpy()
    for name, points in (("clean", clean), ("adversarial", after)):
        assert getattr(found, name).trustworthiness == pytest.approx(
            trustworthiness(pixels, points, n_neighbors=5), abs=1e-6
        )
        assert getattr(found, name).continuity == pytest.approx(
            trustworthiness(points, pixels, n_neighbors=5), abs=1e-6
        )
    shares = []
    for row in range(60):
        others = [other for other in range(60) if other != row]
        search = NearestNeighbors(n_neighbors=5).fit(clean[others])
        before, now = (set(search.kneighbors(points[[row]])[1][0]) for points in (clean, after))
        shares.append(len(before & now) / 5)
    assert found.kept == pytest.approx(sum(shares) / 60, abs=1e-9)
    assert 0 < found.kept < 1
    assert build(Preservation, found.to_record()) == found
    assert found.shares("kept").tolist() == pytest.approx(shares)
    for name, points in (("overlap", clean), ("overlap_attacked", after)):
        near = [NearestNeighbors(n_neighbors=6).fit(each).kneighbors(each)[1][:, 1:] for each in (pixels, points)]
        both = [len(set(ours) & set(theirs)) / 5 for ours, theirs in zip(*near, strict=True)]
        assert found.shares(name).tolist() == pytest.approx(both)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"overlap": "1" * 59}, "images.overlap must be 60 digits from 0 to 5"),
        ({"kept": "6" * 60}, "images.kept must be 60 digits from 0 to 5"),
        ({"kept": "-" * 60}, "images.kept must be 60 digits"),
        ({"kept": "5" * 60}, "but that of the images is 1"),
        ({"lost": "0" * 60}, "unknown figure of images 'lost'"),
    ],
)
def test_figures_of_images_that_cannot_be_are_refused(change, message):
    model = TinyNet().eval()
    images, _ = random_batch(model, 60)
    found = preservation(model, images, 1 - images, k=5)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(found, images={**found.images, **change})


def test_an_image_that_was_not_moved_keeps_all():
    model = TinyNet().eval()
    images, _ = random_batch(model, 30)
    found = preservation(model, images, images, k=4)
    assert found.kept == 1
    assert found.clean == found.adversarial
