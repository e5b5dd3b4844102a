"""Arrays to pictures. Everything is PNG at the model's own resolution; the page enlarges it pixel by pixel."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
POSITIVE, NEGATIVE = np.array([178, 24, 43]), np.array([33, 102, 172])  # ColorBrewer RdBu, readable by the colour-blind


def png(pixels: Pixels) -> bytes:
    """Encode uint8 (C,H,W) with one or three channels, or (H,W,3), without loss."""
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3):
        pixels = pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(pixels: Pixels) -> str:
    """Return the picture as a data: address."""
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode()}"


def to_pixels(image: NDArray[np.floating]) -> Pixels:
    """Round an image in [0,1] to 256 levels."""
    rounded: Pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return rounded


def noise_factor(eps: float) -> int:
    """Return how many times noise of that size is magnified so that it fills the scale around mid-grey."""
    return max(1, int(0.5 / eps)) if eps > 0 else 1


def magnified(noise: NDArray[np.floating], factor: int) -> Pixels:
    """Show a perturbation around mid-grey, ``factor`` times as strong."""
    return to_pixels(0.5 + factor * noise)


def heat(map_: NDArray[np.floating], scale: float, image: NDArray[np.floating]) -> Pixels:
    """Lay a signed map (H,W) over a faint grey copy of the image (C,H,W): red speaks for the class, blue against it."""
    grey = 255 - (1 - image.mean(0)) * 60 if image.mean() > 0.5 else 255 - image.mean(0) * 60
    strength = np.clip(np.abs(map_) / max(scale, 1e-12), 0, 1)[..., None]
    colour = np.where(map_[..., None] >= 0, POSITIVE, NEGATIVE)
    mixed: Pixels = np.round(grey[..., None] * (1 - strength) + colour * strength).astype(np.uint8)
    return mixed
