"""The STFT representation against librosa and torch, its time axis, and its inverse."""

import librosa
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from foley.errors import FoleyError, StoreError
from foley.features.audio import RepresentationConfig, extract_shard, represent, to_magnitude
from foley.features.representations import base, stft
from foley.store.shards import ShardReader, ShardWriter

CONFIG = RepresentationConfig(kind="stft")


def clip(seed=0, n=132300):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.normal(size=n) * np.abs(np.sin(np.arange(n) / 9000))).astype(np.float32)


def test_magnitude_equals_librosa_and_torch():
    sound = clip()
    ours = base.stft_magnitude(sound, stft.Config()) * base.full_scale(stft.Config())
    theirs = np.abs(librosa.stft(sound, n_fft=256, hop_length=128, window="hann", pad_mode="reflect"))
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
    window = torch.hann_window(256)
    third = torch.stft(torch.from_numpy(sound), 256, 128, window=window, return_complex=True).abs()
    np.testing.assert_allclose(ours, third.numpy(), atol=2e-5)


def test_shape_and_scale():
    features = represent(clip(), CONFIG)
    assert features.shape == (129, 570)
    assert features.dtype == np.float32
    full_scale_sine = np.sin(2 * np.pi * 20 / 256 * np.arange(132300))
    assert represent(full_scale_sine, CONFIG)[20, 100:-100] == pytest.approx(1.0, abs=1e-3)
    quiet = represent(0.01 * full_scale_sine, CONFIG)
    assert quiet[20, 100:-100] == pytest.approx(0.1, abs=1e-3)  # loudness is kept, under the root


def test_without_time_resampling_the_inverse_is_exact():
    config = RepresentationConfig(kind="stft", n_frames=None)
    sound = clip()
    magnitude = np.abs(librosa.stft(sound, n_fft=256, hop_length=128, pad_mode="reflect"))
    np.testing.assert_allclose(to_magnitude(represent(sound, config), config), magnitude, atol=1e-4)


def test_time_axis_keeps_means_constants_and_positions():
    settings = stft.Config()
    rng = np.random.default_rng(1)
    values = rng.random((129, settings.n_stft_frames))
    weights = np.full(settings.n_stft_frames, settings.hop_length, dtype=float)
    weights[0] = settings.hop_length / 2
    weights[-1] = settings.n_samples - (settings.n_stft_frames - 1.5) * settings.hop_length
    short = base.shorten_time(values, settings)
    np.testing.assert_allclose(short.mean(axis=1), np.average(values, axis=1, weights=weights), rtol=1e-5)
    np.testing.assert_allclose(base.shorten_time(np.ones_like(values), settings), 1, rtol=1e-6)
    ramp = np.broadcast_to(np.arange(settings.n_stft_frames) * settings.hop_length, values.shape)
    back = base.lengthen_time(base.shorten_time(ramp, settings), settings)
    inner = slice(3, -3)  # ends are held
    np.testing.assert_allclose(back[:, inner], ramp[:, inner], atol=0.01 * settings.hop_length * 50)


def test_a_hit_stays_where_it_is():
    sound = np.zeros(132300, dtype=np.float32)
    sound[66150:66200] = 1
    energy = represent(sound, CONFIG).sum(axis=0)
    assert abs(int(energy.argmax()) - 285) <= 1
    assert abs(int(to_magnitude(represent(sound, CONFIG), CONFIG).sum(axis=0).argmax()) * 128 - 66175) <= 192


def test_negative_predictions_count_as_silence():
    assert to_magnitude(np.full((129, 570), -0.3), CONFIG).max() == 0


def test_wrong_length_is_refused():
    with pytest.raises(FoleyError, match="132300 samples"):
        represent(np.zeros(1000), CONFIG)
    with pytest.raises(FoleyError, match="shape"):
        to_magnitude(np.zeros((129, 5)), CONFIG)


def test_configuration_is_flat_checked_and_round_trips():
    config = RepresentationConfig(kind="stft", n_fft=512, n_frames=100)
    assert RepresentationConfig(**config.model_dump(mode="json")) == config
    assert config.settings.n_bins == 257
    with pytest.raises(ValidationError, match="n_ftt"):
        RepresentationConfig(kind="stft", n_ftt=512)
    with pytest.raises(ValidationError, match="no representations entry"):
        RepresentationConfig(kind="stfft")


def test_shard(tmp_path):
    clips_path, features_path = tmp_path / "clips.h5", tmp_path / "features.h5"
    with ShardWriter(clips_path, {}) as shard:
        for seed in range(2):
            shard.write(f"c{seed}", {"audio": clip(seed)}, {"sample_rate_hz": 44100})
    extract_shard(clips_path=clips_path, config=CONFIG, features_path=features_path)
    features = ShardReader(features_path)
    assert features.items == ["c0", "c1"]
    np.testing.assert_array_equal(features.read("c1", "features"), represent(clip(1), CONFIG))
    first = features_path.read_bytes()
    features_path.unlink()
    extract_shard(clips_path=clips_path, config=CONFIG, features_path=features_path)
    assert features_path.read_bytes() == first
    wrong = RepresentationConfig(kind="stft", duration_s=2.0)
    with pytest.raises(StoreError, match="c0 lasts"):
        extract_shard(clips_path=clips_path, config=wrong, features_path=tmp_path / "x.h5")
