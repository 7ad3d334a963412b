"""Visual2Sound: levels and back, who is told what and when, what may reach what is made, kills."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from foley.errors import ConfigError, FoleyError
from foley.features.audio import RepresentationConfig, extract_shard
from foley.metrics.evaluate import load_items
from foley.models import visual2sound
from foley.models.base import Batch, DataSpec
from foley.models.samplernn import dequantise
from foley.models.visual2sound import quantise, samples_a_step
from foley.store.files import read_json
from foley.store.manifests import Event, write_rows
from foley.store.shards import ShardReader, ShardWriter
from foley.synthesis.config import SynthesisConfig
from foley.synthesis.generate import synthesize
from foley.training.averages import average_class_spectrograms
from foley.training.config import ExperimentConfig, TrainingConfig
from tests.learnable import DURATION_S, LABELS, RATE_HZ, VISUAL, Dataset, train_small, write_dataset

SPEC = DataSpec(
    classes=("dog",),
    visual_dims=(6, 4),
    n_visual_steps=(4, 4),
    visual_hz=(25.0, 25.0),
    n_bins=1,
    n_audio_frames=150,
    sample_rate_hz=960,
    duration_s=0.15625,
)
"""Four pictures of 39 samples each, of which the last is cut off; 150 samples are 10 frames and more."""
SMALL = {"n_units": 12, "n_embedded": 6, "n_levels": 32, "n_encoded": 8, "chunk_samples": 48}
ENCODERS = ["frame", "sequence", "flow"]


def make(spec: DataSpec = SPEC, **settings: object) -> visual2sound.System:
    torch.manual_seed(0)
    averages = torch.zeros(len(spec.classes), spec.n_bins, spec.n_audio_frames)
    config = visual2sound.Config.model_validate(SMALL | settings)
    return visual2sound.System(config, spec, averages, torch.Generator())


def batch(n: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(1)
    visual = tuple(torch.randn(n, 4, dim, generator=generator) for dim in SPEC.visual_dims)
    sound = torch.rand(n, 1, 150, generator=generator) - 0.5
    return Batch(visual, torch.zeros(n, dtype=torch.long), sound)


def drawn(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Levels


@pytest.mark.parametrize("quantiser", ["min_max", "peak", "fixed"])
@pytest.mark.parametrize("n_levels", [16, 256])
def test_levels_and_back_lose_half_a_step_at_most(quantiser: str, n_levels: int) -> None:
    sound = torch.rand(4, 500, generator=drawn()) * torch.tensor([[1.0], [0.3], [0.02], [1.0]]) - 0.1
    levels, spans = quantise(sound, n_levels, quantiser)
    assert (levels.min(), levels.max()) >= (0, 0)
    assert levels.max() <= n_levels - 1
    centre = (sound.amin(dim=1) + sound.amax(dim=1)) / 2 if quantiser == "min_max" else torch.zeros(4)
    back = dequantise(levels, n_levels) * spans[:, None] + centre[:, None]
    step = 2 * spans[:, None] / (n_levels - 1)
    assert ((back - sound).abs() <= step / 2 * 1.001).all()
    again, _ = quantise(back, n_levels, quantiser)
    assert torch.equal(again, levels), "levels survive the round trip"


def test_levels_cover_what_the_quantiser_says() -> None:
    sound = torch.tensor([[-0.1, 0.0, 0.3]])
    assert quantise(sound, 256, "min_max")[0].tolist() == [[0, 64, 255]]
    assert quantise(sound, 256, "peak")[0].tolist() == [[85, 128, 255]]
    assert quantise(sound, 256, "fixed")[0].tolist() == [[115, 128, 166]]
    assert dequantise(torch.tensor([0, 255]), 256).tolist() == [-1, 1]
    assert quantise(torch.tensor([[-3.0, 3.0]]), 256, "fixed")[0].tolist() == [[0, 255]]


@pytest.mark.parametrize("quantiser", ["min_max", "peak", "fixed"])
@pytest.mark.parametrize("value", [0.0, 1e-9])
def test_silence_is_the_middle_level(quantiser: str, value: float) -> None:
    levels, spans = quantise(torch.full((2, 9), value), 256, quantiser)
    assert torch.equal(levels, torch.full((2, 9), 128))
    assert torch.isfinite(spans).all()


def test_a_silent_clip_is_learned_and_its_loudness_not_counted() -> None:
    system = make(quantiser="peak", loudness="training")
    sound = torch.zeros(3, 1, 150)
    sound[1] = 0.5 * torch.randn(1, 150, generator=drawn()).sign()
    sound[2] = 0.125 * sound[1] / 0.5
    one = Batch(batch().visual, torch.zeros(3, dtype=torch.long), sound)
    parts = system.step(one, system.optimisers(1e-3, 0.0), drawn(), None)
    assert np.isfinite(parts["total"])
    assert system.span == pytest.approx(0.25), "the geometric mean of a half and an eighth"
    made = system.eval().predict(one, drawn()).spectrogram
    assert made is not None
    assert made.abs().max() <= 0.25 + 1e-6
    assert make(quantiser="peak").span == 1.0


# Who is told what


def test_samples_a_step_are_the_papers() -> None:
    assert samples_a_step(15974.4, 15.6) == 1024
    assert samples_a_step(16000.0, 15.6) == 1026, "the text's formula; its 1024 is of 15974.4 Hz"
    assert samples_a_step(5504, float(63 / (63 / 21.5))) == 256, "however the rate was rounded"


def test_a_picture_is_heard_from_its_own_samples_on_and_not_before() -> None:
    system = make(encoder="frame").eval()
    assert system.places.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    one = batch()
    changed = (one.visual[0].clone(), one.visual[1])
    changed[0][:, 2] += 1
    with torch.no_grad():
        first, second = (
            torch.cat([nats for nats, _ in system._chunks(Batch(seen, one.labels, one.target))], dim=1)
            for seen in (one.visual, changed)
        )
    differs = (first != second).all(dim=0)
    assert not differs[: 5 * 16].any()
    assert differs[5 * 16 :].any()
    assert (first != second)[:, 5 * 16 : 6 * 16].any()


@pytest.mark.parametrize("encoder", ["sequence", "flow"])
def test_a_sequence_is_known_from_the_first_sample_on(encoder: str) -> None:
    system = make(encoder=encoder).eval()
    one = batch()
    changed = (one.visual[0].clone(), one.visual[1])
    changed[0][:, -1] += 1
    with torch.no_grad():
        first, second = (
            next(system._chunks(Batch(seen, one.labels, one.target)))[0] for seen in (one.visual, changed)
        )
    assert (first[:, 0] != second[:, 0]).all()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_flow_counts_where_it_is_given(encoder: str) -> None:
    system = make(encoder=encoder).eval()
    one = batch()
    still = Batch((one.visual[0], torch.zeros_like(one.visual[1])), one.labels, one.target)
    with torch.no_grad():
        assert not torch.equal(system.cross_entropy(one), system.cross_entropy(still))


# Learning


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_parameter_learns_and_the_loss_falls(encoder: str) -> None:
    system = make(encoder=encoder, quantiser="fixed")
    one = batch(8)
    optimisers = system.optimisers(0.01, 0.0)
    before = {key: value.detach().clone() for key, value in system.named_parameters()}
    curve = [system.step(one, optimisers, drawn(), None)["total"] for _ in range(25)]
    for key, value in system.named_parameters():
        assert not torch.equal(value, before[key]), f"{key} has not moved"
    assert curve[-1] < curve[0] - 0.5
    assert set(system.step(one, optimisers, drawn(), 1.0)) == {"total", "bits"}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_gradient_reaches_every_parameter(encoder: str) -> None:
    system = make(encoder=encoder)
    torch.autograd.backward(system.losses(batch(), drawn())["total"])
    for name, value in system.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().sum() > 0, name


def test_chunks_of_any_length_give_the_same_likelihood() -> None:
    one = batch()
    with torch.no_grad():
        whole, pieces = (make(chunk_samples=size).eval().cross_entropy(one) for size in (160, 16))
    torch.testing.assert_close(whole, pieces)


def test_likelihood_is_of_the_clips_own_samples_and_no_padding() -> None:
    system = make().eval()
    with torch.no_grad():
        pieces = [nats for nats, _ in system._chunks(batch())]
    assert torch.cat(pieces, dim=1).shape == (3, 150)
    assert system.n_padded == 160


@pytest.mark.parametrize("encoder", ENCODERS)
def test_recorded_sound_cannot_reach_what_is_made(encoder: str) -> None:
    system = make(encoder=encoder).eval()
    one = batch()
    assert one.target is not None
    others = (one, Batch(one.visual, one.labels, -one.target), Batch(one.visual, one.labels))
    with torch.no_grad():
        made = [system.predict(given, drawn()) for given in others]
        other_seed = system.predict(one, drawn(6)).spectrogram
    assert made[0].spectrogram is not None
    assert made[0].spectrogram.shape == (3, 1, 150)
    for other in made[1:]:
        assert torch.equal(made[0].spectrogram, other.spectrogram)
    assert not torch.equal(made[0].spectrogram, other_seed)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_what_is_drawn_has_the_likelihood_that_learning_gives_it(encoder: str) -> None:
    # Cold sound is the likeliest at every sample: teacher-forced on it, no other level is likelier.
    system = make(encoder=encoder, temperature=1e-4, quantiser="fixed").eval()
    one = batch()
    with torch.no_grad():
        made = system.predict(one, drawn()).spectrogram
        levels, _ = system.levels(Batch(one.visual, one.labels, made))
        visual = system.side_by_side(one.visual)
        logits, _ = system.sound(levels, system.start(visual), system.conditions(visual, 0, 160))
    assert torch.equal(logits.argmax(dim=2)[:, :150], levels[:, 16:166])


# What is refused


@pytest.mark.parametrize(
    ("changes", "settings", "words"),
    [
        ({"n_visual_steps": (4, 8)}, {}, "equally many steps"),
        ({"visual_dims": (6,), "n_visual_steps": (4,)}, {"encoder": "flow"}, "optical flow"),
        ({"visual_dims": (), "n_visual_steps": ()}, {}, "equally many steps"),
        ({"n_bins": 9}, {}, "kind waveform"),
        ({"n_audio_frames": 149}, {}, "kind waveform"),
    ],
)
def test_data_that_do_not_fit_are_refused(
    changes: dict[str, object], settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        make(DataSpec(**{**SPEC.__dict__, **changes}), **settings)


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="chunk_samples"):
        make(chunk_samples=40)
    with pytest.raises(ValidationError, match="n_unitts"):
        make(n_unitts=3)


def test_the_waveform_is_a_representation() -> None:
    config = RepresentationConfig(kind="waveform", duration_s=10.0)
    assert (config.settings.n_bins, config.settings.n_steps) == (1, 159_740)
    small = RepresentationConfig(kind="waveform", sample_rate_hz=1000, duration_s=0.5)
    sound = np.random.default_rng(0).uniform(-1, 1, 500).astype(np.float32)
    from foley.features.audio import represent, to_magnitude
    from foley.synthesis.generate import to_waveform

    features = represent(sound, small)
    np.testing.assert_array_equal(features, sound[None])
    assert to_magnitude(features, small).shape == (129, 4)
    assert to_waveform(features, small, SynthesisConfig(), np.random.default_rng(0)).shape == (500,)
    with pytest.raises(FoleyError, match="shape"):
        represent(sound[:-1], small)


# From files to files

WAVE = RepresentationConfig(kind="waveform", sample_rate_hz=2000, duration_s=DURATION_S)
EXPERIMENT = ExperimentConfig(
    title="small",
    system="visual2sound",
    visual=VISUAL,
    representation="samples",
    labels=LABELS[:2],
    model=SMALL | {"encoder": "flow", "chunk_samples": 640, "quantiser": "peak", "loudness": "training"},
    training=TrainingConfig(epochs=3, batch_size=6, lr=0.01, save_every=1, clip_norm=None),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    made = write_dataset(tmp_path_factory.mktemp("dataset"), n_train=3, n_test=1)
    made.audio = [path.replace("/audio/", "/samples/") for path in made.audio]
    for clips, features in zip(made.clips, made.audio, strict=True):
        Path(features).parent.mkdir(exist_ok=True)
        extract_shard(clips_path=clips, config=WAVE, features_path=features)
    made.averages = str(made.folder / "samples.h5")
    average_class_spectrograms(audio_paths=made.audio, rows_paths=made.rows, averages_path=made.averages)
    return made


def train(dataset: Dataset, folder: Path) -> Path:
    return train_small(dataset, folder, EXPERIMENT)


def make_sound(dataset: Dataset, folder: Path) -> ShardReader:
    synthesize(
        config={
            "visual": list(VISUAL),
            "labels": list(LABELS[:2]),
            "synthesis": SynthesisConfig().model_dump(),
        },
        representation=WAVE.model_dump(),
        seed=0,
        base_seed=0,
        model_path=str(folder / "model.safetensors"),
        facts_path=str(folder / "model.json"),
        visual_paths=dataset.visual_paths(VISUAL),
        rows_paths=dataset.rows,
        clips_paths=dataset.clips,
        audio_paths=dataset.audio,
        n_threads=1,
        device="cpu",
        sound_path=str(folder / "sound.h5"),
    )
    return ShardReader(folder / "sound.h5")


def test_a_killed_training_goes_on_to_the_same_weights(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(dataset, tmp_path / "whole")
    killed, steps = tmp_path / "killed", []
    original = visual2sound.System.step

    def dies(self: visual2sound.System, *args: object) -> dict[str, float]:
        steps.append(1)
        if len(steps) == 2:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(visual2sound.System, "step", dies)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, killed)
    monkeypatch.undo()
    train(dataset, killed)
    first, second = (load_file(folder / "model.safetensors") for folder in (whole, killed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (whole / "curve.jsonl").read_text() == (killed / "curve.jsonl").read_text()
    assert read_json(killed / "model.json")["n_train_clips"] == 6


def test_sound_and_likelihood_are_stored_for_metrics(dataset: Dataset, tmp_path: Path) -> None:
    shard = make_sound(dataset, train(dataset, tmp_path))
    assert len(shard.items) == 8
    for clip_id in shard.items:
        names = shard.names(clip_id)
        tested = shard.item_attributes(clip_id)["split"] == "test"
        assert names == (["cross_entropy", "spectrogram", "waveform"] if tested else ["cross_entropy"])
        if tested:
            sound = shard.read(clip_id, "waveform")
            assert sound.shape == (round(RATE_HZ * DURATION_S),), "at the clips' rate, not the model's"
            assert np.abs(sound).max() > 0
    judgements, events = tmp_path / "judgements.h5", tmp_path / "events.tsv"
    write_rows(events, Event, [])
    with ShardWriter(judgements, {"classes": list(LABELS)}) as writer:
        writer.write("nothing", {"probabilities": np.ones(3) / 3})
    items = load_items(
        sound_path=tmp_path / "sound.h5",
        judgements_path=judgements,
        clips_paths=dataset.clips,
        rows_paths=dataset.rows,
        events_paths=[str(events)],
    )
    curve = [float(item.cross_entropy or 0) for item in items]
    assert all(0 < value < np.log(32) + 1 for value in curve)
