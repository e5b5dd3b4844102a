"""The page that says what came of a study: tables in Markdown, and plots."""

from __future__ import annotations

from lsp_core.study.page.report import write_report

__all__ = ["write_report"]
