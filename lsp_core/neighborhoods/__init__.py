"""Neighbourhoods, and how well an embedding keeps those of its inputs. All points are (N,D) float tensors."""

from __future__ import annotations

from lsp_core.neighborhoods.figures import continuity, in_common, knn_overlap, shared_neighbors, trustworthiness
from lsp_core.neighborhoods.measured import Neighbors
from lsp_core.neighborhoods.search import knn, knn_others

__all__ = [
    "Neighbors",
    "continuity",
    "in_common",
    "knn",
    "knn_others",
    "knn_overlap",
    "shared_neighbors",
    "trustworthiness",
]
