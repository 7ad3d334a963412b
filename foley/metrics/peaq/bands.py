"""Constants of PEAQ's ear model that works on Fourier transforms: frames, bands, thresholds.

BS.1387-1, Annex 2, section 2.1 (its tables of bands are the formulas below, rounded), with Kabal's
reading of the window's gain (his section 2.2).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SAMPLE_RATE_HZ = 48_000
N_FFT = 2048
HOP = N_FFT // 2
FRAME_HZ = SAMPLE_RATE_HZ / HOP
N_BINS = N_FFT // 2 + 1
BARK_STEP = 0.25
"""Width of a band of the basic version, in Bark."""
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 18_000.0
_LISTENING_DB, _LISTENING_HZ = 92.0, 1019.5
"""A sine of full scale at this frequency is taken to be played at this sound pressure level."""


@dataclass(frozen=True)
class EarTables:
    """What the ear model needs to know of its bins and bands.

    Parameters
    ----------
    window : ndarray of float64, shape (N_FFT,)
        Hann window times the gain that turns full scale into 92 dB of sound pressure level.
    ear_weights : ndarray of float64, shape (N_BINS,)
        Power gain of the outer and middle ear.
    grouping : ndarray of float64, shape (N_BINS, n_bands)
        Share of each bin that falls into each band.
    centres_hz : ndarray of float64, shape (n_bands,)
    internal_noise : ndarray of float64, shape (n_bands,)
        Power of the noise that the ear adds; also the threshold in quiet.
    mask_gain : ndarray of float64, shape (n_bands,)
        Ratio of the masking threshold to the excitation.
    """

    window: Array
    ear_weights: Array
    grouping: Array
    centres_hz: Array
    internal_noise: Array
    mask_gain: Array


def band_edges() -> tuple[Array, Array, Array]:
    """Lower edge, centre and upper edge of the 109 bands, in Hz; each of shape (109,)."""
    lowest, highest = bark(np.array([_LOWEST_HZ, _HIGHEST_HZ]))
    n_bands = int(np.ceil((highest - lowest) / BARK_STEP))
    lower = lowest + BARK_STEP * np.arange(n_bands)
    upper = np.minimum(lower + BARK_STEP, highest)
    return hertz(lower), hertz((lower + upper) / 2), hertz(upper)


def bark(frequency_hz: Array) -> Array:
    """Pitch in Bark of a frequency (Schroeder's approximation)."""
    return np.asarray(7 * np.arcsinh(frequency_hz / 650))


def hertz(pitch_bark: Array) -> Array:
    """Undo :func:`bark`."""
    return np.asarray(650 * np.sinh(pitch_bark / 7))


@cache
def ear_tables() -> EarTables:
    """Compute the tables, once."""
    lower, centres, upper = band_edges()
    khz = centres / 1000
    pitch = BARK_STEP * np.arange(len(centres))
    offset_db = np.where(pitch <= 12, 3.0, 0.25 * pitch)
    return EarTables(
        window=_window(),
        ear_weights=_ear_weights(),
        grouping=_grouping(lower, upper),
        centres_hz=centres,
        internal_noise=10 ** (0.1456 * khz**-0.8),
        mask_gain=10 ** (-offset_db / 10),
    )


def smoothing(slow_s: float, fast_s: float) -> Array:
    """Factor of a first-order low-pass filter in each band.

    Parameters
    ----------
    slow_s, fast_s : float
        Time constant at 100 Hz, and the one that it nears at high frequencies.

    Returns
    -------
    ndarray of float64, shape (n_bands,)
        In (0, 1): how much of a frame is left in the next one.
    """
    time_s = fast_s + 100 / ear_tables().centres_hz * (slow_s - fast_s)
    return np.asarray(np.exp(-1 / (FRAME_HZ * time_s)))


def hann(n: int) -> Array:
    """Hann window that is zero at both ends, shape (n,)."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / (n - 1)))


def _window() -> Array:
    # A sine seldom lies on a bin: the largest bin is lower than its peak by the window's own spectrum.
    bin_width = 1 / N_FFT
    offset = _LISTENING_HZ / SAMPLE_RATE_HZ % bin_width
    distance = min(offset, bin_width - offset) * (N_FFT - 1)
    lost = np.sin(np.pi * distance) / (np.pi * distance * (1 - distance**2))
    return np.asarray(hann(N_FFT) * 10 ** (_LISTENING_DB / 20) / (lost / 4 * (N_FFT - 1)))


def _ear_weights() -> Array:
    khz = np.arange(1, N_BINS) * SAMPLE_RATE_HZ / N_FFT / 1000
    gain_db = -2.184 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 0.001 * khz**3.6
    return np.concatenate([[0.0], 10 ** (gain_db / 10)])  # nothing is heard of a constant


def _grouping(lower: Array, upper: Array) -> Array:
    width = SAMPLE_RATE_HZ / N_FFT
    bins = np.arange(N_BINS)[:, None] * width
    overlap = np.minimum(upper, bins + width / 2) - np.maximum(lower, bins - width / 2)
    return np.asarray(np.maximum(overlap, 0) / width)
