"""A machine that only trains and measures needs neither what checks files strictly nor what writes the page."""

import subprocess
import sys

from lsp_core.store.schema import read
from lsp_core.study.result import Result

PRESET = """
seeds = [0]
n = 30
attacks = ["fgsm"]
[[grid]]
title = "Mine"
datasets = ["digits"]
objectives = ["standard"]
settings = { epochs = 1, limit = 300 }
[grid.variants]
baseline = {}
"""
STUDY = """
import functools, pathlib, sys
sys.modules.update(dict.fromkeys(("jinja2", "pydantic", "altair", "vl_convert", "streamlit"), None))
from lsp_core.data import load_dataset
from lsp_core.study import Worker, parse_preset
from lsp_core.study.page import write_report
out = pathlib.Path("results")
preset = parse_preset("mine", pathlib.Path("mine.toml").read_text())
worker = Worker(out / "mine", pathlib.Path("work"), functools.cache(load_dataset))
first, again = (worker.do(run) for run in preset.runs() * 2)  # the second time from the file of the first
assert first.to_record() == again.to_record()
assert write_report(out) is None
"""


def test_a_study_runs_on_a_bare_machine_and_goes_on_there(tmp_path):
    (tmp_path / "mine.toml").write_text(PRESET)
    done = subprocess.run([sys.executable, "-c", STUDY], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = read(Result, tmp_path / "results" / "mine" / "digits-standard-baseline-0.json")  # as strict as elsewhere
    assert [entry.name for entry in found.evaluations] == ["fgsm"]


def test_the_command_says_that_it_wrote_no_page(run, tmp_path, monkeypatch):
    monkeypatch.setattr("lsp_core.study.page.report.find_spec", lambda _name: None)
    (tmp_path / "mine.toml").write_text(PRESET)
    status, out, err = run("study", "mine.toml")
    assert status == 0, err
    said = " ".join(out.split())
    assert "1 run: no page was written, since jinja2 is not there; what is known lies in results/mine" in said
    assert not (tmp_path / "results" / "README.md").exists()
