"""SpecGAN's sound feature: the logarithm of the magnitude of the short-time Fourier transform.

Donahue, McAuley and Puckette 2019, section 3.2; facts of their code (``train_specgan.py`` in
github.com/chrisdonahue/wavegan): 16 kHz, window 256, hop 128, ``log(magnitude + 1e-6)``, Nyquist's bin
left out, 128 frames of 16,384 samples. Standardising each bin over the training clips and clipping
at three standard deviations is the model's part (:mod:`foley.models.specgan`): it has the clips.

As everywhere in this house, and not as in theirs, frames lie around multiples of the hop: half a
window earlier. Where more frames are asked for than the clip has, the rest is silence.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from foley.features.representations.base import Settings, check_shape, full_scale, stft_magnitude


class Config(Settings):
    """Settings of SpecGAN's representation; the defaults are the reference's."""

    sample_rate_hz: int = Field(16_000, gt=0)
    duration_s: float = Field(1.024, gt=0, description="length of the clips")
    n_frames: int | None = Field(
        128, ge=1, description="frames that are kept, from the first, and silence behind the last; null: all"
    )
    floor: float = Field(1e-6, gt=0, description="added to the magnitude before its logarithm")

    @property
    def n_bins(self) -> int:
        """Rows of the representation: without Nyquist's."""
        return self.n_fft // 2


def represent(waveform: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Turn sound into SpecGAN's spectrogram, before it is standardised.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Mono clip in [-1, 1] at the configured rate.
    config : Config
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_fft / 2, n_frames)
        At least ``log(floor)``, which is silence; natural logarithm.

    Raises
    ------
    FoleyError
        If the waveform is not as long as the settings say.
    """
    magnitude = stft_magnitude(waveform, config)[:-1, : config.n_steps] * np.float32(full_scale(config))
    missing = config.n_steps - magnitude.shape[1]
    padded = np.pad(magnitude, ((0, 0), (0, missing)))
    return np.log(padded + np.float32(config.floor))


def to_magnitude(features: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Turn SpecGAN's spectrogram back into STFT magnitudes, ready for Griffin-Lim.

    Parameters
    ----------
    features : ndarray of float, shape (n_fft / 2, n_frames)
        As :func:`represent` gives, or predicted.
    config : Config
        Settings.

    Returns
    -------
    ndarray of float32, shape (n_fft // 2 + 1, n_stft_frames)
        Nyquist's bin is 0; the last frame is held where frames were cut off.

    Raises
    ------
    FoleyError
        If the features do not have the configured shape.
    """
    check_shape(features, config)
    magnitude = np.exp(np.asarray(features, dtype=np.float32))[:, : config.n_stft_frames]
    missing = config.n_stft_frames - magnitude.shape[1]
    held = np.pad(magnitude, ((0, 0), (0, missing)), mode="edge")
    return np.pad(held, ((0, 1), (0, 0)))
