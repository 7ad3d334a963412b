"""REGNET: sizes of the released networks, what may reach the generator, and that it learns."""

import pytest
import torch
from pydantic import ValidationError

from foley.errors import ConfigError
from foley.models import regnet
from foley.models.base import Batch, DataSpec

SPEC = DataSpec(
    classes=("dog",),
    visual_dims=(6, 4),
    n_visual_steps=(16, 16),
    visual_hz=(21.5, 21.5),
    n_bins=10,
    n_audio_frames=64,
    sample_rate_hz=22_050,
    duration_s=0.75,
)
RELEASED_SPEC = DataSpec(("dog",), (1024, 1024), (215, 215), (21.5, 21.5), 80, 860, 22_050, 10.0)
SMALL = {
    "n_noise": 3,
    "n_encoded": 16,
    "n_units": 8,
    "n_generated": 16,
    "n_judged": (8, 12, 16),
    "bottleneck_dim": 4,
    "bottleneck_every": 64,
}


def make(spec: DataSpec = SPEC, **settings: object) -> regnet.System:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    averages = torch.zeros(len(spec.classes), spec.n_bins, spec.n_audio_frames)
    return regnet.System(regnet.Config.model_validate(settings), spec, averages, generator)


def batch(n: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(1)
    visual = tuple(torch.randn(n, 16, dim, generator=generator) for dim in SPEC.visual_dims)
    loud = visual[0][:, :, :1].repeat_interleave(4, dim=1).transpose(1, 2).sigmoid()
    return Batch(visual, torch.zeros(n, dtype=torch.long), loud.expand(-1, 10, -1).contiguous())


def drawn() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_the_released_networks_have_the_released_sizes() -> None:
    system = make(RELEASED_SPEC)
    assert system.discriminator is not None
    assert sum(value.numel() for value in system.generating_parameters()) == 94_095_184
    assert sum(value.numel() for value in system.discriminator.parameters()) == 11_420_545
    logits = system.discriminator(torch.zeros(1, 215, 2048), torch.zeros(1, 80, 860))
    assert logits.shape == (1, 213)


@pytest.mark.parametrize("profile", ["released", "paper"])
@pytest.mark.parametrize("regulariser", ["sound", "sound_and_vision", "none"])
def test_recorded_sound_cannot_reach_what_is_made(profile: str, regulariser: str) -> None:
    system = make(**SMALL | {"profile": profile, "regulariser": regulariser}).eval()
    first = batch()
    assert first.target is not None
    other = Batch(first.visual, first.labels, 1 - first.target)
    without = Batch(first.visual, first.labels)
    with torch.no_grad():
        made = [system.predict(given, drawn()).spectrogram for given in (first, other, without)]
    assert made[0] is not None
    assert made[0].shape == (4, 10, 64)
    torch.testing.assert_close(made[0], made[1], rtol=0, atol=0)
    torch.testing.assert_close(made[0], made[2], rtol=0, atol=0)


@pytest.mark.parametrize("bottleneck", ["last", "sampled", "convolution"])
def test_while_it_learns_recorded_sound_is_forwarded(bottleneck: str) -> None:
    system = make(**SMALL | {"bottleneck": bottleneck}).eval()
    given = batch()
    assert given.target is not None
    visual = torch.cat(given.visual, dim=2)
    forwarded = system.forwarded(visual, given.target)
    assert forwarded.shape == (4, 16, 8 if bottleneck == "sampled" else 4)
    assert not torch.equal(forwarded, system.forwarded(visual, given.target.roll(1, dims=0)))


def test_a_sample_of_the_bottleneck_stands_for_its_own_stretch_of_time() -> None:
    system = make(**SMALL | {"bottleneck": "sampled", "bottleneck_every": 16}).eval()
    given = batch()
    assert given.target is not None
    forwarded = system.forwarded(torch.cat(given.visual, dim=2), given.target)
    for start in range(0, 16, 4):
        stretch = forwarded[:, start : start + 4]
        torch.testing.assert_close(stretch, stretch[:, :1].expand_as(stretch))
    assert not torch.equal(forwarded[:, 0], forwarded[:, 4])


def test_profiles_differ_where_the_documentation_says_and_give_way_to_settings() -> None:
    released, paper = regnet.Config(), regnet.Config.model_validate({"profile": "paper"})
    assert (released.n_noise, released.reconstruction_weight, released.adversarial_weight) == (512, 10_000, 1)
    assert (paper.n_noise, paper.reconstruction_weight, paper.adversarial_weight) == (0, 1, 10_000)
    assert regnet.Config.model_validate({"profile": "paper", "n_noise": 7}).n_noise == 7
    with pytest.raises(ValidationError):
        regnet.Config.model_validate({"bottle_neck": "last"})


def test_each_optimiser_changes_its_own_networks_only() -> None:
    system = make(**SMALL)
    optimisers = system.optimisers(1e-3, 0.0)
    generating = {id(value) for value in system.generating_parameters()}
    owned = [
        {id(value) for group in optimisers[name].param_groups for value in group["params"]}
        for name in ("generator", "discriminator")
    ]
    assert owned[0] == generating
    assert not owned[0] & owned[1]
    assert owned[0] | owned[1] == {id(value) for value in system.parameters()}


@pytest.mark.parametrize("settings", [{}, {"adversarial": False}, {"regulariser": "none"}])
def test_it_learns_a_sound_that_follows_the_picture(settings: dict[str, object]) -> None:
    # Without dropout: the question is whether gradients reach every part.
    system = make(**SMALL | {"dropout": 0.0} | settings).train()
    given, generator = batch(), drawn()
    optimisers = system.optimisers(5e-3, 0.0)
    errors = [system.step(given, optimisers, generator, None)["squared_error"] for _ in range(150)]
    assert errors[-1] < 0.2 * errors[0]
    assert ("discriminator" in optimisers) == settings.get("adversarial", True)


def test_what_learns_without_a_regulariser_forwards_nothing() -> None:
    system = make(**SMALL | {"regulariser": "none"})
    assert system.regulariser is None
    assert system.n_forwarded == 0


@pytest.mark.parametrize(
    "changes",
    [{"n_audio_frames": 60}, {"n_visual_steps": (16, 8)}, {"visual_dims": (), "n_visual_steps": ()}],
)
def test_shapes_that_do_not_fit_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="regnet"):
        make(DataSpec(**{**SPEC.__dict__, **changes}), **SMALL)
