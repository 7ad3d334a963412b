"""Training and synthesis from files to files: what is written, and that a kill costs nothing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from foley.errors import ConfigError, FoleyError, StoreError
from foley.models.frame_sequence import System as FrameSequence
from foley.store.files import read_json
from foley.store.manifests import Clip, read_rows, write_rows
from foley.store.shards import ShardReader, ShardSet, ShardWriter
from foley.synthesis.config import ShiftConfig, SynthesisConfig
from foley.synthesis.generate import synthesize
from foley.training.averages import average_class_spectrograms
from foley.training.checkpoint import load_system
from foley.training.config import ExperimentConfig, TrainingConfig
from foley.training.examples import read_examples
from foley.training.loop import learning_rate
from tests.learnable import (
    LABELS,
    N_STEPS,
    RATE_HZ,
    REPRESENTATION,
    VISUAL,
    Dataset,
    train_small,
    write_dataset,
)

TRAINING = TrainingConfig(epochs=6, batch_size=8, lr=0.01, save_every=2, score_every=2)
SEQUENCE = ExperimentConfig(
    title="small",
    system="frame_sequence",
    visual=VISUAL,
    representation="stft",
    model={"n_fast": 12, "n_slow": 8, "n_cells": 2, "noise": 0.1, "shift_steps": 2, "standardise": True},
    training=TRAINING,
)
RELATION = ExperimentConfig(
    title="small",
    system="frame_relation",
    visual=VISUAL[1:],
    representation="stft",
    model={"n_relations": 4, "n_hidden": 12, "keep_features": 0.8, "keep_hidden": 0.8},
    training=TRAINING,
)
FOLEYGAN = ExperimentConfig(
    title="small",
    system="foleygan",
    visual=VISUAL[1:],
    representation="stft",
    model={
        "resolution": 32,
        "n_channels": 1,
        "target_range": (0.0, 1.0),
        "ch": 2,
        "attention": 16,
        "n_relations": 4,
        "n_hidden": 12,
        "action_n_fft": 256,
        "action_hop": 128,
        "recognition_steps": 4,
        "standing": 1,
    },
    training=TRAINING,
)
RECORDED = ExperimentConfig(title="recorded", system="recorded", representation="stft")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("dataset"))


def train(dataset: Dataset, folder: Path, experiment: ExperimentConfig = SEQUENCE, **changes) -> Path:
    return train_small(dataset, folder, experiment, **changes)


def make_sound(
    dataset: Dataset,
    folder: Path,
    experiment: ExperimentConfig,
    synthesis: SynthesisConfig | None = None,
    name: str = "sound.h5",
) -> ShardReader:
    synthesize(
        config={
            "visual": list(experiment.visual),
            "labels": list(experiment.labels),
            "synthesis": (synthesis or SynthesisConfig()).model_dump(),
        },
        representation=REPRESENTATION.model_dump(),
        seed=0,
        base_seed=0,
        model_path=str(folder / "model.safetensors"),
        facts_path=str(folder / "model.json"),
        visual_paths=dataset.visual_paths(experiment.visual),
        rows_paths=dataset.rows,
        clips_paths=dataset.clips,
        n_threads=1,
        device="cpu",
        sound_path=str(folder / name),
    )
    return ShardReader(folder / name)


def clips(dataset: Dataset, split: str) -> list[Clip]:
    return [row for path in dataset.rows for row in read_rows(path, Clip) if row.split == split]


# Averages


def test_averages_are_those_of_the_training_clips(dataset):
    audio = ShardSet(dataset.audio)
    found = ShardReader(dataset.averages)
    assert found.items == sorted(LABELS)
    for label in LABELS:
        ids = [row.clip_id for row in clips(dataset, "train") if row.label == label]
        expected = np.mean([audio.read(clip_id, "features") for clip_id in ids], axis=0)
        np.testing.assert_allclose(found.read(label, "average"), expected, rtol=1e-5, atol=1e-7)
        assert found.item_attributes(label) == {"n": 6}


def test_averages_of_nothing_are_refused(dataset, tmp_path):
    write_rows(
        tmp_path / "rows.tsv",
        Clip,
        [row.model_copy(update={"clip_id": "other"}) for row in clips(dataset, "test")[:1]],
    )
    with pytest.raises(StoreError, match=r"rows\.tsv"):
        average_class_spectrograms(
            audio_paths=dataset.audio,
            rows_paths=[str(tmp_path / "rows.tsv")],
            averages_path=str(tmp_path / "averages.h5"),
        )


# Examples


def test_examples_keep_files_and_clips_together(dataset):
    examples = read_examples(
        rows_paths=dataset.rows,
        visual=VISUAL,
        visual_paths=dataset.visual_paths(VISUAL),
        audio_paths=dataset.audio,
    )
    assert [row.clip_id for row in examples.rows] == sorted(dataset.hits)
    assert examples.visual_hz == (pytest.approx(25.0), pytest.approx(25.0))
    assert len(examples.where("train")) == 18
    assert len(examples.where("test")) == 6
    chosen, batch = next(examples.batches(examples.where("test"), 4, "cpu"))
    for position, index in enumerate(chosen):
        row = examples.rows[index]
        assert examples.classes[int(batch.labels[position])] == row.label
        expected = ShardSet(dataset.audio).read(row.clip_id, "features")
        np.testing.assert_array_equal(batch.target[position].numpy(), expected)
        bump = batch.visual[0][position, :, -1]
        assert sorted(bump.topk(2).indices.tolist()) == dataset.hits[row.clip_id]


def test_a_clip_without_features_is_left_out(dataset, tmp_path):
    extra = clips(dataset, "train")[0].model_copy(update={"clip_id": "extra_00"})
    write_rows(tmp_path / "extra.tsv", Clip, [extra])
    examples = read_examples(
        rows_paths=[*dataset.rows, str(tmp_path / "extra.tsv")],
        visual=VISUAL[:1],
        visual_paths=dataset.visual_paths(VISUAL[:1]),
    )
    assert "extra_00" not in [row.clip_id for row in examples.rows]


def test_only_the_chosen_classes_are_kept(dataset):
    examples = read_examples(
        rows_paths=dataset.rows,
        visual=VISUAL[:1],
        visual_paths=dataset.visual_paths(VISUAL[:1]),
        labels=("tick", "bang"),
    )
    assert examples.classes == ("bang", "tick")
    assert {row.label for row in examples.rows} == {"bang", "tick"}
    assert sorted(set(examples.labels.tolist())) == [0, 1]


def test_a_misspelt_label_is_named(dataset):
    with pytest.raises(ConfigError, match="no clip is labelled 'tikc'; there are bang, drip, tick"):
        read_examples(rows_paths=dataset.rows, visual=(), visual_paths=[], labels=("tikc",))


# Training


def test_an_experiment_on_some_classes_makes_these_only(dataset, tmp_path):
    experiment = SEQUENCE.model_copy(update={"labels": ("drip", "tick")})
    train(dataset, tmp_path, experiment)
    facts = read_json(tmp_path / "model.json")
    assert facts["spec"]["classes"] == ["drip", "tick"]
    assert (facts["n_train_clips"], facts["n_test_clips"]) == (12, 4)
    sound = make_sound(dataset, tmp_path, experiment)
    assert sound.attributes["labels"] == sound.attributes["classes"] == ["drip", "tick"]
    assert {sound.item_attributes(clip_id)["label"] for clip_id in sound.items} == {"drip", "tick"}
    assert sound.read(sound.items[0], "probabilities").shape == (2,)


def test_mixed_sound_is_the_target_and_averages_stay_clean(dataset, tmp_path):
    louder = []
    for number, path in enumerate(dataset.audio):
        louder.append(str(tmp_path / f"{number}.h5"))
        clean = ShardReader(path)
        with ShardWriter(louder[-1], {}) as writer:
            for clip_id in clean.items:
                values = {"features": clean.read(clip_id, "features") + 0.5}
                writer.write(clip_id, values, clean.item_attributes(clip_id))
    clean = train(dataset, tmp_path / "clean")
    mixed = train(dataset, tmp_path / "mixed", audio_paths=louder)
    weights = [load_file(folder / "model.safetensors") for folder in (clean, mixed)]
    assert torch.equal(weights[0]["averages"], weights[1]["averages"])
    assert not torch.equal(weights[0]["classify.weight"], weights[1]["classify.weight"])
    curves = [read_json(folder / "model.json")["last_epoch"]["sound"] for folder in (clean, mixed)]
    assert curves[1] > curves[0] + 0.1  # half of everything is missing from the averages


@pytest.mark.parametrize("needed", [True, False])
def test_waveforms_are_given_to_those_who_learn_from_them(dataset, tmp_path, monkeypatch, needed):
    seen = []
    original = FrameSequence.losses

    def losses(self, batch, generator):
        seen.append(None if batch.waveform is None else batch.waveform.shape[1])
        return original(self, batch, generator)

    monkeypatch.setattr(FrameSequence, "losses", losses)
    monkeypatch.setattr(FrameSequence, "needs_waveform", needed)
    train(dataset, tmp_path, clips_paths=dataset.clips)
    assert set(seen) == {REPRESENTATION.settings.n_samples if needed else None}


def test_a_system_sees_its_training_clips_once_more_before_it_is_stored(dataset, tmp_path, monkeypatch):
    """What it keeps then, such as recorded sound to play, must be in the model."""

    def conclude(self, batches):
        assert not self.training
        n_clips = sum(len(batch.labels) for batch in batches)
        self.averages.fill_(n_clips)

    monkeypatch.setattr(FrameSequence, "conclude", conclude)
    train(dataset, tmp_path)
    system, facts = load_system(tmp_path / "model.safetensors", tmp_path / "model.json", "cpu")
    assert set(system.averages.unique().tolist()) == {facts["n_train_clips"]}


def test_writes_a_model_that_says_what_it_is(dataset, tmp_path):
    train(dataset, tmp_path)
    facts = read_json(tmp_path / "model.json")
    assert facts["spec"]["classes"] == sorted(LABELS)
    assert facts["spec"]["n_audio_frames"] == 2 * N_STEPS
    assert facts["spec"]["sample_rate_hz"] == RATE_HZ
    assert (facts["n_train_clips"], facts["n_test_clips"]) == (18, 6)
    assert facts["config"] == SEQUENCE.trained_by()
    assert facts["pipeline"] == {"made": "by a test"}
    lines = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[-1] == facts["last_epoch"]
    assert {"total", "class", "sound", "train_accuracy", "test_accuracy"} <= set(lines[-1])
    assert "train_accuracy" not in lines[0]
    assert lines[-1]["total"] < lines[0]["total"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "curve.jsonl",
        "model.json",
        "model.safetensors",
    ]


@pytest.mark.parametrize("experiment", [SEQUENCE, RELATION])
def test_same_seed_same_bytes_other_seed_other_weights(dataset, tmp_path, experiment):
    first = train(dataset, tmp_path / "first", experiment)
    again = train(dataset, tmp_path / "again", experiment)
    other = train(dataset, tmp_path / "other", experiment, seed=1)
    bytes_of = [(folder / "model.safetensors").read_bytes() for folder in (first, again, other)]
    assert bytes_of[0] == bytes_of[1]
    assert bytes_of[0] != bytes_of[2]
    assert (first / "curve.jsonl").read_bytes() == (again / "curve.jsonl").read_bytes()


class KilledError(Exception):
    """Stands for the end of the process."""


def kill_after(monkeypatch, n_steps: int) -> None:
    """Make the system fail in a step, once."""
    original = FrameSequence.losses
    calls = []

    def losses(self, batch, generator):
        calls.append(1)
        if len(calls) > n_steps:
            raise KilledError
        return original(self, batch, generator)

    monkeypatch.setattr(FrameSequence, "losses", losses)


def test_the_released_schedule_of_regnet() -> None:
    """The factor that ``train.py`` of github.com/PeihaoChen/regnet steps once an epoch, by its own names."""
    n_iter, epochs, epoch_count = 100, 1000, 0
    config = TrainingConfig(epochs=epochs, lr=2e-4, schedule="linear_after")
    for epoch in range(epochs):
        factor = 1.0 - max(0, epoch + 2 + epoch_count - n_iter) / float(epochs - n_iter + 1)
        assert learning_rate(config, epoch) == pytest.approx(2e-4 * factor, abs=1e-12)
    with pytest.raises(ValueError, match="constant_epochs is 100, but there are 44 epochs"):
        TrainingConfig(epochs=44, schedule="linear_after")


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear_after"])
def test_killed_and_resumed_gives_the_same_weights(dataset, tmp_path, monkeypatch, schedule):
    training = TRAINING.model_copy(update={"schedule": schedule, "constant_epochs": 2})
    experiment = SEQUENCE.model_copy(update={"training": training})
    whole = train(dataset, tmp_path / "whole", experiment)
    with monkeypatch.context() as patch:
        kill_after(patch, n_steps=3 * 4 + 1)  # three batches an epoch: in the fifth epoch
        with pytest.raises(KilledError):
            train(dataset, tmp_path / "killed", experiment)
    assert [path.name.split("-")[0] for path in (tmp_path / "killed").iterdir()] == ["state"]
    with monkeypatch.context() as patch:
        kill_after(patch, n_steps=3 * 2)  # only the last two epochs are done again
        train(dataset, tmp_path / "killed", experiment)
    for name in ("model.safetensors", "curve.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (whole / name).read_bytes()
    assert not list((tmp_path / "killed").glob("state-*"))


def test_another_experiment_does_not_resume_from_a_killed_one(dataset, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, n_steps=3 * 4)
        with pytest.raises(KilledError):
            train(dataset, tmp_path / "killed")
    train(dataset, tmp_path / "killed", seed=1)
    fresh = train(dataset, tmp_path / "fresh", seed=1)
    assert (tmp_path / "killed/model.safetensors").read_bytes() == (fresh / "model.safetensors").read_bytes()
    assert not list((tmp_path / "killed").glob("state-*"))


def test_test_clips_do_not_touch_the_weights(dataset, tmp_path):
    whole = train(dataset, tmp_path / "whole")
    paths = []
    for number, path in enumerate(dataset.rows):
        rows = [row for row in read_rows(path, Clip) if row.split == "train"]
        paths.append(str(tmp_path / f"{number}.tsv"))
        write_rows(paths[-1], Clip, rows)
    without = train(dataset, tmp_path / "without", rows_paths=paths)
    assert (whole / "model.safetensors").read_bytes() == (without / "model.safetensors").read_bytes()


def test_divergence_is_an_error_that_says_what_to_do(dataset, tmp_path, monkeypatch):
    def losses(self, batch, generator):
        value = self.classify.bias.sum() * float("nan")
        return {"total": value}

    monkeypatch.setattr(FrameSequence, "losses", losses)
    with pytest.raises(FoleyError, match=r"epoch 1; lower training\.lr"):
        train(dataset, tmp_path)


def test_a_loaded_model_predicts_what_the_trained_one_did(dataset, tmp_path):
    train(dataset, tmp_path)
    paths = tmp_path / "model.safetensors", tmp_path / "model.json"
    system, facts = load_system(*paths, "cpu")
    stored = load_file(paths[0])
    assert {name: tuple(value.shape) for name, value in system.state_dict().items()} == {
        name: tuple(value.shape) for name, value in stored.items()
    }
    assert not system.training
    examples = read_examples(
        rows_paths=dataset.rows, visual=VISUAL, visual_paths=dataset.visual_paths(VISUAL)
    )
    _, batch = next(examples.batches(examples.where("test"), 6, "cpu"))
    with torch.no_grad():
        probabilities = system.predict(batch, torch.Generator()).probabilities
    right = float((probabilities.argmax(dim=1) == batch.labels).float().mean())
    assert right == pytest.approx(facts["last_epoch"]["test_accuracy"])


def test_damaged_or_foreign_weights_are_refused(dataset, tmp_path):
    train(dataset, tmp_path / "one")
    train(dataset, tmp_path / "two", RELATION)
    with pytest.raises(StoreError, match="does not fit"):
        load_system(tmp_path / "one/model.safetensors", tmp_path / "two/model.json", "cpu")
    (tmp_path / "one/model.safetensors").write_bytes(b"cut off")
    with pytest.raises(StoreError, match="train the model again"):
        load_system(tmp_path / "one/model.safetensors", tmp_path / "one/model.json", "cpu")
    with pytest.raises(StoreError, match="no such file"):
        load_system(tmp_path / "three", tmp_path / "four", "cpu")


# Synthesis


@pytest.mark.parametrize("experiment", [SEQUENCE, RELATION])
def test_sound_of_a_network(dataset, tmp_path, experiment):
    train(dataset, tmp_path, experiment)
    sound = make_sound(dataset, tmp_path, experiment)
    assert sound.items == sorted(dataset.hits)
    for row in clips(dataset, "train"):
        assert sound.names(row.clip_id) == ["probabilities"]
    for row in clips(dataset, "test"):
        assert sound.names(row.clip_id) == ["probabilities", "spectrogram", "waveform"]
        waveform = sound.read(row.clip_id, "waveform")
        assert waveform.shape == (REPRESENTATION.settings.n_samples,)
        assert waveform.dtype == np.float32
        assert 0 < np.abs(waveform).max() <= 1
        assert sound.read(row.clip_id, "probabilities").sum() == pytest.approx(1, abs=1e-5)
        expected = {"label": row.label, "split": "test", "sample_rate_hz": RATE_HZ}
        assert sound.item_attributes(row.clip_id) == expected


def test_sound_is_the_same_every_time(dataset, tmp_path):
    train(dataset, tmp_path, RELATION)
    make_sound(dataset, tmp_path, RELATION)
    first = (tmp_path / "sound.h5").read_bytes()
    make_sound(dataset, tmp_path, RELATION)
    assert (tmp_path / "sound.h5").read_bytes() == first


def test_a_second_sound_follows_from_a_shifted_picture_alone(dataset, tmp_path):
    folder = train(dataset, tmp_path / "run", FOLEYGAN)
    plain = make_sound(dataset, folder, FOLEYGAN)
    shift = ShiftConfig(by_s=0.16, labels=("drip",))
    both = make_sound(dataset, folder, FOLEYGAN, SynthesisConfig(shift=shift), "both.h5")
    assert plain.items == both.items
    for row in clips(dataset, "test"):
        sound = both.read(row.clip_id, "waveform")
        assert np.array_equal(plain.read(row.clip_id, "waveform"), sound)
        assert ("shifted" in both.names(row.clip_id)) == (row.label == "drip")
        if row.label == "drip":
            assert both.item_attributes(row.clip_id)["shifted_by_s"] == pytest.approx(0.16)
            later = both.read(row.clip_id, "shifted")
            assert later.shape == sound.shape
            assert not np.array_equal(later, sound)
    assert not any("shifted" in both.names(row.clip_id) for row in clips(dataset, "train"))


def test_who_does_not_look_makes_the_same_sound_of_a_shifted_picture(dataset, tmp_path):
    folder = train(dataset, tmp_path / "run", RECORDED)
    made = make_sound(dataset, folder, RECORDED, SynthesisConfig(shift=ShiftConfig(by_s=0.16)))
    for row in clips(dataset, "test"):
        twice = [made.read(row.clip_id, name) for name in ("waveform", "shifted")]
        assert np.array_equal(*twice)


def test_recorded_sound_comes_back_as_it_was(dataset, tmp_path):
    train(dataset, tmp_path, RECORDED)
    assert (tmp_path / "curve.jsonl").read_text() == ""
    sound = make_sound(dataset, tmp_path, RECORDED)
    assert sound.items == sorted(row.clip_id for row in clips(dataset, "test"))
    assert sound.attributes["labels"] == sorted(LABELS)
    assert "classes" not in sound.attributes
    for row in clips(dataset, "test"):
        assert sound.names(row.clip_id) == ["waveform"]
        recorded = ShardSet(dataset.clips).read(row.clip_id, "audio")
        np.testing.assert_array_equal(sound.read(row.clip_id, "waveform"), recorded)


def test_hits_land_where_the_pictures_show_them(tmp_path):
    """Enough to learn from: the sound's loudest frames are those of the hits, on clips never heard."""
    dataset = write_dataset(tmp_path / "data", n_train=30, n_test=4)
    model = {"n_fast": 32, "n_slow": 16, "n_cells": 2, "keep": 0.9, "alpha": 0.05}
    training = TRAINING.model_copy(update={"epochs": 40, "batch_size": 16, "schedule": "cosine"})
    experiment = SEQUENCE.model_copy(update={"model": model, "training": training})
    train(dataset, tmp_path, experiment)
    sound = make_sound(dataset, tmp_path, experiment)
    right = []
    for row in clips(dataset, "test"):
        steps = sound.read(row.clip_id, "spectrogram").sum(axis=0).reshape(N_STEPS, 2)[:, 0]
        rise = np.diff(steps, prepend=steps[0])
        right.append(len(set(np.argsort(rise)[-2:]) & set(dataset.hits[row.clip_id])))
    assert np.mean(right) > 1.6  # of two hits a clip; by chance 0.25
    assert read_json(tmp_path / "model.json")["last_epoch"]["test_accuracy"] == 1.0
