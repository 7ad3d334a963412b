"""E-L1: how far the loudness curve of the generated sound is from the recorded one.

The curve is the root mean square of overlapping windows, the distance is the mean absolute
difference over time, as Video-Foley scores its sounds. Its settings are the defaults.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from foley.errors import StoreError
from foley.metrics.base import Item, MetricConfig, Score, of_split
from foley.metrics.statistics import class_parts, mean_score


class Config(MetricConfig):
    """Settings of the curve.

    Parameters
    ----------
    window_s, hop_s : float
        Length and step of the windows, in seconds.
    """

    window_s: float = Field(default=0.032, gt=0)
    hop_s: float = Field(default=0.008, gt=0)


def rms_curve(
    waveform: NDArray[np.floating], sample_rate_hz: int, window_s: float, hop_s: float
) -> NDArray[np.float64]:
    """Root mean square over time.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Signal; zeros are put on both sides so that windows are centred on their times.
    sample_rate_hz : int
        Rate of the signal.
    window_s, hop_s : float
        Length and step of the windows, in seconds.

    Returns
    -------
    ndarray of float64, shape (1 + n_samples // hop,)
        Value ``k`` belongs to time ``k * hop_s``.

    Examples
    --------
    >>> rms_curve(np.full(8, 3.0), 4, 0.5, 0.5).tolist()[1:4]
    [3.0, 3.0, 3.0]
    """
    window, hop = max(1, round(window_s * sample_rate_hz)), max(1, round(hop_s * sample_rate_hz))
    power = np.pad(np.square(waveform, dtype=np.float64), (window // 2, window))
    total = np.concatenate([[0.0], np.cumsum(power)])
    starts = np.arange(1 + len(waveform) // hop) * hop
    # Differences of running sums can fall a rounding error below zero in silence.
    return np.asarray(np.sqrt(np.maximum(total[starts + window] - total[starts], 0.0) / window))


def envelope_pair(
    item: Item, window_s: float, hop_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """RMS curves of a clip's generated and recorded sound; StoreError if their lengths differ."""
    generated, recorded = equal_length(item)
    rate = item.sample_rate_hz
    return rms_curve(generated, rate, window_s, hop_s), rms_curve(recorded, rate, window_s, hop_s)


def equal_length(item: Item, tolerance_s: float = 0.05) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Generated and recorded waveform of a clip, cut to the shorter one.

    Raises
    ------
    StoreError
        If they differ by more than `tolerance_s`: then one is of another clip or another rate.
    """
    generated, recorded = item.generated, item.recorded
    if abs(len(generated) - len(recorded)) > tolerance_s * item.sample_rate_hz:
        raise StoreError(
            f"{item.clip_id}: generated sound has {len(generated)} samples, recorded {len(recorded)}; "
            "synthesize it again at the clips' sample rate and duration"
        )
    n = min(len(generated), len(recorded))
    return generated[:n], recorded[:n]


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Mean absolute difference of the RMS curves over the held-out clips.

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
        Value in full-scale amplitude, at least 0, 0 for equal loudness; parts ``class/<label>`` and
        ``level_matched``: the same after the generated curve was scaled to fit best in the
        least-squares sense, which forgives a wrong volume but not wrong timing.
    """
    members = of_split(items, "test")
    plain, matched = [], []
    for item in members:
        generated, recorded = envelope_pair(item, config.window_s, config.hop_s)
        energy = float(generated @ generated)
        gain = float(generated @ recorded) / energy if energy > 0 else 0.0
        plain.append(float(np.abs(generated - recorded).mean()))
        matched.append(float(np.abs(gain * generated - recorded).mean()))
    values = np.array(plain)
    parts = {
        "level_matched": mean_score(members, np.array(matched), "amplitude", config, seed, "level_matched")
    }
    parts |= class_parts(members, values, "amplitude", config, seed, "envelope")
    return mean_score(members, values, "amplitude", config, seed, "envelope").with_parts(parts)
