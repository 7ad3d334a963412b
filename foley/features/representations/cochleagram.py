"""Owens et al.'s sound feature: envelopes of cochlea-like bands, 90 times a second, under a power.

"Visually indicated sounds" (CVPR 2016) filters sound with 40 bands that are equally wide on the scale of
equivalent rectangular bandwidths (ERB, Glasberg and Moore) and one low-pass and one high-pass band, takes
each band's Hilbert envelope, brings it down to 90 Hz and raises it to the power 0.3. The filters are
those of McDermott and Simoncelli (Neuron 2011), as pycochleagram's ``human_cochleagram`` with n = 40,
100 Hz to 10 kHz and ``sample_factor`` 1 describes them: half cosines that overlap by half, so that
their squares sum to 1 at every frequency and the bands, filtered once more, add up to the sound.

Where this differs from pycochleagram: an envelope value is the mean over its 1/90 s, not the output of
a low-pass filter that rings below 0; the sound is continued by silence, so that its end does not leak into
its start; and each band is computed at the rate that its width needs, which takes a tenth of the time.

Back to sound goes "parametric" synthesis (:func:`from_noise`): noise whose envelopes are imposed.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.fft import fft, ifft, irfft, next_fast_len, rfft

from foley.errors import FoleyError
from foley.features.representations.base import ClipSettings, check_length, check_shape

_Q_ERB = 9.265
_LEAST_HZ = 24.7
"""Glasberg and Moore's constants, as pycochleagram has them."""
_SILENCE_S = 0.2
"""What the sound is continued by: the lowest band rings for about half of it."""
_LEAST_PER_FRAME = 16
"""Samples that the mean of an envelope is taken over, however narrow the band."""
_TINY = np.float32(1e-12)
_MOST_GAIN = np.float32(1e3)
"""In one iteration: a frame that happens to hold hardly anything is not blown up."""


class Config(ClipSettings):
    """Settings of the cochleagram; the defaults are Owens et al.'s, clips of the house's length."""

    sample_rate_hz: int = Field(96_000, gt=0)
    frame_rate_hz: int = Field(90, ge=1, description="envelope values a second")
    n_bands: int = Field(40, ge=1, description="bands beside the low-pass and the high-pass one")
    lowest_hz: float = Field(100.0, ge=0, description="where the lowest band begins")
    highest_hz: float = Field(10_000.0, gt=0, description="where the highest band ends")
    exponent: float = Field(0.3, gt=0, le=1, description="power of the envelope that is learned")

    @property
    def n_bins(self) -> int:
        """Rows: the low-pass band, the bands, the high-pass band."""
        return self.n_bands + 2

    @property
    def n_steps(self) -> int:
        """Columns; the last may reach beyond the clip."""
        return -(-self.n_samples * self.frame_rate_hz // self.sample_rate_hz)

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if not self.lowest_hz < self.highest_hz <= self.sample_rate_hz / 2:
            raise ValueError("lowest_hz < highest_hz <= sample_rate_hz / 2 must hold")
        return self


def to_erb(frequency_hz: NDArray[Any]) -> NDArray[np.float64]:
    """Place of frequencies on the ERB scale (Glasberg and Moore)."""
    return np.asarray(_Q_ERB * np.log1p(np.asarray(frequency_hz) / (_LEAST_HZ * _Q_ERB)), dtype=np.float64)


def from_erb(place: NDArray[Any]) -> NDArray[np.float64]:
    """Undo :func:`to_erb`; Hz."""
    return np.asarray(_LEAST_HZ * _Q_ERB * np.expm1(np.asarray(place) / _Q_ERB), dtype=np.float64)


def centres_hz(config: Config) -> NDArray[np.float64]:
    """Centre of each half-cosine band, (n_bands,), rising."""
    ends = to_erb(np.array([config.lowest_hz, config.highest_hz]))
    return from_erb(np.linspace(ends[0], ends[1], config.n_bands + 2)[1:-1])


def filters(frequency_hz: NDArray[Any], config: Config) -> NDArray[np.float64]:
    """Gain of every band at given frequencies.

    Parameters
    ----------
    frequency_hz : ndarray of float, shape (n,)
        At least 0.
    config : Config

    Returns
    -------
    ndarray of float64, shape (n_bands + 2, n)
        In [0, 1]; the squares of a column sum to 1.
    """
    places = to_erb(frequency_hz)
    lowest, highest = to_erb(np.array([config.lowest_hz, config.highest_hz]))
    spacing = (highest - lowest) / (config.n_bands + 1)
    from_centre = (places - lowest) / spacing - np.arange(1, config.n_bands + 1)[:, None]
    bands = np.where(np.abs(from_centre) < 1, np.cos(from_centre * np.pi / 2), 0.0)
    low_pass = np.where(from_centre[0] < 0, np.sqrt(np.clip(1 - bands[0] ** 2, 0, 1)), 0.0)
    high_pass = np.where(from_centre[-1] > 0, np.sqrt(np.clip(1 - bands[-1] ** 2, 0, 1)), 0.0)
    return np.vstack([low_pass, bands, high_pass])


def represent(waveform: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Turn sound into its cochleagram.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Mono clip in [-1, 1] at the configured rate.
    config : Config

    Returns
    -------
    ndarray of float32, shape (n_bands + 2, n_steps)
        At least 0; a sine of amplitude 1 at a band's centre gives 1.

    Raises
    ------
    FoleyError
        If the waveform is not as long as the settings say.
    """
    sound = np.asarray(waveform, dtype=np.float32)
    check_length(sound, config)
    means = _Bank.of(config).envelopes(sound)
    return np.ascontiguousarray(means[:, : config.n_steps] ** np.float32(config.exponent))


def from_noise(
    features: NDArray[Any], config: Config, *, n_iterations: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Make noise that has a given cochleagram: Owens et al.'s parametric synthesis.

    As McDermott and Simoncelli impose envelopes: white noise is split into bands, each band is brought
    to its envelope, the bands are filtered once more and added, and that is repeated, because the
    overlapping bands disturb each other. What is brought to the envelope is the mean over 1/90 s, by a
    gain that is interpolated in between; how the noise fluctuates within that time is left to it. More
    iterations come closer.

    Parameters
    ----------
    features : ndarray of float, shape (n_bands + 2, n_steps)
        As :func:`represent` gives, or predicted; negative values count as 0.
    config : Config
    n_iterations : int
        At least 1 is made.
    generator : numpy Generator
        Draws the noise.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Not limited to [-1, 1]; zeros where the cochleagram is zero.

    Raises
    ------
    FoleyError
        If the features do not have the configured shape, or are not finite.
    """
    check_shape(features, config)
    if not np.isfinite(features).all():
        raise FoleyError("the cochleagram is not finite: the model that predicted it has diverged")
    bank = _Bank.of(config)
    wanted = np.zeros((config.n_bins, bank.n_frames), dtype=np.float32)
    wanted[:, : config.n_steps] = np.maximum(features, 0).astype(np.float32) ** np.float32(
        1 / config.exponent
    )
    sound = np.zeros(bank.n_samples, dtype=np.float32)
    if not wanted.any():
        return sound[: config.n_samples]
    sound = generator.standard_normal(bank.n_samples, dtype=np.float32)
    for _ in range(max(1, n_iterations)):
        sound = bank.imposed(sound, wanted)
    return sound[: config.n_samples]


@dataclass(frozen=True)
class _Band:
    """One band in the frequency domain.

    Parameters
    ----------
    first : int
        Lowest bin of the spectrum that passes.
    analytic : ndarray of complex64, shape (n_passed,)
        From the sound's spectrum to the band's analytic signal: the gain of the bins from `first` on, doubled
        where a negative frequency is left out.
    back : ndarray of complex64, shape (n_passed,)
        From the analytic signal to the spectrum of its real part, filtered once more.
    per_frame : int
        Samples of the band in a frame, in the middles of equal parts of it.
    """

    first: int
    analytic: NDArray[np.complex64]
    back: NDArray[np.complex64]
    per_frame: int

    @property
    def passed(self) -> slice:
        """Bins that pass."""
        return slice(self.first, self.first + len(self.analytic))


class _Bank:
    """The bands of clips of one length, each computed at the rate that its width needs.

    Between its lowest and its highest bin, a band's analytic signal is told by as many samples as it
    has bins: its inverse transform of that length, moved down to 0 Hz, has the very envelope.
    """

    def __init__(self, config: Config) -> None:
        common = gcd(config.sample_rate_hz, config.frame_rate_hz)
        # Whole frames must be whole samples, and their number one that transforms quickly.
        together = config.frame_rate_hz // common
        wanted = config.n_steps + ceil(_SILENCE_S * config.frame_rate_hz)
        self.n_frames = together * next_fast_len(-(-wanted // together))
        self.n_samples = self.n_frames // together * (config.sample_rate_hz // common)
        bins_hz = np.arange(self.n_samples // 2 + 1) * config.sample_rate_hz / self.n_samples
        self.bands = [self._band(gain) for gain in filters(bins_hz, config)]

    @staticmethod
    @lru_cache(maxsize=2)
    def of(config: Config) -> "_Bank":
        """Bands of a configuration; kept, because clip after clip has the same."""
        return _Bank(config)

    def _band(self, gain: NDArray[np.float64]) -> _Band:
        # A band narrower than a bin lets nothing through: in so short a clip it cannot be heard.
        passed = np.flatnonzero(gain > 0) if gain.any() else np.array([0])
        alone = np.zeros(len(gain), dtype=bool)
        alone[0] = True
        alone[-1] = self.n_samples % 2 == 0
        kept = slice(int(passed[0]), int(passed[-1]) + 1)
        # Twice the least rate, so that what a changing gain adds to the width still fits.
        n_passed = kept.stop - kept.start
        per_frame = next_fast_len(max(_LEAST_PER_FRAME, -(-2 * n_passed // self.n_frames)))
        # Samples lie in the middles of equal parts of a frame; a transform puts them at their starts.
        later = np.exp(1j * np.pi * np.arange(n_passed) / (self.n_frames * per_frame))
        analytic = np.where(alone, gain, 2 * gain)[kept] * later
        back = np.where(alone, gain, gain / 2)[kept] / later
        return _Band(kept.start, analytic.astype(np.complex64), back.astype(np.complex64), per_frame)

    def _signal(self, spectrum: NDArray[np.complex64], band: _Band) -> NDArray[np.complex64]:
        """Analytic signal of a band, moved down to 0 Hz, (n_frames * per_frame,)."""
        n = self.n_frames * band.per_frame
        padded = np.zeros(n, dtype=np.complex64)
        padded[: len(band.analytic)] = spectrum[band.passed] * (
            band.analytic * np.float32(n / self.n_samples)
        )
        return np.asarray(ifft(padded, overwrite_x=True), dtype=np.complex64)

    def _means(self, signal: NDArray[np.complex64], band: _Band) -> NDArray[np.float32]:
        """Mean envelope in each frame, (n_frames,)."""
        return np.asarray(
            np.abs(signal).reshape(self.n_frames, band.per_frame).mean(axis=1), dtype=np.float32
        )

    def envelopes(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean Hilbert envelope of each band in each frame, (n_bins, n_frames), of (up to n_samples,)."""
        spectrum = rfft(sound, self.n_samples)
        return np.stack([self._means(self._signal(spectrum, band), band) for band in self.bands])

    def imposed(self, sound: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring each band of a sound (n_samples,) to its envelope (n_bins, n_frames), once."""
        spectrum = rfft(sound)
        made = np.zeros_like(spectrum)
        for band, envelope in zip(self.bands, wanted, strict=True):
            signal = self._signal(spectrum, band)
            gain = np.minimum(envelope / np.maximum(self._means(signal, band), _TINY), _MOST_GAIN)
            signal *= _between_frames(gain, band.per_frame)
            scale = np.float32(self.n_samples / len(signal))
            made[band.passed] += fft(signal, overwrite_x=True)[: len(band.back)] * (band.back * scale)
        return np.asarray(irfft(made, self.n_samples), dtype=np.float32)


def _between_frames(values: NDArray[np.float32], per_frame: int) -> NDArray[np.float32]:
    """Values at the centres of frames, interpolated linearly; ends are held. (n * per_frame,) of (n,)."""
    share = ((np.arange(per_frame) + 0.5) / per_frame - 0.5).astype(np.float32)
    rise = np.diff(values, prepend=values[:1], append=values[-1:])[:, None]
    here = values[:, None]
    return np.where(share < 0, here + share * rise[:-1], here + share * rise[1:]).reshape(-1)
