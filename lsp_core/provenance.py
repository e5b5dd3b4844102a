"""Where a figure comes from: the versions and the day."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import version

import torch


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{name: version(name) for name in ("torchvision", "numpy", "scikit-learn", "safetensors")},
    }


def today() -> str:
    """Return the date (UTC) as YYYY-MM-DD."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
