"""The intervals of paired differences: by hand, against published figures, and against simulation."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from lsp_core.evaluation.intervals import (
    crossed_interval,
    mean_difference_interval,
    mean_interval,
    paired_interval,
    wilson_interval,
)


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


def test_a_mean_difference_by_hand():
    # 1, 0.5, 0, -0.5 and the two added, 1 and -1: mean 1 / 6, variance (3.5 / 6 - 1 / 36) = 0.555556,
    # standard error sqrt(0.555556 / 6) = 0.304290, times 1.959964 is 0.596398.
    low, high = mean_difference_interval([1, 0.5, 0, -0.5])
    assert (low, high) == pytest.approx((0.166667 - 0.596398, 0.166667 + 0.596398), abs=2e-6)


@pytest.mark.parametrize(
    ("first", "second", "n", "low", "high"),
    [(6, 16, 161, -0.1195, -0.0032)],  # Fagerland, Lydersen and Laake 2017: complete response (Cavo et al. 2012)
)
def test_a_mean_difference_of_one_training_is_bonett_and_price(first, second, n, low, high):
    found = mean_difference_interval([1] * first + [-1] * second + [0] * (n - first - second))
    assert found == pytest.approx((low, high), abs=5e-5)


def seeds(n, trainings, generator):
    """(n,) mean differences over trainings whose images have much in common: some are easy for all."""
    ease = generator.normal(0, 1.5, n)
    one, other = (ease + shift + generator.normal(0, 1, (trainings, n)) > 1 for shift in (0.4, 0))
    return (one.astype(float) - other).mean(0)


def test_a_mean_difference_is_a_paired_t_interval_where_examples_are_many():
    values = seeds(2000, 3, np.random.default_rng(1))
    found = stats.ttest_1samp(values, 0).confidence_interval()
    assert mean_difference_interval(values) == pytest.approx((found.low, found.high), abs=4e-4)
    added = [*values, 1, -1]
    exact = stats.norm.interval(0.95, np.mean(added), np.std(added) / math.sqrt(len(added)))
    assert mean_difference_interval(values) == pytest.approx(exact, abs=1e-12)


def test_a_mean_difference_holds_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(2)
    truth = seeds(2_000_000, 3, generator).mean()
    found = [mean_difference_interval(seeds(200, 3, generator)) for _ in range(2000)]
    assert 0.935 < sum(low <= truth <= high for low, high in found) / len(found) < 0.97


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_a_mean_difference_has_width_where_all_are_the_same(value):
    low, high = mean_difference_interval([value] * 50)
    assert -1 <= low <= value <= high <= 1
    assert 0.02 < high - low < 0.2
    assert mean_difference_interval([]) == (-1.0, 1.0)


def test_a_difference_beyond_one_is_refused():
    with pytest.raises(ValueError, match=r"a difference is 1\.5, but it must be from -1 to 1"):
        mean_difference_interval([0, 1.5])


# --- Other images and other trainings ---


def test_a_mean_by_hand():
    # With 0 and 1 added: 4 of mean 1/2 and mean square 3/8, so 1.959964 sqrt((3/8 - 1/4) / 4) = 0.346476.
    low, high = mean_interval([0.5, 0.5])
    assert (low, high) == pytest.approx((0.5 - 0.346476, 0.5 + 0.346476), abs=5e-7)


def test_a_mean_is_scipys_with_an_example_of_all_and_one_of_nothing():
    shares = np.random.default_rng(0).integers(0, 9, 200) / 8
    more = np.append(shares, [0, 1])
    expected = stats.norm.interval(0.95, loc=more.mean(), scale=more.std() / math.sqrt(202))
    assert mean_interval(shares) == pytest.approx(expected, abs=1e-12)
    student = stats.t.interval(0.95, 199, loc=shares.mean(), scale=stats.sem(shares))
    assert mean_interval(shares) == pytest.approx(student, abs=0.003)


def test_a_mean_holds_the_truth_as_often_as_it_says():
    """Shares that are mostly 0 and sometimes 1, where Student's interval holds it too seldom."""
    random = np.random.default_rng(1)
    samples = random.random((2000, 60)) < 0.05
    ours = [low <= 0.05 <= high for low, high in map(mean_interval, samples)]
    assert 0.94 < np.mean(ours) < 0.99


@pytest.mark.parametrize(("share", "inside"), [(0.0, 0.04), (1.0, 0.96)])
def test_a_mean_has_width_where_all_are_the_same(share, inside):
    low, high = mean_interval([share] * 200)
    assert 0 <= low < high <= 1
    assert low <= share <= high
    assert (high if share == 0 else low) == pytest.approx(share, abs=abs(share - inside))


def test_a_share_beyond_one_is_refused():
    with pytest.raises(ValueError, match=r"a share is 1.25, but it must be from 0 to 1"):
        mean_interval([0.5, 1.25])


def test_crossed_by_hand():
    """Rows of 1/2, 1/4 and 0; columns of 1/3 six times and 0 twice; all of it 1/4."""
    matrix = [[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 0, 0], [0] * 8]
    # Sums of squares: trainings 8 (1/16 + 1/16) = 1, images 3 (6 / 144 + 2 / 16) = 0.5, all 6 - 24 / 16 = 4.5, rest 3.
    # Mean squares 1 / 2 = 0.5, 0.5 / 7 = 0.071429 and 3 / 14 = 0.214286: the images add nothing. Variance 0.5 / 24,
    # standard error 0.1443376, Student's t of 2 degrees of freedom 4.302653: 0.621034.
    assert crossed_interval(matrix) == pytest.approx((0.25 - 0.621034, 0.25 + 0.621034), abs=1e-6)


def test_crossed_by_hand_where_the_images_add_something():
    """Rows of 1/3, 1/6 and 0; columns of 0, 1/3, -1/3, -1/3, 2/3 and 2/3; all of it 1/6; and so five times."""
    matrix = np.tile([[0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1], [0, 0, -1, -1, 1, 1]], 5)
    # Sums of squares: trainings 30 (2 / 36) = 5/3, images 15 (38 / 36) = 95/6, all 35 - 90 / 36 = 32.5, rest 15. Mean
    # squares 5/6, 95 / 174 and 15 / 58, together 5/6 + 50 / 174 = 1.120690: variance 1.120690 / 90, standard error
    # 0.111589; degrees of freedom 2 (1.120690 / 0.833333)^2 = 3.617122.
    reach = stats.t.ppf(0.975, 3.617122) * 0.111589
    assert crossed_interval(matrix) == pytest.approx((1 / 6 - reach, 1 / 6 + reach), abs=2e-6)


def by_regression(matrix):
    """The same from the residuals of nested linear models, with the quantile of scipy.stats."""
    trainings, images = matrix.shape
    row, column = (index.ravel() for index in np.indices(matrix.shape))
    design = {"none": np.ones((matrix.size, 1)), "trainings": np.eye(trainings)[row], "images": np.eye(images)[column]}
    design["both"] = np.hstack([design["trainings"], design["images"]])

    def left(name):
        found = np.linalg.lstsq(design[name], matrix.ravel(), rcond=None)[0]
        return np.square(matrix.ravel() - design[name] @ found).sum()

    of_trainings = (left("none") - left("trainings")) / (trainings - 1)
    of_images = (left("none") - left("images")) / (images - 1)
    of_rest = left("both") / ((trainings - 1) * (images - 1))
    spread = of_trainings + max(of_images - of_rest, 0)
    freedom = spread**2 / (of_trainings**2 / (trainings - 1))
    return stats.t.interval(0.95, freedom, matrix.mean(), np.sqrt(spread / matrix.size))


@pytest.mark.parametrize("trainings", [2, 3, 5])
def test_crossed_is_the_analysis_of_variance(trainings):
    generator, found = np.random.default_rng(trainings), 0
    for _ in range(20):
        wins = generator.uniform(0.1, 0.5, (trainings, 1))
        matrix = (generator.random((trainings, 60)) < wins).astype(float) - (generator.random((trainings, 60)) < 0.1)
        low, high = crossed_interval(matrix)
        if (low, high) != mean_difference_interval(matrix.mean(0)):
            found += 1
            expected = by_regression(matrix)
            assert (low, high) == pytest.approx((max(-1, expected[0]), min(1, expected[1])), abs=1e-9)
    assert found > 8


def drawn(trainings, spread, generator):
    """Differences of mean 0.1, with standard deviations of ``spread`` of trainings, 0.2 of images and of the rest."""
    parts = ((trainings, 1, spread), (1, 100, 0.2), (trainings, 100, 0.2))
    return np.clip(0.1 + sum(generator.normal(0, scale, (rows, columns)) for rows, columns, scale in parts), -1, 1)


@pytest.mark.parametrize(
    ("trainings", "spread", "least"),
    [(3, 0.02, 0.935), (5, 0.04, 0.935), (5, 0.08, 0.93), (3, 0.08, 0.91), (2, 0.08, 0.86)],  # few that differ much
)
def test_crossed_holds_the_truth_as_often_as_it_says(trainings, spread, least):
    generator = np.random.default_rng(3)
    matrices = [drawn(trainings, spread, generator) for _ in range(2000)]
    held = [low <= 0.1 <= high for low, high in map(crossed_interval, matrices)]
    alone = [low <= 0.1 <= high for low, high in (mean_difference_interval(matrix.mean(0)) for matrix in matrices)]
    assert least < np.mean(held) < 0.975
    assert np.mean(alone) < (0.8 if spread == 0.08 else np.mean(held))  # as if the trainings had not been drawn


def test_crossed_holds_the_truth_of_wins_and_losses():
    """Trainings that differ in skill, images that differ in ease, and only -1, 0 and 1."""
    generator = np.random.default_rng(4)

    def once(images):
        ease, skill = generator.normal(0, 1.5, images), generator.normal(0, 0.25, (2, 3, 1))
        one, other = ease + skill + [[[0.4]], [[0]]] + generator.normal(0, 1, (2, 3, images)) > 1
        return one.astype(float) - other

    truth = np.mean([once(10).mean() for _ in range(60_000)])
    held = [low <= truth <= high for low, high in (crossed_interval(once(200)) for _ in range(1000))]
    assert 0.93 < np.mean(held) < 0.99


def test_crossed_is_never_narrower_than_these_trainings_allow():
    generator = np.random.default_rng(5)
    for _ in range(50):
        matrix = generator.integers(-1, 2, (3, 40))
        low, high = crossed_interval(matrix)
        first, last = mean_difference_interval(matrix.mean(0))
        assert high - low >= last - first
        assert low <= matrix.mean() <= high


@pytest.mark.parametrize("value", [0, 1, -1])
def test_crossed_has_width_where_all_are_the_same(value):
    matrix = np.full((3, 50), value)
    assert crossed_interval(matrix) == mean_difference_interval(matrix[0])


def test_trainings_that_agree_leave_the_images_alone():
    """Infinite degrees of freedom: the quantile is the normal one."""
    matrix = np.tile([1, 0, 0, -1, 1], (3, 20))
    expected = stats.norm.interval(0.95, 0.2, matrix[0].std(ddof=1) / 10)
    assert crossed_interval(matrix) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("matrix", [[[0, 1, 0]], [0, 1, 0], np.zeros((3, 0))])
def test_one_training_or_no_image_is_refused(matrix):
    with pytest.raises(ValueError, match="two trainings or more by one example or more"):
        crossed_interval(matrix)


def test_a_crossed_difference_beyond_one_is_refused():
    with pytest.raises(ValueError, match="must be from -1 to 1"):
        crossed_interval([[0, 2.0], [0, 1.0]])
