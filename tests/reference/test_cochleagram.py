"""The cochleagram: known answers, the bands at full rate, and sound made of it."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.signal import hilbert

from foley.errors import ConfigError, FoleyError
from foley.features.audio import RepresentationConfig, represent_at
from foley.features.representations import cochleagram
from foley.synthesis.config import SynthesisConfig
from foley.synthesis.generate import to_waveform

SECOND = cochleagram.Config(sample_rate_hz=44_100, duration_s=1.0)


def tone(frequency_hz: float, config: cochleagram.Config = SECOND) -> np.ndarray:
    t_s = np.arange(config.n_samples) / config.sample_rate_hz
    return np.sin(2 * np.pi * frequency_hz * t_s)


def noise(config: cochleagram.Config = SECOND, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(config.n_samples)


def hits() -> np.ndarray:
    """Three ringing hits in silence."""
    t_s = np.arange(SECOND.n_samples) / SECOND.sample_rate_hz
    made = np.zeros(SECOND.n_samples)
    for hit_s, frequency_hz in ((0.2, 600), (0.5, 1500), (0.75, 3000)):
        after = np.maximum(t_s - hit_s, 0)
        made += (t_s >= hit_s) * 0.5 * np.exp(-after / 0.04) * np.sin(2 * np.pi * frequency_hz * after)
    return made


def relative_error(config: cochleagram.Config, features: np.ndarray, n_iterations: int) -> float:
    made = cochleagram.from_noise(
        features, config, n_iterations=n_iterations, generator=np.random.default_rng(1)
    )
    assert np.isfinite(made).all()
    return float(np.linalg.norm(cochleagram.represent(made, config) - features) / np.linalg.norm(features))


def test_the_papers_sizes_are_the_defaults() -> None:
    config = cochleagram.Config(duration_s=0.5)
    assert (config.sample_rate_hz, config.frame_rate_hz, config.exponent) == (96_000, 90, 0.3)
    features = cochleagram.represent(np.zeros(48_000), config)
    assert (features.shape, features.dtype) == ((42, 45), np.float32)
    assert (features == 0).all()


def test_squares_of_the_filters_sum_to_one_everywhere() -> None:
    gains = cochleagram.filters(np.linspace(0, 22_050, 5000), SECOND)
    assert gains.shape == (42, 5000)
    assert gains.min() >= 0
    np.testing.assert_allclose((gains**2).sum(axis=0), 1, atol=1e-12)


def test_bands_are_half_cosines_equally_wide_in_erbs_and_overlap_by_half() -> None:
    centres = cochleagram.centres_hz(SECOND)
    gains = cochleagram.filters(centres, SECOND)[1:-1]
    np.testing.assert_allclose(gains, np.eye(40), atol=1e-12)  # each ends where its neighbours peak
    ends = 9.265 * np.log(1 + np.array([100, 10_000]) / (24.7 * 9.265))
    places = 9.265 * np.log(1 + centres / (24.7 * 9.265))
    np.testing.assert_allclose(np.diff([ends[0], *places, ends[1]]), (ends[1] - ends[0]) / 41)
    between = cochleagram.from_erb(np.array([(places[9] + 3 * places[10]) / 4]))
    assert cochleagram.filters(between, SECOND)[11, 0] == pytest.approx(np.cos(np.pi / 8))
    assert cochleagram.filters(np.array([0.0]), SECOND)[0, 0] == 1
    assert cochleagram.filters(np.array([15_000.0]), SECOND)[-1, 0] == 1


def test_the_envelope_of_an_amplitude_modulated_tone_is_its_modulation() -> None:
    """Known: 0.2 (1 + 0.5 cos) at the band's centre, averaged over each frame, to the power 0.3."""
    centre_hz = cochleagram.centres_hz(SECOND)[29]
    t_s = np.arange(SECOND.n_samples) / SECOND.sample_rate_hz
    features = cochleagram.represent(0.2 * (1 + 0.5 * np.cos(2 * np.pi * 4 * t_s)) * tone(centre_hz), SECOND)
    middles_s = (np.arange(90) + 0.5) / 90
    mean = 0.2 * (1 + 0.5 * np.sinc(4 / 90) * np.cos(2 * np.pi * 4 * middles_s))
    inside = slice(5, 85)
    np.testing.assert_allclose(features[30, inside] ** (1 / 0.3), mean[inside], rtol=0.01)
    assert features[[10, 20, 40], inside].max() < 0.1


def test_the_same_numbers_as_at_the_full_rate() -> None:
    sound = 0.5 * noise() + hits()
    features = cochleagram.represent(sound, SECOND)
    bank = cochleagram._Bank.of(SECOND)
    padded = np.pad(sound, (0, bank.n_samples - len(sound)))
    gains = cochleagram.filters(np.fft.rfftfreq(bank.n_samples, 1 / 44_100), SECOND)
    bands = np.fft.irfft(np.fft.rfft(padded) * gains, bank.n_samples)
    means = np.abs(hilbert(bands)).reshape(42, bank.n_frames, -1).mean(axis=2)[:, :90]
    np.testing.assert_allclose(features, means**0.3, atol=0.002)
    # The bands, filtered once more, add up to the sound.
    again = np.fft.irfft((np.fft.rfft(bands) * gains).sum(axis=0), bank.n_samples)
    np.testing.assert_allclose(again, padded, atol=1e-9)


def test_a_click_stays_in_its_frames_and_does_not_come_round() -> None:
    sound = np.zeros(SECOND.n_samples)
    sound[-200] = 1.0
    features = cochleagram.represent(sound, SECOND)
    assert features[20].argmax() == 89
    assert features[20:, :70].max() < 0.05


@pytest.mark.parametrize(("sound", "once", "often"), [(noise(), 0.1, 0.03), (hits(), 0.4, 0.2)])
def test_sound_made_of_a_cochleagram_has_that_cochleagram(
    sound: np.ndarray, once: float, often: float
) -> None:
    features = cochleagram.represent(sound, SECOND)
    assert relative_error(SECOND, features, 1) < once
    assert relative_error(SECOND, features, 16) < often


def test_more_iterations_come_closer() -> None:
    features = cochleagram.represent(hits(), SECOND)
    errors = [relative_error(SECOND, features, n) for n in (1, 4, 16)]
    assert errors[0] > errors[1] > errors[2]


def test_the_same_generator_gives_the_same_sound_and_another_another() -> None:
    features = cochleagram.represent(hits(), SECOND)
    made = [
        cochleagram.from_noise(features, SECOND, n_iterations=2, generator=np.random.default_rng(seed))
        for seed in (3, 3, 4)
    ]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_silence_becomes_silence_and_a_silent_half_stays_silent() -> None:
    silence = np.zeros((42, 90), dtype=np.float32)
    generator = np.random.default_rng(0)
    assert (cochleagram.from_noise(silence, SECOND, n_iterations=3, generator=generator) == 0).all()
    half = silence.copy()
    half[:, :45] = 0.3
    made = cochleagram.from_noise(half, SECOND, n_iterations=8, generator=generator)
    assert np.isfinite(made).all()
    assert np.abs(made[24_000:]).max() < 0.01 * np.abs(made[:20_000]).max()


@pytest.mark.parametrize("duration_s", [0.02, 0.1])
def test_short_sound(duration_s: float) -> None:
    config = cochleagram.Config(sample_rate_hz=44_100, duration_s=duration_s)
    features = cochleagram.represent(noise(config), config)
    assert features.shape == (42, round(duration_s * 90))
    assert np.isfinite(features).all()
    made = cochleagram.from_noise(features, config, n_iterations=4, generator=np.random.default_rng(0))
    assert made.shape == (config.n_samples,)
    assert np.isfinite(made).all()


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 48_000, 96_000])
def test_every_rate_has_the_same_frames(rate_hz: int) -> None:
    config = cochleagram.Config(sample_rate_hz=rate_hz, duration_s=1.0)
    features = cochleagram.represent(0.5 * tone(1000, config), config)
    assert features.shape == (42, 90)
    reference = cochleagram.represent(0.5 * tone(1000), SECOND)
    np.testing.assert_allclose(features[5:35, 5:85], reference[5:35, 5:85], atol=0.02)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(FoleyError, match="44100 samples"):
        cochleagram.represent(np.zeros(100), SECOND)
    with pytest.raises(FoleyError, match="shape"):
        cochleagram.from_noise(np.zeros((42, 3)), SECOND, n_iterations=1, generator=np.random.default_rng(0))
    with pytest.raises(FoleyError, match="diverged"):
        cochleagram.from_noise(
            np.full((42, 90), np.nan), SECOND, n_iterations=1, generator=np.random.default_rng(0)
        )


@pytest.mark.parametrize(
    "wrong", [{"highest_hz": 60_000}, {"lowest_hz": 20_000}, {"n_fft": 256}, {"n_band": 4}]
)
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        cochleagram.Config.model_validate(wrong)


def test_it_goes_the_way_of_every_representation() -> None:
    config = RepresentationConfig(kind="cochleagram", sample_rate_hz=44_100, duration_s=1.0)
    with pytest.raises(ConfigError, match="no short-time Fourier transform"):
        _ = config.grid
    features = represent_at(hits().astype(np.float32), 44_100, config, "clip")
    loud = 3 * features
    made = to_waveform(loud, config, SynthesisConfig(n_iterations=2), np.random.default_rng(0))
    assert np.abs(made).max() <= 1
    free = to_waveform(loud, config, SynthesisConfig(n_iterations=2), np.random.default_rng(0), limit=False)
    assert np.abs(free).max() > 1
