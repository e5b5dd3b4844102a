"""Decoding files that nobody vouches for: every kind, and every way to be broken."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lsp_core.data import images
from lsp_core.data.images import FORMATS, ImageError, decode_image, fit_image


def content(image, kind="PNG", **settings):
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def gradient(mode="RGB", size=(12, 8)):
    levels = np.linspace(0, 255, size[0] * size[1] * 3).astype(np.uint8).reshape(size[1], size[0], 3)
    return Image.fromarray(levels).convert(mode)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth, colour, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(kind):
    settings = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    image = gradient().quantize(64).convert("RGB")
    decoded = decode_image(content(image, kind, **settings))
    assert decoded.pixels.shape == (8, 12, 3)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.notes == ()
    assert np.abs(decoded.pixels.astype(int) - np.asarray(image)).max() <= (12 if kind == "JPEG" else 0)


def test_grey_stays_grey():
    decoded = decode_image(content(gradient("L")))
    assert decoded.pixels.shape == (8, 12)
    assert (decoded.pixels == np.asarray(gradient("L"))).all()


def test_one_bit_becomes_black_and_white():
    checks = Image.fromarray((np.indices((4, 6)).sum(0) % 2 * 255).astype(np.uint8)).convert("1")
    decoded = decode_image(content(checks))
    assert decoded.pixels.shape == (4, 6)
    assert sorted(np.unique(decoded.pixels)) == [0, 255]


def test_sixteen_bits_become_eight_by_scaling():
    # Pillow's own convert("L") would clip every value above 255 to white.
    deep = np.array([[0, 257, 257 * 200, 65535]], dtype=np.uint16)
    decoded = decode_image(content(Image.fromarray(deep)))
    assert decoded.pixels.tolist() == [[0, 1, 200, 255]]
    assert decoded.notes == ("Its 16 bits a pixel were scaled to 8.",)


def test_sixteen_bits_a_channel_are_read():
    rows = b"\x00" + struct.pack(">6H", 0, 257 * 100, 65535, 65535, 0, 257 * 100)
    assert decode_image(png(2, 1, 16, 2, rows)).pixels.tolist() == [[[0, 100, 255], [255, 0, 100]]]


def test_sixteen_bit_grey_with_alpha_is_read():
    rows = b"\x00" + struct.pack(">4H", 257 * 100, 65535, 0, 0)
    assert decode_image(png(2, 1, 16, 4, rows)).pixels[0].tolist() == [[100] * 3, [255] * 3]  # Pillow reads RGBA


def test_transparency_is_laid_on_white():
    image = Image.new("RGBA", (3, 1))
    image.putdata([(10, 20, 30, 255), (10, 20, 30, 0), (0, 0, 0, 51)])
    decoded = decode_image(content(image))
    assert decoded.pixels.tolist() == [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]
    assert decoded.notes == ("Its transparent parts were laid on white.",)


def test_grey_with_transparency_stays_grey():
    image = Image.new("LA", (2, 1))
    image.putdata([(100, 255), (100, 0)])
    assert decode_image(content(image)).pixels.tolist() == [[100, 255]]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_with_transparency_is_laid_on_white(kind):
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putdata([0, 1])
    decoded = decode_image(content(image, kind, transparency=1))
    assert decoded.pixels.tolist() == [[[200, 0, 0], [255, 255, 255]]]
    assert "laid on white" in decoded.notes[0]


def test_one_bit_with_transparency_is_laid_on_white():
    image = Image.new("1", (2, 1), 1)
    image.putpixel((0, 0), 0)
    assert decode_image(content(image, transparency=0)).pixels.tolist() == [[255, 255]]


def test_cmyk_becomes_rgb():
    decoded = decode_image(content(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", quality=100))
    assert decoded.pixels.shape == (4, 4, 3)
    assert np.abs(decoded.pixels[0, 0].astype(int) - [255, 0, 0]).max() < 6
    assert decoded.notes == ("Its CMYK colours were converted to RGB.",)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_counts(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    settings = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode_image(content(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **settings))
    assert decoded.pixels[0, 0].tolist() == [255, 0, 0]
    assert "It is an animation: its first frame is used." in decoded.notes


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(orientation):
    # A bright upper left corner, stored as a camera held in each of eight ways would store it.
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :8] = 255
    undo = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.T, 6: lambda a: np.rot90(a), 7: lambda a: a[::-1, ::-1].T, 8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo[orientation](upright)))
    decoded = decode_image(content(stored, "JPEG", exif=exif, quality=95))
    assert decoded.pixels.shape == (16, 32)
    assert (decoded.pixels > 127).tolist() == (upright > 127).tolist()
    assert bool(decoded.notes) == (orientation != 1)


# --- What is refused ---


def refused(data):
    with pytest.raises(ImageError) as caught:
        decode_image(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("data", [b"", b"hello", b"%PDF-1.7", b"<svg/>", bytes(1000), b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(data):
    assert refused(data).startswith(("The file is no image", "The image is damaged"))


def test_formats_outside_the_list_are_refused():
    # Each further decoder is further attack surface.
    for kind in ("TIFF", "PPM", "ICO"):
        assert "PNG, JPEG, WEBP, BMP, GIF" in refused(content(gradient(size=(16, 16)), kind))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_files_are_refused(kind, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    whole = content(noise, kind)
    assert refused(whole[: int(len(whole) * share)])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_of_a_hundred_megapixels_is_refused_before_it_unfolds(monkeypatch):
    bomb = content(Image.new("1", (10_000, 10_000)))
    assert len(bomb) < 100_000
    monkeypatch.setattr(images, "_decode", lambda image: pytest.fail("the bomb was unfolded"))
    assert refused(bomb) == "The image has 100 megapixels; the limit is 24."


def test_a_header_that_claims_gigapixels_is_refused():
    assert "megapixels" in refused(png(60_000, 60_000, 8, 2, b""))


def test_the_pixel_limit_is_exact(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 96)
    assert decode_image(content(gradient(size=(12, 8)))).pixels.shape == (8, 12, 3)
    assert "megapixels" in refused(content(gradient(size=(97, 1))))


def test_too_many_bytes_are_refused(monkeypatch):
    data = content(gradient())
    monkeypatch.setattr(images, "MAX_BYTES", len(data))
    decode_image(data)
    monkeypatch.setattr(images, "MAX_BYTES", len(data) - 1)
    assert "limit is" in refused(data)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_bytes_give_an_image_or_an_error_and_nothing_else(kind):
    generator, exif = np.random.default_rng(0), Image.Exif()
    exif[0x0112] = 6
    settings = {"exif": exif} if kind in ("JPEG", "WEBP", "PNG") else {}
    whole = np.frombuffer(content(gradient(size=(24, 24)), kind, **settings), np.uint8)
    outcomes = set()
    for _ in range(150):
        damaged = whole.copy()
        places = generator.integers(0, min(len(whole), 300), 6)
        damaged[places] = generator.integers(0, 256, 6)
        try:
            outcomes.add(decode_image(damaged.tobytes()).pixels.dtype)
        except ImageError:
            outcomes.add("refused")
    assert "refused" in outcomes


# --- Fitting ---


@pytest.mark.parametrize("shape", [(8, 8), (20, 10), (9, 31), (1, 50), (8, 8, 3), (100, 70, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_fit_gives_the_asked_shape(shape, channels):
    fitted = fit_image(np.full(shape, 77, np.uint8), channels, 16)
    assert fitted.shape == (channels, 16, 16)
    assert fitted.dtype == np.uint8
    assert (fitted == 77).all()


def test_fit_leaves_an_image_of_the_right_size_alone():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert (fit_image(pixels, 3, 16) == pixels.transpose(2, 0, 1)).all()


def test_fit_crops_the_centre():
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 4:8] = 200
    assert (fit_image(wide, 1, 4) == 200).all()


def test_fit_averages_when_it_shrinks():
    checks = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.abs(fit_image(checks, 1, 16).astype(int) - 128).max() <= 1
