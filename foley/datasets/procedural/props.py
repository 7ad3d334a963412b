"""What strike classes share: hands and arms at work, and the view of a set built in its own frame."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.scenery import random_colour, shade

_HALF_CIRCLE = np.stack(
    [np.cos(np.linspace(-np.pi / 2, np.pi / 2, 8)), np.sin(np.linspace(-np.pi / 2, np.pi / 2, 8))], axis=1
)
_LIT = np.array([-0.12, -0.16])
_LAYERS = np.array([[1.0, 0.0], [0.8, 1.0], [0.28, 2.6]])
"""Radius and shift towards the light of a part's rim, body and highlight."""
_FIST = np.array(
    [
        *([-0.28, -0.22], [0.34, -0.24]),
        *([0.39, -0.2], [0.36, 0.30]),
        *([0.14, -0.2], [0.11, 0.38]),
        *([-0.12, -0.2], [-0.15, 0.37]),
        *([-0.37, -0.2], [-0.40, 0.28]),
        *([0.42, -0.36], [-0.46, -0.32]),
    ]
)
"""Ends of palm, four fingers and thumb of a hand of width 1, one pair a row."""
_FIST_RADII = np.array([[0.36, 0.36], *[[0.145, 0.125]] * 4, [0.14, 0.12]])

Point = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """Colours of a hand (or its glove) and of the sleeve."""

    hand: Colour
    sleeve: Colour


def random_look(rng: np.random.Generator) -> Look:
    """Skin from dark to light under any lamp, or a glove of any colour, and a sleeve of any colour."""
    if rng.random() < 0.4:
        return Look(random_colour(rng, 0.2, 0.9), random_colour(rng, 0.15, 0.9))
    skin = np.array([232.0, 188.0, 160.0]) * rng.uniform(0.35, 1.05) * rng.uniform(0.8, 1.1, 3)
    red, green, blue = np.clip(skin, 0, 255)
    return Look((float(red), float(green), float(blue)), random_colour(rng, 0.15, 0.9))


def random_view(
    rng: np.random.Generator, aspect: float, scale: tuple[float, float] = (0.9, 1.15), tilt_rad: float = 0.06
) -> NDArray[np.float64]:
    """Choose from where a set is seen that was built in a frame 4/3 wide and 1 high.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws side (mirrored or not), scale, shift and tilt.
    aspect : float
        Width over height of the picture.
    scale : (float, float)
        Least and greatest magnification about the middle.
    tilt_rad : float
        Greatest tilt to either side.

    Returns
    -------
    ndarray of float64, shape (2, 3)
        Affine map from the set's frame to scene units.
    """
    size, tilt = rng.uniform(*scale), rng.uniform(-tilt_rad, tilt_rad)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    c, s = size * np.cos(tilt), size * np.sin(tilt)
    linear = np.array([[c * mirror, -s], [s * mirror, c]])
    middle = np.array([aspect / 2 + rng.uniform(-0.06, 0.06), 0.5 + rng.uniform(-0.03, 0.03)])
    return np.column_stack([linear, middle - linear @ np.array([2 / 3, 0.5])])


def through(canvas: Canvas, view: NDArray[np.float64]) -> Canvas:
    """Canvas on the same picture that is painted in the frame of a set seen through `view`, shape (2, 3)."""
    return Canvas(canvas.image, canvas.camera @ np.vstack([view, [0.0, 0.0, 1.0]]))


def place(points: ArrayLike, origin: Point, angle_rad: float, size: float = 1.0) -> NDArray[np.float64]:
    """Scale shape points, shape (n, 2), turn them clockwise by `angle_rad` and move them to `origin`."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    turned = np.asarray(points, dtype=np.float64) @ np.array([[c, s], [-s, c]]) * size
    placed: NDArray[np.float64] = turned + np.asarray(origin, dtype=np.float64)
    return placed


def capsule(a: Point, b: Point, ra: float, rb: float) -> NDArray[np.float64]:
    """Outline, shape (16, 2), of a tapered rod with round ends of radii `ra` at `a` and `rb` at `b`."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    heading = np.arctan2(b[1] - a[1], b[0] - a[0])
    c, s = np.cos(heading), np.sin(heading)
    around = _HALF_CIRCLE @ np.array([[c, s], [-s, c]])
    outline: NDArray[np.float64] = np.concatenate([b + rb * around, a - ra * around])
    return outline


def limbs(canvas: Canvas, ends: ArrayLike, radii: ArrayLike, colours: Sequence[Colour]) -> None:
    """Paint rounded, tapered parts lit from the upper left, in order: dark rim, body, highlight.

    Parameters
    ----------
    canvas : Canvas
        Picture to paint on.
    ends : array_like of float, shape (n, 2, 2)
        Both ends of each part, in scene units.
    radii : array_like of float, shape (n, 2)
        Radii at the ends.
    colours : sequence of Colour
        One for each part.
    """
    at, round_ = np.asarray(ends, dtype=np.float64), np.asarray(radii, dtype=np.float64)
    along = at[:, 1] - at[:, 0]
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    c, s = along[:, :1], along[:, 1:]
    x, y = _HALF_CIRCLE.T
    around = np.stack([x * c - y * s, x * s + y * c], axis=2)
    # Axes: part, layer, end, point of the half circle, coordinate.
    sized = round_[:, None, :] * _LAYERS[None, :, :1]
    middle = at[:, None] + round_[:, None, :, None] * _LAYERS[None, :, 1:, None] * _LIT
    cap = sized[..., None, None] * around[:, None, None]
    outline = np.concatenate(
        [middle[:, :, 1, None] + cap[:, :, 1], middle[:, :, 0, None] - cap[:, :, 0]], axis=2
    )
    tones = [tone for colour in colours for tone in (shade(colour, 0.5), colour, shade(colour, 1.18))]
    canvas.patches(outline.reshape(-1, outline.shape[2], 2), tones)


def limb(canvas: Canvas, a: Point, b: Point, ra: float, rb: float, colour: Colour) -> None:
    """Paint one rounded part from `a` to `b`, as :func:`limbs` does."""
    limbs(canvas, np.array([[a, b]]), [[ra, rb]], [colour])


def arm(canvas: Canvas, wrist: Point, elbow: Point, radius: float, look: Look) -> None:
    """Paint a forearm with its sleeve; `radius` is that of the wrist, in scene units."""
    wrist, elbow = np.asarray(wrist, dtype=np.float64), np.asarray(elbow, dtype=np.float64)
    cuff = wrist + (elbow - wrist) * 0.3
    hem = cuff + (elbow - wrist) * 0.06
    limbs(
        canvas,
        np.stack([wrist, cuff, cuff, elbow, cuff, hem]).reshape(3, 2, 2),
        radius * np.array([[1.0, 1.15], [1.45, 2.0], [1.5, 1.5]]),
        [look.hand, look.sleeve, shade(look.sleeve, 0.75)],
    )


def fist(
    canvas: Canvas, centre: Point, angle_rad: float, size: float, look: Look, thumb_side: float = -1.0
) -> None:
    """Paint a hand closed around a rod that runs along its own x axis.

    Parameters
    ----------
    canvas : Canvas
        Picture to paint on.
    centre : sequence of float
        Scene position of the middle of the grip.
    angle_rad : float
        Clockwise turn of the rod.
    size : float
        Width over the four knuckles, in scene units.
    look : Look
        Colours.
    thumb_side : float
        -1: thumb and back of the hand lie at negative y of the rod; 1: the other way round.
    """
    ends = place(_FIST * [1.0, -thumb_side], centre, angle_rad, size).reshape(-1, 2, 2)
    limbs(canvas, ends, _FIST_RADII * size, [look.hand] * len(ends))
