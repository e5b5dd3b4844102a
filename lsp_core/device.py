"""Where models and images lie while something is worked out of them."""

from __future__ import annotations

import torch

DEVICES = ("auto", "cpu", "cuda")


def pick_device(name: str) -> str:
    """Turn "auto" into "cuda" where there is a GPU, else into "cpu".

    Raises:
        ValueError: if the device is unknown or not there.
    """
    if name not in DEVICES:
        raise ValueError(f"unknown device {name!r}: choose auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is cuda, but torch finds no GPU here: choose cpu or auto.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
