"""REGNET's mel spectrogram: known answers, and librosa's own way to the same numbers."""

from pathlib import Path

import librosa
import numpy as np
import pytest
from pydantic import ValidationError

from foley.errors import StoreError
from foley.features.audio import RepresentationConfig, extract_shard
from foley.features.representations import mel
from foley.store.shards import ShardReader, ShardWriter

FULL = mel.Config()
SHORT = mel.Config(duration_s=1.0, n_frames=84)


def sine(frequency_hz: float, config: mel.Config) -> np.ndarray:
    t_s = np.arange(config.n_samples) / config.sample_rate_hz
    return np.sin(2 * np.pi * frequency_hz * t_s).astype(np.float32)


def noise(config: mel.Config) -> np.ndarray:
    return 0.2 * np.random.default_rng(0).standard_normal(config.n_samples).astype(np.float32)


def test_silence_is_zero_and_has_the_papers_shape() -> None:
    features = mel.represent(np.zeros(FULL.n_samples, dtype=np.float32), FULL)
    assert features.shape == (80, 860)
    assert features.dtype == np.float32
    assert (features == 0).all()


def test_a_full_scale_sine_of_1_khz_peaks_near_the_top() -> None:
    assert mel.represent(sine(1000, FULL), FULL).max() == pytest.approx(0.987, abs=0.002)


def test_the_same_numbers_as_by_librosa() -> None:
    waveform = noise(FULL)
    power_1 = np.abs(librosa.stft(waveform, n_fft=1024, hop_length=256, pad_mode="reflect"))
    filters = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=125, fmax=7600)
    decibels = 20 * np.log10(np.maximum(1e-5, filters @ power_1)) - 20
    wanted = np.clip((decibels + 100) / 100, 0, 1)[:, :860]
    np.testing.assert_allclose(mel.represent(waveform, FULL), wanted, atol=1e-5)


def test_a_click_stays_in_its_frames() -> None:
    waveform = np.zeros(SHORT.n_samples, dtype=np.float32)
    waveform[40 * 256] = 1.0
    loud = np.flatnonzero(mel.represent(waveform, SHORT).max(axis=0) > 0)
    assert loud.min() >= 38
    assert loud.max() <= 42


def test_an_inverted_spectrogram_has_the_same_bands() -> None:
    for waveform in (noise(SHORT), sine(700, SHORT)):
        features = mel.represent(waveform, SHORT)
        magnitude = mel.to_magnitude(features, SHORT)
        assert magnitude.shape == (513, SHORT.n_stft_frames)
        assert (magnitude >= 0).all()
        bands = mel.filters(SHORT) @ magnitude[:, : SHORT.n_steps]
        again = np.clip((20 * np.log10(np.maximum(bands, 1e-5)) - 20 + 100) / 100, 0, 1)
        audible = features > 0.3
        assert np.abs(again - features)[audible].mean() < 0.01


def test_silence_inverts_to_silence() -> None:
    assert (mel.to_magnitude(np.zeros((80, 84), dtype=np.float32), SHORT) == 0).all()


@pytest.mark.parametrize(
    "wrong", [{"n_frames": 900}, {"highest_hz": 12_000}, {"lowest_hz": 8000}, {"n_mel": 80}]
)
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        mel.Config(**wrong)


def clips_at_44100(path: Path) -> Path:
    t_s = np.arange(44_100) / 44_100
    with ShardWriter(path, {}) as shard:
        tone = np.sin(2 * np.pi * 1000 * t_s).astype(np.float32)
        shard.write("a_00", {"audio": tone}, {"sample_rate_hz": 44_100})
    return path


def test_clips_of_another_rate_are_resampled(tmp_path: Path) -> None:
    clips = clips_at_44100(tmp_path / "clips.h5")
    config = RepresentationConfig(kind="mel", duration_s=1.0, n_frames=84)
    extract_shard(clips_path=clips, config=config, features_path=tmp_path / "mel.h5")
    made = ShardReader(tmp_path / "mel.h5")
    assert made.item_attributes("a_00")["sample_rate_hz"] == 22_050
    np.testing.assert_allclose(
        made.read("a_00", "features")[:, 4:80], mel.represent(sine(1000, SHORT), SHORT)[:, 4:80], atol=0.02
    )


def test_clips_of_another_length_are_an_error_that_names_them(tmp_path: Path) -> None:
    clips = clips_at_44100(tmp_path / "clips.h5")
    config = RepresentationConfig(kind="mel", duration_s=2.0, n_frames=84)
    with pytest.raises(StoreError, match="a_00"):
        extract_shard(clips_path=clips, config=config, features_path=tmp_path / "mel.h5")
