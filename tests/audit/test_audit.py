"""The audit: honest networks pass, those that mask are flagged for the right reason, and every rule can fail."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TinyNet, random_batch
from scipy.stats import binom
from torch import nn

import lsp_core
from lsp_core.attacks import APGD, FGSM, PGD, Square, Transfer, fast
from lsp_core.audit import chance, controls, curves, detours, effort, outputs, rules
from lsp_core.audit.plan import QUICK
from lsp_core.audit.probe import LeftOut, Probe
from lsp_core.audit.report import CLEAN, CONTROLS, Audited, Check, Report
from lsp_core.audit.run import Run
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.store.schema import SchemaError, parse, read
from lsp_core.store.weights import weights_sha256

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


def shipped(name, count, digits_test):
    model, card = lsp_core.load_checkpoint(CHECKPOINTS / f"{name}.safetensors")
    rows = torch.randperm(len(digits_test), generator=torch.Generator().manual_seed(0))[:count]
    return model, digits_test.float(rows), digits_test.labels[rows], card.config["eps"]


# --- Whole audits ---


@pytest.mark.parametrize("name", ["digits-cnn-standard", "digits-cnn-pgd-at"])
def test_honest_networks_come_out_clean(name, digits_test):
    model, x, y, eps = shipped(name, 128, digits_test)
    twin = shipped(f"{name}-lsp", 1, digits_test)[0]
    report = lsp_core.audit(model, x, y, eps, twin=twin)
    assert [check for check in report.checks if check.status != "pass"] == []
    assert report.verdict == CLEAN
    assert {check.name for check in report.checks} == {rule.name for rule in rules.RULES}
    assert all(check.evidence.endswith(".") and check.source and check.threshold for check in report.checks)
    assert 0 < report.robust_accuracy < report.clean_accuracy


MASKED = {
    "ScaledLogits": {"cross-entropy against margin", "input gradients", "random noise"},
    "Quantized": {"input gradients", "unbounded attack", "eps curve", "transfer", "black box"},
    "Thermometer": {"input gradients", "unbounded attack", "eps curve", "transfer", "black box"},
    "RandomResize": {"determinism", "batch size", "silent success", "loss stability"},
    "SoftmaxOutputs": {"outputs"},
}


@pytest.mark.parametrize("name", MASKED)
def test_networks_that_mask_are_flagged_for_the_right_reason(name, digits_test):
    model, x, y, eps = shipped("digits-cnn-standard", 64, digits_test)
    twin = shipped("digits-cnn-standard-lsp", 1, digits_test)[0]
    report = lsp_core.audit(getattr(controls, name)(model), x, y, eps, twin=twin)
    flagged = {*report.named("fail"), *report.named("warn")}
    assert MASKED[name] <= flagged
    assert CONTROLS not in flagged
    assert report.verdict.startswith("signs of masking")
    if name == "SoftmaxOutputs":
        assert flagged == MASKED[name]
    if name == "Thermometer":
        evidence = next(check.evidence for check in report.checks if check.name == "input gradients")
        assert "no gradient reaches the pixels" in evidence


@pytest.fixture(scope="module")
def tiny():
    model = TinyNet().eval()
    return (model, *random_batch(model, 60))


def test_an_audit_repeats_and_leaves_no_trace(tiny):
    model, x, y = tiny
    before, state = x.clone(), torch.get_rng_state()
    first, second = (lsp_core.audit(controls.RandomResize(model), x, y, 0.05, seed=3).to_record() for _ in range(2))
    for record in (first, second):
        del record["seconds"]
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_record_is_json_and_says_how_to_repeat_it(tiny):
    model, x, y = tiny
    report = lsp_core.audit(model, x, y, 0.5, "L2", seed=4, batch_size=32)
    record = json.loads(json.dumps(report.to_record(), allow_nan=False))
    assert (record["n"], record["seed"], record["eps"], record["norm"]) == (60, 4, 0.5, "L2")
    assert (record["form"], record["batch_size"]) == ("quick", 32)
    assert record["left_out"].keys() >= {"transfer", "loss surface"}
    assert set(record["checks"][0]) == {"name", "status", "evidence", "threshold", "source", "figures"}
    curve = next(check for check in record["checks"] if check["name"] == "eps curve")["figures"]["eps"]
    assert curve[-1] == pytest.approx(0.5 * math.sqrt(64))  # from any image to plain grey
    assert curve == sorted(curve)


def test_progress_grows_to_its_end_and_can_cancel(tiny):
    model, x, y = tiny
    seen = []
    lsp_core.audit(model, x, y, 0.05, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(rules.RULES), len(rules.RULES))
    assert len(seen) > 500  # steps of attacks, not only checks

    def cancel(done, total):
        if done == 5:
            raise ValueError("enough")  # the very kind that a check may raise itself

    with pytest.raises(ValueError, match="enough"):
        lsp_core.audit(model, x, y, 0.05, on_progress=cancel)


class Explodes(nn.Module):
    """Finite logits at the images, none where an attack without a bound goes."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.training = False

    def forward(self, images):
        return self.model(images) / (images.flatten(1).amax(1, keepdim=True) < 0.99)


def test_a_check_that_cannot_be_completed_fails(tiny):
    model, x, y = tiny
    x = 0.5 * x
    y = model(x).argmax(1)
    checks = {check.name: check for check in lsp_core.audit(Explodes(model), x, y, 0.05).checks}
    assert checks["unbounded attack"].status == "fail"
    assert "could not be completed: model returns logits that are not finite" in checks["unbounded attack"].evidence
    assert checks["determinism"].status == "pass"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"eps": 0.0}, "eps is 0, but an audit needs room"),
        ({"eps": 2.0}, "eps is 2, but it must be from 0 to 1"),
        ({"norm": "L1"}, "unknown norm 'L1'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"x": torch.zeros(0, 1, 8, 8), "y": torch.zeros(0, dtype=torch.int64)}, "x is empty"),
        ({"x": torch.full((60, 1, 8, 8), 2.0)}, "must lie in"),
        ({"y": torch.full((60,), 9)}, "the model has the classes 0 to 4"),
        ({"model": TinyNet().train()}, "model is in training mode"),
        ({"twin": TinyNet().train()}, "twin is in training mode"),
        ({"twin": TinyNet(classes=7).eval()}, "twin must return logits of shape"),
    ],
)
def test_bad_arguments_are_one_sentence(tiny, change, sentence):
    model, x, y = tiny
    with pytest.raises(ValueError, match=sentence):
        lsp_core.audit(**{"model": model, "x": x, "y": y, "eps": 0.1, **change})


def test_a_model_that_gets_nothing_right_is_refused(tiny):
    model, x, y = tiny
    with pytest.raises(ValueError, match="none of the 60 images right"):
        lsp_core.audit(model, x, (y + 1) % 5, 0.1)


# --- The verdict ---


def report_of(**statuses):
    checks = tuple(Check(name.replace("_", " "), status, "It.", "", "") for name, status in statuses.items())
    return Report(
        checks=checks,
        left_out={},
        n=8,
        seed=0,
        eps=0.1,
        norm="Linf",
        form="quick",
        batch_size=1,
        clean_accuracy=1.0,
        clean_interval=wilson_interval(8, 8),
        robust_accuracy=0.5,
        robust_interval=wilson_interval(4, 8),
        attacks=("FGSM",),
        seconds=0.0,
    )


def test_the_verdict_names_what_was_found():
    assert report_of(a="pass").verdict == "no sign of masking found"
    assert report_of(a="fail", b="warn", c="pass", d="fail").verdict == (
        "signs of masking or of a weak attack: a, d (fail); b (warn)"
    )
    invalid = replace(report_of(a="pass"), checks=(Check(CONTROLS, "fail", "", "", ""), Check("a", "fail", "", "", "")))
    assert invalid.verdict.startswith("evaluation invalid")
    assert all("robust" not in found.verdict for found in (report_of(a="pass"), report_of(a="fail"), invalid))


# --- The file ---


def audited(**changes):
    about = {"checkpoint": "toy", "weights": 64 * "a", "dataset": "digits", "split": "test", "device": "cpu"}
    found = Audited.of(report_of(a="pass", b="warn"), **about, versions={"torch": "2"}, date="2026-11-25")
    return {**found.to_record(), **changes}


def test_an_audit_is_read_as_it_was_written(tmp_path):
    pytest.importorskip("pydantic", reason="pydantic is not installed: files are not checked.")
    found = parse(Audited, json.dumps(audited()))
    found.write(tmp_path / "toy.audit.json")
    assert read(Audited, tmp_path / "toy.audit.json") == found
    assert found.verdict == "signs of masking or of a weak attack: b (warn)"
    assert parse(Audited, json.dumps(audited(verdict="this model is robust"))).verdict == found.verdict


CHECK = {"name": "a", "status": "pass", "evidence": "It.", "threshold": "", "source": "", "figures": {}}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schema": "lsp-lab/audit/1"}, "its schema is 'lsp-lab/audit/1'"),
        ({"sha256": 64 * "a"}, "sha256"),
        ({"weights": "abc"}, "weights are 'abc'"),
        ({"date": "yesterday"}, "date is 'yesterday'"),
        ({"n": "8"}, "n .'8'."),
        ({"n": 0}, "n is 0"),
        ({"eps": None}, "eps"),
        ({"eps": -0.1}, "eps is -0.1"),
        ({"norm": "L1"}, "norm"),
        ({"form": "long"}, "form"),
        ({"seconds": -1.0}, "seconds are -1"),
        ({"clean_accuracy": 2.0}, "clean_accuracy is 2"),
        ({"clean_accuracy": 0.7, "robust_accuracy": 0.8}, "robust_accuracy is above clean_accuracy"),
        ({"robust_interval": [0.6, 0.4]}, "robust_accuracy is 0.5 in 0.6 to 0.4"),
        ({"robust_interval": [0.1]}, "robust_interval"),
        ({"left_out": [3]}, "left_out"),
        ({"checks": []}, "one or more"),
        ({"checks": [CHECK, CHECK]}, "a name of its own"),
        ({"checks": [{**CHECK, "status": "great"}]}, "status"),
        ({"checks": [{**CHECK, "figures": {"x": True}}]}, "figures"),
        ({"checks": [{**CHECK, "figures": {"x": "1"}}]}, "figures"),
        ({"checks": [{**CHECK, "figures": {"x": [[1]]}}]}, "figures"),
    ],
)
def test_what_is_no_audit_gets_a_sentence(changes, sentence):
    pytest.importorskip("pydantic", reason="pydantic is not installed: files are not checked.")
    with pytest.raises(SchemaError, match=sentence) as caught:
        parse(Audited, json.dumps(audited(**changes)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("figure", [math.nan, math.inf, [1, math.nan], True, "1"])
def test_a_figure_is_a_number(figure):
    with pytest.raises(ValueError, match="figure x is"):
        Check("a", "pass", "It.", "", "", {"x": figure})


# --- Chance ---


@pytest.mark.parametrize(
    ("k", "n", "rate"), [(1, 128, 0.002), (4, 512, 0.002), (20, 512, 0.03), (3, 3, 0.5), (0, 5, 0)]
)
def test_tail_of_the_binomial(k, n, rate):
    assert chance.at_least(k, n, rate) == pytest.approx(binom.sf(k - 1, n, rate), rel=1e-9)


def test_the_same_share_weighs_more_on_more_images():
    assert [chance.judge(round(0.05 * n), n, 0.03) for n in (40, 500, 5000)] == ["pass", "warn", "fail"]
    assert chance.judge(-3, 100, 0.01) == "pass"
    assert chance.judge(250, 5000, 0.03, fail_rate=0.05) == "warn"


# --- Every rule, by hand, on runs that never took place ---

N = 100


def run_with(fooled, missed=(), steps=1, margins=None, restarts=None):
    """A run that fools the images ``fooled`` at its end; those in ``missed`` only on the way."""
    wrong = torch.zeros(steps + 1, N, dtype=torch.bool)
    wrong[-1, list(fooled)] = True
    if missed:
        wrong[-2, list(missed)] = True
    survived = torch.ones(N, dtype=torch.bool)
    survived[list(fooled)] = False
    margins = torch.zeros(steps + 1, N) if margins is None else margins
    return Run(survived, wrong, margins, torch.zeros(steps + 1) if restarts is None else restarts)


class Fabricated(Probe):
    """A probe whose every run is told: ``runs`` maps a test of the attack to what it did."""

    def __init__(self, *told, default=None, **given):
        self.n, self.eps, self.norm, self.plan, self.seed = N, 0.1, "Linf", QUICK, 0
        self.classes, self.batch_size, self.twin, self.tick, self.connected = 10, 64, None, lambda: None, True
        self.images, self.labels = torch.full((N, 1, 4, 4), 0.5), torch.zeros(N, dtype=torch.int64)
        self.told, self.default, self.runs, self.found = told, default or run_with(()), {}, 0
        self._strongest = None
        self.logits = torch.randn(N, 10)
        for name, value in given.items():
            setattr(self, name, value)

    def run(self, attack):
        return next((run for test, run in self.told if test(attack)), self.default)

    def left_of(self, rows, attack):
        left = rows & self.run(attack).survived
        if isinstance(attack, Square | Transfer):
            left[: self.found] = False
        return left


def is_loss(name):
    return lambda attack: isinstance(attack, PGD) and attack.loss == name


def plain(attack):
    return isinstance(attack, PGD) and (attack.alpha, attack.restarts, attack.loss) == (None, 1, "ce")


def test_eps_curve_rises():
    def curve(counts):
        grid = curves.radii(Fabricated())
        told = [
            (lambda attack, eps=eps: attack.eps == eps, run_with(range(N - count)))
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
    probe = Fabricated((lambda attack: attack.eps == 1.0 and attack.steps == 100, run_with(range(N - left))))
    assert curves.unbounded(probe).status == status


@pytest.mark.parametrize(
    ("one", "many", "status"),
    [((), (), "pass"), (range(20), range(60), "pass"), (range(4), (), "pass"), (range(6), (), "warn"),
     (range(12), (), "fail"), (range(20), range(10, 30), "pass")],
)  # fmt: skip
def test_one_step_beats_many(one, many, status):
    probe = Fabricated((lambda attack: isinstance(attack, FGSM), run_with(one)), default=run_with(many))
    assert curves.single_step(probe).status == status


def long_run(after_30, after_60, margins=None):
    wrong = torch.zeros(61, N, dtype=torch.bool)
    wrong[25:, :after_30] = True
    wrong[45:, :after_60] = True
    rising = torch.linspace(0, 1, 61).clamp_max(0.5)[:, None].expand(61, N)
    return Run(~wrong[-1], wrong, rising if margins is None else margins, torch.zeros(61))


def test_convergence():
    def status(*arguments):
        return effort.convergence(Fabricated(default=long_run(*arguments))).status

    assert status(30, 31) == "pass"
    assert status(30, 35) == "warn"
    assert status(30, 40) == "fail"
    assert status(30, 30, torch.linspace(0, 1, 61)[:, None].expand(61, N)) == "warn"  # a sixth in the last 10 of 60


@pytest.mark.parametrize(("added", "status"), [(3, "pass"), (7, "warn"), (12, "fail")])
def test_a_line_up_that_stronger_attacks_beat_is_not_converged(added, status):
    told = (lambda attack: attack == fast(0.1).attacks[-2], run_with(range(30 + added)))
    finding = effort.convergence(Fabricated(told, default=long_run(30, 30)))
    assert finding.status == status
    assert ("not converged" in finding.evidence) == (status != "pass")
    assert (finding.figures["ordinary"], finding.figures["strong"]) == (0.7, (70 - added) / 100)
    assert "3 points" in finding.threshold


def test_the_worst_case_is_that_of_the_fast_ensemble(digits_test):
    model, x, y, eps = shipped("digits-cnn-fast-at", 64, digits_test)
    report = lsp_core.audit(model, x, y, eps)
    ensemble = lsp_core.evaluate(model, x, y, fast(eps, seed=0)).robust_accuracy
    added = next(check.figures["found"] for check in report.checks if check.name == "black box") / 64
    assert report.robust_accuracy - added <= ensemble + 1 / 64
    assert any(name.startswith("APGD-T-250") for name in report.attacks)


def test_still_moving_by_hand():
    margins = torch.zeros(21, 2)
    margins[:, 0] = torch.tensor([0.0] * 5 + [8.0] * 10 + [3.0] * 5 + [10.0])  # the best: 8, then 10 at the end
    assert effort.still_moving(margins) == pytest.approx(0.1)  # (10 - 8) / 10 and 0 / 0
    assert effort.still_moving(margins[:, :0]) == 0


@pytest.mark.parametrize(("added", "status"), [(1, "pass"), (4, "warn"), (8, "fail")])
def test_step_size_adds(added, status):
    told = (lambda attack: getattr(attack, "alpha", None) == 0.05, run_with(range(20 + added)))
    assert effort.step_size(Fabricated(told, default=run_with(range(20)))).status == status


@pytest.mark.parametrize(("added", "status"), [(3, "pass"), (6, "warn"), (12, "fail")])
def test_restarts_add(added, status):
    wrong = torch.zeros(15, N, dtype=torch.bool)
    wrong[2:, :10], wrong[14:, : 20 + added] = True, True
    run = Run(~wrong[-1], wrong, torch.zeros(15, N), torch.arange(5).repeat_interleave(3))
    told = (lambda attack: getattr(attack, "restarts", 1) == 5, run)
    finding = effort.restarts(Fabricated(told, default=run_with(range(20))))
    assert finding.status == status
    assert finding.figures["accuracy"] == [0.9, 0.9, (80 - added) / 100]


@pytest.mark.parametrize(("gap", "status"), [(-5, "pass"), (5, "pass"), (7, "warn"), (15, "fail")])
def test_cross_entropy_falls_behind(gap, status):
    probe = Fabricated((is_loss("dlr"), run_with(range(20 + gap))), default=run_with(range(20)))
    assert effort.losses(probe).status == status


@pytest.mark.parametrize(("gap", "status"), [(-5, "pass"), (5, "pass"), (7, "warn"), (15, "fail")])
def test_targeted_finds_more(gap, status):
    told = (lambda attack: isinstance(attack, APGD), run_with(range(20 + gap)))
    assert effort.targeted(Fabricated(told, default=run_with(range(20)))).status == status


def test_success_that_is_lost():
    def status(keeping, dropping):
        return effort.silent_success(Fabricated((plain, keeping), default=dropping)).status

    assert status(run_with(range(9)), run_with(range(9), range(3))) == "pass"
    assert status(run_with((), range(8)), run_with(())) == "fail"
    assert status(run_with(()), run_with((), range(10))) == "warn"


@pytest.mark.parametrize(("found", "status"), [(0, "pass"), (1, "pass"), (2, "warn"), (4, "fail")])
def test_detours_find_what_the_gradient_missed(found, status):
    probe = Fabricated(found=found, twin=nn.Identity())
    assert detours.black_box(probe).status == status
    assert detours.transfer(probe).status == status
    with pytest.raises(LeftOut, match="no twin"):
        detours.transfer(Fabricated(found=found))


def test_random_noise_finds_what_pgd_missed():
    def status(wrong, fooled_by_pgd):
        logits = torch.eye(10)[:1].repeat(N, 1)
        logits[list(wrong)] = torch.eye(10)[1]
        return detours.random_noise(Fabricated(default=run_with(fooled_by_pgd), predict=lambda images: logits)).status

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


def test_batch_size_dependence(tiny):
    model, x, y = tiny
    assert outputs.batch_size(Probe(model, x, y, 0.1)).status == "pass"
    assert outputs.batch_size(Probe(Normalised(model), x, y, 0.1)).status == "fail"
    half = nn.Sequential(TinyNet().eval(), nn.Dropout(0.0).train())
    half.training = False  # a parent in evaluation mode says nothing about its parts
    finding = outputs.batch_size(Probe(half, *random_batch(half), 0.1))
    assert (finding.status, finding.figures["training_parts"]) == ("fail", 1)


def test_budget(tiny):
    model, x, y = tiny
    x = (x * 255).round() / 255
    honest = Probe(model, x, model(x).argmax(1), 8 / 255)
    honest.run(honest.fgsm())
    finding = outputs.budget(honest)
    assert finding.status == "pass"
    assert finding.figures["beyond_after_png"] == pytest.approx(0, abs=1e-6)  # whole grey levels stay what they are
    uneven = outputs.budget(Probe(model, x, y, 8.4 / 255))
    assert uneven.status == "pass"
    assert uneven.figures["beyond_after_png"] < 0.5 / 255
    assert outputs.budget(Probe(model, x, y, 0.7, "L2")).status == "pass"
    honest.runs[honest.pgd()] = replace(run_with(()), excess=0.01)
    assert outputs.budget(honest).status == "fail"
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
    short = Run(torch.ones(40).bool(), torch.zeros(2, 40).bool(), torch.zeros(2, 40), torch.zeros(2))
    assert (
        outputs.sample_size(Fabricated(n=49, labels=torch.zeros(40, dtype=torch.int64), default=short)).status == "warn"
    )
    finding = outputs.sample_size(Fabricated(default=run_with(range(50))))
    assert (finding.status, finding.figures["worst_case_accuracy"]) == ("pass", 0.5)
    assert finding.figures["low"] == pytest.approx(0.404, abs=1e-3)


def test_controls_that_nobody_notices_make_the_evaluation_invalid(tiny, monkeypatch):
    model, x, y = tiny
    probe = Probe(model, x, y, 0.1)
    assert controls.known_answers(probe).status == "pass"
    monkeypatch.setitem(controls.CONTROLS, "harmless", (controls.Wrapped, (outputs.determinism,)))
    finding = controls.known_answers(probe)
    assert finding.status == "fail"
    assert "not noticed: harmless" in finding.evidence


# --- The probe ---


def test_a_probe_runs_an_attack_once_and_batches_end_alike(tiny):
    model, x, y = tiny
    probe = Probe(model, x, y, 0.1, batch_size=25)
    attack = probe.restarted()
    run = probe.run(attack)
    assert probe.run(attack) is run
    assert run.fooled.shape == run.margins.shape == (len(run.restarts), 60)
    assert run.excess <= 1e-6
    assert run.correct == int((model(attack(model, x[:25], y[:25])).argmax(1) == y[:25]).sum()) + sum(
        int((model(attack(model, x[rows], y[rows])).argmax(1) == y[rows]).sum())
        for rows in (slice(25, 50), slice(50, 60))
    )
    assert run.within(1) >= run.within(3) >= run.within(5) == run.correct


def test_only_what_is_right_is_attacked(tiny):
    model, x, y = tiny
    y = y.clone()
    y[:10] = (y[:10] + 1) % 5
    probe = Probe(model, x, y, 0.1)
    assert (probe.n, len(probe.labels)) == (60, 50)
    assert probe.run(probe.fgsm()).survived.shape == (50,)


def test_a_model_without_a_path_to_the_pixels_is_attacked_with_a_zero_gradient(tiny):
    model, x, y = tiny
    probe = Probe(controls.Thermometer(model), x, y, 0.1)
    assert not probe.connected
    assert torch.equal(probe.predict(x), controls.Thermometer(model)(x))
    assert Probe(model, x, y, 0.1).connected


@pytest.mark.parametrize("name", MASKED)
def test_wrappers_take_over_the_mode(name, tiny):
    model, x, _ = tiny
    wrapped = getattr(controls, name)(model)
    assert not wrapped.training
    assert getattr(controls, name)(TinyNet()).training
    assert wrapped(x).shape == (60, 5)


# --- The command ---


STANDARD = CHECKPOINTS / "digits-cnn-standard.safetensors"


def test_command_prints_every_check_and_the_verdict(run):
    status, out, err = run("audit", STANDARD, "--n", 64, "--json", "audit.json")
    assert status == 0, err
    assert all(rule.name in out for rule in rules.RULES)  # transfer too: the twin lies beside it
    assert "Linf 32/255 (0.125), n = 64, seed 0, quick form" in out
    assert "No sign of masking found." in out
    found = read(Audited, "audit.json")
    assert (found.checkpoint, found.dataset, found.split, found.n) == ("digits-cnn-standard", "digits", "test", 64)
    assert found.weights == weights_sha256(STANDARD)
    assert found.eps == 32 / 255
    assert [check.name for check in found.checks] == [rule.name for rule in rules.RULES]


def test_command_without_a_twin(run, trained_path, tmp_path):
    status, out, _ = run("audit", trained_path, "--n", 20, "--norm", "L2", "--eps", "0.3")
    assert status == 0
    assert "left out: transfer: no twin was given to craft on." in out
    assert "Of 20 images" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--eps", "big"), "eps is 'big'"),
        (("--eps", "0"), "eps is 0"),
        (("--eps", "8"), "eps is 8"),
        (("--norm", "L1"), "unknown norm 'L1'"),
        (("--norm", "L2"), "eps is missing"),
        (("--n", "0"), "n is 0"),
        (("--batch-size", "0"), "batch_size is 0"),
        (("--twin", "none.safetensors"), "does not exist"),
        (("--twin", CHECKPOINTS / "mnist-cnn-standard.safetensors"), "takes other images or classes"),
        (("--dataset", "nowhere"), "unknown data set 'nowhere'"),
        (("--json", "notes.json"), "holds something else than an audit"),
    ],
)
def test_command_refuses_bad_input(run, tmp_path, arguments, sentence):
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    status, out, err = run("audit", STANDARD, *arguments)
    assert (status, out) == (2, "")
    lines = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert sentence in lines[0]
    assert "Traceback" not in err
