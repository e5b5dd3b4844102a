"""A drawing by hand, brought to the size and place that the digits of the data sets have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SMALL = 16  # pixels of a side: below it digits fill the image, from it on they have a margin
FILL = 20 / 28  # of the side that a digit of MNIST takes up at most


def centre_drawing(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Crop light strokes on black, scale them to the size of a digit, and put their centre of mass in the middle.

    Source: how MNIST was made (LeCun et al. 1998: a box of 20 x 20 pixels, centre of mass in the middle of 28 x 28);
    images below 16 pixels are filled, as scikit-learn's digits are.

    Args:
        pixels: (H,W), 0 where nothing was drawn.
        side: of the result, in pixels.

    Returns:
        (side,side); black if nothing was drawn.
    """
    result = np.zeros((side, side), np.uint8)
    drawn = np.argwhere(pixels)
    if len(drawn) == 0:
        return result
    (top, left), (bottom, right) = drawn.min(0), drawn.max(0) + 1
    cut = Image.fromarray(pixels[top:bottom, left:right])
    room = side if side < SMALL else round(FILL * side)
    scale = room / max(cut.size)
    width, height = (max(1, round(length * scale)) for length in cut.size)
    strokes = np.asarray(cut.resize((width, height), Image.Resampling.LANCZOS), np.float64)
    strokes = np.round(strokes * (255 / max(strokes.max(), 1.0)))
    places = np.indices(strokes.shape).reshape(2, -1) + 0.5
    mass = (places * strokes.ravel()).sum(1) / strokes.sum()
    up, across = (
        int(np.clip(round(side / 2 - centre), 0, side - length))
        for centre, length in zip(mass, strokes.shape, strict=True)
    )
    result[up : up + height, across : across + width] = strokes
    return result
