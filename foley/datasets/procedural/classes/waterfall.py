"""A waterfall whose flow swells and ebbs: falling sheets over rock, spray, a foaming pool."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Event, Performance, Stage, Wave
from foley.datasets.procedural.scenery import (
    Curve,
    fractal,
    pick,
    random_colour,
    scatter,
    shade,
    swell,
    tint,
)
from foley.datasets.procedural.sound import decay, noise

_MARGIN = 0.12
_UNIT_PX = 230
_TILE_PX = 256
_ROCKS = {"granite": 1.0, "basalt": 1.8, "slate": 3.0, "sandstone": 0.5, "limestone": 0.75}
"""How much longer than wide the cracks of each rock are."""


@dataclass(frozen=True)
class _Fall:
    """One sheet of water: its middle at the lip and at the foot, half width, and top and foot height."""

    x_top: float
    x_foot: float
    half: float
    top: float
    foot: float


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a waterfall whose flow changes during the recording.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every choice.
    stage : Stage
        Length, aspect and half (training or held out) of the recording.

    Returns
    -------
    Performance
        Without events; the bed follows the intensity curve.
    """
    view = pick(rng, ("plunge", "curtain", "cascade-two"), ("twin", "cascade-three"), stage.held_out)
    rock = pick(rng, ("granite", "basalt", "sandstone"), ("slate", "limestone"), stage.held_out)
    tempo = pick(rng, ("flow-slow-a", "flow-fast-a"), ("flow-medium-b",), stage.held_out)
    speed = {"flow-slow-a": 0.8, "flow-medium-b": 1.05, "flow-fast-a": 1.35}[tempo] * rng.uniform(0.92, 1.08)
    intensity = swell(rng, stage.duration_s, rng.uniform(0.1, 0.3), rng.uniform(0.8, 1.0))
    shore = rng.uniform(0.74, 0.86)
    falls = _falls(rng, view, stage.aspect, shore)
    box = (-_MARGIN, -_MARGIN, stage.aspect + _MARGIN, 1 + _MARGIN)
    picture = _cliff(rng, box, shore, falls, _ROCKS[rock])
    water = _Water(rng, box, shore, falls, speed)
    spray = _Spray(rng, falls, water.white)

    def draw(canvas: Canvas, t: float) -> None:
        level = float(intensity(np.array([t]))[0])
        canvas.backdrop(box, water.over(picture, t, level))
        spray.paint(canvas, t, level)

    def hit(event: Event, hit_rng: np.random.Generator) -> Wave:
        splash = noise(9600, hit_rng, 400.0, 6000.0) * decay(0.2, 0.15, 0.0005)
        return np.asarray(splash * event.force, dtype=np.float32)

    def bed(bed_rng: np.random.Generator, n_samples: int) -> Wave:
        return _roar(bed_rng, n_samples, intensity)

    traits = {"view": view, "material": rock, "tempo": tempo}
    return Performance((), draw, hit, traits, bed, intensity, paints_background=True)


def _falls(rng: np.random.Generator, view: str, aspect: float, shore: float) -> list[_Fall]:
    """Where the water falls in this view."""
    lip = rng.uniform(0.02, 0.16)
    middle = aspect * rng.uniform(0.38, 0.62)
    if view == "plunge":
        return [_Fall(middle, middle, rng.uniform(0.15, 0.24), lip, shore)]
    if view == "curtain":
        return [_Fall(middle, middle, aspect * rng.uniform(0.3, 0.4), lip, shore)]
    if view == "twin":
        gap = rng.uniform(0.26, 0.34)
        halves = rng.uniform(0.12, 0.18, 2)
        return [
            _Fall(middle + side * gap, middle + side * gap, h, lip, shore)
            for side, h in zip((-1, 1), halves, strict=True)
        ]
    n_steps = 2 if view == "cascade-two" else 3
    edges = np.linspace(lip, shore, n_steps + 1)
    slope, x = rng.choice([-1.0, 1.0]) * rng.uniform(0.05, 0.14), middle
    falls = []
    for k in range(n_steps):
        half = (0.16 + 0.1 * k) * rng.uniform(0.9, 1.1)
        falls.append(_Fall(x, x + slope * 0.3, half, float(edges[k]), float(edges[k + 1])))
        x += slope
    return falls


def _cliff(
    rng: np.random.Generator, box: tuple[float, ...], shore: float, falls: list[_Fall], crack: float
) -> NDArray[np.uint8]:
    """Sky, a rock face with plants, ledges, boulders, and still water below; uint8 RGB."""
    height, width = round(_UNIT_PX * (box[3] - box[1])), round(_UNIT_PX * (box[2] - box[0]))
    dim = 1.0 if rng.random() < 0.6 else rng.uniform(0.4, 0.8)
    stone, plants, sky = (random_colour(rng, 0.15, 0.85) for _ in range(3))
    relief = fractal(rng, (height, width), 1.5, (crack, 1.0)) + 0.5 * np.abs(
        fractal(rng, (height, width), 1.2) - 0.5
    )
    light = np.gradient(relief, axis=1) - np.gradient(relief, axis=0)
    grey = 0.3 + 0.35 * relief + 4.0 * light
    picture = tint(grey, shade(stone, 0.2 * dim), shade(stone, 1.35 * dim))

    def pixel(x: float, y: float) -> tuple[int, int]:
        return round((x - box[0]) * _UNIT_PX), round((y - box[1]) * _UNIT_PX)

    outline = fractal(rng, (8, width), 1.4)[0]
    top = falls[0].top
    rows = (top - box[1] - 0.16 * outline) * _UNIT_PX
    across = np.arange(width) / _UNIT_PX + box[0]
    for fall in falls:
        if fall.top == top:
            # The river has worn a notch into the edge.
            notch = np.exp(-(((across - fall.x_top) / (fall.half * 1.1)) ** 4))
            rows += ((top - box[1]) * _UNIT_PX - rows) * notch
    above = np.arange(height)[:, None] < rows[None, :]
    cloud = tint(fractal(rng, (height, width), 1.8, (1.0, 0.6)), shade(sky, 0.8 * dim), shade(sky, 1.5 * dim))
    picture[above] = cloud[above]
    for _ in range(int(rng.integers(150, 320))):
        x = rng.uniform(box[0], box[2])
        column = int(np.clip((x - box[0]) * _UNIT_PX, 0, width - 1))
        y = box[1] + rows[column] / _UNIT_PX + rng.exponential(0.035)
        if all(abs(x - f.x_top) > f.half + 0.02 for f in falls):
            cv2.circle(
                picture, pixel(x, y), int(rng.integers(2, 6)), shade(plants, dim * rng.uniform(0.4, 1.2)), -1
            )
    for fall in falls[1:]:
        ledge = [
            pixel(fall.x_top - fall.half - 0.1, fall.top),
            pixel(fall.x_top + fall.half + 0.1, fall.top + 0.02),
        ]
        cv2.rectangle(picture, ledge[0], ledge[1], shade(stone, 0.25 * dim), -1)
    _, row = pixel(0, shore)
    pool = cv2.GaussianBlur(cv2.flip(picture[max(0, 2 * row - height) : row], 0), (0, 0), sigmaX=6, sigmaY=3)
    picture[row:] = np.asarray(cv2.resize(pool, (width, height - row)) * 0.65).astype(np.uint8)
    for _ in range(int(rng.integers(7, 14))):
        x, y = rng.uniform(box[0], box[2]), shore + rng.uniform(0.0, 0.2)
        if all(abs(x - f.x_foot) > f.half * 0.8 or y > shore + 0.1 for f in falls):
            _boulder(rng, picture, pixel(x, y), rng.uniform(0.05, 0.13) * _UNIT_PX, shade(stone, dim), grey)
    return np.asarray(picture)


def _boulder(
    rng: np.random.Generator,
    picture: NDArray[np.uint8],
    spot: tuple[int, int],
    radius: float,
    stone: Colour,
    grain: NDArray[np.float32],
) -> None:
    """Paint one lit boulder into `picture` in place; `radius` in pixels."""
    turn = np.linspace(0, 2 * np.pi, 11, endpoint=False)
    reach = radius * rng.uniform(0.75, 1.1, turn.size)
    shape = np.stack([np.cos(turn) * reach, np.sin(turn) * reach * 0.65], axis=1)
    for scale, offset, bright in ((1.0, 0.0, 0.3), (0.86, -0.12, 0.7), (0.6, -0.25, 1.1)):
        points = shape * scale + spot + np.array([offset, offset]) * radius
        cv2.fillPoly(picture, [np.round(points).astype(np.int32)], shade(stone, bright), cv2.LINE_AA)
    x, y, r = spot[0], spot[1], int(radius)
    patch = picture[max(0, y - r) : y + r, max(0, x - r) : x + r]
    rough = 0.75 + 0.5 * grain[max(0, y - r) : y + r, max(0, x - r) : x + r, None]
    patch[:] = np.clip(patch * rough, 0, 255).astype(np.uint8)


class _Water:
    """The moving water: one streaky tile, carried along every pixel's path of fall or drift."""

    def __init__(
        self, rng: np.random.Generator, box: tuple[float, ...], shore: float, falls: list[_Fall], speed: float
    ) -> None:
        height, width = round(_UNIT_PX * (box[3] - box[1])), round(_UNIT_PX * (box[2] - box[0]))
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        x, y = x / _UNIT_PX + np.float32(box[0]), y / _UNIT_PX + np.float32(box[1])
        tile = np.maximum(
            fractal(rng, (_TILE_PX, _TILE_PX), 1.0, (5.0, 1.0)),
            fractal(rng, (_TILE_PX, _TILE_PX), 1.4, (2.5, 1.0)) - 0.1,
        )
        self._tile = (255 * np.clip((tile - 0.25) / 0.6, 0, 1)).astype(np.uint8)
        core = np.zeros((height, width), dtype=np.float32)
        map_x, map_y = x * 180, np.zeros_like(y)
        edge = 0.06 * (fractal(rng, (height, width), 1.3, (3.0, 1.0)) - 0.5)
        for fall in falls:
            down = np.clip((y - fall.top) / (fall.foot - fall.top), 0, 1)
            # Water gathers speed, so the tile is stretched along the time since the lip.
            since = np.sqrt(0.12 + down)
            across = (x + edge - (fall.x_top + (fall.x_foot - fall.x_top) * down)) / (
                fall.half * (0.85 + 0.25 * down)
            )
            inside = (y >= fall.top) & (y < fall.foot + 0.015) & (np.abs(across) < 1.25)
            profile = np.clip(1.1 - np.abs(across) ** 1.6, 0, 1)
            map_x[inside] = (across * fall.half * 260 + 500 * fall.top)[inside]
            map_y[inside] = (since * 420 * (fall.foot - fall.top))[inside]
            core[inside] = np.maximum(core, profile)[inside]
        pool = y >= shore
        depth = 0.03 + np.clip(y - shore, 0, None)
        nearest = np.min([np.abs(x - f.x_foot) / f.half for f in falls if f.foot > shore - 0.01], axis=0)
        foam = np.clip(1.1 - 0.45 * nearest - 2.5 * (y - shore), 0.12, 0.9)
        # Ripples lie across the view, so here the tile's streaks run along x.
        map_x[pool] = (150 * np.log(depth))[pool]
        map_y[pool] = ((x - falls[-1].x_foot) * 60 / (0.15 + depth))[pool]
        core[pool] = foam[pool]
        # The pool drifts towards the viewer, more slowly than the water falls.
        self._drift = np.where(pool, -45.0 * speed, 0.0).astype(np.float32)
        self._rate = np.where(pool, 0.0, -300.0 * speed).astype(np.float32)
        self._map_x, self._map_y = map_x, map_y
        self._core = (255 * core).astype(np.uint8)
        self._wet = (self._core > 0).astype(np.uint8)
        water = random_colour(rng, 0.55, 0.9, 0.35)
        self.white = shade(water, 1.7)
        ramp = np.linspace(0, 1, 256)[None, :]
        self._colours = tint(ramp, shade(water, 0.45), shade(water, rng.uniform(1.3, 1.8)))

    def over(self, picture: NDArray[np.uint8], t: float, level: float) -> NDArray[np.uint8]:
        """The scene with the water of time `t` and flow `level`; uint8 RGB of the same shape."""
        u = self._map_x + self._drift * np.float32(t)
        v = self._map_y + self._rate * np.float32(t)
        grey = cv2.remap(self._tile, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        # At low flow only the strongest streaks of the core remain, and rock shows between them.
        cover = cv2.addWeighted(grey, 1.3, self._core, 1.9, -500 + 390 * level)
        cover = cv2.multiply(cover, self._wet)
        tinted = cv2.LUT(cv2.merge([grey, grey, grey]), self._colours)
        cover3 = cv2.merge([cover, cover, cover])
        wet = cv2.multiply(tinted, cover3, scale=1 / 255)
        dry = cv2.multiply(picture, cv2.bitwise_not(cover3), scale=1 / 255)
        return np.asarray(cv2.add(wet, dry))


class _Spray:
    """Mist that billows at the foot of each fall, and drops that are thrown up."""

    def __init__(self, rng: np.random.Generator, falls: list[_Fall], white: Colour) -> None:
        grid = np.linspace(-1, 1, 48)
        fall_off = np.clip(1 - grid[None, :] ** 2 - grid[:, None] ** 2, 0, 1) ** 1.5
        soft = fall_off * (0.5 + 0.8 * fractal(rng, (48, 48), 1.5))
        self._white = white
        self._puff = np.clip(soft[..., None] * np.asarray(white) * 0.5, 0, 255).astype(np.uint8)
        self._cover = np.clip(soft * 130, 0, 255).astype(np.uint8)
        self._falls = falls
        self._n = 9
        self._pace, self._phase = rng.uniform(0.5, 0.9, self._n), rng.uniform(0, 1, self._n)
        self._drop_phase = rng.uniform(0, 1, 40)

    def paint(self, canvas: Canvas, t: float, level: float) -> None:
        """Paint the spray of time `t` and flow `level`."""
        index = np.arange(self._n)
        laps = self._phase + t * self._pace
        cycle = np.floor(laps)
        age = laps - cycle
        for k in index[index < 2 + level * (self._n - 2)]:
            fall = self._falls[-1 - k % min(2, len(self._falls))]
            x = fall.x_foot + fall.half * 1.3 * (2 * scatter(k, cycle[k], 1.0) - 1)
            r = (0.05 + 0.14 * age[k]) * (0.6 + 0.7 * level)
            y = fall.foot - 0.1 * age[k] * (0.5 + level)
            canvas.veil((x - 1.4 * r, y - r, x + 1.4 * r, y + r), self._puff, self._cover)
        n = round(40 * level)
        drops = np.arange(n)
        laps = self._drop_phase[:n] + 1.6 * t
        cycle = np.floor(laps)
        age = laps - cycle
        fall = self._falls[-1]
        x = (
            fall.x_foot
            + fall.half * (2 * scatter(drops, cycle, 2.0) - 1)
            + 0.2 * age * (2 * scatter(drops, cycle, 3.0) - 1)
        )
        y = fall.foot - (0.25 + 0.5 * level) * scatter(drops, cycle, 4.0) * age * (1 - age)
        canvas.dots(np.stack([x, y], axis=1), max(0.8, 0.0035 * canvas.scale), self._white)


def _roar(rng: np.random.Generator, n_samples: int, intensity: Curve) -> Wave:
    """Broadband rush that grows louder and brighter with the flow; float32, shape (n_samples,)."""
    coarse_s = np.arange(0, n_samples / SAMPLE_RATE_HZ + 0.02, 0.01)
    level = np.interp(np.arange(n_samples) / SAMPLE_RATE_HZ, coarse_s, intensity(coarse_s))
    # Surges of a few per second, as thick and thin strands of water arrive.
    knots = np.arange(0, n_samples / SAMPLE_RATE_HZ + 0.2, 0.12)
    surge = np.interp(np.arange(n_samples) / SAMPLE_RATE_HZ, knots, rng.uniform(0.75, 1.25, knots.size))
    low = noise(n_samples, rng, 50.0, 350.0) * 1.1
    middle = noise(n_samples, rng, 350.0, 1800.0) * 0.45
    high = noise(n_samples, rng, 1800.0, 7000.0) * 0.13
    return np.asarray((low * level + middle * level**1.4 * surge + high * level**2) * 0.5, dtype=np.float32)
