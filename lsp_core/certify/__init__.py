"""Bounds that are proofs: up to which radius an image is safe for sure."""

from lsp_core.certify.certify import certify, margins

__all__ = ["certify", "margins"]
