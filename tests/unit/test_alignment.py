"""Shares of sound that is missing, redundant or of another class: cases known beforehand."""

from dataclasses import replace

import numpy as np
import pytest

from foley.errors import StoreError
from foley.metrics import alignment
from foley.metrics.base import Item
from tests.unit.test_sync import clip, hit_times, track

CONFIG = alignment.Config(n_resamples=50)
CLASSES = ("clock", "rain")


def judged(item: Item, heard: str) -> Item:
    sure = np.array([float(name == heard) for name in CLASSES])
    return replace(item, classes=CLASSES, judgement=sure)


def shares(items: list[Item]) -> tuple[float | None, ...]:
    found = alignment.score(items, CONFIG, 0)
    return (found.value, *(found.parts[name].value for name in ("missing", "redundant", "mismatched")))


def test_a_sound_that_hits_every_event_has_nothing_amiss() -> None:
    events_s = hit_times(0)
    assert shares([judged(clip("a", events_s, track(events_s)), "clock")]) == (0, 0, 0, 0)


def test_every_fault_is_counted_as_its_own_share() -> None:
    events_s = hit_times(0)
    assert len(events_s) == 7
    fewer = judged(clip("a", events_s, track(events_s[:5])), "clock")
    assert shares([fewer]) == pytest.approx((2 / 7 / 3, 2 / 7, 0, 0))
    more = judged(clip("a", events_s[:5], track(events_s)), "clock")
    assert shares([more]) == pytest.approx((2 / 7 / 3, 0, 2 / 7, 0))
    other = judged(clip("a", events_s, track(events_s)), "rain")
    assert shares([other]) == pytest.approx((1 / 3, 0, 0, 1))


def test_silence_misses_everything_and_holds_nothing_redundant() -> None:
    silent = judged(clip("a", hit_times(0), np.zeros(44_100, dtype=np.float32)), "clock")
    assert shares([silent]) == pytest.approx((1 / 3, 1, 0, 0))


def test_where_nothing_happens_nothing_is_missing() -> None:
    still = judged(clip("a", np.zeros(0), track(hit_times(0))), "clock")
    assert shares([still]) == pytest.approx((1 / 3, 0, 1, 0))


def test_a_sound_that_is_later_than_the_window_is_missing_and_redundant() -> None:
    events_s = hit_times(0)
    late = judged(clip("a", events_s, track(events_s + 0.11)), "clock")
    assert shares([late]) == pytest.approx((2 / 3, 1, 1, 0))


def test_shares_are_means_over_clips_and_only_impacts_are_timed() -> None:
    events_s = hit_times(0)
    right = judged(clip("a", events_s, track(events_s)), "clock")
    silent = judged(clip("b", events_s, np.zeros(44_100, dtype=np.float32)), "rain")
    steady = judged(clip("c", np.zeros(0), track(events_s), label="rain"), "clock")
    found = alignment.score([right, silent, steady], CONFIG, 0)
    assert found.parts["missing"].value == pytest.approx(1 / 2)
    assert found.parts["missing/class/clock"].value == pytest.approx(1 / 2)
    assert "missing/class/rain" not in found.parts
    assert found.parts["mismatched"].value == pytest.approx(2 / 3)
    assert found.parts["mismatched/class/rain"].value == 1
    assert found.value == pytest.approx(1 / 3)
    assert found.n == 2


def test_without_impacts_only_the_kind_of_sound_is_scored() -> None:
    found = alignment.score(
        [judged(clip("c", np.zeros(0), track(hit_times(0)), label="rain"), "rain")], CONFIG, 0
    )
    assert found.value is None
    assert found.parts["mismatched"].value == 0
    assert found.parts["missing"].value is None


def test_a_run_that_was_not_judged_is_refused() -> None:
    with pytest.raises(StoreError, match="judged"):
        alignment.score([clip("a", hit_times(0), track(hit_times(0)))], CONFIG, 0)
