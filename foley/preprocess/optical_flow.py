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
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import foley
from foley.errors import FoleyError, MediaError
from foley.features.engines.devices import device_for_job
from foley.media.paths import media_path
from foley.media.reasons import Reason
from foley.media.video import Picture, iterate_frames
from foley.preprocess.flow import PRESETS, one_thread
from foley.preprocess.flow_config import FlowConfig
from foley.provenance import code_digest, file_sha256
from foley.store.shards import ShardReader, write_shard

Grey = NDArray[np.uint8]
Flow = NDArray[np.float32]

_SLACK_S = 1e-6


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


def to_grey(picture: Picture, config: FlowConfig) -> Grey:
    """Squeeze a picture to the size of the flow and take its colours away.

    Parameters
    ----------
    picture : ndarray of uint8, shape (height, width, 3)
        RGB, any size.
    config : FlowConfig

    Returns
    -------
    ndarray of uint8, shape (height_px, width_px)
        Averaged over areas where it shrinks: skipped pixels would flicker, which looks like motion.
    """
    shrinks = picture.shape[0] > config.height_px and picture.shape[1] > config.width_px
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = cv2.resize(picture, (config.width_px, config.height_px), interpolation=method)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def on_screen(times_s: NDArray[np.float64], config: FlowConfig, duration_s: float) -> NDArray[np.int64]:
    """Which picture is on the screen at each instant that flow is estimated from or to.

    Parameters
    ----------
    times_s : ndarray of float64, shape (n,)
        When each picture is first shown, from the clip's start; increasing.
    config : FlowConfig
    duration_s : float
        Length of the clip.

    Returns
    -------
    ndarray of int64, shape (round(fps * duration_s),)
        Numbers of pictures; before the first one is shown, that one.
    """
    wanted_s = np.arange(round(config.fps * duration_s)) / config.fps
    return np.maximum(np.searchsorted(times_s - _SLACK_S, wanted_s, side="right") - 1, 0)


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
    pictures = iterate_frames(
        path, start_s=start_s, end_s=start_s + duration_s, with_previous=True, period_s=period_s
    )
    shown = [(time_s - start_s, to_grey(picture, config)) for time_s, picture in pictures]
    if not shown:
        raise MediaError(
            Reason.TOO_SHORT,
            f"{path}: no picture between {start_s} s and {start_s + duration_s} s; move the window",
        )
    times_s = np.array([time_s for time_s, _ in shown], dtype=np.float64)
    return np.stack([shown[index][1] for index in on_screen(times_s, config, duration_s)])


def estimate_flows(frames: Grey, config: FlowConfig, device: str = "cpu") -> Iterator[Flow]:
    """Estimate the flow from each picture to the next.

    Parameters
    ----------
    frames : ndarray of uint8, shape (n, height, width)
        Grey.
    config : FlowConfig
        Method and its parameters; rate and size are those of `frames`.
    device : str
        ``cpu`` or torch's name of an accelerator, for TV-L1 by torch.

    Yields
    ------
    ndarray of float32, shape (n_pairs, 2, height, width)
        Pixels to the right and pixels down, some pairs at a time, in order, ``n - 1`` in all.
    """
    if config.by_torch:
        import torch  # takes seconds, and DIS needs none of it

        from foley.preprocess.tvl1 import tvl1

        size = config.batch_size if device != "cpu" else 1
        for start in range(0, len(frames) - 1, size):
            batch = torch.from_numpy(frames[start : start + size + 1]).to(device)
            yield tvl1(batch[:-1], batch[1:], config.tvl1).cpu().numpy()
        return
    estimator = _opencv(config)
    for first, second in pairwise(frames):
        with one_thread():
            flow = estimator.calc(first, second, None)
        yield np.ascontiguousarray(flow.transpose(2, 0, 1)[None], dtype=np.float32)


def _opencv(config: FlowConfig) -> Any:
    """Estimator of OpenCV."""
    if config.method == "dis":
        return cv2.DISOpticalFlow.create(PRESETS[config.preset])
    from foley.preprocess.tvl1 import tvl1_opencv

    return tvl1_opencv(config.tvl1)


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
        ``cpu``, ``cuda`` (a GPU that no other job of Foley works on) or ``cuda:<index>``; OpenCV's
        methods work on the CPU.

    Raises
    ------
    ConfigError
        If the device is not there.
    """
    place = "cpu"
    if config.by_torch:
        import torch

        place = device_for_job(device)
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
        return {"flow": flow_clip(frames, config, place), "timestamps_s": times_s}, clip

    write_shard(flow_path, attributes, clips.items, make)
