"""Every rule by hand, on attacks that never took place: each can pass, and each can fail."""

import itertools

import pytest
import torch
from conftest import TinyNet, random_batch
from fabricated import Fabricated, N, attempt, small
from scipy.stats import binom
from torch import nn

from lsp_core.attacks import APGD, FGSM, PGD, Noise
from lsp_core.audit import chance, controls, curves, detours, effort, outputs
from lsp_core.audit.attempt import Attempt
from lsp_core.audit.probe import LeftOut, Probe


@pytest.mark.parametrize(
    ("k", "n", "rate"), [(1, 128, 0.002), (4, 512, 0.002), (20, 512, 0.03), (3, 3, 0.5), (0, 5, 0)]
)
def test_tail_of_the_binomial(k, n, rate):
    assert chance.at_least(k, n, rate) == pytest.approx(binom.sf(k - 1, n, rate), rel=1e-9)


def test_the_same_share_weighs_more_on_more_images():
    assert [chance.weigh(round(0.05 * n), n, 0.03) for n in (40, 500, 5000)] == ["pass", "warn", "fail"]
    assert chance.weigh(-3, 100, 0.01) == "pass"
    assert chance.weigh(250, 5000, 0.03, fail_rate=0.05) == "warn"


def is_loss(name):
    return lambda attack: isinstance(attack, PGD) and attack.loss == name


def plain(attack):
    return isinstance(attack, PGD) and (attack.alpha, attack.restarts, attack.loss) == (None, 1, "ce")


def test_eps_curve_rises():
    def curve(counts):
        grid = curves.radii(Fabricated())
        told = [
            (lambda attack, eps=eps: attack.eps == eps, attempt(range(N - count)))
            for eps, count in zip(grid, counts, strict=True)
        ]
        return curves.eps_curve(Fabricated(*told)).status

    assert len(curves.radii(Fabricated())) == 6
    assert curve([90, 80, 60, 30, 5, 0]) == "pass"
    assert curve([90, 80, 60, 61, 5, 0]) == "pass"  # one image is a random start
    assert curve([90, 80, 60, 70, 5, 0]) == "fail"
    assert curve([90, 80, 60, 40, 20, 10]) == "pass"  # chance
    assert curve([90, 80, 60, 40, 30, 18]) == "warn"
    assert curve([90, 80, 60, 40, 40, 40]) == "fail"


@pytest.mark.parametrize(("left", "status"), [(0, "pass"), (1, "pass"), (4, "warn"), (8, "fail"), (11, "fail")])
def test_unbounded_attack_leaves_some(left, status):
    probe = Fabricated((lambda attack: attack.eps == 1.0 and attack.steps == 100, attempt(range(N - left))))
    assert curves.unbounded(probe).status == status


@pytest.mark.parametrize(
    ("one", "many", "status"),
    [((), (), "pass"), (range(20), range(60), "pass"), (range(4), (), "pass"), (range(6), (), "warn"),
     (range(12), (), "fail"), (range(20), range(10, 30), "pass")],
)  # fmt: skip
def test_one_step_beats_many(one, many, status):
    probe = Fabricated((lambda attack: isinstance(attack, FGSM), attempt(one)), default=attempt(many))
    assert curves.single_step(probe).status == status


def long_run(after_30, after_60, margins=None):
    wrong = torch.zeros(61, N, dtype=torch.bool)
    wrong[25:, :after_30] = True
    wrong[45:, :after_60] = True
    rising = torch.linspace(0, 1, 61).clamp_max(0.5)[:, None].expand(61, N)
    return Attempt(~wrong[-1], wrong, rising if margins is None else margins, torch.zeros(61))


def test_convergence():
    def status(*arguments):
        return effort.convergence(Fabricated(default=long_run(*arguments))).status

    assert status(30, 31) == "pass"
    assert status(30, 35) == "warn"
    assert status(30, 40) == "fail"
    assert status(30, 30, torch.linspace(0, 1, 61)[:, None].expand(61, N)) == "warn"  # a sixth in the last 10 of 60


@pytest.mark.parametrize(("added", "status"), [(3, "pass"), (7, "warn"), (12, "fail")])
def test_a_line_up_that_stronger_attacks_beat_is_not_converged(added, status):
    told = (lambda attack: isinstance(attack, APGD) and attack.steps == 30, attempt(range(30 + added)))
    finding = effort.convergence(Fabricated(told, default=long_run(30, 30)))
    assert finding.status == status
    assert ("not converged" in finding.evidence) == (status != "pass")
    assert (finding.figures["ordinary"], finding.figures["strong"]) == (0.7, (70 - added) / 100)
    assert "3 points" in finding.threshold


def test_still_moving_by_hand():
    margins = torch.zeros(21, 2)
    margins[:, 0] = torch.tensor([0.0] * 5 + [8.0] * 10 + [3.0] * 5 + [10.0])  # the best: 8, then 10 at the end
    assert effort.still_moving(margins) == pytest.approx(0.1)  # (10 - 8) / 10 and 0 / 0
    assert effort.still_moving(margins[:, :0]) == 0


@pytest.mark.parametrize(("added", "status"), [(1, "pass"), (4, "warn"), (8, "fail")])
def test_step_size_adds(added, status):
    told = (lambda attack: getattr(attack, "alpha", None) == 0.05, attempt(range(20 + added)))
    assert effort.step_size(Fabricated(told, default=attempt(range(20)))).status == status


@pytest.mark.parametrize(("added", "status"), [(3, "pass"), (6, "warn"), (12, "fail")])
def test_restarts_add(added, status):
    wrong = torch.zeros(15, N, dtype=torch.bool)
    wrong[2:, :10], wrong[14:, : 20 + added] = True, True
    run = Attempt(~wrong[-1], wrong, torch.zeros(15, N), torch.arange(5).repeat_interleave(3))
    told = (lambda attack: getattr(attack, "restarts", 1) == 5, run)
    finding = effort.restarts(Fabricated(told, default=attempt(range(20))))
    assert finding.status == status
    assert finding.figures["accuracy"] == [0.9, 0.9, (80 - added) / 100]


@pytest.mark.parametrize(("gap", "status"), [(-5, "pass"), (5, "pass"), (7, "warn"), (15, "fail")])
def test_cross_entropy_falls_behind(gap, status):
    probe = Fabricated((is_loss("dlr"), attempt(range(20 + gap))), default=attempt(range(20)))
    assert effort.losses(probe).status == status


@pytest.mark.parametrize(("gap", "status"), [(-5, "pass"), (5, "pass"), (7, "warn"), (15, "fail")])
def test_targeted_finds_more(gap, status):
    told = (lambda attack: isinstance(attack, APGD), attempt(range(20 + gap)))
    assert effort.targeted(Fabricated(told, default=attempt(range(20)))).status == status


def test_success_that_is_lost():
    def status(keeping, dropping):
        return effort.silent_success(Fabricated((plain, keeping), default=dropping)).status

    assert status(attempt(range(9)), attempt(range(9), range(3))) == "pass"
    assert status(attempt((), range(8)), attempt(())) == "fail"
    assert status(attempt(()), attempt((), range(10))) == "warn"


@pytest.mark.parametrize(("found", "status"), [(0, "pass"), (1, "pass"), (2, "warn"), (4, "fail")])
def test_detours_find_what_the_gradient_missed(found, status):
    probe = Fabricated(found=found, twin=nn.Identity())
    assert detours.black_box(probe).status == status
    assert detours.transfer(probe).status == status
    with pytest.raises(LeftOut, match="no twin"):
        detours.transfer(Fabricated(found=found))


def test_random_noise_finds_what_pgd_missed():
    def status(wrong, fooled_by_pgd):
        told = (lambda attack: isinstance(attack, Noise), attempt(wrong))
        return detours.random_noise(Fabricated(told, default=attempt(fooled_by_pgd))).status

    assert status(range(10), range(20)) == "pass"
    assert status(range(10), range(8)) == "warn"
    assert status(range(10), ()) == "fail"


def test_stability_by_hand():
    logits = torch.tensor([[4.0, 0.0]]).repeat(N, 1)
    there = torch.tensor([[4.0, 0.3]]).repeat(N, 1)  # the margin goes from -4 to -3.7
    steady = detours.stability(Fabricated(logits=logits, predict=lambda images: there))
    assert steady.figures["change"] == pytest.approx(0.075)
    assert steady.status == "pass"
    jumpy = detours.stability(Fabricated(logits=logits, predict=lambda images: -there))
    assert jumpy.figures["change"] == 1  # capped
    assert jumpy.status == "warn"


class DeadAt(nn.Module):
    """No gradient, or one that is not finite, at the first images of a batch."""

    def __init__(self, count, infinite):
        super().__init__()
        self.count, self.infinite, self.training = count, infinite, False

    def forward(self, images):
        pixels = images.flatten(1)[:, :10]
        dead = pixels[: self.count]
        dead = dead + (dead - dead.detach()).abs().sqrt() if self.infinite else dead.detach()  # sqrt'(0) * 0 is NaN
        return torch.cat([dead, pixels[self.count :]])


@pytest.mark.parametrize("infinite", [False, True])
@pytest.mark.parametrize(("count", "status"), [(0, "pass"), (1, "pass"), (2, "fail"), (50, "fail")])
def test_dead_gradients(count, infinite, status):
    probe = Fabricated(model=DeadAt(count, infinite), batch_size=N)
    finding = detours.input_gradients(probe)
    assert finding.figures["dead_ce"] == count
    assert finding.status == status


def test_determinism_by_hand():
    def status(*answers):
        endless = itertools.cycle(answers)
        return outputs.determinism(Fabricated(predict=lambda images: next(endless))).status

    logits = torch.eye(10)[:1].repeat(N, 1)
    assert status(logits) == "pass"
    assert status(logits, logits + 5e-5) == "pass"
    assert status(logits, logits + 5e-4) == "fail"
    assert status(5000 * logits, 5000 * logits + 0.1) == "pass"  # the same in float32
    tie, other = torch.zeros(N, 10), torch.zeros(N, 10)
    other[0, 1] = 1e-5
    assert status(tie, other) == "fail"  # the number right differs


def test_distribution_by_hand():
    def status(logits):
        return outputs.distribution(Fabricated(logits=logits)).status

    assert status(torch.randn(N, 10).softmax(1)) == "fail"
    assert status(torch.randn(N, 10).log_softmax(1)) == "pass"
    assert status(torch.rand(N, 10)) == "pass"
    assert status(torch.tensor([[1.5, -0.5]])) == "pass"  # sums to 1 but leaves [0,1]


class Normalised(nn.Module):
    """Takes the mean of the batch away, as batch normalisation does in training mode."""

    def __init__(self, model):
        super().__init__()
        self.model, self.training = model, False

    def forward(self, images):
        logits = self.model(images)
        return logits - 0.5 * logits.mean(0)


def test_batch_size_dependence():
    model, x, y = small()
    assert outputs.batch_size(Probe(model, x, y, 0.1)).status == "pass"
    assert outputs.batch_size(Probe(Normalised(model), x, y, 0.1)).status == "fail"
    half = nn.Sequential(TinyNet().eval(), nn.Dropout(0.0).train())
    half.training = False  # a parent in evaluation mode says nothing about its parts
    finding = outputs.batch_size(Probe(half, *random_batch(half), 0.1))
    assert (finding.status, finding.figures["training_parts"]) == ("fail", 1)


def test_budget():
    model, x, y = small()
    x = (x * 255).round() / 255
    honest = Probe(model, x, model(x).argmax(1), 8 / 255)
    honest.run(honest.attacks.fgsm())
    finding = outputs.budget(honest)
    assert finding.status == "pass"
    assert finding.figures["beyond_after_png"] == pytest.approx(0, abs=1e-6)  # whole grey levels stay what they are
    uneven = outputs.budget(Probe(model, x, y, 8.4 / 255))
    assert uneven.status == "pass"
    assert uneven.figures["beyond_after_png"] < 0.5 / 255
    assert outputs.budget(Probe(model, x, y, 0.7, "L2")).status == "pass"
    honest.keep(honest.attacks.long(), 0.01)
    finding = outputs.budget(honest)
    assert finding.status == "fail"
    assert "Left its ball or [0,1], by up to 0.01: PGD-60" in finding.evidence
    restless = itertools.cycle([torch.eye(5)[y], torch.eye(5)[y.roll(1)]])
    moody = Probe(model, x, y, 8 / 255)
    moody.predict = lambda images: next(restless).roll(1, 1)
    finding = outputs.budget(moody)
    assert (finding.status, finding.figures["moved_at_0"]) == ("fail", 0)
    assert finding.figures["changed_at_0"] > 0


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_png_keeps_eight_bits(channels):
    levels = torch.randint(0, 256, (3, channels, 5, 7), generator=torch.Generator().manual_seed(0))
    assert torch.equal(outputs.through_png(levels / 255), levels / 255)
    images = torch.rand(3, channels, 5, 7).to(memory_format=torch.channels_last)
    assert (outputs.through_png(images) - images).abs().amax() <= 0.5 / 255 + 1e-6


def test_sample_size():
    assert outputs.sample_size(Fabricated(n=49, best=lambda: torch.ones(40, dtype=torch.bool))).status == "warn"
    finding = outputs.sample_size(Fabricated(default=attempt(range(50))))
    assert (finding.status, finding.figures["worst_case_accuracy"]) == ("pass", 0.5)
    assert finding.figures["low"] == pytest.approx(0.404, abs=1e-3)


def test_controls_that_nobody_notices_make_the_evaluation_invalid(monkeypatch):
    model, x, y = small()
    probe = Probe(model, x, y, 0.1)
    assert controls.known_answers(probe).status == "pass"
    monkeypatch.setitem(controls.CONTROLS, "harmless", (controls.Wrapped, (outputs.determinism,)))
    finding = controls.known_answers(probe)
    assert finding.status == "fail"
    assert "not noticed: harmless" in finding.evidence
