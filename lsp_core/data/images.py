"""Decode an image file that nobody vouches for, into pixels that a model may see."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MAX_BYTES = 10_000_000
MAX_PIXELS = 24_000_000
BACKGROUND = (255, 255, 255)


class ImageError(ValueError):
    """A file that is no usable image; the message is one sentence for the person who chose it."""


@dataclass(frozen=True)
class DecodedImage:
    """Pixels uint8 (H,W,3), or (H,W) where the file is grey, and a sentence for each change on the way."""

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def decode_image(content: bytes) -> DecodedImage:
    """Decode PNG, JPEG, WEBP, BMP or GIF bytes.

    Orientation follows EXIF (the rest of EXIF is dropped), transparency is laid on white, 16 bits become 8 by scaling,
    and of an animation the first frame counts.

    Raises:
        ImageError: if the bytes are too many, no image, a truncated one, or one of more than 24 megapixels.
    """
    if len(content) > MAX_BYTES:
        raise ImageError(f"The file has {len(content) / 1e6:.1f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB.")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            # The size stands in the header: refuse before a small file unfolds into gigabytes.
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(
                    f"The image has {image.width * image.height / 1e6:.0f} megapixels; "
                    f"the limit is {MAX_PIXELS / 1e6:.0f}."
                )
            return _decode(image)
    except UnidentifiedImageError:
        raise ImageError(f"The file is no image of a kind that is read here ({', '.join(FORMATS)}).") from None
    except Image.DecompressionBombError:
        raise ImageError(f"The image is too large; the limit is {MAX_PIXELS / 1e6:.0f} megapixels.") from None
    except ImageError:
        raise
    except Exception as error:  # on hostile bytes Pillow's decoders raise whatever comes, struct.error for one
        raise ImageError("The image is damaged or truncated, so it could not be decoded.") from error


def _decode(image: Image.Image) -> DecodedImage:
    notes = []
    if getattr(image, "n_frames", 1) > 1:
        image.seek(0)
        notes.append("It is an animation: its first frame is used.")
    image.load()
    if image.getexif().get(0x0112, 1) != 1:
        notes.append("It was turned upright, as its EXIF orientation says.")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        notes.append("Its 16 bits a pixel were scaled to 8.")
        deep = np.asarray(image, dtype=np.float64)
        return DecodedImage(np.clip(np.round(deep / 257), 0, 255).astype(np.uint8), tuple(notes))
    if image.mode == "CMYK":
        notes.append("Its CMYK colours were converted to RGB.")
    kept = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if "A" in image.mode or "transparency" in image.info:
        notes.append("Its transparent parts were laid on white.")
        layered = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), layered)
    return DecodedImage(np.array(image.convert(kept)), tuple(notes))


def decode_address(address: str) -> bytes:
    """Return the bytes of a data: address, as a browser writes it.

    Raises:
        ImageError: if it is none of an image, or too long.
    """
    head, _, body = address.partition(",")
    if not (head.startswith("data:image/") and head.endswith(";base64")) or len(body) > 4 * MAX_BYTES / 3 + 4:
        raise ImageError(f"What came is no image of up to {MAX_BYTES / 1e6:.0f} MB.")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise ImageError("The image is damaged or truncated, so it could not be decoded.") from None


def cut_square(
    pixels: NDArray[np.uint8], share: float = 1.0, across: float = 0.5, down: float = 0.5
) -> NDArray[np.uint8]:
    """Cut a square out of (H,W,…) pixels.

    Args:
        pixels: the whole image.
        share: the square's side, as a share of the largest that fits.
        across: where it lies, from 0 at the left end to 1 at the right.
        down: the same from the upper end to the lower.
    """
    height, width = pixels.shape[:2]
    side = max(1, round(share * min(height, width)))
    top, left = round(down * (height - side)), round(across * (width - side))
    return pixels[top : top + side, left : left + side]


def fit_image(pixels: NDArray[np.uint8], channels: int, size: int) -> NDArray[np.uint8]:
    """Crop the centre square, resize it to ``size`` and give it ``channels`` (1 or 3): uint8 (channels,size,size)."""
    image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        method = Image.Resampling.BOX if min(image.size) > size else Image.Resampling.BICUBIC
        image = ImageOps.fit(image, (size, size), method)
    array = np.array(image)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))
