r"""Objective similarity grade: V2RA's distance of two sounds in three acoustic features.

Liu, Li and Cheng (V2RA), section 4.3.2, equation 12: :math:`OSG = r_1 MMS + r_2 MSF + r_3 RMS` with
:math:`r` = 0.57, 0.52, 0.45, the correlations with which Gygi, Kidd and Watson (2007) found the three
features to go with judged similarity. It is 0 for two equal sounds, and less is more alike. The paper
says neither what the three letters stand for in a pair of sounds nor how the features are computed; that
they are 0 in its rows "ground truth", and that the grade adds up from the printed columns, says that
each stands for a distance: :math:`OSG(a, b) = \sum_i r_i |f_i(a) - f_i(b)|`.

Decisions that the paper leaves open, of which the absolute numbers depend:

- RMS is the root mean square of the sound, scaled to a peak of 1.
- MSF, the mean spectral flux, is the mean over successive frames of the Euclidean distance of their
  magnitude spectra: Hann windows of 1024 samples, half overlapping, spectra not normalised. Printed
  values of 4 to 58 need that scale.
- MMS, the maximum of the modulation spectrum, is the largest magnitude of the Fourier transform of the
  Hilbert envelope, without its constant part. The transform is orthonormal: printed values of 0.2 to 11
  need about that scale, and without it (``norm: backward``) the length of the sound decides the grade.

The features of a pair are taken at the pair's own rate, as the paper's at 44.1 kHz.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.fft import next_fast_len, rfft
from scipy.signal import hilbert
from scipy.signal.windows import hann

from foley.metrics.base import Item, MetricConfig, Score, of_split
from foley.metrics.statistics import class_parts, mean_score

WEIGHTS = (0.57, 0.52, 0.45)
"""Of MMS, MSF and RMS (section 4.3.2)."""
_UNIT = "grade"


class Config(MetricConfig):
    """Settings of the grade.

    Parameters
    ----------
    weights : tuple of float
        Of MMS, MSF and RMS.
    n_fft : int
        Window of the spectral flux in samples; its step is half of that.
    norm : str
        Of the modulation spectrum's Fourier transform, as SciPy names it.
    """

    weights: tuple[float, float, float] = WEIGHTS
    n_fft: int = Field(default=1024, ge=16)
    norm: Literal["ortho", "backward"] = "ortho"


class Features(NamedTuple):
    """What the grade compares of one sound; each at least 0."""

    mms: float
    msf: float
    rms: float


def grade(distances: ArrayLike, weights: Sequence[float] = WEIGHTS) -> NDArray[np.float64]:
    """Add the distances in the three features up (equation 12).

    Parameters
    ----------
    distances : array of float, shape (..., 3)
        In MMS, MSF and RMS.
    weights : sequence of float, length 3

    Returns
    -------
    ndarray of float64, shape (...)

    Examples
    --------
    >>> round(float(grade([1.1951, 4.3435, 0.3373])), 4)
    3.0916
    """
    return np.asarray(np.asarray(distances, dtype=np.float64) @ np.asarray(weights))


def features(waveform: NDArray[np.floating], config: Config | None = None) -> Features:
    """Maximum of the modulation spectrum, mean spectral flux and RMS of one sound.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Scaled to a peak of 1 before anything else; silence stays silence.
    config : Config, optional

    Returns
    -------
    Features
        All 0 for silence and for no sample.
    """
    config = config or Config()
    sound = np.asarray(waveform, dtype=np.float64)
    peak = float(np.abs(sound).max(initial=0.0))
    if peak == 0:
        return Features(0.0, 0.0, 0.0)
    sound = sound / peak
    return Features(
        _modulation(sound, config.norm),
        _flux(sound, config.n_fft),
        float(np.sqrt(np.mean(sound**2))),
    )


def _modulation(sound: NDArray[np.float64], norm: str) -> float:
    n = len(sound)
    # Zeros after the sound make its length one that transforms quickly; the envelope is cut back to it.
    envelope = np.abs(hilbert(sound, next_fast_len(n)))[:n]
    return float(np.abs(rfft(envelope - envelope.mean(), norm=norm)).max())


def _flux(sound: NDArray[np.float64], n_fft: int) -> float:
    padded = np.pad(sound, (0, max(0, n_fft - len(sound))))
    frames = sliding_window_view(padded, n_fft)[:: n_fft // 2]
    magnitudes = np.abs(rfft(frames * hann(n_fft, sym=False), axis=1))
    steps = np.linalg.norm(np.diff(magnitudes, axis=0), axis=1)
    return float(steps.mean()) if steps.size else 0.0


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Mean grade of generated against recorded sound over the held-out clips.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system.
    config : Config
        Settings.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        At least 0, and 0 for the recorded sound, with a bootstrap interval by recording; parts
        ``class/<label>``, and ``mms``, ``msf``, ``rms``: the mean distance in each feature, with their
        own ``class/<label>``.

    Raises
    ------
    StoreError
        If a clip lacks its sound.
    """
    members = of_split(items, "test")
    rows = [
        np.abs(np.subtract(features(item.generated, config), features(item.recorded, config)))
        for item in members
    ]
    distances = np.array(rows).reshape(len(members), 3)
    whole = _mean(members, grade(distances, config.weights), config, seed, "osg")
    named = {
        name: _mean(members, distances[:, column], config, seed, name)
        for column, name in enumerate(Features._fields)
    }
    return whole.with_parts(named)


def _mean(members: Sequence[Item], values: NDArray[np.float64], config: Config, seed: int, of: str) -> Score:
    parts = class_parts(members, values, _UNIT, config, seed, "osg", of)
    return mean_score(members, values, _UNIT, config, seed, "osg", of).with_parts(parts)
