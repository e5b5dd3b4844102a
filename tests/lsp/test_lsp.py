"""Structure terms: one contract for all, hand-worked values, slow loops, and finite differences."""

import dataclasses
import math

import pytest
import torch
from sklearn.manifold._locally_linear import barycenter_weights

from lsp_core.lsp.lsp import LSP, PARTS, VICINITIES
from lsp_core.lsp.terms import TERMS
from lsp_core.lsp.terms.geometry import nearest
from lsp_core.lsp.terms.reconstruction import barycentre

EVERY = [pytest.param(term, vicinity, id=f"{term}-{vicinity}") for term in TERMS for vicinity in VICINITIES]


def batch(count=8, size=4, width=6, seed=0, dtype=torch.float64):
    """Images, embeddings, points of the eps-balls and their embeddings."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 1, size, size, generator=generator, dtype=dtype)
    features = torch.randn(count, width, generator=generator, dtype=dtype)
    nearby = (images + 0.1 * torch.randn(images.shape, generator=generator, dtype=dtype)).clamp(0, 1)
    return images, features, nearby, features + 0.3 * torch.randn(features.shape, generator=generator, dtype=dtype)


# --- The contract: every entry of TERMS ---


@pytest.mark.parametrize(("term", "vicinity"), EVERY)
@pytest.mark.parametrize("unit_length", [True, False])
def test_is_a_finite_scalar_not_below_zero(term, vicinity, unit_length):
    for dtype in (torch.float32, torch.float64):
        value = LSP(term, vicinity=vicinity, unit_length=unit_length)(*batch(dtype=dtype))
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


@pytest.mark.parametrize(("term", "vicinity"), EVERY)
@pytest.mark.parametrize("unit_length", [True, False])
@pytest.mark.parametrize("case", HARD)
def test_value_and_gradient_are_finite_on_hard_batches(term, vicinity, unit_length, case):
    images, features, nearby, near = HARD[case]()
    features, near = features.clone().requires_grad_(), near.clone().requires_grad_()
    value = LSP(term, vicinity=vicinity, unit_length=unit_length)(images, features, nearby, near)
    value.backward()
    assert value.isfinite()
    assert value >= 0
    for leaf in (features, near):
        assert leaf.grad is None or leaf.grad.isfinite().all()
    assert features.grad is not None


@pytest.mark.parametrize(("term", "vicinity"), EVERY)
def test_the_gradient_reaches_both_embeddings(term, vicinity):
    images, features, nearby, near = batch()
    features.requires_grad_(), near.requires_grad_()
    LSP(term, vicinity=vicinity)(images, features, nearby, near).backward()
    assert (features.grad.norm(dim=1) > 0).all()
    assert (near.grad.norm(dim=1) > 0).all()


@pytest.mark.parametrize(("term", "vicinity"), EVERY)
@pytest.mark.parametrize("unit_length", [True, False])
def test_gradient_equals_finite_differences(term, vicinity, unit_length):
    images, features, nearby, near = batch(6)
    lsp = LSP(term, vicinity=vicinity, unit_length=unit_length, k=3)
    features.requires_grad_(), near.requires_grad_()
    assert torch.autograd.gradcheck(lambda z, zz: lsp(images, z, nearby, zz), (features, near))


@pytest.mark.parametrize(("term", "vicinity"), EVERY)
def test_unit_length_ignores_the_scale_of_embeddings(term, vicinity):
    images, features, nearby, near = batch()
    lsp = LSP(term, vicinity=vicinity)
    value = lsp(images, features, nearby, near)
    torch.testing.assert_close(lsp(images, features * 50, nearby, near * 50), value, rtol=1e-5, atol=0)
    loose = dataclasses.replace(lsp, unit_length=False)
    shrunk = loose(images, features / 50, nearby, near / 50)
    assert not torch.isclose(shrunk, loose(images, features, nearby, near), rtol=0.1)


@pytest.mark.parametrize(("term", "vicinity"), EVERY)
def test_the_order_of_the_batch_does_not_matter(term, vicinity):
    parts, order = batch(), torch.randperm(8, generator=torch.Generator().manual_seed(1))
    lsp = LSP(term, vicinity=vicinity)
    torch.testing.assert_close(lsp(*(part[order] for part in parts)), lsp(*parts))


@pytest.mark.parametrize(("term", "vicinity"), EVERY)
def test_inputs_are_left_as_they_were(term, vicinity):
    parts = batch()
    before = [part.clone() for part in parts]
    LSP(term, vicinity=vicinity)(*parts)
    assert all(part.equal(copy) for part, copy in zip(parts, before, strict=True))


@pytest.mark.parametrize(("term", "vicinity"), EVERY)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda x, z, xx, zz: (x[1:], z, xx, zz),
        lambda x, z, xx, zz: (x, z, xx[1:], zz),
        lambda x, z, xx, zz: (x, z, xx, zz[1:]),
        lambda x, z, xx, zz: (x, z[:, 1:], xx, zz),
        lambda x, z, xx, zz: (x, z, xx[..., 1:], zz),
        lambda x, z, xx, zz: (x[1:], z, xx[1:], zz),
        lambda x, z, xx, zz: (x, z.flatten(), xx, zz.flatten()),
    ],
)
def test_shapes_that_do_not_match_raise(term, vicinity, spoil):
    with pytest.raises(ValueError, match="must match row by row"):
        LSP(term, vicinity=vicinity)(*spoil(*batch()))


# --- Exact values ---


def test_vicinity_by_hand():
    features, near = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 4.0], [3.0, 4.0]])
    images = torch.zeros(2, 1, 1, 1)
    assert LSP("vicinity", unit_length=False)(images, features, images, near).item() == (4 + 25) / 2


def test_vicinity_at_unit_length_by_hand():
    # Unit vectors at 90 and at 60 degrees: squared distances 2 and 1.
    features = torch.tensor([[5.0, 0.0], [2.0, 0.0]], dtype=torch.float64)
    near = torch.tensor([[0.0, 3.0], [0.5, math.sqrt(3) / 2]], dtype=torch.float64)
    images = torch.zeros(2, 1, 1, 1, dtype=torch.float64)
    assert LSP("vicinity")(images, features, images, near).item() == pytest.approx(1.5, abs=1e-5)


def test_nothing_is_lost_where_a_point_and_its_ball_coincide():
    images, features, _, _ = batch()
    assert LSP("vicinity")(images, features, images, features) == 0


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
    lsp = LSP("distribution", k=k, temperature=temperature, unit_length=False)
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
    assert LSP("distribution", k=1)(images, flat, images, flat).item() == pytest.approx(expected, rel=1e-9)


def test_distribution_is_zero_for_an_embedding_that_keeps_all_proportions():
    # On a square with k = 2 every bandwidth is the same, so embedding = image at the right temperature has q = p.
    images = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    lsp = LSP("distribution", k=2, temperature=2.0, unit_length=False)
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
    lsp = LSP("laplacian", k=k, unit_length=False)
    images, features, nearby, near = batch(7)
    value = lsp(images, features, nearby, near).item()
    assert value == pytest.approx(slow_laplacian(lsp, images, features, near), rel=1e-9)


def test_laplacian_by_hand():
    # Images 0, 1, 3 on a line, k = 1: the nearest of 0 is 1, of 1 is 0, of 3 is 1; one neighbour has all the weight.
    images = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64).view(3, 1, 1, 1) / 3
    features = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    near = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    lsp = LSP("laplacian", k=1, unit_length=False)
    assert lsp(images, features, images, near).item() == pytest.approx((1 + 1 + 16) / 3 + (1 + 1 + 1) / 3)
    ball = dataclasses.replace(lsp, part="ball")
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
    value = LSP("reconstruction", k=k, unit_length=False)(images, features, nearby, near)
    torch.testing.assert_close(value, total)


def test_reconstruction_is_zero_for_any_linear_map():
    # Five images in a plane and an embedding that is linear in them: what rebuilds the one rebuilds the other.
    images = torch.rand(5, 1, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    features = images.flatten(1) @ torch.tensor([[2.0, -1.0, 0.5], [0.3, 1.0, 4.0]], dtype=torch.float64)
    lsp = LSP("reconstruction", k=3, unit_length=False)
    assert lsp(images, features, images, features) < 0.005  # the ridge
    assert lsp(images, features.flip(0), images, features.flip(0)) > 0.1


@pytest.mark.parametrize("term", ["distribution", "laplacian", "reconstruction"])
def test_both_parts_are_the_sum_of_each(term):
    parts = {part: LSP(term, part=part)(*batch()) for part in PARTS}
    torch.testing.assert_close(parts["both"], parts["ball"] + parts["neighbors"])
    images, features, nearby, near = batch()
    assert LSP(term, part="neighbors")(images, features, nearby, near * 0 + 1) == parts["neighbors"]
    assert LSP(term, part="ball")(images, features, nearby, near * 0 + 1) != parts["ball"]


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
        ({"term": "graph"}, f"unknown structure term 'graph': choose one of {', '.join(TERMS)}"),
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
        ({"part": "half"}, "part of LSP is 'half', but it must be one of both, ball, neighbors"),
        ({"part": "neighbors"}, "the term vicinity knows only the ball"),
        ({"weight": float("inf")}, "weight of LSP is inf, but it must be finite"),
        ({"eps": float("nan")}, "eps of LSP is nan, but it must be from 0 to 1"),
        ({"temperature": float("inf")}, "temperature of LSP is inf, but it must be finite"),
        ({"temperature": float("nan")}, "temperature of LSP is nan"),
        ({"k": 2.5}, "k of LSP is 2.5, but it must be a whole number"),
        ({"k": True}, "k of LSP is True, but it must be a whole number"),
        ({"weight": "5"}, "weight of LSP is '5', but it must be a number"),
        ({"term": ["vicinity"]}, r"term of LSP is \['vicinity'\], but it must be text"),
        ({"unit_length": 1}, "unit_length of LSP is 1, but it must be true or false"),
    ],
)
def test_settings_that_cannot_be_meant_raise(settings, message):
    with pytest.raises(ValueError, match=message):
        LSP(**settings)
