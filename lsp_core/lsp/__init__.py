"""Local Structure Preserving regularization, our reading."""

from lsp_core.lsp.lsp import LSP, PARTS, VICINITIES, uniform_noise
from lsp_core.lsp.terms import TERMS

__all__ = ["LSP", "PARTS", "TERMS", "VICINITIES", "uniform_noise"]
