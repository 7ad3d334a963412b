"""Layers of the GAN baselines against what their references say, written out."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from foley.models import gansynth, specgan, wavegan
from foley.models.descent import descend
from foley.models.layers.adversarial import gradient_penalty, shuffle_phase
from foley.models.layers.strided import Narrow, StridedCritic, StridedGenerator, Widen


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def n_parameters(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


# Sizes


@pytest.mark.parametrize(
    ("n_samples", "n_generator", "n_critic"),
    [(16_384, 19_065_345, 17_427_969), (65_536, 73_149_953, 69_875_201)],
)
def test_wavegan_has_the_size_of_its_reference(n_samples: int, n_generator: int, n_critic: int) -> None:
    config = wavegan.Config(n_samples=n_samples, conditional=False)
    with torch.device("meta"):
        networks = wavegan.networks(config, n_classes=0)
    assert [n_parameters(network) for network in networks] == [n_generator, n_critic]


def test_specgan_is_as_large_as_wavegan() -> None:
    """Kernels of 5 x 5 and 25, the same channels, 4 x 4 and 16 places at the coarse end."""
    with torch.device("meta"):
        networks = specgan.networks(specgan.Config(conditional=False), 128, 128, n_classes=0)
    assert [n_parameters(network) for network in networks] == [19_065_345, 17_427_969]


def test_gansynth_has_the_size_of_its_reference() -> None:
    """Added up from the reference's list of layers, for 61 pitches."""
    widths = [256, 256, 256, 256, 256, 128, 64, 32]  # those of 0 to 7, min(4096 / 2^k, 256)

    def square(n_inputs: int, n_outputs: int) -> int:
        return 9 * n_inputs * n_outputs + n_outputs

    grown = list(pairwise(widths[1:]))
    made = (256 + 61) * 32 * 256 + 256 + square(256, 256)
    made += sum(square(before, after) + square(after, after) for before, after in grown)
    made += sum(2 * width + 2 for width in widths[1:])
    judged = sum(2 * width + width for width in widths[1:])
    judged += sum(square(after, after) + square(after, before) for before, after in grown)
    judged += square(257, 256) + 32 * 256 * 256 + 256 + 257 * (1 + 61)
    with torch.device("meta"):
        generator = gansynth.Generator(gansynth.Config(), 61, (16, 2))
        critic = gansynth.Critic(gansynth.Config(), 61, (16, 2))
    assert (n_parameters(generator), n_parameters(critic)) == (made, judged)


# Padding


@pytest.mark.parametrize(("kernel", "stride"), [(25, 4), (25, 2), (5, 2)])
def test_convolutions_are_laid_as_tensorflow_lays_them(kernel: int, stride: int) -> None:
    """Output i looks at inputs i * stride - left to i * stride - left + kernel - 1, left rounded down."""
    layer = Narrow(1, 1, kernel, stride, n_axes=1)
    values = torch.randn(1, 1, 8 * stride, generator=drawn())
    weight = layer.convolution.weight.detach().numpy()[0, 0]
    n_outputs = values.shape[2] // stride
    left = max((n_outputs - 1) * stride + kernel - values.shape[2], 0) // 2
    padded = np.pad(values.numpy()[0, 0], kernel)
    expected = [
        padded[kernel - left + i * stride :][:kernel] @ weight + layer.convolution.bias.item()
        for i in range(n_outputs)
    ]
    np.testing.assert_allclose(layer(values).detach().numpy()[0, 0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kernel", "stride", "n_axes"), [(25, 4, 1), (25, 2, 1), (5, 2, 2)])
def test_widening_is_the_transpose_of_narrowing(kernel: int, stride: int, n_axes: int) -> None:
    narrow, widen = Narrow(2, 3, kernel, stride, n_axes), Widen(3, 2, kernel, stride, n_axes)
    for layer in (narrow, widen):
        torch.nn.init.zeros_(layer.convolution.bias)
    widen.convolution.weight.data.copy_(narrow.convolution.weight)
    fine = torch.randn(1, 2, *[8 * stride] * n_axes, generator=drawn(1))
    coarse = torch.randn(1, 3, *[8] * n_axes, generator=drawn(2))
    forwards, backwards = (narrow(fine) * coarse).sum(), (fine * widen(coarse)).sum()
    torch.testing.assert_close(forwards, backwards, rtol=1e-4, atol=1e-4)


def test_generator_and_critic_mirror_each_other() -> None:
    generator = StridedGenerator(3, start=(2, 3), widths=[4, 2], strides=[2, 2], kernel=5)
    critic = StridedCritic(end=(2, 3), widths=[2, 4], strides=[2, 2], kernel=5)
    made = generator(torch.randn(5, 3, generator=drawn()))
    assert made.shape == (5, 8, 12)
    assert made.abs().max() < 1
    assert critic(made, torch.zeros(5, dtype=torch.long), drawn()).shape == (5,)


# Phase shuffle


def shifted(row: list[float], shift: int) -> list[float]:
    """Each sample `shift` places later; beyond either end the row is reflected about its last sample."""
    n = len(row)
    places = [abs(place - shift) for place in range(n)]
    return [row[place if place < n else 2 * (n - 1) - place] for place in places]


def test_phase_shuffle_shifts_by_reflection_and_by_each_amount_as_often() -> None:
    values = torch.randn(2, 3, 9, generator=drawn(3))
    rows = values.flatten(0, 1).tolist()
    candidates = {
        shift: torch.tensor([shifted(row, shift) for row in rows]).reshape(2, 3, 9) for shift in range(-2, 3)
    }
    generator = drawn(4)
    counts = dict.fromkeys(candidates, 0)
    for _ in range(1000):
        made = shuffle_phase(values, 2, generator)
        (found,) = [shift for shift, wanted in candidates.items() if torch.equal(made, wanted)]
        counts[found] += 1
    assert all(150 < count < 250 for count in counts.values()), counts


def test_phase_is_shuffled_after_the_first_four_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def watched(values: Tensor, radius: int, generator: torch.Generator) -> Tensor:
        assert radius == 2
        seen.append(values.shape[2])
        return values

    monkeypatch.setattr("foley.models.layers.strided.shuffle_phase", watched)
    for n_samples, expected in ((16_384, [4096, 1024, 256, 64]), (65_536, [16_384, 4096, 1024, 256])):
        config = wavegan.Config(n_samples=n_samples, width=1)
        _, critic = wavegan.networks(config, n_classes=0)
        critic(torch.zeros(1, n_samples), torch.zeros(1, dtype=torch.long), drawn())
        assert seen == expected
        seen.clear()


# Gradient penalty


def test_penalty_of_a_linear_critic_is_known() -> None:
    weights = torch.tensor([[3.0, 0.0], [0.0, 4.0]], requires_grad=True)  # of norm 5
    real, fake = torch.randn(6, 2, 2, generator=drawn(1)), torch.randn(6, 2, 2, generator=drawn(2))

    def judge(samples: Tensor) -> Tensor:
        return (samples * weights).sum(dim=(1, 2))

    penalty = gradient_penalty(judge, real, fake, drawn())
    assert penalty.item() == pytest.approx((5 - 1) ** 2)
    (gradient,) = torch.autograd.grad(penalty, weights)
    torch.testing.assert_close(gradient, 2 * (5 - 1) * weights.detach() / 5)
    half = gradient_penalty(judge, real, fake, drawn(), coarseness=2.0)
    assert half.item() == pytest.approx((2.5 - 1) ** 2)


def test_penalty_is_taken_between_real_and_made() -> None:
    """The slope of half the squared norm is the norm itself: it tells where the critic was asked."""
    real, fake = torch.zeros(500, 3), torch.zeros(500, 3)
    fake[:, 0] = 1
    asked: list[Tensor] = []

    def judge(samples: Tensor) -> Tensor:
        asked.append(samples.detach())
        return 0.5 * samples.square().sum(dim=1)

    penalty = gradient_penalty(judge, real, fake, drawn())
    place = asked[0][:, 0]
    assert ((place >= 0) & (place <= 1)).all()
    assert place.mean().item() == pytest.approx(0.5, abs=0.05)
    assert len(place.unique()) > 490  # one place a pair
    assert penalty.item() == pytest.approx(float((place - 1).square().mean()))


def test_descent_leaves_other_parameters_alone() -> None:
    own, other, idle = (torch.nn.Parameter(torch.ones(2)) for _ in range(3))
    optimiser = torch.optim.SGD([own, idle], lr=0.5)
    descend((own * other).sum(), optimiser, clip_norm=None)
    assert own.tolist() == [0.5, 0.5]
    assert other.tolist() == idle.tolist() == [1.0, 1.0]
    assert other.grad is None
    descend((own * 30 * other).sum(), optimiser, clip_norm=1.0)
    assert own.tolist() == pytest.approx([0.5 - 0.5 / math.sqrt(2)] * 2, abs=1e-6)


# Rate


def test_sound_keeps_its_shape_at_another_length() -> None:
    time = torch.arange(441) / 441
    tone = torch.sin(2 * math.pi * 7 * time)
    expected = torch.sin(2 * math.pi * 7 * torch.arange(128) / 128)
    torch.testing.assert_close(wavegan.at_length(tone, 128), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(wavegan.at_length(expected, 441), tone, rtol=0, atol=1e-5)
    too_high = torch.sin(2 * math.pi * 100 * time)
    assert wavegan.at_length(too_high, 128).abs().max() < 1e-4
