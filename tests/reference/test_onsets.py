"""Onset detector against hits whose times are known to the sample."""

import mir_eval
import numpy as np
import pytest

from foley.errors import FoleyError
from foley.features.onsets import OnsetConfig, detect_onsets

RATE_HZ = 44100


def ringing_hits(seed, *, gap_s=(0.08, 0.4), decay_s=(0.005, 0.3), snr_db=None, attack_s=0.0, n_s=3.0):
    """Struck-object sounds (six decaying modes a hit, 12 dB of level spread) and their exact times."""
    rng = np.random.default_rng(seed)
    n_samples = int(n_s * RATE_HZ)
    sound, times = np.zeros(n_samples), []
    time_s = rng.uniform(0.05, 0.25)
    while time_s < n_s - 0.05:
        first = round(time_s * RATE_HZ)
        after_s = np.arange(n_samples - first) / RATE_HZ
        hit = np.zeros(after_s.size)
        for _ in range(6):
            frequency_hz = np.exp(rng.uniform(np.log(300), np.log(7000)))
            decay = np.exp(rng.uniform(*np.log(decay_s)))
            phase = rng.uniform(0, 2 * np.pi)
            hit += (
                rng.uniform(0.2, 1)
                * np.exp(-after_s / decay)
                * np.sin(2 * np.pi * frequency_hz * after_s + phase)
            )
        if attack_s:
            hit *= np.minimum(1, after_s / attack_s)
        sound[first:] += 10 ** (-rng.uniform(0, 12) / 20) * hit
        times.append(first / RATE_HZ)
        time_s += rng.uniform(*gap_s)
    if snr_db is not None:
        sound += rng.normal(size=n_samples) * np.sqrt(np.mean(sound**2)) * 10 ** (-snr_db / 20)
    return sound, np.array(times)


def compare(truth, found, window_s=0.02):
    """Signed errors of matched onsets (s), recall, precision."""
    pairs = mir_eval.util.match_events(truth, found, window_s)
    errors = np.array([found[j] - truth[i] for i, j in pairs])
    return errors, len(pairs) / len(truth), len(pairs) / max(1, len(found))


@pytest.mark.parametrize(
    ("settings", "worst_s", "least_recall"),
    [
        ({}, 0.001, 1.0),
        ({"snr_db": 30}, 0.001, 1.0),
        ({"snr_db": 20}, 0.001, 1.0),
        ({"gap_s": (0.05, 0.12)}, 0.003, 0.98),
        ({"decay_s": (0.1, 0.6)}, 0.003, 0.98),
        ({"decay_s": (0.1, 0.6), "snr_db": 30}, 0.003, 0.90),
        ({"attack_s": 0.002, "snr_db": 30}, 0.003, 0.98),
    ],
    ids=["clean", "30dB", "20dB", "fast", "overlapping", "overlapping-30dB", "2ms-attack"],
)
def test_finds_hits_at_their_exact_times(settings, worst_s, least_recall):
    errors, recalls, precisions = [], [], []
    for seed in range(6):
        sound, truth = ringing_hits(seed, **settings)
        error, recall, precision = compare(truth, detect_onsets(sound, RATE_HZ))
        errors.append(error)
        recalls.append(recall)
        precisions.append(precision)
    assert np.abs(np.concatenate(errors)).max() < worst_s
    assert np.mean(recalls) >= least_recall
    assert np.mean(precisions) >= 0.98


@pytest.mark.parametrize("gain", [1e-4, 0.3, 30.0])
def test_level_does_not_matter(gain):
    sound, _ = ringing_hits(3, snr_db=30)
    np.testing.assert_allclose(detect_onsets(gain * sound, RATE_HZ), detect_onsets(sound, RATE_HZ))


def test_shift_moves_every_onset():
    sound, truth = ringing_hits(4)
    shifted = np.concatenate([np.zeros(4410), sound])
    np.testing.assert_allclose(detect_onsets(shifted, RATE_HZ), truth + 0.1, atol=1e-4)


@pytest.mark.parametrize("rate_hz", [16000, 22050, 48000])
def test_other_sample_rates(rate_hz):
    import soxr

    sound, truth = ringing_hits(5)
    errors, recall, _ = compare(truth, detect_onsets(soxr.resample(sound, RATE_HZ, rate_hz), rate_hz))
    assert recall >= 0.95
    assert np.abs(errors).max() < 0.003


def test_noise_bursts_give_no_false_onsets_in_their_decay():
    rng = np.random.default_rng(0)
    sound = np.zeros(3 * RATE_HZ)
    truth = np.array([0.4, 1.3, 2.1])
    for time_s in truth:
        first = round(time_s * RATE_HZ)
        rest = sound.size - first
        sound[first:] += rng.normal(size=rest) * np.exp(-np.arange(rest) / (0.15 * RATE_HZ))
    np.testing.assert_allclose(detect_onsets(sound, RATE_HZ), truth, atol=0.001)


def test_steady_sound_and_silence_have_no_onsets():
    rng = np.random.default_rng(0)
    assert detect_onsets(rng.normal(size=5 * RATE_HZ), RATE_HZ).size == 0
    assert detect_onsets(np.sin(np.arange(RATE_HZ) * 0.06), RATE_HZ).size == 0
    assert detect_onsets(np.zeros(RATE_HZ), RATE_HZ).size == 0
    assert detect_onsets(np.zeros(0), RATE_HZ).size == 0


def test_result_is_sorted_float64_and_keeps_the_gap():
    sound, _ = ringing_hits(7, gap_s=(0.05, 0.12))
    times = detect_onsets(sound.astype(np.float32), RATE_HZ, OnsetConfig(min_gap_s=0.1))
    assert times.dtype == np.float64
    assert (np.diff(times) >= 0.1).all()


@pytest.mark.parametrize(
    ("waveform", "rate_hz"),
    [(np.zeros((2, 100)), 44100), (np.array([0.0, np.nan] * 1000), 44100), (np.ones(9000), 4000)],
)
def test_says_what_is_wrong_with_the_input(waveform, rate_hz):
    with pytest.raises(FoleyError, match="onsets need"):
        detect_onsets(waveform, rate_hz)
