"""A machine that only trains and measures needs neither what checks files strictly nor what writes the page."""

import json
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
import sys
sys.modules.update(dict.fromkeys(("jinja2", "pydantic", "altair", "vl_convert", "streamlit"), None))
from lsp_core.cli.main import main
sys.argv[1:] = ["study", "mine.toml", "--json", "all.json"]
main()
"""


def test_a_study_runs_on_a_bare_machine_and_goes_on_there(tmp_path):
    (tmp_path / "mine.toml").write_text(PRESET)
    for _ in range(2):  # the second time from the file of the first
        done = subprocess.run([sys.executable, "-c", STUDY], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "1 run: no page was written, since jinja2 is not there" in " ".join(done.stdout.split())
    (record,) = json.loads((tmp_path / "all.json").read_text())["runs"]
    path = tmp_path / "results" / "mine" / "digits-standard-baseline-0.json"
    assert read(Result, path).to_record() == record  # as strict as anywhere else
    assert not (tmp_path / "results" / "README.md").exists()
