"""FoleyGAN's encoding MFCC: cepstral coefficients of the log-mel spectrum.

The orthonormal cosine transform (DCT-II) of the log-mel levels, scaled to [-1, 1] as
:mod:`foley.features.representations.gan_lms` has them, keeps the first ``channel_bins`` coefficients.
Coefficients fall with their number; each is divided by the largest value that the first can have, and
multiplied by ``(1 + number) ** emphasis``, so that the high ones are not lost beside the low.

Inverse: the inverse cosine transform gives log-mel levels; from there as LMS.

Lost: what LMS loses; with fewer coefficients than bands, fine structure over frequency; coefficients
that leave [-1, 1]. The phases of the second channel are those of as many mel bands as there are rows.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.fft import dct, idct

from foley.features.representations.encoding import Plane, from_level, phase_from, planes, stacked, to_level
from foley.features.representations.mel_bands import MelEncoding, analysed, magnitude_from, rows

_SILENT = -1 + 1e-5


class Config(MelEncoding):
    """Settings of the MFCC encoding."""

    n_mels: int | None = Field(None, ge=1, description="mel bands; null takes as many as coefficients")
    emphasis: float = Field(0.5, ge=0, le=1, description="how much high coefficients are raised")

    @property
    def n_bands(self) -> int:
        """Mel bands that are taken."""
        return self.channel_bins if self.n_mels is None else self.n_mels

    @model_validator(mode="after")
    def _coefficients_fit(self) -> Self:
        if self.n_bands < self.channel_bins:
            raise ValueError(f"{self.n_bands} mel bands have no {self.channel_bins} coefficients")
        return self


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
        In [-1, 1]; silence has -1 in the first row and 0 in the others.

    Raises
    ------
    FoleyError
        If the waveform is not as long as the settings say.
    """
    amplitude, phase = analysed(waveform, config)
    coefficients = dct(from_level(amplitude, config), axis=0, norm="ortho")[: config.channel_bins]
    return stacked(np.clip(coefficients / _scale(config), -1, 1), phase, config)


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
    coefficients = np.clip(planes(features, config)[0], -1, 1) * _scale(config)
    levels = idct(coefficients, n=config.n_bands, axis=0, norm="ortho")
    # Rounding must not turn silence, exactly -1, into sound.
    return magnitude_from(to_level(np.where(levels < _SILENT, -1, levels), config), config)


def to_phase(features: NDArray[Any], config: Config) -> Plane | None:
    """Phases (n_fft // 2 + 1, n_stft_frames) in radians, where the encoding holds some."""
    return phase_from(features, rows(config), config)


def _scale(config: Config) -> NDArray[np.float32]:
    """Value of each coefficient that becomes 1, shape (channel_bins, 1)."""
    number = np.arange(config.channel_bins)[:, None]
    return np.asarray(np.sqrt(config.n_bands) / (1 + number) ** config.emphasis, dtype=np.float32)
