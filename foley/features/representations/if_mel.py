"""GANSynth's "IF-Mel + H": log power on mel bands, and how fast their phases turn.

Read from ``specgrams_helper.py`` of github.com/magenta/magenta (526d3eb): Hann window of 2048 ("H", the
high frequency resolution) every 512 samples, all padding before the sound, no bin at 0 Hz; the
logarithm of the mel power and the instantaneous frequency of the mel bands' phases, both mapped to
[-1, 1] by constants (``a x + b``, those of the reference by default). Instantaneous frequency is the
step from frame to frame of the unwrapped phase, in half turns. The transform is scaled so that the
constants hold for other window lengths.

There are two ways to a band's phase (``projection``):

``unwrapped``
    The reference's: triangles on the mel scale, and the sum of the bins' unwrapped phases with their
    weights. Low bands are narrower than a bin and hear one or none; a sum over several bins turns
    several times as fast, and is wrapped.
``complex``
    Ours: the bands of :mod:`foley.features.representations.mel_bands` (none is deaf), and the phase of
    the bins' weighted sum, each bin's phase being taken in the middle of its frame, where the bins of a
    tone or a hit agree.

Inverse: power and phases are projected back (the bands' transpose, its columns divided by what the
bands share; for ``complex`` the phases as unit numbers weighted by the bands' amplitudes), the
instantaneous frequencies having been summed up over time, and the inverse transform makes the sound. No
iterations are needed.

Lost: how power is shared in a band, and the relative phase of its bins; errors of the steps add up over
time; power under 1e-6 of the unscaled transform's; the last few samples, where the last window ends.
"""

from functools import lru_cache
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from foley.features.librosa_shim import librosa
from foley.features.representations.base import check_length, hann_window
from foley.features.representations.encoding import Plane, planes
from foley.features.representations.mel_bands import MelEncoding, band_centres, filters

_OFFSET = 1e-6
_REFERENCE_N_FFT = 2048
_FAINT = 1e-2
"""Summed squared windows under which a sample is faded out, not raised: it would be mostly rounding."""


class Config(MelEncoding):
    """Settings of IF-Mel; the defaults are GANSynth's 1024 x 128 x 2 of 4 s."""

    sample_rate_hz: int = Field(16_000, gt=0)
    duration_s: float = Field(4.0, gt=0, description="length of the clips")
    n_fft: int = Field(2048, ge=4, multiple_of=2, description="window and transform length, in samples")
    hop_length: int = Field(512, ge=1, description="step, in samples")
    n_frames: int = Field(128, ge=1, description="columns; the last ends with the clip")
    channel_bins: int = Field(1024, ge=1, description="rows of one channel: mel bands")
    n_channels: int = Field(2, ge=2, le=3, description="2: power and frequency, 3: and a plane of zeros")
    projection: Literal["unwrapped", "complex"] = Field("unwrapped", description="way to a band's phase")
    power_scale: float = Field(0.0661371661726, gt=0)
    power_offset: float = Field(0.113718730221)
    frequency_scale: float = Field(0.8, gt=0)

    @property
    def padding(self) -> int:
        """Zeros before the sound, in samples."""
        return (self.n_frames - 1) * self.hop_length + self.n_fft - self.n_samples

    @model_validator(mode="after")
    def _frames_fit(self) -> Self:
        if self.padding < 0:
            raise ValueError(
                f"{self.n_frames} frames of {self.n_fft} samples every {self.hop_length} do not reach over "
                f"{self.n_samples} samples; raise n_frames by {-(self.padding // self.hop_length)}"
            )
        if self.n_fft < 2 * self.hop_length:
            raise ValueError("hop_length must be at most half of n_fft")
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
        In [-1, 1].

    Raises
    ------
    FoleyError
        If the waveform is not as long as the settings say.
    """
    sound = np.asarray(waveform, dtype=np.float32)
    check_length(sound, config)
    spectrum = librosa.stft(
        np.pad(sound, (config.padding, 0)),
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        window=hann_window(config.n_fft),
        center=False,
    )
    matrix = bands(config)
    power = matrix @ np.square(np.abs(spectrum) * _loudness(config))
    if config.projection == "complex":
        phase = np.angle(matrix @ (spectrum * _alternating(config)))
    else:
        phase = matrix @ np.unwrap(np.angle(spectrum), axis=1)
    steps = np.diff(phase, axis=1, prepend=0) / np.pi
    turning = ((steps + 1) % 2 - 1) * config.frequency_scale
    unit = np.log(power + _OFFSET) * config.power_scale + config.power_offset
    found = [np.clip(unit, -1, 1), turning, np.zeros_like(unit)]
    return np.ascontiguousarray(np.concatenate(found[: config.n_channels]), dtype=np.float32)


def to_waveform(features: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Make sound of the encoding.

    Parameters
    ----------
    features : ndarray of float, shape (n_channels * channel_bins, n_frames)
        As :func:`represent` gives, or predicted; clipped to [-1, 1].
    config : Config
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Not limited to [-1, 1].

    Raises
    ------
    FoleyError
        If the features do not have the configured shape.
    """
    unit, turning = (np.clip(plane, -1, 1) for plane in planes(features, config)[:2])
    power = np.maximum(np.exp((unit - config.power_offset) / config.power_scale) - _OFFSET, 0)
    phase = np.cumsum(turning.astype(np.float64) / config.frequency_scale * np.pi, axis=1)
    back = _back(config)
    magnitude = np.sqrt(back @ power) / _loudness(config)
    if config.projection == "complex":
        direction = bands(config).T @ (np.sqrt(power) * np.exp(1j * phase)) * _alternating(config)
        direction /= np.maximum(np.abs(direction), 1e-12)
    else:
        direction = np.exp(1j * (back @ phase))
    grid = {
        "n_fft": config.n_fft,
        "hop_length": config.hop_length,
        "window": hann_window(config.n_fft),
    }
    n_all = config.padding + config.n_samples
    spectrum = (magnitude * direction).astype(np.complex64)
    sound = librosa.istft(spectrum, **grid, center=False, length=n_all)
    heard = librosa.filters.window_sumsquare(n_frames=config.n_frames, norm=None, **grid)[:n_all]
    return np.asarray((sound * np.clip(heard / _FAINT, 0, 1))[config.padding :], dtype=np.float32)


def _loudness(config: Config) -> np.float32:
    """Factor to the magnitudes that the reference's window would give."""
    return np.float32(_REFERENCE_N_FFT / config.n_fft)


def _alternating(config: Config) -> NDArray[np.float32]:
    """Turn each bin's phase from the start of its frame to the middle, or back: 1, -1, 1, ... (n_bins, 1)."""
    return np.where(np.arange(1 + config.n_fft // 2) % 2, -1, 1).astype(np.float32)[:, None]


@lru_cache(maxsize=4)
def bands(config: Config) -> Plane:
    """Mel bands without the bin at 0 Hz, (channel_bins, n_fft // 2 + 1)."""
    if config.projection == "complex":
        matrix = filters(config).copy()
    else:
        edges = _mel(band_centres(config, config.channel_bins))
        bins = _mel(np.arange(1 + config.n_fft // 2) * config.sample_rate_hz / config.n_fft)
        low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        triangles = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle))
        matrix = np.maximum(triangles, 0).astype(np.float32)
    matrix[:, 0] = 0
    return matrix


def _mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(librosa.hz_to_mel(frequency_hz, htk=True))


@lru_cache(maxsize=4)
def _back(config: Config) -> Plane:
    """Approximate inverse of the bands, (n_fft // 2 + 1, channel_bins)."""
    matrix = bands(config)
    return np.asarray(matrix.T / np.maximum((matrix @ matrix.T).sum(axis=0), 1e-12), dtype=np.float32)
