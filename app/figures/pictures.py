"""Arrays to pictures. Everything is PNG at the model's own resolution; the page enlarges it pixel by pixel."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
GREY, COLOUR = 0, 2  # PNG's colour types
POSITIVE, NEGATIVE = np.array([178, 24, 43]), np.array([33, 102, 172])  # ColorBrewer RdBu, readable by the colour-blind


def png(pixels: Pixels) -> bytes:
    """Encode uint8 (C,H,W) with one or three channels, or (H,W,3), without loss.

    By hand: pictures are small, so that a library spends most of its time on other things, and an attack may have
    hundreds. Source: the PNG specification, sections 5 and 11.
    """
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3):
        pixels = pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0)
    height, width = pixels.shape[:2]
    lines = np.zeros((height, 1 + pixels[0].size), np.uint8)  # each begins with the number of its filter, 0 for none
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">2I5B", width, height, 8, GREY if pixels.ndim == 2 else COLOUR, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind + data) for kind, data in chunks)


def _chunk(body: bytes) -> bytes:
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


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
