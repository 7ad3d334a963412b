"""What the later stages of hearing make of excitation patterns: adaptation, modulation, loudness.

BS.1387-1, Annex 2, section 3. Arrays are of shape (2, n_frames, n_bands), the reference first.
"""

import numpy as np

from foley.metrics.peaq.bands import FRAME_HZ, Array, ear_tables, smoothing
from foley.metrics.peaq.ear import low_pass

_BELOW, _ABOVE = 3, 4
"""Bands on either side over which correction factors are averaged."""
_SLOW_S, _FAST_S = 0.050, 0.008
_BARKS = 24


def adapt(excitation: Array) -> Array:
    """Take out differences of level and of frequency response that stay for long.

    Parameters
    ----------
    excitation : ndarray of float64, shape (2, n_frames, n_bands)
        Above 0.

    Returns
    -------
    ndarray of float64, shape (2, n_frames, n_bands)
        Spectrally adapted patterns.
    """
    keep = smoothing(_SLOW_S, _FAST_S)
    reference, test = low_pass(excitation, keep, 1 - keep)
    level = (np.sqrt(reference * test).sum(axis=-1) / test.sum(axis=-1)) ** 2
    # Whichever sound is the louder in total is lowered.
    levelled = excitation * np.stack([1 / np.maximum(level, 1), np.minimum(level, 1)])[..., None]
    crossed, squared = low_pass(np.stack([levelled[1] * levelled[0], levelled[0] ** 2]), keep)
    ratios = np.stack([np.minimum(crossed / squared, 1), np.minimum(squared / crossed, 1)])
    return np.asarray(levelled * low_pass(_over_neighbours(ratios), keep, 1 - keep))


def _over_neighbours(values: Array) -> Array:
    """Mean over each band and its neighbours, as many of them as there are."""
    n_bands = values.shape[-1]
    sums = np.pad(np.cumsum(values, axis=-1), [(0, 0)] * (values.ndim - 1) + [(1, 0)])
    place = np.arange(n_bands)
    first, last = np.maximum(place - _BELOW, 0), np.minimum(place + _ABOVE, n_bands - 1)
    return np.asarray((sums[..., last + 1] - sums[..., first]) / (last + 1 - first))


def modulate(unsmeared: Array) -> tuple[Array, Array]:
    """Measure how much the envelope in each band moves.

    Parameters
    ----------
    unsmeared : ndarray of float64, shape (2, n_frames, n_bands)
        Excitation, not spread over time.

    Returns
    -------
    modulation : ndarray of float64, shape (2, n_frames, n_bands)
    loudness : ndarray of float64, shape (2, n_frames, n_bands)
        Simplified loudness, smoothed over time.
    """
    keep = smoothing(_SLOW_S, _FAST_S)
    simple = unsmeared**0.3
    moved = FRAME_HZ * np.abs(np.diff(simple, axis=-2, prepend=0))
    rate, loudness = low_pass(np.stack([moved, simple]), keep, 1 - keep)
    return rate / (1 + loudness / 0.3), loudness


def total_loudness(excitation: Array) -> Array:
    """Loudness in sone after Zwicker.

    Parameters
    ----------
    excitation : ndarray of float64, shape (..., n_bands)

    Returns
    -------
    ndarray of float64, shape (...)
        At least 0.
    """
    khz = ear_tables().centres_hz / 1000
    threshold = 10 ** (0.364 * khz**-0.8)
    index = 10 ** ((-2 - 2.05 * np.arctan(khz / 4) - 0.75 * np.arctan((khz / 1.6) ** 2)) / 10)
    scale = 1.07664 * (threshold / (index * 1e4)) ** 0.23
    specific = scale * ((1 - index + index * excitation / threshold) ** 0.23 - 1)
    return np.asarray(_BARKS / len(khz) * np.maximum(specific, 0).sum(axis=-1))


def noise_loudness(adapted: Array, modulation: Array) -> Array:
    """Loudness of what the sound under test adds, as far as the reference does not mask it.

    Parameters
    ----------
    adapted, modulation : ndarray of float64, shape (2, n_frames, n_bands)

    Returns
    -------
    ndarray of float64, shape (n_frames,)
        At least 0.
    """
    threshold = ear_tables().internal_noise
    (reference, test), (s_reference, s_test) = adapted, 0.15 * modulation + 0.5
    masked = np.exp(-1.5 * (test - reference) / reference)
    added = np.maximum(s_test * test - s_reference * reference, 0)
    ratio = added / (threshold + s_reference * reference * masked)
    partial = (threshold / s_test) ** 0.23 * ((1 + ratio) ** 0.23 - 1)
    return np.asarray(np.maximum(_BARKS / partial.shape[-1] * partial.sum(axis=-1), 0))
