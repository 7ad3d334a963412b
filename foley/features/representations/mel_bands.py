"""Mel bands of the power spectrum, as many as a picture has rows, and the way back.

Where the bands are at least a bin apart they are the triangles of ``librosa.filters.mel`` (HTK scale,
peak 1). With 512 bands over 513 bins (FoleyGAN) those of the low notes would fall between two bins and
hear nothing; they are widened to a bin, so that every band hears something and no bin is lost.
"""

from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from foley.features.librosa_shim import librosa
from foley.features.representations.base import full_scale, spread_bands, stft
from foley.features.representations.encoding import Encoding, Plane, all_frames, kept_frames, phase_at

_N_POINTS = 8
"""Frequencies that stand for a band."""
_N_UPDATES = 30
"""Steps of the inversion; more change the levels of the bands by less than 0.1 dB on average."""


class MelEncoding(Encoding):
    """Settings of the encodings on mel bands."""

    lowest_hz: float = Field(0.0, ge=0, description="lower edge of the lowest band")
    highest_hz: float | None = Field(None, gt=0, description="upper edge; null is half the sample rate")

    @property
    def n_bands(self) -> int:
        """Mel bands that are taken."""
        return self.channel_bins

    @model_validator(mode="after")
    def _bands_fit(self) -> Self:
        if not self.lowest_hz < self.upper_hz <= self.sample_rate_hz / 2:
            raise ValueError("lowest_hz < highest_hz <= sample_rate_hz / 2 must hold")
        return self

    @property
    def upper_hz(self) -> float:
        """Upper edge of the highest band."""
        return self.sample_rate_hz / 2 if self.highest_hz is None else self.highest_hz


def band_centres(config: MelEncoding, n_bands: int) -> NDArray[np.float64]:
    """Centres of `n_bands` bands in Hz, with the two edges around them: (n_bands + 2,)."""
    edges = librosa.mel_frequencies(n_mels=n_bands + 2, fmin=config.lowest_hz, fmax=config.upper_hz, htk=True)
    return np.asarray(edges, dtype=np.float64)


@lru_cache(maxsize=4)
def filters(config: MelEncoding) -> NDArray[np.float32]:
    """Triangles of peak 1 and at least a bin on either side, shape (n_bands, n_fft // 2 + 1)."""
    middle, below, above = _triangles(config)
    bins = np.arange(1 + config.n_fft // 2) * (config.sample_rate_hz / config.n_fft)
    rising = 1 - (middle - bins) / below
    falling = 1 - (bins - middle) / above
    return np.maximum(np.minimum(rising, falling), 0).astype(np.float32)


def band_points(config: MelEncoding) -> NDArray[np.float64]:
    """Frequencies in Hz that stand for each band, (n_bands, n_points), denser where it hears most."""
    middle, below, above = _triangles(config)
    side = 1 - np.sqrt((2 * np.arange(_N_POINTS // 2) + 1) / _N_POINTS)
    return np.concatenate([middle - below * side, middle + above * side], axis=1)


def _triangles(config: MelEncoding) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Peaks of the bands in Hz, and how far they reach below and above: each (n_bands, 1)."""
    centres = band_centres(config, config.n_bands)
    widths = np.maximum(np.diff(centres), config.sample_rate_hz / config.n_fft)[:, None]
    return centres[1:-1, None], widths[:-1], widths[1:]


@lru_cache(maxsize=4)
def rows(config: MelEncoding) -> NDArray[np.intp]:
    """Bin whose phase stands for each row: the nearest to the centre of as many mel bands as rows."""
    centres = band_centres(config, config.channel_bins)[1:-1]
    return np.rint(centres * config.n_fft / config.sample_rate_hz).astype(np.intp)


def analysed(waveform: NDArray[Any], config: MelEncoding) -> tuple[Plane, Plane]:
    """Amplitudes of the mel bands and phases of the rows of a clip.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Mono clip in [-1, 1] at the configured rate.
    config : MelEncoding
        Settings.

    Returns
    -------
    amplitude : ndarray of float32, shape (n_bands, n_frames)
        Root of the power in a band; about 1 for a full-scale sine.
    phase : ndarray of float32, shape (channel_bins, n_frames)
        In radians.

    Raises
    ------
    FoleyError
        If the waveform is not as long as the settings say.
    """
    spectrum = stft(waveform, config)
    power = np.square(np.abs(kept_frames(spectrum, config)) / np.float32(full_scale(config)))
    return np.sqrt(filters(config) @ power), phase_at(spectrum, rows(config), config)


def magnitude_from(amplitude: NDArray[Any], config: MelEncoding) -> NDArray[np.float32]:
    """Unscaled STFT magnitudes whose bands have amplitudes (n_bands, n_frames): all frames."""
    power = spread_bands(filters(config), np.square(amplitude, dtype=np.float32), _N_UPDATES)
    return all_frames(np.sqrt(power) * np.float32(full_scale(config)), config)
