"""What holds for any events and onsets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foley.metrics.sync import match_times

times = st.lists(st.integers(0, 3000), max_size=12).map(lambda values: np.array(values) / 1000)
windows = st.sampled_from([0.0, 0.025, 0.05, 0.1, 0.25])


@settings(deadline=None)
@given(times, times, windows)
def test_matching_is_one_to_one_and_inside_the_window(events, onsets, window_s) -> None:
    found = match_times(events, onsets, window_s)
    assert len(set(found.pairs[:, 0])) == len(found.pairs) == len(set(found.pairs[:, 1]))
    assert (np.abs(found.errors_s) <= window_s + 1e-8).all()
    assert found.errors_s == pytest.approx(onsets[found.pairs[:, 1]] - events[found.pairs[:, 0]])
    assert found.n_missing >= 0
    assert found.n_redundant >= 0


@settings(deadline=None)
@given(times, times, windows)
def test_swapping_swaps_precision_and_recall(events, onsets, window_s) -> None:
    ours, swapped = match_times(events, onsets, window_s), match_times(onsets, events, window_s)
    assert (ours.precision, ours.recall, ours.f1) == (swapped.recall, swapped.precision, swapped.f1)
    assert np.abs(ours.errors_s).sum() == pytest.approx(np.abs(swapped.errors_s).sum())


@settings(deadline=None)
@given(times, times, windows, st.integers(-5000, 5000))
def test_a_common_shift_changes_nothing(events, onsets, window_s, shift_ms) -> None:
    ours = match_times(events, onsets, window_s)
    moved = match_times(events + shift_ms / 1000, onsets + shift_ms / 1000, window_s)
    assert (ours.n_missing, ours.n_redundant) == (moved.n_missing, moved.n_redundant)
    assert np.abs(ours.errors_s).sum() == pytest.approx(np.abs(moved.errors_s).sum(), abs=1e-6)


@settings(deadline=None)
@given(times, times)
def test_scores_are_bounded_and_grow_with_the_window(events, onsets) -> None:
    found = [match_times(events, onsets, window_s) for window_s in (0.025, 0.05, 0.1)]
    for one in found:
        for value in (one.precision, one.recall, one.f1):
            assert value is None or 0 <= value <= 1
    counts = [len(one.pairs) for one in found]
    assert counts == sorted(counts)


@settings(deadline=None)
@given(times)
def test_a_track_matches_itself(events) -> None:
    found = match_times(events, events, 0.025)
    assert found.f1 == (1.0 if len(events) else None)
    assert np.abs(found.errors_s).sum() == 0


@settings(deadline=None)
@given(times, windows)
def test_nothing_matches_nothing(events, window_s) -> None:
    found = match_times(events, np.zeros(0), window_s)
    assert found.precision is None
    assert found.recall == (0.0 if len(events) else None)
    assert found.n_missing == len(events)
