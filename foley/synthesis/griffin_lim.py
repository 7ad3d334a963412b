"""Griffin-Lim: a waveform whose short-time Fourier transform has given magnitudes.

Griffin and Lim (1984), with the momentum of Perraudin, Balazs and Søndergaard (2013) as an option.
AutoFoley (section III-C) makes its sounds with 16 iterations. The transform is that of
:mod:`foley.features.representations.base`: periodic Hann window, frames centred on multiples of the
hop, ends continued by reflection. One clip at a time, by SciPy's Fourier transform: on a CPU batches
are slower, and so is PyTorch (``benchmarks/audio.py``).
"""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from foley.errors import FoleyError
from foley.features.representations.base import hann_window

_TINY = np.float32(1e-16)
"""Keeps the phase of an empty bin at 0 instead of NaN."""
_FAINT = np.float32(0.05)
"""Summed squared windows under which a sample is faded out: raised to its full level, what the last
frame of a clip holds there, near the end of its window, would be a click."""


def griffin_lim(
    magnitude: NDArray[Any],
    *,
    n_fft: int,
    hop_length: int,
    n_iterations: int,
    n_samples: int,
    momentum: float = 0.0,
    generator: np.random.Generator | None = None,
    phase: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """Find a waveform for STFT magnitudes.

    Each iteration goes to the waveform by the least-squares inverse (overlap-add over the summed
    squared windows), comes back by the transform, and keeps the phase only.

    Parameters
    ----------
    magnitude : ndarray of float, shape (n_fft // 2 + 1, 1 + n_samples // hop_length)
        Unscaled magnitudes, as ``librosa.stft`` and ``torch.stft`` give; negative ones count as 0.
    n_fft : int
        Window and transform length in samples.
    hop_length : int
        Step in samples; at most half of `n_fft`.
    n_iterations : int
        Iterations; 0 inverts the starting phase.
    n_samples : int
        Length of the waveform; more than half of `n_fft`.
    momentum : float
        0 is Griffin and Lim's algorithm, whose error never grows; 0.99 is faster, without that promise.
    generator : numpy Generator, optional
        Draws the starting phase, uniform; without it the phase starts at 0.
    phase : ndarray of float, shape of `magnitude`, optional
        Starting phase in radians, in place of either.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Not limited to [-1, 1].

    Raises
    ------
    FoleyError
        If shapes and settings do not go together, or a magnitude is not finite.
    """
    target = np.ascontiguousarray(_checked(magnitude, n_fft, hop_length, n_samples).T)
    start = _starting_phase(magnitude.shape, generator, phase).T
    transform = _Transform(n_fft, hop_length, n_samples)
    spectrum = np.asarray(target * start, dtype=np.complex64, order="C")
    # Equals what Perraudin et al. write, divided by 1 + momentum, which the phase does not see.
    share = np.float32(momentum / (1 + momentum))
    previous: NDArray[np.complex64] | None = None
    for _ in range(n_iterations):
        rebuilt = transform.forwards(transform.inverse(spectrum))
        direction = rebuilt if previous is None or share == 0 else rebuilt - share * previous
        previous = rebuilt if share else None
        length = np.abs(direction)
        length += _TINY
        spectrum = direction * np.divide(target, length, out=length)
    return transform.inverse(spectrum)


class _Transform:
    """Short-time Fourier transform of a waveform of one length, and its inverse.

    Spectra are complex64 of shape (n_frames, n_fft // 2 + 1), a frame a row.
    """

    def __init__(self, n_fft: int, hop_length: int, n_samples: int) -> None:
        self._n_fft, self._hop, self._n_samples = n_fft, hop_length, n_samples
        n_frames = 1 + n_samples // hop_length
        self._window = hann_window(n_fft)
        self._half = n_fft // 2
        self._padded = np.zeros(n_samples + 2 * self._half, dtype=np.float32)
        self._frames = sliding_window_view(self._padded, n_fft)[::hop_length]
        # A windowed frame is so many hops long; the last of them may be part empty.
        self._n_hops = -(-n_fft // hop_length)
        self._windowed = np.zeros((n_frames, self._n_hops * hop_length), dtype=np.float32)
        self._windowed[:, :n_fft] = self._window**2
        self._scale = 1 / np.maximum(self._added(), _FAINT)

    def forwards(self, waveform: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Transform a waveform (n_samples,)."""
        half, n = self._half, self._n_samples
        self._padded[half : half + n] = waveform
        self._padded[:half] = waveform[half:0:-1]
        self._padded[half + n :] = waveform[n - 2 : n - 2 - half : -1]
        return np.asarray(rfft(self._frames * self._window, axis=1, overwrite_x=True), dtype=np.complex64)

    def inverse(self, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Find the waveform (n_samples,) whose transform is nearest."""
        frames = irfft(spectrum, self._n_fft, axis=1)
        np.multiply(frames, self._window, out=self._windowed[:, : self._n_fft])
        waveform = self._added()
        waveform *= self._scale
        return waveform[self._half : self._half + self._n_samples]

    def _added(self) -> NDArray[np.float32]:
        """Lay the windowed frames over one another."""
        pieces = self._windowed.reshape(len(self._windowed), self._n_hops, self._hop)
        total = np.zeros((len(pieces) + self._n_hops - 1, self._hop), dtype=np.float32)
        for number in range(self._n_hops):
            total[number : number + len(pieces)] += pieces[:, number]
        return total.reshape(-1)


def _checked(magnitude: NDArray[Any], n_fft: int, hop_length: int, n_samples: int) -> NDArray[np.float32]:
    if not 0 < hop_length <= n_fft // 2:
        raise FoleyError(
            f"Griffin-Lim needs a hop of 1 to {n_fft // 2} samples for n_fft {n_fft}, got {hop_length}"
        )
    if n_samples <= n_fft // 2:
        raise FoleyError(
            f"Griffin-Lim needs more than {n_fft // 2} samples for n_fft {n_fft}, got {n_samples}"
        )
    values = np.asarray(magnitude, dtype=np.float32)
    expected = (n_fft // 2 + 1, 1 + n_samples // hop_length)
    if values.shape != expected:
        raise FoleyError(
            f"magnitudes have shape {values.shape}, but n_fft {n_fft}, hop {hop_length} and {n_samples} "
            f"samples make {expected}; use the settings that the magnitudes were made with"
        )
    if not np.isfinite(values).all():
        raise FoleyError("magnitudes are not finite: the model that predicted them has diverged")
    return np.maximum(values, 0)


def _starting_phase(
    shape: tuple[int, ...], generator: np.random.Generator | None, phase: NDArray[Any] | None
) -> NDArray[np.complex64]:
    """Unit numbers (n_fft // 2 + 1, n_frames)."""
    if phase is not None:
        if phase.shape != shape:
            raise FoleyError(f"phases have shape {phase.shape}, magnitudes {shape}")
        angles = np.asarray(phase, dtype=np.float32)
    elif generator is not None:
        angles = generator.uniform(-np.pi, np.pi, shape).astype(np.float32)
    else:
        return np.ones(shape, dtype=np.complex64)
    return np.asarray(np.exp(1j * angles), dtype=np.complex64)
