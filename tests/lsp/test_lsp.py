"""Structure terms: one contract for all, hand-worked values, slow loops, and finite differences."""

import dataclasses
import math
import statistics

import numpy as np
import pytest
import torch
from sklearn.manifold._locally_linear import barycenter_weights

from lsp_core.lsp.lsp import LSP, NONE
from lsp_core.lsp.terms import NEIGHBOR_TERMS, TERMS
from lsp_core.lsp.terms.geometry import nearest
from lsp_core.lsp.terms.reconstruction import barycentre

BALL = [{"ball": term, "neighbors": "none"} for term in TERMS]
NEIGHBORS = [{"ball": "none", "neighbors": term, "neighbors_weight": 1.0} for term in NEIGHBOR_TERMS]
TOGETHER = [{"ball": "vicinity", "neighbors": term, "neighbors_weight": 0.5} for term in NEIGHBOR_TERMS]
EVERY = [pytest.param(parts, id=f"{parts['ball']}-{parts['neighbors']}") for parts in BALL + NEIGHBORS + TOGETHER]


def twice(term, **settings):
    """The term in both parts, of equal weight."""
    return LSP(term, term, neighbors_weight=1.0, **settings)


def alone(term, **settings):
    """The term in the ball's part alone."""
    return LSP(term, "none", **settings)


def batch(count=8, size=4, width=6, seed=0, dtype=torch.float64):
    """Images, embeddings, points of the eps-balls and their embeddings."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 1, size, size, generator=generator, dtype=dtype)
    features = torch.randn(count, width, generator=generator, dtype=dtype)
    nearby = (images + 0.1 * torch.randn(images.shape, generator=generator, dtype=dtype)).clamp(0, 1)
    return images, features, nearby, features + 0.3 * torch.randn(features.shape, generator=generator, dtype=dtype)


# --- The contract: every entry of TERMS ---


@pytest.mark.parametrize("parts", EVERY)
@pytest.mark.parametrize("unit_length", [True, False])
def test_is_a_finite_scalar_not_below_zero(parts, unit_length):
    for dtype in (torch.float32, torch.float64):
        value = LSP(**parts, unit_length=unit_length, k=4)(*batch(dtype=dtype))
        assert value.shape == ()
        assert value.dtype == dtype
        assert value.isfinite()
        assert value > 0


def duplicates():
    return tuple(part[[0] * 8] for part in batch(dtype=torch.float32))


def pairs():
    return tuple(part[[0, 0, 1, 1, 2, 2, 3, 3]] for part in batch(dtype=torch.float32))


def black():
    _, features, _, near = batch(dtype=torch.float32)
    return torch.zeros(8, 1, 4, 4), features, torch.zeros(8, 1, 4, 4), near


def zero_embeddings():
    images, features, nearby, near = batch(dtype=torch.float32)
    return images, torch.zeros_like(features), nearby, torch.zeros_like(near)


def huge_embeddings():
    images, features, nearby, near = batch(dtype=torch.float32)
    return images, features * 1e4, nearby, near * 1e4


def first(count):
    return lambda: tuple(part[:count] for part in batch(dtype=torch.float32))


HARD = {
    "all images the same": duplicates,
    "every image twice": pairs,
    "all black": black,
    "zero embeddings": zero_embeddings,
    "huge embeddings": huge_embeddings,
    "one image": first(1),
    "two images": first(2),
    "three images, fewer than k": first(3),
}


@pytest.mark.parametrize("parts", EVERY)
@pytest.mark.parametrize("unit_length", [True, False])
@pytest.mark.parametrize("case", HARD)
def test_value_and_gradient_are_finite_on_hard_batches(parts, unit_length, case):
    images, features, nearby, near = HARD[case]()
    features, near = features.clone().requires_grad_(), near.clone().requires_grad_()
    value = LSP(**parts, unit_length=unit_length, k=4)(images, features, nearby, near)
    value.backward()
    assert value.isfinite()
    assert value >= 0
    for leaf in (features, near):
        assert leaf.grad is None or leaf.grad.isfinite().all()
    assert features.grad is not None


@pytest.mark.parametrize("parts", EVERY)
def test_the_gradient_reaches_both_embeddings(parts):
    images, features, nearby, near = batch()
    features.requires_grad_(), near.requires_grad_()
    LSP(**parts, k=4)(images, features, nearby, near).backward()
    assert (features.grad.norm(dim=1) > 0).all()
    assert (near.grad is not None and (near.grad.norm(dim=1) > 0).all()) == (parts["ball"] != "none")


@pytest.mark.parametrize("parts", EVERY)
@pytest.mark.parametrize("unit_length", [True, False])
def test_gradient_equals_finite_differences(parts, unit_length):
    images, features, nearby, near = batch(6)
    lsp = LSP(**parts, unit_length=unit_length, k=3)
    features.requires_grad_(), near.requires_grad_()
    assert torch.autograd.gradcheck(lambda z, zz: lsp(images, z, nearby, zz), (features, near))


@pytest.mark.parametrize("parts", EVERY)
def test_unit_length_ignores_the_scale_of_embeddings(parts):
    images, features, nearby, near = batch()
    lsp = LSP(**parts, k=4)
    value = lsp(images, features, nearby, near)
    torch.testing.assert_close(lsp(images, features * 50, nearby, near * 50), value, rtol=1e-5, atol=0)
    loose = dataclasses.replace(lsp, unit_length=False)
    shrunk = loose(images, features / 50, nearby, near / 50)
    alike = torch.isclose(shrunk, loose(images, features, nearby, near), rtol=0.1)
    assert alike == (set(parts.values()) & {"correlation"} != set() and "vicinity" not in parts.values())


@pytest.mark.parametrize("parts", EVERY)
def test_the_order_of_the_batch_does_not_matter(parts):
    tensors, order = batch(), torch.randperm(8, generator=torch.Generator().manual_seed(1))
    lsp = LSP(**parts, k=4)
    torch.testing.assert_close(lsp(*(each[order] for each in tensors)), lsp(*tensors))


@pytest.mark.parametrize("parts", EVERY)
def test_inputs_are_left_as_they_were(parts):
    tensors = batch()
    before = [each.clone() for each in tensors]
    LSP(**parts, k=4)(*tensors)
    assert all(each.equal(copy) for each, copy in zip(tensors, before, strict=True))


@pytest.mark.parametrize("parts", EVERY)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda x, z, xx, zz: (x[1:], z, xx, zz),
        lambda x, z, xx, zz: (x, z, xx[1:], zz),
        lambda x, z, xx, zz: (x, z, xx, zz[1:]),
        lambda x, z, xx, zz: (x[1:], z[1:], xx, zz),
        lambda x, z, xx, zz: (x, z[:, 1:], xx, zz),
        lambda x, z, xx, zz: (x, z, xx[..., 1:], zz),
        lambda x, z, xx, zz: (x, z.flatten(), xx, zz.flatten()),
    ],
)
def test_shapes_that_do_not_match_raise(parts, spoil):
    with pytest.raises(ValueError, match="must match row by row"):
        LSP(**parts, k=4)(*spoil(*batch()))


# --- Exact values ---


def test_vicinity_by_hand():
    features, near = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 4.0], [3.0, 4.0]])
    images = torch.zeros(2, 1, 1, 1)
    assert alone("vicinity", unit_length=False)(images, features, images, near).item() == (4 + 25) / 2


def test_vicinity_at_unit_length_by_hand():
    # Unit vectors at 90 and at 60 degrees: squared distances 2 and 1.
    features = torch.tensor([[5.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    near = torch.tensor([[0.0, 3.0], [0.5, math.sqrt(3) / 2]], dtype=torch.float64)
    images = torch.zeros(2, 1, 1, 1, dtype=torch.float64)
    assert alone("vicinity")(images, features, images, near).item() == pytest.approx(1.5, abs=1e-5)


def test_nothing_is_lost_where_a_point_and_its_ball_coincide():
    images, features, _, _ = batch()
    assert alone("vicinity")(images, features, images, features) == 0


def slow_distribution(lsp, images, features, near):
    """Loops over pairs, as the docstring reads."""
    x, count = images.flatten(1), len(images)
    total = 0.0
    for i in range(count):
        others = [j for j in range(count) if j != i]
        squared = {j: float(((x[i] - x[j]) ** 2).sum()) for j in others}
        bandwidth = sorted(squared.values())[min(lsp.k, len(others)) - 1]
        p = {j: math.exp(-squared[j] / (2 * bandwidth)) for j in others}
        for anchor in (features[i], near[i]):
            q = {j: math.exp(-float(((anchor - features[j]) ** 2).sum()) / lsp.temperature) for j in others}
            for j in others:
                share, image = p[j] / sum(p.values()), q[j] / sum(q.values())
                total += share * math.log(share / image) / count
    return total


@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_distribution_equals_a_slow_loop(k, temperature):
    lsp = twice("distribution", k=k, temperature=temperature, unit_length=False)
    images, features, nearby, near = batch(7)
    value = lsp(images, features, nearby, near).item()
    assert value == pytest.approx(slow_distribution(lsp, images, features, near), rel=1e-9)


def test_distribution_by_hand():
    # Images 0, 1, 3 on a line, k = 1: squared distances of 0 are 1 and 9, so p(.|0) is softmax(-1/2, -9/2).
    images = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64).view(3, 1, 1, 1) / 3
    exponents = torch.tensor([[-0.5, -4.5], [-0.5, -2.0], [-1.125, -0.5]], dtype=torch.float64)
    p = exponents.softmax(1)
    # All embeddings equal: every q is uniform, and KL(p || uniform) is log 2 minus the entropy of p; it counts twice.
    flat = torch.zeros(3, 2, dtype=torch.float64)
    expected = 2 * (math.log(2) + (p * p.log()).sum(1)).mean().item()
    assert twice("distribution", k=1)(images, flat, images, flat).item() == pytest.approx(expected, rel=1e-9)


def test_distribution_is_zero_for_an_embedding_that_keeps_all_proportions():
    # On a square with k = 2 every bandwidth is the same, so embedding = image at the right temperature has q = p.
    images = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    lsp = twice("distribution", k=2, temperature=2.0, unit_length=False)
    pictures = images.view(4, 1, 1, 2)
    assert lsp(pictures, images, pictures, images).item() == pytest.approx(0, abs=1e-12)
    assert lsp(pictures, images.flip(1) * 2, pictures, images) > 0.01


def slow_laplacian(lsp, images, features, near):
    x, count, total = images.flatten(1), len(images), 0.0
    for i in range(count):
        squared = sorted((float(((x[i] - x[j]) ** 2).sum()), j) for j in range(count) if j != i)[: lsp.k]
        heat = [math.exp(-distance / (2 * squared[-1][0])) for distance, _ in squared]
        for anchor in (features[i], near[i]):
            for weight, (_, j) in zip(heat, squared, strict=True):
                total += weight / sum(heat) * float(((anchor - features[j]) ** 2).sum()) / count
    return total


@pytest.mark.parametrize("k", [1, 3, 20])
def test_laplacian_equals_a_slow_loop(k):
    lsp = twice("laplacian", k=k, unit_length=False)
    images, features, nearby, near = batch(7)
    value = lsp(images, features, nearby, near).item()
    assert value == pytest.approx(slow_laplacian(lsp, images, features, near), rel=1e-9)


def test_laplacian_by_hand():
    # Images 0, 1, 3 on a line, k = 1: the nearest of 0 is 1, of 1 is 0, of 3 is 1; one neighbour has all the weight.
    images = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64).view(3, 1, 1, 1) / 3
    features = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    near = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    lsp = twice("laplacian", k=1, unit_length=False)
    assert lsp(images, features, images, near).item() == pytest.approx((1 + 1 + 16) / 3 + (1 + 1 + 1) / 3)
    ball = dataclasses.replace(lsp, neighbors="none")
    assert ball(images, features, images, near).item() == pytest.approx(1)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_reconstruction_has_the_weights_of_scikit_learn(k):
    images, features, nearby, near = batch(9)
    rows, places = images.flatten(1), nearest(images, k)[1]
    expected = barycenter_weights(rows.numpy(), rows.numpy(), places.numpy(), reg=1e-3)
    weights = barycentre(rows, places)
    torch.testing.assert_close(weights, torch.from_numpy(expected), rtol=1e-6, atol=1e-8)
    rebuilt = torch.stack([weights[i] @ features[places[i]] for i in range(9)])
    total = ((features - rebuilt) ** 2).sum(1).mean() + ((near - rebuilt) ** 2).sum(1).mean()
    value = twice("reconstruction", k=k, unit_length=False)(images, features, nearby, near)
    torch.testing.assert_close(value, total)


def test_reconstruction_is_zero_for_any_linear_map():
    # Five images in a plane and an embedding that is linear in them: what rebuilds the one rebuilds the other.
    images = torch.rand(5, 1, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    features = images.flatten(1) @ torch.tensor([[2.0, -1.0, 0.5], [0.3, 1.0, 4.0]], dtype=torch.float64)
    lsp = twice("reconstruction", k=3, unit_length=False)
    assert lsp(images, features, images, features) < 0.005  # the ridge
    assert lsp(images, features.flip(0), images, features.flip(0)) > 0.1


def slow_correlation(lsp, images, features, near):
    """Loops over rows, by numpy's correlation."""
    x, count, total = images.flatten(1), len(images), 0.0
    for i in range(count):
        closest = sorted((float(((x[i] - x[j]) ** 2).sum()), j) for j in range(count) if j != i)[: lsp.k]
        pixels = [distance for distance, _ in closest]
        for anchor in (features[i], near[i]):
            moved = [float(((anchor - features[j]) ** 2).sum()) for _, j in closest]
            total += (1 - np.corrcoef(pixels, moved)[0, 1]) / count
    return total


@pytest.mark.parametrize("k", [3, 5, 20])
def test_correlation_equals_a_slow_loop(k):
    lsp = twice("correlation", k=k, unit_length=False)
    images, features, nearby, near = batch(9)
    value = lsp(images, features, nearby, near).item()
    assert value == pytest.approx(slow_correlation(lsp, images, features, near), rel=1e-3)


def test_correlation_by_hand():
    # Images 0, 1, 2, 4 on a line: squared distances from 0 are 1, 4, 16, from 1 are 1, 1, 9, from 2 are 1, 4, 4 and
    # from 4 are 4, 9, 16. An embedding that swaps the last two has 1, 16, 4; 1, 9, 1; 4, 9, 4 (for image 4: of 2) ...
    images = torch.tensor([0.0, 1.0, 2.0, 4.0], dtype=torch.float64).view(4, 1, 1, 1) / 4
    swapped = torch.tensor([0.0, 1.0, 4.0, 2.0], dtype=torch.float64).view(4, 1)
    lsp = LSP("none", "correlation", neighbors_weight=1.0, k=3, unit_length=False)
    # Worked with deviations from the mean: rows (pixels; embedding) in the order of the nearest.
    rows = [([1, 4, 16], [1, 16, 4]), ([1, 1, 9], [1, 9, 1]), ([1, 4, 4], [9, 16, 4]), ([4, 9, 16], [4, 1, 4])]
    expected = 1 - sum(statistics.correlation(*map(_floats, row)) for row in rows) / 4
    assert lsp(images, swapped, images, swapped).item() == pytest.approx(expected, abs=1e-5)
    assert lsp(images, 3 * images.view(4, 1), images, swapped).item() == pytest.approx(0, abs=1e-5)  # any scale will do


def _floats(values):
    return [float(value) for value in values]


def test_correlation_needs_three_distances():
    parts = batch(3)
    assert LSP("none", "correlation", neighbors_weight=1.0)(*parts) == 0
    assert LSP("none", "correlation", neighbors_weight=1.0, k=2)(*batch()) == 0
    assert LSP("none", "correlation", neighbors_weight=1.0)(*batch(4)) > 0


# --- Two parts ---


@pytest.mark.parametrize("neighbors", NEIGHBOR_TERMS)
@pytest.mark.parametrize("ball", TERMS)
def test_the_whole_is_the_sum_of_its_parts(ball, neighbors):
    images, features, nearby, near = batch()
    both = LSP(ball, neighbors, neighbors_weight=0.3, k=4)
    first, second = dataclasses.replace(both, neighbors="none"), dataclasses.replace(both, ball="none")
    torch.testing.assert_close(both(*batch()), first(*batch()) + second(*batch()))
    other = near * 0 + 1
    assert second(images, features, nearby, other) == second(*batch())  # the point of the ball is not looked at
    assert first(images, features, nearby, other) != first(*batch())
    double = dataclasses.replace(both, neighbors_weight=0.6)
    torch.testing.assert_close(double(*batch()) - both(*batch()), second(*batch()))


def test_there_may_be_fewer_points_than_images():
    images, features, nearby, near = batch()
    lsp = LSP("vicinity", "correlation", neighbors_weight=0.3, k=4)
    ball = dataclasses.replace(lsp, neighbors="none")(images[:3], features[:3], nearby[:3], near[:3])
    neighbors = dataclasses.replace(lsp, ball="none")(*batch())
    torch.testing.assert_close(lsp(images, features, nearby[:3], near[:3]), ball + neighbors)


# As cards from before there were two parts have it, and what each part then was.
EARLIER = [
    ({"term": "vicinity", "weight": 5.0, "part": "both", "share": 0.25}, ("vicinity", "none")),
    ({"term": "vicinity"}, ("vicinity", "none")),
    ({"term": "distribution", "part": "both", "k": 4}, ("distribution", "distribution")),
    ({"term": "laplacian", "part": "ball"}, ("laplacian", "none")),
    ({"term": "reconstruction", "part": "neighbors"}, ("none", "reconstruction")),
]


@pytest.mark.parametrize(("record", "parts"), EARLIER)
def test_earlier_records_mean_what_they_did(record, parts):
    lsp = LSP.from_record(record)
    assert (lsp.ball, lsp.neighbors) == parts
    assert lsp.neighbors_weight == (1.0 if parts[1] != "none" else 0.0)
    assert (lsp.k, lsp.share) == (record.get("k", 8), record.get("share", 1.0))
    again = LSP.from_record(dataclasses.asdict(lsp))
    assert again == lsp


def test_a_record_with_an_unknown_setting_raises():
    with pytest.raises(ValueError, match="unknown setting of LSP 'strength'"):
        LSP.from_record({"strength": 2})


# --- The noise ball and the settings ---


def test_sample_fills_the_ball_within_the_range():
    lsp, images = LSP(eps=0.3), torch.full((200, 1, 4, 4), 0.5)
    nearby = lsp.sample(images, torch.Generator().manual_seed(0))
    assert (nearby - images).abs().max() <= 0.3 + 1e-6
    assert (nearby - images).abs().mean().item() == pytest.approx(0.15, abs=0.01)
    assert lsp.sample(images, torch.Generator().manual_seed(0)).equal(nearby)
    assert not lsp.sample(images, torch.Generator().manual_seed(1)).equal(nearby)
    edge = lsp.sample(images.round(), torch.Generator().manual_seed(0))
    assert edge.amin() >= 0
    assert edge.amax() <= 1
    assert LSP(eps=0.0).sample(images, torch.Generator()).equal(images)


@pytest.mark.parametrize(("share", "count"), [(1.0, 12), (0.5, 6), (0.25, 3), (0.3, 4), (0.01, 1)])
def test_a_share_is_a_whole_number_of_images(share, count):
    assert LSP(share=share).count(12) == count


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ball": "graph"}, f"unknown ball term 'graph': choose one of {', '.join(TERMS)}, none"),
        ({"neighbors": "graph"}, f"unknown neighbors term 'graph': choose one of {', '.join(NEIGHBOR_TERMS)}, none"),
        ({"neighbors": "vicinity"}, "unknown neighbors term 'vicinity'"),
        ({"ball": "none", "neighbors": "none"}, "ball and neighbors of LSP are both none"),
        ({"neighbors_weight": -1.0}, "neighbors_weight of LSP is -1"),
        ({"vicinity": "near"}, "vicinity of LSP is 'near', but it must be one of noise, adversarial"),
        ({"weight": -1.0}, "weight of LSP is -1"),
        ({"weight": float("nan")}, "weight of LSP is nan"),
        ({"eps": -0.1}, "eps of LSP is -0.1"),
        ({"eps": 8.0}, "eps of LSP is 8, but it must be from 0 to 1"),
        ({"warmup": 2.0}, "warmup of LSP is 2, but it must be from 0 to 1"),
        ({"warmup": -0.1}, "warmup of LSP is -0.1, but it must be from 0 to 1"),
        ({"warmup": float("nan")}, "warmup of LSP is nan"),
        ({"k": 0}, "k of LSP is 0, but it must be 1 or more"),
        ({"temperature": 0.0}, "temperature of LSP is 0, but it must be finite and above 0"),
        ({"share": 0.0}, "share of LSP is 0, but it must be above 0 and at most 1"),
        ({"share": 1.5}, "share of LSP is 1.5"),
        ({"share": float("nan")}, "share of LSP is nan"),
        ({"layer": "pixels"}, "layer of LSP is 'pixels', but it must be one of features, logits"),
        ({"weight": float("inf")}, "weight of LSP is inf, but it must be finite"),
        ({"eps": float("nan")}, "eps of LSP is nan, but it must be from 0 to 1"),
        ({"temperature": float("inf")}, "temperature of LSP is inf, but it must be finite"),
        ({"temperature": float("nan")}, "temperature of LSP is nan"),
        ({"k": 2.5}, "k of LSP is 2.5, but it must be a whole number"),
        ({"k": True}, "k of LSP is True, but it must be a whole number"),
        ({"weight": "5"}, "weight of LSP is '5', but it must be a number"),
        ({"ball": ["vicinity"]}, r"ball of LSP is \['vicinity'\], but it must be text"),
        ({"unit_length": 1}, "unit_length of LSP is 1, but it must be true or false"),
    ],
)
def test_settings_that_cannot_be_meant_raise(settings, message):
    with pytest.raises(ValueError, match=message):
        LSP(**settings)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"neighbors": NONE}, {"neighbors": NONE, "neighbors_weight": 3.0, "k": 2, "temperature": 9.0}, True),
        ({"ball": NONE}, {"ball": NONE, "eps": 0.9, "share": 0.1, "vicinity": "adversarial"}, True),
        ({"ball": NONE}, {"ball": NONE, "k": 3}, False),
        ({"neighbors": NONE}, {"neighbors": NONE, "share": 0.9}, False),
        ({"neighbors": NONE, "ball": "distribution"}, {"neighbors": NONE, "ball": "distribution", "k": 3}, False),
        ({}, {"k": 3}, False),
    ],
)
def test_what_a_part_that_is_left_out_would_use_makes_no_other_training(one, other, alike):
    assert (LSP(**one).essential == LSP(**other).essential) == alike
