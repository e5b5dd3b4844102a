"""The interval of a paired difference: by hand, against published figures, and against simulation."""

import math

import numpy as np
import pytest
import torch

from lsp_core.intervals import paired_interval, wilson_interval


def of_table(both, first, second, neither):
    """The interval of a 2 by 2 table: right in both, in the first only, in the second only, in neither."""
    a = [True] * (both + first) + [False] * (second + neither)
    b = [True] * both + [False] * first + [True] * second + [False] * neither
    return paired_interval(a, b)


def test_by_hand():
    # 6 of 10 against 3 of 10, right in both 3: phi = (3 * 4 - 0 * 3 - 10 / 2) / sqrt(6 * 4 * 3 * 7) = 0.311805.
    # Wilson: 6 of 10 is 0.312674 to 0.831820, 3 of 10 is 0.107789 to 0.603222.
    # Below sqrt(0.082557 + 0.091944 - 0.054331) = 0.346654, above sqrt(0.053741 + 0.036945 - 0.027788) = 0.250795.
    low, high = of_table(3, 3, 0, 4)
    assert low == pytest.approx(0.3 - 0.346654, abs=5e-6)
    assert high == pytest.approx(0.3 + 0.250795, abs=5e-6)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((1, 1, 7, 12), -0.507, -0.026),  # Fagerland, Lydersen and Laake 2014, airway hyper-responsiveness
        ((14, 5, 0, 22), 0.011, 0.226),  # Altman et al. 2000, Statistics with Confidence, table 6.2
    ],
)
def test_published_figures(table, low, high):
    assert of_table(*table) == pytest.approx((low, high), abs=5e-4)


def test_the_other_way_round_is_the_mirror_image():
    low, high = of_table(20, 9, 3, 30)
    assert of_table(20, 3, 9, 30) == pytest.approx((-high, -low))


def test_pairs_tell_more_than_two_independent_samples():
    """Where the two mostly agree the interval is far narrower than that of the two shares apart."""
    (low, high), (p_low, p_high), (q_low, q_high) = (
        of_table(480, 40, 10, 470),
        *map(wilson_interval, (520, 490), (1000,) * 2),
    )
    assert 0 < low < 0.03 < high
    assert high - low < 0.6 * math.hypot(p_high - p_low, q_high - q_low)


@pytest.mark.parametrize("table", [(0, 0, 0, 40), (40, 0, 0, 0), (17, 0, 0, 23)])
def test_no_difference_seen_is_not_no_difference(table):
    low, high = of_table(*table)
    assert -0.2 < low < 0 < high < 0.2
    assert low == pytest.approx(-high)


@pytest.mark.parametrize("table", [(0, 30, 0, 0), (0, 0, 30, 0), (0, 15, 15, 0), (1, 0, 0, 0), (3, 29, 0, 1)])
def test_extremes_stay_between_minus_one_and_one(table):
    low, high = of_table(*table)
    observed = (table[1] - table[2]) / sum(table)
    assert -1 <= low <= observed <= high <= 1


def test_of_nothing_it_is_everything():
    assert paired_interval([], []) == (-1.0, 1.0)


def test_lists_arrays_and_tensors_are_the_same():
    a, b = [True, True, False, True], [True, False, False, False]
    assert (
        paired_interval(a, b)
        == paired_interval(np.array(a), np.array(b))
        == paired_interval(*map(torch.tensor, (a, b)))
    )


def test_examples_of_different_number_are_refused():
    with pytest.raises(ValueError, match="a has 3 examples and b 2"):
        paired_interval([True] * 3, [False] * 2)


@pytest.mark.parametrize(
    ("cells", "n"),
    [
        ((0.30, 0.10, 0.02, 0.58), 200),  # one model is ahead, and the two agree on most images
        ((0.45, 0.05, 0.05, 0.45), 200),  # no difference
        ((0.02, 0.00, 0.01, 0.97), 300),  # rare survivors, as under a strong attack
        ((0.25, 0.25, 0.25, 0.25), 100),  # nothing in common
    ],
)
def test_it_holds_the_truth_as_often_as_it_says(cells, n):
    rounds = 2000
    tables = np.random.default_rng(0).multinomial(n, cells, rounds)
    truth = cells[1] - cells[2]
    held = sum(low <= truth <= high for low, high in (of_table(*table) for table in tables))
    assert 0.93 < held / rounds < 0.999  # it is known to be cautious where survivors are rare
