"""High dynamic range becomes the standard one, and grey pictures are read without going through colour."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from foley.media.colour import to_standard_range
from foley.media.ffmpeg import ffmpeg_binary, probe
from foley.media.video import iterate_frames, iterate_pictures, read_frames
from tests.films import make_film

PQ_OF_NITS = {0.0: 0.0, 20.3: 0.3581, 101.5: 0.5097, 203.0: 0.5807, 1000.0: 0.7518}
"""Signals that SMPTE ST 2084 gives these levels of light."""


def grey(signal: float) -> NDArray[np.uint16]:
    return np.full((2, 3, 3), round(signal * 65_535), np.uint16)


@pytest.mark.parametrize(("nits", "share"), [(0.0, 0.0), (20.3, 0.1), (101.5, 0.5)])
def test_light_below_the_knee_is_kept(nits: float, share: float) -> None:
    shown = to_standard_range(grey(PQ_OF_NITS[nits]), "pq")
    wanted = 12.92 * share if share < 0.0031 else 1.055 * share ** (1 / 2.4) - 0.055
    assert shown.shape == (2, 3, 3)
    assert shown.dtype == np.uint8
    assert np.abs(shown - 255 * wanted).max() <= 1


def test_both_curves_agree_on_paper_white_and_highlights_are_pressed() -> None:
    white = int(to_standard_range(grey(PQ_OF_NITS[203.0]), "pq")[0, 0, 0])
    assert abs(int(to_standard_range(grey(0.75), "hlg")[0, 0, 0]) - white) <= 1
    bright = int(to_standard_range(grey(PQ_OF_NITS[1000.0]), "pq")[0, 0, 0])
    assert 235 < white < bright <= 255
    ramp = np.linspace(0, 65_535, 300).astype(np.uint16).reshape(1, 100, 3).copy()
    ramp[...] = ramp[..., :1]
    assert (np.diff(to_standard_range(ramp, "hlg")[0, :, 1].astype(int)) >= 0).all()


def test_a_wide_colour_becomes_the_nearest_narrow_one() -> None:
    red = np.zeros((1, 1, 3), np.uint16)
    red[..., 0] = round(0.5 * 65_535)
    shown = to_standard_range(red, "pq")[0, 0]
    assert shown[0] > 180
    assert shown[1] == shown[2] == 0


def test_a_film_of_high_range_is_read_like_its_standard_twin(tmp_path: Path) -> None:
    def paint(index: int) -> NDArray[np.uint8]:
        return np.full((48, 64, 3), round(255 * PQ_OF_NITS[101.5]), np.uint8)

    film = make_film(
        tmp_path / "hdr.mkv", [0.0, 0.1, 0.2], paint=paint, pixel_format="yuv420p10le", transfer=16
    )
    facts = probe(film)
    assert (facts.bit_depth, facts.dynamic_range) == (10, "pq")
    frames, _ = read_frames(film)
    assert abs(float(frames.mean()) - 255 * (1.055 * 0.5 ** (1 / 2.4) - 0.055)) < 3


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_grey_pictures_agree_with_coloured_ones(tmp_path: Path, pixel_format: str) -> None:
    def paint(index: int) -> NDArray[np.uint8]:
        ramp = np.linspace(0, 255, 64)[None, :] * np.linspace(1, 0.3, 48)[:, None]
        return np.repeat(ramp.astype(np.uint8)[..., None], 3, axis=2)

    film = make_film(tmp_path / "a.mkv", [0.0, 0.1, 0.2], paint=paint, pixel_format=pixel_format)
    turned = tmp_path / "b.mp4"
    turn = ["-display_rotation", "90", "-i", str(film), "-c", "copy", str(turned)]
    subprocess.run([ffmpeg_binary(), "-v", "error", *turn], check=True)
    for path in (film, turned):
        colour = [picture.mean(axis=-1) for _, picture in iterate_frames(path, size_px=32)]
        pictures = list(iterate_pictures(path))
        assert [picture.luma(32).shape for picture in pictures] == [(32, 32)] * 3
        for picture, wanted in zip(pictures, colour, strict=True):
            assert np.abs(picture.luma(32) - wanted).mean() < 2
            assert not picture.is_damaged
