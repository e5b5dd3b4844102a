"""Square: schedule, stripes and hills by hand, what every query keeps, and the authors' library as an oracle."""

import itertools
import math

import pytest
import torch
from conftest import Counted, LinearPair, Stubborn, TinyNet, linear_case, random_batch
from torch.nn import functional

from lsp_core.attacks import Square
from lsp_core.attacks.norms import NORMS
from lsp_core.attacks.square import _Draw, _hill, _hills, _paint, _pyramid, _shift_mass, _side, _stripes

GREY = torch.full((3, 2, 8, 8), 0.5)


# --- By hand ---


def test_the_sides_of_the_squares_by_hand():
    # The root of the share of 784 pixels: 627.2, 313.6, 156.8, 78.4, 39.2, 19.6, 9.8, 4.9, 2.45, 1.225.
    first_and_last = {
        (0, 10): 25,
        (11, 50): 18,
        (51, 200): 13,
        (201, 500): 9,
        (501, 1000): 6,
        (1001, 2000): 4,
        (2001, 4000): 3,
        (4001, 6000): 2,
        (6001, 8000): 2,
        (8001, 99999): 1,
    }
    for queries, side in first_and_last.items():
        assert [_side(0.8, query, torch.Size((28, 28))) for query in queries] == [side, side]


def test_a_square_fits_into_an_oblong_image_and_never_vanishes():
    assert _side(1.0, 0, torch.Size((2, 50))) == 2  # the root of 100 is 10
    assert _side(0.01, 9000, torch.Size((8, 8))) == 1


def test_the_schedule_equals_the_library():
    square = pytest.importorskip("pyautoattack.square", reason="pyautoattack is not installed.")
    theirs = square.SquareAttack(None, p_init=0.8, resc_schedule=False)
    for query in (*range(0, 1002), *range(1990, 10000, 7)):
        side = max(round(math.sqrt(theirs.p_selection(query) * 28 * 28)), 1)
        assert _side(0.8, query, torch.Size((28, 28))) == side


def test_pyramids_by_hand():
    # Around the middle everything gets 1/4, the middle 1 more: 8 squares of 1/4 and one of 5/4 make 33/16.
    expected = torch.tensor([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / math.sqrt(33)
    torch.testing.assert_close(_pyramid(3, 3), expected)
    # One row of five: 1, 5/4 of it next to the middle... in ninths and quarters: 4/36, 13/36, 49/36, 13/36, 4/36.
    row = torch.tensor([[4.0, 13.0, 49.0, 13.0, 4.0]])
    torch.testing.assert_close(_pyramid(1, 5), row / row.norm())


@pytest.mark.parametrize("side", range(1, 10))
def test_hills_rise_on_one_half_and_fall_on_the_other(side):
    hill = _hill(side, _Draw(GREY, 0))
    assert hill.norm().item() == pytest.approx(1)
    drawn = [_hill(side, _Draw(GREY, seed)) for seed in range(20)]
    upright = next(one for one in drawn if one[0, 0] * one[0, -1] > 0)
    assert (upright[: side // 2] > 0).all()
    assert (upright[side // 2 :] < 0).all()
    if side > 1:
        assert {one.equal(upright) for one in drawn} == {True, False}  # half of them lie down
        assert all(one.equal(upright) or one.equal(upright.T) for one in drawn)


@pytest.mark.parametrize("height", range(1, 8))
@pytest.mark.parametrize("width", range(1, 8))
def test_pyramids_are_of_unit_length_and_equal_the_library(height, width):
    square = pytest.importorskip("pyautoattack.square", reason="pyautoattack is not installed.")
    theirs = square.SquareAttack(None, norm="L2", device="cpu").eta_rectangles(height, width)
    torch.testing.assert_close(_pyramid(height, width), theirs)
    assert _pyramid(height, width).norm().item() == pytest.approx(1)


def test_linf_begins_with_stripes():
    delta = _stripes(GREY, 0.1, _Draw(GREY, 0)) - 0.5
    torch.testing.assert_close(delta.abs(), torch.full_like(delta, 0.1))
    assert (delta == delta[:, :, :1]).all()  # a column has one sign in each channel
    assert len(delta[0].sign()[:, 0].unique()) == 2
    assert (delta == delta[:1]).all()  # the batch shares its draws


def test_linf_paints_one_square_in_one_sign_a_channel():
    draw, seen = _Draw(GREY, 0), set()
    for _ in range(60):
        changed = _paint(GREY, GREY, 0.1, 3, draw) - 0.5
        rows, columns = (changed[0, 0].abs().amax(axis).nonzero().flatten().tolist() for axis in (1, 0))
        assert len(rows) == len(columns) == 3
        inside = changed[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        torch.testing.assert_close(inside.abs(), torch.full_like(inside, 0.1))
        assert (inside == inside[:1, :, :1, :1]).all()
        assert changed.abs().sum().item() == pytest.approx(0.1 * 9 * 2 * 3, rel=1e-4)
        seen.update(rows)
    assert seen == set(range(8))  # the last row, too


def test_a_window_reaches_every_place():
    draw = _Draw(GREY, 0)
    corners = {tuple((part.start, part.stop) for part in draw.window(6)) for _ in range(300)}
    assert corners == {((top, top + 6), (left, left + 6)) for top in range(3) for left in range(3)}
    assert draw.window(8) == (slice(0, 8), slice(0, 8))


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8])
def test_l2_steps_spend_the_whole_budget_before_clipping(side):
    draw = _Draw(GREY, 0)
    begun = _hills(GREY, 0.3, draw)
    torch.testing.assert_close(NORMS["L2"].size(begun - GREY), torch.full((3,), 0.3))
    current = GREY + 0.5 * (begun - GREY)  # half of the budget is left over
    for _ in range(20):
        current = _shift_mass(GREY, current, 0.3, side, draw)
        torch.testing.assert_close(NORMS["L2"].size(current - GREY), torch.full((3,), 0.3))


def test_l2_moves_mass_between_two_windows_and_leaves_the_rest():
    draw = _Draw(GREY, 0)
    begun = _hills(GREY, 0.3, draw)
    moved = _shift_mass(GREY, begun, 0.3, 3, draw)
    before, after = begun - GREY, moved - GREY
    same = torch.isclose(before, after, atol=1e-6).all(1)[0]
    assert 2 * 9 >= (~same).sum() >= 9  # at most two squares of 3x3 changed
    emptied = (after.abs() < 1e-7).all(1)[0] & ~same
    assert emptied.any()
    torch.testing.assert_close(before.square().sum((2, 3)), after.square().sum((2, 3)))  # in every channel


@pytest.mark.parametrize("norm", NORMS)
def test_every_iterate_lies_on_the_sphere(norm):
    images, steps = torch.full((4, 1, 8, 8), 0.5), []
    net = TinyNet().eval()
    Square(0.2, 60, norm)(net, images, net(images).argmax(1), on_step=steps.append)
    for step in steps:
        delta = step.images - images
        torch.testing.assert_close(NORMS[norm].size(delta), torch.full((4,), 0.2))
        if norm == "Linf":
            torch.testing.assert_close(delta.abs(), torch.full_like(delta, 0.2))


# --- What is kept, who leaves ---


@pytest.mark.parametrize("loss", ["margin", "ce", "dlr"])
@pytest.mark.parametrize("norm", NORMS)
def test_no_query_makes_it_worse(norm, loss):
    from lsp_core.attacks.losses import LOSSES

    net, values = TinyNet().eval(), []
    images, labels = random_batch(net)
    Square(0.2, 60, norm, loss)(
        net, images, labels, on_step=lambda step: values.append(LOSSES[loss](step.logits, labels))
    )
    assert all((later >= earlier).all() for earlier, later in itertools.pairwise(values))
    assert (values[-1] > values[0]).any()


def test_fooled_examples_cost_nothing_more():
    # The mean must pass 0.5: any stripes or squares that go up enough do it for the first, nothing for the last.
    weight = torch.full((64,), 1 / 64)
    model = Counted(LinearPair(weight, bias=-0.5))
    images = torch.tensor([0.49, 0.45, 0.1]).view(3, 1, 1, 1).expand(3, 1, 8, 8)
    adversarial = Square(0.1, 80)(model, images, torch.zeros(3, dtype=torch.int64))
    assert len(model.forwards) == 80
    assert not model.backwards
    assert model.forwards[0] == 3
    assert model.forwards == sorted(model.forwards, reverse=True)
    assert model.forwards[-1] == 1
    assert model.model(adversarial).argmax(1).tolist() == [1, 1, 0]
    stops = Counted(model.model)
    Square(0.1, 80)(stops, images[:2], torch.zeros(2, dtype=torch.int64))
    assert stops.forwards == [count - 1 for count in model.forwards if count > 1]


def test_being_watched_or_batched_changes_nothing(trained, digits_test):
    images, labels = digits_test.float(slice(0, 40)), digits_test.labels[:40]
    for norm, eps in (("Linf", 0.1), ("L2", 0.8)):
        attack = Square(eps, 60, norm)
        whole = attack(trained, images, labels)
        assert attack(trained, images, labels, on_step=lambda step: None).equal(whole)
        alone = torch.cat([attack(trained, images[row : row + 1], labels[row : row + 1]) for row in range(8)])
        torch.testing.assert_close(alone, whole[:8])


def test_more_queries_never_help_the_defender(trained, digits_test):
    images, labels = digits_test.float(slice(0, 60)), digits_test.labels[:60]
    stands = [trained(Square(0.12, count)(trained, images, labels)).argmax(1) == labels for count in (1, 20, 200)]
    assert not (stands[1] & ~stands[0]).any()
    assert not (stands[2] & ~stands[1]).any()
    assert stands[2].sum() < stands[1].sum() < stands[0].sum()


def test_nears_the_closed_form_on_a_linear_model_with_no_gradient():
    model, weight, images, labels = linear_case(count=20)
    adversarial = Square(0.02, 800)(model, images, labels)
    gained = ((adversarial - images) * weight).flatten(1).sum(1) * (1 - 2 * labels)
    stands = model(adversarial).argmax(1) == labels
    best = 0.02 * weight.abs().sum()
    assert stands.any()
    assert (gained[stands] > 0.97 * best).all()
    assert (gained <= best * (1 + 1e-4)).all()


def test_a_targeted_search_goes_to_the_target(trained, digits_test):
    images, labels = digits_test.float(slice(0, 30)), digits_test.labels[:30]
    target = (labels + 1) % 10
    before = functional.cross_entropy(trained(images), target)
    adversarial = Square(0.4, 150, targeted=True)(trained, images, target)
    assert functional.cross_entropy(trained(adversarial), target) < before / 2


@pytest.mark.parametrize("norm", NORMS)
def test_without_progress_the_start_is_returned(norm):
    images, labels = torch.full((2, 1, 8, 8), 0.5), torch.zeros(2, dtype=torch.int64)
    begun = Square(0.1, 1, norm)(Stubborn().eval(), images, labels)
    assert Square(0.1, 40, norm)(Stubborn().eval(), images, labels).equal(begun)


# --- The authors' library ---


def robust_share(make, images, labels, model):
    """The share that stands, over two seeds: one seed differs from the next by two points or so."""
    with torch.random.fork_rng():
        runs = [make(seed)(images, labels) for seed in (0, 1)]
    return sum((model(run).argmax(1) == labels).float().mean().item() for run in runs) / 2


@pytest.mark.parametrize(("norm", "eps"), [("Linf", 32 / 255), ("L2", 0.9)])
def test_is_as_strong_as_the_library_and_stronger_where_its_windows_end_early(norm, eps, trained, digits_test):
    # The library draws a window's place below height - side, never at it, so that its squares do not reach the last row
    # and column: an eighth of an 8x8 image. With that mended, or with a row and column to spare, both are alike.
    square = pytest.importorskip("pyautoattack.square", reason="pyautoattack is not installed.")
    images, labels = digits_test.float(slice(0, 150)), digits_test.labels[:150]

    class Mended(square.SquareAttack):
        def random_int(self, low=0, high=1, shape=(1,)):
            return super().random_int(low, high + 1, shape)

    class Cropped(torch.nn.Module):
        def forward(self, padded):
            return trained(padded[:, :, :8, :8])

    def shares(model, images, *kinds):
        def own(seed):
            return lambda images, labels: Square(eps, 250, norm, seed=seed)(model, images, labels)

        def theirs(kind):  # which counts its start as no query
            settings = {"norm": norm, "eps": eps, "n_queries": 249, "resc_schedule": False}
            return lambda seed: kind(model, seed=seed, **settings).perturb

        return [robust_share(make, images, labels, model) for make in (own, *map(theirs, kinds))]

    ours, library, mended = shares(trained, images, square.SquareAttack, Mended)
    assert 0.05 < ours < 0.9
    assert ours <= library + 0.005
    assert ours == pytest.approx(mended, abs=0.04)
    assert library - mended > 0.05
    ours, spared = shares(Cropped().eval(), functional.pad(images, (0, 1, 0, 1)), square.SquareAttack)
    assert ours == pytest.approx(spared, abs=0.04)
    assert spared < library
