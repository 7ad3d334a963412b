"""Pictures between two pictures, along the optical flow.

The flow is searched in both directions at reduced size (dense inverse search, Kroeger et al. 2016)
and turned into one field of motion at the instant halfway: of the two directions each pixel takes
the one by which the pictures agree better, and one step of Lucas and Kanade's method makes it finer.
At other instants the field has moved along itself. Both pictures are then carried to the instant
and mixed by closeness in time; what one picture hides is taken from the other alone. Where the
carried pictures agree no better than the pictures as they are (a wrong match, flicker), and where
nothing moves, the plain blend is left.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.errors import FoleyError

Picture = NDArray[np.uint8]
Map = NDArray[np.float32]

_HALVED_FROM_PX = 160
"""Pictures of this side or more are searched at half their size."""
_STILL_PX = 0.1
"""Slower pixels do not move: blending them keeps them sharp."""
_TRUST = 2.0
"""How fast trust falls where carried pictures differ, against how the pictures themselves do."""
_LEAST_TRUST = 0.05
_NOISE = 0.1
"""Squared grey levels; differences of this size say nothing about motion."""
_HIDDEN_PX = 1.0
"""A picture whose own motion differs this much from the motion halfway shows something else there."""
_AGREES_PX = 0.25
_WINDOW_PX = 13
_FLAT = 4.0
"""Squared slope, in grey levels a pixel, below which the finer search leaves motion as it is."""
_STEP_PX = 12.0
"""Between two instants of a pair nothing moves farther: half of that is how far motion can be misplaced."""
_MOST_INSTANTS = 9
SHIFT = 0.125
"""Linear interpolation blurs; on this shifted grid, behind the filter that undoes the shift, it blurs
less (Blu, Thevenaz and Unser 2004, *Linear interpolation revitalized*)."""
_SHARPEN = (1 / (1 - SHIFT) * (-SHIFT / (1 - SHIFT)) ** np.arange(3, -1, -1)).astype(np.float32)
_EDGE = cv2.BORDER_REPLICATE

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}

Box = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True)
class Source:
    """A picture with what both of its neighbours need of it, made once.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w, 3)
        RGB, at least 16 pixels a side.
    """

    picture: Picture

    @cached_property
    def grey(self) -> Picture:
        """Grey values at the size of the search, shape (h, w) or half of that."""
        grey = cv2.cvtColor(self.picture, cv2.COLOR_RGB2GRAY)
        if min(grey.shape) < _HALVED_FROM_PX:
            return np.asarray(grey)
        half = ((grey.shape[1] + 1) // 2, (grey.shape[0] + 1) // 2)
        return np.asarray(cv2.resize(grey, half, interpolation=cv2.INTER_AREA))

    @cached_property
    def sharpened(self) -> Picture:
        """What gives the picture back when it is read linearly on the shifted grid."""
        return np.asarray(
            cv2.sepFilter2D(self.picture, -1, _SHARPEN, _SHARPEN, anchor=(3, 3), borderType=_EDGE)
        )


@dataclass(frozen=True)
class _Instant:
    """Motion and weights as they lie at one instant, inside the box, at the size of the pictures."""

    flow: Map  # pixels from the first to the second picture
    trust: Picture  # in what is carried, of 255, three channels
    distrust: Picture
    only_late: Picture | None  # nonzero where the first picture hides what is there
    only_early: Picture | None


@dataclass(frozen=True)
class Motion:
    """Motion between two pictures, on the pixels of the instant halfway, at the size of the search.

    Parameters
    ----------
    flow : ndarray of float32, shape (h, w, 2)
        Pixels of that size, in x and y, from the first picture to the second.
    trust : ndarray of uint8, shape (h, w)
        Of 255, in the carried pictures.
    hidden : ndarray of uint8, shape (h, w, 2), or None
        255 where the first, the second picture hides what is seen halfway; None: nowhere.
    reach_px : float
        Largest motion, at the size of the pictures.
    box : tuple of slice
        Rows and columns of the pictures where anything is carried; elsewhere they are blended.
    shape : tuple of int
        Height and width of the pictures.
    """

    flow: Map
    trust: Picture
    hidden: Picture | None
    reach_px: float
    box: Box
    shape: tuple[int, int]
    _instants: dict[float, _Instant] = field(default_factory=dict, repr=False)

    def near(self, share: float) -> _Instant:
        """Motion at the nearest of the pair's instants, see :meth:`instant`."""
        instant = self.instant(share)
        if instant not in self._instants:
            self._instants[instant] = self._at(instant)
        return self._instants[instant]

    def instant(self, share: float) -> float:
        """Nearest to `share` of an odd number of instants, that many that little moves in between."""
        n_instants = min(_MOST_INSTANTS, 1 + 2 * int(self.reach_px / _STEP_PX))
        return (min(int(share * n_instants), n_instants - 1) + 0.5) / n_instants

    def _at(self, share: float) -> _Instant:
        maps = [self.flow, self.trust] + ([] if self.hidden is None else [self.hidden])
        if share != 0.5:
            places = _places(_grid(*self.trust.shape) + (0.5 - share) * self.flow)
            maps = [cv2.remap(part, *places, cv2.INTER_LINEAR, borderMode=_EDGE) for part in maps]
        height, width = self.shape
        flow, trust, *hidden = (cv2.resize(part, (width, height))[self.box] for part in maps)
        flow = flow * np.float32(height / self.trust.shape[0])
        weight = cv2.merge([trust] * 3)
        sides = [cv2.compare(side, 127, cv2.CMP_GT) for part in hidden for side in cv2.split(part)]
        return _Instant(flow, weight, cv2.bitwise_not(weight), *(sides or (None, None)))


@dataclass(frozen=True)
class PairFlow:
    """Two pictures and the motion between them.

    Parameters
    ----------
    relation : str
        ``still`` (no motion to follow: blend), ``cut`` (another scene: do not mix) or ``moving``.
    motion : Motion, optional
        For ``moving`` pictures.
    """

    first: Source
    second: Source
    relation: Literal["still", "cut", "moving"]
    motion: Motion | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV on one thread: its flow depends on the number of threads, and jobs run side by side."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def estimate(
    first: Source, second: Source, *, preset: str, still_level: float, cut_correlation: float
) -> PairFlow:
    """Estimate the motion between two pictures, and whether there is any to follow.

    Parameters
    ----------
    first, second : Source
        Of one size.
    preset : str
        ``ultrafast``, ``fast`` or ``medium``.
    still_level : float
        Pictures whose mean absolute difference (grey levels) is below this are ``still``.
    cut_correlation : float
        Below this correlation of the second picture, carried back along the flow, with the first,
        the scene was cut.

    Returns
    -------
    PairFlow

    Raises
    ------
    FoleyError
        If the pictures are no RGB pictures of one size, or too small.
    """
    shape = first.picture.shape
    if shape != second.picture.shape or len(shape) != 3 or min(shape[:2]) < 16:
        raise FoleyError(f"flow needs two RGB pictures of one size, 16 pixels or more; got {shape}")
    early, late = first.grey, second.grey
    if cv2.norm(early, late, cv2.NORM_L1) < still_level * early.size:
        return PairFlow(first, second, "still")
    search = cv2.DISOpticalFlow.create(PRESETS[preset])
    search.setFinestScale(1)
    there, back = search.calc(early, late, None), search.calc(late, early, None)
    if _correlation(early, _carry(late, _grid(*early.shape) + there)) < cut_correlation:
        return PairFlow(first, second, "cut")
    motion = _halfway(early, late, there, back, (shape[0], shape[1]))
    return PairFlow(first, second, "still" if motion is None else "moving", motion)


def _halfway(early: Picture, late: Picture, there: Map, back: Map, shape: tuple[int, int]) -> Motion | None:
    """Join both directions to one field halfway, and judge it; None where nothing can be followed."""
    grid = _grid(*early.shape)
    candidates = _settled(there, grid), -_settled(back, grid)
    carried = [_both(early, late, grid, flow) for flow in candidates]
    errors = [cv2.blur(cv2.absdiff(*pair), (5, 5)) for pair in carried]
    better = cv2.compare(errors[0], errors[1], cv2.CMP_LE)
    flow = cv2.copyTo(candidates[0], better, candidates[1])
    flow += _finer(*(cv2.copyTo(a, better, b) for a, b in zip(*carried, strict=True)))

    speed_px = _length(flow)
    error, difference = _energy(*_both(early, late, grid, flow)), _energy(early, late)
    trust = difference / (difference + _TRUST * error)
    trust *= (speed_px > _STILL_PX) & (trust > _LEAST_TRUST)
    used = cv2.boundingRect((trust > 0).astype(np.uint8))
    if not used[2]:
        return None
    scale, reach_px = shape[0] / early.shape[0], float(speed_px.max())
    return Motion(
        flow=flow,
        trust=(trust * 255 + 0.5).astype(np.uint8),
        hidden=_hidden(there, back, flow),
        reach_px=scale * reach_px,
        box=_enlarged(used, reach_px / 2 + 2, scale, shape),
        shape=shape,
    )


def _hidden(there: Map, back: Map, flow: Map) -> Picture | None:
    """Where only one picture moves, by its own flow, as what is seen halfway."""
    grid = _grid(*flow.shape[:2])
    stray = (
        _length(_carry(there, grid - 0.5 * flow) - flow),
        _length(_carry(back, grid + 0.5 * flow) + flow),
    )
    hidden = [(a > _HIDDEN_PX) & (b < _AGREES_PX) for a, b in (stray, stray[::-1])]
    if not any(side.any() for side in hidden):
        return None
    return np.dstack(hidden).astype(np.uint8) * np.uint8(255)


def _enlarged(rectangle: Sequence[int], margin_px: float, scale: float, shape: tuple[int, int]) -> Box:
    """Rows and columns of a rectangle (x, y, width, height) with a margin, at another size."""
    left, top, width, height = rectangle
    rows, columns = (
        slice(
            max(0, math.floor((start - margin_px) * scale)),
            min(side, math.ceil((start + length + margin_px) * scale)),
        )
        for start, length, side in ((top, height, shape[0]), (left, width, shape[1]))
    )
    return rows, columns


def between(pair: PairFlow, share: float, out: Picture | None = None) -> Picture:
    """Make the picture at `share` of the way from the first (0) to the second (1).

    Parameters
    ----------
    pair : PairFlow
        From :func:`estimate`.
    share : float
        In [0, 1].
    out : ndarray of uint8, shape (h, w, 3), optional
        Where to put it.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB; exactly the first picture at 0 and the second at 1.
    """
    share = float(share)  # a NumPy scalar would turn the float32 maps into float64
    first, second = pair.first.picture, pair.second.picture
    out = np.empty_like(first) if out is None else out
    if share <= 0 or (pair.relation == "cut" and share < 0.5):
        out[:] = first
    elif share >= 1 or pair.relation == "cut":
        out[:] = second
    else:
        cv2.addWeighted(first, 1 - share, second, share, 0, dst=out)
        if pair.motion is not None:
            _draw(pair, pair.motion, share, out)
    return out


def _draw(pair: PairFlow, motion: Motion, share: float, blended: Picture) -> None:
    """Put what is carried to the instant over the blend, as far as it is trusted."""
    now = motion.near(share)
    grid = _grid(*motion.shape, -SHIFT)[motion.box]
    early = _carry(pair.first.sharpened, cv2.scaleAdd(now.flow, -share, grid))
    late = _carry(pair.second.sharpened, cv2.scaleAdd(now.flow, 1 - share, grid))
    carried = cv2.addWeighted(early, 1 - share, late, share, 0)
    if now.only_late is not None:
        cv2.copyTo(late, now.only_late, carried)
        cv2.copyTo(early, now.only_early, carried)
    ground = blended[motion.box]
    trusted = cv2.multiply(carried, now.trust, dst=carried, scale=1 / 255)
    cv2.add(trusted, cv2.multiply(ground, now.distrust, scale=1 / 255), dst=ground)


def blend(first: Picture, second: Picture, share: float) -> Picture:
    """Mix two pictures linearly: ``(1 - share) * first + share * second``, rounded."""
    return np.asarray(cv2.addWeighted(first, 1 - share, second, share, 0), dtype=np.uint8)


@lru_cache(maxsize=4)
def _grid(height: int, width: int, shift: float = 0.0) -> Map:
    """Coordinates x and y of every pixel, plus `shift`; shape (h, w, 2)."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack([x, y]) + np.float32(shift)


def _places(coordinates: NDArray[Any]) -> tuple[Any, Any]:
    """Coordinates in whole and 32nd pixels: OpenCV reads them faster than those they come from."""
    whole, parts = cv2.convertMaps(coordinates, None, cv2.CV_16SC2)
    return whole, parts


def _carry(values: NDArray[Any], coordinates: NDArray[Any]) -> NDArray[Any]:
    """Values at coordinates, read linearly."""
    return np.asarray(cv2.remap(values, *_places(coordinates), cv2.INTER_LINEAR, borderMode=_EDGE))


def _both(early: Picture, late: Picture, grid: Map, flow: Map) -> tuple[Picture, Picture]:
    """Both grey pictures carried halfway."""
    return _carry(early, grid - 0.5 * flow), _carry(late, grid + 0.5 * flow)


def _settled(flow: Map, grid: Map) -> Map:
    """Flow of what has come halfway, from the flow of what starts here."""
    nearer = _carry(flow, grid - 0.5 * flow)
    return _carry(flow, grid - 0.5 * nearer)


def _finer(early: Picture, late: Picture) -> Map:
    """Motion that is left between two grey pictures, by one step of Lucas and Kanade's method."""
    a, b = early.astype(np.float32), late.astype(np.float32)
    mean, change = (a + b) / 2, b - a
    slope_x = cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=1 / 8)
    slope_y = cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=1 / 8)
    products = [slope_x * slope_x, slope_y * slope_y, slope_x * slope_y, slope_x * change, slope_y * change]
    xx, yy, xy, xt, yt = (cv2.blur(product, (_WINDOW_PX, _WINDOW_PX)) for product in products)
    xx += _FLAT
    yy += _FLAT
    scale = 1 / (xx * yy - xy * xy)
    step = cv2.merge([(xy * yt - yy * xt) * scale, (xy * xt - xx * yt) * scale])
    return np.asarray(np.clip(step, -1, 1, out=step))


def _energy(a: Picture, b: Picture) -> Map:
    """Squared difference around each pixel, above the noise."""
    mean = cv2.blur(cv2.absdiff(a, b).astype(np.float32), (5, 5))
    return np.asarray(mean * mean + _NOISE)


def _length(vectors: Map) -> Map:
    return np.asarray(cv2.magnitude(vectors[..., 0].copy(), vectors[..., 1].copy()))


def _correlation(first: Picture, second: Picture) -> float:
    """Correlation of two grey pictures; 1 for two flat ones."""
    a, b = first.astype(np.float32) - first.mean(), second.astype(np.float32) - second.mean()
    spread = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / spread if spread > 0 else 1.0
