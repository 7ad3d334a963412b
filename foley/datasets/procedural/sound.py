"""Building blocks of synthetic sound: modes, filtered noise, envelopes. 48 kHz, float32."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Wave


def modes(
    frequencies_hz: Sequence[float],
    decays_s: Sequence[float],
    gains: Sequence[float],
    duration_s: float,
    rng: np.random.Generator,
) -> Wave:
    """Sum of decaying sines, as of a struck solid.

    Parameters
    ----------
    frequencies_hz, decays_s, gains : sequence of float
        Frequency, time to fall by 60 dB, and gain of each mode.
    duration_s : float
        Length of the result.
    rng : numpy.random.Generator
        Draws the modes' phases.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
    """
    t = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    out = np.zeros(t.size)
    for frequency, decay, gain in zip(frequencies_hz, decays_s, gains, strict=True):
        if frequency < SAMPLE_RATE_HZ / 2:
            phase = rng.uniform(0.25, 0.75) * np.pi
            out += gain * np.exp(-6.9 * t / decay) * np.sin(2 * np.pi * frequency * t + phase)
    return out.astype(np.float32)


def noise(n_samples: int, rng: np.random.Generator, low_hz: float = 0.0, high_hz: float = 24_000.0) -> Wave:
    """White Gaussian noise limited to a band (4th order Butterworth), unit RMS before the filter."""
    white = rng.standard_normal(n_samples)
    nyquist = SAMPLE_RATE_HZ / 2
    if low_hz > 0 and high_hz < nyquist:
        sos = butter(2, [low_hz / nyquist, high_hz / nyquist], "bandpass", output="sos")
    elif low_hz > 0:
        sos = butter(4, low_hz / nyquist, "highpass", output="sos")
    elif high_hz < nyquist:
        sos = butter(4, high_hz / nyquist, "lowpass", output="sos")
    else:
        return white.astype(np.float32)
    return np.asarray(sosfilt(sos, white), dtype=np.float32)


def decay(duration_s: float, fall_s: float, attack_s: float = 0.0005) -> NDArray[np.float64]:
    """Envelope that rises within `attack_s` and falls by 60 dB in `fall_s`; shape (n_samples,)."""
    t = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.minimum(t / max(attack_s, 1e-6), 1.0) * np.exp(-6.9 * t / fall_s)


def peak(wave: NDArray[np.floating], level: float) -> Wave:
    """Scale so that the largest absolute sample is `level` (silence stays silence)."""
    top = float(np.abs(wave).max(initial=0.0))
    return np.asarray(wave * (level / top if top > 0 else 0.0), dtype=np.float32)


def add_at(track: Wave, wave: Wave, time_s: float) -> None:
    """Add `wave` into `track` in place, sample 0 at `time_s`; what runs over the edges is cut."""
    start = round(time_s * SAMPLE_RATE_HZ)
    if start < 0:
        wave, start = wave[-start:], 0
    end = min(start + wave.size, track.size)
    if end > start:
        track[start:end] += wave[: end - start]
