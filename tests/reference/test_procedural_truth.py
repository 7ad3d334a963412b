"""Event times hold to within 1 ms after encoding and decoding, in every format that is written."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from foley.datasets.procedural.config import VARIABLE_RATE
from foley.datasets.procedural.encode import FileFormat, draw_format, write_film
from foley.datasets.procedural.film import frame_ticks
from foley.media.audio import read_audio
from foley.media.video import read_frames

DURATION_S = 3.127
EVENTS_S = (0.0004, 0.2501, 0.7777, 1.5083, 2.2222, 2.9)
RATES = ("15", "24", "25", "30000/1001", "30", "50", VARIABLE_RATE)
STORES = [("mp4", "aac"), ("mov", "aac"), ("mkv", "aac"), ("mov", "pcm_s16le"), ("mkv", "pcm_s16le")]


def template(rate_hz: int) -> np.ndarray:
    t = np.arange(round(0.03 * rate_hz)) / rate_hz
    return np.exp(-t * 250) * np.sin(2 * np.pi * 1800 * t + 1.0)


def written(path: Path, layout: FileFormat, seed: int = 0) -> np.ndarray:
    """Write clicks, and pictures that are white once an event has happened in the frame's time."""
    rng = np.random.default_rng(seed)
    ticks = frame_ticks(DURATION_S, layout.rate, layout.tick, rng)
    times = ticks * float(layout.tick)
    sound = np.zeros((round(DURATION_S * 48_000), layout.n_channels), np.float32)
    for event_s in EVENTS_S:
        # The click is made at its exact time, between samples too.
        start = int(np.ceil(event_s * 48_000))
        t = np.arange(start, start + 1500) / 48_000 - event_s
        sound[start : start + 1500] += (0.7 * np.exp(-t * 250) * np.sin(2 * np.pi * 1800 * t + 1.0))[:, None]
    counts = np.searchsorted(EVENTS_S, times, side="right")

    def frames():
        for t_s, count in zip(times, counts, strict=True):
            picture = np.full((96, 128, 3), 30 + 30 * count, np.uint8)
            picture[:8] = rng.integers(0, 255, (8, 128, 3))
            yield float(t_s), picture

    write_film(path, frames(), ticks, (128, 96), sound, layout)
    return times


@pytest.mark.parametrize("preset", ["ultrafast", "superfast"])
@pytest.mark.parametrize("sample_rate_hz", [44_100, 48_000])
@pytest.mark.parametrize(("container", "codec"), STORES)
def test_sound_is_where_the_truth_says(tmp_path, container, codec, sample_rate_hz, preset):
    layout = FileFormat(container, codec, "25", 24, preset, sample_rate_hz, 2, 192_000)
    path = tmp_path / f"x.{container}"
    written(path, layout)
    wave = read_audio(path, 48_000)
    shape = template(48_000)
    for event_s in EVENTS_S:
        lags = np.arange(-240, 241)
        at = round(event_s * 48_000)
        padded = np.pad(wave, (1000, 4000))
        scores = [float(padded[1000 + at + lag : 1000 + at + lag + shape.size] @ shape) for lag in lags]
        assert abs(lags[int(np.argmax(scores))]) <= 0.001 * 48_000


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_pictures_are_shown_when_they_were_taken(tmp_path, container, rate):
    codec = "aac" if container == "mp4" else "pcm_s16le"
    layout = FileFormat(container, codec, rate, 24, "superfast", 48_000, 1, 96_000)
    path = tmp_path / f"x.{container}"
    times = written(path, layout, seed=4)
    frames, times_s = read_frames(path)
    assert np.abs(times_s - times).max() < 1e-5
    # The step of brightness lies in the first picture taken after each event.
    seen = np.round((frames[:, 40:, :].mean(axis=(1, 2, 3)) - 30) / 30)
    assert np.array_equal(seen, np.searchsorted(EVENTS_S, times, side="right"))


def test_sound_and_picture_share_one_clock(tmp_path):
    for k, (container, codec) in enumerate(STORES):
        layout = FileFormat(container, codec, "24", 26, "superfast", 44_100, 1, 96_000)
        path = tmp_path / f"{k}.{container}"
        written(path, layout)
        with av.open(str(path)) as film:
            assert min(film.streams.video[0].start_time, 0) == 0
            length_s = float(film.duration / av.time_base)
        assert length_s == pytest.approx(DURATION_S, abs=0.045)
        assert read_audio(path, 48_000).size >= DURATION_S * 48_000 - 48


def test_random_formats_cover_the_space():
    formats = [draw_format(np.random.default_rng(seed), "25") for seed in range(200)]
    assert {(f.container, f.audio_codec) for f in formats} == set(STORES)
    assert {f.sample_rate_hz for f in formats} == {44_100, 48_000}
    assert {f.n_channels for f in formats} == {1, 2}
    assert min(f.crf for f in formats) <= 19
    assert max(f.crf for f in formats) >= 31
    assert formats[0].tick == Fraction(1, 25_000) or formats[0].container == "mkv"
