"""Numbers that belong to an image: what they depend on, and that they are as good as any."""

import pytest
import torch
from scipy import stats

from lsp_core.attacks.draws import Draws


def pictures(count=40, shape=(3, 5, 4), seed=0):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def splitmix64(state):
    """The published algorithm, with Python's own integers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


def test_numbers_by_hand():
    # One black image of one pixel: its bits are 0, so its content is the mix of the first place.
    golden, seed = 0x9E3779B97F4A7C15, 5
    key = splitmix64((splitmix64(golden) + seed * golden) % 2**64)
    expected = [(splitmix64((key + (counter * golden)) % 2**64) >> 40) / 2**24 for counter in (1, 2, 3)]
    assert Draws(torch.zeros(1, 1, 1, 1), seed).uniform(3)[0].tolist() == expected
    later = (splitmix64((key + (1 + 2 * 2**40) * golden) % 2**64) >> 40) / 2**24
    assert Draws(torch.zeros(1, 1, 1, 1), seed).uniform(1, turn=2)[0].tolist() == [later]


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_an_image_has_its_numbers_whatever_stands_beside_it(kind):
    images = pictures()
    whole = getattr(Draws(images, 3), kind)(50, 4)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert getattr(Draws(images[order], 3), kind)(50, 4).equal(whole[order])
    assert torch.cat([getattr(Draws(part, 3), kind)(50, 4) for part in images.split(7)]).equal(whole)
    assert getattr(Draws(images, 3).at(order[:5]), kind)(50, 4).equal(whole[order[:5]])
    assert getattr(Draws(images.to(memory_format=torch.channels_last), 3), kind)(50, 4).equal(whole)
    assert getattr(Draws(images.double(), 3), kind)(50, 4).equal(whole)


def test_one_pixel_the_seed_and_the_turn_change_every_number():
    images = pictures(1)
    other = images.clone()
    other[0, 2, 4, 3] += 1e-6
    usual = Draws(images, 0).uniform(1000)
    swapped = images.flatten(1).roll(1, 1).view(images.shape)
    changed = [
        Draws(other, 0).uniform(1000),
        Draws(swapped, 0).uniform(1000),
        Draws(images, 1).uniform(1000),
        Draws(images, -1).uniform(1000),
        Draws(images, 2**63).uniform(1000),
        Draws(images, 0).uniform(1000, turn=1),
    ]
    for drawn in changed:
        assert (drawn == usual).sum() <= 2  # of 2^24 values, some may meet
        assert abs(torch.corrcoef(torch.cat([drawn, usual]))[0, 1]) < 0.12
    assert Draws(torch.zeros(1, 1, 2, 2), 0).uniform(9).equal(Draws(-torch.zeros(1, 1, 2, 2), 0).uniform(9))


def test_they_are_uniform_and_normal():
    draws = Draws(pictures(200), 7)
    uniform, normal = draws.uniform(500), draws.normal(500)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert stats.kstest(uniform.flatten().numpy(), "uniform").pvalue > 1e-3
    assert stats.kstest(normal.flatten().numpy(), "norm").pvalue > 1e-3
    assert normal.isfinite().all()


def test_images_places_and_turns_do_not_follow_each_other():
    draws = Draws(pictures(2000, (1, 4, 4)), 0)
    numbers = torch.cat([draws.uniform(16, turn) for turn in range(4)], 1)
    across, along = (torch.corrcoef(rows).fill_diagonal_(0).abs().max() for rows in (numbers.T, numbers[:64]))
    assert across < 5.5 / 2000**0.5  # standard errors; the largest of two thousand pairs is near 3.5
    assert along < 5.5 / 64**0.5


def test_neighbouring_images_of_one_grey_level_each_are_told_apart():
    levels = (torch.arange(256) / 255).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    numbers = Draws(levels, 0).uniform(32)
    assert len(numbers.unique(dim=0)) == 256
    assert torch.corrcoef(numbers).fill_diagonal_(0).abs().max() < 6 / 32**0.5
