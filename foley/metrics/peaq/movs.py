"""PEAQ's model output variables: what is measured frame by frame, and how it is averaged over time.

BS.1387-1, Annex 2, section 4, and section 5.2 for averages and for what counts as data. Where a variable
is not defined for any frame of a channel it is 0, as in Kabal's program.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from foley.metrics.peaq.bands import FRAME_HZ, HOP, N_FFT, SAMPLE_RATE_HZ, Array, ear_tables, hann
from foley.metrics.peaq.ear import TINY_POWER

_N_LAGS = 256
"""Lags of the correlation that shows harmonics in the error: the largest power of 2 below 9 kHz."""
_LEAST_ENERGY = 8000 / 32768**2
"""Sum of squares of half a frame, below which nobody asks for harmonics."""
_DETECTION = (9.01033e-11, 5.05622e-6, -0.00102438, 0.0550197, -0.198719)
"""Polynomial in the level of the step that is just noticed, highest power first."""


class Movs(NamedTuple):
    """The eleven variables, in the order of the neural network's inputs.

    Parameters
    ----------
    bandwidth_ref, bandwidth_test : float
        Bandwidth of either sound, in lines of the Fourier transform of 23.4 Hz. 0 where no frame of the
        reference reaches beyond 8.1 kHz by 10 dB above the test sound's floor beyond 21.6 kHz.
    total_nmr : float
        Noise-to-mask ratio in dB.
    win_mod_diff_1 : float
        Windowed difference of modulation.
    adb : float
        Average distorted block: logarithm of the steps of distortion heard in a frame.
    ehs : float
        Harmonic structure of the error.
    avg_mod_diff_1, avg_mod_diff_2 : float
        Differences of modulation, weighted by the reference's loudness.
    rms_noise_loud : float
        Loudness of the added noise.
    mfpd : float
        Largest smoothed probability that a difference is heard.
    rel_dist_frames : float
        Share of the frames in which noise rises above its mask by 1.5 dB somewhere.
    """

    bandwidth_ref: float
    bandwidth_test: float
    total_nmr: float
    win_mod_diff_1: float
    adb: float
    ehs: float
    avg_mod_diff_1: float
    avg_mod_diff_2: float
    rms_noise_loud: float
    mfpd: float
    rel_dist_frames: float


@dataclass(frozen=True)
class Precursors:
    """What is measured in each frame of one channel; arrays of shape (n_frames,) but for the last two.

    Parameters
    ----------
    bandwidth_ref, bandwidth_test : ndarray of float64
        -1 where there is none.
    harmonics : ndarray of float64
        -1 in frames that are too quiet.
    mean_nmr, largest_nmr : ndarray of float64
        Over the bands.
    difference_1, difference_2, weight : ndarray of float64
        Differences of modulation and what they are weighted by.
    noise : ndarray of float64
        Loudness of the noise.
    audible : ndarray of bool
        Whether both sounds are louder than 0.1 sone.
    probability, steps : ndarray of float64, shape (n_frames, n_bands)
        That a difference is heard, and by how many noticeable steps.
    """

    bandwidth_ref: Array
    bandwidth_test: Array
    harmonics: Array
    mean_nmr: Array
    largest_nmr: Array
    difference_1: Array
    difference_2: Array
    weight: Array
    noise: Array
    audible: NDArray[np.bool_]
    probability: Array
    steps: Array


def bandwidths(spectra: Array) -> tuple[Array, Array]:
    """Bandwidth of both sounds in each frame.

    Parameters
    ----------
    spectra : ndarray of float64, shape (2, n_frames, N_BINS)

    Returns
    -------
    reference, test : ndarray of float64, shape (n_frames,)
        One more than the highest line that stands 10 dB (reference) or 5 dB (test, not above the
        reference's) over the test sound's floor; -1 where the reference has none.
    """
    top, bottom = (round(hz / SAMPLE_RATE_HZ * N_FFT) for hz in (21_586, 8_109))
    floor = spectra[1, :, top : N_FFT // 2].max(axis=-1, keepdims=True)
    lines = np.arange(top)
    reference = _highest((spectra[0, :, :top] >= 10 * floor) & (lines > bottom))
    test = _highest((spectra[1, :, :top] >= 10**0.5 * floor) & (lines < reference[:, None]))
    return reference, test


def _highest(marked: NDArray[np.bool_]) -> Array:
    """One more than the last marked place of each row, -1 where none is."""
    last = marked.shape[-1] - np.argmax(marked[:, ::-1], axis=-1)
    return np.where(marked.any(axis=-1), last, -1).astype(np.float64)


def harmonic_structure(frames: Array, spectra: Array) -> Array:
    """Strength of a regular pattern in the ratio of both spectra, as distortion makes.

    Parameters
    ----------
    frames : ndarray of float64, shape (2, n_frames, N_FFT)
    spectra : ndarray of float64, shape (2, n_frames, N_BINS)

    Returns
    -------
    ndarray of float64, shape (n_frames,)
        At least 0; -1 where both sounds are too quiet.
    """
    newest = frames[..., HOP:]
    loud = (np.einsum("sft,sft->sf", newest, newest) >= _LEAST_ENERGY).any(axis=0)
    found = np.full(len(loud), -1.0)
    if not loud.any():
        return found
    reference, test = np.maximum(spectra[:, loud, : 2 * _N_LAGS - 1], TINY_POWER)
    ratio = np.log(test / reference)
    # Correlation of the first lines with all, by a transform long enough not to wrap around.
    correlation = irfft(
        np.conj(rfft(ratio[:, :_N_LAGS], 2 * _N_LAGS)) * rfft(ratio, 2 * _N_LAGS), 2 * _N_LAGS
    )[:, :_N_LAGS]
    energy = np.pad(np.cumsum(ratio**2, axis=1), ((0, 0), (1, 0)))
    product = correlation[:, :1] * (energy[:, _N_LAGS:] - energy[:, :_N_LAGS])
    defined = product > 0
    normalised = np.where(defined, correlation / np.sqrt(np.where(defined, product, 1)), 1.0)
    normalised[:, 0] = 1
    window = hann(_N_LAGS) * np.sqrt(8 / 3) / _N_LAGS
    power = np.abs(rfft(window * (normalised - normalised.mean(axis=1, keepdims=True)))) ** 2
    rising = power[:, 1:] > power[:, :1]
    found[loud] = np.where(rising, power[:, 1:], 0).max(axis=1)
    return found


def noise_to_mask(noise: Array, excitation: Array) -> tuple[Array, Array]:
    """Mean and largest noise-to-mask ratio over the bands, each (n_frames,).

    Parameters
    ----------
    noise, excitation : ndarray of float64, shape (n_frames, n_bands)
        Of the difference, and of the reference.
    """
    ratio = noise / (ear_tables().mask_gain * excitation)
    return ratio.mean(axis=-1), ratio.max(axis=-1)


def modulation_differences(modulation: Array, loudness: Array) -> tuple[Array, Array, Array]:
    """Difference of modulation, the same with losses counted less, and the weight of each frame.

    Parameters
    ----------
    modulation : ndarray of float64, shape (2, n_frames, n_bands)
    loudness : ndarray of float64, shape (n_frames, n_bands)
        Smoothed simplified loudness of the reference.

    Returns
    -------
    tuple of ndarray of float64, each of shape (n_frames,)
    """
    reference, test = modulation
    apart = np.abs(reference - test)
    first = 100 * (apart / (1 + reference)).mean(axis=-1)
    second = 100 * (np.where(reference > test, 0.1, 1.0) * apart / (0.01 + reference)).mean(axis=-1)
    weight = (loudness / (loudness + 100 * ear_tables().internal_noise ** 0.3)).sum(axis=-1)
    return first, second, weight


def detection(excitation: Array) -> tuple[Array, Array]:
    """Probability that a difference is heard in each band, and by how many noticeable steps.

    Parameters
    ----------
    excitation : ndarray of float64, shape (2, n_frames, n_bands)

    Returns
    -------
    probability, steps : ndarray of float64, shape (n_frames, n_bands)
    """
    reference, test = 10 * np.log10(excitation)
    apart = reference - test
    level = 0.3 * np.maximum(reference, test) + 0.7 * test
    heard = level > 0
    safe = np.where(heard, level, 1.0)
    step = np.where(heard, 5.95072 * (6.39468 / safe) ** 1.71332 + np.polyval(_DETECTION, safe), 1e30)
    slope = np.where(apart > 0, 4, 6)
    return 1 - 0.5 ** (np.abs(apart / step) ** slope), np.abs(np.trunc(apart)) / step


def average(channels: Sequence[Precursors], n_before: int) -> Movs:
    """Average over frames and channels.

    Parameters
    ----------
    channels : sequence of Precursors
        One or two, of equally many frames.
    n_before : int
        Frames before the first that were only listened to; they count towards the half second in which
        differences of modulation are not judged.

    Returns
    -------
    Movs
        All finite.
    """
    n_frames = len(channels[0].weight)
    settled = max(0, int(np.ceil(0.5 * FRAME_HZ)) - n_before)
    audible = np.flatnonzero(np.any([one.audible for one in channels], axis=0))
    first_audible = int(audible[0]) if audible.size else n_frames
    noise_from = max(first_audible + int(np.ceil(0.05 * FRAME_HZ)), settled)
    adb, mfpd = _detected(channels)

    def over_channels(values: Sequence[float]) -> float:
        return float(np.mean(values))

    return Movs(
        bandwidth_ref=over_channels([_mean_of_valid(one.bandwidth_ref) for one in channels]),
        bandwidth_test=over_channels([_mean_of_valid(one.bandwidth_test) for one in channels]),
        total_nmr=over_channels([10 * np.log10(one.mean_nmr.mean()) for one in channels]),
        win_mod_diff_1=over_channels([_windowed(one.difference_1[settled:]) for one in channels]),
        adb=adb,
        ehs=1000 * over_channels([_mean_of_valid(one.harmonics) for one in channels]),
        avg_mod_diff_1=over_channels(
            [_weighted(one.difference_1[settled:], one.weight[settled:]) for one in channels]
        ),
        avg_mod_diff_2=over_channels(
            [_weighted(one.difference_2[settled:], one.weight[settled:]) for one in channels]
        ),
        rms_noise_loud=over_channels([_rms(one.noise[noise_from:]) for one in channels]),
        mfpd=mfpd,
        rel_dist_frames=over_channels([float(np.mean(one.largest_nmr > 10**0.15)) for one in channels]),
    )


def _detected(channels: Sequence[Precursors]) -> tuple[float, float]:
    """Average distorted block, and largest smoothed probability of detection, by the better ear."""
    probability = np.max([one.probability for one in channels], axis=0)
    steps = np.max([one.steps for one in channels], axis=0).sum(axis=-1)
    heard = 1 - np.prod(1 - probability, axis=-1)
    smoothed, largest = 0.0, 0.0
    for value in heard:
        smoothed = 0.9 * smoothed + 0.1 * float(value)
        largest = max(largest, smoothed)
    distorted = heard > 0.5
    total = float(steps[distorted].sum())
    if not distorted.any():
        return 0.0, largest
    return float(np.log10(total / distorted.sum())) if total > 0 else -0.5, largest


def _mean_of_valid(values: Array) -> float:
    valid = values[values >= 0]
    return float(valid.mean()) if valid.size else 0.0


def _weighted(values: Array, weights: Array) -> float:
    return float(np.average(values, weights=weights)) if values.size else 0.0


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def _windowed(values: Array) -> float:
    n_window = int(0.1 * FRAME_HZ)
    if len(values) < n_window:
        return 0.0
    means = sliding_window_view(np.sqrt(values), n_window).mean(axis=-1)
    return float(np.sqrt(np.mean(means**4)))
