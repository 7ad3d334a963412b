"""Reading pictures in order, by their time stamps."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from foley.errors import MediaError
from foley.media.colour import to_standard_range
from foley.media.ffmpeg import HIGH_RANGES, open_media, picture_start, picture_stream, shown, shown_at
from foley.media.reasons import Reason

Picture = NDArray[np.uint8]
_SLACK_S = 1e-6
"""Time stamps are rounded: a picture this much before a window's start still belongs to it."""
_SURE_S = 0.5
"""Pictures are seldom on the screen for longer."""
_EXACT = Interpolation.ACCURATE_RND | Interpolation.BITEXACT
"""The same pixels from every processor."""


_GREY_FIRST = re.compile(r"gray|nv12|nv21|yuva?4[1-4][0-4]p|yuvj4[1-4][0-4]p")
"""Pixel formats whose first plane is the grey picture, a byte a pixel."""
_FULL_RANGE = 2
"""FFmpeg's number for grey levels that go from 0 to 255, not from 16 to 235."""


@dataclass(frozen=True)
class ShownPicture:
    """A decoded picture that is converted only when asked.

    Parameters
    ----------
    time_s : float
        On the picture's clock.
    frame : av.VideoFrame
        As decoded.
    """

    time_s: float
    frame: Any

    @property
    def is_damaged(self) -> bool:
        """True when the decoder had to guess parts of it."""
        return bool(self.frame.is_corrupt)

    def luma(self, size_px: int) -> NDArray[np.uint8]:
        """Grey picture, upright, squeezed to a square: uint8 (size_px, size_px), 0 black, 255 white."""
        frame = self.frame
        if _GREY_FIRST.fullmatch(frame.format.name):
            full = frame.format.name.startswith(("gray", "yuvj")) or frame.color_range == _FULL_RANGE
        else:
            frame, full = frame.reformat(format="gray", threads=1), True
        plane = frame.planes[0]
        grey = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
        small = cv2.resize(grey, (size_px, size_px), interpolation=cv2.INTER_AREA)
        if not full:
            small = cv2.convertScaleAbs(np.maximum(small, 16), alpha=255 / 219, beta=-16 * 255 / 219)
        return _turned(small, self.frame)

    def rgb(self, size_px: int | None = None) -> Picture:
        """Colour picture as :func:`iterate_frames` gives it."""
        return _upright(self.frame, size_px)


def iterate_pictures(path: str | Path) -> Iterator[ShownPicture]:
    """Decode every picture in order, and convert none: for passes that look at few of them.

    Parameters
    ----------
    path : str or Path

    Yields
    ------
    ShownPicture
        With strictly increasing times.

    Raises
    ------
    MediaError
        ``no_video``, ``decode_error`` and what opening the file can raise.
    """
    start = _first_picture(path)
    with open_media(path) as container:
        for time_s, frame in _timed(container, picture_stream(container), path, start):
            yield ShownPicture(time_s, frame)


def iterate_frames(
    path: str | Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    size_px: int | None = None,
    with_previous: bool = False,
    period_s: float | None = None,
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
    period_s : float or None
        The film is played from its start again every so many seconds: the window lies in what is then
        on the screen, which never ends without an `end_s`.

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
    if period_s is not None:
        yield from _again(path, period_s, start_s, end_s, size_px, with_previous)
        return
    start = _first_picture(path)
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


def _again(
    path: str | Path,
    period_s: float,
    start_s: float,
    end_s: float | None,
    size_px: int | None,
    with_previous: bool,
) -> Iterator[tuple[float, Picture]]:
    """Pictures of a window in a film that is played again and again; see :func:`iterate_frames`."""
    for number in count(max(0, math.floor((start_s + _SLACK_S) / period_s))):
        begin_s = number * period_s
        left_s = math.inf if end_s is None else end_s - begin_s
        if left_s <= _SLACK_S:
            return
        pairs = iterate_frames(
            path,
            start_s=max(start_s - begin_s, 0.0) if number else start_s,
            end_s=min(left_s, period_s),
            size_px=size_px,
            with_previous=with_previous,
        )
        for time_s, picture in pairs:
            yield begin_s + time_s, picture


def read_frames(
    path: str | Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    size_px: int | None = None,
    with_previous: bool = False,
    period_s: float | None = None,
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
        iterate_frames(
            path,
            start_s=start_s,
            end_s=end_s,
            size_px=size_px,
            with_previous=with_previous,
            period_s=period_s,
        )
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
    start = _first_picture(path)
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


def _first_picture(path: str | Path) -> Fraction:
    """Container time of the first picture, in seconds; MediaError ``no_video`` without one."""
    start = picture_start(path)
    if start is None:
        raise MediaError(Reason.NO_VIDEO, f"{shown(path)}: has no picture; give a video file")
    return start


def _decode_from(
    container: Any, path: str | Path, start: Fraction, start_s: float
) -> Iterator[tuple[float, Any]]:
    """Decode from the picture on the screen at `start_s`, or from the first one after it.

    Decoding can only begin at a key picture, often seconds earlier. On the way pictures that no other
    is made from are skipped, except shortly before the start; should the one on the screen turn out
    to be older than that, the way is gone again without skipping.
    """
    stream = picture_stream(container)
    if start_s <= _SLACK_S:
        yield from _timed(container, stream, path, start)
        return
    for skip_before_s in (start_s - _SURE_S, -np.inf):
        wanted = start + Fraction(start_s)
        container.seek(int(wanted / stream.time_base), stream=stream, backward=True)
        pairs = _timed(container, stream, path, start, skip_before_s)
        on_screen, following = None, next(pairs, None)
        while following is not None and following[0] <= start_s + _SLACK_S:
            on_screen, following = following, next(pairs, None)
        if on_screen is None:
            break  # seeking went too far, or nowhere
        if on_screen[0] < skip_before_s:
            continue
        yield on_screen
        if following is not None:
            yield following
            yield from pairs
        return
    container.seek(int(min(start, Fraction(0)) / stream.time_base), stream=stream, backward=True)
    yield from _timed(container, stream, path, start)


def _timed(
    container: Any, stream: Any, path: str | Path, start: Fraction, skip_before_s: float = -np.inf
) -> Iterator[tuple[float, Any]]:
    """Pair frames with their times; a frame that does not come later than the last is dropped.

    Before `skip_before_s` frames that no other depends on are not decoded.
    """
    last_s = -np.inf
    for packet in container.demux(stream):
        sent = shown_at(packet)
        skips = sent is not None and float(sent * stream.time_base - start) < skip_before_s
        stream.codec_context.skip_frame = "NONREF" if skips else "DEFAULT"
        for frame in packet.decode():
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
    """Convert a decoded frame to RGB of a size, then turn it (turning small pictures is cheap).

    FFmpeg resizes the frame's planes before they become RGB: two to four times faster than the other
    way round. Planar RGB, because on the way to packed RGB colour loses half of its resolution.
    """
    curve = HIGH_RANGES.get(int(frame.color_trc))
    if size_px is None:
        picture = frame.to_ndarray(format="rgb24" if curve is None else "rgb48le", threads=1)
    else:
        enlarges = min(frame.height, frame.width) < size_px
        method = (Interpolation.BILINEAR if enlarges else Interpolation.AREA) | _EXACT
        planar = "gbrp" if curve is None else "gbrp16le"
        picture = frame.reformat(size_px, size_px, planar, interpolation=method, threads=1).to_ndarray()
    return _turned(picture if curve is None else to_standard_range(picture, curve), frame)


def _turned(picture: Picture, frame: Any) -> Picture:
    """Turn a picture as its frame asks."""
    n_quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, n_quarters)) if n_quarters else picture
