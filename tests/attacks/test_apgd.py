"""APGD: review points, momentum and halving by hand, closed forms, and the authors' library as an oracle."""

import itertools
import logging
import math
import warnings
from fractions import Fraction

import pytest
import torch
from conftest import Counted, LinearPair, RowByRow, Scripted, TinyNet, alike, linear_case, random_batch

from lsp_core.attacks import APGD
from lsp_core.attacks.climb import Walk, looks_after
from lsp_core.attacks.norms import NORMS
from lsp_core.evaluation import evaluate


@pytest.fixture
def from_the_image(monkeypatch):
    """No random start, so that a run can be worked out by hand, or repeated by a library."""
    monkeypatch.setattr(APGD, "_start", lambda self, images, draws, run: torch.zeros_like(images))


@pytest.fixture
def reviews(monkeypatch):
    """What every review leaves behind: the steps it looked at, the step sizes, who was halved, the images."""
    seen, review = [], Walk.review

    def noted(walk, steps):
        review(walk, steps)
        seen.append((steps, walk.step.tolist(), walk.halved.tolist(), walk.image.clone()))

    monkeypatch.setattr(Walk, "review", noted)
    return seen


# --- The paper's rules, by hand ---


def test_review_points_by_hand():
    # p grows by 0.22, 0.19, 0.16, 0.13, 0.10, 0.07, then by no less than 0.06: 0.06, and 1.05 is past the end.
    assert looks_after(100) == {22, 41, 57, 70, 80, 87, 93, 99}
    assert looks_after(10) == {3, 5, 6, 7, 8, 9, 10}  # rounded up: 2.2, 4.1, 5.7, 7, 8, 8.7, 9.3, 9.9


def test_review_points_follow_the_formula_without_rounding_errors():
    # As floats 0.22 + 0.19 + 0.16 lies above 0.57, so that 57 of 100 steps would become 58.
    for steps in range(1, 1001):
        points = [Fraction(0), Fraction(22, 100)]
        while points[-1] < 1:
            points.append(points[-1] + max(points[-1] - points[-2] - Fraction(3, 100), Fraction(6, 100)))
        assert looks_after(steps) == {math.ceil(point * steps) for point in points[1:] if point < 1}


def test_momentum_by_hand(from_the_image):
    # Two pixels, L2 ball of 0.4, step 0.8. First step along (1,0), without momentum: to (0.4,0). The second aims along
    # (0,1) at (0.4,0.8), which is pulled back to length 0.4, and goes 3/4 of the way there plus 1/4 of the first step.
    gradients = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 1, 1, 2)
    model = Scripted(torch.tensor([-3.0, -2.0, -1.0]), gradients)
    attack = APGD(0.4, steps=2, norm="L2", loss="margin")
    adversarial = attack(model, torch.full((1, 1, 1, 2), 0.5), torch.tensor([0]))
    pull = 0.4 / math.hypot(0.4, 0.8)
    mixed = (0.4 + 0.75 * (0.4 * pull - 0.4) + 0.25 * 0.4, 0.75 * 0.8 * pull)
    expected = [0.5 + part * 0.4 / math.hypot(*mixed) for part in mixed]
    assert model.seen[1].flatten().tolist() == pytest.approx([0.9, 0.5])
    assert adversarial.flatten().tolist() == pytest.approx(expected, abs=1e-6)
    assert expected == pytest.approx([0.81190, 0.75045], abs=1e-5)


def rises(count, of):
    """Values of ``of`` steps of which ``count`` rise, and which end higher than they began if any does."""
    return [1.0 if step < count else -0.001 for step in range(of)]


def test_halving_by_hand(from_the_image, reviews):
    # Review 1 looks at 22 steps, of which more than 16.5 must rise; review 2 at 19, more than 14.25.
    steps = torch.tensor(
        [
            rises(17, 22) + rises(15, 19),  # enough both times
            rises(16, 22) + rises(15, 19),  # too few, then enough
            rises(17, 22) + rises(14, 19),  # enough, then too few
            rises(17, 22) + [-9.0, -9.0, -9.0, -9.0] + [1.0] * 15,  # enough both times, but the best was not beaten
            rises(16, 22) + [-9.0, -9.0, -9.0, -9.0] + [1.0] * 15,  # the same, but halved the last time: one more try
        ]
    )
    values = torch.cat([torch.zeros(5, 1), steps.cumsum(1)], 1).T - 1000
    model = Scripted(values, torch.ones(1, 1, 1, 1))
    images, labels = torch.full((5, 1, 1, 1), 0.5), torch.zeros(5, dtype=torch.int64)
    APGD(0.1, steps=100, loss="margin")(model, images, labels)
    first, second = reviews[:2]
    assert (first[0], second[0]) == (22, 19)
    assert first[2] == [False, True, False, False, True]
    assert second[2] == [False, False, True, True, False]
    assert first[1] == pytest.approx([0.2, 0.1, 0.2, 0.2, 0.1])
    assert second[1] == pytest.approx([0.2, 0.1, 0.1, 0.1, 0.1])


def test_without_progress_every_review_halves(from_the_image, reviews):
    model = Scripted(torch.tensor([-1.0]), torch.ones(1, 1, 1, 1))
    APGD(0.1, steps=100, loss="margin")(model, torch.full((1, 1, 1, 1), 0.5), torch.tensor([0]))
    assert [review[0] for review in reviews] == [22, 19, 16, 13, 10, 7, 6, 6]
    assert [review[1][0] for review in reviews] == pytest.approx([0.2 / 2**count for count in range(1, 9)])


def test_a_halved_walk_goes_on_from_its_best_image(from_the_image, reviews):
    # One pixel; the gradient turns round, so that the walk leaves what was best after the first step.
    gradients = torch.tensor([1.0] + [-1.0] * 4).view(5, 1, 1, 1)
    model = Scripted(torch.tensor([-9.0, -1.0, -5.0, -6.0, -7.0]), gradients)
    steps = []
    adversarial = APGD(0.1, steps=10, loss="margin")(
        model, torch.full((1, 1, 1, 1), 0.5), torch.tensor([0]), on_step=steps.append
    )
    assert reviews[0][0] == 3
    assert model.seen[1].item() == pytest.approx(0.6)
    assert model.seen[3].item() == pytest.approx(0.4)
    assert reviews[0][3].item() == pytest.approx(0.6)  # back there, with half the step and the gradient found there
    # Aim: 0.6 - 0.1. Then 3/4 of the way, and 1/4 of the move from 0.4, where the walk was, to 0.6.
    assert model.seen[4].item() == pytest.approx(0.6 - 0.75 * 0.1 + 0.25 * (0.6 - 0.4), abs=0.03)
    assert adversarial.item() == pytest.approx(0.6)
    assert [round(step.images.item(), 6) for step in steps] == [0.5] + [0.6] * 10  # on_step sees the best so far


@pytest.mark.parametrize("norm", NORMS)
def test_starts_on_the_sphere_with_steps_twice_as_long(norm):
    images, steps = alike(50, 1, 4, 4), []
    model = LinearPair(torch.zeros(16), bias=-1.0).eval()
    APGD(0.1, steps=1, norm=norm)(model, images, torch.zeros(50, dtype=torch.int64), on_step=steps.append)
    start = steps[0].images - images
    torch.testing.assert_close(NORMS[norm].size(start), torch.full((50,), 0.1))
    assert len(start.flatten(1).unique(dim=0)) == 50
    walk = Walk.begin(images, images, model_view(images), 0.2)
    walk.move(NORMS[norm], 1.0, first=True)
    torch.testing.assert_close(NORMS[norm].size(walk.image - images), torch.full((50,), 0.2))


def model_view(images):
    from lsp_core.attacks.pursuit import View

    count = len(images)
    return View(torch.zeros(count, 2), torch.zeros(count), torch.ones_like(images), torch.zeros(count) > 0)


# --- Closed forms on a linear model ---


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("seed", range(3))
def test_reaches_the_closed_form_on_a_linear_model(seed, loss):
    model, weight, images, labels = linear_case(seed)
    away = 1 - 2 * labels.view(-1, 1, 1, 1).float()
    stands = {"Linf": 0, "L2": 0}
    for norm, eps, way in (("Linf", 0.03, weight.sign()), ("L2", 0.05, weight / weight.norm())):
        adversarial = APGD(eps, 60, norm, loss)(model, images, labels)
        kept = model(adversarial).argmax(1) == labels
        expected = images + eps * away * way
        torch.testing.assert_close(adversarial[kept], expected[kept], atol=2e-4, rtol=0)
        # What it could fool at all, it did.
        assert kept.equal(model(expected).argmax(1) == labels)
        stands[norm] = int(kept.sum())
    assert all(0 < count < 40 for count in stands.values())


@pytest.mark.parametrize("norm", NORMS)
def test_more_eps_steps_or_restarts_never_help_a_linear_defender(norm):
    model, _, images, labels = linear_case()
    unit = 0.02 if norm == "Linf" else 0.05

    def robust(**settings):
        return evaluate(model, images, labels, APGD(norm=norm, **settings)).robust_correct

    ladders = [
        [robust(eps=unit * count, steps=20) for count in range(5)],
        [robust(eps=2 * unit, steps=steps) for steps in (1, 2, 4, 8, 16)],
        [robust(eps=2 * unit, steps=2, restarts=restarts) for restarts in (1, 2, 4)],
    ]
    for ladder in ladders:
        for weaker, stronger in itertools.pairwise(ladder):
            assert not (stronger & ~weaker).any()
    assert ladders[0][-1].sum() < ladders[0][0].sum()


@pytest.mark.parametrize("norm", NORMS)
def test_more_restarts_never_help_the_defender(norm, trained, digits_test):
    images, labels = digits_test.float(slice(0, 200)), digits_test.labels[:200]
    attack = {"eps": 0.11 if norm == "Linf" else 0.8, "norm": norm, "steps": 2}
    robust = [evaluate(trained, images, labels, APGD(restarts=count, **attack)).robust_correct for count in (1, 2, 4)]
    for fewer, more in itertools.pairwise(robust):
        assert not (more & ~fewer).any()
    assert robust[-1].sum() < robust[0].sum()


# --- Who leaves the batch, and as what ---


def test_fooled_examples_cost_nothing_more(from_the_image):
    # The pixel must pass 0.5, the ball ends 0.1 away: two are fooled by the first step, and one never.
    model = Counted(LinearPair(torch.tensor([1.0]), bias=-0.5))
    images, labels = torch.tensor([0.45, 0.43, 0.2]).view(3, 1, 1, 1), torch.zeros(3, dtype=torch.int64)
    adversarial = APGD(0.1, steps=5)(model, images, labels)
    assert (model.forwards, model.backwards) == ([3, 3, 1, 1, 1, 1], [3, 3, 1, 1, 1])
    torch.testing.assert_close(adversarial.flatten(), torch.tensor([0.55, 0.53, 0.3]))


def test_an_example_fooled_on_the_way_is_returned_as_that_iterate(from_the_image):
    # The second step fools, by a lead that the third would exceed: the walk must not even ask for it.
    model = Scripted(torch.tensor([-5.0, -4.0, 0.1, 9.0]), torch.tensor([1.0, 1.0, -1.0]).view(3, 1, 1, 1))
    adversarial = APGD(0.3, steps=9, loss="margin")(model, torch.full((1, 1, 1, 1), 0.5), torch.tensor([0]))
    assert len(model.seen) == 3
    assert adversarial.equal(model.seen[2])


def test_fooled_counts_even_where_the_loss_is_lower(from_the_image):
    # Cross-entropy may fall on the way to a third class that wins.
    class Turn(torch.nn.Module):
        def forward(self, images):
            x = images[:, 0, 0, 0]
            rows = torch.tensor([[0.5, 0.4, 0.4], [0.0, 9.0, 8.0]])
            return (
                torch.where((x > 0.55)[:, None], rows[:1] + torch.tensor([0.0, 0.2, -9.0]), rows[:1]) + 0 * x[:, None]
            )

    model, images, labels = Turn().eval(), torch.full((1, 1, 1, 1), 0.5), torch.tensor([0])
    before = torch.nn.functional.cross_entropy(model(images), labels)
    after = torch.nn.functional.cross_entropy(model(images + 0.1), labels)
    assert after < before
    for start in (0.1, -0.1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(APGD, "_start", lambda self, images, draws, run, start=start: torch.full_like(images, start))
            adversarial = APGD(0.1, steps=2)(model, images, labels)
        assert (model(adversarial).argmax(1) == 1).item() == (start > 0)


def test_the_others_are_returned_at_the_highest_loss(from_the_image):
    values = torch.tensor([-5.0, -4.0, -1.0, -3.0, -2.0])
    model = Scripted(values, torch.tensor([1.0, 1.0, -1.0]).view(3, 1, 1, 1))
    adversarial = APGD(0.3, steps=4, loss="margin")(model, torch.full((1, 1, 1, 1), 0.5), torch.tensor([0]))
    assert adversarial.equal(model.seen[2])


@pytest.mark.parametrize("targets", [0, 3])
def test_being_watched_changes_no_bit(targets, trained, digits_test):
    images, labels = digits_test.float(slice(0, 40)), digits_test.labels[:40]
    attack = APGD(0.1, 10, loss="dlr", targets=targets, restarts=2)
    unseen = attack(trained, images, labels)
    assert attack(trained, images, labels, on_step=lambda step: None).equal(unseen)


# --- Targets ---


def test_goes_for_one_wrong_class_after_another(from_the_image):
    class Ranked(LinearPair):
        """Five classes in the order 2, 0, 4, 1, 3; none of them can be reached."""

        def forward(self, images):
            return torch.tensor([4.0, 2.0, 5.0, 1.0, 3.0]) + 0 * images.flatten(1).sum(1, keepdim=True)

    rivals, goals = [], []
    images, labels = torch.full((2, 1, 1, 1), 0.5), torch.tensor([2, 2])
    climb = APGD._climb

    def noted(self, pursuit, start, run):
        rivals.append(pursuit.goal.towards.tolist())
        goals.append(pursuit.goal.value(torch.tensor([[4.0, 2.0, 5.0, 1.0, 3.0]] * 2))[0].item())
        climb(self, pursuit, start, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(APGD, "_climb", noted)
        model, watched = Ranked(torch.ones(1)).eval(), {"on_step": lambda step: None}  # so that runs come in turn
        APGD(0.1, steps=1, loss="dlr", targets=3)(model, images, labels, **watched)
        assert rivals == [[0, 0], [4, 4], [1, 1]]
        # Equation 7: minus (5 - z_t), over 5 minus the mean of the third and fourth logit, 3 and 2.
        assert goals == pytest.approx([-1 / 2.5, -2 / 2.5, -3 / 2.5])
        rivals.clear()
        APGD(0.1, steps=1, loss="dlr", targets=9)(model, images, labels, **watched)
    assert rivals == [[0, 0], [4, 4], [1, 1], [3, 3]]  # there are no more


@pytest.mark.parametrize(("norm", "nearest"), [("Linf", [3, 2, 1]), ("L2", [2, 1, 3])])
def test_of_the_wrong_classes_the_nearest_comes_first_not_the_likeliest(norm, nearest):
    # The classes 1, 2, 3 are behind by 1, 2 and 2.4. At eps 0.4 a linear model gains 0.4 times the sum of the slope's
    # entries in Linf, 0.4, 1.6 and 2.24; in L2 0.4 times its length, 0.4, 1.6 and 1.58.
    class Sloped(torch.nn.Module):
        def forward(self, images):
            slopes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0], [2.8, 2.8]])
            return (images.flatten(1) - 0.5) @ slopes.T - torch.tensor([0.0, 1.0, 2.0, 2.4])

    order, climb = [], APGD._climb

    def noted(self, pursuit, start, run):
        order.extend(pursuit.goal.towards.tolist())
        climb(self, pursuit, start, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(APGD, "_climb", noted)
        APGD(0.4, steps=1, norm=norm, targets=3)(
            Sloped().eval(), torch.full((1, 1, 1, 2), 0.5), torch.tensor([0]), on_step=lambda step: None
        )
    assert order == nearest  # none is reached


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("settings", [{"targets": 4}, {"restarts": 5}, {"targets": 3, "restarts": 3, "loss": "margin"}])
def test_several_runs_at_once_fool_what_they_fool_in_turn(norm, settings):
    net = RowByRow(1).eval()
    images, labels = random_batch(net, 40)
    attack = APGD(0.05 if norm == "Linf" else 0.3, steps=6, norm=norm, **settings)
    watched = attack(net, images, labels, on_step=lambda step: None)
    at_once = attack(net, images, labels)
    fooled = net(watched).argmax(1) != labels
    assert 0 < fooled.sum() < 40
    assert fooled.equal(net(at_once).argmax(1) != labels)
    torch.testing.assert_close(at_once, watched, rtol=0, atol=1e-6)


@pytest.mark.parametrize("labels", [[0, 5], [-1, 0]])
def test_targets_refuse_labels_that_no_class_has(labels):
    with pytest.raises(ValueError, match=r"labels reach from .* but the model has the classes 0 to 4"):
        APGD(0.1, targets=2)(TinyNet().eval(), torch.rand(2, 1, 8, 8), torch.tensor(labels))


def test_a_targeted_run_goes_to_the_target(trained, digits_test):
    images, labels = digits_test.float(slice(0, 40)), digits_test.labels[:40]
    target = (labels + 1) % 10
    for loss in ("ce", "margin", "dlr"):
        reached = trained(APGD(0.4, 30, loss=loss, targeted=True)(trained, images, target)).argmax(1) == target
        assert reached.float().mean() > 0.9


# --- The authors' library ---


def library(net, norm, eps, loss, **settings):
    autopgd = pytest.importorskip("pyautoattack.autopgd_base", reason="pyautoattack is not installed.")
    kinds = {"T": autopgd.APGDAttack_targeted}
    named = {} if loss == "T" else {"loss": loss}
    logging.getLogger("auto-attack").setLevel(logging.ERROR)
    return kinds.get(loss, autopgd.APGDAttack)(net, norm=norm, eps=eps, n_iter=100, **named, **settings)


@pytest.mark.parametrize("loss", ["ce", "dlr"])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.filterwarnings("ignore:there are:Warning")
def test_equals_the_library_from_the_same_start(norm, loss, from_the_image):
    # 100 steps with all their reviews. Our example leaves once it is fooled, theirs walks on: only the verdict and the
    # images of those that stand can be compared.
    eps, apart = {"Linf": 0.05, "L2": 0.4}[norm], []
    for seed in range(4):
        net = RowByRow(seed).eval()
        images = random_batch(net, 33, seed)[0]
        labels = net(images).argmax(1)
        theirs = library(net, norm, eps, loss)
        theirs.init_hyperparam(images)
        best, stands = theirs.attack_single_run(images, labels, x_init=images)[:2]
        ours = APGD(eps, 100, norm, loss)(net, images, labels)
        assert (net(ours).argmax(1) == labels).equal(stands)
        apart.append((ours - best)[stands].abs().flatten(1).amax(1))
    apart = torch.cat(apart)
    assert 20 < len(apart) < 100  # of 132: neither side of the comparison is empty
    assert apart.median() < 1e-6
    assert apart.amax() < (1e-6 if norm == "Linf" else 1e-2)  # L2 rounds elsewhere, and 100 steps make more of it


@pytest.mark.parametrize(
    ("norm", "eps", "loss", "count"), [("Linf", 16, "ce", 150), ("L2", 128, "dlr", 150), ("Linf", 16, "T", 30)]
)
def test_is_as_strong_as_the_library_from_its_own_start(norm, eps, loss, count, trained, digits_test):
    images, labels = digits_test.float(slice(0, count)), digits_test.labels[:count]

    def accuracy(adversarial):
        return (trained(adversarial).argmax(1) == labels).float().mean().item()

    settings = {"loss": "dlr", "targets": 9} if loss == "T" else {"loss": loss}
    ours = accuracy(APGD(eps / 255, 100, norm, **settings)(trained, images, labels))
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        theirs = accuracy(library(trained, norm, eps / 255, loss, seed=0).perturb(images, labels))
    assert 0.05 < ours < 0.95
    # A start decides a few images: with seeds 0 to 4 ours leaves 75, 78, 76, 78 and 77 of 150 under the second attack.
    assert -4.5 / count < ours - theirs < 1.5 / count
