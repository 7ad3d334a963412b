"""GANSynth's growth: sizes, fading, and what the networks are made of."""

import numpy as np
import pytest
import torch

from foley.errors import ConfigError
from foley.models import gansynth
from foley.models.base import Batch, DataSpec

SPEC = DataSpec(("dog", "rain"), (4,), (10,), (10.0,), 2 * 32, 16, 8000, 1.0)
SMALL = {
    "n_resolutions": 4,
    "stable_clips": 10,
    "transition_clips": 20,
    "n_noise": 5,
    "most_channels": 8,
    "n_channels_base": 32,
    "recogniser": {"n_relations": 3, "n_hidden": 4},
}
CONFIG = gansynth.Config.model_validate(SMALL)
START = (4, 2)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(**settings: object) -> gansynth.System:
    torch.manual_seed(0)
    averages = torch.zeros(len(SPEC.classes), SPEC.n_bins, SPEC.n_audio_frames)
    return gansynth.System(gansynth.Config.model_validate(SMALL | settings), SPEC, averages, drawn())


def batch(n: int = 6) -> Batch:
    generator = drawn(1)
    target = torch.rand(n, SPEC.n_bins, SPEC.n_audio_frames, generator=generator) * 2 - 1
    return Batch((torch.randn(n, 10, 4, generator=generator),), torch.arange(n) % 2, target)


def test_growth_follows_the_clips() -> None:
    """Two steps a resolution, as the reference counts them: alone, then with the next fading in."""
    found = [CONFIG.progress(n) for n in (0, 9, 10, 15, 29, 30, 40, 50, 60, 89, 90, 10**9)]
    assert found == pytest.approx([0, 0, 0, 0.25, 0.95, 1, 1, 1.5, 2, 2.95, 3, 3])
    assert gansynth.Config(n_resolutions=1).progress(5) == 0


@pytest.mark.parametrize(
    ("progress", "size"), [(0, (4, 2)), (0.5, (8, 4)), (1, (8, 4)), (2.3, (32, 16)), (3, (32, 16))]
)
def test_sizes_as_it_grows(progress: float, size: tuple[int, int]) -> None:
    system = make()
    vectors = torch.randn(3, 7, generator=drawn())
    made = system.generator(vectors, progress)
    assert made.shape == (3, 2, *size)
    assert made.abs().max() <= 1
    scores, logits = system.critic(made, progress)
    assert (scores.shape, logits.shape) == ((3,), (3, 2))
    assert system.seen(system.real(batch()), progress).shape == (6, 2, *size)


@pytest.mark.parametrize("grown", [0, 1, 2])
def test_a_resolution_fades_in_without_a_jump(grown: int) -> None:
    """With a share of next to nothing the finer network is the coarser one, enlarged."""
    system, vectors, little = make(), torch.randn(3, 7, generator=drawn()), 1e-6
    coarse = system.generator(vectors, grown)
    enlarged = gansynth.finer(coarse)
    torch.testing.assert_close(system.generator(vectors, grown + little), enlarged, rtol=0, atol=1e-5)
    for before, after in zip(
        system.critic(coarse, grown), system.critic(enlarged, grown + little), strict=True
    ):
        torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-4)
    pictures = system.real(batch())
    before, after = (system.seen(pictures, progress) for progress in (grown, grown + little))
    torch.testing.assert_close(gansynth.finer(before), after, rtol=0, atol=1e-5)


@pytest.mark.parametrize("grown", [1, 2, 3])
def test_a_resolution_has_wholly_faded_in_without_a_jump(grown: int) -> None:
    system, vectors, nearly = make(), torch.randn(3, 7, generator=drawn()), 1 - 1e-6
    fine = system.generator(vectors, grown)
    torch.testing.assert_close(system.generator(vectors, grown - 1 + nearly), fine, rtol=0, atol=1e-5)
    before, after = (system.critic(fine, progress)[0] for progress in (grown - 1 + nearly, grown))
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-4)


def test_half_way_both_resolutions_are_heard() -> None:
    system, vectors = make(), torch.randn(3, 7, generator=drawn())
    blended = system.generator(vectors, 1.25)
    expected = 0.25 * system.generator(vectors, 2) + 0.75 * gansynth.finer(system.generator(vectors, 1))
    torch.testing.assert_close(blended, expected)


def test_the_penalty_is_that_of_full_sized_pictures() -> None:
    """The reference enlarges what a coarse resolution makes and lets the critic shrink it again."""
    system = make()
    system.n_heard.fill_(0)
    real, labels = system.real(batch()), batch().labels
    with torch.no_grad():
        fake = system.make(labels, drawn(3))
    found = system.critic_losses(real, fake, labels, drawn(4))["penalty"]

    share = torch.rand(6, 1, 1, 1, generator=drawn(4))
    large_real = gansynth.finer(gansynth.coarser(real, 8), 8)
    between = large_real + share * (gansynth.finer(fake, 8) - large_real)
    between.requires_grad_()
    scores = system.critic(gansynth.coarser(between, 8), 0)[0]
    (gradient,) = torch.autograd.grad(scores.sum(), between)
    expected = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_pixel_norm_and_batch_spread_against_numpy() -> None:
    values = torch.randn(5, 3, 4, 2, generator=drawn(2))
    array = values.numpy()
    expected = array / np.sqrt((array**2).mean(axis=1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(gansynth.pixel_norm(values).numpy(), expected, rtol=1e-5)
    appended = gansynth.with_batch_spread(values)
    assert appended.shape == (5, 4, 4, 2)
    np.testing.assert_array_equal(appended[:, :3].numpy(), array)
    spread = np.sqrt(array.var(axis=0) + 1e-6).mean()
    np.testing.assert_allclose(appended[:, 3].numpy(), np.full((5, 4, 2), spread), rtol=1e-5)


def test_first_weights_give_unit_variance() -> None:
    """Equalised learning rate: weights of variance 1, scaled in use by He's factor."""
    system = make(most_channels=64, n_channels_base=256)
    layer = system.generator.blocks[0][0]
    assert layer.weight.std().item() == pytest.approx(1, abs=0.02)
    given = torch.randn(4, 64, 16, 16, generator=drawn())
    assert layer(given)[..., 1:-1, 1:-1].var().item() == pytest.approx(2, rel=0.1)


def test_the_smoothed_generator_follows_slowly() -> None:
    system = make(smoothing=0.75)
    optimisers = system.optimisers(0.01, 0.0)
    before = [value.clone() for value in system.smoothed.parameters()]
    system.train()
    system.step(batch(), optimisers, drawn(), None)
    moved = 0
    for old, mean, new in zip(
        before, system.smoothed.parameters(), system.generator.parameters(), strict=True
    ):
        torch.testing.assert_close(mean, 0.75 * old + 0.25 * new)
        moved += int(not torch.equal(old, new))
    assert moved == 6  # the coarsest resolution: three layers, weights and biases; the others wait
    assert int(system.n_heard) == 6


@pytest.mark.parametrize("progress", [0, 45, 90])
def test_predictions_are_of_full_size_at_any_time(progress: int) -> None:
    system = make().eval()
    system.n_heard.fill_(progress)
    with torch.no_grad():
        made = system.predict(batch(), drawn())
    assert made.spectrogram is not None
    assert made.spectrogram.shape == (6, 64, 16)
    assert made.spectrogram.abs().max() <= 1


def test_a_target_that_cannot_be_halved_so_often_is_refused() -> None:
    with pytest.raises(ConfigError, match="multiples of 16, the target is 64 x 16"):
        make(n_resolutions=5, n_channels=8)
