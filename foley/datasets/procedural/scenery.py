"""Random ingredients that several classes share: choices, level curves, colours, noise textures."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from foley.datasets.procedural.canvas import Canvas, Colour

T = TypeVar("T")

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def pick(rng: np.random.Generator, training: Sequence[T], held_out: Sequence[T], stage_held_out: bool) -> T:
    """Choose one of `training`, or one of `held_out` where the stage belongs to the test recordings."""
    options = held_out if stage_held_out else training
    return options[int(rng.integers(len(options)))]


def swell(rng: np.random.Generator, duration_s: float, low: float, high: float) -> Curve:
    """Level curve that moves smoothly between random levels and spans most of [`low`, `high`].

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the levels and when they are reached.
    duration_s : float
        Length of the recording in seconds.
    low, high : float
        Smallest and largest level, in [0, 1].

    Returns
    -------
    callable (t_s array) -> array of float64 of the same shape, in [low, high]
    """
    n_knots = int(rng.integers(3, 6))
    gaps = rng.uniform(0.5, 1.5, n_knots - 1)
    times = np.concatenate([[0.0], np.cumsum(gaps) / gaps.sum()]) * duration_s
    levels = rng.uniform(0, 1, n_knots)
    # A curve that hardly moves would teach nothing about the level, so it always uses the whole range.
    levels = low + (high - low) * (levels - levels.min()) / max(float(np.ptp(levels)), 1e-6)

    def curve(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        t = np.clip(np.asarray(t_s, dtype=np.float64), 0.0, duration_s)
        left = np.clip(np.searchsorted(times, t, side="right") - 1, 0, n_knots - 2)
        u = (t - times[left]) / (times[left + 1] - times[left])
        ease: NDArray[np.float64] = u * u * (3 - 2 * u)
        return np.asarray(levels[left] + (levels[left + 1] - levels[left]) * ease)

    return curve


def random_colour(
    rng: np.random.Generator, low: float = 0.1, high: float = 0.9, colourful: float = 0.7
) -> Colour:
    """Colour of any hue: brightness in [`low`, `high`], saturation mostly well below `colourful`.

    Every class draws from this one distribution, so that a palette does not tell the class.
    """
    hue = rng.uniform(0, 180)
    saturation = 255 * colourful * rng.beta(1.2, 1.8)
    value = 255 * rng.uniform(low, high)
    pixel = np.array([[[hue, saturation, value]]]).astype(np.uint8)
    r, g, b = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
    return float(r), float(g), float(b)


def shade(colour: Colour, factor: float) -> Colour:
    """Colour made darker (`factor` below 1) or mixed towards white (above 1, up to 2)."""
    c = np.asarray(colour)
    mixed = c * factor if factor <= 1 else c + (255 - c) * (min(factor, 2.0) - 1)
    return float(mixed[0]), float(mixed[1]), float(mixed[2])


def fractal(
    rng: np.random.Generator,
    shape: tuple[int, int],
    slope: float = 1.5,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.float32]:
    """Cloud-like noise that repeats seamlessly at its edges.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the noise.
    shape : (int, int)
        Height and width of the result.
    slope : float
        Amplitude falls as frequency to this power: 1 is grainy, 2 is cloudy.
    stretch : (float, float)
        How much longer than wide the features are along y and along x.

    Returns
    -------
    ndarray of float32, shape `shape`
        In [0, 1], about evenly spread.
    """
    fy = np.fft.fftfreq(shape[0])[:, None] * shape[0] * stretch[0]
    fx = np.fft.rfftfreq(shape[1])[None, :] * shape[1] * stretch[1]
    radius = np.hypot(fy, fx)
    radius[0, 0] = 1.0
    gain = np.maximum(radius, 2.0) ** -slope
    gain[0, 0] = 0.0
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * gain
    field = np.fft.irfft2(spectrum, s=shape)
    field /= max(float(field.std()), 1e-9)
    return np.clip(0.5 + field / 3.6, 0, 1).astype(np.float32)


def tint(grey: NDArray[np.floating[Any]], dark: Colour, light: Colour) -> NDArray[np.uint8]:
    """Colour a grey picture in [0, 1], shape (h, w), from `dark` to `light`; uint8, shape (h, w, 3)."""
    low, high = np.asarray(dark, dtype=np.float32), np.asarray(light, dtype=np.float32)
    mixed = low + np.clip(grey, 0, 1)[..., None].astype(np.float32) * (high - low)
    return np.asarray(np.clip(mixed, 0, 255).astype(np.uint8))


def scatter(index: ArrayLike, cycle: ArrayLike, salt: float) -> NDArray[np.float64]:
    """Repeatable pseudo-random numbers in [0, 1) for a particle's `index` and its `cycle`.

    Lets `draw` know where the n-th drop of a slot falls without any state.
    """
    mixed = np.sin(np.asarray(index) * 12.9898 + np.asarray(cycle) * 78.233 + salt * 37.719) * 43758.5453
    return np.asarray(mixed - np.floor(mixed))


def baked(
    paint: Callable[[Canvas], None], box: Sequence[float], height_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Paint something once, to lay it down in every frame with :meth:`Canvas.veil`.

    Parameters
    ----------
    paint : callable (canvas) -> None
        Paints in scene units; what lies outside `box` is lost.
    box : sequence of float
        (x0, y0, x1, y1) in scene units.
    height_px : int
        Height of the result; its width follows from `box`.

    Returns
    -------
    rgb : ndarray of uint8, shape (height_px, width, 3)
        Colours multiplied by their opacity.
    cover : ndarray of uint8, shape (height_px, width)
        Opacity.
    """
    x0, y0, x1, y1 = box
    px = height_px / (y1 - y0)
    camera = np.array([[px, 0.0, -x0 * px], [0.0, px, -y0 * px]])
    black = np.zeros((height_px, max(1, round((x1 - x0) * px)), 3), dtype=np.uint8)
    white = np.full_like(black, 255)
    paint(Canvas(black, camera))
    paint(Canvas(white, camera))
    # Where both pictures agree the paint is opaque; where they differ most there is none.
    return black, 255 - cv2.subtract(white, black).max(axis=2)


def skyline(rng: np.random.Generator, shape: tuple[int, int], split: int, dim: float) -> NDArray[np.uint8]:
    """Clouded sky with a row of houses and trees that stand on one line.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws colours and buildings.
    shape : (int, int)
        Height and width of the picture in pixels.
    split : int
        Row on which the houses stand; below it there is only sky to paint over.
    dim : float
        Brightness factor; well below 1 at night.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    height, width = shape
    sky, far = random_colour(rng, 0.3, 0.95), random_colour(rng, 0.1, 0.7)
    cloud = fractal(rng, (height, width), 1.8, (1.6, 1.0))
    picture = tint(cloud, shade(sky, 0.55 * dim), shade(sky, dim))
    x = 0
    while x < width:
        wide, top = int(rng.integers(30, 90)), split - int(rng.integers(40, max(45, int(split * 0.8))))
        wall = shade(far, dim * rng.uniform(0.5, 1.0))
        if rng.random() < 0.7:
            cv2.rectangle(picture, (x, top), (x + wide, split), wall, -1)
            lit = shade(random_colour(rng, 0.5, 1.0), 1.0)
            for wy in range(top + 8, split - 8, 18):
                for wx in range(x + 6, x + wide - 8, 14):
                    pane = lit if rng.random() < 0.35 else shade(wall, 0.7)
                    cv2.rectangle(picture, (wx, wy), (wx + 6, wy + 10), pane, -1)
        else:
            for _ in range(14):
                spot = (x + int(rng.integers(0, wide)), top + int(rng.integers(0, max(1, split - top))))
                cv2.circle(picture, spot, int(rng.integers(8, 20)), shade(wall, rng.uniform(0.6, 1.1)), -1)
        x += wide + int(rng.integers(-4, 20))
    return picture
