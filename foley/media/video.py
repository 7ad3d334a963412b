"""Reading pictures in order, by their time stamps."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.errors import MediaError
from foley.media.ffmpeg import open_media, picture_start, picture_stream, shown, shown_at
from foley.media.reasons import Reason

Picture = NDArray[np.uint8]
_SLACK_S = 1e-6
"""Time stamps are rounded: a picture this much before a window's start still belongs to it."""


def iterate_frames(
    path: str | Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    size_px: int | None = None,
    with_previous: bool = False,
) -> Iterator[tuple[float, Picture]]:
    """Decode the pictures that are first shown in ``[start_s, end_s)``, in order.

    Parameters
    ----------
    path : str or Path
    start_s, end_s : float
        Window on the picture's clock (0 is the first picture), in seconds; no `end_s` reads to
        the end. Any frame rate, variable too: time stamps decide, never a count.
    size_px : int or None
        Squeeze each picture to a square of this many pixels (area averaging) before anything else
        is done with it; ``None`` keeps its size.
    with_previous : bool
        Give also the picture that is already on the screen at `start_s`, first, with its own time.

    Yields
    ------
    time_s : float
        Strictly increasing.
    picture : ndarray of uint8, shape (height, width, 3)
        RGB, turned upright as the file asks.

    Raises
    ------
    MediaError
        ``no_video``, ``decode_error`` and what opening the file can raise.
    """
    start = picture_start(path)
    if start is None:
        raise MediaError(Reason.NO_VIDEO, f"{shown(path)}: has no picture; give a video file")
    with open_media(path) as container:
        held: tuple[float, Any] | None = None
        for time_s, frame in _decode_from(container, path, start, start_s):
            if end_s is not None and time_s >= end_s - _SLACK_S:
                break
            if time_s < start_s - _SLACK_S:
                held = (time_s, frame) if with_previous else None
                continue
            if held is not None and time_s > start_s + _SLACK_S:
                yield held[0], _upright(held[1], size_px)
            held = None
            yield time_s, _upright(frame, size_px)
        if held is not None:
            yield held[0], _upright(held[1], size_px)


def read_frames(
    path: str | Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    size_px: int | None = None,
    with_previous: bool = False,
) -> tuple[Picture, NDArray[np.float64]]:
    """Decode a window's pictures into one array; see :func:`iterate_frames` for the parameters.

    Returns
    -------
    frames : ndarray of uint8, shape (n, height, width, 3)
        RGB.
    times_s : ndarray of float64, shape (n,)
        On the picture's clock.

    Raises
    ------
    MediaError
        ``too_short`` when no picture is shown in the window, and as :func:`iterate_frames`.
    """
    pairs = list(
        iterate_frames(path, start_s=start_s, end_s=end_s, size_px=size_px, with_previous=with_previous)
    )
    if not pairs:
        raise MediaError(
            Reason.TOO_SHORT, f"{shown(path)}: no picture between {start_s} s and {end_s} s; move the window"
        )
    times_s = np.array([time_s for time_s, _ in pairs], dtype=np.float64)
    return np.stack([picture for _, picture in pairs]), times_s


def frame_times(path: str | Path, *, start_s: float = 0.0, end_s: float | None = None) -> NDArray[np.float64]:
    """Times at which pictures are shown in ``[start_s, end_s)``, without decoding them.

    Returns
    -------
    ndarray of float64, shape (n,)
        Seconds on the picture's clock, strictly increasing; the same that :func:`read_frames`
        gives for a file that decodes.

    Raises
    ------
    MediaError
        ``no_video``, and what opening the file can raise.
    """
    start = picture_start(path)
    if start is None:
        raise MediaError(Reason.NO_VIDEO, f"{shown(path)}: has no picture; give a video file")
    with open_media(path) as container:
        stream = picture_stream(container)
        shown_packets = (packet for packet in container.demux(stream) if not packet.is_discard)
        stamps = {stamp for packet in shown_packets if (stamp := shown_at(packet)) is not None}
        base = stream.time_base
    times_s = np.array([float(stamp * base - start) for stamp in sorted(stamps)], dtype=np.float64)
    inside = times_s >= start_s - _SLACK_S
    if end_s is not None:
        inside &= times_s < end_s - _SLACK_S
    return times_s[inside]


def _decode_from(
    container: Any, path: str | Path, start: Fraction, start_s: float
) -> Iterator[tuple[float, Any]]:
    """Decode from the last key picture at or before `start_s`; from the top when seeking fails."""
    stream = picture_stream(container)
    if start_s > _SLACK_S:
        wanted = start + Fraction(start_s)
        container.seek(int(wanted / stream.time_base), stream=stream, backward=True)
        pairs = _timed(container, stream, path, start)
        first = next(pairs, None)
        if first is not None and first[0] <= start_s + _SLACK_S:
            yield first
            yield from pairs
            return
        container.seek(int(min(start, Fraction(0)) / stream.time_base), stream=stream, backward=True)
    yield from _timed(container, stream, path, start)


def _timed(container: Any, stream: Any, path: str | Path, start: Fraction) -> Iterator[tuple[float, Any]]:
    """Pair frames with their times; a frame that does not come later than the last is dropped."""
    last_s = -np.inf
    for frame in container.decode(stream):
        stamp = shown_at(frame)
        if stamp is None:
            raise MediaError(
                Reason.DECODE_ERROR,
                f"{shown(path)}: pictures carry no times; copy it into an .mkv or .mp4 file",
            )
        time_s = float(stamp * stream.time_base - start)
        if time_s > last_s:
            last_s = time_s
            yield time_s, frame


def _upright(frame: Any, size_px: int | None) -> Picture:
    """Convert a decoded frame to RGB, resize it, then turn it (turning small pictures is cheap)."""
    picture: Picture = frame.to_ndarray(format="rgb24")
    if size_px is not None:
        height, width = picture.shape[:2]
        enlarges = min(height, width) < size_px
        method = cv2.INTER_LINEAR if enlarges else cv2.INTER_AREA
        picture = cv2.resize(picture, (size_px, size_px), interpolation=method)
    n_quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, n_quarters)) if n_quarters else picture
