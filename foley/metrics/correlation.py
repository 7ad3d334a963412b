"""Average normalised cross-correlation of generated and recorded sound (AutoFoley, Table I).

The paper says "average normalized cross correlation values between our generated and original audio
signals", and no more: not of what, not at which lag. All its class averages are above 0.5, for rain
and fire too. Two waveforms of the same rain are as good as independent, and the peak of their
cross-correlation over all lags is a few hundredths; so the printed values cannot come from
waveforms, unless the generated sound held the recorded one. Loudness curves (RMS over time) are
positive, and the normalised cross-correlation of two positive curves without removing their means
lies in the printed range: near 1 for steady sounds, lower for sounds of separate hits, the highest
over lags forgiving a common delay. Two recordings of one class of the procedural data give, on
average over eight pairs, 0.86 for rain, 0.82 for fire, 0.62 for break and 0.41 for cutting in this
reading, and 0.02 to 0.13 for waveforms. Table I is therefore read as ``envelope_peak``. The other
readings are parts of the score, so that nobody has to believe this one:

==================  ===============================================================
``envelope_peak``   RMS curves, maximum over all lags: Table I
``envelope_lag0``   RMS curves, no lag: forgives no delay
``waveform_peak``   waveforms, maximum of the absolute value over all lags
``waveform_lag0``   waveforms, no lag (signed)
==================  ===============================================================

As loudness curves of unlike clips correlate too, ``envelope_peak`` is no measure of sync; that is
:mod:`foley.metrics.sync`.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.signal import correlate

from foley.metrics.base import Item, MetricConfig, Score, of_split
from foley.metrics.envelope import equal_length, rms_curve
from foley.metrics.statistics import class_average_score, class_parts

Reading = Literal["envelope_peak", "envelope_lag0", "waveform_peak", "waveform_lag0"]
READINGS: tuple[Reading, ...] = ("envelope_peak", "envelope_lag0", "waveform_peak", "waveform_lag0")


class Config(MetricConfig):
    """Settings of the correlation.

    Parameters
    ----------
    reading : str
        Which reading is the value of the score.
    window_s, hop_s : float
        Length and step of the RMS windows, in seconds.
    """

    reading: Reading = "envelope_peak"
    window_s: float = Field(default=0.02, gt=0)
    hop_s: float = Field(default=0.005, gt=0)


def normalised_correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    r"""Cross-correlation over all lags, divided by the norms of both signals.

    Parameters
    ----------
    first, second : ndarray of float, shape (n,) and (m,)
        Signals; means are not removed.

    Returns
    -------
    ndarray of float64, shape (n + m - 1,)
        :math:`\sum_t a_{t+k} b_t / (\|a\| \|b\|)`, each in [-1, 1]; lag 0 is at index ``m - 1``. All
        zero when a signal is silent.

    Examples
    --------
    >>> normalised_correlation(np.array([1.0, 0, 0]), np.array([0, 0, 2.0])).round(6).tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0]
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norm == 0:
        return np.zeros(len(a) + len(b) - 1)
    return np.asarray(correlate(a, b, mode="full", method="fft") / norm)


def readings(
    generated: NDArray[np.floating], recorded: NDArray[np.floating], sample_rate_hz: int, config: Config
) -> dict[Reading, float]:
    """All four readings of one pair of waveforms of shape (n_samples,); see the module's table."""
    wave = normalised_correlation(generated, recorded)
    curves = [
        rms_curve(signal, sample_rate_hz, config.window_s, config.hop_s) for signal in (generated, recorded)
    ]
    envelope = normalised_correlation(curves[0], curves[1])
    return {
        "envelope_peak": float(envelope.max()),
        "envelope_lag0": float(envelope[len(curves[1]) - 1]),
        "waveform_peak": float(np.abs(wave).max()),
        "waveform_lag0": float(wave[len(recorded) - 1]),
    }


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Average normalised cross-correlation over the classes of the held-out clips.

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
        Value of the configured reading, averaged over the clips of a class and then over classes,
        as the last row of Table I; parts ``class/<label>`` and, for each reading, ``<reading>`` with
        its own ``class/<label>``.
    """
    members = of_split(items, "test")
    if not members:
        return Score(None, 0, "correlation", note="no clip")
    found = [readings(*equal_length(item), item.sample_rate_hz, config) for item in members]
    scores: dict[str, Score] = {}
    for reading in READINGS:
        values = np.array([one[reading] for one in found])
        parts = class_parts(members, values, "correlation", config, seed, reading)
        average = class_average_score(members, values, "correlation", config, seed, reading)
        scores[reading] = average.with_parts(parts)
    chosen = scores[config.reading]
    return chosen.with_parts(scores)
