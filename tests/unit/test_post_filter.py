"""WaveGAN's post-processing filter, and FoleyGAN's of spectrograms."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve, correlate, firwin, freqz

from foley.features.audio import RepresentationConfig, levels, represent
from foley.features.representations.levels import Levels
from foley.models.layers.post_filter import LevelFilter, PostFilter, RowFilter


def sound(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(2, 1000), (2, 1, 1000), (1, 100)])
def test_it_starts_as_the_identity(shape: tuple[int, ...]) -> None:
    waveform = sound(*shape)
    torch.testing.assert_close(PostFilter()(waveform), waveform)


def test_it_has_the_papers_512_taps_and_no_bias() -> None:
    assert sum(one.numel() for one in PostFilter().parameters()) == 512


@pytest.mark.parametrize("n_taps", [1, 2, 7, 512])
def test_it_is_a_correlation_aligned_as_tensorflow_aligns_it(n_taps: int) -> None:
    net = PostFilter(n_taps)
    torch.nn.init.normal_(net.taps, generator=torch.Generator().manual_seed(1))
    waveform = sound(1, 700)
    padded = np.pad(waveform[0].numpy(), ((n_taps - 1) // 2, n_taps // 2))  # SAME: the odd zero lies behind
    wanted = correlate(padded, net.taps.detach().numpy()[0, 0], mode="valid")
    np.testing.assert_allclose(net(waveform)[0].detach().numpy(), wanted, atol=1e-3)


def test_it_learns_a_delay() -> None:
    net = PostFilter(8)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
    waveform = sound(4, 400)
    wanted = torch.roll(waveform, 2, dims=1)
    for _ in range(150):
        loss = torch.nn.functional.mse_loss(net(waveform)[:, 8:], wanted[:, 8:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 1e-3


def test_no_tap_is_refused() -> None:
    with pytest.raises(ValueError, match="tap"):
        PostFilter(0)


# Of spectrograms

PAPER = {"floor_db": -140.0}
SMALL = {"sample_rate_hz": 11_000, "n_fft": 1024, "hop_length": 512, "n_frames": 62, "channel_bins": 64}
"""Sizes: 512 rows at 44 kHz, and 64 at 11 kHz. No row reaches the floor."""
CQT = {"lowest_hz": 60.0, "bins_per_octave": 10}


def encoding(kind: str, size: str, n_channels: int) -> RepresentationConfig:
    settings = PAPER if size == "paper" else PAPER | SMALL | (CQT if kind == "gan_cqt" else {})
    return RepresentationConfig(kind=kind, n_channels=n_channels, **settings)


def level_filter(config: RepresentationConfig, taps: np.ndarray) -> LevelFilter:
    """The filter of 512 taps whose middle ones are those of a convolution without delay."""
    told = levels(config)
    assert told is not None
    rate_hz = config.settings.sample_rate_hz
    made = LevelFilter(512, told, sample_rate_hz=rate_hz, n_rows=len(told.bands_hz))
    first = made.before - len(taps) // 2
    with torch.no_grad():
        made.taps.zero_()
        made.taps[0, 0, first : first + len(taps)] = torch.from_numpy(taps[::-1].copy())
    return made


def lowpass() -> np.ndarray:
    """41 taps that damp an eighth of the rate by 6 dB, and nothing by more than 30."""
    taps = 0.97 * firwin(41, 0.25, window=("kaiser", 4))
    taps[20] += 0.03
    return taps


def echoes() -> np.ndarray:
    """41 taps: the sound, and less of it 6 and 15 samples later."""
    taps = np.zeros(41)
    taps[[20, 26, 35]] = 1.0, 0.5, -0.2
    return taps


def before_and_after(config: RepresentationConfig, taps: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (1, n_channels, n_rows, n_frames) of white noise, and of what the convolution makes of it."""
    drawn = 0.1 * np.random.default_rng(0).standard_normal(config.settings.n_samples)
    shape = (config.n_channels, -1)
    first, second = (
        torch.from_numpy(represent(sound.astype(np.float32), config)).unflatten(0, shape)[None]
        for sound in (drawn, convolve(drawn, taps, mode="same"))
    )
    return first, second


@pytest.mark.parametrize("design", [lowpass, echoes])
@pytest.mark.parametrize("size", ["paper", "small"])
@pytest.mark.parametrize("kind", ["gan_stft", "gan_lms", "gan_cqt"])
def test_levels_become_those_of_the_filtered_sound(kind: str, size: str, design) -> None:
    config, taps = encoding(kind, size, 1), design()
    before, after = before_and_after(config, taps)
    with torch.no_grad():
        found = level_filter(config, taps)(before)
    change_db, gap_db = (70 * (one - after).mean(dim=3)[0, 0] for one in (before, found))
    assert change_db.max() - change_db.min() > 10
    wide = kind == "gan_cqt" and size == "small"  # few notes over the filter's edge
    assert gap_db.abs().max() < (1.0 if wide else 0.2)


@pytest.mark.parametrize("kind", ["gan_stft", "gan_lms", "gan_cqt"])
def test_phases_become_those_of_the_filtered_sound(kind: str) -> None:
    config, taps = encoding(kind, "paper", 3), echoes()
    before, after = before_and_after(config, taps)
    with torch.no_grad():
        found = level_filter(config, taps)(before)
    assert found[0, 1].abs().max() <= 1
    assert torch.equal(found[0, 2], after[0, 2])  # the plane of zeros
    far, near = (torch.exp(1j * torch.pi * (one - after)[0, 1]).mean(dim=1) for one in (before, found))
    assert far.angle().abs().max() > 0.5
    assert near.angle().abs().max() < 0.05
    assert near.abs().min() > 0.9


def test_rows_are_filtered_over_time() -> None:
    net = RowFilter(8)
    torch.nn.init.normal_(net.taps, generator=torch.Generator().manual_seed(1))
    pictures = sound(2, 3, 4, 50)
    found = net(pictures).detach().numpy()
    taps = net.taps.detach().numpy()[0, 0, ::-1]
    for place in np.ndindex(2, 3, 4):
        wanted = convolve(pictures[place].numpy(), taps)[net.after : net.after + 50]
        np.testing.assert_allclose(found[place], wanted, atol=1e-5)


def test_filters_of_spectrograms_start_as_the_identity() -> None:
    pictures = torch.tanh(3 * sound(2, 3, 4, 50))
    pictures[0, 1, 0, 0], pictures[1, 1, 0, 0] = 1.0, -1.0
    hz = (100.0, 200.0, 300.0, 400.0)
    told = Levels(tuple((one,) for one in hz), hz, 45.0)
    for net in (RowFilter(512), LevelFilter(512, told, sample_rate_hz=1000, n_rows=4)):
        assert torch.equal(net(pictures), pictures)
        assert list(net.state_dict()) == ["taps"]


@pytest.mark.parametrize("target_range", [(-1.0, 1.0), (-2.0, 2.0), (-1.0, 2.0)])
def test_what_is_added_has_the_pictures_units(target_range: tuple[float, float]) -> None:
    low, high = target_range
    rate_hz, taps = 8000, np.array([0.2, -0.5, 0.9, 0.4])  # a convolution
    hz = np.linspace(50, 3950, 12)
    told = Levels.of(hz[:, None], hz, 30.0)
    net = LevelFilter(4, told, sample_rate_hz=rate_hz, n_rows=6, target_range=target_range)
    with torch.no_grad():
        net.taps.copy_(torch.tensor(taps[::-1].copy()).view(1, 1, -1))

    def picture(values: np.ndarray) -> np.ndarray:
        """Target's values (12,) as rows of a picture, two each."""
        return (2 * (values - low) / (high - low) - 1).reshape(6, 2).mean(axis=1)

    response = freqz(taps, worN=hz, fs=rate_hz)[1] * np.exp(2j * np.pi * hz / rate_hz * net.after)
    level, phase = np.random.default_rng(3).uniform(-1, 1, (2, 12))
    phase = phase.reshape(6, 2)[:, :1].repeat(2, axis=1).ravel()
    turned = phase + np.angle(response.reshape(6, 2).mean(axis=1)).repeat(2) / np.pi
    assert (np.abs(turned) > 1).any()
    wanted = picture(level + 20 * np.log10(np.abs(response)) / 30), picture((turned + 1) % 2 - 1)
    shown = torch.from_numpy(np.stack([picture(level), picture(phase)])).float()[None, :, :, None]
    found = net(shown).detach().numpy()[0, :, :, 0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_response_of_zero_has_a_gradient() -> None:
    told = Levels(((0.0,), (10.0,)), (0.0, 10.0), 45.0)
    net = LevelFilter(4, told, sample_rate_hz=100, n_rows=2)
    torch.nn.init.zeros_(net.taps)
    made = net(torch.zeros(1, 2, 2, 3))
    made.sum().backward()
    assert torch.isfinite(made).all()
    assert torch.isfinite(net.taps.grad).all()


def test_encodings_say_which_rows_are_levels() -> None:
    assert levels(RepresentationConfig(kind="gan_ms")) is None
    assert levels(RepresentationConfig(kind="gan_mfcc")) is None
    for kind in ("gan_stft", "gan_lms", "gan_cqt"):
        config = encoding(kind, "small", 1)
        told = levels(config)
        assert told is not None
        assert told.db_per_unit == 70
        assert len(told.bands_hz) == len(told.phases_hz) == 64
        rate_hz = config.settings.sample_rate_hz
        t_s = np.arange(config.settings.n_samples) / rate_hz
        for row in (20, 40, 60):  # a tone is loudest in the row that names it
            tone = 0.1 * np.sin(2 * np.pi * np.mean(told.bands_hz[row]) * t_s)
            loudness = represent(tone.astype(np.float32), config).mean(axis=1)
            assert loudness.argmax() == row
