"""Griffin-Lim: its error falls, it inverts what is consistent, it equals librosa, hits stay in place."""

import librosa
import numpy as np
import pytest

from foley.errors import FoleyError
from foley.synthesis.config import SynthesisConfig
from foley.synthesis.griffin_lim import griffin_lim

RATE_HZ = 44100
N_FFT, HOP = 256, 128


def stft(sound):
    return librosa.stft(sound, n_fft=N_FFT, hop_length=HOP, window="hann", pad_mode="reflect")


def rebuild(magnitude, n_samples, n_iterations, **options):
    return griffin_lim(
        magnitude, n_fft=N_FFT, hop_length=HOP, n_iterations=n_iterations, n_samples=n_samples, **options
    )


def convergence(magnitude, sound):
    """Spectral convergence: relative distance of the sound's magnitudes from those asked for."""
    return np.linalg.norm(np.abs(stft(sound)) - magnitude) / np.linalg.norm(magnitude)


@pytest.fixture(scope="module")
def sound():
    """Half a second: decaying hits over a hum and hiss."""
    rng = np.random.default_rng(3)
    n = RATE_HZ // 2
    time_s = np.arange(n) / RATE_HZ
    wave = 0.2 * np.sin(2 * np.pi * 440 * time_s) + 0.01 * rng.normal(size=n)
    for start_s in (0.1, 0.27, 0.4):
        late_s = np.maximum(time_s - start_s, 0)
        wave += (time_s >= start_s) * np.exp(-late_s / 0.02) * rng.normal(size=n) * 0.3
    return wave.astype(np.float32)


@pytest.mark.parametrize("start", ["zero", "random"])
def test_error_falls_with_every_iteration(sound, start):
    magnitude = np.abs(stft(sound))
    errors = []
    for n_iterations in (0, 1, 2, 4, 8, 16, 32):
        generator = np.random.default_rng(5) if start == "random" else None
        errors.append(
            convergence(magnitude, rebuild(magnitude, len(sound), n_iterations, generator=generator))
        )
    assert np.all(np.diff(errors) < 0), errors
    assert errors[5] < 0.6 * errors[0]


def test_true_phase_without_iterations_gives_the_sound_back(sound):
    spectrum = stft(sound)
    back = rebuild(np.abs(spectrum), len(sound), 0, phase=np.angle(spectrum))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, sound, atol=2e-5)
    kept = rebuild(np.abs(spectrum), len(sound), 8, phase=np.angle(spectrum))
    np.testing.assert_allclose(kept, sound, atol=2e-4)


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_equals_librosa_from_the_same_start(sound, momentum):
    magnitude = np.abs(stft(sound))
    theirs = librosa.griffinlim(
        magnitude,
        n_iter=4,
        hop_length=HOP,
        n_fft=N_FFT,
        window="hann",
        pad_mode="reflect",
        momentum=momentum,
        init=None,
        length=len(sound),
    )
    ours = rebuild(magnitude, len(sound), 4, momentum=momentum)
    assert np.linalg.norm(ours - theirs) < 1e-3 * np.linalg.norm(theirs)


def test_a_sharp_onset_stays_within_two_milliseconds():
    n = RATE_HZ // 2
    onset = 10007
    rng = np.random.default_rng(0)
    sound = np.zeros(n, dtype=np.float32)
    sound[onset:] = 0.5 * rng.normal(size=n - onset) * np.exp(-np.arange(n - onset) / 2000)
    back = rebuild(np.abs(stft(sound)), n, SynthesisConfig().n_iterations)
    smooth = np.convolve(back**2, np.ones(32) / 32, mode="same")
    found = np.flatnonzero(smooth > 0.25 * np.quantile(smooth, 0.99))[0]
    assert abs(found - onset) / RATE_HZ < 0.002


def test_same_arguments_same_samples_and_silence_stays_silent(sound):
    magnitude = np.abs(stft(sound))
    first, again, other = (
        rebuild(magnitude, len(sound), 2, generator=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not rebuild(np.zeros_like(magnitude), len(sound), 4).any()


def test_negative_magnitudes_count_as_zero():
    n = 4 * HOP
    magnitude = np.full((N_FFT // 2 + 1, 5), -1.0, dtype=np.float32)
    assert not rebuild(magnitude, n, 2).any()


def test_what_does_not_fit_is_refused():
    magnitude = np.ones((N_FFT // 2 + 1, 5), dtype=np.float32)
    with pytest.raises(FoleyError, match="shape"):
        rebuild(magnitude, 40 * HOP, 1)
    with pytest.raises(FoleyError, match="finite"):
        rebuild(magnitude * np.nan, 4 * HOP, 1)
    with pytest.raises(FoleyError, match="hop"):
        griffin_lim(magnitude, n_fft=N_FFT, hop_length=200, n_iterations=1, n_samples=800)


def test_the_end_of_a_clip_does_not_click():
    # 33,000 samples end 24 samples before the last window does.
    magnitude = np.random.default_rng(0).random((257, 129))
    made = griffin_lim(magnitude, n_fft=512, hop_length=256, n_iterations=16, n_samples=33_000)
    assert np.abs(made[-100:]).max() < 2 * np.abs(made[:-100]).max()
