"""Evaluation: exact counts, exact intervals, and no attack or model gets away with cheating."""

import json
import math
from dataclasses import dataclass

import pytest
import torch
from conftest import LinearPair, TinyNet, random_batch
from scipy.optimize import brentq
from torch import nn

from lsp_core import evaluate
from lsp_core.attacks import FGSM, PGD
from lsp_core.evaluation import Evaluation, predict, wilson_interval

# --- The interval ---


def test_wilson_by_hand():
    # 8 of 10: z^2 = 3.8415, centre (8 + 1.92073) / 13.8415, half width 1.95996 / 13.8415 * sqrt(1.6 + 0.96036).
    low, high = wilson_interval(8, 10)
    assert low == pytest.approx(0.4901625, abs=1e-6)
    assert high == pytest.approx(0.9433178, abs=1e-6)


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (173, 1000), (6543, 10_000)])
def test_wilson_bounds_solve_their_equation(correct, n):
    # The bounds are the p at which the observed share lies exactly z standard errors from p.
    share = correct / n

    def excess(p):
        return (share - p) ** 2 - 1.959963984540054**2 * p * (1 - p) / n

    low, high = wilson_interval(correct, n)
    assert low == pytest.approx(0 if correct == 0 else brentq(excess, 0, share - 1e-9), abs=1e-9)
    assert high == pytest.approx(1 if correct == n else brentq(excess, share + 1e-9, 1), abs=1e-9)
    assert 0 <= low <= share <= high <= 1


def test_wilson_of_nothing_is_everything():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_wilson_holds_the_truth_as_often_as_it_says():
    held = 0
    counts = (torch.rand(2000, 200, generator=torch.Generator().manual_seed(0)) < 0.3).sum(1)
    for correct in counts:
        low, high = wilson_interval(int(correct), 200)
        held += low <= 0.3 <= high
    assert 0.93 < held / 2000 < 0.97


# --- Counting ---


def test_counts_by_hand():
    # Class 1 iff the pixel is above 0.5. At eps 0.1 the second and fourth are fooled; the third is wrong anyway.
    model = LinearPair(torch.tensor([1.0]), bias=-0.5).eval()
    images = torch.tensor([0.9, 0.55, 0.2, 0.45, 0.1]).view(5, 1, 1, 1)
    result = evaluate(model, images, torch.tensor([1, 1, 1, 0, 0]), FGSM(0.1))
    assert result.clean_correct.tolist() == [True, True, False, True, True]
    assert result.robust_correct.tolist() == [True, False, False, False, True]
    assert (result.clean_accuracy, result.robust_accuracy, result.n) == (0.8, 0.4, 5)
    assert result.clean_interval == wilson_interval(4, 5)
    assert result.robust_interval == wilson_interval(2, 5)
    assert result.seconds > 0


@dataclass(frozen=True)
class Helper:
    """Moves every image to where the model gives the right answer."""

    eps: float = 1.0
    norm: str = "Linf"

    def __call__(self, model, images, labels, *, on_step=None):
        return labels.view(-1, 1, 1, 1).float().expand_as(images)


def test_an_image_that_is_wrong_before_the_attack_is_never_robust():
    model = LinearPair(torch.tensor([1.0]), bias=-0.5).eval()
    images, labels = torch.tensor([0.9, 0.9]).view(2, 1, 1, 1), torch.tensor([0, 1])
    assert (model(Helper()(model, images, labels)).argmax(1) == labels).all()
    assert evaluate(model, images, labels, Helper()).robust_correct.tolist() == [False, True]


def test_a_model_that_is_always_wrong_scores_zero():
    net = TinyNet().eval()
    images, labels = random_batch(net)
    seen = []
    result = evaluate(net, images, (labels + 1) % 5, PGD(0.1), on_progress=lambda *step: seen.append(step))
    assert (result.clean_accuracy, result.robust_accuracy) == (0, 0)
    assert seen[-1] == (24, 24)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batches_change_nothing_without_a_random_start(trained, digits_test, batch_size):
    images, labels = digits_test.float(slice(0, 40)), digits_test.labels[:40]
    attack = PGD(0.1, steps=4, random_start=False)
    whole = evaluate(trained, images, labels, attack)
    assert evaluate(trained, images, labels, attack, batch_size).robust_correct.equal(whole.robust_correct)
    torch.testing.assert_close(predict(trained, images, batch_size), trained(images))


def test_robust_falls_with_eps_and_never_exceeds_clean(trained, digits_test):
    images, labels = digits_test.float(slice(0, 100)), digits_test.labels[:100]
    results = [evaluate(trained, images, labels, PGD(eps, steps=10)) for eps in (0.0, 0.05, 0.15, 0.4)]
    accuracies = [result.robust_accuracy for result in results]
    assert accuracies[0] == results[0].clean_accuracy
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] < 0.1


def test_progress_rises_to_the_end_and_may_cancel(trained, digits_test):
    images, labels, seen = digits_test.float(slice(0, 40)), digits_test.labels[:40], []
    evaluate(trained, images, labels, FGSM(0.1), 8, on_progress=lambda done, n: seen.append((done, n)))
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1] == (40, 40)

    def cancel(done, n):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        evaluate(trained, images, labels, FGSM(0.1), 8, on_progress=cancel)


def test_the_record_is_json_with_every_setting():
    net = TinyNet().eval()
    result = evaluate(net, *random_batch(net), PGD(8 / 255, steps=3, restarts=2, norm="L2"))
    record = json.loads(json.dumps(result.to_record()))
    assert (record["attack"], record["norm"], record["eps"], record["n"]) == ("PGD", "L2", 8 / 255, 24)
    assert record["settings"]["steps"] == 3
    assert record["settings"]["restarts"] == 2
    assert record["settings"].keys() >= {"alpha", "loss", "random_start", "targeted", "seed", "early_stop"}
    assert record["robust_interval"] == list(result.robust_interval)


def test_an_evaluation_of_nothing_has_no_division_by_zero():
    empty = Evaluation(FGSM(0.1), torch.zeros(0, dtype=torch.bool), torch.zeros(0, dtype=torch.bool), 0.0)
    assert (empty.clean_accuracy, empty.robust_interval) == (0, (0, 1))


# --- Cheating ---


@dataclass(frozen=True)
class Cheat:
    """Does what it is told, whatever it promised."""

    trick: object
    eps: float = 0.1
    norm: str = "Linf"

    def __call__(self, model, images, labels, *, on_step=None):
        return self.trick(images)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_a_broken_budget_is_detected(norm):
    net = TinyNet().eval()
    images, labels = random_batch(net)
    images = images * 0.5 + 0.25
    one_pixel = torch.zeros_like(images)
    one_pixel[5, 0, 2, 2] = 0.101
    with pytest.raises(ValueError, match=f"Cheat moved an image by 0.101 in {norm}, beyond eps 0.1"):
        evaluate(net, images, labels, Cheat(lambda x: x + one_pixel, norm=norm))
    evaluate(net, images, labels, Cheat(lambda x: x + one_pixel * 0.99, norm=norm))


@pytest.mark.parametrize(
    ("trick", "message"),
    [
        (lambda x: x - 0.05, r"pixels outside \[0,1\]"),
        (lambda x: x + 0.05, r"pixels outside \[0,1\]"),
        (lambda x: torch.full_like(x, torch.nan), "moved an image by nan"),
        (lambda x: x[:1], r"returned shape \(1, 1, 8, 8\) for \(24, 1, 8, 8\)"),
    ],
)
def test_pixels_out_of_range_are_detected(trick, message):
    net = TinyNet().eval()
    images, _ = random_batch(net)
    images = images.round()
    with pytest.raises(ValueError, match=message):
        evaluate(net, images, net(images).argmax(1), Cheat(trick))


class NaNOffTheData(nn.Module):
    """Right on black images, NaN elsewhere: argmax takes NaN for the largest, so it would pass for robust."""

    def forward(self, images):
        x = images.flatten(1).sum(1)
        first = torch.where(x > 0, torch.nan, 1.0)
        return torch.stack([first, torch.zeros_like(x)], 1)


def test_a_model_that_answers_nan_under_attack_is_not_robust():
    images = torch.zeros(4, 1, 2, 2)
    with pytest.raises(ValueError, match="logits that are not finite"):
        evaluate(NaNOffTheData().eval(), images, torch.zeros(4, dtype=torch.int64), Cheat(lambda x: x + 0.1))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m, x, y: (m.train(), x, y), "training mode"),
        (lambda m, x, y: (m, x * 255, y), r"must lie in \[0,1\]"),
        (lambda m, x, y: (m, x[:0], y[:0]), "images are empty"),
        (lambda m, x, y: (m, x, y + 5), "labels reach from 5 to 9, but the model has the classes 0 to 4"),
        (lambda m, x, y: (m, x, y - 5), "labels reach from -5"),
    ],
)
def test_what_cannot_be_meant_is_refused(spoil, message):
    net = TinyNet().eval()
    images, _ = random_batch(net)
    with pytest.raises(ValueError, match=message):
        evaluate(*spoil(net, images, torch.arange(24) % 5), FGSM(0.1))


def test_a_batch_size_of_zero_is_refused():
    net = TinyNet().eval()
    with pytest.raises(ValueError, match="batch_size is 0, but it must be 1 or more"):
        evaluate(net, *random_batch(net), FGSM(0.1), batch_size=0)


def test_logits_that_are_not_finite_are_refused():
    net = TinyNet().eval()
    images, labels = random_batch(net)
    net.head.bias.data[0] = math.inf
    with pytest.raises(ValueError, match="logits that are not finite"):
        evaluate(net, images, labels, FGSM(0.1))
