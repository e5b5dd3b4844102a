"""Structure terms by name: what the local structure of a batch is, and how far an embedding is from keeping it.

Each term takes ``images`` (N,C,H,W), their ``features`` (N,D), ``anchors``, the number ``k`` of neighbours and a
``temperature``. Anchors are embeddings (N,D) whose row i must have the neighbourhood of image i: the features
themselves, those of the eps-ball points, or both. A term returns a scalar, 0 or more, with a finite gradient also for
duplicate images, black images and a batch of one. A new term is a file here and a line in ``TERMS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from lsp_core.lsp.terms.distribution import distribution
from lsp_core.lsp.terms.laplacian import laplacian
from lsp_core.lsp.terms.reconstruction import reconstruction
from lsp_core.lsp.terms.vicinity import vicinity

Term = Callable[[Tensor, Tensor, Sequence[Tensor], int, float], Tensor]

TERMS: dict[str, Term] = {
    "vicinity": vicinity,
    "distribution": distribution,
    "laplacian": laplacian,
    "reconstruction": reconstruction,
}

__all__ = ["TERMS", "Term"]
