"""FoleyGAN as a system: what it learns when, what it may look at, and that a killed training goes on."""

import copy
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.signal import freqz

from foley.errors import ConfigError
from foley.features.audio import RepresentationConfig, extract_shard, levels
from foley.models.base import Batch, DataSpec
from foley.models.foleygan import Config, System
from foley.models.layers.post_filter import PostFilter
from foley.store.manifests import Clip
from foley.training.averages import average_class_spectrograms
from foley.training.checkpoint import (
    build_system,
    load_state,
    load_system,
    save_state,
    spec_as_json,
    spec_from_json,
)
from foley.training.config import ExperimentConfig, TrainingConfig
from foley.training.examples import Examples
from foley.training.loop import train
from tests.learnable import DURATION_S, RATE_HZ, train_small, write_dataset

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


ENCODING = RepresentationConfig(
    kind="gan_stft",
    sample_rate_hz=3200,
    duration_s=0.64,
    n_fft=64,
    hop_length=32,
    n_frames=32,
    channel_bins=32,
    n_channels=1,
)
LEVEL_SPEC = replace(SPEC, levels=levels(ENCODING))


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


def test_curves_of_clips_that_were_seen_before_are_not_computed_again(monkeypatch):
    """The same weights as without their numbers; relation networks that learn on make new ones."""
    one = batch()
    numbered = replace(one, clips=(4, 0, 9, 2, 1, 7))
    system, computed = make(), []
    plain = system.action_curve
    monkeypatch.setattr(
        system, "action_curve", lambda seen, labels: computed.append(len(seen)) or plain(seen, labels)
    )
    stepped(system, numbered, 3)
    assert computed == [6]
    expected = stepped(make(), one, 3).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in system.state_dict().items())
    stepped(system, replace(one, clips=(4, 0, 5, 2, 6, 7)))
    assert computed == [6, 2]
    system.n_steps.zero_()
    monkeypatch.setattr(system, "config", system.config.model_copy(update={"recognition_steps": 1}))
    stepped(system, numbered, 2)
    assert computed == [6, 2, 6]


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


@pytest.mark.parametrize("options", [{}, {"pretraining_steps": 7, "filter_taps": 8}])
@pytest.mark.parametrize("stop_after", [2, 4])
def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path, options, stop_after):
    settings = {"recognition_steps": 3, "averaging": 0.5, "average_after": 1, "micro_batch": 2} | options

    def trained(folder: str, stop_after: int | None = None) -> System:
        system = make(LEVEL_SPEC, standardise=True, **settings)
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
        trained("killed", stop_after)
    resumed = trained("killed").state_dict()
    assert int(resumed["n_steps"]) == 15
    if options:
        assert not torch.equal(resumed["averaged.last_filter.taps"], make_taps(8))
        assert not torch.equal(resumed["averaged.last_filter.taps"], resumed["generator.last_filter.taps"])
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


# The filter after the generator


def make_taps(n: int) -> torch.Tensor:
    """Those of the identity."""
    return PostFilter(n).taps.detach()


def made_by(system: System, one: Batch) -> torch.Tensor:
    latent = torch.randn(6, system.generator.n_latent, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return system.generator(latent, one.labels, system.action(one, one.labels))


@pytest.mark.parametrize("filter_of", ["sound", "rows"])
def test_a_filter_is_512_more_parameters_that_change_nothing_at_first(filter_of):
    plain, filtered = (make(LEVEL_SPEC, filter_taps=n, filter_of=filter_of) for n in (None, 512))
    assert filtered.n_parameters() == plain.n_parameters() + 512
    assert sum(one.numel() for one in filtered.generator.parameters()) == 512 + sum(
        one.numel() for one in plain.generator.parameters()
    )
    added = {"generator.last_filter.taps", "averaged.last_filter.taps"}
    assert filtered.state_dict().keys() - plain.state_dict().keys() == added
    for name, value in plain.state_dict().items():
        assert torch.equal(filtered.state_dict()[name], value), name
    assert torch.equal(made_by(plain.eval(), batch()), made_by(filtered.eval(), batch()))


@pytest.mark.parametrize("filter_of", ["sound", "rows"])
def test_a_filter_is_learned_through_the_discriminator(filter_of):
    system, one = make(LEVEL_SPEC, filter_taps=8, filter_of=filter_of).train(), batch()
    start = make_taps(8)
    system.losses(one, torch.Generator().manual_seed(0))["total"].backward()
    gradient = system.generator.last_filter.taps.grad
    assert gradient is not None
    assert gradient.abs().min() > 0
    stepped(system, one)
    assert not torch.equal(system.generator.last_filter.taps, start)
    assert torch.equal(system.averaged.last_filter.taps, system.generator.last_filter.taps)


def test_a_filter_is_learned_in_half_precision_too():
    one = batch()
    plain, half = (
        stepped(make(LEVEL_SPEC, filter_taps=8, precision=name, recompute=True), one)
        for name in ("float32", "bfloat16")
    )
    first, second = (system.generator.last_filter.taps.grad.flatten() for system in (plain, half))
    assert torch.nn.functional.cosine_similarity(first, second, dim=0) > 0.9


def test_pictures_of_another_size_are_filtered_as_their_targets_are():
    config = RepresentationConfig(**{**ENCODING.model_dump(), "n_fft": 128, "channel_bins": 64})
    told = levels(config)
    spec = replace(SPEC, n_bins=64, levels=told)
    system = make(spec, filter_taps=8, target_range=(-1.0, 2.0))
    network = system.generator.last_filter
    torch.nn.init.normal_(network.taps, generator=torch.Generator().manual_seed(1))
    target = torch.rand(2, 64, 32)
    taps = network.taps.detach().numpy()[0, 0, ::-1]
    gain_db = 20 * np.log10(np.abs(freqz(taps, worN=np.ravel(told.bands_hz), fs=3200)[1]))
    filtered = target + torch.from_numpy(gain_db / told.db_per_unit).float()[:, None]
    with torch.no_grad():
        found = network(system.pictures(target))
    torch.testing.assert_close(found, system.pictures(filtered), atol=1e-5, rtol=1e-5)


def test_sound_is_not_filtered_where_rows_are_no_levels():
    with pytest.raises(ConfigError, match=r"model\.filter_of.*rows.*filter_taps"):
        make(filter_taps=512)
    with pytest.raises(ConfigError, match=r"model\.n_channels"):
        make(replace(LEVEL_SPEC, n_bins=64, levels=LEVEL_SPEC.levels), filter_taps=512)
    make(filter_taps=512, filter_of="rows")
    assert System.needs_levels({"filter_taps": 512})
    assert not System.needs_levels({})
    assert not System.needs_levels({"filter_taps": 512, "filter_of": "rows"})


def test_levels_are_kept_with_the_model_and_old_models_have_none():
    assert "levels" not in spec_as_json(SPEC)
    for spec in (SPEC, LEVEL_SPEC):
        assert spec_from_json(json.loads(json.dumps(spec_as_json(spec)))) == spec


@pytest.mark.parametrize(("kind", "refused"), [("gan_stft", False), ("gan_mfcc", True)])
def test_a_trained_model_has_its_filter(tmp_path, kind, refused):
    dataset = write_dataset(tmp_path, n_train=2, n_test=1, n_shards=1)
    shape = {"n_fft": 128, "hop_length": 64, "n_frames": 64, "channel_bins": 64, "n_channels": 1}
    encoding = RepresentationConfig(kind=kind, sample_rate_hz=RATE_HZ, duration_s=DURATION_S, **shape)
    audio, averages = str(tmp_path / "gan.h5"), str(tmp_path / "gan_averages.h5")
    extract_shard(clips_path=dataset.clips[0], config=encoding, features_path=audio)
    average_class_spectrograms(audio_paths=[audio], rows_paths=dataset.rows, averages_path=averages)
    settings = TINY | {"resolution": 64, "filter_taps": 16, "pretraining_steps": 2}
    experiment = ExperimentConfig(
        title="a",
        system="foleygan",
        visual=("net/flow/frames",),
        representation="gan",
        model=settings,
        training={"epochs": 2, "batch_size": 3, "lr": 0.01},
    )
    changes = {
        "audio_paths": [audio],
        "averages_path": averages,
        "pipeline": {"representation": encoding.model_dump()},
    }
    if refused:
        with pytest.raises(ConfigError, match="filter_of"):
            train_small(dataset, tmp_path, experiment, **changes)
        return
    folder = train_small(dataset, tmp_path, experiment, **changes)
    system, _ = load_system(folder / "model.safetensors", folder / "model.json", "cpu")
    assert system.spec.levels == levels(encoding)
    assert not torch.equal(system.averaged.last_filter.taps, make_taps(16))
    curve = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    assert ["pretraining" in line for line in curve] == [True, False]


# Pretraining


def separable(n: int = 12) -> Batch:
    """Pictures whose class is how loud they are."""
    one = batch(n)
    return replace(one, target=0.1 * one.target + 0.8 * (one.labels - 1)[:, None, None])


def test_pretraining_teaches_the_discriminator_classes():
    system, one = make(pretraining_steps=30), separable()
    start = copy.deepcopy(system.state_dict())
    optimisers, generator = system.optimisers(0.01, 0.0), torch.Generator().manual_seed(3)
    drawn = generator.get_state()
    system.train()
    losses = [system.step(one, optimisers, generator, None)["pretraining"] for _ in range(30)]
    assert not system.pretraining
    assert losses[-1] < 0.3 * losses[0]
    told = system.classes(system.discriminator.features(system.pictures(one.target)))
    assert torch.equal(told.argmax(dim=1), one.labels)
    assert torch.equal(generator.get_state(), drawn)
    learned = ("discriminator.blocks", "discriminator.attentions", "classes.", "n_steps")
    for name, value in system.state_dict().items():
        if not name.startswith(learned):
            assert torch.equal(value, start[name]), name
    before = copy.deepcopy(system.state_dict())
    assert "discriminator" in system.step(one, optimisers, generator, None)
    after = system.state_dict()
    assert torch.equal(before["classes.weight"], after["classes.weight"])
    first = "generator.first.parametrizations.weight.original"
    assert not torch.equal(before[first], after[first])


def test_pretraining_comes_between_recognition_and_the_gan():
    system, one = make(recognition_steps=1, pretraining_steps=2, averaging=0.5, average_after=1), batch()
    optimisers, generator = system.optimisers(0.01, 0.0), torch.Generator().manual_seed(3)
    system.train()
    seen = []
    for _ in range(5):
        parts = system.losses(one, torch.Generator().manual_seed(0))
        found = system.step(one, optimisers, generator, None)
        assert set(parts) <= set(found)
        seen.append(set(found) - {"total"})
        same = torch.equal(system.averaged.last.bias, system.generator.last.bias)
        assert same is (len(seen) < 5)  # average_after counts steps of the GAN
    gan = {"discriminator", "generator"}
    assert seen == [{"class", "pair"}, {"pretraining"}, {"pretraining"}, gan, gan]


def test_without_pretraining_there_is_nothing_of_it():
    plain, pretrained = make(), make(pretraining_steps=1)
    assert set(plain.optimisers(0.01, 0.0)) == {"recognition", "discriminator", "generator"}
    added = pretrained.state_dict().keys() - plain.state_dict().keys()
    assert added == {"classes.weight", "classes.bias"}
    for name, value in plain.state_dict().items():
        assert torch.equal(pretrained.state_dict()[name], value), name
    with pytest.raises(ValueError, match="pretraining_steps"):
        plain.pretraining_loss(torch.zeros(1, 1, 32, 32), torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize("action_seen", [False, True])
def test_pretraining_in_micro_batches_is_that_of_the_whole(action_seen):
    one = batch(8)
    systems = [
        stepped(make(pretraining_steps=1, micro_batch=size, action_seen=action_seen), one)
        for size in (None, 3)
    ]
    learned = [one for one in systems[0].named_parameters() if one[1].grad is not None]
    assert {name.split(".")[0] for name, _ in learned} == {"discriminator", "classes"}
    others = dict(systems[1].named_parameters())
    for name, whole in learned:
        torch.testing.assert_close(others[name].grad, whole.grad, msg=name, rtol=1e-3, atol=1e-6)
    pairs = zip(systems[0].buffers(), systems[1].buffers(), strict=True)
    assert all(torch.allclose(first, second, atol=1e-6) for first, second in pairs)
