"""The shift metric: what follows the picture, what stays, and what has no sound; and how it is made."""

import numpy as np
import pytest
import torch

from foley.metrics.base import Item
from foley.metrics.shift import NOT_MADE, Config, score
from foley.models.base import Batch
from foley.synthesis.shifting import shifted

RATE = 16_000


def clicks(times_s: list[float], duration_s: float = 3.0) -> np.ndarray:
    sound = np.zeros(round(duration_s * RATE), dtype=np.float32)
    ring = np.exp(-np.arange(800) / 120) * np.sin(np.arange(800) * 1.3)
    for time_s in times_s:
        start = round(time_s * RATE)
        piece = sound[start : start + 800]
        piece += ring[: len(piece)].astype(np.float32)
    return sound


def item(number: int, first: np.ndarray, second: np.ndarray | None, label: str = "clock") -> Item:
    return Item(
        clip_id=f"clip{number}",
        label=label,
        split="test",
        recording_id=f"film{number}",
        sample_rate_hz=RATE,
        load_generated=lambda: first,
        load_shifted=None if second is None else lambda: second,
        shifted_by_s=0.5,
    )


TIMES = ([0.3, 1.1, 1.9], [0.62, 1.75, 2.4], [0.2, 0.9, 1.6])
CONFIG = Config(n_resamples=200)


def scored(second) -> dict[str, float | None]:
    items = [item(number, clicks(times), second(times)) for number, times in enumerate(TIMES)]
    return {path: one.value for path, one in score(items, CONFIG, 0).walk()}


def test_a_sound_that_moves_with_the_picture():
    found = scored(lambda times: clicks([time + 0.5 for time in times]))
    assert found[""] == 1.0
    assert found["follows"] == 1.0
    assert found["stays"] == 0.0
    assert found["envelope"] > 0.9
    assert found["onsets"] == 9
    assert found["class/clock/follows"] == 1.0


def test_a_sound_that_does_not_look():
    found = scored(clicks)
    assert found["stays"] == 1.0
    assert found["follows"] == 0.0
    assert found[""] == -1.0
    assert found["envelope"] < -0.9


def test_hits_everywhere_are_worth_nothing():
    dense = clicks([0.1 * step for step in range(1, 29)])
    items = [item(number, dense, dense) for number in range(3)]
    found = score(items, CONFIG, 0)
    assert found.value == pytest.approx(0.0, abs=0.05)
    assert found.parts["follows"].value > 0.9
    assert found.parts["stays"].value > 0.9


def test_counts_of_one_clip_give_the_value():
    # First sound 0.3, 1.1, 1.9; moved 0.8, 1.6, 2.4. Second: one follows, one stays, one is new.
    items = [item(0, clicks(TIMES[0]), clicks([0.8, 1.1, 2.7])), item(1, clicks(TIMES[0]), clicks([]))]
    found = score(items, CONFIG, 0)
    assert found.parts["follows"].value == pytest.approx(2 * 1 / (3 + 6))
    assert found.parts["stays"].value == pytest.approx(2 * 1 / (3 + 4))
    assert found.value == pytest.approx(2 / 9 - 2 / 7)
    assert found.n == 2


def test_intervals_hold_the_value_and_repeat_themselves():
    rng = np.random.default_rng(0)
    items = [
        item(number, clicks(list(times)), clicks([t + (0.5 if rng.random() < 0.6 else 0.0) for t in times]))
        for number in range(8)
        for times in [np.sort(rng.uniform(0.1, 2.2, 3))]
    ]
    found, again = score(items, CONFIG, 0), score(items, CONFIG, 0)
    assert found == again
    for one in (found, found.parts["follows"], found.parts["envelope"]):
        assert one.ci_low <= one.value <= one.ci_high
        assert one.ci_high > one.ci_low


def test_silence_has_no_answer():
    silent = np.zeros(3 * RATE, dtype=np.float32)
    found = score([item(0, silent, silent)], CONFIG, 0)
    assert found.value is None
    assert found.note == "no onsets"
    assert found.parts["envelope"].value == 0.0


def test_an_experiment_without_second_sounds_says_so():
    found = score([item(0, clicks([1.0]), None)], CONFIG, 0)
    assert found.value is None
    assert found.note == NOT_MADE


def test_pictures_are_held_and_then_come_later():
    first, second = torch.arange(8.0).view(1, 8, 1), torch.arange(4.0).view(1, 4, 1)
    moved = shifted(Batch((first, second), torch.zeros(1)), (8.0, 4.0), 0.5)
    assert moved.visual[0][0, :, 0].tolist() == [0, 0, 0, 0, 0, 1, 2, 3]
    assert moved.visual[1][0, :, 0].tolist() == [0, 0, 0, 1]
    longer = shifted(Batch((first,), torch.zeros(1)), (8.0,), 5.0)
    assert longer.visual[0][0, :, 0].tolist() == [0] * 8
