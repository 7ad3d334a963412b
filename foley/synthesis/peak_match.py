"""Peak-match: play a clean recording's hits where a generated sound has its peaks.

Liu, Li and Cheng (V2RA), Algorithm 1, for sounds whose noise and high frequencies are mixed. At every peak
of the generated sound, a stretch of the reference that starts at one of its own peaks is written, times
the height of the peak.

Decisions that the paper leaves open, or whose text cannot be meant:

- Both sounds are scaled to a peak of 1 first, which the fixed floor of 0.1 asks for.
- The algorithm names the outputs of MATLAB's ``findpeaks`` in the wrong order; a peak here is a local
  maximum of the magnitude, at least an interval away from any higher one.
- The interval is not given: 0.25 s.
- The i-th peak takes the i-th peak of the reference; after the last of these they begin again.
- A later stretch overwrites an earlier one's end, as in the algorithm; stretches end with either sound.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from foley.synthesis.config import PeakMatchConfig

Array = NDArray[np.float64]


def peaks(sound: NDArray[np.floating], n_apart: int, floor: float) -> NDArray[np.intp]:
    """Places of the peaks of a sound.

    Parameters
    ----------
    sound : ndarray of float, shape (n_samples,)
        Of peak 1.
    n_apart : int
        Least distance; the higher of two that are closer is kept.
    floor : float
        Least height.

    Returns
    -------
    ndarray of int, shape (n_peaks,)
        Rising.

    Examples
    --------
    >>> peaks(np.array([1.0, 0, 0, -0.5, 0, 0.05]), 2, 0.1).tolist()
    [0, 3]
    """
    magnitude = np.pad(np.abs(sound), 1)  # so that the first and the last sample can be peaks
    found, _ = find_peaks(magnitude, height=floor, distance=max(1, n_apart))
    return np.asarray(found - 1, dtype=np.intp)


def peak_match(
    generated: NDArray[np.floating],
    reference: NDArray[np.floating],
    sample_rate_hz: int,
    config: PeakMatchConfig | None = None,
) -> NDArray[np.float32]:
    """Replace a generated sound by stretches of a recording at its peaks.

    Parameters
    ----------
    generated : ndarray of float, shape (n_samples,) or (n_samples, n_channels)
        Peaks are looked for in the mean of the channels, and all channels get the same sound.
    reference : ndarray of float, shape (m_samples,)
        A clean recording of the same kind of sound, at the same rate.
    sample_rate_hz : int
    config : PeakMatchConfig, optional
        Its `references` are not looked at here.

    Returns
    -------
    ndarray of float32, shape of `generated`
        Of peak 1; silence where the generated sound is silent.

    Raises
    ------
    ValueError
        If the reference is silent, or a sample is not a finite number.
    """
    config = config or PeakMatchConfig()
    made, recorded = np.asarray(generated, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if made.ndim == 2:
        mono = peak_match(made.mean(axis=1), recorded, sample_rate_hz, config)
        return np.repeat(mono[:, None], made.shape[1], axis=1)
    if recorded.ndim != 1 or not (np.isfinite(made).all() and np.isfinite(recorded).all()):
        raise ValueError("peak-match takes finite samples and a reference of one channel")
    scaled = _of_peak_one(recorded)
    if scaled is None:
        raise ValueError("the reference of peak-match is silent; give a recording in which something sounds")
    matched = np.zeros(len(made))
    own = _of_peak_one(made)
    if own is None:
        return matched.astype(np.float32)
    n_interval = max(1, round(config.interval_s * sample_rate_hz))
    sources = peaks(scaled, n_interval, config.floor)
    for number, place in enumerate(peaks(own, n_interval, config.floor)):
        source = sources[number % len(sources)]
        n = min(n_interval, len(matched) - place, len(scaled) - source)
        matched[place : place + n] = np.abs(own[place]) * scaled[source : source + n]
    result = _of_peak_one(matched)
    return np.asarray(matched if result is None else result, dtype=np.float32)


def _of_peak_one(sound: Array) -> Array | None:
    """Scale a sound to a peak of 1; None for silence."""
    peak = float(np.abs(sound).max(initial=0.0))
    return sound / peak if peak > 0 else None
