"""FoleyGAN's encoding CQT: levels of a constant-Q transform (librosa's, Brown 1991).

The transform is taken ``oversampling`` times as often as the encoding has columns, because the filters
of high notes are shorter than a step; the root of the mean power over a step is kept. A full-scale sine
on a note has level 0 dB. Low notes have long filters (at the paper's size 2 s at 40 Hz): a hit is
smeared over them, ``filter_scale`` below 1 shortens them at the cost of pitch.

Inverse: power is taken to be steady for as long as a filter lasts; then a note's power is a known mean
over the bins of the STFT, and non-negative least squares gives the bins, Griffin-Lim the sound. The
second channel holds the phase of the STFT's bin nearest to each note, where Griffin-Lim starts.
``librosa.icqt`` is not used: with rows as far apart as a picture's it is no inverse of ``librosa.cqt``
(docs/encodings.md has what was measured).

Lost: what is softer than ``floor_db``; what lies below ``lowest_hz`` or above the highest note; when low
notes start; how power is shared between notes; with one channel, the phase; the ends of the clip.
"""

from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from foley.features.librosa_shim import librosa
from foley.features.representations.base import full_scale, spread_bands, stft
from foley.features.representations.encoding import (
    Encoding,
    Plane,
    all_frames,
    from_level,
    phase_at,
    phase_from,
    planes,
    stacked,
    to_level,
)
from foley.features.representations.levels import Levels

_N_UPDATES = 30
_N_POINTS = 8
"""Frequencies that stand for what a note hears."""
_N_INSIDE = 16
"""Points inside a bin at which a filter's response is averaged."""
_HANN_POWER = 1.5
"""Sum of the power of a full-scale sine over the bins of an STFT with a Hann window."""


class Config(Encoding):
    """Settings of the constant-Q encoding; ``n_fft`` is that of the way back, and of the phase."""

    lowest_hz: float = Field(40.0, gt=0, description="lowest note")
    bins_per_octave: int = Field(57, ge=1, description="notes in an octave; the default's highest is 20 kHz")
    filter_scale: float = Field(1.0, gt=0, description="length of the filters; below 1 is sharper in time")
    oversampling: int = Field(4, ge=1, description="columns of the transform in one of the encoding")

    @property
    def notes_hz(self) -> NDArray[np.float64]:
        """Frequency of each row, (channel_bins,)."""
        return np.asarray(self.lowest_hz * 2 ** (np.arange(self.channel_bins) / self.bins_per_octave))

    @model_validator(mode="after")
    def _notes_fit(self) -> Self:
        _, upper_hz = _filter_lengths(self)
        if upper_hz > self.sample_rate_hz / 2:
            raise ValueError(
                f"the highest of {self.channel_bins} notes reaches up to {upper_hz:.0f} Hz, above half the "
                "sample rate; lower lowest_hz or raise bins_per_octave"
            )
        if self.hop_length % self.oversampling:
            raise ValueError(f"oversampling must divide hop_length = {self.hop_length}")
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
    phase = phase_at(stft(waveform, config), _rows(config), config)
    transform = librosa.cqt(
        np.asarray(waveform, dtype=np.float32),
        sr=config.sample_rate_hz,
        hop_length=config.hop_length // config.oversampling,
        fmin=config.lowest_hz,
        n_bins=config.channel_bins,
        bins_per_octave=config.bins_per_octave,
        filter_scale=config.filter_scale,
        scale=True,
    )
    lengths, _ = _filter_lengths(config)
    power = np.square(np.abs(transform) * (2 / np.sqrt(lengths))[:, None])
    # The steps of one column lie around its centre.
    steps = np.arange(config.oversampling) - config.oversampling // 2
    columns = config.first_frame + np.arange(config.n_frames)
    taken = np.clip(columns[:, None] * config.oversampling + steps, 0, power.shape[1] - 1)
    return stacked(from_level(np.sqrt(power[:, taken].mean(axis=2)), config), phase, config)


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
    level = to_level(planes(features, config)[0], config)
    power = spread_bands(responses(config), np.square(level), _N_UPDATES)
    return all_frames(np.sqrt(power) * np.float32(full_scale(config)), config)


def to_phase(features: NDArray[Any], config: Config) -> Plane | None:
    """Phases (n_fft // 2 + 1, n_stft_frames) in radians, where the encoding holds some."""
    return phase_from(features, _rows(config), config)


def levels(config: Config) -> Levels:
    """Say what the rows are: what each note hears, and the bin next to it for the phase."""
    lengths, _ = _filter_lengths(config)
    away = np.linspace(-2, 2, 401)
    heard = np.cumsum(np.square(_hann_transform(away)))
    points = np.interp((np.arange(_N_POINTS) + 0.5) / _N_POINTS, heard / heard[-1], away)
    bands_hz = config.notes_hz[:, None] + points * config.sample_rate_hz / lengths[:, None]
    phases_hz = _rows(config) * config.sample_rate_hz / config.n_fft
    return Levels.of(bands_hz, phases_hz, config.db_per_unit)


def _rows(config: Config) -> NDArray[np.intp]:
    """STFT bin nearest to each note."""
    return np.rint(config.notes_hz * config.n_fft / config.sample_rate_hz).astype(np.intp)


def _filter_lengths(config: Config) -> tuple[NDArray[np.float64], float]:
    """Length of each note's filter in samples, (channel_bins,), and the upper end of the highest in Hz."""
    # The relative width of a note's band as librosa.cqt takes it, where all notes are equally far apart.
    ratio = 2 ** (2 / config.bins_per_octave)
    lengths, upper_hz = librosa.filters.wavelet_lengths(
        freqs=config.notes_hz,
        sr=config.sample_rate_hz,
        filter_scale=config.filter_scale,
        alpha=np.full(config.channel_bins, (ratio - 1) / (ratio + 1)),
    )
    return np.asarray(lengths), float(upper_hz)


@lru_cache(maxsize=4)
def responses(config: Config) -> NDArray[np.float32]:
    """Power that each STFT bin adds to each note's, for steady sound: (channel_bins, n_fft // 2 + 1).

    The squared transform of a note's Hann window at the bin's distance, averaged over the bin.
    """
    lengths, _ = _filter_lengths(config)
    inside = (np.arange(_N_INSIDE) + 0.5) / _N_INSIDE - 0.5
    bins_hz = (np.arange(1 + config.n_fft // 2)[:, None] + inside) * config.sample_rate_hz / config.n_fft
    found = np.empty((config.channel_bins, len(bins_hz)), dtype=np.float32)
    for row, (note_hz, length) in enumerate(zip(config.notes_hz, lengths, strict=True)):
        away = (bins_hz - note_hz) * length / config.sample_rate_hz
        found[row] = np.square(_hann_transform(away)).mean(axis=1) / _HANN_POWER
    return found


def _hann_transform(away: NDArray[np.float64]) -> NDArray[np.float64]:
    """Transform of a Hann window, 1 at 0, at distances in inverse lengths of the window."""
    near_one = np.abs(np.abs(away) - 1) < 1e-6
    safe = np.where(near_one, 0.0, away)
    return np.where(near_one, 0.5, np.sinc(safe) / (1 - safe**2))
