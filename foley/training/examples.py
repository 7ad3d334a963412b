"""Clips as arrays in memory: features, labels, targets."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from foley.errors import ConfigError, StoreError
from foley.features.representations.levels import Levels
from foley.models.base import Batch, DataSpec
from foley.store.manifests import Clip, read_rows
from foley.store.shards import ShardSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examples:
    """All clips of some splits, in the order of their ids.

    Parameters
    ----------
    rows : list of Clip
    classes : tuple of str
        Labels that are learned, sorted: those of the data set, or the chosen ones.
    visual : tuple of ndarray of float16, each (n_clips, n_steps, dim)
    visual_hz : tuple of float
        Steps per second of each visual feature.
    target : ndarray of float32 or None, (n_clips, n_bins, n_frames)
    waveform : ndarray of float32 or None, (n_clips, n_samples)
    """

    rows: list[Clip]
    classes: tuple[str, ...]
    visual: tuple[NDArray[np.float16], ...]
    visual_hz: tuple[float, ...]
    target: NDArray[np.float32] | None = None
    waveform: NDArray[np.float32] | None = None

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class index of each clip."""
        index = {label: number for number, label in enumerate(self.classes)}
        return np.array([index[row.label] for row in self.rows], dtype=np.int64)

    def where(self, split: str) -> NDArray[np.int64]:
        """Indices of the clips of one split."""
        return np.array([i for i, row in enumerate(self.rows) if row.split == split], dtype=np.int64)

    def batch(self, indices: NDArray[np.int64], device: str) -> Batch:
        """Put some clips on the device, as float32."""

        def tensor(values: NDArray[Any]) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values[indices])).to(device, torch.float32)

        return Batch(
            visual=tuple(tensor(values) for values in self.visual),
            labels=torch.from_numpy(self.labels[indices]).to(device),
            target=None if self.target is None else tensor(self.target),
            waveform=None if self.waveform is None else tensor(self.waveform),
            clips=tuple(indices.tolist()),
        )

    def batches(
        self, indices: NDArray[np.int64], size: int, device: str
    ) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """Go through some clips in batches, with their indices."""
        for start in range(0, len(indices), size):
            chosen = indices[start : start + size]
            yield chosen, self.batch(chosen, device)

    def spec(
        self, *, n_bins: int, n_audio_frames: int, sample_rate_hz: int, levels: Levels | None = None
    ) -> DataSpec:
        """Shapes of these clips."""
        return DataSpec(
            classes=self.classes,
            visual_dims=tuple(values.shape[2] for values in self.visual),
            n_visual_steps=tuple(values.shape[1] for values in self.visual),
            visual_hz=self.visual_hz,
            n_bins=n_bins,
            n_audio_frames=n_audio_frames,
            sample_rate_hz=sample_rate_hz,
            duration_s=self.rows[0].duration_s,
            levels=levels,
        )


def read_clips(rows_paths: Sequence[str]) -> list[Clip]:
    """All clips of the shards' tables, sorted by id."""
    rows = [row for path in rows_paths for row in read_rows(path, Clip)]
    if not rows:
        raise StoreError(f"no clip in {', '.join(map(str, rows_paths))}")
    return sorted(rows, key=lambda row: row.clip_id)


def read_examples(
    *,
    rows_paths: Sequence[str],
    visual: Sequence[str],
    visual_paths: Sequence[str],
    audio_paths: Sequence[str] = (),
    clips_paths: Sequence[str] = (),
    labels: Sequence[str] = (),
) -> Examples:
    """Read what experiments learn from.

    A clip that any of the shards lacks was left out upstream, and is left out here.

    Parameters
    ----------
    rows_paths : sequence of str
        Tables of clips, one a shard.
    visual : sequence of str
        Names of visual features.
    visual_paths : sequence of str
        Their shards: all of the first feature, then all of the second, and so on.
    audio_paths : sequence of str
        Shards of the target representation; empty when only predicting.
    clips_paths : sequence of str
        Shards of clips, where waveforms are wanted.
    labels : sequence of str
        Only clips of these classes; empty means all.

    Returns
    -------
    clips : Examples
        Sorted by clip.

    Raises
    ------
    ConfigError
        If no clip has one of the labels.
    StoreError
        If no clip is left, or features of two clips differ in shape.
    """
    rows = _labelled(read_clips(rows_paths), labels)
    classes = tuple(sorted({row.label for row in rows}))
    per_feature = len(visual_paths) // len(visual) if visual else 0
    sets = [
        ShardSet(list(visual_paths[number * per_feature : (number + 1) * per_feature]), keep_open=True)
        for number in range(len(visual))
    ]
    audio = ShardSet(list(audio_paths), keep_open=True) if audio_paths else None
    clips = ShardSet(list(clips_paths), keep_open=True) if clips_paths else None
    needed = [*sets, *(s for s in (audio, clips) if s is not None)]
    kept = [row for row in rows if all(row.clip_id in shards for shards in needed)]
    if not kept:
        raise StoreError(
            "no clip has all the features that the experiment needs; see failures.tsv and the logs"
        )
    if len(kept) < len(rows):
        logger.warning("%d of %d clips have all features", len(kept), len(rows))
    ids = [row.clip_id for row in kept]
    return Examples(
        rows=kept,
        classes=classes,
        visual=tuple(_stacked(shards, ids, "features") for shards in sets),
        visual_hz=tuple(_rate_hz(shards, ids[0]) for shards in sets),
        target=None if audio is None else _stacked(audio, ids, "features"),
        waveform=None if clips is None else _stacked(clips, ids, "audio"),
    )


def _labelled(rows: list[Clip], labels: Sequence[str]) -> list[Clip]:
    if not labels:
        return rows
    known = sorted({row.label for row in rows})
    for label in labels:
        if label not in known:
            raise ConfigError(f"labels: no clip is labelled {label!r}; there are {', '.join(known)}")
    return [row for row in rows if row.label in labels]


def _stacked(shards: ShardSet, ids: list[str], name: str) -> NDArray[Any]:
    arrays = [shards.read(clip_id, name) for clip_id in ids]
    for clip_id, array in zip(ids, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise StoreError(
                f"{shards.reader(clip_id).path}: {clip_id} has shape {array.shape}, {ids[0]} has "
                f"{arrays[0].shape}; delete the file and run again"
            )
    return np.stack(arrays)


def _rate_hz(shards: ShardSet, clip_id: str) -> float:
    times = shards.read(clip_id, "timestamps_s")
    return float((len(times) - 1) / (times[-1] - times[0])) if len(times) > 1 else 0.0
