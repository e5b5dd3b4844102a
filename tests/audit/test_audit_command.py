"""``audit`` on the command line."""

from pathlib import Path

import pytest

from lsp_core.audit import Audited
from lsp_core.audit.report import Finding
from lsp_core.audit.rules import RULES, Rule
from lsp_core.store.schema import read
from lsp_core.store.weights import weights_sha256

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
STANDARD = CHECKPOINTS / "digits-cnn-standard.safetensors"


def test_command_prints_every_check_and_the_verdict(run):
    # At a radius at which nothing survives, so that it is soon over.
    status, out, err = run("audit", STANDARD, "--n", 64, "--eps", "102/255", "--json", "audit.json")
    assert status == 0, err
    assert all(name in out for name in RULES)  # transfer too: the twin lies beside it
    assert "Linf 102/255 (0.400), n = 64, seed 0, quick form" in out
    found = read(Audited, "audit.json")
    assert found.verdict.lower() in out.lower()
    assert (found.checkpoint, found.dataset, found.split, found.n) == ("digits-cnn-standard", "digits", "test", 64)
    assert found.weights == weights_sha256(STANDARD)
    assert found.eps == 102 / 255
    assert [check.name for check in found.checks] == list(RULES)


def test_a_new_rule_is_one_line(run, monkeypatch):
    def look(probe):
        return Finding("warn", f"It was looked at with {probe.n} images.", "ever")

    monkeypatch.setitem(RULES, "dummy rule", Rule(look, "here"))
    Path("audit.json").write_text('{"schema": "lsp-lab/audit/1"}')  # an audit by an older version gives way
    status, out, err = run("audit", STANDARD, "--n", 8, "--eps", "0.4", "--json", "audit.json")
    assert status == 0, err
    line = next(line for line in out.splitlines() if "dummy rule" in line)
    assert "warn" in line
    assert "It was looked at with 8 images." in line
    check = read(Audited, "audit.json").checks[-1]
    assert (check.name, check.status, check.source) == ("dummy rule", "warn", "here")


def test_command_without_a_twin(run, trained_path, tmp_path):
    status, out, _ = run("audit", trained_path, "--n", 20, "--norm", "L2", "--eps", "2")
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
        (("--json", "notes.json"), "which is no lsp-lab/audit file"),
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
