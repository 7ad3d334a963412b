"""Owens et al., POCAN and the retrieval bound: what they learn, remember, play, and may not look at."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from sklearn.decomposition import PCA
from torch.nn import functional

from foley import registry
from foley.errors import ConfigError
from foley.features.audio import RepresentationConfig, extract_shard
from foley.models import owens, pocan, recorded, retrieval_bound
from foley.models.base import Batch, DataSpec, System
from foley.models.layers.exemplars import Exemplars, Windows, cut_windows, onset_frames, window_centres
from foley.models.layers.sound_regression import SoundComponents
from foley.store.shards import ShardReader, ShardSet
from foley.synthesis.config import SynthesisConfig
from foley.synthesis.generate import synthesize
from foley.training import loop
from foley.training.averages import average_class_spectrograms
from foley.training.config import ExperimentConfig, TrainingConfig
from tests.learnable import DURATION_S, RATE_HZ, VISUAL, Dataset, train_small, write_dataset

SPEC = DataSpec(
    classes=("bang", "drip", "tick"),
    visual_dims=(6, 5),
    n_visual_steps=(8, 8),
    visual_hz=(25.0, 25.0),
    n_bins=9,
    n_audio_frames=20,
    sample_rate_hz=1000,
    duration_s=0.4,
)
SMALL: dict[str, Any] = {"n_units": 12, "n_sound_components": 4}
POCAN = {**SMALL, "perceptual_width": 2, "perceptual_epochs": 2}
EXTRAS = {"standardise": True, "n_components": 4, "noise": 0.1, "keep": 0.8, "delay_frames": 2}
EXAMPLE = {"output": "example", "window_s": 0.1}
SYSTEMS = [
    ("owens", SMALL),
    ("owens", {**SMALL, **EXTRAS, "n_sound_components": None}),
    ("owens", {**SMALL, **EXAMPLE}),
    ("pocan", POCAN),
    ("pocan", {**POCAN, **EXTRAS, **EXAMPLE}),
]


def batch(n: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(n) % 3
    visual = tuple(torch.randn(n, 8, dim, generator=generator) for dim in (6, 5))
    for values in visual:
        values[:, :, :3] += 3 * torch.eye(3)[labels][:, None]
    target = torch.rand(n, 9, 20, generator=generator)
    target += torch.eye(3)[labels][:, :, None].repeat(1, 3, 1)
    return Batch(visual, labels, target, torch.rand(n, 400, generator=generator) - 0.5)


def averages(one: Batch) -> torch.Tensor:
    assert one.target is not None
    return torch.stack([one.target[one.labels == label].mean(dim=0) for label in range(3)])


def make(name: str, one: Batch | None = None, **settings: Any) -> System:
    one = one or batch()
    torch.manual_seed(2)
    module = registry.load("systems", name)
    system: System = module.System(module.Config(**settings), SPEC, averages(one), torch.Generator())
    return system


def ready(name: str, one: Batch, **settings: Any) -> System:
    """A system that has looked at its training clips, as training lets it."""
    system = make(name, one, **settings)
    assert one.target is not None
    assert one.waveform is not None
    features = tuple(values.numpy().astype(np.float16) for values in one.visual)
    system.prepare(features)
    system.study(one.target.numpy(), one.labels, torch.Generator().manual_seed(0))
    if system.learns_waveforms(settings):
        system.listen(features, one.waveform.numpy())
    return system


# Windows of recorded sound


def test_windows_reach_over_the_whole_clip_and_sit_on_its_onsets() -> None:
    spectrogram = torch.zeros(4, 60)
    spectrogram[:, 20:] = 0.5
    spectrogram[:, 33:] = 1.0
    windows = Windows(10, 0.3)
    assert onset_frames(spectrogram, windows) == [20, 33]
    centres = window_centres(spectrogram, windows)
    assert {20, 33} <= set(centres)
    assert centres[0] <= 5
    assert centres[-1] >= 55
    assert max(np.diff(centres)) <= 10
    assert onset_frames(spectrogram, Windows(10, None)) == []


def test_a_small_rise_and_a_second_one_in_the_same_window_are_no_onsets() -> None:
    spectrogram = torch.zeros(1, 40)
    spectrogram[:, 10:], spectrogram[:, 12:], spectrogram[:, 25:] = 1.0, 1.9, 2.0
    assert onset_frames(spectrogram, Windows(16, 0.3)) == [10]
    assert onset_frames(torch.ones(1, 40), Windows(16, 0.3)) == []
    assert window_centres(torch.zeros(2, 1), Windows(16, 0.3)) == [0]


def test_windows_beyond_the_ends_are_silent() -> None:
    cut = cut_windows(torch.arange(1.0, 7.0)[None], [0, 5], 4)
    assert cut[:, 0].tolist() == [[0, 0, 1, 2], [4, 5, 6, 0]]


def memory(rise: float | None = 0.3, most: int = 100) -> Exemplars:
    return Exemplars(Windows(10, rise), sample_rate_hz=1000, samples_per_frame=20.0, most=most)


def remembered_noise(n: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(n, 5, 40, generator=generator), torch.rand(n, 800, generator=generator) - 0.5


@pytest.mark.parametrize("rise", [0.3, None])
def test_a_remembered_clip_is_answered_by_its_own_sound(rise: float | None) -> None:
    spectrograms, sounds = remembered_noise()
    exemplars = memory(rise)
    exemplars.remember(zip(spectrograms, sounds, [0, 1, 2, 0], strict=True))
    for spectrogram, sound in zip(spectrograms, sounds, strict=True):
        torch.testing.assert_close(exemplars.answer(spectrogram, 800), sound, rtol=0, atol=1e-4)


def test_joins_neither_dip_nor_bulge() -> None:
    exemplars = memory()
    spectrograms, sounds = remembered_noise()
    exemplars.remember(zip(spectrograms, sounds, [0, 1, 2, 0], strict=True))
    exemplars.sounds.fill_(32767)
    for spectrogram in (spectrograms[0], torch.zeros(5, 40)):
        made = exemplars.answer(spectrogram, 800)
        torch.testing.assert_close(made, torch.ones(800), rtol=0, atol=1e-5)


def test_only_sound_of_the_wanted_class_is_played_where_there_is_any() -> None:
    spectrograms, sounds = remembered_noise(2)
    exemplars = memory()
    exemplars.remember(zip(spectrograms, [0 * sounds[0], sounds[1]], [0, 1], strict=True))
    assert float(exemplars.answer(spectrograms[1], 800, label=0).abs().max()) == 0
    assert float(exemplars.answer(spectrograms[0], 800, label=1).abs().max()) > 0.1
    assert float(exemplars.answer(spectrograms[1], 800, label=2).abs().max()) > 0.1  # no such: all


def test_of_too_many_windows_evenly_spaced_ones_are_kept() -> None:
    spectrograms, sounds = remembered_noise(8)
    every, some = memory(None), memory(None, most=6)
    for one in (every, some):
        one.remember(zip(spectrograms, sounds, range(8), strict=True))
    assert len(every.labels) == 32
    assert some.labels.tolist() == [0, 1, 2, 4, 5, 6]
    assert some.features.shape == (6, 5, 10)


def test_windows_are_stored_with_the_model_and_come_back() -> None:
    spectrograms, sounds = remembered_noise()
    exemplars, other = memory(), memory()
    exemplars.remember(zip(spectrograms, sounds, [0, 1, 2, 0], strict=True))
    other.load_state_dict(exemplars.state_dict())
    assert torch.equal(other.answer(spectrograms[2], 800), exemplars.answer(spectrograms[2], 800))
    assert float(memory().answer(spectrograms[0], 800).abs().max()) == 0  # nothing is remembered


# Principal components of the sound


def test_components_are_those_of_scikit_learn_and_keep_distances() -> None:
    rng = np.random.default_rng(0)
    targets = np.einsum("ij,njt->nit", rng.normal(size=(6, 6)), rng.normal(size=(5, 6, 30))).astype(
        np.float32
    )
    targets += 2
    layer = SoundComponents(6, 3)
    layer.measure(targets)
    flat = targets.transpose(0, 2, 1).reshape(-1, 6)
    expected = PCA(3, svd_solver="full").fit(flat)
    found = layer.project(torch.from_numpy(targets))
    again = layer.restore(found).numpy().transpose(0, 2, 1).reshape(-1, 6)
    np.testing.assert_allclose(again, expected.inverse_transform(expected.transform(flat)), atol=1e-3)
    distance = (found[0, :, 0] - found[1, :, 5]).norm()
    torch.testing.assert_close(
        distance, (layer.restore(found)[0, :, 0] - layer.restore(found)[1, :, 5]).norm()
    )


def test_without_components_the_feature_stays_as_it_is() -> None:
    layer = SoundComponents(6, None)
    targets = torch.rand(2, 6, 4)
    layer.measure(targets.numpy() + 1)
    assert torch.equal(layer.restore(layer.project(targets)), targets)


# Systems


@pytest.mark.parametrize(("name", "settings"), SYSTEMS)
def test_every_parameter_learns_and_the_loss_of_one_batch_falls(name: str, settings: dict[str, Any]) -> None:
    one = batch()
    system = ready(name, one, **settings)
    optimisers = system.optimisers(lr=0.02, weight_decay=0.0)
    generator = torch.Generator().manual_seed(3)
    learned = {key: value for key, value in system.named_parameters() if value.requires_grad}
    before = {key: value.detach().clone() for key, value in system.state_dict().items()}
    system.train()
    curve = [system.step(one, optimisers, generator, 1.0)["total"] for _ in range(40)]
    for key in learned:
        assert not torch.equal(system.state_dict()[key], before[key]), f"{key} has not moved"
    for key, value in system.state_dict().items():
        if key not in learned:
            assert torch.equal(value, before[key]), f"{key} should be frozen"
    assert np.mean(curve[-5:]) < np.mean(curve[:5]) - 0.2
    assert system.n_parameters() == sum(value.numel() for value in learned.values())


@pytest.mark.parametrize(("name", "settings"), SYSTEMS)
def test_prediction_repeats_itself_ignores_the_truth_and_survives_storing(
    name: str, settings: dict[str, Any]
) -> None:
    one = batch()
    system = ready(name, one, **settings)
    system.eval()
    other = make(name, one, **settings).eval()
    with torch.no_grad():
        system.conclude([one])
        other.load_state_dict(system.state_dict())
        found = system.predict(one, torch.Generator().manual_seed(4))
        assert one.target is not None
        blind = system.predict(
            Batch(one.visual, torch.full_like(one.labels, -1), one.target.flip(0) + 1, None),
            torch.Generator().manual_seed(5),
        )
        stored = other.predict(Batch(one.visual, one.labels), torch.Generator().manual_seed(6))
    assert found.spectrogram is not None
    assert found.spectrogram.shape == (6, 9, 20)
    assert float(found.spectrogram.min()) >= 0
    assert (found.waveform is not None) == (settings.get("output") == "example")
    assert (found.probabilities is not None) == (name == "pocan") == system.classifies
    for key in ("spectrogram", "waveform", "probabilities"):
        values = [getattr(one, key) for one in (found, blind, stored)]
        if values[0] is not None:
            assert torch.equal(values[0], values[1])
            assert torch.equal(values[0], values[2])
    if found.waveform is not None:
        assert found.waveform.shape == (6, 400)


@pytest.mark.parametrize(("name", "settings"), [SYSTEMS[1], SYSTEMS[4]])
def test_training_draws_only_from_the_given_generator_and_the_global_one(
    name: str, settings: dict[str, Any]
) -> None:
    one = batch()

    def losses(seed: int) -> float:
        system = make(name, one, **settings).train()
        return float(system.losses(one, torch.Generator().manual_seed(seed))["total"].detach())

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_the_loss_is_the_robust_one_of_the_components() -> None:
    one = batch()
    system = ready("owens", one, **SMALL).eval()
    assert isinstance(system, owens.System)
    found = system(one.visual)
    wanted = system.components.directions.T @ (one.target - system.components.mean)
    by_hand = torch.log(1 / 625 + (found - wanted).square().sum(dim=1)).mean()
    torch.testing.assert_close(system.losses(one, torch.Generator())["total"], by_hand)


def test_a_picture_is_repeated_while_it_is_on_the_screen_and_acts_on_later_sound_only() -> None:
    one = batch(1)
    changed = one.visual[0].clone()
    changed[:, 4] += 1  # on the screen from frame 10 of 20 on
    for delay, first in ((0, 10), (3, 7)):
        system = make("owens", **SMALL, delay_frames=delay).eval()
        assert isinstance(system, owens.System)
        moved = (system(one.visual) != system((changed, one.visual[1]))).any(dim=1)[0]
        assert moved.nonzero()[0].item() == first
        assert bool(moved[first:].all())


def test_of_the_second_feature_only_the_first_step_counts() -> None:
    one = batch(2)
    system = make("owens", **SMALL).eval()
    later, first = one.visual[1].clone(), one.visual[1].clone()
    later[:, 1:] += 1
    first[:, 0] += 1
    assert torch.equal(system(one.visual), system((one.visual[0], later)))
    assert not torch.equal(system(one.visual), system((one.visual[0], first)))


def test_sound_is_remembered_only_where_it_is_played() -> None:
    for system in (owens.System, pocan.System):
        assert system.learns_waveforms(EXAMPLE)
        assert not system.learns_waveforms({})
        assert not system.is_shown_target(EXAMPLE)
    assert retrieval_bound.System.learns_waveforms({})
    assert retrieval_bound.System.is_shown_target({})
    assert not retrieval_bound.System.trained  # or a film could be dubbed by it
    assert not recorded.System.is_shown_target({})
    assert recorded.System.is_shown_target({"through": "spectrogram"})


@pytest.mark.parametrize("name", ["owens", "pocan", "retrieval_bound"])
def test_sound_of_another_rate_is_refused(name: str) -> None:
    settings = {"owens": {**SMALL, **EXAMPLE}, "pocan": {**POCAN, **EXAMPLE}}.get(name, {})
    with pytest.raises(ConfigError, match="clips' sample rate"):
        make(name, **settings).listen((), np.zeros((2, 200), dtype=np.float32))


@pytest.mark.parametrize("module", [owens, pocan, retrieval_bound])
def test_misspelt_settings_are_refused(module: Any) -> None:
    with pytest.raises(ValidationError, match="n_unit"):
        module.Config(n_unit=3)


# POCAN


def pocan_of(one: Batch, **settings: Any) -> pocan.System:
    system = ready("pocan", one, **{**POCAN, **settings})
    assert isinstance(system, pocan.System)
    return system


def test_untrained_it_plays_the_base_sample_of_the_class_that_it_sees() -> None:
    one = batch()
    system = pocan_of(one).eval()
    with torch.no_grad():
        found = system.predict(one, torch.Generator())
        assert found.probabilities is not None
        chosen = found.probabilities.argmax(dim=1)
        forced = system.predict(Batch(one.visual, one.labels, forced=torch.full((6,), 1)), torch.Generator())
    mean = system.components.mean
    torch.testing.assert_close(found.spectrogram, (averages(one)[chosen] + mean).clamp(min=0))
    torch.testing.assert_close(forced.spectrogram, (averages(one)[1] + mean).clamp(min=0).expand(6, -1, -1))
    assert float(mean.abs().max()) < 1e-5  # what differs from the base samples has no mean


def test_what_is_added_is_the_predicted_classes_own() -> None:
    one = batch()
    system = pocan_of(one).eval()
    torch.nn.init.normal_(system.regress.bias)
    with torch.no_grad():
        made = [
            system.predict(Batch(one.visual, one.labels, forced=torch.full((6,), label)), torch.Generator())
            for label in (0, 1)
        ]
        system.regress.bias[:4] += 1  # the four components of class 0
        again = [
            system.predict(Batch(one.visual, one.labels, forced=torch.full((6,), label)), torch.Generator())
            for label in (0, 1)
        ]
    assert not torch.equal(made[0].spectrogram, again[0].spectrogram)
    assert torch.equal(made[1].spectrogram, again[1].spectrogram)


def test_the_perceptual_network_has_learned_the_classes_and_compares_sound() -> None:
    one = batch(24)
    system = pocan_of(one, perceptual_epochs=40, perceptual_width=4)
    system.train()
    assert not system.perceive.training
    assert one.target is not None
    with torch.no_grad():
        heard = system.perceive(one.target).argmax(dim=1)
    assert float((heard == one.labels).float().mean()) > 0.9
    parts = system.losses(one, torch.Generator())
    made = system.averages[one.labels] + system.components.mean
    by_hand = functional.mse_loss(system.perceive.embed(made), system.perceive.embed(one.target))
    torch.testing.assert_close(parts["perceptual"], by_hand)
    torch.testing.assert_close(parts["total"], parts["sound"] + parts["class"] + parts["perceptual"])
    assert "perceptual" not in pocan_of(one, perceptual_weight=0.0).losses(one, torch.Generator())


# The bound


def test_the_bound_answers_the_truth_by_training_sound() -> None:
    one = batch()
    system = make("retrieval_bound", window_s=0.2).eval()
    with torch.no_grad():
        system.conclude([one])
        found = system.predict(one, torch.Generator())
    assert found.waveform is not None
    assert one.waveform is not None
    torch.testing.assert_close(found.waveform, one.waveform, rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match="needs the representation"):
        system.predict(Batch(one.visual, one.labels), torch.Generator())


# From files to files

COCHLEAGRAM = RepresentationConfig(
    kind="cochleagram", sample_rate_hz=RATE_HZ, duration_s=DURATION_S, highest_hz=3500, n_bands=12
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("dataset")
    made = write_dataset(folder)
    made.audio = [str(folder / f"coch{number}.h5") for number in range(len(made.clips))]
    for clips_path, path in zip(made.clips, made.audio, strict=True):
        extract_shard(clips_path=clips_path, config=COCHLEAGRAM, features_path=path)
    made.averages = str(folder / "coch_averages.h5")
    average_class_spectrograms(audio_paths=made.audio, rows_paths=made.rows, averages_path=made.averages)
    return made


def experiment(system: str, **model: Any) -> ExperimentConfig:
    visual = () if system == "retrieval_bound" else VISUAL
    training = TrainingConfig(epochs=6, batch_size=8, lr=0.01, save_every=2)
    return ExperimentConfig(
        title="small", system=system, visual=visual, representation="coch", model=model, training=training
    )


def trained(dataset: Dataset, folder: Path, of: ExperimentConfig) -> Path:
    return train_small(dataset, folder, of, clips_paths=dataset.clips)


def sound(
    dataset: Dataset, folder: Path, of: ExperimentConfig, audio: list[str] | None = None
) -> ShardReader:
    synthesize(
        config={"visual": list(of.visual), "labels": [], "synthesis": SynthesisConfig().model_dump()},
        representation=COCHLEAGRAM.model_dump(),
        seed=0,
        base_seed=0,
        model_path=str(folder / "model.safetensors"),
        facts_path=str(folder / "model.json"),
        visual_paths=dataset.visual_paths(of.visual),
        rows_paths=dataset.rows,
        clips_paths=dataset.clips,
        audio_paths=audio or [],
        n_threads=1,
        device="cpu",
        sound_path=str(folder / "sound.h5"),
    )
    return ShardReader(folder / "sound.h5")


FULL = {"n_units": 16, "standardise": True, "noise": 0.1, "window_s": 0.1}
FROM_FILES = [
    experiment("owens", **FULL),
    experiment("owens", **FULL, output="example"),
    experiment("pocan", **FULL, output="example", perceptual_width=2, perceptual_epochs=2),
]


class KilledError(Exception):
    """In place of a kill."""


@pytest.mark.parametrize("of", FROM_FILES, ids=["parametric", "example", "pocan"])
def test_killed_and_resumed_gives_the_same_model_and_sound(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: ExperimentConfig
) -> None:
    whole = trained(dataset, tmp_path / "whole", of)
    kept = loop.learning_rate

    def kill(config: TrainingConfig, epoch: int) -> float:
        if epoch == 3:
            raise KilledError
        return kept(config, epoch)

    monkeypatch.setattr(loop, "learning_rate", kill)
    with pytest.raises(KilledError):
        trained(dataset, tmp_path / "killed", of)
    monkeypatch.setattr(loop, "learning_rate", kept)
    again = trained(dataset, tmp_path / "killed", of)
    weights = [load_file(folder / "model.safetensors") for folder in (whole, again)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    sounds = [sound(dataset, folder, of) for folder in (whole, again)]
    tested = [item for item in sounds[0].items if "waveform" in sounds[0].names(item)]
    assert len(tested) == 6
    for item in tested:
        made = sounds[0].read(item, "waveform")
        assert made.shape == (round(RATE_HZ * DURATION_S),)
        assert np.isfinite(made).all()
        assert np.array_equal(made, sounds[1].read(item, "waveform"))
        assert sounds[0].read(item, "spectrogram").shape == (14, 58)


def test_the_bound_is_shown_test_clips_and_answers_with_training_clips(
    dataset: Dataset, tmp_path: Path
) -> None:
    of = experiment("retrieval_bound", window_s=0.64)
    found = sound(dataset, trained(dataset, tmp_path, of), of, dataset.audio)
    recorded_clips = ShardSet(dataset.clips)
    everything = [clip for path in dataset.clips for clip in ShardReader(path).items]
    for item in found.items:
        made = found.read(item, "waveform")
        gaps = {clip: float(np.abs(made - recorded_clips.read(clip, "audio")).max()) for clip in everything}
        nearest = min(gaps, key=lambda clip: gaps[clip])
        assert gaps[nearest] < 1e-3  # a whole training clip, unchanged
        assert nearest != item
