"""The effects embedding: the same numbers as its authors' network, and a distance that means something."""

import importlib.util
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from foley.errors import ConfigError
from foley.features import effects
from foley.metrics.frechet import frechet_distance

RATE_HZ = 44_100
SPEC = importlib.util.find_spec("aisfx")
pytestmark = pytest.mark.skipif(SPEC is None, reason="aisfx is optional")


@pytest.fixture(scope="module")
def network() -> effects.EffectsEmbedding:
    torch.set_num_threads(1)
    return effects.load_effects()


def knock(seed: int, n_samples: int = RATE_HZ) -> NDArray[np.float32]:
    """A decaying knock of a random pitch at a random time."""
    rng = np.random.default_rng(seed)
    since = np.arange(n_samples) / RATE_HZ - rng.uniform(0.1, 0.5)
    struck = np.sin(2 * np.pi * rng.uniform(200, 900) * since) + 0.5 * rng.standard_normal(n_samples)
    return ((since >= 0) * np.exp(-np.maximum(since, 0) / 0.08) * struck * 0.3).astype(np.float32)


def test_the_same_numbers_as_the_authors_network(network: effects.EffectsEmbedding) -> None:
    # Their module alone: the package's own import wants libraries that nothing here needs.
    path = Path(next(iter(SPEC.submodule_search_locations))) / "models/cnn2d.py"
    spec = importlib.util.spec_from_file_location("aisfx_network", path)
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    net = theirs.EmbeddingNet("max", 3, 1, 64).eval()
    net.load_state_dict(network.state_dict())
    spectrogram = network.spectrogram(knock(0, 3 * RATE_HZ), RATE_HZ)
    assert spectrogram.shape == (130, 96)
    with torch.no_grad():
        wanted = net(spectrogram[None])[0].numpy()
    found = network.embed(knock(0, 3 * RATE_HZ), RATE_HZ)
    assert found.shape == (effects.DIM,)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_input_is_librosas(network: effects.EffectsEmbedding) -> None:
    sound = knock(1)
    power = librosa.feature.melspectrogram(
        y=sound / np.abs(sound).max(), sr=RATE_HZ, n_fft=2048, hop_length=1024, n_mels=96, htk=True, norm=1.0
    )
    wanted = np.log10(power * 10_000 + 1) / 9.457798957824707
    np.testing.assert_allclose(network.spectrogram(sound, RATE_HZ).numpy(), wanted.T, atol=1e-4)


def test_another_rate_sounds_nearly_the_same(network: effects.EffectsEmbedding) -> None:
    sound = sosfilt(butter(8, 8000, fs=RATE_HZ, output="sos"), knock(2)).astype(np.float32)
    slower = librosa.resample(sound, orig_sr=RATE_HZ, target_sr=22_050)
    first, second = network.embed(sound, RATE_HZ), network.embed(slower, 22_050)
    assert np.corrcoef(first, second)[0, 1] > 0.95


def test_silence_is_finite(network: effects.EffectsEmbedding) -> None:
    assert np.isfinite(network.embed(np.zeros(RATE_HZ), RATE_HZ)).all()


def test_the_distance_grows_with_noise_and_with_a_low_pass(network: effects.EffectsEmbedding) -> None:
    clean = [knock(seed) for seed in range(24)]
    rng = np.random.default_rng(0)

    def embedded(sounds: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.array([network.embed(sound, RATE_HZ) for sound in sounds])

    reference = embedded(clean[12:])
    noisy = [
        frechet_distance(
            reference,
            embedded([one + level * rng.standard_normal(RATE_HZ).astype(np.float32) for one in clean[:12]]),
        )
        for level in (0, 0.003, 0.03)
    ]
    dull = [
        frechet_distance(
            reference,
            embedded([sosfilt(butter(6, hz, fs=RATE_HZ, output="sos"), one) for one in clean[:12]]),
        )
        for hz in (20_000, 4000, 800)
    ]
    assert noisy[0] < noisy[1] < noisy[2]
    assert noisy[0] < dull[1] < dull[2]
    assert dull[0] < dull[1]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="aisfx"):
        effects.load_effects()
