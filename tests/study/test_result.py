"""The file of a run: what is damaged is refused in one sentence."""

import json
import re

import pytest
from written import METRICS, NEAR, PRESET, TIME, entry, put, result

from lsp_core.study.page import write_report
from lsp_core.study.result import read_results


@pytest.fixture
def study(tmp_path):
    """A preset, and the folder of its results."""
    return put(tmp_path, PRESET)


def refused(study, path, message):
    """Both the page and a worker read by ``read_results``: the sentence names the file and what is wrong with it."""
    preset, out = study
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        read_results(preset.runs(), out / "mine")
    assert str(raised.value).startswith(f"{path} is ")
    assert str(raised.value).endswith("; remove it, and the run is made again.")
    assert re.fullmatch(r"[^\n]+[^.\n]\.", str(raised.value))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "it holds no JSON"),
        ("[]", "it holds no table"),
        ('{"schema": "other"}', "its schema is 'other'"),
        ('{"schema": "lsp-lab/run/1"}', "its schema is 'lsp-lab/run/1'"),
        ('{"schema": "lsp-lab/run/2"}', "id: Field required"),
        ('{"schema": ' + "[" * 100_000, "it holds no JSON"),
    ],
)
def test_a_file_that_is_no_result_is_named(study, content, message):
    preset, out = study
    path = out / "mine" / f"{preset.runs()[0].id}.json"
    path.write_text(content)
    refused(study, path, message)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        write_report(out)
    assert not (out / "README.md").exists()


def test_a_file_under_the_name_of_another_run_is_refused(study):
    preset, out = study
    path = result(out, preset, "LSP", 0)
    other = path.rename(path.with_name("digits-pgd-at-lsp-1.json"))
    refused(study, other, "is of the run digits-pgd-at-lsp-0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"robust_accuracy": 0.1}, "robust_accuracy is 0.1 of 40, which is not that of robust_correct"),
        ({"clean_accuracy": 0.8}, "clean_accuracy is 0.8 of 40, which is not that of clean_correct"),
        ({"clean_accuracy": float("nan")}, "it holds no JSON"),
        ({"robust_accuracy": float("inf")}, "it holds no JSON"),
        ({"robust_accuracy": -0.5}, "robust_accuracy is -0.5"),
        ({"robust_accuracy": 10**400}, "curve.0.robust_accuracy"),
        ({"robust_accuracy": True}, "curve.0.robust_accuracy (True)"),
        ({"robust_correct": "zz"}, "robust_correct holds no hexadecimal digits"),
        ({"clean_correct": [1]}, "curve.0.clean_correct ([1])"),
        ({"clean_correct": "ff" * 9}, "clean_correct is of 72 images, but n is 40"),
        ({"clean_correct": "ff" * 5, "clean_accuracy": 1.0}, "clean_interval is 0.769"),
        ({"robust_interval": 1}, "curve.0.robust_interval (1)"),
        ({"robust_interval": [0.6, 0.7]}, "robust_interval is 0.6 to 0.7, but 0.5 must lie between them"),
        ({"n": 41}, "clean_correct is of 40 images, but n is 41"),
        ({"n": 40.0}, "curve.0.n (40.0)"),
        ({"n": 0}, "n is 0"),
        ({"eps": -0.1}, "eps is -0.1"),
        ({"label": None}, "curve.0.label (None)"),
        ({"surprise": 1}, "curve.0.surprise (1)"),
        ({"machine": ["Abacus"]}, "curve.0.machine (['Abacus'])"),
        ({"machine": {"processor": "Abacus"}}, "curve.0.machine.cores: Field required"),
        ({"fooled_by": []}, "fooled_by counts 0 images, but 16"),
    ],
)
def test_an_evaluation_that_is_nonsense_is_refused(study, change, message):
    refused(study, result(study[1], study[0], "LSP", 0, curve=[{**entry("pgd", 20), **change}]), message)


def test_more_right_under_attack_than_before_is_refused(study):
    last = {**entry("pgd", 20, clean=10), "fooled_by": []}
    path = result(study[1], study[0], "LSP", 0, last=last)
    refused(study, path, "robust_correct has images that clean_correct lacks")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"preservation": {**NEAR, "kept": 1.5}}, "kept is 1.5, but it must be from 0 to 1"),
        ({"preservation": {**NEAR, "clean": {**METRICS, "continuity": -0.1}}}, "continuity is -0.1"),
        ({"preservation": {**NEAR, "adversarial": {**METRICS, "trustworthiness": 2}}}, "trustworthiness is 2"),
        ({"preservation": {**NEAR, "clean": {**METRICS, "knn_overlap": "1"}}}, "clean.knn_overlap ('1')"),
        ({"preservation": {**NEAR, "clean": [0.9]}}, "preservation.clean ([0.9])"),
        ({"preservation": {**NEAR, "k": 0}}, "k is 0"),
        ({"training": {**TIME, "seconds_per_epoch": -1.0}}, "seconds_per_epoch is -1"),
        ({"training": {**TIME, "epoch": 5}}, "epoch is 5, but it must be from 1 to 4"),
        ({"training": [1]}, "training ([1])"),
        ({"training": {"epoch": 1, "epochs": 1, "held_out": {}}}, "training.seconds_per_epoch: Field required"),
        ({"evaluations": {"pgd": 1}}, "evaluations ({'pgd': 1})"),
        ({"evaluations": ["pgd"]}, "evaluations.0 ('pgd')"),
        ({"evaluations": None}, "evaluations (None)"),
        ({"evaluations": [entry("pgd", 20), entry("pgd", 20)]}, "evaluations have two entries of one attack"),
        ({"last": 3}, "last (3)"),
        ({"curve": 3}, "curve (3)"),
        ({"config": [0.2]}, "config ([0.2])"),
        ({"config": None}, "config (None)"),
        ({"config": {"dataset": "digits", "model": "cnn", "eps": "0.2"}}, "eps of TrainConfig is '0.2'"),
        ({"config": {"dataset": "digits", "model": "cnn", "surprise": 1}}, "surprise"),
        ({"config": {"dataset": "digits", "model": "cnn", "lsp": "vicinity"}}, "lsp"),
        ({"config": {"dataset": "digits"}}, "model"),
        ({"machine": []}, "machine ([])"),
        ({"machine": {"versions": ["torch"]}}, "machine.processor: Field required"),
        ({"surprise": 1}, "surprise (1)"),
    ],
)
def test_a_result_that_is_nonsense_is_refused(study, parts, message):
    preset, out = study
    path = result(out, preset, "LSP", 0)
    path.write_text(json.dumps({**json.loads(path.read_text()), **parts}))
    refused(study, path, message)
