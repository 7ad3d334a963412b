"""BigGAN's parts: sizes, guidance, spectral norm, regularisation, truncation, checkpointing."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats

from foley.models.biggan import Discriminator, Generator
from foley.models.layers.action import action_spectrogram, to_samples
from foley.models.layers.latent import draw_latent
from foley.models.layers.self_attention import SelfAttention
from foley.models.layers.spectral import (
    add_orthogonal_gradient,
    orthogonal_penalty,
    spectral,
    without_power_iteration,
)

TINY = {"ch": 2, "n_colours": 1, "attention": 16}


def n_parameters(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def small(resolution: int = 32, **more) -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    generator = Generator(3, resolution=resolution, z_chunk=4, n_shared=6, n_guided=4, **(TINY | more))
    return generator, Discriminator(3, resolution=resolution, **(TINY | more))


def asked(generator: Generator, resolution: int = 32, n: int = 3) -> tuple[torch.Tensor, ...]:
    drawn = torch.Generator().manual_seed(1)
    latent = torch.randn(n, generator.n_latent, generator=drawn)
    action = torch.rand(n, 3, resolution, resolution, generator=drawn) * 2 - 1
    return latent, torch.arange(n) % 3, action


@pytest.fixture
def unnormed(monkeypatch):
    """Layers without a drawn weight and without spectral norm, which have no other sizes."""
    for name in ("biggan.spectral", "biggan.orthogonal", "layers.self_attention.spectral"):
        monkeypatch.setattr(f"foley.models.{name}", lambda layer, *_: layer)
    for name in ("kaiming_uniform_", "uniform_", "normal_"):  # slow where there is nothing to draw
        monkeypatch.setattr(torch.nn.init, name, lambda values, *_, **__: values)


@pytest.mark.usefixtures("unnormed")
def test_the_generator_of_512_has_the_parameters_of_the_reference_code():
    with torch.device("meta"):
        generator, judge = Generator(12, resolution=512, ch=96), Discriminator(12, resolution=512, ch=96)
    guidance = n_parameters(generator.guidance)
    assert n_parameters(generator) - guidance == 82_341_604  # the reference code: 82.34 M
    assert guidance == 424_800
    assert n_parameters(judge) == 97_883_714
    assert generator.n_latent == 160
    attending = [number for number, one in enumerate(generator.attentions) if isinstance(one, SelfAttention)]
    assert attending == [3]  # 4 -> 8 -> 16 -> 32 -> 64


@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_pictures_and_judgements_have_their_shapes(resolution):
    generator, judge = small(resolution)
    latent, labels, action = asked(generator, resolution)
    made = generator(latent, labels, action)
    assert made.shape == (3, 1, resolution, resolution)
    assert made.abs().max() < 1
    assert judge(made, labels).shape == (3,)


@pytest.mark.usefixtures("unnormed")
@pytest.mark.parametrize("resolution", [256, 512])
def test_larger_pictures_have_their_shapes_too(resolution):
    with torch.device("meta"):
        generator, judge = Generator(12, resolution=resolution), Discriminator(12, resolution=resolution)
        latent, labels = torch.empty(1, generator.n_latent), torch.zeros(1, dtype=torch.long)
        made = generator(latent, labels, torch.empty(1, 3, resolution, resolution))
        assert made.shape == (1, 3, resolution, resolution)
        assert judge(made, labels).shape == (1,)


@pytest.mark.slow
def test_forward_and_backward_at_512():
    torch.manual_seed(0)
    generator, judge = Generator(12, resolution=512, ch=8), Discriminator(12, resolution=512, ch=8)
    labels = torch.zeros(2, dtype=torch.long)
    made = generator(torch.randn(2, 160), labels, torch.rand(2, 3, 512, 512))
    assert made.shape == (2, 3, 512, 512)
    judge(made, labels).sum().backward()
    for network in (generator, judge):
        for name, value in network.named_parameters():
            assert value.grad is not None, name
            assert torch.isfinite(value.grad).all(), name


def test_guidance_of_zeros_is_no_guidance_and_other_guidance_is_heard():
    generator, _ = small()
    latent, labels, action = asked(generator)
    generator.eval()
    blind = generator(latent, labels)
    assert torch.equal(generator(latent, labels, torch.zeros_like(action)), blind)
    assert not torch.allclose(generator(latent, labels, action), blind)


def test_guidance_keeps_the_time_axis():
    generator, _ = small()
    still = -torch.ones(1, 3, 32, 32)
    moved = still.clone()
    moved[..., 8] = 1.0
    first, second = (generator.guidance(one)[-1][0, :, 0] for one in (moved, moved.roll(8, dims=3)))
    change = (first - first.mean(dim=1, keepdim=True)).abs().sum(dim=0)
    assert abs(int(change.argmax()) - 8) <= 1
    torch.testing.assert_close(second[:, 12:20], first[:, 4:12])  # the map moves with the action


def test_every_block_hears_the_guidance():
    generator, _ = small()
    latent, labels, action = asked(generator)
    generator(latent, labels, action).square().sum().backward()
    for layer in generator.guidance.maps:
        assert layer.weight.grad.abs().sum() > 0


def test_skipped_latents_reach_their_own_layer():
    generator, _ = small()
    latent, labels, _ = asked(generator)
    latent.requires_grad_()
    generator.eval()(latent, labels).square().sum().backward()
    assert (latent.grad.abs().sum(dim=0) > 0).all()


def test_spectral_norm_makes_the_largest_singular_value_one():
    torch.manual_seed(0)
    layer = spectral(torch.nn.Linear(7, 5))
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.randn(5, 7) * 3)
    for _ in range(50):
        layer(torch.zeros(1, 7))
    assert torch.linalg.matrix_norm(layer.eval().weight, 2).item() == pytest.approx(1, abs=1e-4)


def test_vectors_of_the_spectral_norm_move_in_training_only():
    layer = spectral(torch.nn.Conv2d(2, 3, 3))
    with torch.no_grad():
        layer.parametrizations.weight.original.add_(torch.randn(3, 2, 3, 3))

    def moved() -> bool:
        before = layer.parametrizations.weight[0]._u.clone()
        layer(torch.zeros(1, 2, 4, 4))
        return not torch.equal(before, layer.parametrizations.weight[0]._u)

    assert moved()
    with without_power_iteration(layer):
        assert not moved()
    assert moved()
    layer.eval()
    assert not moved()


def test_orthogonal_weights_at_the_start():
    generator, judge = small()
    for network in (generator, judge):
        for name, value in network.named_parameters():
            if value.ndim > 1 and "guidance" not in name:
                rows = value.flatten(1)
                products = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
                torch.testing.assert_close(products, torch.eye(len(products)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (3, 2, 3, 3)])
def test_the_orthogonal_regularisation_adds_the_gradient_of_its_penalty(shape):
    weight = torch.nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    vector = torch.nn.Parameter(torch.ones(3))
    before = torch.rand(shape)
    weight.grad, vector.grad = before.clone(), torch.ones(3)
    add_orthogonal_gradient([weight, vector], 0.01)
    (wanted,) = torch.autograd.grad(0.01 * orthogonal_penalty(weight), weight)
    torch.testing.assert_close(weight.grad, before + wanted)
    assert torch.equal(vector.grad, torch.ones(3))


def test_the_penalty_is_of_directions_and_not_of_lengths():
    rotated = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0]
    assert orthogonal_penalty(rotated * torch.tensor([[1.0], [2.0], [0.5], [3.0]])).item() < 1e-9
    tilted = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    assert orthogonal_penalty(tilted).item() == pytest.approx(2 * 0.6**2)


def test_truncated_latents_follow_the_truncated_normal_distribution():
    drawn = draw_latent(400, 50, torch.Generator().manual_seed(0), truncation=0.7).flatten().numpy()
    assert np.abs(drawn).max() <= 0.7
    assert stats.kstest(drawn, stats.truncnorm(-0.7, 0.7).cdf).pvalue > 0.01
    scaled = np.random.default_rng(0).normal(size=drawn.size) * drawn.std()  # what "truncation" often is
    assert stats.kstest(scaled, stats.truncnorm(-0.7, 0.7).cdf).pvalue < 1e-6
    plain = draw_latent(400, 50, torch.Generator().manual_seed(0)).flatten().numpy()
    assert stats.kstest(plain, stats.norm.cdf).pvalue > 0.01
    with pytest.raises(ValueError, match="positive"):
        draw_latent(1, 1, torch.Generator(), truncation=0.0)


def test_recomputed_activations_change_no_gradient_and_no_buffer():
    plain = small()
    frugal = tuple(copy.deepcopy(network) for network in plain)
    for network in frugal:
        network.recompute = True
    latent, labels, action = asked(plain[0])
    for generator, judge in (plain, frugal):
        judge(generator(latent, labels, action), labels).sum().backward()
    for first, second in zip(plain, frugal, strict=True):
        for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
            assert torch.equal(one.grad, other.grad), name
        for (name, one), other in zip(first.named_buffers(), second.buffers(), strict=True):
            assert torch.equal(one, other), name


def test_a_curve_is_interpolated_at_the_sounds_samples():
    curve = torch.tensor([[0.0, 1.0, 0.5]])  # between pictures at 0, 1, 2, 3 s
    samples = to_samples(curve, steps_per_s=1.0, sample_rate_hz=4, n_samples=12)[0]
    wanted = np.interp(np.arange(12) / 4, [0.5, 1.5, 2.5], [0.0, 1.0, 0.5])
    np.testing.assert_allclose(samples.numpy(), wanted, atol=1e-6)


def test_the_action_spectrogram_of_a_clip_is_512_by_512_by_3():
    samples = torch.zeros(1, 132_000)
    samples[:, 66_000:] = 1.0
    levels = action_spectrogram(samples, n_fft=1024, hop_length=256, resolution=512)
    assert levels.shape == (1, 3, 512, 512)
    assert torch.equal(levels[:, 0], levels[:, 1])
    assert torch.equal(levels[:, 0], levels[:, 2])
    assert (levels[0, 0, :, :250] == -1).all()  # nothing happens yet
    torch.testing.assert_close(levels[0, 0, 0, 260:], torch.ones(252))  # a constant of 1
    assert levels[0, 0, 400, 254:258].max() > levels[0, 0, 400, 300:].max() + 0.2  # the jump
    smaller = action_spectrogram(samples, n_fft=1024, hop_length=256, resolution=64)
    torch.testing.assert_close(smaller.mean(), levels.mean())
