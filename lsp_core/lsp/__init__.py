"""Local Structure Preserving regularization, our reading."""

from lsp_core.lsp.lsp import LSP, NONE, VICINITIES, uniform_noise
from lsp_core.lsp.terms import NEIGHBOR_TERMS, TERMS

__all__ = ["LSP", "NEIGHBOR_TERMS", "NONE", "TERMS", "VICINITIES", "uniform_noise"]
