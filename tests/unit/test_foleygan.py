"""FoleyGAN as a system: what it learns when, what it may look at, and that a killed training goes on."""

import copy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from foley.errors import ConfigError
from foley.models.base import Batch, DataSpec
from foley.models.foleygan import Config, System
from foley.store.manifests import Clip
from foley.training.checkpoint import build_system, load_state, save_state
from foley.training.config import TrainingConfig
from foley.training.examples import Examples
from foley.training.loop import train

SPEC = DataSpec(
    classes=("bang", "drip", "tick"),
    visual_dims=(6,),
    n_visual_steps=(16,),
    visual_hz=(25.0,),
    n_bins=32,
    n_audio_frames=32,
    sample_rate_hz=3200,
    duration_s=0.64,
)
TINY = {
    "resolution": 32,
    "n_channels": 1,
    "ch": 2,
    "z_chunk": 3,
    "n_shared": 4,
    "n_guided": 4,
    "attention": 16,
    "action_n_fft": 64,
    "action_hop": 64,
    "n_relations": 3,
    "n_hidden": 8,
    "keep_features": 0.9,
    "keep_hidden": 0.9,
    "recognition_steps": 0,
    "standing": 2,
}


def make(spec: DataSpec = SPEC, **settings) -> System:
    system = build_system(
        "foleygan", TINY | settings, spec, torch.zeros(3, spec.n_bins, spec.n_audio_frames), 2
    )
    assert isinstance(system, System)
    return system


def batch(n: int = 6, spec: DataSpec = SPEC) -> Batch:
    drawn = torch.Generator().manual_seed(1)
    labels = torch.arange(n) % 3
    visual = torch.randn(n, 16, 6, generator=drawn)
    visual[:, :, :3] += 3 * torch.eye(3)[labels][:, None]
    target = torch.rand(n, spec.n_bins, spec.n_audio_frames, generator=drawn) * 2 - 1
    return Batch((visual,), labels, target)


def stepped(system: System, one: Batch, n: int = 1) -> System:
    optimisers = system.optimisers(0.01, 0.0)
    generator = torch.Generator().manual_seed(3)
    system.train()
    for _ in range(n):
        system.step(one, optimisers, generator, None)
    return system


def test_the_papers_sizes_are_the_defaults():
    config = Config()
    assert (config.resolution, config.ch, config.n_channels, config.z_chunk) == (512, 96, 3, 20)
    assert config.discriminator_steps == 2
    lr = 2e-4
    assert lr * config.generator_lr_share == pytest.approx(5e-5)
    assert lr * config.recognition_lr_share == pytest.approx(1e-3)


def test_relations_are_learned_first_and_stay_as_they_are():
    system, one = make(recognition_steps=2), batch()
    start = copy.deepcopy(system.state_dict())
    stepped(system, one, 2)
    assert not system.recognising
    looked = copy.deepcopy(system.state_dict())
    stepped(system, one, 2)
    ended = system.state_dict()
    for name in start:
        if not torch.is_floating_point(start[name]) or start[name].numel() == 0:
            continue
        if name.startswith(("recogniser.", "pairs.")):
            assert torch.equal(looked[name], ended[name]), name
        elif name.startswith(("generator.", "discriminator.")):
            assert torch.equal(start[name], looked[name]), name
    changed = ("recogniser.reduce.weight", "pairs.reduce.weight")
    assert all(not torch.equal(start[name], looked[name]) for name in changed)
    first = "generator.first.parametrizations.weight.original"
    assert not torch.equal(looked[first], ended[first])


def test_every_parameter_learns():
    system, one = make(recognition_steps=5), batch()
    before = {name: value.detach().clone() for name, value in system.named_parameters()}
    stepped(system, one, 9)
    for name, value in system.named_parameters():
        assert not torch.equal(value, before[name]), name


def test_the_class_is_learned():
    system, one = make(recognition_steps=60), batch()
    system.prepare((one.visual[0].numpy().astype(np.float16),))
    stepped(system, one, 60).eval()
    with torch.no_grad():
        found = system.predict(one, torch.Generator().manual_seed(0))
    assert found.probabilities is not None
    assert torch.equal(found.probabilities.argmax(dim=1), one.labels)


def test_the_action_curve_is_the_probability_of_the_class_in_two_pictures():
    system, one = make().eval(), batch()
    curve = system.action_curve(one.visual[0], one.labels)
    assert curve.shape == (6, 15)
    with torch.no_grad():
        scores = system.pairs(one.visual[0][4:5, 7:9])
    assert curve[4, 7].item() == pytest.approx(scores.softmax(dim=1)[0, one.labels[4]].item(), rel=1e-5)


def test_unguided_is_guided_by_zeros():
    guided, blind, one = make(), make(guided=False), batch()
    with torch.no_grad():
        blind.load_state_dict(guided.state_dict())
        latent = torch.randn(6, guided.generator.n_latent)
        zeros = torch.zeros(6, 3, 32, 32)
        for system in (guided, blind):
            system.eval()
        wanted = guided.averaged(latent, one.labels, zeros)
        found = blind.averaged(latent, one.labels, blind.action(one, one.labels))
    assert torch.equal(wanted, found)
    assert blind.n_parameters() == guided.n_parameters()


@pytest.mark.parametrize("guided", [True, False])
def test_sound_follows_from_pictures_alone(guided):
    system, one = stepped(make(guided=guided), batch()), batch()
    system.eval()
    with torch.no_grad():
        found = system.predict(one, torch.Generator().manual_seed(4))
        blind = system.predict(
            Batch(one.visual, torch.full_like(one.labels, -1)), torch.Generator().manual_seed(4)
        )
        other = system.predict(
            replace(one, visual=(one.visual[0].roll(3, dims=1),), forced=found.probabilities.argmax(dim=1)),
            torch.Generator().manual_seed(4),
        )
    assert found.spectrogram.shape == (6, 32, 32)
    assert torch.equal(found.spectrogram, blind.spectrogram)
    assert torch.equal(found.spectrogram, other.spectrogram) is not guided


def test_a_forced_class_is_made():
    system, one = stepped(make(), batch()).eval(), batch()
    with torch.no_grad():
        found = system.predict(one, torch.Generator().manual_seed(4))
        chosen = found.probabilities.argmax(dim=1)
        same, other = (
            system.predict(replace(one, forced=label), torch.Generator().manual_seed(4))
            for label in (chosen, (chosen + 1) % 3)
        )
    assert torch.equal(found.probabilities, other.probabilities)
    assert torch.equal(found.spectrogram, same.spectrogram)
    assert all(
        not torch.equal(one, two) for one, two in zip(found.spectrogram, other.spectrogram, strict=True)
    )


def measured(system: System) -> System:
    """Batch norms replaced by what they have measured, so that a clip's sound is its own."""
    for layer in system.generator.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.train(False)
            layer.train = lambda mode=True: None
    return system


@pytest.mark.parametrize("recompute", [False, True])
def test_accumulated_gradients_are_those_of_one_large_batch(recompute):
    one = batch(8)
    systems = [
        stepped(measured(make(micro_batch=size, recompute=recompute and size == 3).train()), one)
        for size in (None, 3)
    ]
    for part in ("discriminator", "generator"):
        names, values = zip(*getattr(systems[0], part).named_parameters(), strict=True)
        others = getattr(systems[1], part).parameters()
        for name, whole, dealt in zip(names, values, others, strict=True):
            torch.testing.assert_close(dealt.grad, whole.grad, msg=f"{part}.{name}", rtol=1e-3, atol=1e-6)
        pairs = zip(getattr(systems[0], part).buffers(), getattr(systems[1], part).buffers(), strict=True)
        assert all(torch.allclose(first, second, atol=1e-6) for first, second in pairs)


def test_two_steps_of_the_discriminator_see_different_clips():
    seen = []
    system = make()
    system.discriminator.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    one = batch(8)
    stepped(system, one)
    assert [len(pictures) for pictures in seen] == [8, 8, 4]  # real and made of four clips, twice; made
    real = system.pictures(one.target)
    assert torch.equal(seen[0][:4], real[:4])
    assert torch.equal(seen[1][:4], real[4:])


def test_the_discriminator_can_be_shown_the_action():
    seen = []
    system = make(action_seen=True)
    system.discriminator.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    one = batch(4)
    stepped(system, one)
    assert seen[0].shape == (4, 4, 32, 32)
    assert torch.equal(seen[0][:2, 1:], system.action(one, one.labels)[:2])


def test_the_average_follows_the_generator():
    one = batch()
    copied = stepped(make(average_after=9), one, 2)
    for mine, theirs in zip(copied.averaged.parameters(), copied.generator.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert not mine.requires_grad
    slow = make(averaging=0.75, average_after=0)
    name = "first.parametrizations.weight.original"
    value = dict(slow.generator.named_parameters())[name]
    path = [value.detach().clone()]
    optimisers, generator = slow.optimisers(0.01, 0.0), torch.Generator().manual_seed(3)
    slow.train()
    for _ in range(2):
        slow.step(one, optimisers, generator, None)
        path.append(value.detach().clone())
    wanted = path[0]
    for new in path[1:]:
        wanted = 0.75 * wanted + 0.25 * new
    torch.testing.assert_close(dict(slow.averaged.named_parameters())[name], wanted)


def test_standing_statistics_are_means_over_batches_of_sounds():
    system, one = stepped(make(), batch()).eval(), batch()
    shown = []
    system.averaged.register_forward_pre_hook(lambda _, inputs: shown.append(inputs))
    norm = system.averaged.blocks[0].norm1.norm
    before = norm.running_mean.clone()
    system.conclude([one, one, one])
    assert len(shown) == 2
    latents, labels, actions = zip(*shown, strict=True)
    assert all(len(latent) == 18 for latent in latents)
    assert not torch.equal(labels[0], labels[1])
    for label, action in zip(labels, actions, strict=True):  # each clip's action comes with its class
        wanted = system.action(one, one.labels)
        assert all(
            any(torch.equal(seen, known) for known in wanted[one.labels == number])
            for number, seen in zip(label, action, strict=True)
        )
    with torch.no_grad():
        means = [
            system.averaged.first(latent[:, :3]).unflatten(1, (-1, 4, 4)).mean(dim=(0, 2, 3))
            for latent in latents
        ]
    torch.testing.assert_close(norm.running_mean, (means[0] + means[1]) / 2)
    assert not torch.equal(before, norm.running_mean)
    assert not any(layer.training for layer in system.averaged.modules())
    assert norm.momentum == pytest.approx(0.1)


def test_targets_of_another_size_and_range_are_learned_too():
    spec = replace(SPEC, n_bins=128, n_audio_frames=64)
    system = make(spec, target_range=(0.0, 1.0), n_channels=2)
    target = torch.rand(2, 128, 64)
    pictures = system.pictures(target)
    assert pictures.shape == (2, 2, 32, 32)
    torch.testing.assert_close(pictures.mean(), 2 * target.mean() - 1)
    back = system.targets(pictures)
    assert back.shape == target.shape
    assert back.min() >= 0
    assert back.max() <= 1
    with pytest.raises(ConfigError, match="n_channels"):
        make(n_channels=3)
    with pytest.raises(ValidationError, match="rise"):
        Config(target_range=(1.0, 0.0))


def test_half_precision_learns_nearly_the_same():
    one = batch()
    plain, half = (stepped(make(precision=name), one) for name in ("float32", "bfloat16"))
    first, second = (one.discriminator.score.parametrizations.weight.original.grad for one in (plain, half))
    assert not torch.equal(first, second)
    assert torch.nn.functional.cosine_similarity(first.flatten(), second.flatten(), dim=0) > 0.98


def examples(n: int = 12) -> Examples:
    one = batch(n)
    rows = [
        Clip(
            clip_id=f"clip{index:02}",
            recording_id=f"clip{index:02}",
            label=SPEC.classes[index % 3],
            shard="000",
            group="",
            split="train",
            path="film.mp4",
            start_s=0.0,
            duration_s=0.64,
            fps=25.0,
        )
        for index in range(n)
    ]
    visual = (one.visual[0].numpy().astype(np.float16),)
    return Examples(rows, SPEC.classes, visual, (25.0,), one.target.numpy())


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path):
    def trained(folder: str, stop_after: int | None = None) -> System:
        system = make(recognition_steps=3, averaging=0.5, average_after=1, micro_batch=2, standardise=True)
        shown = examples()
        system.prepare(shown.visual)
        n_scored = 0

        def score(_: object) -> dict[str, float]:
            nonlocal n_scored
            n_scored += 1
            if n_scored == stop_after:
                raise KeyboardInterrupt
            return {}

        config = TrainingConfig(epochs=5, batch_size=5, lr=0.01, score_every=1, save_every=1, clip_norm=1.0)
        train(system, shown, config, seed=7, device="cpu", state_dir=tmp_path / folder, score=score)
        return system

    whole = trained("whole").state_dict()
    with pytest.raises(KeyboardInterrupt):
        trained("killed", stop_after=4)
    resumed = trained("killed").state_dict()
    assert int(resumed["n_steps"]) == 15
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_the_state_of_a_training_holds_all_that_moves(tmp_path):
    system = make()
    optimisers = system.optimisers(0.01, 0.0)
    save_state(tmp_path, {"system": system, **optimisers}, [{"epoch": 1}])
    kept, _ = load_state(tmp_path, "cpu")
    names = set(kept["system"])
    assert "n_steps" in names
    assert any(name.startswith("averaged.") for name in names)
    assert any(name.endswith("._u") and name.startswith("discriminator.") for name in names)
    assert set(optimisers) <= set(kept)


def test_each_network_has_its_own_rate_in_the_loop(tmp_path):
    system, rates = make(), []
    original = system.step

    def step(one, optimisers, generator, clip_norm):
        rates.append({name: optimiser.param_groups[0]["lr"] for name, optimiser in optimisers.items()})
        return original(one, optimisers, generator, clip_norm)

    system.step = step
    config = TrainingConfig(epochs=2, batch_size=12, lr=2e-4, schedule="cosine")
    train(system, examples(), config, seed=0, device="cpu", state_dir=tmp_path, score=lambda _: {})
    assert rates[0] == pytest.approx({"recognition": 1e-3, "discriminator": 2e-4, "generator": 5e-5})
    for first, second in pairwise(rates):
        assert all(second[name] == pytest.approx(first[name] / 2) for name in first)


def test_too_few_samples_are_refused():
    with pytest.raises(ConfigError, match="action_n_fft"):
        make(action_n_fft=4096)
