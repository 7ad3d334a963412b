"""Raise the picture rate, so that there are as many pictures as sound frames.

AutoFoley section III-B.1a: intermediate pictures keep the motion that repeating pictures would
lose. The paper names FFmpeg's ``minterpolate``; ``flow`` gives the same quality at a small fraction
of its cost (see :mod:`foley.preprocess.flow`), ``blend`` and ``repeat`` are the cheap references.
Everything goes by time stamps, never by counting, so that a variable picture rate is no special
case: the pictures of a clip are those at ``k / fps`` for ``k < round(fps * duration_s)``.
"""

import tempfile
from pathlib import Path
from typing import Any, Literal

import ffmpeg
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

import foley
from foley.errors import FoleyError
from foley.media.ffmpeg import file_url, run_ffmpeg
from foley.media.paths import media_path
from foley.media.video import read_frames
from foley.preprocess.flow import PairFlow, Picture, Source, between, blend, estimate, one_thread
from foley.provenance import code_digest, file_sha256
from foley.store.shards import ShardReader, write_shard


class InterpolationConfig(BaseModel):
    """How pictures between pictures are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["flow", "blend", "repeat", "minterpolate"] = Field(
        "flow",
        description="along the optical flow; linear mix; hold the picture on the screen; FFmpeg's filter",
    )
    fps: float = Field(190.0, gt=0, description="pictures a second that are made")
    max_gap_s: float = Field(
        0.25, gt=0, description="over longer gaps between pictures the earlier one is held, as a player does"
    )
    preset: Literal["ultrafast", "fast", "medium"] = Field(
        "ultrafast", description="effort of the flow search"
    )
    still_level: float = Field(
        0.6, ge=0, description="mean absolute difference, of 255 levels, below which pictures are just mixed"
    )
    cut_correlation: float = Field(
        0.4, ge=-1, le=1, description="below it, after motion is undone, the scene was cut: nearest picture"
    )
    every: int = Field(1, ge=1, description="only pictures 0, every, 2 * every, ... and the last are stored")


def target_times(duration_s: float, fps: float) -> NDArray[np.float64]:
    """Times of the pictures that are made.

    Returns
    -------
    ndarray of float64, shape (round(fps * duration_s),)
        ``k / fps`` seconds from the clip's start.

    Examples
    --------
    >>> len(target_times(3.0, 190.0))
    570
    """
    return np.arange(round(fps * duration_s), dtype=np.float64) / fps


def kept_frames(n_frames: int, config: InterpolationConfig) -> NDArray[np.int64]:
    """Pictures of a clip that a picture shard holds, ascending.

    The last one is always among them: past a clip's end it stands for what would follow.

    Returns
    -------
    ndarray of int64, shape (m,)

    Examples
    --------
    >>> kept_frames(15, InterpolationConfig(every=6)).tolist()
    [0, 6, 12, 14]
    """
    return np.append(np.arange(0, n_frames - 1, config.every, dtype=np.int64), n_frames - 1)


def interpolate_clip(
    frames: Picture,
    times_s: NDArray[np.float64],
    *,
    duration_s: float,
    config: InterpolationConfig,
    wanted: NDArray[np.int64] | None = None,
    device: str = "cpu",
) -> Picture:
    """Make the pictures of a clip at a constant, higher rate.

    Parameters
    ----------
    frames : ndarray of uint8, shape (n_source, height, width, 3)
        RGB source pictures.
    times_s : ndarray of float64, shape (n_source,)
        When each is first shown, from the clip's start; strictly increasing. The first may lie
        before 0 (already on the screen) and the last after the end (it helps the one before).
    duration_s : float
        Length of the clip.
    config : InterpolationConfig
        Method and rate.
    wanted : ndarray of int, optional
        Only these pictures are asked for (the same, bit for bit); the rest may be left black.
    device : str
        Where method ``flow`` draws: ``cpu`` (OpenCV), or PyTorch's name of an accelerator. The
        search for motion stays on the CPU (see :mod:`foley.preprocess.flow_torch`).

    Returns
    -------
    ndarray of uint8, shape (round(fps * duration_s), height, width, 3)
        RGB. Before the first source picture it is shown early; after the last it is held.

    Raises
    ------
    FoleyError
        If there is no picture, or times and pictures do not fit together.
    """
    if len(frames) == 0 or len(frames) != len(times_s) or (np.diff(times_s) <= 0).any():
        raise FoleyError(
            f"interpolation needs pictures with strictly increasing times, got {len(frames)} pictures "
            f"and {len(times_s)} times"
        )
    targets = target_times(duration_s, config.fps)
    made = np.zeros((len(targets), *frames.shape[1:]), dtype=np.uint8)
    if config.method == "minterpolate":
        made[:] = _minterpolate(frames, times_s, len(targets), config)
        return made
    chosen = np.arange(len(targets)) if wanted is None else np.asarray(wanted)
    with one_thread():
        _fill(made, frames, times_s, targets, chosen, config, device)
    return made


def _fill(
    made: Picture,
    frames: Picture,
    times_s: NDArray[np.float64],
    targets: NDArray[np.float64],
    chosen: NDArray[np.int64],
    config: InterpolationConfig,
    device: str,
) -> None:
    """Make the chosen pictures, one source pair after the other."""
    # A nanosecond of slack: times that are equal on paper must not fall on either side by rounding.
    left = np.searchsorted(times_s, targets[chosen] + 1e-9, side="right") - 1
    sources: dict[int, Source] = {}
    left_for_device: list[tuple[int, PairFlow, float]] = []
    for source in np.unique(left).tolist():
        indices = chosen[left == source].tolist()
        if source < 0 or not _mixes(times_s, source, config):
            made[indices] = frames[max(source, 0)]
            continue
        span_s = times_s[source + 1] - times_s[source]
        shares = [max(0.0, float((targets[index] - times_s[source]) / span_s)) for index in indices]
        if config.method == "blend" or max(shares) == 0:
            for index, share in zip(indices, shares, strict=True):
                made[index] = blend(frames[source], frames[source + 1], share)
            continue
        sources = {k: sources.get(k) or Source(frames[k]) for k in (source, source + 1)}
        pair = estimate(
            sources[source],
            sources[source + 1],
            preset=config.preset,
            still_level=config.still_level,
            cut_correlation=config.cut_correlation,
        )
        for index, share in zip(indices, shares, strict=True):
            if device == "cpu":
                between(pair, share, made[index])
            else:
                left_for_device.append((index, pair, share))
    if left_for_device:
        from foley.preprocess.flow_torch import between_all  # PyTorch takes seconds to import

        indices, pairs, shares = (list(column) for column in zip(*left_for_device, strict=True))
        made[indices] = between_all(pairs, shares, device=device)


def _mixes(times_s: NDArray[np.float64], source: int, config: InterpolationConfig) -> bool:
    """Tell whether pictures after `source` are mixed with the next one, or `source` is held."""
    if config.method == "repeat" or source + 1 >= len(times_s):
        return False
    return bool(times_s[source + 1] - times_s[source] <= config.max_gap_s)


def _minterpolate(
    frames: Picture, times_s: NDArray[np.float64], n_targets: int, config: InterpolationConfig
) -> Picture:
    """Run FFmpeg's ``minterpolate`` (motion-compensated) on the clip.

    The filter takes a constant rate: pictures are first held on the grid of the usual interval. It
    loses the tail, so the last picture is repeated before it and the surplus is cut after it.
    """
    usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1 / config.fps
    source_fps = round(1 / usual_s, 3)
    n_source = max(2, round(n_targets / config.fps * source_fps))
    shown = np.searchsorted(times_s, np.arange(n_source) / source_fps + 0.01 * usual_s, side="right") - 1
    steady = frames[np.maximum(shown, 0)]
    height, width = frames.shape[1:3]
    with tempfile.TemporaryDirectory(prefix="foley-") as folder:
        raw = Path(folder) / "frames.rgb"
        raw.write_bytes(np.ascontiguousarray(steady).tobytes())
        stream = ffmpeg.input(
            file_url(raw), format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=source_fps
        )
        stream = (
            stream.filter("tpad", stop_mode="clone", stop=4)
            .filter("minterpolate", fps=config.fps, mi_mode="mci")
            .filter("trim", end_frame=n_targets)
        )
        output = run_ffmpeg(
            stream.output("pipe:", format="rawvideo", pix_fmt="rgb24", threads=1), "interpolated clip"
        )
    made = np.frombuffer(output, dtype=np.uint8).reshape(-1, height, width, 3)
    if len(made) < n_targets:
        raise FoleyError(
            f"minterpolate made {len(made)} pictures of {n_targets}; use method flow for clips this short"
        )
    return made


def read_clip(
    *,
    path: str | Path,
    start_s: float,
    duration_s: float,
    size_px: int,
    config: InterpolationConfig,
    period_s: float | None = None,
) -> tuple[Picture, NDArray[np.float64]]:
    """Decode the source pictures of a clip.

    Reads from the picture that is on the screen at the start to the first one after the end, so
    that the clip's first and last moments are interpolated like the others.

    Parameters
    ----------
    path : path
        Video file.
    start_s, duration_s : float
        Window on the picture's clock.
    size_px : int
        Pictures are squeezed to a square of this side.
    config : InterpolationConfig
        For the reach beyond the end.
    period_s : float or None
        The film is played from its start again every so many seconds.

    Returns
    -------
    frames : ndarray of uint8, shape (n, size_px, size_px, 3)
        RGB.
    times_s : ndarray of float64, shape (n,)
        Relative to `start_s`.

    Raises
    ------
    MediaError
        If the file cannot be decoded or shows nothing in the window.
    """
    end_s = start_s + duration_s
    frames, times_s = read_frames(
        path,
        start_s=start_s,
        end_s=end_s + config.max_gap_s,
        size_px=size_px,
        with_previous=True,
        period_s=period_s,
    )
    times_s = times_s - start_s
    n_used = int(np.searchsorted(times_s, duration_s)) + 1
    return frames[:n_used], times_s[:n_used]


def clip_frames(
    attributes: dict[str, Any],
    *,
    data_dir: str | Path,
    size_px: int,
    config: InterpolationConfig,
    wanted: NDArray[np.int64] | None = None,
    device: str = "cpu",
) -> Picture:
    """Decode and interpolate one clip of a shard.

    Parameters
    ----------
    attributes : dict
        The clip's: ``path`` (encoded, relative to `data_dir` or absolute), ``start_s``,
        ``duration_s``, and ``period_s`` where the film is played again and again: the step from its
        last picture to its first is then a cut of the film like any other.
    data_dir : path
        Folder of raw files.
    size_px : int
        Side of the square pictures.
    config : InterpolationConfig
        Method and rate.
    wanted : ndarray of int, optional
        Only these pictures are made.
    device : str
        As for :func:`interpolate_clip`.

    Returns
    -------
    ndarray of uint8, shape (round(fps * duration_s), size_px, size_px, 3)

    Raises
    ------
    MediaError
        If the raw file cannot be decoded.
    """
    frames, times_s = read_clip(
        path=media_path(data_dir, attributes["path"]),
        start_s=attributes["start_s"],
        duration_s=attributes["duration_s"],
        size_px=size_px,
        config=config,
        period_s=attributes.get("period_s"),
    )
    duration_s = attributes["duration_s"]
    return interpolate_clip(
        frames, times_s, duration_s=duration_s, config=config, wanted=wanted, device=device
    )


def interpolate_shard(
    *,
    clips_path: str | Path,
    data_dir: str | Path,
    config: InterpolationConfig,
    size_px: int,
    frames_path: str | Path,
) -> None:
    """Decode and interpolate every clip of a shard.

    A clip whose raw file no longer decodes is left out, with a warning in the log.

    Parameters
    ----------
    clips_path : path
        Shard of clips: attributes ``path``, ``start_s``, ``duration_s``.
    data_dir : path
        Folder that relative raw paths start from.
    config : InterpolationConfig
        Method and rate.
    size_px : int
        Side of the square pictures.
    frames_path : path
        Shard to write: item ``frames (n, size_px, size_px, 3)`` uint8 RGB, ``timestamps_s (n,)``
        float64, ``frame_index (n,)`` int64 (see :func:`kept_frames`), and the clip's attributes.
    """
    clips = ShardReader(clips_path)
    attributes = {
        "config": config.model_dump(mode="json"),
        "size_px": size_px,
        "clips_sha256": file_sha256(clips_path),
        "code": code_digest([__name__], Path(foley.__file__).parents[1]),
    }

    def make(clip_id: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        clip = clips.item_attributes(clip_id)
        times_s = target_times(clip["duration_s"], config.fps)
        kept = kept_frames(len(times_s), config)
        frames = clip_frames(clip, data_dir=data_dir, size_px=size_px, config=config, wanted=kept)
        return {"frames": frames[kept], "timestamps_s": times_s[kept], "frame_index": kept}, clip

    write_shard(frames_path, attributes, clips.items, make, durable=False)
