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


def limb(canvas: Canvas, a: Point, b: Point, ra: float, rb: float, colour: Colour) -> None:
    """Paint a rounded, tapered part lit from the upper left: dark rim, body, highlight."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    canvas.polygon(capsule(a, b, ra, rb), shade(colour, 0.5))
    canvas.polygon(capsule(a + _LIT * ra, b + _LIT * rb, ra * 0.8, rb * 0.8), colour)
    high, thin = 2.6 * _LIT, 0.28
    canvas.polygon(capsule(a + high * ra, b + high * rb, ra * thin, rb * thin), shade(colour, 1.18))


def arm(canvas: Canvas, wrist: Point, elbow: Point, radius: float, look: Look) -> None:
    """Paint a forearm with its sleeve; `radius` is that of the wrist, in scene units."""
    wrist, elbow = np.asarray(wrist, dtype=np.float64), np.asarray(elbow, dtype=np.float64)
    cuff = wrist + (elbow - wrist) * 0.3
    limb(canvas, wrist, cuff, radius, radius * 1.15, look.hand)
    limb(canvas, cuff, elbow, radius * 1.45, radius * 2.0, look.sleeve)
    limb(canvas, cuff, cuff + (elbow - wrist) * 0.06, radius * 1.5, radius * 1.5, shade(look.sleeve, 0.75))


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

    def at(x: float, y: float) -> NDArray[np.float64]:
        return place([[x, y * -thumb_side]], centre, angle_rad, size)[0]

    limb(canvas, at(-0.28, -0.22), at(0.34, -0.24), 0.36 * size, 0.36 * size, look.hand)
    for x, reach in ((0.39, 0.30), (0.14, 0.38), (-0.12, 0.37), (-0.37, 0.28)):
        limb(canvas, at(x, -0.2), at(x - 0.03, reach), 0.145 * size, 0.125 * size, look.hand)
    limb(canvas, at(0.42, -0.36), at(-0.46, -0.32), 0.14 * size, 0.12 * size, look.hand)
