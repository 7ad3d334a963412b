"""What every time-frequency representation shares: the analysis grid and its time axis."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.fft import rfft

from foley.errors import FoleyError


class ClipSettings(BaseModel):
    """What every representation says; the settings of each kind derive from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_rate_hz: int = Field(44100, gt=0)
    duration_s: float = Field(3.0, gt=0, description="length of the clips")

    @property
    def n_samples(self) -> int:
        """Samples of a clip."""
        return round(self.sample_rate_hz * self.duration_s)

    @property
    def n_bins(self) -> int:
        """Rows of the representation."""
        raise NotImplementedError

    @property
    def n_steps(self) -> int:
        """Columns of the representation."""
        raise NotImplementedError


class Settings(ClipSettings):
    """Grid of a representation that is made of the short-time Fourier transform."""

    n_fft: int = Field(256, ge=4, multiple_of=2, description="window and transform length, in samples")
    hop_length: int = Field(128, ge=1, description="step, in samples")
    n_frames: int | None = Field(570, ge=1, description="time steps that are learned; null keeps the STFT's")

    @property
    def n_stft_frames(self) -> int:
        """Frames of the centred STFT of a clip."""
        return 1 + self.n_samples // self.hop_length

    @property
    def n_bins(self) -> int:
        """Rows of the representation."""
        return 1 + self.n_fft // 2

    @property
    def n_steps(self) -> int:
        """Columns of the representation."""
        return self.n_frames or self.n_stft_frames


def stft_magnitude(waveform: NDArray[Any], settings: Settings) -> NDArray[np.float32]:
    """Magnitude of the short-time Fourier transform, relative to a full-scale sine.

    Hann window (periodic), frames centred on multiples of the hop, ends continued by reflection.
    A sine of amplitude 1 on a bin gives 1: the scale is fixed, so loudness is kept and clips can
    be compared.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Mono, exactly as long as `settings` says.
    settings : Settings
        The grid.

    Returns
    -------
    ndarray of float32, shape (n_fft // 2 + 1, n_stft_frames)
        At least 0.

    Raises
    ------
    FoleyError
        If the waveform's length is not that of a clip.
    """
    magnitude = np.abs(stft(waveform, settings)) / full_scale(settings)
    return np.ascontiguousarray(magnitude).astype(np.float32, copy=False)


def stft(waveform: NDArray[Any], settings: Settings) -> NDArray[np.complex64]:
    """Short-time Fourier transform, unscaled; the phase refers to the first sample of each frame.

    Parameters, window, frames and errors as in :func:`stft_magnitude`.

    Returns
    -------
    ndarray of complex64, shape (n_fft // 2 + 1, n_stft_frames)
    """
    sound = np.asarray(waveform, dtype=np.float32)
    check_length(sound, settings)
    padded = np.pad(sound, settings.n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, settings.n_fft)[:: settings.hop_length]
    spectrum: NDArray[np.complex64] = rfft(frames * hann_window(settings.n_fft), axis=1).T
    return spectrum


def check_length(sound: NDArray[Any], settings: ClipSettings) -> None:
    """Refuse a waveform that is not as long as a clip; raises FoleyError."""
    if sound.shape != (settings.n_samples,):
        raise FoleyError(
            f"the representation is set up for clips of {settings.n_samples} samples "
            f"({settings.duration_s} s at {settings.sample_rate_hz} Hz), got shape {sound.shape}; "
            "set duration_s and sample_rate_hz to those of the clips"
        )


def spread_bands(matrix: NDArray[Any], bands: NDArray[Any], n_updates: int) -> NDArray[np.float32]:
    """Find a spectrum whose bands are the given ones: non-negative least squares.

    The bands leave most of the spectrum open: of all solutions that are not negative, one near the
    bands' own shape is found by multiplicative updates (Lee and Seung 1999) with fixed bands.

    Parameters
    ----------
    matrix : ndarray of float, shape (n_bands, n_bins)
        Share of each bin in each band, at least 0.
    bands : ndarray of float, shape (n_bands, n_frames)
        At least 0.
    n_updates : int
        Steps.

    Returns
    -------
    ndarray of float32, shape (n_bins, n_frames)
        At least 0; 0 where no band reaches.
    """
    target = matrix.T @ bands
    squared = matrix.T @ matrix
    found = target.copy()
    for _ in range(n_updates):
        found *= target / np.maximum(squared @ found, 1e-12)
    return np.asarray(found, dtype=np.float32)


def hann_window(n_samples: int) -> NDArray[np.float32]:
    """Periodic Hann window, float32 (n_samples,); importing it from SciPy costs a job most of a second."""
    angles = np.linspace(-np.pi, np.pi, n_samples, endpoint=False)
    return (0.5 + 0.5 * np.cos(angles)).astype(np.float32)


def full_scale(settings: Settings) -> float:
    """STFT magnitude of a sine of amplitude 1: half the sum of the Hann window."""
    return settings.n_fft / 4


def check_shape(features: NDArray[Any], settings: ClipSettings) -> None:
    """Refuse features that are not of the configured shape; raises FoleyError."""
    wanted = (settings.n_bins, settings.n_steps)
    if features.shape != wanted:
        raise FoleyError(f"features have shape {features.shape}, the representation's settings say {wanted}")


def shorten_time(values: NDArray[Any], settings: Settings) -> NDArray[np.float32]:
    """Average the STFT's frames over the learned time steps, by the area they share.

    Step ``k`` covers the clip's time from ``k`` to ``k + 1`` n-ths of its duration; STFT frame ``i``
    stands for half a hop on either side of its centre.

    Parameters
    ----------
    values : ndarray, shape (n_bins, n_stft_frames)
        Magnitudes.
    settings : Settings
        The grid.

    Returns
    -------
    ndarray of float32, shape (n_bins, n_frames)
        The mean over time is kept; unchanged when ``n_frames`` is not set.
    """
    if settings.n_frames is None:
        return np.asarray(values, dtype=np.float32)
    weights = _area_weights(
        settings.n_samples, settings.hop_length, settings.n_stft_frames, settings.n_frames
    )
    return np.asarray(values, dtype=np.float32) @ weights


def lengthen_time(values: NDArray[Any], settings: Settings) -> NDArray[np.float32]:
    """Interpolate the learned time steps linearly at the centres of the STFT's frames.

    Parameters
    ----------
    values : ndarray, shape (n_bins, n_frames)
        Magnitudes.
    settings : Settings
        The grid.

    Returns
    -------
    ndarray of float32, shape (n_bins, n_stft_frames)
        Ends are held; unchanged when ``n_frames`` is not set.
    """
    values = np.asarray(values, dtype=np.float32)
    if settings.n_frames is None:
        return values
    step = settings.n_samples / settings.n_frames
    position = np.arange(settings.n_stft_frames) * settings.hop_length / step - 0.5
    position = np.clip(position, 0, settings.n_frames - 1)
    left = np.minimum(position.astype(int), max(0, settings.n_frames - 2))
    share = (position - left).astype(np.float32)
    right = np.minimum(left + 1, settings.n_frames - 1)
    return np.asarray(values[:, left] * (1 - share) + values[:, right] * share, dtype=np.float32)


@lru_cache(maxsize=4)
def _area_weights(n_samples: int, hop: int, n_stft_frames: int, n_steps: int) -> NDArray[np.float32]:
    """Share of each STFT frame (rows) in each time step (columns); columns sum to 1."""
    centres = np.arange(n_stft_frames) * hop
    starts = np.maximum(centres - hop / 2, 0)
    ends = np.minimum(centres + hop / 2, n_samples)
    ends[-1] = n_samples
    edges = np.linspace(0, n_samples, n_steps + 1)
    shared = np.minimum(ends[:, None], edges[1:]) - np.maximum(starts[:, None], edges[:-1])
    shared = np.maximum(shared, 0)
    return np.asarray(shared / shared.sum(axis=0), dtype=np.float32)
