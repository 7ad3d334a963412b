"""What is done to sound after it was made: block thresholds and peak-match."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from foley.errors import ConfigError, StoreError
from foley.media.audio import write_wav
from foley.store.manifests import Clip, write_rows
from foley.store.shards import write_shard
from foley.synthesis.block_threshold import block_gains, block_threshold, noise_std
from foley.synthesis.config import BlockThresholdConfig, PeakMatchConfig, SynthesisConfig
from foley.synthesis.finishing import finish, open_references
from foley.synthesis.peak_match import peak_match, peaks

RATE_HZ = 22_050


def harmonic() -> np.ndarray:
    """Five plucked notes in two seconds."""
    sound = np.zeros(2 * RATE_HZ)
    for number, start in enumerate((0.1, 0.5, 0.9, 1.3, 1.7)):
        since = np.arange(round(0.3 * RATE_HZ)) / RATE_HZ
        place = round(start * RATE_HZ)
        for partial in range(1, 7):
            part = np.sin(2 * np.pi * (220 + 40 * number) * partial * since) / partial
            sound[place : place + len(since)] += 0.3 * part * np.exp(-3 * since)
    return sound


def noisy(sound: np.ndarray, snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(len(sound))
    return sound + noise * np.sqrt(np.mean(sound**2)) * 10 ** (-snr_db / 20)


def snr_db(found: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(truth**2) / np.sum((found - truth) ** 2)))


def test_noise_is_taken_out_of_a_harmonic_sound() -> None:
    clean = harmonic()
    given = noisy(clean, 9.52)
    before = snr_db(given, clean)
    estimated = snr_db(block_threshold(given, RATE_HZ), clean)
    std = float(np.std(given - clean))
    told = snr_db(block_threshold(given, RATE_HZ, BlockThresholdConfig(noise_std=std)), clean)
    assert estimated - before > 10
    assert abs(estimated - told) < 1  # the estimate of the noise is good enough


def test_pure_noise_nearly_vanishes_and_clean_sound_stays() -> None:
    noise = 0.1 * np.random.default_rng(1).standard_normal(RATE_HZ)
    assert np.std(block_threshold(noise, RATE_HZ)) < 0.1 * np.std(noise)
    # Whole in the middle and at both ends.
    assert snr_db(block_threshold(harmonic(), RATE_HZ, BlockThresholdConfig(noise_std=1e-9)), harmonic()) > 80


def test_noise_is_measured_under_sound() -> None:
    frames = np.random.default_rng(0).standard_normal((60, 401)) * 0.02
    window = np.hanning(401)
    coefficients = np.fft.rfft(frames * window, axis=1)
    coefficients[10:] += np.eye(1, 201, 30)[0] * 5  # a tone in most frames
    assert noise_std(coefficients, 0.1) == pytest.approx(0.02, rel=0.15)
    assert noise_std(np.zeros((8, 201), dtype=complex), 0.1) == 0


def test_gains_lie_between_0_and_1_and_follow_the_block() -> None:
    coefficients = np.full((8, 33), 1.0 + 1.0j)
    coefficients[:, 1:17] = 1e-3
    gains = block_gains(coefficients, 0.01)
    assert ((gains >= 0) & (gains <= 1)).all()
    assert (gains[:, 1:17] == 0).all()
    assert (gains[:, 17:] > 0.97).all()


def test_a_lone_coefficient_in_noise_does_not_survive_as_musical_noise() -> None:
    noise = 0.1 * np.random.default_rng(5).standard_normal((64, 401))
    coefficients = np.fft.rfft(noise * np.hanning(401), axis=1)
    power = 0.01 * np.sum(np.hanning(401) ** 2)
    assert np.mean(block_gains(coefficients, power) > 0) < 0.02


@pytest.mark.parametrize("n_samples", [0, 1, 2, 7, 300, 5000])
def test_any_length_keeps_its_length(n_samples: int) -> None:
    given = noisy(harmonic(), 10)[4000 : 4000 + n_samples]
    found = block_threshold(given, RATE_HZ)
    assert found.shape == given.shape
    assert np.isfinite(found).all()


def test_silence_stays_and_channels_are_cleaned_apart() -> None:
    assert not block_threshold(np.zeros(9000), RATE_HZ).any()
    left, right = noisy(harmonic(), 10), noisy(harmonic()[::-1], 20)
    both = block_threshold(np.stack([left, right], axis=1), RATE_HZ)
    np.testing.assert_array_equal(both[:, 0], block_threshold(left, RATE_HZ))
    np.testing.assert_array_equal(both[:, 1], block_threshold(right, RATE_HZ))


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        block_threshold(np.array([0.0, np.nan]), RATE_HZ)


def test_peaks_keep_their_distance_and_stand_over_the_floor() -> None:
    sound = np.zeros(1000)
    sound[[100, 130, 500, 900]] = [0.5, -1.0, 0.2, 0.05]
    assert peaks(sound, 100, 0.1).tolist() == [130, 500]
    assert peaks(sound, 10, 0.1).tolist() == [100, 130, 500]


def test_stretches_of_the_reference_stand_at_the_peaks() -> None:
    config = PeakMatchConfig(interval_s=100 / RATE_HZ)
    made = np.zeros(1000)
    made[[200, 600, 960]] = [0.1, -0.2, 0.15]
    reference = np.zeros(500)
    reference[50:120] = 0.4 * 0.95 ** np.arange(70)
    reference[300:340] = -0.2 * 0.9 ** np.arange(40)
    found = peak_match(made, reference, RATE_HZ, config)
    assert found.dtype == np.float32
    scaled = reference / 0.4
    first, second = scaled[50:150], scaled[300:400]
    raw = np.zeros(1000)
    raw[200:300] = 0.5 * first
    raw[600:700] = 1.0 * second
    raw[960:1000] = 0.75 * first[:40]  # the reference's peaks begin again, and the sound ends
    np.testing.assert_allclose(found, raw / np.abs(raw).max(), atol=1e-6)


def test_peak_match_of_silence_stereo_and_a_single_sample() -> None:
    reference = np.sin(np.arange(4000) / 9)
    assert not peak_match(np.zeros(100), reference, RATE_HZ).any()
    assert peak_match(np.ones(1), reference, RATE_HZ).shape == (1,)
    assert peak_match(np.zeros(0), reference, RATE_HZ).shape == (0,)
    stereo = peak_match(np.random.default_rng(0).standard_normal((3000, 2)), reference, RATE_HZ)
    assert stereo.shape == (3000, 2)
    np.testing.assert_array_equal(stereo[:, 0], stereo[:, 1])
    with pytest.raises(ValueError, match="silent"):
        peak_match(np.ones(10), np.zeros(10), RATE_HZ)


def clip(clip_id: str, label: str, split: str) -> Clip:
    return Clip(
        clip_id=clip_id,
        recording_id=clip_id,
        label=label,
        shard="000",
        group=clip_id,
        split=split,
        path="x.mp4",
        start_s=0.0,
        duration_s=1.0,
        fps=25.0,
    )


@pytest.fixture
def clips(tmp_path: Path) -> tuple[str, str]:
    sounds = {"a1": 0.0, "a2": 0.25, "a3": 0.5, "b1": 0.75}
    rows = [
        clip("a1", "a", "train"),
        clip("a2", "a", "train"),
        clip("a3", "a", "test"),
        clip("b1", "b", "train"),
    ]
    write_rows(tmp_path / "clips.tsv", Clip, rows)
    write_shard(
        tmp_path / "clips.h5",
        {},
        sounds,
        lambda name: ({"audio": np.full(400, sounds[name], np.float32)}, {"sample_rate_hz": 8000}),
    )
    return str(tmp_path / "clips.tsv"), str(tmp_path / "clips.h5")


def test_references_are_audible_training_clips_of_the_class(clips: tuple[str, str]) -> None:
    found = open_references(PeakMatchConfig(), RATE_HZ, [clips[0]], [clips[1]])
    for seed in range(5):
        waveform, rate_hz = found.draw("a", np.random.default_rng(seed))
        assert (float(waveform[0]), rate_hz) == (0.25, 8000)  # a1 is silent, a3 is a test clip
    with pytest.raises(StoreError, match="no training clip of class 'c'"):
        found.draw("c", np.random.default_rng(0))
    assert open_references(None, RATE_HZ, [], []) is None


def test_a_folder_of_references_comes_first(tmp_path: Path) -> None:
    folder = tmp_path / "clean"
    config = PeakMatchConfig(references=str(folder))
    with pytest.raises(ConfigError, match="is no folder"):
        open_references(config, RATE_HZ, [], [])
    (folder / "a").mkdir(parents=True)
    for number in range(3):
        write_wav(folder / "a" / f"{number}.wav", np.full(1000, 0.1 * (number + 1)), 44_100)
    (folder / "a" / "notes.txt").write_text("not a sound")
    found = open_references(config, RATE_HZ, [], [])
    drawn = {round(float(found.draw("a", np.random.default_rng(seed))[0][100]), 2) for seed in range(20)}
    assert drawn == {0.1, 0.2, 0.3}
    assert len(set(found.digests())) == 3
    assert found.draw("a", np.random.default_rng(3))[1] == RATE_HZ
    with pytest.raises(ConfigError, match="needs sound files there"):
        found.draw("b", np.random.default_rng(0))
    (folder / "b").mkdir()
    write_wav(folder / "b" / "nothing.wav", np.zeros(1000), 44_100)
    with pytest.raises(ConfigError, match=r"nothing\.wav: is silent"):
        found.draw("b", np.random.default_rng(0))


def test_finishing_does_what_is_asked_and_nothing_else(clips: tuple[str, str]) -> None:
    given = noisy(harmonic(), 10).astype(np.float32)
    np.testing.assert_array_equal(finish(given, RATE_HZ, SynthesisConfig()), given)
    cleaned = finish(given, RATE_HZ, SynthesisConfig(denoise="block_threshold"))
    np.testing.assert_array_equal(cleaned, block_threshold(given, RATE_HZ))
    both = SynthesisConfig(denoise="block_threshold", peak_match=PeakMatchConfig())
    found = open_references(both.peak_match, RATE_HZ, [clips[0]], [clips[1]])
    matched = finish(given, RATE_HZ, both, found, "b", np.random.default_rng(0))
    assert np.abs(matched).max() == pytest.approx(1)
    kept = finish(given, RATE_HZ, both, found, "b", np.random.default_rng(0), keep_level=True)
    assert np.abs(kept).max() == pytest.approx(np.abs(cleaned).max())
    with pytest.raises(ValueError, match="references"):
        finish(given, RATE_HZ, both)


def test_misspelt_settings_are_refused() -> None:
    assert SynthesisConfig.model_validate({"peak_match": {}}).peak_match == PeakMatchConfig()
    with pytest.raises(ValidationError):
        SynthesisConfig.model_validate({"denoise": "block"})
    with pytest.raises(ValidationError):
        SynthesisConfig.model_validate({"peak_match": {"intervall_s": 1}})
