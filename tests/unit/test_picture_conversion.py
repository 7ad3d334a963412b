"""Decoded pictures of a size: true colours, whatever the pixel format."""

import av
import cv2
import numpy as np
import pytest

from foley.media.video import ShownPicture
from tests.films import make_film


def scene(height=180, width=320):
    """Smooth colours with a few hard edges, RGB."""
    rng = np.random.default_rng(3)
    soft = cv2.resize(rng.integers(30, 225, (5, 7, 3), dtype=np.uint8), (width, height))
    soft[40:90, 60:140] = (200, 40, 60)
    return soft


def converted(picture, pixel_format, size_px):
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
    return ShownPicture(0.0, frame).rgb(size_px)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le", "rgb24", "bgra", "nv12"])
@pytest.mark.parametrize("size_px", [32, 96])
def test_a_picture_keeps_its_colours_when_it_is_resized(pixel_format, size_px):
    expected = cv2.resize(scene().astype(np.float32), (size_px, size_px), interpolation=cv2.INTER_AREA)
    found = converted(scene(), pixel_format, size_px)
    assert found.dtype == np.uint8
    assert found.shape == (size_px, size_px, 3)
    assert found.flags.c_contiguous
    difference = found.astype(np.float32) - expected
    assert np.abs(difference).mean() < 1.5
    assert np.abs(difference.mean(axis=(0, 1))).max() < 0.7, "a channel is brighter or darker than it was"


def test_enlarging_is_smooth():
    small = scene(40, 60)
    found = converted(small, "yuv444p", 128).astype(np.int16)
    assert len(np.unique(found[:, 64, 0])) > 20, "pixels were repeated, not interpolated"
    expected = cv2.resize(small, (128, 128), interpolation=cv2.INTER_LINEAR)
    assert np.abs(found - expected).mean() < 3


def test_a_grey_picture_stays_grey():
    grey = np.repeat(scene()[..., :1], 3, axis=2)
    found = converted(grey, "yuv420p", 64).astype(np.int16)
    assert np.abs(found[..., 0] - found[..., 1]).max() <= 1
    assert np.abs(found[..., 2] - found[..., 1]).max() <= 1


def test_two_decodings_are_equal_to_the_bit(tmp_path):
    from foley.media.video import read_frames

    film = make_film(tmp_path / "film.mp4", [k / 25 for k in range(10)])
    first, _ = read_frames(film, size_px=32)
    again, _ = read_frames(film, size_px=32)
    np.testing.assert_array_equal(first, again)
