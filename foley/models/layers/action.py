"""FoleyGAN's visual guidance: how much the action happens over time, as a spectrogram.

Ghose and Prevost, section IV-A.2. The paper plots the 2-frame relation over time "to get a time-series
graph", which for a network with one score a class needs a choice: here it is the probability of the
clip's class, ``P(t) = softmax(R_2(F_t, F_{t+1}))[C]``. It is interpolated linearly to the sound's
samples, goes through the sound's own short-time Fourier transform, and its logarithm is repeated as
three channels.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

FLOOR = 1e-6
"""Magnitude, of a curve that is 1 throughout, which becomes -1; that of the curve becomes 1."""


def to_samples(curve: Tensor, *, steps_per_s: float, sample_rate_hz: int, n_samples: int) -> Tensor:
    """Interpolate a curve of pairs of pictures linearly at the sound's samples.

    Parameters
    ----------
    curve : Tensor, (batch, n_pairs)
        Value ``k`` belongs to the time between pictures ``k`` and ``k + 1``.
    steps_per_s : float
        Pictures per second; the first is at 0 s.
    sample_rate_hz, n_samples : int
        Of the sound.

    Returns
    -------
    Tensor, (batch, n_samples)
        The ends are held.
    """
    last = curve.shape[1] - 1
    times = torch.arange(n_samples, device=curve.device, dtype=torch.float64) / sample_rate_hz
    place = (times * steps_per_s - 0.5).clamp(0, last)
    left = place.long().clamp(max=max(last - 1, 0))
    share = (place - left).to(curve.dtype)
    right = (left + 1).clamp(max=last)
    return curve[:, left] * (1 - share) + curve[:, right] * share


def action_spectrogram(samples: Tensor, *, n_fft: int, hop_length: int, resolution: int) -> Tensor:
    """Logarithmic spectrogram of a curve, as three equal channels in [-1, 1].

    Hann window, frames that lie within the clip, without the last bin: 512 x 512 of 132,000 samples
    with a window of 1024 and a step of 256, as for the sound. Another resolution is made of it by
    averaging over areas.

    Parameters
    ----------
    samples : Tensor, (batch, n_samples)
        In [0, 1].
    n_fft, hop_length, resolution : int

    Returns
    -------
    Tensor, (batch, 3, resolution, resolution)
        Bins from low to high, then time.
    """
    window = torch.hann_window(n_fft, device=samples.device, dtype=samples.dtype)
    spectrum = torch.stft(samples, n_fft, hop_length, window=window, center=False, return_complex=True)
    magnitude = spectrum[:, :-1].abs() / window.sum()
    levels = 1 + 2 * torch.log10(magnitude.clamp(min=FLOOR, max=1)) / -math.log10(FLOOR)
    if levels.shape[1:] != (resolution, resolution):
        levels = functional.adaptive_avg_pool2d(levels, resolution)
    return levels[:, None].expand(-1, 3, -1, -1)
