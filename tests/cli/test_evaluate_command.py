"""``evaluate``: what it prints is what it writes, and what was done before counts."""

import dataclasses
from pathlib import Path

import pytest
import torch
from conftest import write_folder

import lsp_core
from lsp_core import load_checkpoint, save_checkpoint
from lsp_core.attacks import PGD
from lsp_core.evaluation import evaluate
from lsp_core.evaluation.intervals import wilson_interval
from lsp_core.evaluation.records import Evaluations
from lsp_core.store.schema import read
from lsp_core.store.weights import weights_sha256

SHIPPED = Path(lsp_core.__file__).parents[1] / "checkpoints" / "digits-cnn-mart.safetensors"


def entries(path="out.json"):
    return read(Evaluations, path).evaluations


def test_evaluate_prints_a_table_and_writes_records(run, trained_path, tmp_path):
    options = ("--attacks", "fgsm, pgd", "--eps", "0.05,16/255", "--n", 120, "--steps", 5, "--seed", 1)
    status, out, err = run("evaluate", trained_path, *options, "--json", "out.json")
    assert status == 0, err
    assert "16/255 (0.063)" in out
    assert out.count("PGD-5") == 2
    assert out.count("FGSM") == 2
    record = read(Evaluations, "out.json")
    assert (record.checkpoint, record.weights) == ("digits-cnn-standard", weights_sha256(trained_path))
    assert [(entry.name, entry.attack, entry.eps) for entry in record.evaluations] == [
        ("fgsm", "FGSM", 0.05), ("fgsm", "FGSM", 16 / 255), ("pgd", "PGD", 0.05), ("pgd", "PGD", 16 / 255)
    ]  # fmt: skip
    for found in record.evaluations:
        assert (found.n, found.seed, found.dataset, found.split) == (120, 1, "digits", "test")
        assert (found.batch_size, found.device) == (256, "cuda" if torch.cuda.is_available() else "cpu")
        assert f"{found.robust_accuracy:.1%}" in out
    assert record.evaluations[2].settings["steps"] == 5
    assert record.evaluations[2].settings["seed"] == 1


def test_evaluate_counts_what_the_library_counts(run, trained_path, trained, digits_test, tmp_path):
    status, _, err = run("evaluate", trained_path, "--attacks", "pgd", "--n", 50, "--norm", "L2", "--eps", "0.5",
                         "--restarts", 2, "--loss", "margin", "--json", "out.json")  # fmt: skip
    assert status == 0, err
    (found,) = entries()
    rows = torch.randperm(599, generator=torch.Generator().manual_seed(0))[:50]
    attack = PGD(0.5, steps=20, norm="L2", loss="margin", restarts=2)
    result = evaluate(trained, digits_test.float(rows), digits_test.labels[rows], attack)
    assert found.clean_accuracy == result.clean_accuracy
    assert found.robust_accuracy == pytest.approx(result.robust_accuracy, abs=0.021)  # one image: channels_last
    assert found.settings["loss"] == "margin"


def test_evaluate_asks_at_the_radius_of_the_training(run, trained_path, tmp_path):
    run("evaluate", trained_path, "--attacks", "fgsm", "--n", 20, "--json", "out.json")
    assert entries()[0].eps == 0.1


def test_evaluate_takes_the_worst_of_attacks_that_are_joined(run, trained_path, tmp_path):
    status, out, err = run("evaluate", trained_path, "--attacks", "noise,fgsm+pgd+transfer", "--source", trained_path,
                           "--n", 60, "--steps", 4, "--json", "out.json")  # fmt: skip
    assert status == 0, err
    assert "worst of these" in out
    joined, noise = entries()
    assert noise.label == "Noise-10"
    assert (joined.name, joined.label) == ("fgsm+pgd+transfer", "FGSM + PGD-4 + PGD-4 from digits-cnn-standard")
    assert [part["class"] for part in joined.settings["attacks"]] == ["FGSM", "PGD", "Transfer"]


def test_evaluate_resumes_with_the_evaluation_that_was_cut_off(run, trained_path):
    options = ("--attacks", "fgsm,noise", "--n", 40, "--json", "out.json")
    run("evaluate", trained_path, "--attacks", "fgsm", "--n", 40, "--json", "out.json")
    before = entries()
    status, out, err = run("evaluate", trained_path, *options, "--resume")
    assert status == 0, err
    assert "FGSM at 0.1: done before" in out
    assert [entry.label for entry in entries()] == ["FGSM", "Noise-10"]
    assert entries()[0] == before[0]
    _, out, _ = run("evaluate", trained_path, *options)
    assert "done before" not in out


def test_what_was_done_before_has_a_row_and_counts_among_the_worst(run, trained_path):
    run("evaluate", trained_path, "--attacks", "pgd", "--n", 60, "--eps", "0.1,0.15", "--json", "out.json")
    status, out, err = run(
        "evaluate", trained_path, "--attacks", "noise,pgd", "--n", 60, "--eps", "0.1", "--json", "out.json", "--resume"
    )
    assert status == 0, err
    found = {entry.name: entry for entry in entries() if entry.eps == 0.1}
    right = int((found["pgd"].robust_right & found["noise"].robust_right).sum())
    assert right < found["noise"].robust_right.sum()
    (low, high), lines = wilson_interval(right, 60), out.splitlines()
    (worst,) = (line for line in lines if "worst of these" in line)
    assert f"{right / 60:.1%}" in worst
    assert f"{low:.1%} to {high:.1%}" in worst
    (row,) = (line for line in lines if "PGD-20" in line and "done before" not in line)
    assert f"{found['pgd'].robust_accuracy:.1%}" in row
    _, again, _ = run("evaluate", trained_path, "--attacks", "noise,pgd", "--n", 60, "--eps", "0.1", "--json",
                      "out.json", "--resume")  # fmt: skip
    assert worst in again.splitlines()


def test_figures_outlive_a_card_that_is_rewritten(run, trained_path, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(trained_path.read_bytes())
    options = ("--attacks", "fgsm", "--n", 20, "--json", "out.json", "--resume")
    run("evaluate", path, *options)
    model, card = load_checkpoint(path)
    save_checkpoint(path, model, dataclasses.replace(card, command="another", date="2030-01-01"))
    status, out, err = run("evaluate", path, *options)
    assert status == 0, err
    assert "done before" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--attacks", "deepfool"), "unknown attack 'deepfool': choose one of noise, transfer, square, fgsm"),
        (("--attacks", ""), "unknown attack ''"),
        (("--norm", "L1"), "unknown norm 'L1': choose one of Linf, L2"),
        (("--loss", "mse"), "unknown loss 'mse'"),
        (("--eps", "0.1,"), "eps is ''"),
        (("--eps", "8"), "eps is 8"),
        (("--eps", "-0.1"), "eps is -0.1"),
        (("--steps", "0"), "steps is 0"),
        (("--restarts", "0"), "restarts is 0"),
        (("--n", "0"), "n is 0, but it must be 1 or more"),
        (("--attacks", "pgd+"), "unknown attack ''"),
        (("--attacks", "transfer"), "name that checkpoint as its source"),
        (("--attacks", "square", "--queries", "0"), "queries is 0"),
        (("--resume",), "--resume goes on with what --json holds, so it needs --json"),
        (
            ("--attacks", "fgsm", "--steps", 77),
            "steps is given, but no attack here takes it: fgsm takes loss, targeted.",
        ),
        (("--attacks", "fgsm,noise", "--queries", 5), "queries is given, but no attack here takes it"),
        (("--attacks", "pgd", "--source", SHIPPED), "source is given, but no attack here takes it"),
        (("--eps", ""), "eps is ''"),
        (("--json", "."), "json is ., which is no file: give another path"),
        (("--source", "none.safetensors"), "none.safetensors does not exist"),
        (("--dataset", "nowhere"), "unknown data set 'nowhere'"),
    ],
)
def test_evaluate_refuses_bad_input(refused, trained_path, arguments, sentence):
    assert sentence in refused("evaluate", trained_path, *arguments)


def test_evaluate_refuses_what_is_no_checkpoint(refused, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    assert "is no checkpoint" in refused("evaluate", tmp_path / "bad.safetensors")
    assert "does not exist" in refused("evaluate", tmp_path / "none.safetensors")
    assert str(tmp_path) in refused("evaluate", tmp_path)


def test_evaluate_takes_another_folder_of_the_same_classes(run, trained_path, tmp_path):
    folder = write_folder(tmp_path / "mine", "0123456789")
    status, out, err = run("evaluate", trained_path, "--dataset", folder, "--attacks", "fgsm")
    assert status == 0, err
    assert "FGSM" in out


def test_evaluate_refuses_data_of_another_kind(refused, trained_path, tmp_path):
    shapes = write_folder(tmp_path / "large", "0123456789", 16)
    assert "takes images of (1, 8, 8), but" in refused("evaluate", trained_path, "--dataset", shapes)
    titles = write_folder(tmp_path / "letters", "abcdefghij")
    assert "was trained on other classes" in refused("evaluate", trained_path, "--dataset", titles)


def test_evaluate_does_not_overwrite_a_file_that_is_something_else(run, trained_path, tmp_path):
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    status, _, err = run("evaluate", trained_path, "--attacks", "fgsm", "--n", 20, "--json", "notes.json")
    assert status == 2
    assert "which is no lsp-lab/evaluations file and would be lost" in err
    assert (tmp_path / "notes.json").read_text() == '{"mine": 1}'
