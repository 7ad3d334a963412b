"""Sound itself, at a rate of its own: what models of raw samples learn.

Visual2Sound takes 159,744 samples for ten seconds (Zhou et al. 2018, section 4.1). A clip is one row
of samples in [-1, 1], not scaled and not quantised: how a sample is told in levels is the model's
affair (see :mod:`foley.models.visual2sound`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from foley.features.representations.base import Settings, check_shape, full_scale, stft_magnitude


class Config(Settings):
    """Settings of the waveform; transform and step are only for those who ask for magnitudes."""

    sample_rate_hz: int = Field(15974, gt=0, description="Visual2Sound's 15974.4 Hz, to the nearest whole")
    n_frames: None = Field(None, description="not to be set: every sample is kept")

    @property
    def n_bins(self) -> int:
        """One row."""
        return 1

    @property
    def n_steps(self) -> int:
        """Samples of a clip."""
        return self.n_samples


def represent(waveform: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Give the waveform as one row, float32 (1, n_samples).

    Raises
    ------
    FoleyError
        If the waveform is not as long as the settings say.
    """
    row = np.asarray(waveform, dtype=np.float32)[None]
    check_shape(row, config)
    return row


def to_magnitude(features: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """STFT magnitudes of the sound, unscaled, (n_fft // 2 + 1, n_stft_frames); FoleyError by shape."""
    check_shape(features, config)
    return stft_magnitude(features[0], config) * np.float32(full_scale(config))


def to_waveform(features: NDArray[Any], config: Config) -> NDArray[np.float32]:
    """Give the row back as sound, float32 (n_samples,); FoleyError by shape."""
    check_shape(features, config)
    return np.asarray(features[0], dtype=np.float32)
