r"""De-noising by thresholds on blocks of time and frequency.

G. Yu, S. Mallat and E. Bacry, "Audio denoising by time-frequency block thresholding", IEEE Transactions
on Signal Processing 56, 2008; V2RA cleans its sounds with it (Liu et al., section 3.3). The short-time
Fourier transform is cut into macroblocks of 8 frames by 16 bins. Each is divided into blocks of the shape
whose risk, estimated by Stein's formula (SURE) on the real parts, is the smallest, and every block is
lowered by one gain, :math:`\max(0, 1 - \lambda \sigma^2 B / \sum |Y|^2)` with :math:`\sigma^2` the
noise's power in a coefficient and :math:`B` the coefficients of the block. A Wiener filter made of the
result follows. Isolated coefficients that stick out of the noise share their block's fate, so that no
musical noise is left.

Thresholds, shapes and window are those of the authors' own program. Decisions that differ from it or that
paper and program leave open:

- The noise is taken to be white. Its standard deviation is an input of the published algorithm; here it
  is estimated, from the middle of the magnitudes in the quietest frames that are not digital silence.
- The sound is continued by reflection at both ends, so that all of it comes back and every frame is in
  a full macroblock; the program loses half a window at the start and up to a macroblock at the end.
- Bins that fill no macroblock (the constant and the highest ones) get blocks of 8 frames by 1 bin.
"""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.signal.windows import hann

from foley.synthesis.config import BlockThresholdConfig

Array = NDArray[np.float64]
Coefficients = NDArray[np.complex128]

_N_FRAMES, _N_BINS = 8, 16
_THRESHOLDS = {
    8: {16: 1.5, 8: 1.8, 4: 2.0, 2: 2.5, 1: 2.5},
    4: {16: 1.8, 8: 2.0, 4: 2.5, 2: 3.5, 1: 3.5},
    2: {16: 2.0, 8: 2.5, 4: 3.5, 2: 4.7, 1: 4.7},
}
"""Threshold of a block by its frames and bins: pure noise passes one block in a thousand."""
_LEFTOVER_THRESHOLD = 2.5
_MEDIAN_OF_NORMAL = 0.6744897501960817
"""Of the magnitude of a standard normal number."""


def block_threshold(
    waveform: NDArray[np.floating], sample_rate_hz: int, config: BlockThresholdConfig | None = None
) -> NDArray[np.float32]:
    """Take white noise out of a sound.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,) or (n_samples, n_channels)
        Each channel by itself.
    sample_rate_hz : int
    config : BlockThresholdConfig, optional

    Returns
    -------
    ndarray of float32, shape of `waveform`
        In step with the input. Silence, and sound in which no noise is found, come back unchanged.

    Raises
    ------
    ValueError
        If a sample is not a finite number, or there are more than two axes.
    """
    config = config or BlockThresholdConfig()
    sound = np.asarray(waveform, dtype=np.float64)
    if sound.ndim not in (1, 2) or not np.isfinite(sound).all():
        raise ValueError("de-noising takes finite samples of shape (n_samples,) or (n_samples, n_channels)")
    if sound.size == 0:
        return sound.astype(np.float32)
    if sound.ndim == 2:
        return np.stack([block_threshold(channel, sample_rate_hz, config) for channel in sound.T], axis=1)
    hop = max(8, round(config.window_s * sample_rate_hz) // 2)
    padded = _padded(sound, hop)
    coefficients = _analyse(padded, hop)
    std = noise_std(coefficients, config.quiet_share) if config.noise_std is None else config.noise_std
    if std == 0:
        return sound.astype(np.float32)
    power = std**2 * _window_power(hop)
    first = coefficients * block_gains(coefficients, power)
    reference = np.abs(first) ** 2
    cleaned = _synthesise(coefficients * (reference / (reference + power)), hop)
    return np.asarray(cleaned[hop : hop + len(sound)], dtype=np.float32)


def _window(hop: int) -> Array:
    # Of odd length with zeros at both ends: shifted by half, it sums to 1.
    return np.asarray(hann(2 * hop + 1))


def _window_power(hop: int) -> float:
    return float(np.sum(_window(hop) ** 2))


def _padded(sound: Array, hop: int) -> Array:
    """Continue a sound by reflection: one step before, and after to the end of a macroblock."""
    n_steps = -(-len(sound) // hop) + 1
    n_frames = -(-n_steps // _N_FRAMES) * _N_FRAMES
    total = (n_frames + 1) * hop + 1
    return np.pad(sound, (hop, total - hop - len(sound)), mode="symmetric")


def _analyse(padded: Array, hop: int) -> Coefficients:
    """Short-time Fourier transform, (n_frames, hop + 1)."""
    frames = sliding_window_view(padded, 2 * hop + 1)[::hop]
    return np.asarray(rfft(frames * _window(hop), axis=1), dtype=np.complex128)


def _synthesise(coefficients: Coefficients, hop: int) -> Array:
    """Undo :func:`_analyse` by adding overlapping frames; the first and last step are not whole."""
    frames = irfft(coefficients, 2 * hop + 1, axis=1)
    sound = np.zeros((len(frames) + 1) * hop + 1)
    halves = sound[:-1].reshape(-1, hop)
    halves[:-1] += frames[:, :hop]
    halves[1:] += frames[:, hop:-1]
    return sound


def noise_std(coefficients: Coefficients, quiet_share: float) -> float:
    """Estimate the standard deviation of white noise under a sound.

    Parameters
    ----------
    coefficients : ndarray of complex128, shape (n_frames, n_bins)
        Short-time Fourier transform by a Hann window of ``2 * n_bins - 1`` samples.
    quiet_share : float
        Share of the frames, the quietest ones, that are looked at. Digital silence is not.

    Returns
    -------
    float
        Of a sample; 0 for silence.
    """
    energy = np.sum(np.abs(coefficients) ** 2, axis=1)
    heard = np.flatnonzero(energy > 0)
    if heard.size == 0:
        return 0.0
    order = heard[np.argsort(energy[heard], kind="stable")]
    quiet = coefficients[order[: max(1, round(quiet_share * len(order)))], 1:]
    middle = float(np.median(np.abs(np.concatenate([quiet.real, quiet.imag]))))
    # Half of the power is in the real part.
    return middle / _MEDIAN_OF_NORMAL / float(np.sqrt(_window_power(quiet.shape[1]) / 2))


def block_gains(coefficients: Coefficients, power: float) -> Array:
    """Gain of every coefficient.

    Parameters
    ----------
    coefficients : ndarray of complex128, shape (n_frames, n_bins)
        `n_frames` a multiple of 8.
    power : float
        Of the noise in a coefficient, above 0.

    Returns
    -------
    ndarray of float64, shape (n_frames, n_bins)
        In [0, 1].
    """
    n_frames, n_bins = coefficients.shape
    n_whole = (n_bins - 1) // _N_BINS
    inside = slice(1, 1 + n_whole * _N_BINS)
    energy = np.abs(coefficients) ** 2
    gains = np.empty((n_frames, n_bins))
    columns = energy.reshape(-1, _N_FRAMES, n_bins).sum(axis=1)
    gains[:] = np.repeat(_gain(columns, _N_FRAMES, _LEFTOVER_THRESHOLD, power), _N_FRAMES, axis=0)
    shape = (n_frames // _N_FRAMES, _N_FRAMES, n_whole, _N_BINS)
    real = (coefficients.real[:, inside] ** 2).reshape(shape) / (power / 2)
    least = np.full((shape[0], shape[2]), np.inf)
    chosen = np.ones(shape)
    for length, width, threshold in _shapes():
        blocks = _block_sums(real, length, width)
        risk = _risk(blocks, length * width, threshold).sum(axis=(1, 3))
        sums = _block_sums(energy[:, inside].reshape(shape), length, width)
        gain = _gain(sums, length * width, threshold, power)
        better = (risk < least)[:, None, :, None]
        chosen = np.where(better, np.repeat(np.repeat(gain, length, axis=1), width, axis=3), chosen)
        least = np.minimum(risk, least)
    gains[:, inside] = chosen.reshape(n_frames, n_whole * _N_BINS)
    return gains


def _shapes() -> Iterator[tuple[int, int, float]]:
    for length, row in _THRESHOLDS.items():
        for width, threshold in row.items():
            yield length, width, threshold


def _block_sums(values: Array, length: int, width: int) -> Array:
    """Sums over blocks of each macroblock, (n, 8 // length, m, 16 // width)."""
    n, _, m, _ = values.shape
    blocks = values.reshape(n, _N_FRAMES // length, length, m, _N_BINS // width, width)
    return np.asarray(blocks.sum(axis=(2, 5)))


def _gain(sums: Array, size: int, threshold: float, power: float) -> Array:
    return np.asarray(np.maximum(0, 1 - threshold * size * power / np.maximum(sums, 1e-300)))


def _risk(sums: Array, size: int, threshold: float) -> Array:
    """Stein's unbiased estimate of the risk of each block, for noise of variance 1 (Cai 1999)."""
    limit = threshold * size
    kept = size + limit * (limit - 2 * (size - 2)) / np.maximum(sums, 1e-300)
    return np.where(sums > limit, kept, sums - size)
