"""Models that were brought from outside, as files or as modules."""

from lsp_core.models.outside.wrapped import Wrapped, wrap

__all__ = ["Wrapped", "wrap"]
