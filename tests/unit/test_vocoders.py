"""Vocoders: sizes, losses, training from files to files, recipes, and the way from spectrogram to sound."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import load_file

from foley import config as configuration
from foley.errors import ConfigError, FoleyError, StoreError
from foley.features.audio import RepresentationConfig, extract_shard, represent
from foley.features.recipe import check_recipe, recipe
from foley.features.representations import mel
from foley.models import recorded
from foley.models.base import DataSpec
from foley.models.vocoders import hifigan, wavenet
from foley.models.vocoders.base import LogMel, without_norms
from foley.models.vocoders.config import VocoderConfig, VocoderTrainingConfig
from foley.store import shards
from foley.store.files import read_json, write_json
from foley.store.shards import ShardReader, ShardSet
from foley.synthesis.config import PeakMatchConfig, SynthesisConfig
from foley.synthesis.finishing import finish
from foley.synthesis.generate import synthesize, to_waveform
from foley.synthesis.vocoding import load_vocoder, vocode
from foley.training.averages import average_class_spectrograms
from foley.training.config import ExperimentConfig
from foley.training.experiment import train_experiment
from foley.training.vocoder import Sounds, learning_rate, train_vocoder
from tests.conftest import ROOT
from tests.learnable import DURATION_S, RATE_HZ, write_dataset

MEL = RepresentationConfig(
    kind="mel",
    sample_rate_hz=RATE_HZ,
    duration_s=DURATION_S,
    n_fft=128,
    hop_length=32,
    n_frames=156,
    n_mels=12,
    lowest_hz=50.0,
    highest_hz=3900.0,
)
SMALL_GAN = hifigan.Config(
    n_mels=12,
    n_channels=8,
    upsampling=(8, 4),
    kernels=(3,),
    dilations=((1, 3),),
    paired=False,
    noise=True,
    resolutions=(64,),
    periods=(2,),
    n_scales=1,
    discriminator_width=1,
    adversarial_from=2,
)
TRAINING = VocoderTrainingConfig(
    steps=6, batch_size=2, segment_frames=16, lr=0.002, schedule="cosine", log_every=3, save_every=2
)
GAN = VocoderConfig(
    kind="hifigan", representation="mel", model=SMALL_GAN.model_dump(mode="json"), training=TRAINING
)
WAVENET = VocoderConfig(
    kind="wavenet",
    representation="mel",
    model={
        "n_mels": 12,
        "n_layers": 2,
        "n_cycles": 1,
        "n_residual": 4,
        "n_gate": 8,
        "n_skip": 4,
        "n_components": 2,
        "upsampling": [8, 4],
    },
    training=TRAINING.model_copy(update={"averaging": 0.9, "schedule": "noam", "clip_norm": 1.0}),
)
PUBLISHED = {
    "V1": (hifigan.Config(), 13.92),
    "V2": (hifigan.Config(n_channels=128), 0.92),
    "V3": (
        hifigan.Config(
            n_channels=256,
            upsampling=(8, 8, 4),
            kernels=(3, 5, 7),
            dilations=((1, 2), (2, 6), (3, 12)),
            paired=False,
        ),
        1.46,
    ),
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    made = write_dataset(tmp_path_factory.mktemp("dataset"))
    made.mels = []
    for number, path in enumerate(made.clips):
        made.mels.append(str(made.folder / f"mel{number}.h5"))
        extract_shard(clips_path=path, config=MEL, features_path=made.mels[-1])
    made.averages = str(made.folder / "mel_averages.h5")
    average_class_spectrograms(audio_paths=made.mels, rows_paths=made.rows, averages_path=made.averages)
    return made


def train(dataset, folder: Path, config: VocoderConfig = GAN, **changes) -> Path:
    arguments = {
        "vocoder": "small",
        "config": config.model_dump(mode="json"),
        "representation": MEL.model_dump(mode="json"),
        "base_seed": 0,
        "audio_paths": dataset.mels,
        "clips_paths": dataset.clips,
        "rows_paths": dataset.rows,
        "model_path": str(folder / "model.safetensors"),
        "facts_path": str(folder / "model.json"),
        "curve_path": str(folder / "curve.jsonl"),
        "n_threads": 1,
        "device": "cpu",
    }
    train_vocoder(**{**arguments, **changes})
    return folder


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    return train(dataset, tmp_path_factory.mktemp("trained"))


def load(folder: Path, representation: RepresentationConfig = MEL):
    return load_vocoder(folder / "model.safetensors", folder / "model.json", representation, "cpu")


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def n_millions(network: torch.nn.Module) -> float:
    return sum(value.numel() for value in network.parameters()) / 1e6


# HiFi-GAN


@pytest.mark.parametrize("name", PUBLISHED)
def test_generators_have_the_published_sizes(name):
    config, expected = PUBLISHED[name]
    assert config.hop_length == 256
    with torch.device("meta"):
        network = without_norms(hifigan.Generator(config))
    assert n_millions(network) == pytest.approx(expected, abs=0.007)


def test_discriminators_have_the_published_size():
    with torch.device("meta"):
        network = hifigan.Discriminators(hifigan.Config(n_scales=0))
    assert n_millions(network) == pytest.approx(41.1, abs=0.02)


@torch.no_grad()
def test_noise_is_the_only_thing_drawn():
    spectrogram = torch.rand(2, 12, 5, generator=drawn())
    for noise in (False, True):
        torch.manual_seed(0)
        network = hifigan.Generator(SMALL_GAN.model_copy(update={"noise": noise}))
        first, again, other = (network(spectrogram, drawn(seed)) for seed in (1, 1, 2))
        assert first.shape == (2, 5 * 32)
        torch.testing.assert_close(first, again, rtol=0, atol=0)
        assert torch.equal(first, other) is not noise


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"upsampling": (8, 5)}, "even"),
        ({"n_channels": 6}, "divisible"),
        ({"kernels": (4,)}, "odd"),
        ({"kernels": (3, 7)}, "dilations"),
        ({"periods": (), "n_scales": 0}, "adversarial: false"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        hifigan.Config(**{**SMALL_GAN.model_dump(), **changes})


def test_discriminators_wait_for_their_step_and_learn_in_their_own_step_only():
    torch.manual_seed(0)
    vocoder = hifigan.Vocoder(SMALL_GAN, MEL.settings)
    optimisers = vocoder.optimisers(TRAINING)
    shown, heard = torch.rand(2, 12, 16, generator=drawn()), torch.rand(2, 512, generator=drawn()) - 0.5
    before = [value.detach().clone() for value in vocoder.discriminators.parameters()]

    def step(number: int) -> dict[str, float]:
        return vocoder.step(shown, heard, optimisers, drawn(), number=number, clip_norm=None)

    assert set(step(1)) == {"total", "mel", "spectra"}
    assert all(map(torch.equal, before, vocoder.discriminators.parameters()))
    parts = step(2)
    assert set(parts) == {"total", "mel", "spectra", "discriminators", "deceiving", "features"}
    weighed = 45 * (parts["mel"] + parts["spectra"]) + parts["deceiving"] + 2 * parts["features"]
    assert parts["total"] == pytest.approx(weighed, rel=1e-5)
    assert not all(map(torch.equal, before, vocoder.discriminators.parameters()))
    assert all(value.requires_grad for value in vocoder.discriminators.parameters())


def test_discriminators_tell_recorded_from_made():
    """One step after another on the same sounds, they get better at it."""
    torch.manual_seed(0)
    vocoder = hifigan.Vocoder(SMALL_GAN.model_copy(update={"adversarial_from": 0}), MEL.settings)
    optimisers = vocoder.optimisers(TRAINING.model_copy(update={"lr": 0.005}))
    for group in optimisers["generator"].param_groups:
        group["lr"] = 0.0
    shown, heard = torch.rand(4, 12, 16, generator=drawn()), torch.rand(4, 512, generator=drawn()) - 0.5
    found = [
        vocoder.step(shown, heard, optimisers, drawn(), number=number, clip_norm=None) for number in range(40)
    ]
    assert found[-1]["discriminators"] < 0.2 * found[0]["discriminators"]
    assert found[-1]["deceiving"] > 1.5  # what is made is judged near 0


def test_the_loss_sees_the_spectrogram_of_the_recipe():
    t = np.arange(MEL.settings.n_samples) / RATE_HZ
    sound = (0.4 * np.sin(2 * np.pi * 900 * t) * np.exp(-5 * t)).astype(np.float32)
    logarithms = LogMel(MEL.settings)(torch.from_numpy(sound)[None])[0].numpy()
    scaled = np.clip((20 * logarithms / math.log(10) - 20 + 100) / 100, 0, 1)
    np.testing.assert_allclose(scaled[:, :156], represent(sound, MEL), atol=2e-5)


# Training


def test_stretches_of_sound_and_spectrogram_belong_together():
    frames = np.broadcast_to(np.arange(20, dtype=np.float32), (3, 2, 20))
    samples = np.broadcast_to(np.arange(90, dtype=np.float32) // 4, (3, 90))
    sounds = Sounds(frames, samples, 4)
    shown, heard = sounds.stretches(50, 5, np.random.default_rng(0))
    assert shown.shape == (50, 2, 5)
    assert heard.shape == (50, 20)
    assert torch.equal(heard, shown[:, 0].repeat_interleave(4, dim=1))
    assert {0.0, 15.0} <= set(shown[:, 0, 0].tolist())
    with pytest.raises(FoleyError, match="segment_frames is 21, the clips have 20"):
        sounds.stretches(1, 21, np.random.default_rng(0))


def test_courses_of_the_learning_rate():
    def rates(**settings) -> list[float]:
        config = VocoderTrainingConfig(**{"lr": 1e-3, "steps": 20000, "batch_size": 2, **settings})
        return [learning_rate(config, step, n_clips=10) for step in range(20000)]

    noam = rates(schedule="noam", warm_up_steps=4000)
    assert noam.index(max(noam)) == 3999
    assert max(noam) == pytest.approx(1e-3)
    assert noam[0] == pytest.approx(1e-3 / 4000)
    assert noam[15999] == pytest.approx(1e-3 / 2)
    falling = rates(schedule="exponential", decay=0.5)
    assert falling[:11] == pytest.approx([1e-3] * 5 + [5e-4] * 5 + [2.5e-4])
    assert rates(schedule="cosine")[10000] == pytest.approx(5e-4)
    assert set(rates(schedule="constant")) == {1e-3}


def test_writes_a_vocoder_that_says_what_it_is(trained):
    facts = read_json(trained / "model.json")
    assert facts["vocoder"] == "small"
    assert facts["n_train_clips"] == 18
    assert facts["recipe"] == recipe(MEL)
    lines = [json.loads(line) for line in (trained / "curve.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6]
    assert lines[-1] == facts["last_step"]
    assert sorted(path.name for path in trained.iterdir()) == [
        "curve.jsonl",
        "model.json",
        "model.safetensors",
    ]


class KilledError(Exception):
    """Stands for the end of the process."""


def kill_after(monkeypatch, module, n_steps: int) -> None:
    original = module.Vocoder.step
    calls = []

    def step(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > n_steps:
            raise KilledError
        return original(self, *args, **kwargs)

    monkeypatch.setattr(module.Vocoder, "step", step)


@pytest.mark.parametrize(("config", "module"), [(GAN, hifigan), (WAVENET, wavenet)])
def test_killed_and_resumed_gives_the_same_bytes(dataset, tmp_path, monkeypatch, config, module):
    whole = train(dataset, tmp_path / "whole", config)
    with monkeypatch.context() as patch:
        kill_after(patch, module, 5)
        with pytest.raises(KilledError):
            train(dataset, tmp_path / "killed", config)
    with monkeypatch.context() as patch:
        kill_after(patch, module, 2)  # the state after four steps is kept
        train(dataset, tmp_path / "killed", config)
    other = train(dataset, tmp_path / "other", config, base_seed=1)
    for name in ("model.safetensors", "curve.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (whole / name).read_bytes()
        assert (other / name).read_bytes() != (whole / name).read_bytes()
    assert not list((tmp_path / "killed").glob("state-*"))


def test_test_clips_do_not_touch_the_weights(dataset, tmp_path, trained):
    kept = []
    for number, path in enumerate(dataset.rows):
        kept.append(str(tmp_path / f"{number}.tsv"))
        lines = Path(path).read_text().splitlines(keepends=True)
        Path(kept[-1]).write_text("".join(line for line in lines if "\ttest\t" not in line))
    without = train(dataset, tmp_path / "without", rows_paths=kept)
    assert (without / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_it_can_learn_from_some_of_the_clips(dataset, tmp_path):
    training = TRAINING.model_copy(update={"n_clips": 4, "steps": 1})
    folder = train(dataset, tmp_path, GAN.model_copy(update={"training": training}))
    assert read_json(folder / "model.json")["n_train_clips"] == 4


def test_a_loss_that_is_not_finite_stops_the_training(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(hifigan.Vocoder, "step", lambda *args, **kwargs: {"total": math.inf})
    with pytest.raises(FoleyError, match=r"total is inf in step 1; lower training\.lr"):
        train(dataset, tmp_path)


# Recipes


def test_a_recipe_is_its_settings_and_what_they_compute():
    made = recipe(MEL)
    longer = RepresentationConfig(**{**MEL.model_dump(), "duration_s": 10.0, "n_frames": None})
    assert recipe(longer) == made
    other = recipe(RepresentationConfig(**{**MEL.model_dump(), "lowest_hz": 60.0}))
    assert other["hash"] != made["hash"]
    check_recipe(made, recipe(longer), "model.json")
    with pytest.raises(ConfigError, match=rf"{made['hash']}.*{other['hash']}.*lowest_hz 50.0 against 60.0"):
        check_recipe(made, other, "model.json")


def test_a_changed_computation_is_seen_behind_equal_settings(monkeypatch):
    made = recipe(MEL)
    original = mel.represent
    monkeypatch.setattr(mel, "represent", lambda *args: np.clip(original(*args) - 0.02, 0, 1))
    changed = recipe(MEL)
    assert changed["settings"] == made["settings"]
    with pytest.raises(ConfigError, match=rf"{made['hash']}.*{changed['hash']}.*the code has changed"):
        check_recipe(made, changed, "model.json")


# From spectrograms to sound


def test_a_vocoder_refuses_another_recipe_and_damaged_files(trained, tmp_path):
    other = RepresentationConfig(**{**MEL.model_dump(), "floor": 1e-4})
    with pytest.raises(ConfigError, match=r"model\.json: was trained on recipe \w+.*floor"):
        load(trained, other)
    with pytest.raises(StoreError, match="train the vocoder first"):
        load(tmp_path)
    facts = read_json(trained / "model.json")
    for name, content in {"cut": b"cut off", "whole": (trained / "model.safetensors").read_bytes()}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
        model = facts["config"]["model"] | ({"n_channels": 16} if name == "whole" else {})
        write_json(tmp_path / name / "model.json", facts | {"config": {**facts["config"], "model": model}})
        with pytest.raises(StoreError, match="train it again"):
            load(tmp_path / name)


def test_sound_has_the_length_of_the_clip_and_follows_the_seed(trained):
    vocoder = load(trained)
    features = np.random.default_rng(0).random((2, 12, 156)).astype(np.float32) * 1.5
    first, again, other = (vocode(vocoder, features, MEL, seed) for seed in (1, 1, 2))
    assert first.shape == (2, MEL.settings.n_samples)
    assert first.dtype == np.float32
    assert np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(first, vocode(vocoder, np.clip(features, 0, 1), MEL, 1))
    with pytest.raises(FoleyError, match="shape"):
        vocode(vocoder, features[:, :, :-1], MEL, 1)
    alone = to_waveform(features[0], MEL, SynthesisConfig(), np.random.default_rng(0), vocoder=vocoder)
    assert alone.shape == (MEL.settings.n_samples,)


def test_a_loaded_vocoder_makes_what_the_trained_one_made(trained):
    with torch.no_grad():
        spectrogram = torch.rand(1, 12, 9, generator=drawn())
        expected = load(trained).generate(spectrogram, drawn(3))
        network = hifigan.Vocoder(SMALL_GAN, MEL.settings)
        network.generator.load_state_dict(load_file(trained / "model.safetensors"))
        torch.testing.assert_close(network.generate(spectrogram, drawn(3)), expected, rtol=0, atol=1e-6)


def test_nothing_is_brought_to_another_level(trained, monkeypatch):
    vocoder = load(trained)
    quiet = torch.full((1, MEL.settings.n_samples + 32), 0.001)
    monkeypatch.setattr(vocoder, "generate", lambda shown, generator: quiet)
    features = np.full((1, 12, 156), 0.9, dtype=np.float32)
    np.testing.assert_array_equal(vocode(vocoder, features, MEL, 0), quiet[:, :-32].numpy())


def test_training_brings_the_spectrogram_nearer(dataset, tmp_path):
    config = SMALL_GAN.model_copy(update={"adversarial": False, "n_channels": 16})
    training = TRAINING.model_copy(update={"steps": 90, "batch_size": 8, "lr": 0.01, "log_every": 10})
    learning = VocoderConfig(
        kind="hifigan", representation="mel", model=config.model_dump(mode="json"), training=training
    )
    curve = train(dataset, tmp_path, learning) / "curve.jsonl"
    lines = [json.loads(line) for line in curve.read_text().splitlines()]
    assert lines[-1]["mel"] < 0.8 * lines[0]["mel"]


# Copy synthesis


def copy_synthesis(
    dataset, folder: Path, vocoder: Path | None, synthesis: SynthesisConfig | None = None
) -> ShardReader:
    experiment = ExperimentConfig(
        title="copy", system="recorded", representation="mel", model={"through": "spectrogram"}
    )
    files = {
        name: str(folder / file)
        for name, file in {"model_path": "model.safetensors", "facts_path": "model.json"}.items()
    }
    train_experiment(
        experiment="copy",
        config=experiment.trained_by(),
        seed=0,
        base_seed=0,
        visual_paths=[],
        audio_paths=dataset.mels,
        rows_paths=dataset.rows,
        averages_path=dataset.averages,
        curve_path=str(folder / "curve.jsonl"),
        n_threads=1,
        device="cpu",
        pipeline={},
        **files,
    )
    synthesize(
        config={"visual": [], "labels": [], "synthesis": (synthesis or SynthesisConfig()).model_dump()},
        representation=MEL.model_dump(),
        seed=0,
        base_seed=0,
        visual_paths=[],
        rows_paths=dataset.rows,
        clips_paths=dataset.clips,
        audio_paths=dataset.mels,
        vocoder_paths=[str(vocoder / name) for name in ("model.safetensors", "model.json")]
        if vocoder
        else [],
        n_threads=1,
        device="cpu",
        sound_path=str(folder / "sound.h5"),
        **files,
    )
    return ShardReader(folder / "sound.h5")


@pytest.mark.parametrize("by_network", [False, True])
def test_copy_synthesis_makes_the_recorded_spectrogram_sound(dataset, tmp_path, trained, by_network):
    sound = copy_synthesis(dataset, tmp_path, trained if by_network else None)
    assert len(sound.items) == 6
    for clip_id in sound.items:
        wanted = ShardSet(dataset.mels).read(clip_id, "features")
        np.testing.assert_array_equal(sound.read(clip_id, "spectrogram"), wanted)
        assert sound.read(clip_id, "waveform").shape == (MEL.settings.n_samples,)
    assert (len(sound.attributes["vocoder_sha256"]) == 1) == by_network


def test_sound_is_finished_as_the_experiment_asks(dataset, tmp_path):
    plain = copy_synthesis(dataset, tmp_path / "plain", None)
    cleaning = SynthesisConfig(denoise="block_threshold")
    cleaned = copy_synthesis(dataset, tmp_path / "cleaned", None, cleaning)
    matching = SynthesisConfig(peak_match=PeakMatchConfig(interval_s=0.05))
    matched, again = (
        copy_synthesis(dataset, tmp_path / name, None, matching) for name in ("matched", "again")
    )
    rate_hz = MEL.settings.sample_rate_hz
    for clip_id in plain.items:
        made = plain.read(clip_id, "waveform")
        np.testing.assert_array_equal(cleaned.read(clip_id, "waveform"), finish(made, rate_hz, cleaning))
        found = matched.read(clip_id, "waveform")
        assert np.abs(found).max() == pytest.approx(1)
        np.testing.assert_array_equal(found, again.read(clip_id, "waveform"))


def test_copy_synthesis_is_the_same_after_a_kill(dataset, tmp_path, trained, monkeypatch):
    copy_synthesis(dataset, tmp_path / "whole", trained)
    original, calls = shards.ShardWriter.write, []

    def write(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 3 and self.path.name == "sound.h5":
            raise KilledError
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(shards.ShardWriter, "write", write)
        with pytest.raises(KilledError):
            copy_synthesis(dataset, tmp_path / "killed", trained)
    copy_synthesis(dataset, tmp_path / "killed", trained)
    one, other = (ShardReader(tmp_path / name / "sound.h5") for name in ("whole", "killed"))
    for clip_id in one.items:
        np.testing.assert_array_equal(one.read(clip_id, "waveform"), other.read(clip_id, "waveform"))


def test_the_recorded_system_shows_the_target_only_where_it_is_copied():
    spec = DataSpec(("a",), (), (), (), 2, 3, 8, 1.0)
    batch = SimpleNamespace(waveform=torch.ones(1, 8), target=torch.zeros(1, 2, 3))
    plain, copied = (
        recorded.System(recorded.Config(through=through), spec, torch.zeros(1, 2, 3), drawn())
        for through in ("waveform", "spectrogram")
    )
    assert plain.predict(batch, drawn()).spectrogram is None
    assert copied.predict(batch, drawn()).waveform is None
    with pytest.raises(ValueError, match="copy synthesis"):
        copied.predict(SimpleNamespace(waveform=batch.waveform, target=None), drawn())


# Configuration


def configured(changes: dict) -> configuration.Config:
    values = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    return configuration.parse(configuration.merge(values, changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocoders": {"hifigan": {"kind": "hifi_gan"}}}, r"vocoders\.hifigan\.model: .*wavenet"),
        ({"vocoders": {"hifigan": {"representation": "stft"}}}, r"vocoders\.hifigan\.representation: 'stft'"),
        ({"vocoders": {"hifigan": {"model": {"width": 3}}}}, r"vocoders\.hifigan\.model: .*width.*misspelt"),
        ({"vocoders": {"hifigan": {"model": {"upsampling": [8, 8]}}}}, "hop_length is 64 .* has 256"),
        ({"vocoders": {"griffin_lim": {"kind": "hifigan", "representation": "mel"}}}, "choose another"),
        (
            {"experiments": {"resynthesis_hifigan": {"synthesis": {"vocoder": "hifi"}}}},
            "no vocoder is called 'hifi'; there are griffin_lim, hifigan",
        ),
        (
            {"experiments": {"frame_relation": {"synthesis": {"vocoder": "hifigan"}}}},
            "hifigan is trained on mel, which is another recipe than stft",
        ),
    ],
)
def test_a_vocoder_that_does_not_fit_stops_the_run(changes, said):
    with pytest.raises(ConfigError, match=said):
        configured(changes)


def test_the_overlay_adds_wavenet_and_leaves_the_rest():
    plain = configured({})
    overlaid = configuration.read(ROOT / "config.yaml", ROOT / "configs/vocoders.yaml")
    assert set(overlaid.experiments) == {*plain.experiments, "resynthesis_wavenet"}
    assert {"wavenet", "wavenet_released", "hifigan_v1"} == set(overlaid.vocoders) - set(plain.vocoders)
    released = overlaid.vocoders["wavenet_released"].training
    assert (released.lr, released.schedule, released.warm_up_steps) == (1e-3, "noam", 4000)
    assert (released.batch_size, released.averaging, released.clip_norm) == (2, 0.9999, None)
    assert released.segment_frames == 8000 // 256
    assert wavenet.Config(**overlaid.vocoders["wavenet_released"].model) == wavenet.Config()


def test_a_longer_clip_of_the_same_recipe_can_share_the_vocoder():
    longer = {"mel10": {"kind": "mel", "duration_s": 10.0}}
    changes = {"experiments": {"resynthesis_hifigan": {"representation": "mel10"}}, "representations": longer}
    assert configured(changes).experiments["resynthesis_hifigan"].synthesis.vocoder == "hifigan"
