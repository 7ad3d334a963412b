"""The sound classifier: learns what can be told apart, repeats itself, and judges what was made."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from foley.errors import ManifestError, StoreError
from foley.store.files import read_json
from foley.store.manifests import Clip, write_rows
from foley.store.shards import ShardReader, ShardWriter
from foley.training.judging import judge_recordings, judge_sounds, sketch
from foley.training.sound_classifier import (
    LogMel,
    load_sound_classifier,
    train_sound_classifier,
)
from foley.training.sound_classifier_config import SoundClassifierConfig

RATE_HZ = 8000
DURATION_S = 0.8
CONFIG = SoundClassifierConfig(
    n_fft=512, n_mels=24, width=6, epochs=16, batch_size=8, crop_s=0.6, range_db=60.0, floor_db=10.0
)
LABELS = ("hum", "knocks", "rush")


def toy_sound(label: str, rng: np.random.Generator) -> np.ndarray:
    """A hum, a row of knocks, or a rush, each at its own pitch and level."""
    n = round(RATE_HZ * DURATION_S)
    time_s = np.arange(n) / RATE_HZ
    noise = rng.normal(size=n)
    if label == "hum":
        sound = np.sin(2 * np.pi * rng.uniform(200, 500) * time_s)
    elif label == "knocks":
        sound = noise * np.exp(-(time_s % rng.uniform(0.15, 0.25)) / 0.01)
    else:
        sound = noise
    return (rng.uniform(0.01, 0.5) * (sound + 0.001 * noise)).astype(np.float32)


def clip_row(clip_id: str, label: str, split: str) -> Clip:
    return Clip(
        clip_id=clip_id,
        recording_id=clip_id,
        label=label,
        shard="000",
        group="",
        split=split,
        path=f"{clip_id}.mp4",
        start_s=0.0,
        duration_s=DURATION_S,
        fps=25.0,
    )


def write_clips(folder: Path, labels=LABELS, n_per_class=16) -> dict[str, list[str]]:
    rng = np.random.default_rng(7)
    rows = []
    with ShardWriter(folder / "000.h5", {}) as shard:
        for label in labels:
            for number in range(n_per_class):
                row = clip_row(f"{label}_{number:02d}", label, "test" if number % 4 == 0 else "train")
                shard.write(row.clip_id, {"audio": toy_sound(label, rng)}, {"sample_rate_hz": RATE_HZ})
                rows.append(row)
    write_rows(folder / "000.tsv", Clip, rows)
    return {"clips_paths": [str(folder / "000.h5")], "rows_paths": [str(folder / "000.tsv")]}


def model_files(folder: Path) -> dict[str, Path]:
    return {
        "model_path": folder / "model.safetensors",
        "facts_path": folder / "model.json",
        "curve_path": folder / "curve.jsonl",
    }


def train(clips, folder, *, seed=0, config=CONFIG):
    files = model_files(folder)
    train_sound_classifier(**clips, config=config, seed=seed, n_threads=1, device="cpu", **files)
    return files


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def model(clips, tmp_path_factory):
    return train(clips, tmp_path_factory.mktemp("model"))


def test_learns_sounds_that_can_be_told_apart(model):
    facts = read_json(model["facts_path"])
    assert facts["classes"] == list(LABELS)
    assert (facts["train"]["n"], facts["test"]["n"]) == (36, 12)
    assert facts["test"]["accuracy"] >= 0.9
    assert facts["test"]["class_accuracy"].keys() == set(LABELS)
    lines = [json.loads(line) for line in model["curve_path"].read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, CONFIG.epochs + 1))
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_same_seed_same_bytes_other_seed_other_weights(clips, model, tmp_path):
    state = torch.random.get_rng_state()
    short = CONFIG.model_copy(update={"epochs": 2})
    one, two, other = (
        train(clips, tmp_path / name, seed=seed, config=short)
        for name, seed in zip("abc", (0, 0, 1), strict=True)
    )
    for key in one:
        assert one[key].read_bytes() == two[key].read_bytes()
    assert one["model_path"].read_bytes() != other["model_path"].read_bytes()
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_test_clips_do_not_touch_the_weights(clips, tmp_path):
    short = CONFIG.model_copy(update={"epochs": 1})
    whole = train(clips, tmp_path / "whole", config=short)
    lines = Path(clips["rows_paths"][0]).read_text().splitlines(keepends=True)
    rows_path = tmp_path / "train_only.tsv"
    rows_path.write_text("".join(line for line in lines if "\ttest\t" not in line))
    alone = train({**clips, "rows_paths": [str(rows_path)]}, tmp_path / "alone", config=short)
    assert whole["model_path"].read_bytes() == alone["model_path"].read_bytes()
    assert read_json(alone["facts_path"])["test"] == {"n": 0}


def write_sound(path: Path, waveforms, rate_hz=RATE_HZ) -> Path:
    with ShardWriter(path, {}) as shard:
        shard.write("trained_on", {"probabilities": np.ones(3, np.float32)}, {"split": "train"})
        for clip_id, waveform in waveforms.items():
            attributes = {"sample_rate_hz": rate_hz, "label": clip_id.split("_")[0], "split": "test"}
            shard.write(clip_id, {"waveform": waveform}, attributes)
    return path


def judge(model, sound_path, judgements_path):
    judge_sounds(
        sound_path=sound_path,
        model_path=model["model_path"],
        facts_path=model["facts_path"],
        n_threads=1,
        device="cpu",
        judgements_path=judgements_path,
    )
    return ShardReader(judgements_path)


def test_judges_every_waveform_of_a_run(model, tmp_path):
    rng = np.random.default_rng(99)
    made = {f"{label}_{number}": toy_sound(label, rng) for label in LABELS for number in range(3)}
    judgements = judge(model, write_sound(tmp_path / "sound.h5", made), tmp_path / "judgements.h5")
    assert judgements.items == sorted(made)
    assert judgements.attributes["classes"] == list(LABELS)
    n_right = 0
    for clip_id in judgements.items:
        probabilities = judgements.read(clip_id, "probabilities")
        assert probabilities.dtype == np.float32
        assert probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert judgements.read(clip_id, "embedding").shape == (8 * CONFIG.width,)
        label = judgements.item_attributes(clip_id)["label"]
        n_right += LABELS[probabilities.argmax()] == label
    assert n_right >= 8


def test_judges_the_recorded_sound_of_every_clip(clips, model, tmp_path):
    judge_recordings(
        **clips,
        model_path=model["model_path"],
        facts_path=model["facts_path"],
        n_threads=1,
        device="cpu",
        reference_path=tmp_path / "reference.h5",
    )
    reference, shard = ShardReader(tmp_path / "reference.h5"), ShardReader(clips["clips_paths"][0])
    assert reference.items == shard.items
    assert reference.item_attributes("hum_00") == {"label": "hum", "split": "test"}
    waves = {clip_id: shard.read(clip_id, "audio") for clip_id in ("hum_00", "rush_05")}
    judged = judge(model, write_sound(tmp_path / "sound.h5", waves), tmp_path / "judgements.h5")
    for clip_id in waves:
        for name in ("probabilities", "embedding", "sketch"):
            np.testing.assert_array_equal(reference.read(clip_id, name), judged.read(clip_id, name))
        assert "effects" not in judged.names(clip_id)


def test_a_sketch_averages_cells_of_4_bands_and_8_frames():
    values = torch.arange(10 * 20, dtype=torch.float32).view(10, 20)
    cells = sketch(values)
    assert cells.shape == (2, 2)
    assert float(cells[1, 0]) == float(values[4:8, :8].mean())


def test_what_is_loaded_is_what_was_trained(clips, model):
    network, log_mel, facts = load_sound_classifier(model["model_path"], model["facts_path"])
    shard = ShardReader(clips["clips_paths"][0])
    right = []
    for clip_id in shard.items:
        if int(clip_id[-2:]) % 4 == 0:
            with torch.no_grad():
                scores = network(log_mel(shard.read(clip_id, "audio"))[None])
            right.append(facts["classes"][int(scores.argmax())] == clip_id.split("_")[0])
    assert np.mean(right) == facts["test"]["accuracy"]


def test_wrong_rate_damaged_weights_and_bad_samples_are_refused(model, tmp_path):
    wave = toy_sound("hum", np.random.default_rng(0))
    with pytest.raises(StoreError, match="samples a second"):
        judge(model, write_sound(tmp_path / "fast.h5", {"hum_0": wave}, 44100), tmp_path / "1.h5")
    with pytest.raises(StoreError, match="finite"):
        judge(model, write_sound(tmp_path / "nan.h5", {"hum_0": wave * np.nan}), tmp_path / "2.h5")
    damaged = {**model, "model_path": tmp_path / "model.safetensors"}
    damaged["model_path"].write_bytes(model["model_path"].read_bytes()[:200])
    with pytest.raises(StoreError, match="delete both"):
        judge(damaged, write_sound(tmp_path / "sound.h5", {"hum_0": wave}), tmp_path / "3.h5")


def test_a_data_set_of_one_class_gets_a_classifier_that_always_names_it(tmp_path, caplog):
    short = CONFIG.model_copy(update={"epochs": 2})
    made = train(write_clips(tmp_path, labels=("hum",), n_per_class=4), tmp_path, config=short)
    assert "only class" in caplog.text
    sound = write_sound(tmp_path / "sound.h5", {"hum_0": toy_sound("hum", np.random.default_rng(0))})
    judge(made, sound, tmp_path / "judged.h5")
    assert ShardReader(tmp_path / "judged.h5").read("hum_0", "probabilities").tolist() == [1.0]


def test_no_training_clip_is_an_error(tmp_path):
    with pytest.raises(ManifestError, match="there is none"):
        train(write_clips(tmp_path, labels=("hum",), n_per_class=1), tmp_path)


def test_level_counts_only_where_it_is_asked_for():
    wave = toy_sound("knocks", np.random.default_rng(1))
    normalised = LogMel(CONFIG, RATE_HZ)
    torch.testing.assert_close(normalised(wave), normalised(0.1 * wave), atol=1e-4, rtol=0)
    absolute = LogMel(CONFIG.model_copy(update={"level_normalised": False}), RATE_HZ)
    fall = (absolute(wave) - absolute(0.1 * wave)).max() * CONFIG.range_db
    assert float(fall) == pytest.approx(20, abs=0.1)
    assert not normalised(np.zeros_like(wave)).any()
