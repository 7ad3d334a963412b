"""The basic version of PEAQ from two waveforms to a grade."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from foley.metrics.peaq.bands import HOP, SAMPLE_RATE_HZ, Array
from foley.metrics.peaq.ear import Heard, cut_frames, hear, spread_over_time
from foley.metrics.peaq.movs import (
    Movs,
    Precursors,
    average,
    bandwidths,
    detection,
    harmonic_structure,
    modulation_differences,
    noise_to_mask,
)
from foley.metrics.peaq.network import difference_grade, distortion_index
from foley.metrics.peaq.patterns import adapt, modulate, noise_loudness, total_loudness

_BLOCK = 512
"""Frames whose spectra are in memory at once."""
_DATA_LEVEL = 200 / 32768
"""Sum of five neighbouring magnitudes from which on a recording is taken to have begun."""
_AUDIBLE_SONE = 0.1


@dataclass(frozen=True)
class PeaqResult:
    """What PEAQ says of a pair of sounds.

    Parameters
    ----------
    odg : float
        Objective difference grade: 0 imperceptible, -1 perceptible but not annoying, -2 slightly
        annoying, -3 annoying, -4 very annoying. It lies in (-3.98, 0.22); two equal sounds get 0.21.
    distortion_index : float
        What the grade is the sigmoid of; tells bad from worse where the grade is flat.
    movs : Movs
        The eleven model output variables.
    n_frames : int
        Frames that were judged, of which there are 46.9 a second.
    """

    odg: float
    distortion_index: float
    movs: Movs
    n_frames: int


def peaq_basic(
    reference: NDArray[Any], test: NDArray[Any], sample_rate_hz: int, *, n_bits: int | None = 16
) -> PeaqResult:
    """Grade a sound against the reference that it should equal.

    Parameters
    ----------
    reference, test : ndarray of float, shape (n_samples,) or (n_samples, n_channels)
        One or two channels, in [-1, 1], in step with each other: PEAQ aligns neither time nor level.
        The longer one is cut to the other's length; what is shorter than a frame of 43 ms is followed
        by silence.
    sample_rate_hz : int
        Of both. PEAQ is defined at 48 kHz only; other rates are resampled to it (soxr, VHQ), both sounds
        alike.
    n_bits : int or None
        Round both to this many bits at 48 kHz, without dither, and cut what exceeds full scale: what any
        program that reads WAV files hears. The bandwidths are measured against what is above 21.6 kHz,
        which is the rounding in most sounds; with None it is the resampler's last digits.

    Returns
    -------
    PeaqResult
        All finite, also for silence.

    Raises
    ------
    ValueError
        If the sounds differ in channels, have more than two or no sample, or hold what is not a finite
        number.
    """
    pair = [
        _channels(sound, sample_rate_hz, n_bits, name)
        for sound, name in ((reference, "reference"), (test, "test"))
    ]
    if len(pair[0]) != len(pair[1]):
        raise ValueError(
            f"reference has {len(pair[0])} channels, test has {len(pair[1])}; mix one of them down"
        )
    n_samples = min(sound.shape[1] for sound in pair)
    sounds = np.stack([sound[:, :n_samples] for sound in pair], axis=1)
    first, last = data_frames(sounds[:, 0])
    channels = [_precursors(both, first, last) for both in sounds]
    movs = average(channels, n_before=first)
    index = distortion_index(movs)
    return PeaqResult(difference_grade(index), index, movs, last - first + 1)


def _channels(sound: NDArray[Any], sample_rate_hz: int, n_bits: int | None, name: str) -> Array:
    """One sound as (n_channels, n_samples) at PEAQ's rate, rounded to some number of bits."""
    values = np.asarray(sound, dtype=np.float64)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or not 1 <= values.shape[1] <= 2 or len(values) == 0:
        raise ValueError(
            f"{name} has shape {np.shape(sound)}; PEAQ takes (n_samples,) or (n_samples, 2), of one sample "
            "or more"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds a sample that is not a finite number")
    if sample_rate_hz != SAMPLE_RATE_HZ:
        if sample_rate_hz <= 0:
            raise ValueError(f"a sample rate of {sample_rate_hz} Hz is none")
        values = soxr.resample(values, sample_rate_hz, SAMPLE_RATE_HZ, quality="VHQ")
        if len(values) == 0:
            values = np.zeros((1, values.shape[1]))
    if n_bits is not None:
        steps = 2.0 ** (n_bits - 1)
        values = np.clip(np.round(values * steps), -steps, steps - 1) / steps
    return np.ascontiguousarray(values.T)


def data_frames(reference: Array) -> tuple[int, int]:
    """First and last frame to be judged (BS.1387-1, Annex 2, section 5.2.4.4).

    Parameters
    ----------
    reference : ndarray of float64, shape (n_channels, n_samples)
        What lies before the first and after the last data of either channel is not judged: data are
        where five neighbouring samples sum up to 200 of 32768 in magnitude.

    Returns
    -------
    first, last : int
        Frames that start at ``HOP`` times their number; at least one. All that fit where there are no
        data at all.
    """
    n_samples = reference.shape[1]
    padded = np.pad(np.abs(reference), ((0, 0), (4, 4)))
    sums = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1)
    # Window j covers samples j - 4 to j.
    found = np.flatnonzero(((sums[:, 5:] - sums[:, :-5]) > _DATA_LEVEL).any(axis=0))
    begin, end = 0, n_samples - 1
    if found.size:
        begin, end = max(int(found[0]) - 4, 0), min(int(found[-1]), n_samples - 1)
    first = begin // HOP
    return first, max(first, (end + 1 - HOP) // HOP)


def _precursors(both: Array, first: int, last: int) -> Precursors:
    """Listen to one channel, (2, n_samples), from its start; keep what is measured in the frames judged."""
    width, harmonics, noises, unsmeared = [], [], [], []
    for start in range(0, last + 1, _BLOCK):
        n_frames = min(_BLOCK, last + 1 - start)
        frames = np.stack([cut_frames(sound, start, n_frames) for sound in both])
        heard: Heard = hear(frames)
        width.append(bandwidths(heard.spectra))
        harmonics.append(harmonic_structure(frames, heard.spectra))
        noises.append(heard.noise)
        unsmeared.append(heard.unsmeared)
    unsmeared_all = np.concatenate(unsmeared, axis=1)
    excitation = spread_over_time(unsmeared_all)
    modulation, loudness = modulate(unsmeared_all)
    judged = slice(first, None)
    mean_nmr, largest_nmr = noise_to_mask(np.concatenate(noises)[judged], excitation[0, judged])
    differences = modulation_differences(modulation[:, judged], loudness[0, judged])
    probability, steps = detection(excitation[:, judged])
    return Precursors(
        bandwidth_ref=np.concatenate([reference for reference, _ in width])[judged],
        bandwidth_test=np.concatenate([test for _, test in width])[judged],
        harmonics=np.concatenate(harmonics)[judged],
        mean_nmr=mean_nmr,
        largest_nmr=largest_nmr,
        difference_1=differences[0],
        difference_2=differences[1],
        weight=differences[2],
        noise=noise_loudness(adapt(excitation)[:, judged], modulation[:, judged]),
        audible=np.all(total_loudness(excitation[:, judged]) > _AUDIBLE_SONE, axis=0),
        probability=probability,
        steps=steps,
    )
