"""WaveGAN, SpecGAN and GANSynth as systems: what reaches them, that they learn, that a kill costs nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from foley.errors import ConfigError
from foley.features.audio import RepresentationConfig, extract_shard, represent, to_magnitude
from foley.models import class_gan, gansynth, specgan, wavegan
from foley.models.base import Batch, DataSpec
from foley.models.descent import descend
from foley.training.averages import average_class_spectrograms
from foley.training.checkpoint import load_system
from foley.training.config import ExperimentConfig, TrainingConfig
from foley.training.examples import read_examples
from tests.learnable import DURATION_S, LABELS, RATE_HZ, VISUAL, Dataset, train_small, write_dataset

SPEC = DataSpec(("dog", "rain"), (4,), (10,), (10.0,), 64, 32, 8000, 0.5)
RECOGNISER = {"n_relations": 3, "n_hidden": 4}
SMALL: dict[str, dict[str, Any]] = {
    "wavegan": {"n_samples": 16_384, "width": 1, "n_noise": 4, "n_critic": 2},
    "specgan": {"width": 1, "n_noise": 4, "n_critic": 2},
    "gansynth": {
        "n_resolutions": 3,
        "stable_clips": 12,
        "transition_clips": 12,
        "n_noise": 4,
        "most_channels": 4,
        "n_channels_base": 16,
    },
}
MODULES = {"wavegan": wavegan, "specgan": specgan, "gansynth": gansynth}
NAMES = sorted(MODULES)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(name: str, spec: DataSpec = SPEC, **settings: object) -> class_gan.ClassGan:
    torch.manual_seed(0)
    averages = torch.zeros(len(spec.classes), spec.n_bins, spec.n_audio_frames)
    module = MODULES[name]
    config = module.Config.model_validate(SMALL[name] | {"recogniser": RECOGNISER} | settings)
    system: class_gan.ClassGan = module.System(config, spec, averages, drawn())
    return system


def batch(n: int = 6) -> Batch:
    """Two classes that differ in what is seen and heard."""
    generator = drawn(1)
    labels = torch.arange(n) % 2
    sign = (2 * labels - 1).float()
    target = 0.3 * torch.randn(n, SPEC.n_bins, SPEC.n_audio_frames, generator=generator)
    time = torch.arange(SPEC.n_samples) / SPEC.sample_rate_hz
    tone = torch.sin(2 * torch.pi * (40 + 60 * labels[:, None]) * time)
    visual = torch.randn(n, 10, 4, generator=generator) + sign[:, None, None]
    return Batch((visual,), labels, (target + 0.5 * sign[:, None, None]).clamp(-1, 1), 0.1 * tone)


# What reaches them


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    system = make(name).train()
    if isinstance(system, gansynth.System):
        system.n_heard.fill_(40)  # while the last resolution is fading in
    given = batch()
    system.losses(given, drawn())["total"].backward()
    skipped = {"generator.show.0", "critic.see.0"} if name == "gansynth" else set()
    missing = [
        key
        for key, value in system.named_parameters()
        if value.requires_grad and (value.grad is None or not value.grad.abs().sum())
    ]
    assert {key.rsplit(".", 1)[0] for key in missing} == skipped


@pytest.mark.parametrize("name", NAMES)
def test_each_network_descends_its_own_loss_only(name: str) -> None:
    system = make(name).train()
    optimisers = system.optimisers(0.01, 0.0)
    held = [
        value for optimiser in optimisers.values() for g in optimiser.param_groups for value in g["params"]
    ]
    trained = [value for value in system.parameters() if value.requires_grad]
    assert len({id(value) for value in held}) == len(held) == len(trained)
    parts = system.step(batch(), optimisers, drawn(), None)
    assert {"critic", "generator", "distance", "penalty", "class"} <= set(parts)
    assert optimisers["recogniser"].param_groups[0]["lr"] == pytest.approx(0.1)


def test_the_critic_hears_other_clips_at_each_of_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    system = make("specgan", n_critic=5).train()
    heard: list[torch.Tensor] = []
    original = specgan.System.critic_losses

    def critic_losses(self, real, fake, labels, generator):
        heard.append(real)
        return original(self, real, fake, labels, generator)

    monkeypatch.setattr(specgan.System, "critic_losses", critic_losses)
    given = batch(10)
    system.step(given, system.optimisers(0.01, 0.0), drawn(), None)
    assert [len(real) for real in heard] == [2] * 5
    torch.testing.assert_close(torch.cat(heard), system.real(given))


@pytest.mark.parametrize("name", NAMES)
def test_of_the_picture_only_the_class_is_heard(name: str) -> None:
    system = make(name).eval()
    first = batch()
    with torch.no_grad():
        seen = system.predict(first, drawn(3))
        assert seen.probabilities is not None
        chosen = seen.probabilities.argmax(dim=1)
        silent = Batch(first.visual, torch.full((6,), -1))
        forced = Batch((torch.randn(6, 10, 4),), torch.full((6,), -1), forced=chosen)
        other = Batch(first.visual, first.labels, forced=1 - chosen)
        made = [system.predict(given, drawn(3)) for given in (silent, forced, other)]

    def sound(prediction: Any) -> torch.Tensor:
        found = prediction.waveform if name == "wavegan" else prediction.spectrogram
        assert found is not None
        return found

    torch.testing.assert_close(sound(made[0]), sound(seen), rtol=0, atol=0)
    torch.testing.assert_close(sound(made[1]), sound(seen), rtol=0, atol=0)
    assert not torch.allclose(sound(made[2]), sound(seen))
    shape = (6, SPEC.n_samples) if name == "wavegan" else (6, SPEC.n_bins, SPEC.n_audio_frames)
    assert sound(seen).shape == shape


@pytest.mark.parametrize("name", ["wavegan", "specgan"])
def test_the_reference_needs_no_picture(name: str) -> None:
    spec = DataSpec(SPEC.classes, (), (), (), SPEC.n_bins, SPEC.n_audio_frames, 8000, 0.5)
    system = make(name, spec, conditional=False)
    assert not system.classifies
    full = batch()
    parts = system.step(
        Batch((), full.labels, full.target, full.waveform), system.optimisers(0.001, 0.0), drawn(), None
    )
    assert "class" not in parts
    with torch.no_grad():
        prediction = system.predict(Batch((), torch.full((3,), -1)), drawn())
    assert prediction.probabilities is None
    assert (prediction.waveform is None) == (name == "specgan")
    with pytest.raises(ConfigError, match="visual feature"):
        make(name, spec)


# They learn


@pytest.mark.parametrize("name", NAMES)
def test_a_critic_learns_to_tell_recorded_from_made(name: str) -> None:
    system = make(name).train()
    given = batch()
    real, generator = system.real(given), drawn(2)
    with torch.no_grad():
        fake = system.make(given.labels, generator)
    losses = descended(
        system.judging(), lambda: system.critic_losses(real, fake, given.labels, generator)["critic"]
    )
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.5


@pytest.mark.parametrize("name", NAMES)
def test_a_generator_learns_to_please_the_critic(name: str) -> None:
    system = make(name).train()
    given, generator = batch(), drawn(2)
    real, labels = system.real(given), given.labels
    with torch.no_grad():
        fake = system.make(labels, generator)
    descended(system.judging(), lambda: system.critic_losses(real, fake, labels, generator)["critic"])
    losses = descended(system.generating(), lambda: system.generator_losses(labels, generator)["generator"])
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def descended(network: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> list[float]:
    """Losses of twenty steps of Adam on one network, all else held."""
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01, betas=(0.5, 0.9))
    losses = []
    for _ in range(20):
        value = loss()
        descend(value, optimiser, None)
        losses.append(value.item())
    return losses


def test_classes_come_to_sound_as_they_do() -> None:
    """Of two classes one is loud and one is soft: so is what SpecGAN makes of them after some training."""
    system = make("specgan", width=4, n_critic=3).train()
    optimisers = system.optimisers(0.003, 0.0)
    generator, given = drawn(4), batch(12)
    assert given.target is not None
    system.study(given.target.numpy(), given.labels, drawn())

    def difference() -> float:
        labels = torch.tensor([0] * 8 + [1] * 8)
        with torch.no_grad():
            made = system.predicted(labels, drawn(9)).spectrogram
        assert made is not None
        return float(made[8:].mean() - made[:8].mean())

    assert abs(difference()) < 0.2
    for _ in range(50):
        parts = system.step(given, optimisers, generator, None)
    assert parts["class"] < 1
    assert difference() > 0.4  # 1.0 in the clips


def test_wavegan_learns_the_level_of_each_class() -> None:
    system = make("wavegan", level="class")
    assert isinstance(system, wavegan.System)
    given = batch()
    assert given.waveform is not None
    louder = torch.where(given.labels[:, None] == 1, 3 * given.waveform, given.waveform)
    real = system.real(Batch(given.visual, given.labels, waveform=louder))
    assert system.peaks.tolist() == pytest.approx([0.1, 0.3], rel=0.01)
    torch.testing.assert_close(real.abs().amax(dim=1), torch.ones(6), rtol=0, atol=0.02)
    with torch.no_grad():
        made = system.predicted(torch.tensor([0, 1]), drawn()).waveform
        unscaled = wavegan.at_length(system.make(torch.tensor([0, 1]), drawn()), SPEC.n_samples)
    assert made is not None
    torch.testing.assert_close(made, unscaled * torch.tensor([[0.1], [0.3]]), rtol=0.01, atol=1e-4)
    with pytest.raises(ValidationError, match="needs conditional"):
        wavegan.Config(level="class", conditional=False)
    with pytest.raises(ConfigError, match="the clips' sample rate"):
        system.listen((), np.zeros((2, 100), dtype=np.float32))


# SpecGAN's spectrograms


def test_specgan_standardises_each_bin_and_clips_at_three_deviations() -> None:
    system = make("specgan")
    assert isinstance(system, specgan.System)
    rng = np.random.default_rng(3)
    targets = rng.normal(np.arange(64)[:, None] - 8, 2 + np.arange(64)[:, None] % 3, (40, 64, 32))
    targets[:, 5] = -7.0  # a bin in which nothing ever happens
    targets[0, 20, 3] = 1000
    system.study(targets.astype(np.float32), torch.zeros(40), drawn())
    given = torch.from_numpy(targets).float()
    real = system.real(Batch((), torch.zeros(40), given)).numpy()
    mean, spread = targets.mean(axis=(0, 2)), targets.std(axis=(0, 2))
    spread[5] = 1
    expected = np.clip((targets - mean[:, None]) / spread[:, None] / 3, -1, 1)
    np.testing.assert_allclose(real, expected, atol=1e-4)
    assert real[0, 20, 3] == 1
    with torch.no_grad():
        made = system.predicted(torch.tensor([0]), drawn()).spectrogram
        unscaled = system.make(torch.tensor([0]), drawn())
    assert made is not None
    wanted = unscaled[0].numpy() * 3 * spread[:, None] + mean[:, None]
    np.testing.assert_allclose(made[0].numpy(), wanted, rtol=1e-4, atol=1e-4)


def test_specgan_refuses_pictures_that_cannot_be_halved() -> None:
    spec = DataSpec(SPEC.classes, (4,), (10,), (10.0,), 129, 128, 16_000, 1.024)
    with pytest.raises(ConfigError, match="multiples of 32, not 129 x 128"):
        make("specgan", spec)


def test_specgans_recipe() -> None:
    """Its default is 128 x 128 of 16,384 samples; log magnitudes against a transform written out."""
    config = RepresentationConfig(kind="specgan")
    settings = config.settings
    assert (settings.n_samples, settings.n_bins, settings.n_steps) == (16_384, 128, 128)
    sound = np.random.default_rng(0).normal(0, 0.1, 16_384).astype(np.float32)
    features = represent(sound, config)
    assert features.shape == (128, 128)
    window = np.hanning(257)[:-1]
    frame = sound[5 * 128 - 128 : 5 * 128 + 128]  # centred on five hops
    expected = np.log(np.abs(np.fft.rfft(frame * window))[:-1] + 1e-6)
    np.testing.assert_allclose(features[:, 5], expected, rtol=1e-3, atol=1e-3)
    magnitude = to_magnitude(features, config)
    assert magnitude.shape == (129, 129)
    assert not magnitude[-1].any()
    np.testing.assert_allclose(magnitude[:-1, 5], np.exp(expected), rtol=1e-3)
    np.testing.assert_array_equal(magnitude[:, 128], magnitude[:, 127])


def test_specgans_recipe_ends_in_silence_where_the_clip_does() -> None:
    config = RepresentationConfig(kind="specgan", duration_s=1.0, n_frames=160)
    features = represent(np.full(16_000, 0.5, dtype=np.float32), config)
    assert features.shape == (128, 160)
    assert (features[0, :126] > 0).all()
    np.testing.assert_allclose(features[:, 126:], np.log(1e-6), rtol=1e-6)
    assert to_magnitude(features, config).shape == (129, 126)


def test_wavegan_may_end_in_a_learned_filter() -> None:
    """The reference's post-processing filter: 512 weights more, and at the start nothing is changed."""
    plain, filtered = make("wavegan"), make("wavegan", filter_taps=512)
    n_weights = [sum(value.numel() for value in one.generating().parameters()) for one in (plain, filtered)]
    assert n_weights[1] - n_weights[0] == 512
    labels = torch.tensor([0, 1])
    torch.testing.assert_close(filtered.make(labels, drawn()), plain.make(labels, drawn()))
    taps = filtered.generating()[1].taps
    assert (taps != 0).sum() == 1
    filtered.step(batch(), filtered.optimisers(0.01, 0.0), drawn(), None)
    assert (taps != 0).sum() > 1


# From files to files


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The learnable clips, with SpecGAN's spectrograms of 32 bins and 160 frames."""
    made = write_dataset(tmp_path_factory.mktemp("gan"), n_train=3, n_test=1)
    config = RepresentationConfig(
        kind="specgan", sample_rate_hz=RATE_HZ, duration_s=DURATION_S, n_fft=64, hop_length=32, n_frames=160
    )
    made.audio = []
    for path in made.clips:
        made.audio.append(path.replace("/clips/", "/specgan/"))
        extract_shard(clips_path=path, config=config, features_path=made.audio[-1])
    made.averages = str(made.folder / "specgan.h5")
    average_class_spectrograms(audio_paths=made.audio, rows_paths=made.rows, averages_path=made.averages)
    return made


def train(dataset: Dataset, folder: Path, name: str) -> Path:
    experiment = ExperimentConfig(
        title="small",
        system=name,
        visual=VISUAL[1:],
        representation="specgan",
        model=SMALL[name] | {"recogniser": RECOGNISER},
        training=TrainingConfig(epochs=4, batch_size=6, lr=0.001, save_every=2, clip_norm=None),
    )
    return train_small(dataset, folder, experiment, clips_paths=dataset.clips)


class KilledError(Exception):
    """Stands for the end of the process."""


def kill_after(monkeypatch: pytest.MonkeyPatch, name: str, n_steps: int) -> None:
    system = MODULES[name].System
    original = system.step
    calls: list[int] = []

    def step(self, *arguments):
        calls.append(1)
        if len(calls) > n_steps:
            raise KilledError
        return original(self, *arguments)

    monkeypatch.setattr(system, "step", step)


@pytest.mark.parametrize("name", NAMES)
def test_killed_and_resumed_gives_the_same_weights(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = train(dataset, tmp_path / "whole", name)
    with monkeypatch.context() as patch:
        kill_after(patch, name, n_steps=2 * 2 + 1)  # two batches an epoch: in the third epoch
        with pytest.raises(KilledError):
            train(dataset, tmp_path / "killed", name)
    with monkeypatch.context() as patch:
        kill_after(patch, name, n_steps=2 * 2)  # only the last two epochs are done again
        train(dataset, tmp_path / "killed", name)
    for file in ("model.safetensors", "curve.jsonl"):
        assert (tmp_path / "killed" / file).read_bytes() == (whole / file).read_bytes()
    stored = load_file(whole / "model.safetensors")
    if name == "gansynth":
        assert int(stored["n_heard"]) == 4 * 9
    loads_as_trained(dataset, whole, name)


def loads_as_trained(dataset: Dataset, folder: Path, name: str) -> None:
    """Two loadings of a stored model make the same sound, and that of the stored weights."""
    examples = read_examples(
        rows_paths=dataset.rows, visual=VISUAL[1:], visual_paths=dataset.visual_paths(VISUAL[1:])
    )
    _, given = next(examples.batches(examples.where("test"), 3, "cpu"))
    assert given.visual[0].shape[0] == len(LABELS)
    made = []
    for _ in range(2):
        system, facts = load_system(folder / "model.safetensors", folder / "model.json", "cpu")
        assert facts["n_parameters"] == sum(p.numel() for p in system.parameters() if p.requires_grad)
        for key, value in load_file(folder / "model.safetensors").items():
            assert torch.equal(system.state_dict()[key], value)
        with torch.no_grad():
            prediction = system.predict(given, drawn(5))
        made.append(prediction.waveform if name == "wavegan" else prediction.spectrogram)
    assert made[0] is not None
    assert made[0].isfinite().all()
    assert torch.equal(made[0], made[1])
