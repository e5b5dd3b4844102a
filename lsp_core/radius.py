"""Radii as people write and read them: 0.1 or 8/255."""

from __future__ import annotations


def parse_eps(text: str) -> float:
    """Read a radius in pixel units, written as "0.1" or "8/255".

    >>> parse_eps("8/255") == 8 / 255
    True

    Raises:
        ValueError: if it is no number.
    """
    try:
        above, _, below = text.partition("/")
        return float(above) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"eps is {text!r}, but it must be a number from 0 to 1, like 0.1 or 8/255.") from None


def show_eps(eps: float) -> str:
    """Write a radius as people read it.

    >>> show_eps(8 / 255), show_eps(0.1)
    ('8/255 (0.031)', '0.1')
    """
    whole = round(eps * 255)
    return f"{whole}/255 ({eps:.3f})" if whole and abs(eps * 255 - whole) < 1e-6 else f"{eps:g}"
