"""Pictures between two pictures, along the optical flow.

Both directions of the flow are estimated once a pair (dense inverse search, Kroeger et al. 2016).
For an instant between the pictures each direction gives a hypothesis: the first picture carried
forwards, the second carried backwards. They are blended by closeness in time and by how far the
two flows agree, so that what one picture hides is taken from the other. Where neither is
believable (occlusion on both sides, a wrong match) the plain blend of the two pictures is left.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.errors import FoleyError

Picture = NDArray[np.uint8]
Map = NDArray[np.float32]

_AGREEMENT_PX = 0.6
"""Flows that disagree by this much count half."""
_MOVING_PX = 0.5
"""Slower pixels need no projection: they stay where they are."""
_BLEND_WEIGHT = 0.08
_MARGIN_PX = 3

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


@dataclass(frozen=True)
class _Direction:
    """One direction of the flow and how it is followed; maps have shape (h, w)."""

    picture: Picture
    flow_x: Map
    flow_y: Map
    disagreement: Map  # with the other direction, in pixels
    moving: tuple[Map, Map, Map, Map]  # x, y, flow x, flow y of the moving pixels, the fastest last


Box = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True)
class PairFlow:
    """Two pictures and the motion between them.

    Parameters
    ----------
    relation : str
        ``still`` (no motion to follow: blend), ``cut`` (another scene: do not mix) or ``moving``.
    forwards, backwards : optional
        The motion, for ``moving`` pictures.
    box : tuple of slice
        Where anything moves; outside, the pictures are blended.
    """

    first: Picture
    second: Picture
    relation: Literal["still", "cut", "moving"]
    forwards: _Direction | None = None
    backwards: _Direction | None = None
    box: Box = (slice(None), slice(None))


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
    first: Picture, second: Picture, *, preset: str, still_level: float, cut_correlation: float
) -> PairFlow:
    """Estimate the motion between two pictures, and whether there is any to follow.

    Parameters
    ----------
    first, second : ndarray of uint8, shape (h, w, 3)
        RGB, at least 16 pixels a side.
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
    """
    if first.shape != second.shape or first.ndim != 3 or min(first.shape[:2]) < 16:
        raise FoleyError(f"flow needs two RGB pictures of one size, 16 pixels or more; got {first.shape}")
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (first, second)]
    if float(cv2.absdiff(grey[0], grey[1]).mean()) < still_level:
        return PairFlow(first, second, "still")
    search = cv2.DISOpticalFlow.create(PRESETS[preset])
    there, back = search.calc(grey[0], grey[1], None), search.calc(grey[1], grey[0], None)
    x, y = _grid(*first.shape[:2])
    carried = cv2.remap(
        grey[1], x + there[..., 0], y + there[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    if _correlation(grey[0], carried) < cut_correlation:
        return PairFlow(first, second, "cut")
    forwards, backwards = _direction(first, there, back), _direction(second, back, there)
    box = _moving_box([forwards, backwards])
    if box is None:
        return PairFlow(first, second, "still")
    return PairFlow(first, second, "moving", forwards, backwards, box)


def between(pair: PairFlow, share: float) -> Picture:
    """Make the picture at `share` of the way from the first (0) to the second (1).

    Parameters
    ----------
    pair : PairFlow
        From :func:`estimate`.
    share : float
        In [0, 1].

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB; exactly the first picture at 0 and the second at 1.
    """
    share = float(share)  # a NumPy scalar would turn the float32 maps into float64
    if share <= 0 or (pair.relation == "cut" and share < 0.5):
        return pair.first
    if share >= 1 or pair.relation == "cut":
        return pair.second
    blended = blend(pair.first, pair.second, share)
    if pair.relation == "still" or pair.forwards is None or pair.backwards is None:
        return blended
    early, trust_early = _carried(pair.forwards, share, pair.box)
    late, trust_late = _carried(pair.backwards, 1 - share, pair.box)
    weight_early, weight_late = trust_early * (1 - share), trust_late * share
    carried = cv2.blendLinear(early, late, weight_early, weight_late)
    kept = weight_early + weight_late
    kept /= kept + _BLEND_WEIGHT
    ground = np.ascontiguousarray(blended[pair.box])
    blended[pair.box] = cv2.blendLinear(carried, ground, kept, 1 - kept)
    return blended


def blend(first: Picture, second: Picture, share: float) -> Picture:
    """Mix two pictures linearly: ``(1 - share) * first + share * second``, rounded."""
    return np.asarray(cv2.addWeighted(first, 1 - share, second, share, 0), dtype=np.uint8)


@lru_cache(maxsize=2)
def _grid(height: int, width: int) -> tuple[Map, Map]:
    """Coordinates x and y of every pixel, each of shape (h, w)."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y


def _direction(picture: Picture, flow: Map, opposite: Map) -> _Direction:
    x, y = _grid(*picture.shape[:2])
    flow_x, flow_y = np.ascontiguousarray(flow[..., 0]), np.ascontiguousarray(flow[..., 1])
    back_x, back_y = cv2.split(
        cv2.remap(opposite, x + flow_x, y + flow_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )
    speed = cv2.magnitude(flow_x, flow_y).ravel()
    moving = np.flatnonzero(speed > _MOVING_PX)
    moving = moving[np.argsort(speed[moving], kind="stable")]
    places = (x.ravel()[moving], y.ravel()[moving], flow_x.ravel()[moving], flow_y.ravel()[moving])
    return _Direction(picture, flow_x, flow_y, cv2.magnitude(flow_x + back_x, flow_y + back_y), places)


def _moving_box(directions: list[_Direction]) -> Box | None:
    """Box around where moving pixels are and go to, with a margin; None when nothing moves."""
    height, width = directions[0].flow_x.shape
    x = np.concatenate([part for d in directions for part in (d.moving[0], d.moving[0] + d.moving[2])])
    y = np.concatenate([part for d in directions for part in (d.moving[1], d.moving[1] + d.moving[3])])
    if x.size == 0:
        return None
    left, right = max(0, int(x.min()) - _MARGIN_PX), min(width, int(x.max()) + 1 + _MARGIN_PX)
    top, bottom = max(0, int(y.min()) - _MARGIN_PX), min(height, int(y.max()) + 1 + _MARGIN_PX)
    return slice(top, bottom), slice(left, right)


def _carried(direction: _Direction, share: float, box: Box) -> tuple[Picture, Map]:
    """Picture carried `share` of its flow inside `box`, and the trust in each pixel (0 to 1)."""
    x, y = (axis[box] for axis in _grid(*direction.flow_x.shape))
    motion_x, motion_y = _projected(direction, share, box)
    guess_x, guess_y = x - share * motion_x, y - share * motion_y
    motion_x, motion_y, doubt = (
        cv2.remap(part, guess_x, guess_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for part in (direction.flow_x, direction.flow_y, direction.disagreement)
    )
    source_x, source_y = x - share * motion_x, y - share * motion_y
    # Where no pixel of this picture lands, the search for the source does not settle: no trust.
    doubt = (doubt + cv2.magnitude(source_x - guess_x, source_y - guess_y)) / _AGREEMENT_PX
    picture = cv2.remap(
        direction.picture, source_x, source_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return picture, 1 / (1 + doubt * doubt)


def _projected(direction: _Direction, share: float, box: Box) -> tuple[Map, Map]:
    """Flow laid down where its pixels have moved to; the fastest wins, gaps keep their own flow."""
    projected_x, projected_y = direction.flow_x[box].copy(), direction.flow_y[box].copy()
    height, width = projected_x.shape
    x, y, flow_x, flow_y = direction.moving
    to_x = np.rint(x + share * flow_x).astype(np.int32) - (box[1].start or 0)
    to_y = np.rint(y + share * flow_y).astype(np.int32) - (box[0].start or 0)
    inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
    place = (to_y * width + to_x)[inside]
    projected_x.ravel()[place] = flow_x[inside]
    projected_y.ravel()[place] = flow_y[inside]
    return projected_x, projected_y


def _correlation(first: Picture, second: Picture) -> float:
    """Correlation of two grey pictures; 1 for two flat ones."""
    a, b = first.astype(np.float32) - first.mean(), second.astype(np.float32) - second.mean()
    spread = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / spread if spread > 0 else 1.0
