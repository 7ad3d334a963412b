"""FoleyGAN's sound encodings and GANSynth's IF-Mel: against librosa, and there and back."""

from functools import partial

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from foley.errors import FoleyError
from foley.features.audio import RepresentationConfig, represent, to_magnitude, to_phase, to_sound
from foley.features.representations import (
    encoding,
    gan_cqt,
    gan_lms,
    gan_mfcc,
    gan_ms,
    gan_stft,
    if_mel,
    mel_bands,
)
from foley.features.representations.base import Settings
from foley.synthesis.config import SynthesisConfig
from foley.synthesis.generate import to_waveform

SMALL = {"sample_rate_hz": 11_000, "n_fft": 512, "hop_length": 256, "n_frames": 128}
CQT = {"lowest_hz": 60.0, "bins_per_octave": 10}
KINDS = ["gan_stft", "gan_cqt", "gan_ms", "gan_mfcc", "gan_lms", "if_mel"]


def small(kind: str, **settings: object) -> RepresentationConfig:
    """A kind at embedded size: 64 rows, 128 columns, 3 s at 11 kHz."""
    own = {"duration_s": 3.0} if kind == "if_mel" else CQT if kind == "gan_cqt" else {}
    return RepresentationConfig(kind=kind, **{**SMALL, "channel_bins": 64, **own, **settings})


def hits(settings: Settings) -> NDArray[np.float32]:
    """Four decaying knocks, half tone, half noise."""
    rng = np.random.default_rng(0)
    t_s = np.arange(settings.n_samples) / settings.sample_rate_hz
    sound = np.zeros(settings.n_samples)
    for number, start_s in enumerate((0.3, 0.9, 1.4, 2.2)):
        since = t_s - start_s
        struck = np.sin(2 * np.pi * (400 + 200 * number) * since) + 0.5 * rng.standard_normal(len(t_s))
        sound += (since >= 0) * np.exp(-np.maximum(since, 0) / 0.06) * struck * 0.4
    return sound.astype(np.float32)


def noise(settings: Settings) -> NDArray[np.float32]:
    return 0.1 * np.random.default_rng(1).standard_normal(settings.n_samples).astype(np.float32)


def tone(settings: Settings) -> NDArray[np.float32]:
    t_s = np.arange(settings.n_samples) / settings.sample_rate_hz
    partials = [np.sin(2 * np.pi * 220 * h * t_s + h) / h for h in range(1, 9)]
    return (0.2 * np.exp(-t_s / 1.5) * np.sum(partials, axis=0)).astype(np.float32)


def snr_db(wanted: NDArray[np.float32], made: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.square(wanted).sum() / np.square(wanted - made).sum()))


def distance_db(wanted: NDArray[np.float32], made: NDArray[np.float32]) -> float:
    """Mean distance of levels where the wanted sound is within 60 dB of its loudest."""
    first, second = (np.abs(librosa.stft(one, n_fft=1024)) for one in (wanted, made))
    heard = first > first.max() * 1e-3
    return float(np.abs(20 * np.log10(np.maximum(second, 1e-5) / np.maximum(first, 1e-5)))[heard].mean())


def back(config: RepresentationConfig, sound: NDArray[np.float32], n_iterations: int) -> NDArray[np.float32]:
    settings = SynthesisConfig(n_iterations=n_iterations)
    return to_waveform(represent(sound, config), config, settings, np.random.default_rng(0))


# --- shapes and scales -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_the_papers_size_is_512_by_512_by_3(kind: str) -> None:
    config = RepresentationConfig(kind=kind)
    made = represent(hits(config.settings), config)
    assert made.shape == (3 * 512, 512)
    assert made.dtype == np.float32
    assert made.min() >= -1
    assert made.max() <= 1
    assert (made[1024:] == 0).all()
    assert np.ptp(made[512:1024]) > 1.9  # phases reach from half a turn to the other


def test_gansynths_size_is_1024_by_128_by_2() -> None:
    config = RepresentationConfig(kind="if_mel")
    assert represent(noise(config.settings), config).shape == (2 * 1024, 128)
    assert config.settings.padding == 3072  # specgrams_helper: 67,072 - 64,000 samples


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_channels_are_stacked(kind: str, n_channels: int) -> None:
    if kind == "if_mel" and n_channels == 1:
        with pytest.raises(ValidationError, match="n_channels"):
            small(kind, n_channels=1)
        return
    config = small(kind, n_channels=n_channels)
    made = represent(noise(config.settings), config)
    assert made.shape == (n_channels * 64, 128) == (config.settings.n_bins, config.settings.n_steps)
    whole = represent(noise(config.settings), small(kind, n_channels=3))
    np.testing.assert_array_equal(made, whole[: len(made)])
    if kind != "if_mel":
        assert (to_phase(made, config) is None) == (n_channels == 1)


@pytest.mark.parametrize("kind", KINDS)
def test_silence_comes_back_as_silence(kind: str) -> None:
    config = small(kind, n_channels=2)
    silence = np.zeros(config.settings.n_samples, dtype=np.float32)
    made = represent(silence, config)
    assert np.isfinite(made).all()
    assert (np.abs(back(config, silence, 16)) < 1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_hit_is_where_it_was(kind: str) -> None:
    config = small(kind)
    settings = config.settings
    sound = np.zeros(settings.n_samples, dtype=np.float32)
    sound[16_500:16_520] = 1
    energy = np.square(back(config, sound, 16))
    middle = np.average(np.arange(len(energy)), weights=energy)
    assert abs(middle - 16_510) < settings.hop_length


def test_levels_are_those_of_a_full_scale_sine() -> None:
    settings = gan_stft.Config(n_channels=1)
    sine = np.sin(2 * np.pi * 40 / 1024 * np.arange(settings.n_samples))
    assert gan_stft.represent(sine, settings)[40].mean() == pytest.approx(1, abs=1e-3)
    assert gan_stft.represent(0.1 * sine, settings)[40].mean() == pytest.approx(1 - 2 * 20 / 90, abs=1e-3)
    note = gan_cqt.Config(n_channels=1, top_db=10)
    sine = 0.1 * np.sin(2 * np.pi * note.notes_hz[300] * np.arange(note.n_samples) / 44_000)
    level = gan_cqt.represent(sine, note)[300, 100:400].mean()
    assert level == pytest.approx(2 * 70 / 100 - 1, abs=0.01)


# --- against librosa -------------------------------------------------------------------------------


def librosa_power(sound: NDArray[np.float32], config: encoding.Encoding) -> NDArray[np.complex64]:
    """Frames that begin with the clip, as tf.signal.stft has them, relative to a full-scale sine."""
    spectrum = librosa.stft(sound, n_fft=config.n_fft, hop_length=config.hop_length, center=False)
    return spectrum[:, : config.n_frames] / (config.n_fft / 4)


def unit(magnitude: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(librosa.amplitude_to_db(magnitude, amin=1e-12, top_db=None) / 45 + 1, -1, 1)


@pytest.mark.parametrize(("dropped", "kept"), [("nyquist", slice(0, 512)), ("dc", slice(1, 513))])
def test_stft_by_librosa(dropped: str, kept: slice) -> None:
    config = gan_stft.Config(dropped=dropped)
    sound = noise(config)
    spectrum = librosa_power(sound, config)[kept]
    assert spectrum.shape == (512, 512)
    made = gan_stft.represent(sound, config)
    np.testing.assert_allclose(made[:512], unit(np.abs(spectrum)), atol=2e-4)
    turn = np.exp(1j * np.pi * made[512:1024])
    strong = np.abs(spectrum) > 1e-3
    np.testing.assert_allclose(turn[strong], (spectrum / np.abs(spectrum))[strong], atol=2e-3)


def test_pooled_rows_keep_the_power() -> None:
    config = gan_stft.Config(**SMALL, channel_bins=64, n_channels=1)
    power = np.square(np.abs(librosa_power(noise(config), config)))[:256]
    wanted = unit(np.sqrt(power.reshape(64, 4, -1).mean(axis=1)))
    made = gan_stft.represent(noise(config), config)[:, : wanted.shape[1]]
    np.testing.assert_allclose(made, wanted, atol=2e-4)


def test_mel_bands_by_librosa_where_they_are_wide() -> None:
    config = gan_lms.Config(**{**SMALL, "n_fft": 2048, "n_frames": 120}, channel_bins=32, n_channels=1)
    wanted = librosa.filters.mel(sr=11_000, n_fft=2048, n_mels=32, fmin=0, htk=True, norm=None)
    np.testing.assert_allclose(mel_bands.filters(config), wanted, atol=1e-5)
    sound = noise(config)
    bands = wanted @ np.square(np.abs(librosa_power(sound, config)))
    made = gan_lms.represent(sound, config)
    np.testing.assert_allclose(made, unit(np.sqrt(bands)), atol=2e-4)
    linear = gan_ms.Config(**config.model_dump())
    np.testing.assert_allclose(gan_ms.represent(sound, linear), 2 * np.sqrt(bands) - 1, atol=1e-4)


def test_every_one_of_512_bands_hears_something_and_every_bin_is_heard() -> None:
    matrix = mel_bands.filters(gan_lms.Config())
    assert (matrix.sum(axis=1) > 0.4).all()
    assert (matrix[:, :-1].sum(axis=0) > 0.1).all()


def test_mfcc_by_librosa() -> None:
    config = gan_mfcc.Config(**SMALL, channel_bins=20, n_mels=64, n_channels=1, emphasis=0.0)
    levels = gan_lms.represent(noise(config), gan_lms.Config(**SMALL, channel_bins=64, n_channels=1))
    wanted = librosa.feature.mfcc(S=levels, n_mfcc=20, norm="ortho") / np.sqrt(64)
    np.testing.assert_allclose(gan_mfcc.represent(noise(config), config), wanted, atol=1e-5)
    raised = gan_mfcc.Config(**{**config.model_dump(), "emphasis": 0.5})
    np.testing.assert_allclose(
        gan_mfcc.represent(noise(config), raised)[8], np.clip(3 * wanted[8], -1, 1), atol=1e-5
    )


def test_cqt_by_librosa() -> None:
    config = gan_cqt.Config(**SMALL, channel_bins=64, n_channels=1, oversampling=1, **CQT)
    sound = noise(config)
    found = librosa.cqt(
        sound, sr=11_000, hop_length=256, fmin=60, n_bins=64, bins_per_octave=10, scale=False, norm=1
    )
    sines = np.sin(2 * np.pi * config.notes_hz[:, None] * np.arange(config.n_samples) / 11_000)
    full = [
        np.abs(
            librosa.cqt(
                sines[row],
                sr=11_000,
                hop_length=256,
                fmin=60,
                n_bins=64,
                bins_per_octave=10,
                scale=False,
                norm=1,
            )
        )[row, 40:90].mean()
        for row in (20, 40, 60)
    ]
    wanted = np.abs(found[[20, 40, 60]]) / np.array(full)[:, None]
    made = gan_cqt.represent(sound, config)[[20, 40, 60]]
    np.testing.assert_allclose(made, unit(wanted)[:, 1:129], atol=0.01)


def test_the_response_to_steady_noise_is_foretold() -> None:
    config = gan_cqt.Config(**SMALL, channel_bins=64, n_channels=1, **CQT)
    sound = noise(config)
    power = np.square(encoding.to_level(gan_cqt.represent(sound, config), config)).mean(axis=1)
    steady = np.square(np.abs(librosa_power(sound, config))).mean(axis=1)
    gap_db = 10 * np.log10(gan_cqt.responses(config) @ steady / power)
    assert np.abs(gap_db[10:]).mean() < 0.5


def test_if_mel_by_the_references_steps() -> None:
    config = if_mel.Config(**{**SMALL, "duration_s": 3.0}, channel_bins=40)
    sound = tone(config) + noise(config)
    padded = np.pad(sound, (127 * 256 + 512 - 33_000, 0))
    spectrum = librosa.stft(padded, n_fft=512, hop_length=256, center=False)[1:]
    mel = 1127 * np.log1p(np.arange(1, 257) * 11_000 / 512 / 700)
    edges = np.linspace(0, 1127 * np.log1p(5500 / 700), 42)
    rising = (mel - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - mel) / np.diff(edges)[1:, None]
    matrix = np.maximum(0, np.minimum(rising, falling))
    power = np.log(matrix @ np.square(4 * np.abs(spectrum)) + 1e-6)
    made = if_mel.represent(sound, config)
    np.testing.assert_allclose(made[:40], np.clip(power * 0.0661371661726 + 0.113718730221, -1, 1), atol=1e-3)
    summed = matrix @ np.unwrap(np.angle(spectrum), axis=1)
    turning = np.diff(np.unwrap(summed, axis=1), axis=1) / np.pi * 0.8
    apart = np.abs(made[40:, 1:] - turning)
    # A step of half a turn may be unwrapped either way.
    assert np.quantile(np.minimum(apart, 1.6 - apart), 0.99) < 1e-3


# --- there and back --------------------------------------------------------------------------------


def test_the_papers_stft_with_phase_is_exact_but_for_the_ends() -> None:
    config = RepresentationConfig(kind="gan_stft")
    # Nothing at half the sample rate: that bin is dropped.
    sound = np.convolve(hits(config.settings) + noise(config.settings), [0.25, 0.5, 0.25], "same")
    made = back(config, sound, 0)
    inside = slice(1024, -1200)
    assert snr_db(sound[inside], made[inside]) > 60
    assert snr_db(sound, made) > 20


@pytest.mark.parametrize(
    ("kind", "settings", "least_db"),
    [
        ("gan_stft", {"channel_bins": 128}, (7, 5, 11)),
        ("gan_cqt", {}, (2, -3, 9)),
        ("gan_ms", {}, (3, 0, 9)),
        ("gan_mfcc", {}, (3, 0, 9)),
        ("gan_lms", {}, (3, 0, 9)),
        ("if_mel", {"channel_bins": 256, "projection": "complex"}, (10, 7, 9)),
        ("if_mel", {"channel_bins": 256}, (0, -2, 14)),
    ],
)
def test_with_phase_the_waveform_comes_back(
    kind: str, settings: dict[str, object], least_db: tuple[float, ...]
) -> None:
    config = small(kind, n_channels=2, **settings)
    for make, least in zip((hits, noise, tone), least_db, strict=True):
        sound = make(config.settings)
        assert snr_db(sound, back(config, sound, 0)) > least


@pytest.mark.parametrize(
    ("kind", "most_db"),
    [("gan_stft", 5.5), ("gan_cqt", 8.5), ("gan_ms", 5.5), ("gan_mfcc", 5.5), ("gan_lms", 5.5)],
)
def test_without_phase_levels_come_back(kind: str, most_db: float) -> None:
    config = small(kind, n_channels=1)
    for make in (hits, noise):
        sound = make(config.settings)
        made = back(config, sound, 16)
        assert distance_db(sound, made) < most_db
        assert abs(10 * np.log10(np.square(made).sum() / np.square(sound).sum())) < 2


@pytest.mark.parametrize("kind", ["gan_ms", "gan_lms", "gan_mfcc"])
def test_bands_of_the_magnitudes_found_are_the_bands_given(kind: str) -> None:
    config = small(kind, n_channels=1)
    settings = config.settings
    made = represent(hits(settings), config)
    magnitude = to_magnitude(made, config) / (512 / 4)
    power = mel_bands.filters(settings) @ np.square(magnitude)
    truth = mel_bands.analysed(hits(settings), settings)[0]
    again = np.sqrt(encoding.kept_frames(power, settings))
    loud = truth > 1e-2
    assert np.abs(20 * np.log10(again[loud] / truth[loud])).mean() < 0.3


# --- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        ("gan_stft", {"channel_bins": 100}, "divisor"),
        ("gan_stft", {"n_frames": 129}, "n_frames is 129"),
        ("gan_stft", {"hop_length": 200}, "multiple of 2"),
        ("gan_stft", {"floor_db": 3.0}, "floor_db"),
        ("gan_cqt", {"bins_per_octave": 8}, "half the sample rate"),
        ("gan_cqt", {"oversampling": 3}, "oversampling"),
        ("gan_mfcc", {"n_mels": 32}, "coefficients"),
        ("gan_lms", {"highest_hz": 6000}, "highest_hz"),
        ("if_mel", {"n_frames": 100}, "do not reach"),
        ("if_mel", {"hop_length": 300}, "half of n_fft"),
    ],
)
def test_settings_that_do_not_fit_are_refused(kind: str, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        small(kind, **wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_shapes_are_refused(kind: str) -> None:
    config = small(kind)
    with pytest.raises(FoleyError, match="samples"):
        represent(np.zeros(100), config)
    own_way = partial(to_sound, n_iterations=1, generator=np.random.default_rng(0))
    with pytest.raises(FoleyError, match="shape"):
        (own_way if kind == "if_mel" else to_magnitude)(np.zeros((64, 5)), config)


def test_kinds_without_a_way_of_their_own_say_so() -> None:
    config = RepresentationConfig(kind="stft")
    features = np.zeros((129, 570), dtype=np.float32)
    assert to_phase(features, config) is None
    assert to_sound(features, config, n_iterations=1, generator=np.random.default_rng(0)) is None
