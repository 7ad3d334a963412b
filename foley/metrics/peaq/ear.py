"""From sound to excitation patterns: PEAQ's ear model that works on Fourier transforms.

BS.1387-1, Annex 2, section 2.1. Arrays carry the two sounds first, the reference before the one under
test, and frames before bins or bands.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import rfft

from foley.metrics.peaq.bands import BARK_STEP, HOP, N_FFT, Array, ear_tables, smoothing

TINY_POWER = 1e-12
"""Least power of a band or bin, so that logarithms and quotients of silence are finite."""


@dataclass(frozen=True)
class Heard:
    """What the ear makes of some frames of both sounds.

    Parameters
    ----------
    spectra : ndarray of float64, shape (2, n_frames, N_BINS)
        Power spectra at the level of listening, not weighted by the ear.
    noise : ndarray of float64, shape (n_frames, n_bands)
        Power, weighted by the ear, of the difference between the magnitude spectra.
    unsmeared : ndarray of float64, shape (2, n_frames, n_bands)
        Excitation, spread over frequency but not yet over time.
    """

    spectra: Array
    noise: Array
    unsmeared: Array


def cut_frames(sound: Array, first: int, n_frames: int) -> Array:
    """Overlapping frames of a sound that is followed by silence.

    Parameters
    ----------
    sound : ndarray of float64, shape (n_samples,)
    first, n_frames : int
        Number of the first frame, and how many.

    Returns
    -------
    ndarray of float64, shape (n_frames, N_FFT)
        Frame `i` starts at sample ``i * HOP``.
    """
    piece = sound[first * HOP : (first + n_frames - 1) * HOP + N_FFT]
    padded = np.pad(piece, (0, (n_frames - 1) * HOP + N_FFT - len(piece)))
    return sliding_window_view(padded, N_FFT)[::HOP]


def hear(frames: Array) -> Heard:
    """Listen to frames of both sounds.

    Parameters
    ----------
    frames : ndarray of float64, shape (2, n_frames, N_FFT)
        In [-1, 1].

    Returns
    -------
    Heard
    """
    tables = ear_tables()
    transformed = rfft(frames * tables.window, axis=-1)
    spectra = transformed.real**2 + transformed.imag**2
    weighted = spectra * tables.ear_weights
    reference, test = np.sqrt(weighted)
    grouped = np.maximum(np.stack([*weighted, (reference - test) ** 2]) @ tables.grouping, TINY_POWER)
    return Heard(spectra, grouped[2], spread_over_frequency(grouped[:2] + tables.internal_noise))


def spread_over_frequency(pitch: Array) -> Array:
    """Let every band excite its neighbours: steeply below it, less so above it and the louder it is.

    Parameters
    ----------
    pitch : ndarray of float64, shape (..., n_bands)
        Power in each band, above 0.

    Returns
    -------
    ndarray of float64, shape (..., n_bands)
        Normalised so that a flat pattern of power 1 stays as it is.
    """
    columns = pitch.reshape(-1, pitch.shape[-1]).T
    return np.asarray((_spread(columns) / _flat_pattern()).T.reshape(pitch.shape))


@cache
def _flat_pattern() -> Array:
    return _spread(np.ones((len(ear_tables().centres_hz), 1)))


def _spread(power: Array) -> Array:
    """Spread columns of bands; powers to 0.4 add up (equations 18 to 24 of the Recommendation)."""
    n_bands = len(power)
    place = np.arange(n_bands)[:, None]
    below = 10 ** (-2.7 * BARK_STEP)
    above = 10 ** ((-2.4 - 23 / ear_tables().centres_hz[:, None]) * BARK_STEP) * power ** (0.2 * BARK_STEP)
    # Geometric series over the bands that are there, below and above: a band keeps its power in all.
    gain_below = (1 - below ** (place + 1)) / (1 - below)
    gain_above = (1 - above ** (n_bands - place)) / (1 - above)
    own = (power / (gain_below + gain_above - 1)) ** 0.4
    spread = own.copy()
    for band in range(n_bands - 2, -1, -1):
        spread[band] += below**0.4 * spread[band + 1]
    ratio = above**0.4
    reaching = own
    for distance in range(1, n_bands):
        reaching = reaching[:-1] * ratio[: n_bands - distance]
        spread[distance:] += reaching
    return np.asarray(spread**2.5)


def spread_over_time(unsmeared: Array) -> Array:
    """Let an excitation linger after it: forward masking.

    Parameters
    ----------
    unsmeared : ndarray of float64, shape (..., n_frames, n_bands)

    Returns
    -------
    ndarray of float64, shape of `unsmeared`
        Excitation patterns; never below the input.
    """
    keep = smoothing(0.030, 0.008)
    return np.maximum(low_pass(unsmeared, keep, 1 - keep), unsmeared)


def low_pass(values: Array, keep: Array, gain: Array | float = 1.0) -> Array:
    """First-order recursion over frames that starts from nothing: ``y[t] = keep y[t-1] + gain x[t]``.

    Parameters
    ----------
    values : ndarray of float64, shape (..., n_frames, n_bands)
    keep, gain : ndarray of float64, shape (n_bands,)

    Returns
    -------
    ndarray of float64, shape of `values`
    """
    smoothed = gain * values
    for frame in range(1, values.shape[-2]):
        smoothed[..., frame, :] += keep * smoothed[..., frame - 1, :]
    return np.asarray(smoothed)
