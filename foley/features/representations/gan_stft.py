"""FoleyGAN's own sound encoding: log magnitude and phase of the short-time Fourier transform.

Of the 513 bins of the paper's transform one is dropped, so that 512 are left: that at half the sample
rate, or that at 0 Hz (``dropped``). With fewer rows than bins, as many neighbouring bins share a row:
the row holds the root of their mean power, and the phase of the middle one.

Inverse: the bins of a row share its magnitude equally, the dropped bin is empty; the phases, where
there are any, are where Griffin-Lim starts (without iterations: the inverse transform itself).

Lost: what is softer than ``floor_db``; the dropped bin; the ends of the clip
(:mod:`foley.features.representations.encoding`); with fewer rows, all detail in a row; with one
channel, the phase.
"""

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from foley.features.representations.base import full_scale, stft
from foley.features.representations.encoding import (
    Encoding,
    Plane,
    all_frames,
    from_level,
    kept_frames,
    phase_at,
    phase_from,
    planes,
    stacked,
    to_level,
)
from foley.features.representations.levels import Levels


class Config(Encoding):
    """Settings of the STFT encoding."""

    dropped: Literal["nyquist", "dc"] = Field("nyquist", description="bin that is left out")

    @property
    def pooled(self) -> int:
        """Neighbouring bins in a row."""
        return self.n_fft // 2 // self.channel_bins

    @model_validator(mode="after")
    def _rows_fit(self) -> Self:
        if (self.n_fft // 2) % self.channel_bins:
            raise ValueError(
                f"channel_bins is {self.channel_bins}, no divisor of n_fft / 2 = {self.n_fft // 2}"
            )
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
        In [-1, 1]; the magnitude of silence is -1.

    Raises
    ------
    FoleyError
        If the waveform is not as long as the settings say.
    """
    spectrum = stft(waveform, config)
    magnitude = np.abs(kept_frames(spectrum, config))[_kept_bins(config)] / np.float32(full_scale(config))
    power = np.square(magnitude).reshape(config.channel_bins, config.pooled, -1).mean(axis=1)
    return stacked(from_level(np.sqrt(power), config), phase_at(spectrum, _rows(config), config), config)


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
    rows = to_level(planes(features, config)[0], config) * np.float32(full_scale(config))
    magnitude = np.zeros((1 + config.n_fft // 2, config.n_frames), dtype=np.float32)
    magnitude[_kept_bins(config)] = np.repeat(rows, config.pooled, axis=0)
    return all_frames(magnitude, config)


def to_phase(features: NDArray[Any], config: Config) -> Plane | None:
    """Phases (n_fft // 2 + 1, n_stft_frames) in radians, where the encoding holds some."""
    return phase_from(features, _rows(config), config)


def levels(config: Config) -> Levels:
    """Say what the rows are: the bins that share one, and the middle one for the phase."""
    bins_hz = np.arange(1 + config.n_fft // 2) * config.sample_rate_hz / config.n_fft
    bands_hz = bins_hz[_kept_bins(config)].reshape(config.channel_bins, config.pooled)
    return Levels.of(bands_hz, bins_hz[_rows(config)], config.db_per_unit)


def _kept_bins(config: Config) -> slice:
    return slice(1, None) if config.dropped == "dc" else slice(0, -1)


def _rows(config: Config) -> NDArray[np.intp]:
    """Middle bin of each row."""
    first = config.pooled // 2 + (config.dropped == "dc")
    return first + config.pooled * np.arange(config.channel_bins)
