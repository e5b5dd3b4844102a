"""The study: a grid of trainings, each measured the same way, and the page that says what came of it."""

from __future__ import annotations

from lsp_core.study.archive import Archive
from lsp_core.study.budget import Budget, TimeUp
from lsp_core.study.grid import Grid, Run
from lsp_core.study.preset import Preset, parse_preset, read_preset
from lsp_core.study.worker import Worker

__all__ = ["Archive", "Budget", "Grid", "Preset", "Run", "TimeUp", "Worker", "parse_preset", "read_preset"]
