"""Whole audits: honest networks pass, those that mask are flagged for the right reason."""

import functools
import json
import math
from pathlib import Path

import pytest
import torch
from conftest import Stubborn, TinyNet
from fabricated import small
from torch import nn

import lsp_core
from lsp_core.attacks import Square, Transfer, fast
from lsp_core.audit import controls
from lsp_core.audit.report import CLEAN, CONTROLS
from lsp_core.audit.rules import RULES
from lsp_core.types import Step

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
N = 128


def shipped(name, count):
    model, card = lsp_core.load_checkpoint(CHECKPOINTS / f"{name}.safetensors")
    data = lsp_core.load_dataset("digits", "test")
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:count]
    return model, data.float(rows), data.labels[rows], card.eps


@functools.cache
def report_on(name):
    """The audit of a shipped network with its twin; several tests look at it."""
    return lsp_core.audit(*shipped(name, N), twin=shipped(f"{name}-lsp", 1)[0])


@pytest.mark.parametrize("name", ["digits-cnn-standard", "digits-cnn-pgd-at"])
def test_honest_networks_come_out_clean(name):
    report = report_on(name)
    assert [check for check in report.checks if check.status != "pass"] == []
    assert report.verdict == CLEAN
    assert [check.name for check in report.checks] == list(RULES)
    assert all(check.evidence.endswith(".") and check.source and check.threshold for check in report.checks)
    assert 0 < report.robust_accuracy < report.clean_accuracy


def test_no_kinder_than_the_fast_ensemble():
    model, x, y, eps = shipped("digits-cnn-fast-at", N)
    report, ensemble = report_on("digits-cnn-fast-at"), lsp_core.evaluate(model, x, y, fast(eps, seed=0))
    assert report.robust_accuracy <= ensemble.robust_accuracy + 1 / N
    figures = next(check.figures for check in report.checks if check.name == "convergence")
    assert figures["ordinary"] > figures["strong"] >= report.robust_accuracy


MASKED = {
    "ScaledLogits": {"cross-entropy against margin", "input gradients", "random noise"},
    "Quantized": {"input gradients", "unbounded attack", "eps curve", "transfer", "black box"},
    "Thermometer": {"input gradients", "unbounded attack", "eps curve", "transfer", "black box"},
    "RandomResize": {"determinism", "batch size", "silent success", "loss stability"},
    "SoftmaxOutputs": {"outputs"},
}


@pytest.mark.parametrize("name", MASKED)
def test_networks_that_mask_are_flagged_for_the_right_reason(name):
    model, x, y, eps = shipped("digits-cnn-standard", 50)
    twin = shipped("digits-cnn-standard-lsp", 1)[0]
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


def test_an_audit_repeats_leaves_no_trace_and_tells_how_far_it_is():
    model, x, y = small()
    before, state, seen = x.clone(), torch.get_rng_state(), []
    first, second = (
        lsp_core.audit(
            controls.RandomResize(model), x, y, 0.2, seed=3, on_progress=lambda *progress: seen.append(progress)
        ).to_record()
        for _ in range(2)
    )
    for record in (first, second):
        del record["seconds"]
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, before)
    assert all(parameter.grad is None for parameter in model.parameters())
    once = seen[: len(seen) // 2]
    assert once == sorted(once)
    assert once[-1] == (len(RULES), len(RULES))
    assert len(once) > 300  # steps of attacks, not only checks


def test_the_record_is_json_and_says_how_to_repeat_it():
    model, x, y = small()
    report = lsp_core.audit(model, x, y, 1.5, "L2", seed=4, batch_size=32)
    record = json.loads(json.dumps(report.to_record(), allow_nan=False))
    assert (record["n"], record["seed"], record["eps"], record["norm"]) == (60, 4, 1.5, "L2")
    assert (record["form"], record["batch_size"]) == ("quick", 32)
    assert record["left_out"].keys() >= {"transfer", "loss surface"}
    assert set(record["checks"][0]) == {"name", "status", "evidence", "threshold", "source", "figures"}
    assert record["verdict"] == report.verdict
    curve = next(check for check in record["checks"] if check["name"] == "eps curve")["figures"]["eps"]
    assert curve[-1] == pytest.approx(0.5 * math.sqrt(64))  # from any image to plain grey
    assert curve == sorted(curve)


def test_the_batch_size_changes_no_figure():
    (model, x, y), twin = small(), small(1)[0]
    little, much = (lsp_core.audit(model, x[:20], y[:20], 0.08, twin=twin, batch_size=size) for size in (7, 256))
    assert little.attacks == much.attacks
    assert 0 < little.robust_accuracy == much.robust_accuracy < 1
    for one, other in zip(little.checks, much.checks, strict=True):
        assert (one.name, one.status) == (other.name, other.status)
        for name, value in one.figures.items():
            assert value == pytest.approx(other.figures[name], rel=1e-4, abs=1e-6), (one.name, name)


@pytest.fixture
def rules():
    """The table of rules, which is as before in the end."""
    before = dict(RULES)
    yield RULES
    RULES.clear()
    RULES.update(before)


@pytest.mark.parametrize(("bad", "name"), [(Square, "Square-500"), (Transfer, "PGD-20 from the twin")])
def test_no_attack_escapes_the_budget_check(bad, name, rules, monkeypatch):
    def leave(attack, model, images, labels, *, on_step=None):
        far = (images + 2 * attack.eps).clamp(0, 1)
        on_step(Step(0, 0, far, model(far)))
        return far

    monkeypatch.setattr(bad, "__call__", leave)
    names = ("budget", "transfer", "black box")
    kept = {name: rules[name] for name in names}
    rules.clear()
    rules.update(kept)
    model = Stubborn().eval()  # something is left for the last attacks
    x, y = torch.full((3, 1, 4, 4), 0.5), torch.zeros(3, dtype=torch.int64)
    report = lsp_core.audit(model, x, y, 0.1, twin=model)
    assert [check.name for check in report.checks] == list(names)
    assert report.checks[0].status == "fail"
    assert report.checks[0].evidence.endswith(f"by up to 0.1: {name}.")


def test_progress_can_cancel():
    def cancel(done, total):
        if done == 5:
            raise ValueError("enough")  # the very kind that a check may raise itself

    with pytest.raises(ValueError, match="enough"):
        lsp_core.audit(*small(), 0.05, on_progress=cancel)


class Explodes(nn.Module):
    """Finite logits at the images, none where an attack without a bound goes."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.training = False

    def forward(self, images):
        return self.model(images) / (images.flatten(1).amax(1, keepdim=True) < 0.99)


def test_a_check_that_cannot_be_completed_fails():
    model, x, y = small()
    x = 0.5 * x
    y = model(x).argmax(1)
    checks = {check.name: check for check in lsp_core.audit(Explodes(model), x, y, 0.3).checks}
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
def test_bad_arguments_are_one_sentence(change, sentence):
    model, x, y = small()
    with pytest.raises(ValueError, match=sentence):
        lsp_core.audit(**{"model": model, "x": x, "y": y, "eps": 0.1, **change})


def test_a_model_that_gets_nothing_right_is_refused():
    model, x, y = small()
    with pytest.raises(ValueError, match="none of the 60 images right"):
        lsp_core.audit(model, x, (y + 1) % 5, 0.1)
