"""Griffin-Lim: a waveform whose short-time Fourier transform has given magnitudes.

Griffin and Lim (1984), with the momentum of Perraudin, Balazs and Søndergaard (2013) as an option.
AutoFoley (section III-C) makes its sounds with 16 iterations. The transform is that of
:mod:`foley.features.representations.base`: periodic Hann window, frames centred on multiples of the
hop, ends continued by reflection. One clip at a time: on a CPU, batches are slower.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from foley.errors import FoleyError

_TINY = 1e-16
"""Keeps the phase of an empty bin at 0 instead of NaN."""


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
    target = _checked(magnitude, n_fft, hop_length, n_samples)
    window = torch.hann_window(n_fft)

    def inverse(spectrum: torch.Tensor) -> torch.Tensor:
        return torch.istft(spectrum, n_fft, hop_length, window=window, center=True, length=n_samples)

    def transform(waveform: torch.Tensor) -> torch.Tensor:
        return torch.stft(
            waveform, n_fft, hop_length, window=window, center=True, pad_mode="reflect", return_complex=True
        )

    with torch.no_grad():
        spectrum = target * _starting_phase(target, generator, phase)
        # Equals what Perraudin et al. write, divided by 1 + momentum, which the phase does not see.
        share = momentum / (1 + momentum)
        previous: torch.Tensor | None = None
        for _ in range(n_iterations):
            rebuilt = transform(inverse(spectrum))
            direction = rebuilt if previous is None or share == 0 else rebuilt - share * previous
            spectrum = target * (direction / (direction.abs() + _TINY))
            previous = rebuilt
        return np.asarray(inverse(spectrum).numpy(), dtype=np.float32)


def _checked(magnitude: NDArray[Any], n_fft: int, hop_length: int, n_samples: int) -> torch.Tensor:
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
    return torch.from_numpy(np.maximum(values, 0))


def _starting_phase(
    target: torch.Tensor, generator: np.random.Generator | None, phase: NDArray[Any] | None
) -> torch.Tensor:
    if phase is not None:
        if phase.shape != tuple(target.shape):
            raise FoleyError(f"phases have shape {phase.shape}, magnitudes {tuple(target.shape)}")
        angles = torch.from_numpy(np.asarray(phase, dtype=np.float32))
    elif generator is not None:
        drawn = generator.uniform(-np.pi, np.pi, tuple(target.shape))
        angles = torch.from_numpy(drawn.astype(np.float32))
    else:
        angles = torch.zeros_like(target)
    return torch.polar(torch.ones_like(target), angles)
