"""An attack and an objective of one's own, added by one line each, are in presets, tables and plots."""

import functools
from dataclasses import dataclass

import pytest

from lsp_core.attacks import ATTACKS
from lsp_core.attacks.table import Kind
from lsp_core.data import load_dataset
from lsp_core.study import Worker, parse_preset
from lsp_core.study.page import write_report
from lsp_core.training import OBJECTIVES

PRESET = """
seeds = [0]
n = 30
attacks = ["pgd", "darken"]

[[grid]]
title = "Mine"
datasets = ["digits"]
objectives = ["calm"]
settings = { epochs = 1, limit = 300 }
[grid.variants]
baseline = {}
LSP = { lsp = {} }
"""


@dataclass(frozen=True)
class Darken:
    """Subtract eps from every pixel."""

    eps: float
    norm: str = "Linf"

    def __call__(self, model, images, labels, *, on_step=None):
        return (images - self.eps).clamp(0, 1)


@pytest.fixture
def own(monkeypatch):
    """One line each."""
    monkeypatch.setitem(ATTACKS, "darken", Kind(Darken, "referee", "less light", short=str.upper))
    monkeypatch.setitem(OBJECTIVES, "calm", OBJECTIVES["standard"])


def test_an_attack_and_an_objective_of_ones_own_go_through_a_study(own, tmp_path):
    preset = parse_preset("mine", PRESET)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "preset.toml").write_text(PRESET)
    worker = Worker(tmp_path / "mine", tmp_path / "work", functools.cache(load_dataset))
    results = [worker.do(run) for run in preset.runs()]
    assert [entry.name for result in results for entry in result.evaluations] == ["pgd", "darken"] * 2
    text = write_report(tmp_path).read_text()
    assert "| data set, objective | clean | under attack | Darken | overlap" in text  # a referee has a column
    assert "| digits<br>calm<br>eps 32/255 (0.125) |" in text
    assert "| variant | seeds | n | clean | PGD-20 | DARKEN |" in text
    assert "), DARKEN |" in text  # the strongest, and it counts as evidence
    assert "By *DARKEN* is meant less light (Darken)." in text
    assert "The objective `calm` is trained for no radius" in text
    pytest.importorskip("vl_convert")
    for name in ("mine-1-digits", "mine-neighbours"):
        svg = (tmp_path / "plots" / f"{name}.svg").read_text()
        assert "DARKEN" in svg
        assert "calm" in svg
