"""FoleyGAN's encoding LMS: the logarithm of the mel spectrum, from ``floor_db`` to ``top_db``.

Inverse: non-negative least squares from the bands to the bins, then Griffin-Lim, which starts at the
phases of the second channel where there is one.

Lost: what is softer than ``floor_db``; how power is shared in a band; with one channel, the phase; the
ends of the clip (:mod:`foley.features.representations.encoding`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foley.features.representations.encoding import Plane, from_level, phase_from, planes, stacked, to_level
from foley.features.representations.levels import Levels
from foley.features.representations.mel_bands import (
    MelEncoding,
    analysed,
    band_points,
    magnitude_from,
    rows,
)


class Config(MelEncoding):
    """Settings of the log-mel spectrum encoding."""


def represent(waveform: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Turn sound into the encoding.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Mono clip in [-1, 1] at the configured rate.
    config : Config
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_channels * channel_bins, n_frames)
        In [-1, 1]; the magnitude of silence is -1.

    Raises
    ------
    FoleyError
        If the waveform is not as long as the settings say.
    """
    amplitude, phase = analysed(waveform, config)
    return stacked(from_level(amplitude, config), phase, config)


def to_magnitude(features: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Turn the encoding back into STFT magnitudes.

    Parameters
    ----------
    features : ndarray of float, shape (n_channels * channel_bins, n_frames)
        As :func:`represent` gives, or predicted; clipped to [-1, 1].
    config : Config
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_fft // 2 + 1, n_stft_frames)
        Unscaled magnitudes, ready for Griffin-Lim.

    Raises
    ------
    FoleyError
        If the features do not have the configured shape.
    """
    return magnitude_from(to_level(planes(features, config)[0], config), config)


def to_phase(features: NDArray[Any], config: Config) -> Plane | None:
    """Phases (n_fft // 2 + 1, n_stft_frames) in radians, where the encoding holds some."""
    return phase_from(features, rows(config), config)


def levels(config: Config) -> Levels:
    """Say what the rows are: the mel bands, and the bin next to the middle of each for the phase."""
    phases_hz = rows(config) * config.sample_rate_hz / config.n_fft
    return Levels.of(band_points(config), phases_hz, config.db_per_unit)
