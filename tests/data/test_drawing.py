"""A drawing by hand, and squares cut out of an image."""

import base64

import numpy as np
import pytest

from lsp_core.data.drawing import centre_drawing
from lsp_core.data.images import MAX_BYTES, ImageError, cut_square, decode_address


def test_a_dot_becomes_a_square_in_the_middle():
    """20 of 28 pixels, wherever and however small it was drawn; its grey becomes full white."""
    for place in ((0, 0), (30, 90), (99, 99)):
        pixels = np.zeros((100, 100), np.uint8)
        pixels[place] = 100
        found = centre_drawing(pixels, 28)
        assert found.dtype == np.uint8
        assert (found[4:24, 4:24] == 255).all()
        assert found.sum() == 255 * 400


def test_the_centre_of_mass_goes_to_the_middle_not_that_of_the_box():
    """An L of 20 by 20: a foot of 20 x 2 and a stem of 2 x 18. Its mass lies low and left, so it moves up and right."""
    pixels = np.zeros((20, 20), np.uint8)
    pixels[18:, :] = pixels[:18, :2] = 255
    found = centre_drawing(pixels, 28)
    rows, columns = (np.flatnonzero(found.any(axis)) for axis in (1, 0))
    # mass: (36 * 9 + 40 * 19) / 76 = 14.26 down, and as far from the right: 28 / 2 - 14.26 rounds to 0, 14 - 5.74 to 8
    assert (rows[0], rows[-1]) == (0, 19)
    assert (columns[0], columns[-1]) == (8, 27)


def test_small_images_are_filled_and_nothing_drawn_is_black():
    pixels = np.zeros((40, 40), np.uint8)
    pixels[5:25, 10:20] = 255
    found = centre_drawing(pixels, 8)
    assert found.any(1).all()
    assert np.flatnonzero(found.any(0)).tolist() == [2, 3, 4, 5]
    assert not centre_drawing(np.zeros((9, 9), np.uint8), 28).any()


def test_a_square_is_cut_where_it_is_said():
    pixels = np.arange(60).reshape(6, 10)
    assert cut_square(pixels).tolist() == pixels[:, 2:8].tolist()
    assert cut_square(pixels, 1.0, 0.0).tolist() == pixels[:, :6].tolist()
    assert cut_square(pixels, 0.5, 1.0, 0.0).tolist() == pixels[:3, 7:].tolist()
    assert cut_square(pixels, 0.001, 0.0, 1.0).tolist() == [[50]]


def test_a_data_address_is_bytes_and_nothing_else_is():
    assert decode_address("data:image/png;base64," + base64.b64encode(b"abc").decode()) == b"abc"
    for address in ("", "data:text/html;base64,YWJj", "http://x.example/a.png", "data:image/png,abc", "too large"):
        with pytest.raises(ImageError, match="no image of up to 10 MB"):
            decode_address(address)
    with pytest.raises(ImageError, match="damaged"):
        decode_address("data:image/png;base64,a b!")
    with pytest.raises(ImageError, match="no image of up to 10 MB"):
        decode_address("data:image/png;base64," + "A" * (4 * MAX_BYTES // 3 + 8))
