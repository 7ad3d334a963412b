"""Nearest-neighbour retrieval: whether the recording most like the generated sound is of its class.

Liu, Li and Cheng (V2RA), section 4.3.3, ask whether the recording that is retrieved for a video is of the
video's class, and report 15.71 % beside a chance of 14.29 % for seven classes. They name neither the
features nor the distance, and retrieve among the recordings of the test set; "visual features" can only
reach them through the sound that is made of the picture, as both are compared here. The value retrieves
among the training recordings, which no test clip is among; part ``test_set`` among those of the test
set, the paper's way, where the clip's own recording is one that may be found.

Features, the same of every sound whatever its level: means and standard deviations over time of 20
mel-frequency cepstral coefficients from the second on, each scaled by its spread over the recordings that
are searched; the distance is Euclidean. Frames that are silent are left out.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pydantic import Field
from scipy.fft import dct, rfft

from foley.errors import StoreError
from foley.metrics.base import Item, MetricConfig, Score, labels_of, of_split
from foley.metrics.statistics import proportion_score

_N_FFT, _HOP = 2048, 1024
_N_MELS = 40
_FLOOR = 1e-8
"""Share of the loudest band's power below which nothing is told apart: 80 dB."""
_LOWEST_HZ = 50.0

Array = NDArray[np.float64]


class Config(MetricConfig):
    """Settings of the retrieval.

    Parameters
    ----------
    n_coefficients : int
        Cepstral coefficients that are compared.
    """

    n_coefficients: int = Field(default=20, ge=1, lt=_N_MELS)


def describe(waveform: NDArray[np.floating], sample_rate_hz: int, n_coefficients: int = 20) -> Array:
    """Features of one sound.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
    sample_rate_hz : int
    n_coefficients : int

    Returns
    -------
    ndarray of float64, shape (2 * n_coefficients,)
        Means, then standard deviations; all 0 for silence.
    """
    padded = np.pad(np.asarray(waveform, dtype=np.float32), (0, max(0, _N_FFT - len(waveform))))
    frames = sliding_window_view(padded, _N_FFT)[::_HOP]
    window = np.hanning(_N_FFT).astype(np.float32)
    power = np.abs(rfft(frames * window, axis=1)) ** 2 @ _mel_bank(sample_rate_hz)
    loudest = float(power.max(initial=0.0))
    if loudest == 0:
        return np.zeros(2 * n_coefficients)
    heard = power[power.max(axis=1) > _FLOOR * loudest]
    cepstra = dct(np.log(np.maximum(heard / loudest, _FLOOR)), norm="ortho", axis=1)[
        :, 1 : n_coefficients + 1
    ]
    return np.concatenate([cepstra.mean(axis=0), cepstra.std(axis=0)]).astype(np.float64)


@cache
def _mel_bank(sample_rate_hz: int) -> NDArray[np.float32]:
    """Triangles that are evenly spaced in O'Shaughnessy's mel, (n_bins, n_mels)."""
    low, high = (2595 * float(np.log10(1 + hz / 700)) for hz in (_LOWEST_HZ, sample_rate_hz / 2))
    corners = 700 * (10 ** (np.linspace(low, high, _N_MELS + 2) / 2595) - 1)
    bins = np.arange(_N_FFT // 2 + 1)[:, None] * sample_rate_hz / _N_FFT
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return np.asarray(np.maximum(np.minimum(rising, falling), 0), dtype=np.float32)


def nearest(queries: Array, gallery: Array) -> NDArray[np.intp]:
    """Index of the nearest row of the gallery for each query.

    Parameters
    ----------
    queries : ndarray of float64, shape (n_queries, n_features)
    gallery : ndarray of float64, shape (n_gallery, n_features)
        Each feature is divided by its spread over the gallery; one without spread is not compared.

    Returns
    -------
    ndarray of int, shape (n_queries,)
        The first of several that are equally near.

    Examples
    --------
    >>> nearest(np.array([[0.9, 5.0]]), np.array([[0.0, 5.0], [1.0, 5.0]])).tolist()
    [1]
    """
    spread = gallery.std(axis=0)
    kept = spread > 0
    scaled = gallery[:, kept] / spread[kept]
    distances = [np.sum((scaled - query) ** 2, axis=1) for query in queries[:, kept] / spread[kept]]
    return np.array([int(np.argmin(row)) for row in distances], dtype=np.intp)


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Proportion of held-out clips whose nearest recording is of their class.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system; each knows the recordings of the whole data set.
    config : Config
        Settings.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        Value in [0, 1] with a Wilson interval; parts ``class_average``, ``class/<label>``, ``chance`` (a
        recording drawn at random from those that are searched), and ``test_set`` with the same.

    Raises
    ------
    StoreError
        If there is no recording to search among.
    """
    members = of_split(items, "test")
    if not members:
        return Score(None, 0, "proportion", note="no clip")
    sounds = np.array([describe(one.generated, one.sample_rate_hz, config.n_coefficients) for one in members])
    train, test = (_retrieved(members, sounds, split, config, seed) for split in ("train", "test"))
    return train.with_parts({"test_set": test})


def _retrieved(members: Sequence[Item], sounds: Array, split: str, config: Config, seed: int) -> Score:
    recordings = [one for one in members[0].recordings if one.split == split]
    if not recordings:
        raise StoreError(f"{members[0].clip_id}: no {split} recording to search among; check the split")
    gallery = np.array([describe(*one.load(), config.n_coefficients) for one in recordings])
    labels = np.array([one.label for one in recordings])
    own = np.array([item.label for item in members])
    hits = labels[nearest(sounds, gallery)] == own
    chances = np.array([float(np.mean(labels == label)) for label in own])
    parts = {
        f"class/{label}": proportion_score(hits[own == label], config.level) for label in labels_of(members)
    }
    parts["class_average"] = Score(
        float(np.mean([part.value for part in parts.values()])), len(members), "proportion"
    )
    chance = float(chances.mean())
    parts["chance"] = Score(chance, len(recordings), "proportion")
    whole = proportion_score(hits, config.level)
    note = f"chance {100 * chance:.1f} %, {len(recordings)} {split} recordings"
    return Score(whole.value, whole.n, whole.unit, whole.ci_low, whole.ci_high, parts, note)
