"""WaveNet and its mixture of logistics: cached generation, causality, likelihoods that sum to one."""

import math

import pytest
import torch
from scipy.stats import logistic

from foley.models.layers import logistic_mixture
from foley.models.vocoders import wavenet
from foley.models.vocoders.base import without_norms

SMALL = wavenet.Config(
    n_mels=5,
    n_layers=6,
    n_cycles=2,
    n_residual=12,
    n_gate=16,
    n_skip=8,
    n_components=3,
    upsampling=(2, 4),
    dropout=0.0,
)


def make(config: wavenet.Config = SMALL) -> wavenet.WaveNet:
    torch.manual_seed(0)
    return wavenet.WaveNet(config)


def drawn(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def example(n_frames: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = drawn(3)
    samples = torch.rand(2, n_frames * SMALL.hop_length, generator=generator) * 2 - 1
    return samples, torch.rand(2, SMALL.n_mels, n_frames, generator=generator)


def test_the_paper_size_has_the_reference_sizes() -> None:
    config = wavenet.Config()
    assert config.receptive_field == 505
    assert config.hop_length == 256
    n_parameters = sum(value.numel() for value in make(config).parameters())
    assert n_parameters == pytest.approx(24.74e6, abs=0.005e6)


@torch.no_grad()
def test_sample_by_sample_gives_what_all_at_once_gives() -> None:
    network = make().eval()
    samples, mel = example()
    at_once = network(samples, mel)
    network = without_norms(network)
    torch.testing.assert_close(network(samples, mel), at_once, rtol=0, atol=1e-5)
    stepper = wavenet.Stepper(network, mel)
    before = torch.cat([torch.zeros(2, 1), samples[:, :-1]], dim=1)
    one_by_one = torch.stack([stepper.step(value) for value in before.T], dim=2)
    torch.testing.assert_close(one_by_one, at_once, rtol=0, atol=1e-4)


@torch.no_grad()
def test_an_output_sees_its_receptive_field_and_nothing_to_come() -> None:
    network = make().eval()
    samples, mel = example()
    changed = samples.clone()
    at = 30
    changed[:, at] += 0.5
    moved = (network(changed, mel) - network(samples, mel)).abs().amax(dim=(0, 1)) > 0
    assert not moved[: at + 1].any()
    assert moved[at + 1]
    assert not moved[at + 1 + SMALL.receptive_field :].any()
    assert moved[at + SMALL.receptive_field]


def test_generation_is_drawn_from_the_seed_and_has_the_length_of_the_spectrogram() -> None:
    network = without_norms(make().eval())
    _, mel = example(4)
    first, again, other = (wavenet.generate(network, mel, drawn(seed)) for seed in (1, 1, 2))
    assert first.shape == (2, 4 * SMALL.hop_length)
    assert first.abs().max() <= 1
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)


def test_it_learns_a_tone() -> None:
    network = make().train()
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    t = torch.arange(64 * SMALL.hop_length)
    samples = 0.8 * torch.sin(2 * math.pi * t / 23)[None]
    mel = torch.full((1, SMALL.n_mels, 64), 0.5)
    losses = []
    for _ in range(120):
        optimiser.zero_grad()
        loss = network.loss(samples, mel)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    # A blind guess of one of 65536 levels costs 11.1 nats, one that knows how often each occurs 10.9.
    assert losses[0] > 11
    assert min(losses[-10:]) < 9.5


@pytest.mark.parametrize("log_scale", [-7.0, -3.0, 1.0])
def test_the_shares_of_all_levels_sum_to_one(log_scale: float) -> None:
    n_levels = 256
    parameters = torch.tensor([[0.3], [-0.5], [-0.9], [0.4], [log_scale], [log_scale - 1]]).double()
    levels = torch.linspace(-1, 1, n_levels, dtype=torch.float64)[None]
    likelihood = logistic_mixture.negative_log_likelihood(
        parameters[None].expand(1, -1, n_levels), levels, n_levels=n_levels
    )
    assert float(torch.exp(-likelihood).sum()) == pytest.approx(1.0, abs=2e-3)


def test_one_component_is_scipys_logistic() -> None:
    mean, scale, half_step = 0.2, 0.05, 1 / 65535
    samples = torch.tensor([[-0.3, 0.1, 0.2, 0.55]], dtype=torch.float64)
    parameters = torch.tensor([0.0, mean, math.log(scale)], dtype=torch.float64)[None, :, None]
    found = logistic_mixture.negative_log_likelihood(parameters.expand(1, 3, 4), samples)[0]
    for value, sample in zip(found, samples[0], strict=True):
        share = logistic.cdf(float(sample) + half_step, mean, scale) - logistic.cdf(
            float(sample) - half_step, mean, scale
        )
        assert float(value) == pytest.approx(-math.log(share), rel=1e-3)


def test_samples_are_drawn_as_often_as_their_components_weigh() -> None:
    parameters = torch.tensor([math.log(0.8), math.log(0.2), -0.5, 0.5, -6.0, -6.0])[None, :, None]
    made = logistic_mixture.draw(parameters.expand(1, 6, 20_000), drawn())[0]
    assert float((made < 0).float().mean()) == pytest.approx(0.8, abs=0.015)
    assert float(made[made < 0].mean()) == pytest.approx(-0.5, abs=0.01)
    assert float(made[made > 0].std()) == pytest.approx(math.exp(-6) * math.pi / math.sqrt(3), rel=0.1)
