"""What the sound encodings of FoleyGAN share: picture-like planes that a GAN makes, and their scales.

FoleyGAN (section III-C.1) turns 3 s of sound into a picture of 512 x 512 x 3: log magnitude, phase
and a plane of zeros, all in [-1, 1] for the generator's tanh. The planes are stored on top of each
other, ``(n_channels * channel_bins, n_frames)``, so that an encoding is a representation like any
other; :func:`planes` takes them apart.

Frames are those of TensorFlow's ``tf.signal.stft`` without padding, which the authors used: frame
``k`` covers samples ``k * hop_length`` to ``k * hop_length + n_fft``. Three seconds at 44,000 Hz give
exactly 512 of them, 1024 long and 256 apart. They are frames of the house's centred transform, which
has ``n_fft / 2 / hop_length`` more on either side; those are made up when sound is made again, so the
first and the last ``n_fft / 2`` samples of a clip come back inexactly. A clip too short for the last
frames is continued by reflection.

Every scale is a constant of the configuration, never fitted to the data: an encoding has no state, it
cannot leak from test clips, and equal levels are equal in all clips. What is louder or softer than the
range is clipped. The text says "min-max"; the minimum and maximum are those of the range.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from foley.features.representations.base import Settings, check_shape

Plane = NDArray[np.float32]


class Encoding(Settings):
    """Settings of a sound encoding; the defaults are FoleyGAN's 512 x 512 x 3."""

    sample_rate_hz: int = Field(44_000, gt=0)
    duration_s: float = Field(3.0, gt=0, description="length of the clips")
    n_fft: int = Field(1024, ge=4, multiple_of=2, description="window and transform length, in samples")
    hop_length: int = Field(256, ge=1, description="step, in samples; n_fft is a multiple of twice as much")
    n_frames: int = Field(512, ge=1, description="columns, from the first frame")
    channel_bins: int = Field(512, ge=1, description="rows of one channel")
    n_channels: int = Field(3, ge=1, le=3, description="1: magnitude, 2: and phase, 3: and a plane of zeros")
    floor_db: float = Field(-90.0, description="level that becomes -1, relative to a full-scale sine")
    top_db: float = Field(0.0, description="level that becomes 1")

    @property
    def n_bins(self) -> int:
        """Rows of the representation: those of all channels."""
        return self.n_channels * self.channel_bins

    @property
    def first_frame(self) -> int:
        """Number, among the frames of the centred transform, of the first that is kept."""
        return self.n_fft // 2 // self.hop_length

    @property
    def db_per_unit(self) -> float:
        """Decibels between a magnitude of 0 and of 1."""
        return (self.top_db - self.floor_db) / 2

    @model_validator(mode="after")
    def _frames_fit(self) -> Self:
        if self.n_fft % (2 * self.hop_length):
            raise ValueError(f"n_fft is {self.n_fft}, no multiple of 2 * hop_length = {2 * self.hop_length}")
        there = self.n_stft_frames - self.first_frame
        if self.n_frames > there:
            raise ValueError(
                f"n_frames is {self.n_frames}, but {self.duration_s} s at {self.sample_rate_hz} Hz have "
                f"{there} frames that are {self.hop_length} samples apart"
            )
        if not self.floor_db < self.top_db:
            raise ValueError("floor_db < top_db must hold")
        return self


def kept_frames(values: NDArray[Any], config: Encoding) -> NDArray[Any]:
    """Frames that the encoding keeps, (n_bins, n_frames), of (n_bins, n_stft_frames)."""
    return values[:, config.first_frame : config.first_frame + config.n_frames]


def all_frames(values: Plane, config: Encoding) -> Plane:
    """Undo :func:`kept_frames`: (n_bins, n_stft_frames), the first and the last kept frame held."""
    return np.pad(values, ((0, 0), (config.first_frame, _n_missing(config))), mode="edge")


def _n_missing(config: Encoding) -> int:
    return config.n_stft_frames - config.first_frame - config.n_frames


def from_level(magnitude: NDArray[Any], config: Encoding) -> Plane:
    """Scale magnitudes, relative to a full-scale sine, to [-1, 1] by their level in dB.

    Examples
    --------
    >>> from_level(np.array([1.0, 10**-2.25, 0.0]), Encoding(floor_db=-90, top_db=0)).tolist()
    [1.0, 0.0, -1.0]
    """
    lowest = 10 ** (config.floor_db / 20)
    level_db = 20 * np.log10(np.maximum(magnitude, lowest))
    unit = 2 * (level_db - config.floor_db) / (config.top_db - config.floor_db) - 1
    return np.asarray(np.clip(unit, -1, 1), dtype=np.float32)


def to_level(unit: NDArray[Any], config: Encoding) -> Plane:
    """Undo :func:`from_level`; -1 and less is silence, 0."""
    clipped = np.clip(np.asarray(unit, dtype=np.float32), -1, 1)
    level_db = (clipped + 1) / 2 * (config.top_db - config.floor_db) + config.floor_db
    return np.asarray(np.where(clipped > -1, 10 ** (level_db / 20), 0.0), dtype=np.float32)


def stacked(magnitude: Plane, phase: NDArray[Any], config: Encoding) -> NDArray[np.float32]:
    """Lay the planes that `config` asks for on top of each other.

    Parameters
    ----------
    magnitude : ndarray of float, shape (channel_bins, n_frames)
        In [-1, 1].
    phase : ndarray of float, shape (channel_bins, n_frames)
        In radians.
    config : Encoding
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_channels * channel_bins, n_frames)
        In [-1, 1]; phases as shares of half a turn.
    """
    channels: list[NDArray[Any]] = [magnitude, phase / np.pi, np.zeros_like(magnitude)]
    return np.ascontiguousarray(np.concatenate(channels[: config.n_channels]), dtype=np.float32)


def planes(features: NDArray[Any], config: Encoding) -> list[Plane]:
    """Take the planes of an encoding apart.

    Parameters
    ----------
    features : ndarray of float, shape (n_channels * channel_bins, n_frames)
        An encoding.
    config : Encoding
        Settings.

    Returns
    -------
    list of ndarray of float32, each (channel_bins, n_frames)
        One a channel.

    Raises
    ------
    FoleyError
        If the features do not have the configured shape.
    """
    check_shape(features, config)
    return list(np.split(np.asarray(features, dtype=np.float32), config.n_channels))


def phase_at(spectrum: NDArray[np.complex64], rows: NDArray[np.intp], config: Encoding) -> Plane:
    """Phase of one bin of the transform for each row of a channel.

    Parameters
    ----------
    spectrum : ndarray of complex64, shape (n_fft // 2 + 1, n_stft_frames)
        Transform of the clip.
    rows : ndarray of int, shape (channel_bins,)
        Bin that stands for each row.
    config : Encoding
        Settings.

    Returns
    -------
    ndarray of float32, shape (channel_bins, n_frames)
        In radians, -pi to pi.
    """
    return np.asarray(np.angle(kept_frames(spectrum, config)[rows]), dtype=np.float32)


def phase_from(features: NDArray[Any], rows: NDArray[np.intp], config: Encoding) -> Plane | None:
    """Phases of the whole transform, as far as the encoding's second channel tells them.

    Each bin takes the phase of the row whose bin is nearest, turned by half a turn for every bin that
    lies between, as a hit in the middle of the frame has it. Frames that are not kept are continued as
    a steady tone on each bin.

    Parameters
    ----------
    features : ndarray of float, shape (n_channels * channel_bins, n_frames)
        An encoding.
    rows : ndarray of int, shape (channel_bins,)
        Bin that stands for each row; never falling.
    config : Encoding
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_fft // 2 + 1, n_stft_frames), or None
        In radians; ``None`` where the encoding holds no phase.
    """
    channels = planes(features, config)
    if len(channels) == 1:
        return None
    bins = np.arange(1 + config.n_fft // 2)
    nearest = np.abs(bins[:, None] - rows).argmin(axis=1)
    turned = np.pi * (bins - rows[nearest])
    told = np.clip(channels[1], -1, 1)[nearest] * np.pi + turned[:, None]
    advance = 2 * np.pi * config.hop_length / config.n_fft * bins[:, None]
    before = told[:, :1] - advance * np.arange(config.first_frame, 0, -1)
    after = told[:, -1:] + advance * np.arange(1, _n_missing(config) + 1)
    return np.asarray(np.concatenate([before, told, after], axis=1), dtype=np.float32)
