"""A small data set on disk that can be learned: every class has its hue, its pitch and its hits."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from foley.features.audio import RepresentationConfig, extract_shard
from foley.store.manifests import Clip, write_rows
from foley.store.shards import ShardWriter
from foley.training.averages import average_class_spectrograms
from foley.training.config import ExperimentConfig
from foley.training.experiment import train_experiment

RATE_HZ = 8000
DURATION_S = 0.64
N_STEPS = 16
DIM = 10
LABELS = ("bang", "drip", "tick")
REPRESENTATION = RepresentationConfig(
    kind="stft", sample_rate_hz=RATE_HZ, duration_s=DURATION_S, n_fft=64, hop_length=32, n_frames=2 * N_STEPS
)
VISUAL = ("net/flow/spacetime", "net/flow/frames")


@dataclass
class Dataset:
    """Paths of the files, one list entry a shard, and where each clip's hits are."""

    folder: Path
    rows: list[str] = field(default_factory=list)
    clips: list[str] = field(default_factory=list)
    audio: list[str] = field(default_factory=list)
    visual: dict[str, list[str]] = field(default_factory=dict)
    averages: str = ""
    hits: dict[str, list[int]] = field(default_factory=dict)

    def visual_paths(self, names: tuple[str, ...]) -> list[str]:
        return [path for name in names for path in self.visual[name]]


def clip_row(clip_id: str, label: str, split: str, shard: str) -> Clip:
    return Clip(
        clip_id=clip_id,
        recording_id=clip_id,
        label=label,
        shard=shard,
        group="",
        split=split,
        path=f"{clip_id}.mp4",
        start_s=0.0,
        duration_s=DURATION_S,
        fps=25.0,
    )


def toy_clip(number: int, rng: np.random.Generator) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Hits (steps), waveform (n_samples,), features (N_STEPS, DIM) of one clip of class `number`."""
    n = round(RATE_HZ * DURATION_S)
    per_step = n // N_STEPS
    hits = sorted(rng.choice(np.arange(1, N_STEPS - 1), size=2, replace=False).tolist())
    time_s = np.arange(n) / RATE_HZ
    sound = 0.002 * rng.normal(size=n)
    features = 0.1 * rng.normal(size=(N_STEPS, DIM))
    features[:, number] += 1
    for hit in hits:
        after = np.maximum(time_s - hit * per_step / RATE_HZ, 0)
        ring = np.sin(2 * np.pi * 900 * (number + 1) * after) * np.exp(-after / 0.01)
        sound += 0.5 * ring * (time_s >= hit * per_step / RATE_HZ)
        features[hit, DIM - 1] += 2
    return hits, sound.astype(np.float32), features.astype(np.float16)


def write_dataset(folder: Path, *, n_train: int = 6, n_test: int = 2, n_shards: int = 2) -> Dataset:
    """Write clips, features, averages and tables."""
    rng = np.random.default_rng(11)
    made = Dataset(folder)
    shards: dict[str, list[tuple[Clip, list[int], np.ndarray, np.ndarray]]] = {}
    for number, label in enumerate(LABELS):
        for index in range(n_train + n_test):
            split = "train" if index < n_train else "test"
            shard = f"{index % n_shards:03d}"
            row = clip_row(f"{label}_{index:02d}_00", label, split, shard)
            shards.setdefault(shard, []).append((row, *toy_clip(number, rng)))
    for shard, clips in sorted(shards.items()):
        paths = {name: folder / name / f"{shard}.h5" for name in ("clips", "audio", *VISUAL)}
        rows_path = folder / "clips" / f"{shard}.tsv"
        write_rows(rows_path, Clip, [row for row, *_ in clips])
        with ShardWriter(paths["clips"], {}) as writer:
            for row, _, sound, _ in clips:
                writer.write(row.clip_id, {"audio": sound}, {"sample_rate_hz": RATE_HZ})
        extract_shard(clips_path=paths["clips"], config=REPRESENTATION, features_path=paths["audio"])
        times_s = np.arange(N_STEPS) * DURATION_S / N_STEPS
        for name in VISUAL:
            with ShardWriter(paths[name], {}) as writer:
                for row, _, _, features in clips:
                    arrays: dict[str, Any] = {"features": features, "timestamps_s": times_s}
                    writer.write(row.clip_id, arrays)
            made.visual.setdefault(name, []).append(str(paths[name]))
        made.rows.append(str(rows_path))
        made.clips.append(str(paths["clips"]))
        made.audio.append(str(paths["audio"]))
        made.hits |= {row.clip_id: hits for row, hits, _, _ in clips}
    made.averages = str(folder / "averages.h5")
    average_class_spectrograms(audio_paths=made.audio, rows_paths=made.rows, averages_path=made.averages)
    return made


def train_small(dataset: Dataset, folder: Path, experiment: ExperimentConfig, **changes: Any) -> Path:
    """Train an experiment on a data set, on one thread; `changes` are arguments of `train_experiment`."""
    arguments = {
        "experiment": "small",
        "config": experiment.trained_by(),
        "seed": 0,
        "base_seed": 0,
        "visual_paths": dataset.visual_paths(experiment.visual),
        "audio_paths": dataset.audio,
        "rows_paths": dataset.rows,
        "averages_path": dataset.averages,
        "model_path": str(folder / "model.safetensors"),
        "facts_path": str(folder / "model.json"),
        "curve_path": str(folder / "curve.jsonl"),
        "n_threads": 1,
        "device": "cpu",
        "pipeline": {"made": "by a test"},
    }
    train_experiment(**{**arguments, **changes})
    return folder
