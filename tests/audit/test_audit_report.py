"""What an audit says, and the file that it is kept in."""

import json
import math
from dataclasses import replace

import pytest

from lsp_core.audit.report import CONTROLS, Audited, Check, Report
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.store.schema import SchemaError, parse, read


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
