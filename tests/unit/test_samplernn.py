"""SampleRNN: it sees no future, draws as it was taught, and reaches the entropy of a known source."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from foley.models.samplernn import Conditions, SampleRNN, SampleRNNConfig, Stepper, draw

SMALL = {"n_levels": 16, "n_units": 12, "n_embedded": 5}
SIZES = [(16, 4), (8, 2), (4,), (12, 6, 2), (4, 1)]


def make(told_start: bool = False, **settings: object) -> SampleRNN:
    torch.manual_seed(3)
    return SampleRNN(SampleRNNConfig.model_validate(SMALL | settings), told_start=told_start)


def random_levels(network: SampleRNN, n: int, n_clips: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    levels = torch.randint(network.config.n_levels, (n_clips, network.n_context + n), generator=generator)
    levels[:, : network.n_context] = network.middle
    return levels


def random_conditions(network: SampleRNN, n_steps: int, n_clips: int = 3) -> Conditions:
    values = torch.randn(n_clips, 2, network.config.n_units, generator=torch.Generator().manual_seed(2))
    return Conditions(values, torch.arange(n_steps) // (n_steps // 2))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("n_layers", [1, 2])
def test_sample_by_sample_it_gives_what_it_gives_at_once(sizes: tuple[int, ...], n_layers: int) -> None:
    network = make(frame_sizes=sizes, n_layers=n_layers).eval()
    n = 4 * sizes[0]
    levels, conditions = random_levels(network, n), random_conditions(network, 4)
    with torch.no_grad():
        at_once, _ = network(levels, network.start(3), conditions)
        stepper = Stepper(network, network.start(3), n, conditions)
        for t in range(n):
            torch.testing.assert_close(stepper.logits(), at_once[:, t], rtol=0, atol=1e-4)
            stepper.push(levels[:, network.n_context + t])


def test_paper_size_is_the_default_and_it_too_steps_as_it_was_taught() -> None:
    network = SampleRNN(SampleRNNConfig()).eval()
    assert (network.n_context, network.n_before, network.config.n_units) == (16, 4, 1024)
    levels = random_levels(network, 32, n_clips=1)
    with torch.no_grad():
        at_once, _ = network(levels, network.start(1))
        assert at_once.shape == (1, 32, 256)
        stepper = Stepper(network, network.start(1), 32)
        for t in range(32):
            torch.testing.assert_close(stepper.logits(), at_once[:, t], rtol=0, atol=1e-4)
            stepper.push(levels[:, 16 + t])


@pytest.mark.parametrize("sizes", SIZES)
def test_a_sample_changes_what_comes_after_it_and_nothing_else(sizes: tuple[int, ...]) -> None:
    network = make(frame_sizes=sizes).eval()
    n, changed_at = 3 * sizes[0], sizes[0] + 1
    levels = random_levels(network, n)
    other = levels.clone()
    other[:, network.n_context + changed_at] = (other[:, network.n_context + changed_at] + 7) % 16
    with torch.no_grad():
        first, second = (network(given, network.start(3))[0] for given in (levels, other))
    differs = (first != second).any(dim=2).all(dim=0)
    assert not differs[: changed_at + 1].any(), "the sample itself and those before it do not see it"
    assert differs[changed_at + 1], "the next one does"
    assert differs[2 * sizes[0] :].all(), "through the tiers so does all that is later"


def test_what_is_told_at_a_step_is_heard_from_its_own_samples_on() -> None:
    network = make().eval()
    levels, told = random_levels(network, 64), random_conditions(network, 4)
    changed = told.values.clone()
    changed[:, 1] += 1
    with torch.no_grad():
        first, _ = network(levels, network.start(3), told)
        second, _ = network(levels, network.start(3), Conditions(changed, told.places))
    differs = (first != second).any(dim=2).all(dim=0)
    assert not differs[:32].any()
    assert differs[32:].all()


def test_state_carried_between_stretches_is_no_seam() -> None:
    network = make().eval()
    levels, told = random_levels(network, 64), random_conditions(network, 4)
    with torch.no_grad():
        whole, _ = network(levels, network.start(3), told)
        first, state = network(levels[:, :48], network.start(3), Conditions(told.values, told.places[:2]))
        second, _ = network(levels[:, 32:], state, Conditions(told.values, told.places[2:]))
        anew, _ = network(levels[:, 32:], network.start(3), Conditions(told.values, told.places[2:]))
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    assert not torch.allclose(anew, whole[:, 32:]), "without the state it would be another sound"


@pytest.mark.parametrize("weight_norm", [True, False])
def test_the_gradient_reaches_every_parameter(weight_norm: bool) -> None:
    network = make(weight_norm=weight_norm, n_layers=2)
    nats, _ = network.nats(random_levels(network, 64), network.start(3))
    nats.mean().backward()
    for name, value in network.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().sum() > 0, name


def test_weight_norm_starts_at_the_same_function() -> None:
    with_norm, without = make(weight_norm=True).eval(), make(weight_norm=False).eval()
    levels = random_levels(with_norm, 32)
    logits = [network(levels, network.start(3))[0] for network in (with_norm, without)]
    torch.testing.assert_close(*logits)


def test_drawn_sound_follows_the_learned_distribution_and_the_seed() -> None:
    network = make()
    with torch.no_grad():
        network.output.parametrizations.weight.original0.zero_()  # the length of every weight vector
        network.output.bias.copy_(torch.tensor([math.log(3), 0.0] + [-100.0] * 14))

    def drawn(seed: int) -> torch.Tensor:
        return draw(network, network.start(8), 256, torch.Generator().manual_seed(seed))

    first = drawn(5)
    assert torch.equal(first, drawn(5))
    assert not torch.equal(first, drawn(6))
    assert first.shape == (8, 256)
    assert set(first.unique().tolist()) == {0, 1}
    # 2048 draws with chance 3/4: four standard deviations are 0.04.
    assert (first == 0).float().mean().item() == pytest.approx(0.75, abs=0.04)


def test_cooler_sound_is_the_likeliest() -> None:
    network = make().eval()
    cold = draw(network, network.start(2), 32, torch.Generator().manual_seed(5), temperature=1e-4)
    with torch.no_grad():
        before = torch.full((2, 16), network.middle)
        logits, _ = network(torch.cat([before, cold], dim=1), network.start(2))
    assert torch.equal(logits.argmax(dim=2), cold)


def markov_chain(n_clips: int, n: int, generator: np.random.Generator) -> tuple[np.ndarray, float]:
    """Sound of four levels of 16 whose next depends on the last, and its entropy in nats a sample."""
    rates = np.array(
        [[0.7, 0.1, 0.1, 0.1], [0.05, 0.05, 0.8, 0.1], [0.3, 0.3, 0.0, 0.4], [0.0, 0.9, 0.1, 0.0]]
    )
    places = np.zeros((n_clips, n), dtype=np.int64)
    for t in range(1, n):
        chance = generator.random((n_clips, 1))
        places[:, t] = (rates[places[:, t - 1]].cumsum(axis=1) < chance).sum(axis=1)
    values, vectors = np.linalg.eig(rates.T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    stationary /= stationary.sum()
    logs = np.log(rates, out=np.zeros_like(rates), where=rates > 0)
    return np.array([1, 5, 9, 14])[places], float(-(stationary[:, None] * rates * logs).sum())


def test_it_reaches_the_entropy_of_a_markov_chain() -> None:
    torch.manual_seed(0)
    network = make(n_units=24, n_embedded=8)
    generator = np.random.default_rng(0)
    sound, entropy = markov_chain(64 + 256, 1024, generator)
    levels = torch.from_numpy(np.pad(sound, ((0, 0), (16, 0)), constant_values=network.middle))
    test, train = levels[:64], levels[64:]
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 160)
    for _ in range(160):
        start = 64 * generator.integers(16)
        chosen = train[generator.integers(256, size=64), start : start + 80]
        optimiser.zero_grad()
        nats, _ = network.nats(chosen, network.start(64))
        nats.mean().backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        nats, _ = network.nats(test, network.start(64))
    assert nats.mean().item() == pytest.approx(entropy, rel=0.02)
    assert entropy < 0.8 * math.log(4), "the level before is worth knowing"


@pytest.mark.parametrize("sizes", [[4, 16], [16, 5], [16, 16], []])
def test_frames_that_do_not_divide_are_refused(sizes: list[int]) -> None:
    with pytest.raises(ValidationError):
        SampleRNNConfig.model_validate({"frame_sizes": sizes})
