"""Arrays to pictures, and what the player gets."""

import base64
import io
import json
import math

import numpy as np
import pytest
from PIL import Image
from samples import make_job, make_trace

from app.figures import pictures
from app.panels.player import MOST_FRAMES, player_data
from lsp_core.attacks import PGD


def decode(uri):
    head, body = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (8, 8, 3)])
def test_png_round_trip_is_exact(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    back = decode(pictures.data_uri(pixels))
    expected = pixels[0] if shape[0] == 1 else pixels.transpose(1, 2, 0) if shape[0] == 3 else pixels
    assert np.array_equal(back, expected)


def test_every_grey_level_survives_float_and_back():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert np.array_equal(pictures.to_pixels(levels.astype(np.float32) / 255), levels)


def test_to_pixels_clips():
    assert pictures.to_pixels(np.array([-0.2, 1.7])).tolist() == [0, 255]


@pytest.mark.parametrize(("eps", "factor"), [(8 / 255, 15), (0.1, 5), (0.5, 1), (0.9, 1), (0.0, 1), (1 / 255, 127)])
def test_noise_is_magnified_until_it_fills_the_scale(eps, factor):
    assert pictures.noise_factor(eps) == factor


def test_magnified_noise_stands_around_mid_grey():
    shown = pictures.magnified(np.array([[-0.1, 0.0, 0.1]]), 5)
    assert shown.tolist() == [[0, 128, 255]]


def test_heat_is_red_for_the_class_and_blue_against_it():
    map_ = np.array([[1.0, -1.0, 0.0]])
    shown = pictures.heat(map_, 1.0, np.zeros((1, 1, 3)))
    red, blue, none = shown[0].astype(int)
    assert red.tolist() == [178, 24, 43]
    assert blue.tolist() == [33, 102, 172]
    assert none.tolist() == [255, 255, 255]


def test_a_zero_map_shows_the_faint_image_and_does_not_divide():
    image = np.linspace(0, 1, 16).reshape(1, 4, 4)
    shown = pictures.heat(np.zeros((4, 4)), 0.0, image)
    assert shown.shape == (4, 4, 3)
    assert (shown[..., 0] == shown[..., 2]).all()
    assert shown.min() >= 190


def test_both_models_maps_share_a_scale():
    weak, strong = np.full((1, 1), 0.1), np.full((1, 1), 1.0)
    image = np.zeros((1, 1, 1))
    assert pictures.heat(weak, 1.0, image)[0, 0, 2] > pictures.heat(strong, 1.0, image)[0, 0, 2]


# What the player gets


def test_player_data_holds_a_picture_for_every_step_and_the_fooling_one():
    fooled = make_trace([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.2, 0.0, 0.8]])
    holds = make_trace([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    data = player_data(make_job([fooled, holds]))
    first, second = data["lanes"]
    assert [lane["name"] for lane in data["lanes"]] == ["Baseline", "LSP"]
    assert first["title"] == "toy-cnn-standard"
    assert (first["fooledAt"], second["fooledAt"]) == (1, None)
    assert [len(first[key]) for key in ("frames", "noise", "probabilities")] == [3, 3, 3]
    assert first["rows"] == [0, 2, 1]  # its own class first, then the likeliest at any step
    assert (data["factor"], data["steps"], data["running"]) == (5, 2, False)
    assert max(max(row) for row in second["probabilities"]) < 1  # the browser writes 100 % for nothing less than 1
    json.dumps(data)


def test_player_shows_exactly_what_was_attacked():
    trace = make_trace([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])
    data = player_data(make_job([trace, None]))
    assert len(data["lanes"]) == 1  # the other model has not begun
    for frame, image in zip(data["lanes"][0]["frames"], trace.images, strict=True):
        assert np.array_equal(decode(frame), pictures.to_pixels(image.numpy())[0])
    assert np.array_equal(decode(data["clean"]), np.zeros((4, 4)))


def test_a_running_job_sends_one_picture_a_lane():
    trace = make_trace([[0.7, 0.2, 0.1]] * 4)
    data = player_data(make_job([trace, trace], state="running"))
    frames = data["lanes"][0]["frames"]
    assert (len(frames), data["lanes"][0]["steps"]) == (1, [3])
    assert np.array_equal(decode(frames[0]), pictures.to_pixels(trace.images[3].numpy())[0])


def test_of_a_long_attack_a_part_is_drawn_and_every_turn():
    """Steps 501 and 502 lie between those that are drawn anyway."""
    steps = [[0.7, 0.2, 0.1]] * 1000
    steps[501] = [0.2, 0.7, 0.1]
    data = player_data(make_job([make_trace(steps), make_trace(steps[:10])]))
    first, second = data["lanes"]
    assert {0, 501, 502, 999} <= set(first["steps"])
    assert MOST_FRAMES <= len(first["steps"]) == len(first["frames"]) <= MOST_FRAMES + 12
    assert second["steps"][-1] == 9
    assert data["steps"] == 999
    assert first["probabilities"][first["steps"].index(501)] == [0.2, 0.7, 0.1]


def test_the_curves_are_what_the_words_say():
    data = player_data(make_job([make_trace([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]), None]))
    curves = data["lanes"][0]["curves"]
    assert curves["confidence"] == [0.5, 0.1]
    assert curves["margin"] == [round(math.log(2), 4), round(math.log(1 / 8), 4)]
    assert curves["loss"] == [round(math.log(2), 4), round(math.log(10), 4)]


def test_l2_noise_is_magnified_by_what_it_changed():
    trace = make_trace([[0.7, 0.2, 0.1]])  # its images differ from the clean one by up to 1
    data = player_data(make_job([trace, trace], PGD(2.0, steps=2, norm="L2")))
    assert data["factor"] == 1
