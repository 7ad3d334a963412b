"""Backdrops: procedural walls, grounds and views that a scene may be set in front of.

Two families that share no kind: recordings to learn from use one, held-out recordings the other.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour

Picture = NDArray[np.float32]
Palette = NDArray[np.float32]


def random_palette(rng: np.random.Generator, n_colours: int = 5) -> Palette:
    """Draw colours that go together: one or two hues, varied brightness.

    Returns
    -------
    ndarray of float32, shape (n_colours, 3)
        RGB in [0, 255].
    """
    hue = rng.uniform(0, 180)
    hues = (hue + rng.choice([0.0, rng.normal(0, 12), 90.0, rng.uniform(0, 180)], n_colours)) % 180
    saturation = np.clip(rng.beta(1.2, 2.2) * 255 * rng.uniform(0.5, 1.4, n_colours), 0, 235)
    value = np.clip(rng.uniform(50, 225) + rng.normal(0, 45, n_colours), 18, 250)
    hsv = np.stack([hues, saturation, value], axis=1).astype(np.uint8)[None]
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0], dtype=np.float32)


def fractal(
    rng: np.random.Generator, height: int, width: int, cells: float = 4.0, n_octaves: int = 5
) -> Picture:
    """Smooth random field, shape (height, width), values in [0, 1]; `cells` blobs to the height."""
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for _ in range(n_octaves):
        shape = (max(2, round(cells)), max(2, round(cells * width / height)))
        grid = rng.random(shape, dtype=np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight *= 0.55
        cells = min(cells * 2.1, height / 2)
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def _mix(low: NDArray[np.float32], high: NDArray[np.float32], amount: Picture) -> Picture:
    return np.asarray(low + (high - low) * amount[..., None], dtype=np.float32)


def _cells(
    rng: np.random.Generator, height: int, width: int, row: float, column: float, shift: float, gap: float
) -> tuple[Picture, Picture]:
    """Rows of cells: a random number per cell, and 1 inside the gaps between them."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    rows = np.floor(y / row)
    along = x / column + shift * rows
    columns = np.floor(along)
    numbers = rng.random((64, 256), dtype=np.float32)
    shade = numbers[rows.astype(int) % 64, columns.astype(int) % 256]
    edge = np.minimum((y / row - rows) * row, (along - columns) * column)
    return shade, (edge < gap).astype(np.float32)


def _plaster(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    return _mix(p[0] * 0.85, p[0] * 0.6 + p[1] * 0.4, fractal(rng, h, w, rng.uniform(2, 6), 6))


def _concrete(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    speck = fractal(rng, h, w, 30, 4) ** 3
    panel, gap = _cells(rng, h, w, rng.uniform(0.3, 0.6), rng.uniform(0.4, 0.8), 0.0, 0.006)
    wall = _mix(p[0] * 0.9, p[2] * 0.5, speck) * (0.85 + 0.15 * panel[..., None])
    return np.asarray(wall * (1 - 0.5 * gap[..., None]), dtype=np.float32)


def _brick(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    row = rng.uniform(0.04, 0.1)
    shade, gap = _cells(rng, h, w, row, row * rng.uniform(2, 3), 0.5, row * 0.12)
    wall = _mix(p[0] * 0.75, p[1], shade) * (0.8 + 0.2 * fractal(rng, h, w, 20, 3)[..., None])
    return _mix(wall, p[2], gap)


def _stone(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    n = int(rng.integers(40, 120))
    seeds = np.stack([rng.uniform(0, w, n), rng.uniform(0, h, n)], axis=1).astype(np.float32)
    marks = np.full((h, w), 255, np.uint8)
    marks[np.minimum(seeds[:, 1].astype(int), h - 1), np.minimum(seeds[:, 0].astype(int), w - 1)] = 0
    distance, owner = cv2.distanceTransformWithLabels(marks, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    shade = rng.random(n + 2, dtype=np.float32)[owner]
    edge = (np.abs(cv2.Laplacian(shade, cv2.CV_32F, ksize=3)) > 0.02).astype(np.float32)
    rim = 1 - 0.4 * distance / distance.max()
    return _mix(_mix(p[0] * 0.7, p[1], shade) * rim[..., None], p[2] * 0.4, cv2.GaussianBlur(edge, (3, 3), 0))


def _tiles(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    side = rng.uniform(0.08, 0.2)
    shade, gap = _cells(rng, h, w, side, side, 0.0, side * 0.05)
    tile = _mix(p[0], p[1], (shade > rng.uniform(0.4, 0.9)).astype(np.float32))
    return _mix(tile * (0.92 + 0.08 * shade[..., None]), p[3], gap)


def _mosaic(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    side = rng.uniform(0.03, 0.07)
    shade, gap = _cells(rng, h, w, side, side * rng.uniform(0.8, 1.3), 0.33, side * 0.1)
    return _mix(p[(shade * 4.99).astype(int)], p[0] * 0.5, gap)


def _planks(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    row = rng.uniform(0.07, 0.2)
    shade, gap = _cells(rng, h, w, row, rng.uniform(1.0, 2.5), 0.37, 0.006)
    grain = cv2.resize(fractal(rng, h, max(8, w // 12), 40, 3), (w, h))
    return _mix(_mix(p[0] * 0.65, p[1], 0.5 * shade + 0.5 * grain), p[2] * 0.25, gap)


def _panels(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    shade, gap = _cells(rng, h, w, 5.0, rng.uniform(0.1, 0.25), 0.0, 0.008)
    grain = cv2.resize(fractal(rng, max(8, h // 12), w, 3, 4), (w, h))
    return _mix(_mix(p[0] * 0.7, p[1], 0.4 * shade + 0.6 * grain), p[2] * 0.3, gap)


def _foliage(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    leaves = fractal(rng, h, w, rng.uniform(8, 16), 4)
    deep = fractal(rng, h, w, 3, 3)
    return _mix(p[0] * 0.35, _mix(p[1], p[2] * 1.1, leaves), np.clip(leaves * 1.6 - 0.6 * deep, 0, 1))


def _grass(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    blades = fractal(rng, max(8, h // 6), w, 12, 4)
    blades = cv2.resize(np.ascontiguousarray(blades), (w, h))
    depth = np.linspace(0.5, 1.0, h, dtype=np.float32)[:, None]
    return _mix(p[0] * 0.5, p[1], blades * depth)


def _gradient(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / h
    ramp = np.cos(turn) * x + np.sin(turn) * y
    ramp = (ramp - ramp.min()) / (ramp.max() - ramp.min())
    return _mix(p[0] * 0.6, p[1], ramp)


def _bokeh(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    image = np.ascontiguousarray(_mix(p[0] * 0.2, p[1] * 0.5, fractal(rng, h, w, 2, 2)).astype(np.uint8))
    canvas = Canvas(image, np.array([[h, 0, 0], [0, h, 0]], dtype=np.float64))
    for _ in range(int(rng.integers(15, 40))):
        where = (rng.uniform(0, w / h), rng.uniform(0, 1))
        tint = p[rng.integers(len(p))]
        canvas.circle(where, rng.uniform(0.02, 0.08), _colour(tint), rng.uniform(0.2, 0.7))
    return image.astype(np.float32)


def _street(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    """Row of houses with windows over a pavement."""
    image = np.ascontiguousarray(_gradient(rng, h, w, p * 1.15).clip(0, 255).astype(np.uint8))
    canvas = Canvas(image, np.array([[h, 0, 0], [0, h, 0]], dtype=np.float64))
    x, aspect, ground = -0.05, w / h, rng.uniform(0.6, 0.85)
    while x < aspect:
        width, top = rng.uniform(0.2, 0.5), rng.uniform(0.02, 0.4)
        tint = p[rng.integers(len(p))] * rng.uniform(0.6, 1.0)
        _box(canvas, x, top, x + width, ground, _colour(tint))
        n = int(width / rng.uniform(0.07, 0.12)) + 1
        for wx in np.linspace(x, x + width, n + 2)[1:-1]:
            for wy in np.arange(top + 0.06, ground - 0.1, 0.12):
                glass = _colour(tint * rng.choice([0.35, 0.5, 1.4]))
                _box(canvas, wx - 0.02, wy, wx + 0.02, wy + 0.06, glass)
        x += width
    _box(canvas, 0, ground, aspect, 1.0, _colour(p[2] * 0.55))
    return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.0)), dtype=np.float32)


def _hills(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    image = _gradient(rng, h, w, p * 1.2)
    x = np.arange(w)
    y = np.arange(h)[:, None]
    for layer in range(4):
        coarse = rng.uniform(0, 1, 8 + 5 * layer)
        ridge = np.interp(x, np.linspace(0, w, coarse.size), coarse) * 0.2 + 0.25 + 0.15 * layer
        mask = (y > ridge[None] * h).astype(np.float32)
        image = _mix(image, p[layer] * (1.0 - 0.15 * layer), mask)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), dtype=np.float32)


def _shelves(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    """Shelves with books and boxes."""
    image = np.ascontiguousarray(np.broadcast_to(p[0] * 0.5, (h, w, 3)).clip(0, 255).astype(np.uint8))
    canvas = Canvas(image, np.array([[h, 0, 0], [0, h, 0]], dtype=np.float64))
    pitch = rng.uniform(0.16, 0.3)
    for base in np.arange(pitch, 1 + pitch, pitch):
        x = 0.0
        while x < w / h:
            width = rng.uniform(0.015, 0.09)
            if rng.random() < 0.85:
                tint = p[rng.integers(len(p))] * rng.uniform(0.5, 1.2)
                _box(canvas, x, base - pitch * rng.uniform(0.4, 0.85), x + width - 0.003, base, _colour(tint))
            x += width
        _box(canvas, 0, base, w / h, base + 0.02, _colour(p[1] * 0.8))
    return image.astype(np.float32)


def _curtain(rng: np.random.Generator, h: int, w: int, p: Palette) -> Picture:
    x = np.arange(w) / h
    folds = np.zeros(w)
    for _ in range(4):
        folds += np.sin(x * rng.uniform(15, 60) + rng.uniform(0, 6)) * rng.uniform(0.3, 1)
    folds = (folds - folds.min()) / (folds.max() - folds.min())
    field = np.broadcast_to(folds.astype(np.float32), (h, w)) * (0.8 + 0.2 * fractal(rng, h, w, 3, 2))
    return _mix(p[0] * 0.35, p[0] * 1.05, field)


Kind = Callable[[np.random.Generator, int, int, Palette], Picture]

_TRAINING: dict[str, Kind] = {
    "plaster": _plaster,
    "brick": _brick,
    "tiles": _tiles,
    "planks": _planks,
    "foliage": _foliage,
    "gradient": _gradient,
    "street": _street,
    "shelves": _shelves,
}
_HELD_OUT: dict[str, Kind] = {
    "concrete": _concrete,
    "stone": _stone,
    "mosaic": _mosaic,
    "panels": _panels,
    "grass": _grass,
    "bokeh": _bokeh,
    "hills": _hills,
    "curtain": _curtain,
}


def backdrop(
    rng: np.random.Generator, height: int, aspect: float, held_out: bool
) -> tuple[str, NDArray[np.uint8]]:
    """Make a backdrop with clutter in front of it.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all choices.
    height : int
        Height in pixels; the width follows from `aspect`.
    aspect : float
        Width over height.
    held_out : bool
        Choose from the kinds that training recordings never show.

    Returns
    -------
    kind : str
        Name of what was chosen.
    picture : ndarray of uint8, shape (height, round(height * aspect), 3)
        RGB.
    """
    kinds = _HELD_OUT if held_out else _TRAINING
    kind = str(rng.choice(sorted(kinds)))
    width = round(height * aspect)
    picture = kinds[kind](rng, height, width, random_palette(rng))
    image = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8))
    canvas = Canvas(image, np.array([[height, 0, 0], [0, height, 0]], dtype=np.float64))
    for _ in range(int(rng.integers(0, 4))):
        _clutter(canvas, rng, aspect)
    return kind, image


def _clutter(canvas: Canvas, rng: np.random.Generator, aspect: float) -> None:
    """A picture frame, lamp, pot plant or box standing or hanging somewhere."""
    p = random_palette(rng, 3)
    x, y, size = rng.uniform(0, aspect), rng.uniform(0.05, 0.9), rng.uniform(0.06, 0.18)
    match int(rng.integers(4)):
        case 0:
            _box(canvas, x - size * 0.7, y - size * 0.5, x + size * 0.7, y + size * 0.5, _colour(p[0] * 0.6))
            _box(canvas, x - size * 0.6, y - size * 0.4, x + size * 0.6, y + size * 0.4, _colour(p[1]))
        case 1:
            canvas.line([[x, 0], [x, y]], _colour(p[0] * 0.4), 0.006)
            shade = [[x - size * 0.3, y], [x + size * 0.3, y], [x + size * 0.6, y + size * 0.5]]
            canvas.polygon([*shade, [x - size * 0.6, y + size * 0.5]], _colour(p[1]))
        case 2:
            pot = [[x - size * 0.3, y], [x + size * 0.3, y], [x + size * 0.2, y + size * 0.5]]
            canvas.polygon([*pot, [x - size * 0.2, y + size * 0.5]], _colour(p[0]))
            for turn in rng.uniform(-70, 70, 6):
                tip = (x + np.sin(np.deg2rad(turn)) * size * 0.4, y - np.cos(np.deg2rad(turn)) * size * 0.4)
                canvas.ellipse(tip, (size * 0.1, size * 0.45), turn, _colour(p[1] * rng.uniform(0.6, 1.0)))
        case _:
            _box(canvas, x, y, x + size, y + size, _colour(p[0]))
            _box(canvas, x, y, x + size, y + size * 0.15, _colour(p[0] * 0.7))


def _box(canvas: Canvas, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    canvas.polygon([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], colour)


def _colour(rgb: NDArray[np.float32]) -> Colour:
    r, g, b = (float(v) for v in np.clip(rgb, 0, 255))
    return r, g, b
