"""Optical flow between the pictures of a clip, as eight-bit maps.

REGNET (section 3) and Visual2Sound look at motion by TV-L1 flow. Here it is made as REGNET's code
makes it: pictures at 21.5 a second squeezed to 340 x 256, grey, OpenCV's TV-L1 with the parameters
that it has by default, cut off at 20 pixels, 255 steps. What that code does with files is left out:
pictures and maps pass through no JPEG, and the rate is changed by time stamps.

``engine: torch`` is our own TV-L1 (:mod:`foley.preprocess.tvl1`), which agrees with OpenCV's, costs a
third of it on a CPU and runs on a GPU; ``engine: opencv`` is the reference; ``method: dis`` is a much
cheaper flow of another kind.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

import foley
from foley.errors import ConfigError, FoleyError, MediaError
from foley.media.paths import media_path
from foley.media.video import iterate_frames
from foley.preprocess.flow import PRESETS, one_thread
from foley.preprocess.tvl1 import TvL1Config, tvl1, tvl1_opencv
from foley.provenance import code_digest, file_sha256
from foley.store.shards import ShardReader, write_shard

Grey = NDArray[np.uint8]
Flow = NDArray[np.float32]

_SLACK_S = 1e-6


class FlowConfig(BaseModel):
    """How flow is estimated and stored; the defaults are REGNET's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["tvl1", "dis"] = Field("tvl1", description="TV-L1, or dense inverse search")
    engine: Literal["torch", "opencv"] = Field("torch", description="who computes TV-L1; DIS is OpenCV's")
    fps: float = Field(21.5, gt=0, description="pictures a second between which flow is estimated")
    width_px: int = Field(340, ge=16, description="pictures are squeezed to this size first")
    height_px: int = Field(256, ge=16)
    bound_px: float = Field(20.0, gt=0, description="faster motion is cut off")
    tvl1: TvL1Config = TvL1Config()
    preset: Literal["ultrafast", "fast", "medium"] = Field("medium", description="effort of DIS")
    batch_size: int = Field(32, ge=1, description="pairs at a time on a GPU; on a CPU one is fastest")


def to_bytes(flow: NDArray[Any], bound_px: float) -> Grey:
    """Store a flow in eight bits: ``-bound_px`` becomes 0, no motion 128, ``bound_px`` 255.

    Parameters
    ----------
    flow : ndarray of float, any shape
        Pixels.
    bound_px : float
        Larger motion is cut off.

    Returns
    -------
    ndarray of uint8, same shape
        No motion lies at 127.5, which rounds to the even 128: the value that the networks that look
        at flow take for zero.

    Examples
    --------
    >>> to_bytes(np.array([-30.0, -20.0, 0.0, 10.0, 20.0]), 20.0).tolist()
    [0, 0, 128, 191, 255]
    """
    cut = np.clip(flow, -bound_px, bound_px)
    return np.asarray(np.rint((cut + bound_px) * (255 / (2 * bound_px))), dtype=np.uint8)


def from_bytes(stored: NDArray[np.uint8], bound_px: float) -> Flow:
    """Undo :func:`to_bytes`, up to half a step of ``2 * bound_px / 255``.

    Parameters
    ----------
    stored : ndarray of uint8, any shape
    bound_px : float

    Returns
    -------
    ndarray of float32, same shape
        Pixels.
    """
    return stored.astype(np.float32) * np.float32(2 * bound_px / 255) - np.float32(bound_px)


def grey_frames(
    path: str | Path, *, start_s: float, duration_s: float, config: FlowConfig, period_s: float | None = None
) -> Grey:
    """Decode the grey pictures of a clip at the rate of the flow.

    Parameters
    ----------
    path : path
        Video file.
    start_s, duration_s : float
        Window on the picture's clock.
    config : FlowConfig
    period_s : float or None
        The film is played from its start again every so many seconds.

    Returns
    -------
    ndarray of uint8, shape (round(fps * duration_s), height_px, width_px)
        What is on the screen at ``start_s + k / fps``; before the file's first picture, that one.

    Raises
    ------
    MediaError
        If the file cannot be decoded, or shows nothing in the window.
    """
    times_s = start_s + np.arange(round(config.fps * duration_s)) / config.fps
    frames = np.empty((len(times_s), config.height_px, config.width_px), dtype=np.uint8)
    n_filled = 0
    shown: Grey | None = None
    pictures = iterate_frames(
        path, start_s=start_s, end_s=start_s + duration_s, with_previous=True, period_s=period_s
    )
    for time_s, picture in pictures:
        n_before = int(np.searchsorted(times_s, time_s - _SLACK_S))
        if shown is not None and n_before > n_filled:
            frames[n_filled:n_before] = shown
            n_filled = n_before
        small = cv2.resize(picture, (config.width_px, config.height_px), interpolation=cv2.INTER_LINEAR)
        shown = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    if shown is None:
        raise MediaError(
            "too_short",
            f"{path}: no picture between {start_s} s and {start_s + duration_s} s; move the window",
        )
    frames[n_filled:] = shown
    return frames


def estimate_flows(frames: Grey, config: FlowConfig, device: str = "cpu") -> Iterator[Flow]:
    """Estimate the flow from each picture to the next.

    Parameters
    ----------
    frames : ndarray of uint8, shape (n, height, width)
        Grey.
    config : FlowConfig
        Method and its parameters; rate and size are those of `frames`.
    device : str
        ``cpu`` or ``cuda``, for TV-L1 by torch.

    Yields
    ------
    ndarray of float32, shape (n_pairs, 2, height, width)
        Pixels to the right and pixels down, some pairs at a time, in order, ``n - 1`` in all.
    """
    if config.method == "tvl1" and config.engine == "torch":
        size = config.batch_size if device != "cpu" else 1
        for start in range(0, len(frames) - 1, size):
            batch = torch.from_numpy(frames[start : start + size + 1]).to(device)
            yield tvl1(batch[:-1], batch[1:], config.tvl1).cpu().numpy()
        return
    estimator = (
        tvl1_opencv(config.tvl1)
        if config.method == "tvl1"
        else cv2.DISOpticalFlow.create(PRESETS[config.preset])
    )
    for first, second in pairwise(frames):
        with one_thread():
            flow = estimator.calc(first, second, None)
        yield np.ascontiguousarray(flow.transpose(2, 0, 1)[None], dtype=np.float32)


def flow_clip(frames: Grey, config: FlowConfig, device: str = "cpu") -> Grey:
    """Make the stored flow of a clip.

    Parameters
    ----------
    frames : ndarray of uint8, shape (n, height, width)
        At least two grey pictures.
    config : FlowConfig
    device : str

    Returns
    -------
    ndarray of uint8, shape (n - 1, 2, height, width)
        See :func:`to_bytes`.

    Raises
    ------
    FoleyError
        If there are fewer than two pictures.
    """
    if len(frames) < 2:
        raise FoleyError(f"flow needs two pictures or more, got {len(frames)}; raise flows.*.fps")
    return np.concatenate([to_bytes(f, config.bound_px) for f in estimate_flows(frames, config, device)])


def compute_shard(
    *,
    clips_path: str | Path,
    data_dir: str | Path,
    config: FlowConfig,
    flow_path: str | Path,
    n_threads: int = 1,
    device: str = "cpu",
) -> None:
    """Make the flow of every clip of a shard.

    A clip whose raw file no longer decodes is left out, with a warning in the log.

    Parameters
    ----------
    clips_path : path
        Shard of clips: attributes ``path``, ``start_s``, ``duration_s``.
    data_dir : path
        Folder that relative raw paths start from.
    config : FlowConfig
    flow_path : path
        Shard to write: item ``flow (n - 1, 2, height_px, width_px)`` uint8 for the
        ``n = round(fps * duration_s)`` pictures of the clip, ``timestamps_s (n - 1,)`` float64 of each
        pair's first picture, and the clip's attributes. REGNET's code has one map fewer than pictures
        too, and fills the features up with zeros.
    n_threads : int
        Threads of torch.
    device : str
        ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        If the device is not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda' is not there; set device: cpu")
    torch.set_num_threads(n_threads)
    clips = ShardReader(clips_path)
    attributes = {
        "config": config.model_dump(mode="json"),
        "clips_sha256": file_sha256(clips_path),
        "code": code_digest([__name__], Path(foley.__file__).parents[1]),
    }

    def make(clip_id: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        clip = clips.item_attributes(clip_id)
        frames = grey_frames(
            media_path(data_dir, clip["path"]),
            start_s=clip["start_s"],
            duration_s=clip["duration_s"],
            config=config,
            period_s=clip.get("period_s"),
        )
        times_s = np.arange(len(frames) - 1, dtype=np.float64) / config.fps
        return {"flow": flow_clip(frames, config, device), "timestamps_s": times_s}, clip

    write_shard(flow_path, attributes, clips.items, make)
