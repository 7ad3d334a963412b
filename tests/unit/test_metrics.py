"""Scores of class, retrieval, loudness and correlation: small cases worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from foley.errors import StoreError
from foley.features.audio import RepresentationConfig, represent, resampled
from foley.metrics import accuracy, confusion, correlation, envelope, l2, log_loss, retrieval
from foley.metrics.base import NO_CLASS_OUTPUT, Item, MetricConfig, Score
from foley.metrics.statistics import (
    class_average_score,
    item_weights,
    mean_score,
    percentile_interval,
    resample_weights,
    weighted_medians,
    wilson_interval,
)

RATE_HZ = 8000


def sure(index: int, n: int = 2, p: float = 1.0) -> np.ndarray:
    values = np.full(n, (1 - p) / (n - 1))
    values[index] = p
    return values


def item(name: str, label: str, split: str = "test", guess: int | None = None, **facts: object) -> Item:
    probabilities = None if guess is None else sure(guess)
    return Item(name, label, split, classes=("a", "b"), probabilities=probabilities, **facts)


def sounding(name: str, generated: np.ndarray, recorded: np.ndarray, label: str = "a") -> Item:
    return Item(
        name,
        label,
        "test",
        sample_rate_hz=RATE_HZ,
        load_generated=lambda: generated.astype(np.float32),
        load_recorded=lambda: recorded.astype(np.float32),
    )


def test_accuracy_counts_splits_and_classes_apart() -> None:
    items = [
        item("1", "a", guess=0),
        item("2", "a", guess=1),
        item("3", "a", guess=1),
        item("4", "b", guess=1),
        item("5", "a", "train", guess=0),
    ]
    found = accuracy.score(items, MetricConfig(), 0)
    assert (found.value, found.n) == (0.5, 4)
    test = found.parts["test"]
    assert test.parts["class/a"].value == pytest.approx(1 / 3)
    assert test.parts["class/b"].value == 1
    assert test.parts["class_average"].value == pytest.approx(2 / 3)
    assert (found.parts["train"].value, found.parts["train"].n) == (1, 1)
    assert found.ci_low is not None
    assert found.ci_low < 0.5 < found.ci_high


@pytest.mark.parametrize("metric", [accuracy, log_loss, confusion])
def test_a_system_without_classes_says_so(metric: object) -> None:
    found = metric.score([item("1", "a"), item("2", "b")], metric.Config(), 0)
    assert found.value is None
    assert found.note == NO_CLASS_OUTPUT


def test_one_clip_without_probabilities_is_an_error() -> None:
    with pytest.raises(StoreError, match=r"1 of 2 clips have no probabilities, first 2"):
        accuracy.score([item("1", "a", guess=0), item("2", "b")], MetricConfig(), 0)


def test_probabilities_must_be_a_distribution() -> None:
    broken = Item("1", "a", "test", classes=("a", "b"), probabilities=np.array([0.9, 0.9]))
    with pytest.raises(StoreError, match="not a distribution"):
        accuracy.score([broken], MetricConfig(), 0)


def test_an_unknown_label_is_an_error() -> None:
    with pytest.raises(StoreError, match="label 'c' is not one of a, b"):
        accuracy.score([item("1", "c", guess=0)], MetricConfig(), 0)


def test_log_loss_reports_train_and_test() -> None:
    def one(name: str, split: str, p: float) -> Item:
        return Item(name, "a", split, classes=("a", "b"), probabilities=sure(0, p=p))

    found = log_loss.score(
        [one("1", "test", 0.5), one("2", "test", 0.25), one("3", "train", 1.0)], log_loss.Config(), 0
    )
    assert found.value == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert found.parts["train"].value == 0
    assert found.parts["test"].parts["class/a"].n == 2


def test_log_loss_of_a_certain_error_is_finite() -> None:
    found = log_loss.score([item("1", "b", guess=0)], log_loss.Config(floor=1e-3), 0)
    assert found.value == pytest.approx(-np.log(1e-3))


def test_confusion_rows_are_shares_of_the_true_class() -> None:
    items = [item("1", "a", guess=0), item("2", "a", guess=1), item("3", "b", guess=1)]
    found = confusion.score(items, MetricConfig(), 0)
    assert found.data == {"classes": ["a", "b"], "counts": [[1, 1], [0, 1]]}
    assert found.value == pytest.approx(0.75)
    assert found.parts["a/b"].value == 0.5
    assert found.parts["b/a"].value == 0


def test_retrieval_judges_test_clips_only() -> None:
    items = [
        item("1", "a", judgement=sure(0)),
        item("2", "a", judgement=sure(1)),
        item("3", "b", judgement=sure(1)),
        item("4", "b", "train"),
    ]
    found = retrieval.score(items, MetricConfig(), 0)
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    assert found.parts["class_average"].value == pytest.approx(0.75)


def test_retrieval_needs_every_test_clip_judged() -> None:
    with pytest.raises(StoreError, match="no judgement, first 2"):
        retrieval.score([item("1", "a", judgement=sure(0)), item("2", "a")], MetricConfig(), 0)


def test_envelope_distance_of_steady_tones() -> None:
    recorded = np.full(RATE_HZ, 0.5)
    same = envelope.score([sounding("1", recorded, recorded)], envelope.Config(), 0)
    assert same.value == 0
    half = envelope.score([sounding("1", recorded / 2, recorded)], envelope.Config(), 0)
    assert half.value == pytest.approx(0.25, rel=0.02)
    assert half.parts["level_matched"].value == pytest.approx(0, abs=1e-7)


def test_envelope_of_silence_is_the_recorded_level() -> None:
    recorded = np.full(RATE_HZ, 0.5)
    found = envelope.score([sounding("1", np.zeros(RATE_HZ), recorded)], envelope.Config(), 0)
    assert found.value == pytest.approx(0.5, rel=0.02)


MEL = RepresentationConfig(kind="mel", sample_rate_hz=8000, duration_s=1, n_frames=20, highest_hz=3600)


def drawn(name: str, off_by: float, label: str, *, louder: float = 1.0, rate_hz: int = 8000) -> Item:
    """A clip whose spectrogram is off by a number everywhere, and whose sound is too loud."""
    sound = np.random.default_rng(int(name)).normal(0, 0.05, 8000).astype(np.float32)
    item = sounding(name, resampled(louder * sound, 8000, rate_hz), resampled(sound, 8000, rate_hz), label)
    return replace(
        item,
        sample_rate_hz=rate_hz,
        recording_id=name,
        representation=MEL.model_dump(),
        load_spectrogram=lambda: represent(sound, MEL) + np.float32(off_by),
    )


def test_l2_is_the_mean_squared_difference_by_class() -> None:
    items = [drawn("1", 0.1, "a"), drawn("2", -0.3, "a"), drawn("3", 0.2, "b")]
    found = l2.score(items, l2.Config(), 0)
    assert found.value == pytest.approx((0.01 + 0.09 + 0.04) / 3, rel=1e-4)
    assert found.parts["class/a"].value == pytest.approx(0.05, rel=1e-4)
    assert found.parts["class/b"].value == pytest.approx(0.04, rel=1e-4)
    assert found.ci_low < found.value < found.ci_high
    assert found.parts["sound"].value == 0


def test_l2_of_the_sound_that_was_made_holds_what_the_vocoder_adds() -> None:
    found = l2.score([drawn("1", 0.0, "a", louder=10 ** (6 / 20))], l2.Config(), 0)
    assert found.value == 0
    # 6 dB of the mel's 100, squared, where it is neither silent nor at its top.
    assert found.parts["sound"].value == pytest.approx(0.06**2, rel=0.02)
    assert found.parts["sound"].parts["class/a"].value == found.parts["sound"].value


def test_l2_hears_a_clip_of_another_rate() -> None:
    found = l2.score([drawn("1", 0.0, "a", rate_hz=16000)], l2.Config(), 0)
    assert found.value == pytest.approx(0, abs=1e-3)


def test_l2_of_a_system_without_spectrograms_is_not_defined() -> None:
    found = l2.score([replace(drawn("1", 0.0, "a"), load_spectrogram=None)], l2.Config(), 0)
    assert (found.value, found.note) == (None, "this system makes no spectrogram")
    assert found.parts["sound"].value == 0


def test_l2_of_spectrograms_of_unlike_shape_is_refused() -> None:
    wrong = replace(drawn("1", 0.0, "a"), load_spectrogram=lambda: np.zeros((80, 19), np.float32))
    with pytest.raises(StoreError, match=r"1: the predicted spectrogram has shape \(80, 19\)"):
        l2.score([wrong], l2.Config(), 0)
    nan = replace(wrong, load_spectrogram=lambda: np.full((80, 20), np.nan, np.float32))
    with pytest.raises(StoreError, match="spectrogram is not a finite array"):
        l2.score([nan], l2.Config(), 0)


def test_sounds_of_unlike_length_are_refused() -> None:
    with pytest.raises(StoreError, match="generated sound has 4000 samples, recorded 8000"):
        envelope.score([sounding("1", np.zeros(4000), np.zeros(8000))], envelope.Config(), 0)


def test_a_sound_with_a_nan_is_refused() -> None:
    with pytest.raises(StoreError, match="not a finite"):
        envelope.score([sounding("1", np.full(8, np.nan), np.zeros(8))], envelope.Config(), 0)


def test_correlation_forgives_a_delay_only_at_the_peak() -> None:
    click = np.zeros(RATE_HZ)
    click[1000:1100] = 0.5
    found = correlation.readings(np.roll(click, 2000), click, RATE_HZ, correlation.Config())
    assert found["waveform_peak"] == pytest.approx(1)
    assert found["waveform_lag0"] == pytest.approx(0, abs=1e-9)
    assert found["envelope_peak"] == pytest.approx(1)
    assert found["envelope_lag0"] == pytest.approx(0, abs=1e-6)


def test_the_paper_s_values_can_come_from_loudness_but_not_from_waveforms() -> None:
    """Two takes of steady rain: above 0.5, as Table I prints for rain, only as loudness curves."""
    generator = np.random.default_rng(0)
    takes = generator.standard_normal((2, 2 * RATE_HZ)) * 0.1
    found = correlation.readings(takes[0], takes[1], RATE_HZ, correlation.Config())
    assert found["envelope_peak"] > 0.9
    assert found["waveform_peak"] < 0.1


def test_correlation_averages_over_classes() -> None:
    tone = np.sin(np.arange(RATE_HZ) * 0.3)
    silent = np.zeros(RATE_HZ)
    items = [
        sounding("1", tone, tone, "a"),
        sounding("2", tone, tone, "a"),
        sounding("3", tone, tone, "a"),
        sounding("4", silent, tone, "b"),
    ]
    found = correlation.score(items, correlation.Config(), 0)
    assert found.parts["class/a"].value == pytest.approx(1)
    assert found.parts["class/b"].value == 0
    assert found.value == pytest.approx(0.5)
    assert found.parts["waveform_lag0"].value == pytest.approx(0.5)


def test_scores_survive_json() -> None:
    score = Score(0.5, 2, "ms", 0.1, 0.9, {"a/b": Score(None, 0, "ms", note="none")}, "x", {"counts": [1]})
    assert Score.from_json(score.to_json()) == score
    assert [path for path, _ in score.walk()] == ["", "a/b"]


def test_resamples_keep_recordings_together_and_classes_apart() -> None:
    clusters, strata = ["x", "x", "y", "z", "w"], ["a", "a", "a", "b", "b"]
    weights = resample_weights(clusters, strata, 200, np.random.default_rng(0))
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 1] + weights[:, 2] == 2).all()
    assert (weights[:, 3] + weights[:, 4] == 2).all()
    assert len(np.unique(weights[:, 0])) == 3


def test_one_recording_a_class_gives_no_interval() -> None:
    items = [item("1", "a", recording_id="r"), item("2", "a", recording_id="r")]
    assert len(item_weights(items, MetricConfig(), 0)) == 0
    found = mean_score(items, np.array([1.0, 2.0]), "ms", MetricConfig(), 0)
    assert (found.value, found.ci_low, found.ci_high) == (1.5, None, None)


def test_intervals_are_reproducible_and_depend_on_the_seed() -> None:
    items = [item(str(number), "a") for number in range(30)]
    values = np.arange(30.0)
    first, same, other = (mean_score(items, values, "ms", MetricConfig(), seed, "x") for seed in (0, 0, 1))
    assert first == same
    assert (first.ci_low, first.ci_high) != (other.ci_low, other.ci_high)


def test_bootstrap_covers_the_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    items = [item(str(number), "a") for number in range(40)]
    config = MetricConfig(level=0.8, n_resamples=200)
    hits = 0
    for trial in range(150):
        score = mean_score(items, generator.standard_normal(40), "x", config, 0, trial)
        hits += score.ci_low <= 0 <= score.ci_high
    assert 0.7 <= hits / 150 <= 0.9


def test_the_class_average_weighs_classes_alike() -> None:
    items = [item(str(number), label) for number, label in enumerate("aaab")]
    found = class_average_score(items, np.array([1.0, 1, 1, 0]), "x", MetricConfig(), 0)
    assert found.value == 0.5


def test_medians_of_resamples() -> None:
    groups = [np.array([5.0, 1.0]), np.zeros(0), np.array([3.0])]
    weights = np.array([[1, 1, 1], [2, 0, 0], [0, 0, 3], [0, 5, 0]])
    assert weighted_medians(groups, weights)[:3].tolist() == [3, 3, 3]
    assert np.isnan(weighted_medians(groups, weights)[3])


def test_an_interval_of_nothing_is_none() -> None:
    assert percentile_interval(np.array([np.nan]), 0.95) == (None, None)
    assert wilson_interval(0, 0) == (None, None)
    with pytest.raises(ValueError, match="n_hits"):
        wilson_interval(3, 2)
