"""One-to-one matching against mir_eval and against trying every matching."""

from itertools import permutations

import mir_eval
import numpy as np
import pytest

from foley.metrics.sync import match_times


def draw(seed: int, most: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Times on odd quarter milliseconds: no difference of two falls on a window of whole ones."""
    generator = np.random.default_rng(seed)
    n_events, n_onsets = generator.integers(1, most, 2)
    events = np.sort(generator.choice(1500, n_events, replace=False)) / 1000
    onsets = np.sort(generator.choice(1500, n_onsets, replace=False)) / 1000 + 0.00025
    return events, onsets


@pytest.mark.parametrize("window_s", [0.025, 0.05, 0.1])
@pytest.mark.parametrize("seed", range(30))
def test_scores_agree_with_mir_eval(seed: int, window_s: float) -> None:
    events, onsets = draw(seed)
    found = match_times(events, onsets, window_s)
    f1, precision, recall = mir_eval.onset.f_measure(events, onsets, window=window_s)
    assert found.f1 == pytest.approx(f1)
    assert found.precision == pytest.approx(precision)
    assert found.recall == pytest.approx(recall)
    assert len(found.pairs) == len(mir_eval.util.match_events(events, onsets, window_s))


@pytest.mark.parametrize("seed", range(40))
def test_matching_is_the_best_of_all(seed: int) -> None:
    events, onsets = draw(seed, most=6)
    window_s = 0.2
    best = (0, 0.0)
    short, long = sorted((events, onsets), key=len)
    for chosen in permutations(range(len(long)), len(short)):
        errors = np.abs(long[list(chosen)] - short)
        inside = errors[errors <= window_s]
        best = min(best, (-len(inside), float(inside.sum())))
    found = match_times(events, onsets, window_s)
    assert (-len(found.pairs), np.abs(found.errors_s).sum()) == (best[0], pytest.approx(best[1]))
