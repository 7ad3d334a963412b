"""Cutting, break and thunder: what is special about their strokes, shards and flashes."""

import numpy as np
import pytest

from foley.datasets.procedural.canvas import Canvas
from foley.datasets.procedural.classes import break_, cutting, thunder
from tests.staging import ASPECT, CAMERA, HEIGHT_PX, perform


def test_thunder_covers_every_pixel() -> None:
    performance = perform(thunder, 2)
    shape = (HEIGHT_PX, round(HEIGHT_PX * ASPECT), 3)
    dark, bright = np.zeros(shape, dtype=np.uint8), np.full(shape, 255, dtype=np.uint8)
    for image in (dark, bright):
        performance.draw(Canvas(image, CAMERA), 0.05)
    assert np.abs(dark.astype(int) - bright).max() <= 2


def test_a_break_is_louder_than_the_landings_that_follow_it() -> None:
    for seed in range(6):
        events = perform(break_, seed, bool(seed % 2)).events
        assert events[0].kind == "break"
        last_break = 0.0
        for event in events:
            if event.kind == "break":
                last_break = event.force
            else:
                assert event.force < last_break


def test_cutting_has_strokes_that_miss_and_make_no_event() -> None:
    strokes = cutting._plan(np.random.default_rng(2), 8.0, (0.24, 0.36))
    assert 0 < strokes.cuts.sum() < len(strokes.times)
    for time_s, cut in zip(strokes.times, strokes.cuts, strict=True):
        height = cutting._height(strokes, time_s, 0.3, 0.2)
        assert height == pytest.approx(0.0 if cut else 0.2, abs=1e-9)
        assert cutting._height(strokes, time_s - 0.08, 0.3, 0.2) > height
