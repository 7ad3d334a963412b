"""Space-time images: the grey previous, current and next frame as one three-channel image.

AutoFoley section III-B.1b, after Owens et al. 2016: motion in a form that a network trained on
photographs takes, without optical flow.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

import foley
from foley.errors import FoleyError, StoreError
from foley.provenance import code_digest, file_sha256
from foley.store.shards import ShardReader, write_shard


class SpacetimeConfig(BaseModel):
    """Which frames are stacked, and how many images are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(1, ge=1, description="distance to the previous and the next frame, in frames")
    every: int = Field(1, ge=1, description="an image for frames 0, every, 2 * every, ...")


def image_frames(n_frames: int, config: SpacetimeConfig) -> NDArray[np.int64]:
    """Frames that an image is made for.

    Returns
    -------
    ndarray of int64, shape (m,)
        ``0, every, 2 * every, ...`` below `n_frames`.
    """
    return np.arange(0, n_frames, config.every, dtype=np.int64)


def frames_needed(n_frames: int, config: SpacetimeConfig) -> NDArray[np.int64]:
    """Frames that at least one image looks at, ascending."""
    centres = image_frames(n_frames, config)
    return np.unique(_neighbours(centres, n_frames, config.step))


def _neighbours(centres: NDArray[np.int64], n_frames: int, step: int) -> NDArray[np.int64]:
    """Previous, current and next frame of each centre, shape (m, 3); the ends repeat."""
    wanted = centres[:, None] + np.array([-step, 0, step])
    return np.asarray(np.clip(wanted, 0, n_frames - 1), dtype=np.int64)


def make_images(
    frames: NDArray[np.uint8], config: SpacetimeConfig, frame_index: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """Stack grey neighbours into images.

    Parameters
    ----------
    frames : ndarray of uint8, shape (n, height, width, 3)
        RGB, in order. Frames that :func:`frames_needed` leaves out are not looked at.
    config : SpacetimeConfig
        Which neighbours, and for which frames.
    frame_index : ndarray of int64, shape (n,), optional
        Which frames of the clip these are, ascending, the clip's last one among them; all by
        default.

    Returns
    -------
    ndarray of uint8, shape (m, height, width, 3)
        Channels grey(t - step), grey(t), grey(t + step) with the luma of Rec. 601; at the ends of
        the clip the first or last frame is repeated.

    Raises
    ------
    FoleyError
        If `frames` is not an array of RGB pictures, or a frame that is looked at is not among them.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise FoleyError(
            f"space-time images need uint8 RGB frames (n, h, w, 3), got {frames.dtype} {frames.shape}"
        )
    held = np.arange(len(frames), dtype=np.int64) if frame_index is None else frame_index
    n_frames = int(held[-1]) + 1
    needed = frames_needed(n_frames, config)
    missing = np.setdiff1d(needed, held)
    if missing.size:
        raise FoleyError(
            f"space-time images of step {config.step} for every {config.every}th frame look at frame "
            f"{missing[0]}, which is not stored; make interpolations.<name>.every a divisor of both"
        )
    rows = np.searchsorted(held, needed)
    grey = {
        int(i): cv2.cvtColor(frames[row], cv2.COLOR_RGB2GRAY) for i, row in zip(needed, rows, strict=True)
    }
    centres = image_frames(n_frames, config)
    images = np.empty((len(centres), *frames.shape[1:3], 3), dtype=np.uint8)
    for image, triple in zip(images, _neighbours(centres, n_frames, config.step), strict=True):
        cv2.merge([grey[int(i)] for i in triple], dst=image)
    return images


def make_shard(*, frames_path: str | Path, config: SpacetimeConfig, images_path: str | Path) -> None:
    """Make the space-time images of every clip of a shard.

    Parameters
    ----------
    frames_path : path
        Shard of interpolated frames (:func:`foley.preprocess.interpolation.interpolate_shard`).
    config : SpacetimeConfig
        Which images.
    images_path : path
        Shard to write: item ``images (m, px, px, 3)`` uint8, ``timestamps_s (m,)`` float64,
        ``frame_index (m,)`` int64.

    Raises
    ------
    StoreError
        If the shard lacks a frame that an image looks at.
    """
    reader = ShardReader(frames_path)
    attributes: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "frames": reader.attributes,
        "frames_sha256": file_sha256(frames_path),
        "code": code_digest([__name__], Path(foley.__file__).parents[1]),
    }

    def make(clip_id: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        frame_index = reader.read(clip_id, "frame_index")
        try:
            images = make_images(reader.read(clip_id, "frames"), config, frame_index)
        except FoleyError as error:
            raise StoreError(f"{frames_path}: {clip_id}: {error}") from error
        centres = image_frames(int(frame_index[-1]) + 1, config)
        times_s = reader.read(clip_id, "timestamps_s")[np.searchsorted(frame_index, centres)]
        arrays = {"images": images, "timestamps_s": times_s, "frame_index": centres}
        return arrays, reader.item_attributes(clip_id)

    write_shard(images_path, attributes, reader.items, make, durable=False)
