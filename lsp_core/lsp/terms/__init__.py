"""Structure terms by name: what the local structure of a batch is, and how far an embedding is from keeping it.

Each term takes ``images`` (N,C,H,W), their ``features`` (N,D), ``anchors``, the number ``k`` of neighbours and a
``temperature``. Anchors are embeddings (N,D) whose row i must have the neighbourhood of image i: those of the eps-ball
points in the ball's part of LSP, the features themselves in the neighbours' part. A term returns a scalar, 0 or more,
with a finite gradient also for duplicate images, black images and a batch of one. A new term is a file here and a line
in ``NEIGHBOR_TERMS``, or in ``TERMS`` alone if it knows no neighbours.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from lsp_core.lsp.terms.correlation import correlation
from lsp_core.lsp.terms.distribution import distribution
from lsp_core.lsp.terms.laplacian import laplacian
from lsp_core.lsp.terms.reconstruction import reconstruction
from lsp_core.lsp.terms.vicinity import vicinity

Term = Callable[[Tensor, Tensor, Tensor, int, float], Tensor]

NEIGHBOR_TERMS: dict[str, Term] = {
    "correlation": correlation,
    "distribution": distribution,
    "laplacian": laplacian,
    "reconstruction": reconstruction,
}
TERMS: dict[str, Term] = {"vicinity": vicinity, **NEIGHBOR_TERMS}
SCALE_FREE = {"correlation"}  # terms that shrinking an embedding does not change, so that its own length will do

__all__ = ["NEIGHBOR_TERMS", "SCALE_FREE", "TERMS", "Term"]
