"""From raw films to features in one pass: no picture is ever stored.

Each clip is decoded, squeezed, interpolated and stacked by worker threads (PyAV, OpenCV and NumPy
release the interpreter while they compute), a few clips ahead of the image networks, which run in the
calling thread and write. No more clips are in memory than there are workers, plus two, however long
the shard. Decoding is PyAV's: it was as fast as decord2 on real clips (``docs/benchmarks.md``) and
gives exact times of variable rates and edit lists.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from foley.errors import MediaError
from foley.features.visual import (
    Backbone,
    BackboneConfig,
    Kind,
    Picture,
    frames_looked_at,
    load_backbone,
    resize_pictures,
    rows_wanted,
    shard_attributes,
)
from foley.preprocess.flow import one_thread
from foley.preprocess.interpolation import InterpolationConfig, clip_frames, target_times
from foley.preprocess.spacetime import SpacetimeConfig, image_frames, make_images
from foley.provenance import file_sha256
from foley.store.shards import ShardReader, ShardWriter

logger = logging.getLogger(__name__)

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class FeatureJob:
    """One feature shard to make: which network, of which pictures, into which file."""

    config: BackboneConfig
    kind: Kind
    features_path: str | Path


@dataclass(frozen=True)
class PictureSource:
    """Where a shard's pictures come from, and how they are made.

    Parameters
    ----------
    clips_path : path
        Shard of clips: attributes ``path``, ``start_s``, ``duration_s``.
    data_dir : path
        Folder that relative raw paths start from.
    interpolation : InterpolationConfig
        How pictures between pictures are made.
    spacetime : SpacetimeConfig
        How they are stacked; used by kind ``spacetime``.
    size_px : int
        Side of the interpolated pictures.
    """

    clips_path: str | Path
    data_dir: str | Path
    interpolation: InterpolationConfig
    spacetime: SpacetimeConfig
    size_px: int


@dataclass(frozen=True)
class _Seen:
    """What one job looks at in a clip: pictures of its network's size, and what they stand for."""

    pictures: Picture
    timestamps_s: NDArray[np.float64]
    frame_index: NDArray[np.int64]


@dataclass(frozen=True)
class _Clip:
    """A clip of the shard, the numbers of the jobs that lack it, and what each of them looks at."""

    clip_id: str
    attributes: dict[str, Any]
    todo: list[int]
    seen: list[_Seen] | MediaError


def extract_streamed(
    *,
    clips_path: str | Path,
    data_dir: str | Path,
    kind: Kind,
    interpolation: InterpolationConfig,
    spacetime: SpacetimeConfig,
    size_px: int,
    config: BackboneConfig,
    features_path: str | Path,
    n_threads: int = 1,
    device: str = "cpu",
) -> None:
    """Compute the features of every clip of a shard straight from the raw films.

    The numbers are those of :func:`foley.features.visual.extract_shard` on the pixel shards, without
    the pixel files.

    Parameters
    ----------
    clips_path, data_dir, interpolation, spacetime, size_px
        See :class:`PictureSource`.
    kind : str
        ``frames`` or ``spacetime``.
    config, features_path, n_threads, device
        As for :func:`foley.features.visual.extract_shard`.

    Raises
    ------
    ConfigError, StoreError
        As :func:`foley.features.visual.extract_shard`.
    """
    source = PictureSource(clips_path, data_dir, interpolation, spacetime, size_px)
    job = FeatureJob(config, kind, features_path)
    extract_streamed_together(source, [job], n_threads=n_threads, device=device)


def extract_streamed_together(
    source: PictureSource, jobs: Sequence[FeatureJob], *, n_threads: int = 1, device: str = "cpu"
) -> None:
    """Compute several feature shards while decoding and interpolating each film once.

    A clip whose raw file no longer decodes is left out, with a warning in the log.

    Parameters
    ----------
    source : PictureSource
        The films.
    jobs : sequence of FeatureJob
        What to make; each file is the one that :func:`extract_streamed` would write.
    n_threads : int
        Threads on the CPU. From two on, pictures are made while the network runs.
    device : str
        ``cpu``, ``cuda`` or ``cuda:<index>``.

    Raises
    ------
    ConfigError, StoreError
        As :func:`foley.features.visual.extract_shard`.
    """
    made_with = {
        "interpolation": source.interpolation.model_dump(mode="json"),
        "spacetime": source.spacetime.model_dump(mode="json"),
        "size_px": source.size_px,
        "clips_sha256": file_sha256(source.clips_path),
    }
    backbones = [load_backbone(job.config, device, n_threads=n_threads) for job in jobs]
    with ExitStack() as stack:
        # OpenCV's flow depends on its number of threads, which is one for the whole process: set it
        # before any worker does.
        stack.enter_context(one_thread())
        shards = []
        for job, backbone in zip(jobs, backbones, strict=True):
            attributes = shard_attributes(job.kind, job.config, backbone, made_with, __name__)
            shards.append(stack.enter_context(ShardWriter(job.features_path, attributes)))
        look = partial(_look, source=source, jobs=jobs, device=device)
        for clip in _ahead(look, _unfinished(source.clips_path, shards), _n_workers(n_threads, device)):
            _write(clip, backbones, shards)
    for job, backbone in zip(jobs, backbones, strict=True):
        logger.info("%s: engine %s, %s", job.features_path, backbone.engine, backbone.precision)


def _n_workers(n_threads: int, device: str) -> int:
    """Threads that make pictures: none beside a network on one thread, which has no time to spare."""
    if device != "cpu":
        return n_threads
    return n_threads // 2


def _unfinished(
    clips_path: str | Path, shards: list[ShardWriter]
) -> Iterator[tuple[str, dict[str, Any], list[int]]]:
    """Clips that at least one shard lacks, with the numbers of those shards."""
    clips = ShardReader(clips_path)
    for clip_id in clips.items:
        todo = [number for number, shard in enumerate(shards) if not shard.done(clip_id)]
        if todo:
            yield clip_id, clips.item_attributes(clip_id), todo


def _ahead(work: Callable[[A], B], items: Iterable[A], n_workers: int) -> Iterator[B]:
    """Work on items in order, by threads that are at most `n_workers` items ahead."""
    if n_workers == 0:
        yield from map(work, items)
        return
    waiting: deque[Future[B]] = deque()
    with ThreadPoolExecutor(n_workers, thread_name_prefix="pictures") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > n_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _look(
    item: tuple[str, dict[str, Any], list[int]],
    *,
    source: PictureSource,
    jobs: Sequence[FeatureJob],
    device: str,
) -> _Clip:
    """Make the pictures of one clip that the unfinished jobs want."""
    clip_id, clip, todo = item
    times_s = target_times(clip["duration_s"], source.interpolation.fps)
    wanted = [frames_looked_at(len(times_s), jobs[i].kind, jobs[i].config, source.spacetime) for i in todo]
    try:
        frames = clip_frames(
            clip,
            data_dir=source.data_dir,
            size_px=source.size_px,
            config=source.interpolation,
            wanted=np.unique(np.concatenate(wanted)),
            device=device,
        )
    except MediaError as error:
        return _Clip(clip_id, clip, todo, error)
    shown: dict[Kind, tuple[Picture, NDArray[np.int64]]] = {
        "frames": (frames, np.arange(len(frames), dtype=np.int64))
    }
    if any(jobs[i].kind == "spacetime" for i in todo):
        shown["spacetime"] = (
            make_images(frames, source.spacetime),
            image_frames(len(frames), source.spacetime),
        )
    seen = []
    for i in todo:
        pictures, index = shown[jobs[i].kind]
        rows = rows_wanted(source.clips_path, clip_id, index, jobs[i].config)
        evenly = slice(0, int(rows[-1]) + 1, int(rows[1]) if len(rows) > 1 else 1)  # a view, not a copy
        resized = resize_pictures(pictures[evenly], jobs[i].config.input_px)
        seen.append(_Seen(resized, times_s[index[rows]], index[rows]))
    return _Clip(clip_id, clip, todo, seen)


def _write(clip: _Clip, backbones: list[Backbone], shards: list[ShardWriter]) -> None:
    """Run the networks over a clip's pictures and store what they say."""
    if isinstance(clip.seen, MediaError):
        logger.warning("%s left out: %s", clip.clip_id, clip.seen)
        return
    for i, seen in zip(clip.todo, clip.seen, strict=True):
        arrays: dict[str, NDArray[Any]] = {
            "features": backbones[i](seen.pictures),
            "timestamps_s": seen.timestamps_s,
            "frame_index": seen.frame_index,
        }
        shards[i].write(clip.clip_id, arrays, clip.attributes)
