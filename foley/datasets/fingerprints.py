"""Fingerprints of picture and sound that survive another encoding, another size and a small cut.

Picture: twice a second, a word of 64 bits says which of the slowest cosine waves of the grey picture
are above their median (after Zauner, Implementation and Benchmarking of Perceptual Image Hash
Functions, 2010). Sound: every 32 ms, a word of 16 bits says in which bands the step of power from
band to band grew (after Haitsma and Kalker, A Highly Robust Audio Fingerprinting System, ISMIR 2002).
Both words are 0 where there is nothing to compare: a flat picture, silence.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

PicturePrint = NDArray[np.uint64]
SoundPrint = NDArray[np.uint16]

SOUND_RATE_HZ = 16_000
"""Rate of the sound that :func:`sound_print` wants."""
SOUND_HOP_S = 0.032
PICTURE_HOP_S = 0.5
LONGEST_S = 120.0
"""Longer films are told apart by their first two minutes."""

_HOP = round(SOUND_HOP_S * SOUND_RATE_HZ)
_WINDOW = 8 * _HOP
_EDGES_HZ = np.geomspace(200.0, 6400.0, 18)
_QUIET = 1e-5
"""Power, of the loudest instant's, below which nothing is heard (50 dB)."""
_FLAT = 2.0
"""Standard deviation of grey levels, of 255, below which a picture shows nothing."""
_COSINES_PX = 32


def picture_word(luma: NDArray[np.uint8]) -> int:
    """Describe one picture by 64 bits.

    Parameters
    ----------
    luma : ndarray of uint8, shape (n, n), n >= 32
        Grey picture, squeezed to a square.

    Returns
    -------
    int
        0 for a picture that shows nothing.
    """
    small = cv2.resize(luma, (_COSINES_PX, _COSINES_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    if float(small.std()) < _FLAT:
        return 0
    slow = cv2.dct(small)[:8, :8].ravel()
    slow[0] = slow[1:].mean()  # the mean grey level says nothing about what is seen
    bits = np.packbits(slow > np.median(slow))
    return int(bits.view(np.uint64)[0]) or 1


def sound_print(waveform: NDArray[np.float32]) -> SoundPrint:
    """Describe a sound by one word every 32 ms.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n,)
        At 16 kHz; only its first two minutes are looked at.

    Returns
    -------
    ndarray of uint16, shape (n_words,)
        0 where nothing is heard.
    """
    waveform = waveform[: round(LONGEST_S * SOUND_RATE_HZ)]
    n_windows = (len(waveform) - _WINDOW) // _HOP + 1
    if n_windows < 2:
        return np.zeros(0, dtype=np.uint16)
    windows = np.lib.stride_tricks.sliding_window_view(waveform, _WINDOW)[::_HOP]
    taper = np.hanning(_WINDOW).astype(np.float32)
    edges = np.round(_EDGES_HZ * _WINDOW / SOUND_RATE_HZ).astype(np.int64)
    power = np.empty((n_windows, len(edges) - 1), dtype=np.float64)
    for first in range(0, n_windows, 256):
        spectrum = fft.rfft(windows[first : first + 256] * taper, axis=1)
        power[first : first + 256] = np.add.reduceat(np.abs(spectrum) ** 2, edges, axis=1)[:, :-1]
    steps = np.diff(power, axis=1)
    bits = np.packbits(np.diff(steps, axis=0) > 0, axis=1)
    words = np.maximum(np.ascontiguousarray(bits).view(np.uint16)[:, 0], 1)
    total = power.sum(axis=1)
    heard = total[1:] > max(_QUIET * float(total.max()), 1e-12)
    return np.where(heard, words, 0).astype(np.uint16)
