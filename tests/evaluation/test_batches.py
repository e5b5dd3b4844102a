"""Batches side by side: the same results for any number of workers, and one end when one of them fails."""

import threading

import pytest
import torch
from conftest import RowByRow, random_batch
from torch import nn

from lsp_core import audit, evaluate
from lsp_core.attacks import APGD, PGD, Ensemble, Noise, fast
from lsp_core.attacks.autoattack import AutoAttack
from lsp_core.attacks.contract import alone
from lsp_core.attacks.ensemble import way
from lsp_core.evaluation.batches import AT_LEAST, Batches, images_at_once
from lsp_core.evaluation.craft import craft
from lsp_core.evaluation.passes import FEWEST, PassCounter


@pytest.mark.parametrize("attack", [PGD(0.1, steps=5, restarts=2), fast(0.1), PGD(0.6, steps=5, norm="L2")])
def test_no_result_depends_on_the_number_of_workers(attack, trained, digits_test):
    images, labels = digits_test.float(slice(0, 90)), digits_test.labels[:90]
    one, two, three = (evaluate(trained, images, labels, attack, 24, workers=count) for count in (1, 2, 3))
    assert 0 < one.robust_accuracy < one.clean_accuracy
    for other in (two, three):
        assert other.fooled_by.equal(one.fooled_by)
        assert (other.forward_passes, other.backward_passes) == (one.forward_passes, one.backward_passes) or isinstance(
            attack, Ensemble
        )  # few images make several runs at once, and how few depends on the batch


def test_crafted_images_are_the_same_bit_for_bit(trained, digits_test):
    images, labels = digits_test.float(slice(0, 50)), digits_test.labels[:50]
    attack = PGD(0.1, steps=4, early_stop=False)
    one, two, small = (
        craft(attack, trained, images, labels, size, count) for size, count in ((50, 1), (50, 2), (5, 3))
    )
    assert one.equal(two)
    assert one.equal(small)
    assert craft(attack, trained, images[:0], labels[:0]).shape == (0, 1, 8, 8)


def test_threads_are_left_as_they_were(trained, digits_test):
    before = torch.get_num_threads()
    evaluate(trained, digits_test.float(slice(0, 40)), digits_test.labels[:40], PGD(0.1, steps=2), 8, workers=3)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("workers", [1, 3])
def test_what_a_listener_raises_ends_all_batches(workers, trained, digits_test):
    images, labels, calls = digits_test.float(slice(0, 60)), digits_test.labels[:60], []

    def cancel(done, total):
        calls.append(done)
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        evaluate(trained, images, labels, PGD(0.1, steps=50), 8, workers=workers, on_progress=cancel)
    assert 1 <= len(calls) <= workers


def test_progress_is_told_to_one_at_a_time_and_reaches_the_end(trained, digits_test):
    images, labels = digits_test.float(slice(0, 60)), digits_test.labels[:60]
    inside, told = threading.Lock(), []

    def listen(done, total):
        assert inside.acquire(blocking=False)
        told.append((done, total))
        inside.release()

    evaluate(trained, images, labels, PGD(0.05, steps=5), 8, workers=3, on_progress=listen)
    assert all(done <= total for done, total in told)
    assert told[-1][0] == told[-1][1]


class Moody(nn.Module):
    """Draws from torch's one generator at every pass."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.eval()

    def forward(self, images):
        return self.inner(images) + 0.01 * torch.rand(len(images), 1)


def test_a_model_that_draws_is_worked_at_alone():
    inner = RowByRow(0).eval()
    images, _ = random_batch(inner, 20)
    assert Batches(inner, images, 8, 4).workers == 4
    assert Batches(Moody(inner), images, 8, 4).workers == 1


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_small_pass_is_filled_up(count, trained, digits_test):
    images = digits_test.float(slice(0, 64))
    counter = PassCounter(trained)
    asked = images[:count].clone().requires_grad_()
    logits = counter(asked)
    assert logits.equal(trained(images)[:count])  # bit for bit, which of one or two images it is not
    torch.autograd.grad(logits.sum(), asked)
    assert (counter.forward_passes, counter.backward_passes) == (count, count)
    assert FEWEST == 4


def test_the_size_of_a_batch_follows_what_a_pass_keeps(trained, digits_test):
    images = digits_test.float(slice(0, 8))
    assert images_at_once(trained, images, 16) == 16
    assert AT_LEAST <= images_at_once(trained, images, 10**6) < 10**6
    large = nn.functional.interpolate(images, 64)

    class Wide(nn.Module):
        def forward(self, images):
            return nn.functional.conv2d(images, torch.ones(256, 1, 3, 3)).relu().mean((2, 3))[:, :3]

    assert images_at_once(Wide(), large, 10**6) == AT_LEAST


@pytest.mark.parametrize(("argument", "sentence"), [("workers", "workers is 0"), ("batch_size", "batch_size is 0")])
def test_nobody_at_work_is_refused(argument, sentence, trained, digits_test):
    with pytest.raises(ValueError, match=sentence):
        evaluate(trained, digits_test.float(slice(0, 4)), digits_test.labels[:4], PGD(0.1), **{argument: 0})


def test_an_audit_is_the_same_for_any_number_of_workers(trained, digits_test):
    images, labels = digits_test.float(slice(0, 30)), digits_test.labels[:30]
    one, two = (audit(trained, images, labels, 0.1, workers=count, batch_size=8) for count in (1, 2))
    assert one.robust_accuracy == two.robust_accuracy
    assert [(check.name, check.status, check.evidence) for check in one.checks] == [
        (check.name, check.status, check.evidence) for check in two.checks
    ]


# --- Reach ---


def test_dear_attacks_are_kept_for_what_came_near(trained, digits_test):
    images, labels = digits_test.float(slice(0, 80)), digits_test.labels[:80]
    cheap, dear = PGD(0.08, steps=2), APGD(0.08, steps=20, targets=3)
    whole, near = Ensemble((cheap, dear)), Ensemble((cheap, dear), reach=(0, 0.7))
    far = Ensemble((cheap, dear), reach=(0, 1))
    results = [evaluate(trained, images, labels, attack) for attack in (whole, near, far)]
    passes = [result.forward_passes for result in results]
    assert passes[0] > passes[1] > passes[2]
    standing = [int(result.robust_correct.sum()) for result in results]
    assert standing[0] <= standing[1] <= standing[2]
    assert standing[2] == int(evaluate(trained, images, labels, cheap).robust_correct.sum())
    # Called by itself it tries the same images.
    for attack, result in zip((whole, near, far), results, strict=True):
        fooled = trained(attack(trained, images, labels)).argmax(1) != labels
        assert (~fooled & result.clean_correct).equal(result.robust_correct)


def test_way_by_hand():
    before, after = torch.tensor([-2.0, -2.0, -2.0, -1e-20]), torch.tensor([-0.5, -3.0, 1.0, -1e-20])
    assert way(before, after).tolist() == [0.75, 0.0, 1.0, 0.0]


@pytest.mark.parametrize(("reach", "sentence"), [((0.5,), "reach has 1 numbers for 2"), ((0, 1.5), "from 0 to 1")])
def test_a_reach_that_cannot_be_meant(reach, sentence):
    with pytest.raises(ValueError, match=sentence):
        Ensemble((PGD(0.1), Noise(0.1)), reach=reach)


def test_who_draws_from_the_one_generator_works_alone_inside_others_too():
    referee = AutoAttack(0.1)
    assert alone(referee)
    assert alone(Ensemble((PGD(0.1), referee)))
    assert not alone(Ensemble((PGD(0.1), Noise(0.1))))
