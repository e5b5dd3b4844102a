"""Evaluation: exact counts, exact intervals, and no attack or model gets away with cheating."""

import contextlib
import copy
import json
import math
from dataclasses import dataclass

import numpy
import pytest
import torch
from conftest import LinearPair, RowByRow, TinyNet, random_batch
from scipy.optimize import brentq
from torch import nn

from lsp_core import evaluate
from lsp_core.attacks import APGD, FGSM, PGD, Noise, Transfer, parse_attack
from lsp_core.evaluation import Evaluation, predict
from lsp_core.evaluation.intervals import wilson_interval

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
    assert result.fooled_by.tolist() == [-1] * 24  # there was nothing to fool
    assert seen[-1][0] == seen[-1][1]


SETTINGS = {"noise": {"draws": 3}, "pgd": {"steps": 4, "restarts": 2}, "apgd": {"steps": 6}, "square": {"queries": 12}}


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("name", SETTINGS)
def test_any_split_gives_the_same_adversarial_images(name, norm):
    # A model whose answer for an image does not depend on the others, to the last bit: BLAS would round otherwise.
    net = RowByRow(0).eval()
    images, labels = random_batch(net, 30)
    attack = parse_attack(name, {"Linf": 0.1, "L2": 1.0}[norm], norm, seed=3, **SETTINGS[name])
    whole = attack(net, images, labels)
    for size in (1, 7):
        parts = [attack(net, *batch) for batch in zip(images.split(size), labels.split(size), strict=True)]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0 if norm == "Linf" else 1e-6)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(attack(net, images[order], labels[order]), whole[order], rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batches_change_nothing(trained, digits_test, batch_size):
    images, labels = digits_test.float(slice(0, 40)), digits_test.labels[:40]
    attacks = [Noise(0.1, draws=2), PGD(0.1, steps=4), APGD(0.1, steps=5)]
    whole = evaluate(trained, images, labels, attacks)
    assert evaluate(trained, images, labels, attacks, batch_size).fooled_by.equal(whole.fooled_by)
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
    attacks = [FGSM(0.1), PGD(0.1, steps=5)]
    result = evaluate(trained, images, labels, attacks, 8, on_progress=lambda *step: seen.append(step))
    done, total = zip(*seen, strict=True)
    assert len(seen) > 10
    assert list(done) == sorted(done)
    assert list(total) == sorted(total, reverse=True)  # it falls as examples are fooled
    assert all(0 < part <= whole for part, whole in seen)
    assert done[-1] == total[-1] == result.forward_passes + result.backward_passes

    def cancel(done, n):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        evaluate(trained, images, labels, FGSM(0.1), 8, on_progress=cancel)


# --- Several attacks ---


def test_passes_by_hand():
    # FGSM: one forward and one backward an image. Three PGD steps without early stop and with a last look at none.
    net = TinyNet().eval()
    images, labels = random_batch(net)
    single = evaluate(net, images, labels, FGSM(0.0))
    assert (single.forward_passes, single.backward_passes) == (24, 24)
    several = evaluate(net, images, labels, PGD(0.0, steps=3), batch_size=5)
    assert (several.forward_passes, several.backward_passes) == (72, 72)
    assert evaluate(net, images, labels, Noise(0.0, draws=4)).backward_passes == 0
    assert evaluate(net, images, labels, Noise(0.0, draws=4)).forward_passes == 96


def test_the_worst_case_is_taken_per_example(trained, digits_test):
    images, labels = digits_test.float(slice(0, 100)), digits_test.labels[:100]
    attacks = [Noise(0.15), FGSM(0.15), PGD(0.15, random_start=False)]
    alone = [evaluate(trained, images, labels, attack).robust_correct for attack in attacks]
    result = evaluate(trained, images, labels, attacks, batch_size=16)
    assert result.robust_correct.equal(result.clean_correct & (result.fooled_by < 0))
    fell_to_fgsm = result.fooled_by == 1
    assert fell_to_fgsm.any()
    assert not alone[1][fell_to_fgsm].any()  # whoever is said to have fooled it does
    assert not (result.robust_correct & ~alone[1]).any()
    assert not (result.robust_correct & ~alone[2]).any()
    assert result.robust_accuracy <= min(part.double().mean().item() for part in alone[1:])
    assert result.entry().to_record()["fooled_by"] == [
        {"label": name, "fooled": int((result.fooled_by == place).sum())}
        for place, name in enumerate(["Noise-10", "FGSM", "PGD-10 random_start False"])
    ]


def test_later_attacks_see_only_what_stands(trained, digits_test):
    images, labels = digits_test.float(slice(0, 100)), digits_test.labels[:100]
    seen = []

    @dataclass(frozen=True)
    class Watch:
        eps: float = 0.15
        norm: str = "Linf"

        def __call__(self, model, images, labels, *, on_step=None):
            seen.append(len(images))
            return images

    first = evaluate(trained, images, labels, FGSM(0.15))
    result = evaluate(trained, images, labels, [FGSM(0.15), Watch()])
    assert sum(seen) == int(first.robust_correct.sum())
    assert result.robust_correct.equal(first.robust_correct)


@pytest.mark.parametrize("several", [False, True])
def test_a_targeted_attack_is_no_evaluation(several):
    # Its failures would count as robustness: PGD-20 leaves 27 % of the digits, and targeted at the labels 98 %.
    net = TinyNet().eval()
    towards = PGD(0.1, targeted=True)
    for attack in (towards, Transfer(towards, TinyNet(1).eval()), Noise(0.1, targeted=True)):
        with pytest.raises(ValueError, match=r"attack is targeted, but an e(valuation|nsemble) asks"):
            evaluate(net, *random_batch(net), [FGSM(0.1), attack] if several else attack)
    evaluate(net, *random_batch(net), APGD(0.1, steps=2, targets=3))  # goes for classes, and still leaves the label


def test_attacks_of_different_budgets_are_not_one_figure():
    net = TinyNet().eval()
    with pytest.raises(ValueError, match="attacks must be one or more that share norm and eps"):
        evaluate(net, *random_batch(net), [FGSM(0.1), FGSM(0.2)])
    with pytest.raises(ValueError, match="but they have none"):
        evaluate(net, *random_batch(net), [])


# --- Going on ---


@pytest.mark.parametrize("cut", range(1, 12, 2))
def test_an_interrupted_evaluation_ends_as_a_whole_one(trained, digits_test, tmp_path, cut):
    images, labels = digits_test.float(slice(0, 60)), digits_test.labels[:60]
    attacks, state = [FGSM(0.1), PGD(0.1, steps=3), Noise(0.1, draws=3)], tmp_path / "state"
    whole = evaluate(trained, images, labels, attacks, 16)
    calls = []

    def cancel(done, total):
        calls.append(done)
        if len(calls) == 3 * cut:
            raise InterruptedError

    with contextlib.suppress(InterruptedError):
        evaluate(trained, images, labels, attacks, 16, state=state, on_progress=cancel)
    spent = []
    again = evaluate(trained, images, labels, attacks, 16, state=state, on_progress=lambda *step: spent.append(step))
    assert again.fooled_by.equal(whole.fooled_by)
    assert again.robust_correct.equal(whole.robust_correct)
    assert (again.forward_passes, again.backward_passes) == (whole.forward_passes, whole.backward_passes)
    assert not state.exists()


def test_finished_batches_are_not_attacked_again(trained, digits_test, tmp_path):
    images, labels, state = digits_test.float(slice(0, 64)), digits_test.labels[:64], tmp_path / "state"
    batches = []

    @dataclass(frozen=True)
    class Breaks:
        eps: float = 0.1
        norm: str = "Linf"

        def __call__(self, model, images, labels, *, on_step=None):
            batches.append(len(images))
            if len(batches) == 3:
                raise InterruptedError
            return images

    with pytest.raises(InterruptedError):
        evaluate(trained, images, labels, Breaks(), 16, state=state)
    evaluate(trained, images, labels, Breaks(), 16, state=state)
    correct = int((trained(images).argmax(1) == labels).sum())
    assert sum(batches) == correct + batches[2]  # the batch that was cut off came twice, no other


def cut_off(state, model, images, labels, attack, batch_size):
    """Leave the state of an evaluation that was cut off after a batch, and make it say that all images are fooled."""

    def cancel(done, total):
        calls.append(done)
        if len(calls) == 4:
            raise InterruptedError

    calls = []
    with contextlib.suppress(InterruptedError):
        evaluate(model, images, labels, attack, batch_size, workers=1, state=state, on_progress=cancel)
    found = json.loads(state.read_text())
    state.write_text(json.dumps({**found, "fooled_by": [0] * len(images), "tried": [1] * len(images)}))


@pytest.mark.parametrize(
    "change", ["images", "labels", "weights", "attack", "source", "rubbish", "batch size", "nothing"]
)
def test_a_state_of_something_else_is_not_used(trained, digits_test, tmp_path, change):
    images, labels, state = digits_test.float(slice(0, 32)), digits_test.labels[:32], tmp_path / "state"
    other = copy.deepcopy(trained)
    other.head.bias.data += 0.01
    attack = Transfer(FGSM(0.01), trained, "twin") if change == "source" else FGSM(0.01)
    arguments = {"model": trained, "images": images, "labels": labels, "attack": attack, "batch_size": 8}
    cut_off(state, **arguments)
    arguments |= {
        "images": {"images": images.flip(0)},
        "labels": {"labels": torch.cat([(labels[:1] + 1) % 10, labels[1:]])},
        "weights": {"model": other},
        "attack": {"attack": FGSM(0.011)},
        "source": {"attack": Transfer(FGSM(0.01), other, "twin")},
        "batch size": {"batch_size": 9},
    }.get(change, {})
    if change == "rubbish":
        state.write_text('{"fingerprint": 3')
    result = evaluate(**arguments, state=state)
    # Only its own evaluation believes it, in batches of any size.
    assert (result.robust_accuracy == 0) == (change in ("nothing", "batch size"))


@pytest.mark.parametrize("damage", [{"tried": [1]}, {"fooled_by": "no"}, {"seconds": None}, {"tried": [0.5] * 32}])
def test_a_damaged_state_is_done_again(trained, digits_test, tmp_path, damage):
    images, labels, state = digits_test.float(slice(0, 32)), digits_test.labels[:32], tmp_path / "state"
    cut_off(state, trained, images, labels, FGSM(0.01), 8)
    state.write_text(json.dumps({**json.loads(state.read_text()), **damage}))
    whole = evaluate(trained, images, labels, FGSM(0.01), 8)
    assert evaluate(trained, images, labels, FGSM(0.01), 8, state=state).fooled_by.equal(whole.fooled_by)


def test_the_record_is_json_with_every_setting():
    net = TinyNet().eval()
    result = evaluate(net, *random_batch(net), PGD(8 / 255, steps=3, restarts=2, norm="L2"))
    record = json.loads(json.dumps(result.entry("pgd").to_record()))
    assert record["name"] == "pgd"
    assert (record["attack"], record["norm"], record["eps"], record["n"]) == ("PGD", "L2", 8 / 255, 24)
    assert record["settings"]["steps"] == 3
    assert record["settings"]["restarts"] == 2
    assert record["settings"].keys() >= {"alpha", "loss", "random_start", "targeted", "seed", "early_stop"}
    assert record["robust_interval"] == list(result.robust_interval)
    assert record["label"] == "PGD-3 restarts 2"
    for name, flags in (("clean_correct", result.clean_correct), ("robust_correct", result.robust_correct)):
        bits = numpy.unpackbits(numpy.frombuffer(bytes.fromhex(record[name]), "uint8"))[: record["n"]]
        assert bits.astype(bool).tolist() == flags.tolist()


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
