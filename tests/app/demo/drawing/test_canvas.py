"""The strokes of the canvas and the lines that scenes are built on."""

from random import Random

import pytest

from app.demo.drawing.canvas import Canvas, around, down_from, ridge, wave


def test_boxes_and_discs_land_where_they_should() -> None:
    canvas = Canvas(100)
    canvas.box(0.5, 0.0, 1.0, 0.5, colour=(255, 0, 0))
    canvas.disc((0.25, 0.75), 0.1, (0, 255, 0))
    canvas.box(0.9, 0.9, 0.9, 0.95, colour=(255, 255, 255))
    assert canvas.image.getpixel((75, 25)) == (255, 0, 0)
    assert canvas.image.getpixel((25, 75)) == (0, 255, 0)
    assert canvas.image.getpixel((25, 60)) == (0, 0, 0)
    assert canvas.image.getpixel((90, 92)) == (0, 0, 0)


def test_opacity_blends() -> None:
    canvas = Canvas(10)
    canvas.box(0, 0, 1, 1, colour=(200, 100, 0))
    canvas.box(0, 0, 1, 1, colour=(0, 0, 200, 51))
    # 51 of 255 is a fifth: 0.8 * 200, 0.8 * 100, 0.2 * 200.
    assert canvas.image.getpixel((5, 5)) == pytest.approx((160, 80, 40), abs=1)


def test_gradient_runs_from_top_to_bottom_of_its_rows() -> None:
    canvas = Canvas(100)
    canvas.gradient((0, 0, 0), (200, 100, 50), 0.5, 1.0)
    assert canvas.image.getpixel((3, 20)) == (0, 0, 0)
    assert canvas.image.getpixel((3, 75)) == pytest.approx((100, 50, 25), abs=3)
    assert canvas.image.getpixel((3, 99)) == pytest.approx((200, 100, 50), abs=3)


def test_ridge_spans_the_width_within_its_reach() -> None:
    line = ridge(Random(1), 0.5, 0.1, 16)
    assert len(line) == 17
    assert (line[0], line[-1]) == ((0.0, 0.5), (1.0, 0.5))
    # The spread halves at each of the levels: 0.1 + 0.05 + 0.025 + 0.0125.
    assert max(abs(y - 0.5) for _, y in line) <= 0.1875


def test_wave_and_its_shape() -> None:
    line = wave(0.5, 0.1, cycles=1, phase=0)
    assert line[8] == pytest.approx((0.25, 0.6))
    assert down_from(line)[-2:] == [(1.0, 1.0), (0.0, 1.0)]


def test_around_is_a_circle() -> None:
    assert around((0.5, 0.5), 0.2, 4)[1] == pytest.approx((0.5, 0.7))
