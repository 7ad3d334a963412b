"""Squared distance of the predicted spectrogram from that of the clean recorded sound.

REGNET's "L2 distance" (Chen et al. 2020, Tables III and VIII, there times 100): the mean squared
difference of two spectrograms in the representation that was learned, [0, 1] for REGNET's mel. The
truth is the clip's own sound, also where the system learned it mixed with another.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foley.errors import StoreError
from foley.features.audio import RepresentationConfig, represent_at
from foley.metrics.base import Item, MetricConfig, Score, of_split
from foley.metrics.statistics import class_parts, mean_score

_UNIT = "squared"

Config = MetricConfig


def squared_distance(predicted: NDArray[np.floating], truth: NDArray[np.floating], clip: str) -> float:
    """Mean squared difference of two spectrograms of the same shape; StoreError names `clip` if not.

    Examples
    --------
    >>> squared_distance(np.array([[0.0, 1.0]]), np.array([[0.5, 1.0]]), "clip")
    0.125
    """
    if predicted.shape != truth.shape:
        raise StoreError(
            f"{clip}: the predicted spectrogram has shape {predicted.shape}, the recorded sound's has "
            f"{truth.shape}; run the experiment again"
        )
    difference = predicted.astype(np.float64) - truth
    return float(np.mean(difference**2))


def score(items: Sequence[Item], config: MetricConfig, seed: int) -> Score:
    """Mean squared distance over the held-out clips.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system.
    config : MetricConfig
        Settings.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        Value at least 0, 0 for the recorded sound's own spectrogram, with a bootstrap interval by
        recording; parts ``class/<label>``. ``None`` for a system that makes no spectrogram. Part
        ``sound``, with its own ``class/<label>``: the same of the sound that was made, analysed again,
        which holds what the vocoder adds.

    Raises
    ------
    StoreError
        If a clip lacks its sound, or lengths do not fit the representation.
    """
    members = of_split(items, "test")
    drawn, heard = [], []
    for item in members:
        representation = RepresentationConfig(**item.representation)
        truth = represent_at(item.recorded, item.sample_rate_hz, representation, item.clip_id)
        again = represent_at(item.generated, item.sample_rate_hz, representation, item.clip_id)
        heard.append(squared_distance(again, truth, item.clip_id))
        if item.load_spectrogram is not None:
            drawn.append(squared_distance(item.spectrogram, truth, item.clip_id))
    sound = _mean(members, heard, config, seed, "sound")
    if len(drawn) < len(members):
        whole = Score(None, 0, _UNIT, note="this system makes no spectrogram")
    else:
        whole = _mean(members, drawn, config, seed, "spectrogram")
    return whole.with_parts({"sound": sound})


def _mean(members: Sequence[Item], values: list[float], config: MetricConfig, seed: int, of: str) -> Score:
    found = np.array(values)
    parts = class_parts(members, found, _UNIT, config, seed, "l2", of)
    return mean_score(members, found, _UNIT, config, seed, "l2", of).with_parts(parts)
