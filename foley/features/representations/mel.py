"""REGNET's sound feature: a logarithmic mel spectrogram in [0, 1].

The released recipe (``extract_mel_spectrogram.py`` of github.com/PeihaoChen/regnet): magnitude of
the STFT (1024, 256, periodic Hann window, centred, ends reflected), 80 triangular bands of equal
area from 125 to 7600 Hz (Slaney), ``20 log10(max(1e-5, m)) - 20`` dB, mapped from [-100, 0] to
[0, 1] and clipped; of the 862 frames of 10 s the first 860 are kept. A vocoder must share every
number of it.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from foley.features.representations.base import (
    Settings,
    check_shape,
    full_scale,
    spread_bands,
    stft_magnitude,
)

_REFERENCE_DB = 20.0
_RANGE_DB = 100.0
_N_UPDATES = 30
"""Steps of the inversion: they meet the bands of a noisy decaying tone within 0.01 dB on average."""


class Config(Settings):
    """Settings of the mel representation; the defaults are REGNET's."""

    sample_rate_hz: int = Field(22_050, gt=0)
    duration_s: float = Field(10.0, gt=0, description="length of the clips")
    n_fft: int = Field(1024, ge=4, multiple_of=2, description="window and transform length, in samples")
    hop_length: int = Field(256, ge=1, description="step, in samples")
    n_frames: int | None = Field(
        860, ge=1, description="frames that are kept, from the first; null keeps all"
    )
    n_mels: int = Field(80, ge=1, description="bands")
    lowest_hz: float = Field(125.0, ge=0)
    highest_hz: float = Field(7600.0, gt=0)
    floor: float = Field(1e-5, gt=0, description="smallest band magnitude")

    @property
    def n_bins(self) -> int:
        """Rows of the representation."""
        return self.n_mels

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if self.n_frames is not None and self.n_frames > self.n_stft_frames:
            raise ValueError(
                f"n_frames is {self.n_frames}, a clip of {self.duration_s} s has {self.n_stft_frames} frames"
            )
        if not self.lowest_hz < self.highest_hz <= self.sample_rate_hz / 2:
            raise ValueError("lowest_hz < highest_hz <= sample_rate_hz / 2 must hold")
        return self


def represent(waveform: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Turn sound into REGNET's mel spectrogram.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Mono clip in [-1, 1] at the configured rate.
    config : Config
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_mels, n_frames)
        In [0, 1]; silence gives 0.

    Raises
    ------
    FoleyError
        If the waveform is not as long as the settings say.
    """
    magnitude = stft_magnitude(waveform, config) * np.float32(full_scale(config))
    bands = filters(config) @ magnitude
    decibels = 20 * np.log10(np.maximum(bands, config.floor)) - _REFERENCE_DB
    scaled = np.clip((decibels + _RANGE_DB) / _RANGE_DB, 0.0, 1.0)
    return np.ascontiguousarray(scaled[:, : config.n_steps], dtype=np.float32)


def to_magnitude(features: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Find STFT magnitudes whose mel spectrogram is the given one.

    See :func:`foley.features.representations.base.spread_bands`.

    Parameters
    ----------
    features : ndarray of float, shape (n_mels, n_frames)
        As :func:`represent` gives, or predicted; clipped to [0, 1].
    config : Config
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_fft // 2 + 1, n_stft_frames)
        Magnitudes ready for Griffin-Lim; the last frame is held where frames were cut off.

    Raises
    ------
    FoleyError
        If the features do not have the configured shape.
    """
    check_shape(features, config)
    scaled = np.clip(np.asarray(features, dtype=np.float32), 0.0, 1.0)
    bands = 10 ** ((scaled * _RANGE_DB - _RANGE_DB + _REFERENCE_DB) / 20)
    bands = np.where(scaled > 0, bands, 0.0).astype(np.float32)
    found = spread_bands(filters(config), bands, _N_UPDATES)
    missing = config.n_stft_frames - config.n_steps
    return np.asarray(np.pad(found, ((0, 0), (0, missing)), mode="edge"), dtype=np.float32)


@lru_cache(maxsize=4)
def filters(config: Config) -> NDArray[np.float32]:
    """Mel filters of equal area, shape (n_mels, n_fft // 2 + 1)."""
    # Here and not above: librosa takes seconds to load, and many stages only check a mel's settings.
    from foley.features.librosa_shim import librosa

    return np.asarray(
        librosa.filters.mel(
            sr=config.sample_rate_hz,
            n_fft=config.n_fft,
            n_mels=config.n_mels,
            fmin=config.lowest_hz,
            fmax=config.highest_hz,
            htk=False,
            norm="slaney",
            dtype=np.float32,
        )
    )
