"""Contrast of magnitudes over time, before Griffin-Lim."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foley.errors import ConfigError
from foley.features.audio import RepresentationConfig, represent
from foley.synthesis.config import SynthesisConfig
from foley.synthesis.contrast import with_contrast
from foley.synthesis.generate import to_waveform

MAGNITUDES = arrays(np.float32, (3, 5), elements=st.floats(0, 100, width=32))


def test_a_row_gets_the_power_and_keeps_its_mean() -> None:
    made = with_contrast(np.array([[1.0, 3.0], [2.0, 2.0], [0.0, 0.0]]), 2.0)
    # 1 and 9, times 4 / 10.
    np.testing.assert_allclose(made, [[0.4, 3.6], [2.0, 2.0], [0.0, 0.0]], rtol=1e-6)
    assert made.dtype == np.float32


@given(MAGNITUDES, st.floats(0.25, 8))
def test_means_order_and_sign_stay(magnitude: np.ndarray, power: float) -> None:
    made = with_contrast(magnitude, power)
    assert np.isfinite(made).all()
    assert (made >= 0).all()
    np.testing.assert_allclose(made.mean(axis=1), magnitude.mean(axis=1), rtol=1e-4, atol=1e-20)
    for row, before in zip(made, magnitude, strict=True):
        assert (np.diff(row[np.argsort(before, kind="stable")]) >= -1e-5 * max(row.max(), 1e-30)).all()


@given(MAGNITUDES)
def test_the_power_one_changes_nothing(magnitude: np.ndarray) -> None:
    np.testing.assert_allclose(with_contrast(magnitude, 1.0), magnitude, rtol=1e-5, atol=1e-20)


def swells() -> tuple[np.ndarray, RepresentationConfig]:
    """Spectrogram of noise that swells twice."""
    config = RepresentationConfig(kind="stft", sample_rate_hz=8000, duration_s=1, n_frames=100)
    time_s = np.arange(8000) / 8000
    noise = np.random.default_rng(0).standard_normal(8000) * 0.05
    return represent((noise * (1.2 + np.cos(4 * np.pi * time_s))).astype(np.float32), config), config


def test_swells_become_hits_of_the_same_class() -> None:
    features, config = swells()

    def level(contrast: float) -> np.ndarray:
        made = to_waveform(features, config, SynthesisConfig(contrast=contrast), np.random.default_rng(0))
        return np.sqrt(np.square(made).reshape(20, -1).mean(axis=1))

    even, sharp = level(1.0), level(3.0)
    assert sharp.max() / sharp.min() > 3 * even.max() / even.min()
    assert even.argmax() in (0, 1, 9, 10, 18, 19)
    assert sharp.argmax() in (0, 1, 9, 10, 18, 19)


def test_contrast_where_no_magnitudes_are_is_an_error() -> None:
    config = RepresentationConfig(kind="waveform", sample_rate_hz=500, duration_s=1)
    with pytest.raises(ConfigError, match=r"synthesis.contrast is 2.0, but representation waveform"):
        to_waveform(np.zeros((1, 500)), config, SynthesisConfig(contrast=2.0), np.random.default_rng(0))
