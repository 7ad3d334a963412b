"""The sync metric sees what it must: late, missing, redundant and shuffled hits."""

import numpy as np
import pytest
from pydantic import ValidationError

from foley.metrics import sync
from foley.metrics.base import Item, Score

RATE_HZ = 44100
DURATION_S = 3.0
CONFIG = sync.Config(n_resamples=200)


def track(times_s: np.ndarray, seed: int = 0, level: float = 0.5) -> np.ndarray:
    """Sharp, quickly decaying hits at the given times."""
    generator = np.random.default_rng(seed)
    wave = np.zeros(round(DURATION_S * RATE_HZ))
    age_s = np.arange(round(0.08 * RATE_HZ)) / RATE_HZ
    for time_s in times_s:
        body = np.exp(-age_s / 0.015) * np.sin(2 * np.pi * generator.uniform(800, 3000) * age_s)
        click = np.exp(-age_s / 0.003) * generator.standard_normal(age_s.size)
        first = round(time_s * RATE_HZ)
        hit = (body + click)[: len(wave) - first]
        wave[first : first + len(hit)] += level * hit
    return wave.astype(np.float32)


def hit_times(seed: int, n: int = 7) -> np.ndarray:
    """`n` times at least 250 ms apart, so that a delay cannot move one hit onto the next."""
    generator = np.random.default_rng(seed)
    return 0.2 + np.sort(generator.choice(9, n, replace=False)) * 0.28 + generator.uniform(0, 0.03, n)


def clip(
    name: str, events_s: np.ndarray, wave: np.ndarray, label: str = "clock", recording: str = ""
) -> Item:
    return Item(
        name,
        label,
        "test",
        recording_id=recording or name,
        sample_rate_hz=RATE_HZ,
        events_s=np.asarray(events_s, dtype=np.float64),
        events_source="generated" if len(events_s) else "",
        load_generated=lambda: wave,
    )


def scored(make: object, n_clips: int = 6) -> Score:
    items = []
    for number in range(n_clips):
        events_s = hit_times(number)
        items.append(clip(f"c{number}", events_s, track(make(events_s), number)))
    return sync.score(items, CONFIG, 0)


def test_exact_hits_score_one() -> None:
    found = scored(lambda times_s: times_s)
    for window_ms in (25, 50, 100):
        for name in ("f1", "precision", "recall"):
            assert found.parts[f"{name}_{window_ms}ms"].value == 1.0
    assert abs(found.parts["median_error_ms"].value) < 3
    assert max(np.abs(found.data["errors_ms"]["clock"])) < 3
    assert found.parts["missing"].value == 0
    assert set(found.data) == {"errors_ms", "shuffled_errors_ms", "truth"}
    assert found.parts["redundant"].value == 0


def test_hits_100_ms_late_earn_nothing() -> None:
    found = scored(lambda times_s: times_s + 0.1)
    assert found.value < 0.05
    assert found.parts["f1_50ms"].value < 0.05
    assert found.parts["f1_25ms"].value < 0.05
    assert found.parts["median_error_ms"].value == pytest.approx(100, abs=3)
    assert found.parts["missing"].value == found.parts["events"].value


def test_200_ms_late_is_measured_as_late_and_200_ms_early_as_early() -> None:
    late = scored(lambda times_s: times_s + 0.2)
    assert late.parts["median_error_ms"].value == pytest.approx(200, abs=3)
    assert late.parts["f1_25ms"].value == 0
    early = scored(lambda times_s: times_s[1:] - 0.2)
    assert early.parts["median_error_ms"].value == pytest.approx(-200, abs=3)


def test_45_ms_late_counts_at_50_and_not_at_25() -> None:
    found = scored(lambda times_s: times_s + 0.045)
    assert found.parts["f1_25ms"].value == 0
    assert found.parts["f1_50ms"].value == 1
    assert found.parts["median_error_ms"].value == pytest.approx(45, abs=3)


def test_one_hit_of_seven_is_low_recall() -> None:
    found = scored(lambda times_s: times_s[:1])
    assert found.parts["recall_50ms"].value == pytest.approx(1 / 7)
    assert found.parts["recall_50ms"].value < 0.3
    assert found.parts["precision_50ms"].value == 1
    assert found.parts["f1_50ms"].value == pytest.approx(2 / 8)
    assert found.parts["missing"].value == 6 * 6


def test_redundant_hits_are_counted() -> None:
    found = scored(lambda times_s: np.sort(np.concatenate([times_s, times_s + 0.13])))
    assert found.parts["recall_50ms"].value == 1
    assert found.parts["precision_50ms"].value == 0.5
    assert found.parts["redundant"].value == 6 * 7


def test_hits_at_random_times_are_no_better_than_shuffled() -> None:
    found = scored(lambda times_s: hit_times(round(times_s[0] * 1e6)), n_clips=10)
    difference = found.parts["difference"]
    assert difference.ci_low <= 0.1
    assert difference.value < 0.3


def test_exact_hits_are_clearly_better_than_shuffled() -> None:
    found = scored(lambda times_s: times_s, n_clips=10)
    shuffled, difference = found.parts["shuffled"], found.parts["difference"]
    assert shuffled.value < 0.8
    assert shuffled.ci_high < found.ci_low
    assert difference.value == pytest.approx(found.value - shuffled.value)
    assert difference.ci_low > 0
    assert difference.parts["median_abs_error_ms"].ci_high < 0
    assert shuffled.parts["events"].value == found.parts["events"].value


def test_loudness_does_not_matter() -> None:
    events_s = hit_times(1)
    quiet = sync.score([clip("a", events_s, track(events_s) * 0.01)], CONFIG, 0)
    assert quiet.value == 1


def test_silence_misses_every_event() -> None:
    found = sync.score([clip("a", hit_times(0), np.zeros(RATE_HZ, dtype=np.float32))], CONFIG, 0)
    assert found.value == 0
    assert found.parts["recall_50ms"].value == 0
    assert found.parts["precision_50ms"].value is None
    assert found.parts["median_error_ms"].value is None
    assert found.parts["median_error_ms"].note == "no pair"
    assert found.parts["missing"].value == 7


def test_a_sound_below_the_silence_level_is_silent() -> None:
    events_s = hit_times(0)
    silent = clip("a", events_s, track(events_s) * 1e-6)
    assert sync.find_onsets(silent, CONFIG.onsets, CONFIG.silence_peak).size == 0


def test_a_clip_without_events_makes_every_onset_redundant() -> None:
    found = sync.score([clip("a", np.zeros(0), track(hit_times(0)))], CONFIG, 0)
    assert found.value == 0
    assert found.parts["recall_50ms"].value is None
    assert found.parts["redundant"].value == 7
    assert found.note == "event times: none"


def test_neither_events_nor_sound_is_not_defined() -> None:
    found = sync.score([clip("a", np.zeros(0), np.zeros(RATE_HZ, dtype=np.float32))], CONFIG, 0)
    assert found.value is None
    assert found.parts["f1_25ms"].ci_low is None


def test_only_impact_classes_count() -> None:
    rain = clip("r", hit_times(0), np.zeros(RATE_HZ, dtype=np.float32), label="rain")
    assert sync.score([rain], CONFIG, 0).value is None
    events_s = hit_times(1)
    both = sync.score([rain, clip("a", events_s, track(events_s))], CONFIG, 0)
    assert (both.value, both.n) == (1, 1)
    assert set(both.parts) >= {"class/clock"}
    assert "class/rain" not in both.parts


def test_classes_are_scored_apart() -> None:
    events_s = hit_times(1)
    items = [
        clip("a", events_s, track(events_s)),
        clip("b", events_s, track(events_s + 0.15), label="horse"),
    ]
    found = sync.score(items, CONFIG, 0)
    assert found.parts["class/clock"].value == 1
    assert found.parts["class/horse"].value == 0
    assert found.parts["class/horse"].parts["median_error_ms"].value == pytest.approx(150, abs=3)
    assert found.value == 0.5


def test_one_clip_of_a_class_has_no_control() -> None:
    found = sync.score([clip("a", hit_times(0), track(hit_times(0)))], CONFIG, 0)
    assert found.parts["shuffled"].value is None
    assert "too few recordings" in found.parts["difference"].note


def test_equal_input_gives_equal_output() -> None:
    first, second = (scored(lambda times_s: times_s[::2], 4).to_json() for _ in range(2))
    assert first == second


def test_nobody_is_shuffled_with_the_own_recording() -> None:
    silence = np.zeros(8, dtype=np.float32)
    items = [clip(f"c{n}", hit_times(n), silence, recording=f"r{n % 4 if n < 8 else n}") for n in range(11)]
    table = sync.derange(items, 20, np.random.default_rng(0))
    for row in table:
        assert sorted(row) == list(range(11))
        assert all(items[n].recording_id != items[other].recording_id for n, other in enumerate(row))
    assert len({tuple(row) for row in table}) > 10


def test_a_recording_with_most_clips_cannot_be_shuffled() -> None:
    silence = np.zeros(8, dtype=np.float32)
    items = [clip(f"c{n}", hit_times(n), silence, recording="r" if n < 3 else "s") for n in range(4)]
    assert sync.derange(items, 1, np.random.default_rng(0)) is None
    assert sync.derange([], 1, np.random.default_rng(0)) is None


def test_more_pairs_go_before_smaller_errors() -> None:
    # The nearest pair (2.0, 2.01) would leave both others alone.
    found = sync.match_times(np.array([2.0, 2.05]), np.array([1.96, 2.01]), 0.05)
    assert found.pairs.tolist() == [[0, 0], [1, 1]]
    assert found.errors_s == pytest.approx([-0.04, -0.04])


def test_of_equal_counts_the_closest_is_taken() -> None:
    found = sync.match_times(np.array([1.0]), np.array([0.97, 1.02, 1.04]), 0.05)
    assert found.pairs.tolist() == [[0, 1]]
    assert (found.n_missing, found.n_redundant) == (0, 2)


def test_the_window_is_inclusive_whatever_the_rounding() -> None:
    events_s = np.arange(1, 60) * 0.3
    assert sync.match_times(events_s, events_s + 0.05, 0.05).f1 == 1


@pytest.mark.parametrize("bad", [np.array([np.nan]), np.array([[1.0]])])
def test_times_must_be_a_finite_list(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="events_s must be a finite"):
        sync.match_times(bad, np.zeros(0), 0.05)


def test_a_negative_window_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        sync.match_times(np.zeros(1), np.zeros(1), -0.1)


@pytest.mark.parametrize(
    "settings", [{"headline_ms": 30}, {"windows_ms": ()}, {"windows_ms": (0, 50)}, {"window_ms": 50}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        sync.Config(**settings)
