"""AutoFoley's sound feature: the short-time Fourier magnitude, 129 bins, under a root.

The paper gives 129 bins (``n_fft = 256``), a Hann window, an overlap of 25 to 50 % and as many
frames as the interpolated film has (section III-A). Those do not go together at 44.1 kHz: 190
frames a second force an overlap of 9 %, from which Griffin-Lim rebuilds sound badly. So the
transform is taken at half overlap, and its time axis is averaged to the film's rate for learning
and interpolated back before the inversion. The loss works on "the square root of the sound
features" (section III-C, after Owens et al. 2016): the magnitudes are stored under that root.

The scale is fixed (a full-scale sine has magnitude 1), never fitted to the clip or the data, so
that a faint hit stays faint.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from foley.features.representations.base import (
    Settings,
    check_shape,
    full_scale,
    lengthen_time,
    shorten_time,
    stft_magnitude,
)


class Config(Settings):
    """Settings of the STFT representation."""

    exponent: float = Field(0.5, gt=0, le=1, description="power of the magnitude that is learned")


def represent(waveform: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Turn sound into AutoFoley's sound feature.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Mono clip in [-1, 1].
    config : Config
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_bins, n_frames)
        At least 0; a full-scale sine gives 1.

    Raises
    ------
    FoleyError
        If the waveform is not as long as the settings say.
    """
    magnitude = shorten_time(stft_magnitude(waveform, config), config)
    return np.asarray(magnitude**config.exponent, dtype=np.float32)


def to_magnitude(features: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Turn the sound feature back into STFT magnitudes, ready for Griffin-Lim.

    Parameters
    ----------
    features : ndarray of float, shape (n_bins, n_frames)
        As :func:`represent` gives, or predicted; negative values count as 0.
    config : Config
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_bins, n_stft_frames)
        Magnitudes of the centred STFT of a waveform in [-1, 1] with a periodic Hann window of
        ``n_fft`` and ``hop_length`` (unscaled: what ``librosa.stft`` and ``torch.stft`` give).

    Raises
    ------
    FoleyError
        If the features do not have the configured shape.
    """
    check_shape(features, config)
    magnitude = np.maximum(np.asarray(features, dtype=np.float32), 0) ** (1 / config.exponent)
    return lengthen_time(magnitude, config) * np.float32(full_scale(config))
