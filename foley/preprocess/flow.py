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
_N_REFINEMENTS = 1

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


@dataclass(frozen=True)
class _Direction:
    """One direction of the flow and how it is followed."""

    picture: Picture
    flow: Map  # (h, w, 3): x, y, disagreement with the other direction
    moving: Map  # (m, 4): x, y, flow x, flow y of the moving pixels, the fastest last


@dataclass(frozen=True)
class PairFlow:
    """Two pictures and the motion between them.

    Parameters
    ----------
    relation : str
        ``still`` (no motion to follow: blend), ``cut`` (another scene: do not mix) or ``moving``.
    """

    first: Picture
    second: Picture
    relation: Literal["still", "cut", "moving"]
    forwards: _Direction | None = None
    backwards: _Direction | None = None


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
    home = _grid(*first.shape[:2])
    carried = cv2.remap(grey[1], home + there, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if _correlation(grey[0], carried) < cut_correlation:
        return PairFlow(first, second, "cut")
    if max(float(np.abs(there).max()), float(np.abs(back).max())) < 0.1:
        return PairFlow(first, second, "still")
    return PairFlow(
        first, second, "moving", _direction(first, there, back, home), _direction(second, back, there, home)
    )


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
    early, trust_early = _carried(pair.forwards, share)
    late, trust_late = _carried(pair.backwards, 1 - share)
    weight_early, weight_late = trust_early * np.float32(1 - share), trust_late * np.float32(share)
    carried = cv2.blendLinear(early, late, weight_early, weight_late)
    kept = weight_early + weight_late
    kept /= kept + np.float32(_BLEND_WEIGHT)
    return np.asarray(cv2.blendLinear(carried, blended, kept, 1 - kept), dtype=np.uint8)


def blend(first: Picture, second: Picture, share: float) -> Picture:
    """Mix two pictures linearly: ``(1 - share) * first + share * second``, rounded."""
    return np.asarray(cv2.addWeighted(first, 1 - share, second, share, 0), dtype=np.uint8)


@lru_cache(maxsize=2)
def _grid(height: int, width: int) -> Map:
    """Coordinates of every pixel, shape (h, w, 2): x, y."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], axis=-1)


def _direction(picture: Picture, flow: Map, opposite: Map, home: Map) -> _Direction:
    returned = cv2.remap(opposite, home + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    disagreement = _length(flow + returned)
    speed = _length(flow).ravel()
    moving = np.flatnonzero(speed > _MOVING_PX)
    moving = moving[np.argsort(speed[moving], kind="stable")]
    places = np.concatenate([home.reshape(-1, 2)[moving], flow.reshape(-1, 2)[moving]], axis=1)
    return _Direction(picture, cv2.merge([*cv2.split(flow), disagreement]), places)


def _carried(direction: _Direction, share: float) -> tuple[Picture, Map]:
    """Picture carried `share` of its flow, and the trust in each of its pixels (0 to 1)."""
    home = _grid(*direction.flow.shape[:2])
    source = home - share * _projected(direction, share)
    for _ in range(_N_REFINEMENTS):
        motion = cv2.remap(direction.flow, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        before, source = source, home - share * motion[..., :2]
    # Where no pixel of this picture lands, the search for the source does not settle: no trust.
    doubt = (motion[..., 2] + _length(source - before)) * np.float32(1 / _AGREEMENT_PX)
    picture = cv2.remap(direction.picture, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return picture, 1 / (1 + doubt * doubt)


def _projected(direction: _Direction, share: float) -> Map:
    """Flow laid down where its pixels have moved to; the fastest wins, gaps keep their own flow."""
    height, width = direction.flow.shape[:2]
    projected = np.ascontiguousarray(direction.flow[..., :2])
    x, y, flow_x, flow_y = direction.moving.T
    to_x = np.rint(x + share * flow_x).astype(np.int32)
    to_y = np.rint(y + share * flow_y).astype(np.int32)
    inside = (to_x >= 0) & (to_x < width) & (to_y >= 0) & (to_y < height)
    projected.reshape(-1, 2)[(to_y * width + to_x)[inside]] = direction.moving[inside, 2:]
    return projected


def _length(vectors: Map) -> Map:
    x, y = cv2.split(vectors)
    return np.asarray(cv2.magnitude(x, y), dtype=np.float32)


def _correlation(first: Picture, second: Picture) -> float:
    """Correlation of two grey pictures; 1 for two flat ones."""
    a, b = first.astype(np.float32) - first.mean(), second.astype(np.float32) - second.mean()
    spread = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / spread if spread > 0 else 1.0
