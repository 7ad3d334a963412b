"""A wood fire that flares and burns down, with crackles at the sparks that fly."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Event, Performance, Stage, Wave
from foley.datasets.procedural.scenery import (
    Curve,
    baked,
    fractal,
    pick,
    random_colour,
    scatter,
    shade,
    swell,
)
from foley.datasets.procedural.sound import decay, modes, noise, peak

_BASE = 0.86
_ROWS, _COLUMNS = 110, 100
_WOODS = {"oak": 900.0, "pine": 1500.0, "birch": 1200.0, "beech": 1050.0, "spruce": 1750.0}
"""Pitch in Hz at which a splinter of each wood pops."""


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a fire with visible, audible sparks over a roar that follows the size of the flames.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every choice.
    stage : Stage
        Length, aspect and half (training or held out) of the recording.

    Returns
    -------
    Performance
        Events of kind ``spark``; the bed follows the intensity curve.
    """
    view = pick(
        rng,
        ("campfire-crossed", "hearth-brick", "brazier-round"),
        ("campfire-tepee", "hearth-stone", "brazier-barrel"),
        stage.held_out,
    )
    wood = pick(rng, ("oak", "pine", "birch"), ("beech", "spruce"), stage.held_out)
    tempo = pick(rng, ("crackle-rare-a", "crackle-dense-a"), ("crackle-medium-b",), stage.held_out)
    gap_s = {"crackle-rare-a": 0.9, "crackle-medium-b": 0.6, "crackle-dense-a": 0.38}[tempo]
    cx = stage.aspect * rng.uniform(0.42, 0.58)
    half = rng.uniform(0.3, 0.4)
    intensity = swell(rng, stage.duration_s, rng.uniform(0.1, 0.25), rng.uniform(0.8, 1.0))
    events = _plan(rng, stage.duration_s, gap_s, cx, half, wood)
    behind, before = _fireplace(rng, view, cx, half, stage.aspect)
    flames = _Flames(rng, cx, half)
    dusk = rng.uniform(0.3, 0.85)
    sparks = _sparks(rng, events, flames.colours[200])

    def draw(canvas: Canvas, t: float) -> None:
        level = float(intensity(np.array([t]))[0])
        cv2.convertScaleAbs(canvas.image, canvas.image, dusk)
        behind(canvas)
        flames.paint(canvas, t, level)
        before(canvas)
        flames.embers(canvas, t, level)
        sparks(canvas, t)

    def hit(event: Event, hit_rng: np.random.Generator) -> Wave:
        return _crackle(hit_rng, event)

    def bed(bed_rng: np.random.Generator, n_samples: int) -> Wave:
        return _roar(bed_rng, n_samples, intensity)

    traits = {"view": view, "material": wood, "tempo": tempo}
    return Performance(events, draw, hit, traits, bed, intensity)


def _plan(
    rng: np.random.Generator, duration_s: float, gap_s: float, cx: float, half: float, wood: str
) -> tuple[Event, ...]:
    """Sparks at random times at least 0.13 s apart, with at most one long pause."""
    events: list[Event] = []
    pause_at, pause_s = rng.uniform(0, duration_s), rng.uniform(0, 1.5) * (rng.random() < 0.5)
    t = rng.uniform(0.1, 1.0)
    while t < duration_s - 0.1:
        x, y = cx + half * rng.uniform(-0.6, 0.6), _BASE - rng.uniform(0.02, 0.16)
        events.append(Event(float(t), float(rng.uniform(0.3, 1.0)), "spark", wood, float(x), float(y)))
        step = 0.13 + rng.exponential(gap_s - 0.13)
        if t < pause_at <= t + step:
            step += pause_s
        t += step
    return tuple(events)


class _Flames:
    """Flames as a field of heat: noise that rises and is torn into tongues, then coloured."""

    def __init__(self, rng: np.random.Generator, cx: float, half: float) -> None:
        self._cx, self._half = cx, half * rng.uniform(1.0, 1.15)
        self._tall = rng.uniform(0.68, 0.84)
        self._rise = rng.uniform(0.8, 1.3)
        self._wide = fractal(rng, (128, 128), 1.5, (1.0, 1.0))
        self._fine = fractal(rng, (128, 128), 1.3, (2.2, 1.0))
        v, u = np.mgrid[0:_ROWS, 0:_COLUMNS].astype(np.float32)
        self._u = 2.4 * (u / (_COLUMNS - 1) - 0.5)
        self._v = 1 - v / (_ROWS - 1)
        self.colours = _flame_colours(rng)
        self._cover = np.clip(np.linspace(-0.05, 1.6, 256), 0, 0.75)
        grid = np.linspace(-1, 1, 40)
        disc = np.clip(1 - grid[None, :] ** 2 - grid[:, None] ** 2, 0, 1)[..., None] ** 2
        self._halo = (disc * self.colours[150] * 0.4).astype(np.uint8)
        self._phase = rng.uniform(0, 1, 26)
        self._drift = rng.uniform(-0.1, 0.1)

    def paint(self, canvas: Canvas, t: float, level: float) -> None:
        """Paint halo and flames of time `t` at the fuel `level`."""
        lift = np.float32(self._rise * t * 110)
        sway = cv2.remap(
            self._wide,
            self._u * 22,
            self._v * -45 + lift * 0.7 + 500,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        bent = self._u + (sway - 0.5) * 0.9 * self._v
        torn = cv2.remap(
            self._fine,
            bent * 38 + 64,
            self._v * -75 + lift + 700,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        v = self._v / (0.25 + 0.6 * level)
        width = 0.55 + 0.45 * level
        heat = (
            1.0
            - v
            - 0.75 * (bent / width) ** 2 * (0.6 + v)
            + 1.7 * (torn - 0.5) * (0.35 + 0.75 * np.minimum(v, 1.1))
        )
        # Fade out before the sheet's edges, or its box would show.
        heat *= np.clip(6 * (1.2 - np.abs(self._u)), 0, 1) * np.clip(8 * (1 - self._v), 0, 1)
        index = np.clip(heat * 230, 0, 255).astype(np.uint8)
        opaque = cv2.LUT(index, (255 * self._cover).astype(np.uint8))
        rgb = cv2.LUT(cv2.merge([index, index, index]), self.colours[None])
        flicker = 0.8 + 0.4 * float(sway[_ROWS // 2, _COLUMNS // 2])
        r = (0.45 + 0.5 * level) * flicker
        y = _BASE - 0.15
        canvas.veil((self._cx - r, y - r, self._cx + r, y + r), self._halo)
        reach, top = 1.2 * self._half, _BASE - self._tall
        canvas.veil((self._cx - reach, top, self._cx + reach, _BASE + 0.01), rgb, opaque)

    def embers(self, canvas: Canvas, t: float, level: float) -> None:
        """Glowing specks that float up silently."""
        n = int(6 + 20 * level)
        laps = self._phase[:n] + 0.45 * t
        cycle = np.floor(laps)
        age = laps - cycle
        start = 2 * scatter(np.arange(n), cycle, 1.0) - 1
        x = self._cx + self._half * 0.7 * start + self._drift * age + 0.03 * np.sin(9 * age + 6 * start)
        spots = np.stack([x, _BASE - 0.1 - 0.85 * age], axis=1)
        canvas.dots(spots, max(0.7, 0.0028 * canvas.scale), tuple(self.colours[210].tolist()))


def _flame_colours(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Colour of each heat, uint8 RGB, shape (256, 3), as some camera's white balance shows it."""
    natural = rng.random() < 0.45
    hue = rng.uniform(4, 14) if natural else rng.uniform(0, 180)
    vivid = rng.uniform(0.7, 1.0) if natural else rng.beta(1.3, 1.5)
    bright = rng.uniform(0.7, 1.0)
    stops = np.array([0, 40, 110, 190, 255])
    hsv = np.stack(
        [
            (hue + np.array([0, 0, 6, 13, 18])) % 180,
            255 * vivid * np.array([1, 1, 0.95, 0.75, 0.3]),
            255 * bright * np.array([0, 0.45, 0.9, 1, 1]),
        ],
        axis=1,
    )
    rgb = cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0]
    ramp = [np.interp(np.arange(256), stops, rgb[:, k]) for k in range(3)]
    return np.stack(ramp, axis=1).astype(np.uint8)


def _sparks(
    rng: np.random.Generator, events: tuple[Event, ...], colour: NDArray[np.uint8]
) -> Callable[[Canvas, float], None]:
    """Flash at each event, then a shower of burning splinters that fly in arcs."""
    n = 16
    angles = rng.uniform(-2.6, -0.5, (len(events), n))
    speeds = rng.uniform(0.5, 1.6, (len(events), n))
    hot: Colour = tuple((0.4 * colour + 0.6 * 255).tolist())

    def draw(canvas: Canvas, t: float) -> None:
        for k, event in enumerate(events):
            age = t - event.time_s
            if not 0 <= age < 0.55:
                continue
            if age < 0.12:
                strength = event.force * (1 - age / 0.12)
                canvas.glow((event.x, event.y), 0.08 + 0.14 * event.force, hot, 0.4 + 1.1 * strength)
            velocity = speeds[k] * (0.6 + 0.6 * event.force)
            way = np.stack([np.cos(angles[k]), np.sin(angles[k])], axis=1) * velocity[:, None]

            def place(s: float, way: NDArray[np.float64] = way, event: Event = event) -> NDArray[np.float64]:
                return np.asarray(way * s + np.array([event.x, event.y + 0.9 * s * s]))

            count = max(2, round(n * (0.4 + 0.6 * event.force) * (1 - age / 0.6)))
            trails = np.stack([place(max(0.0, age - 0.035)), place(age + 0.004)], axis=1)[:count]
            canvas.lines(trails, hot, 0.006)

    return draw


def _fireplace(
    rng: np.random.Generator, view: str, cx: float, half: float, aspect: float
) -> tuple[Callable[[Canvas], None], Callable[[Canvas], None]]:
    """Painters of what lies behind and of what lies in front of the flames."""
    bark, ground, stone = (
        random_colour(rng, 0.15, 0.6),
        random_colour(rng, 0.1, 0.6),
        random_colour(rng, 0.2, 0.8),
    )
    logs = _logs(rng, view, cx, half)
    rough = rng.uniform(0.7, 1.25, (40, 12))

    def back(canvas: Canvas) -> None:
        if view.startswith("hearth"):
            _hearth(canvas, cx, half * 1.35, aspect, stone, rough, view == "hearth-brick")
        elif view.startswith("campfire"):
            canvas.ellipse((cx, _BASE + 0.05), (half * 1.9, 0.16), 0, shade(ground, 0.8))
            canvas.ellipse((cx, _BASE + 0.04), (half * 1.3, 0.1), 0, shade(ground, 0.3))
            for k, turn in enumerate(np.linspace(np.pi, 2 * np.pi, 9)):
                _stone(
                    canvas,
                    cx + half * 1.45 * np.cos(turn),
                    _BASE + 0.03 + 0.1 * np.sin(turn),
                    0.06,
                    stone,
                    rough[k],
                )
        else:
            canvas.ellipse((cx, _BASE), (half * 1.15, 0.07), 0, shade(stone, 0.25))
        for log in logs[:-1]:
            _log(canvas, log, bark)

    def front(canvas: Canvas) -> None:
        _log(canvas, logs[-1], bark)
        if view.startswith("campfire"):
            for k, turn in enumerate(np.linspace(0.1, np.pi - 0.1, 9)):
                _stone(
                    canvas,
                    cx + half * 1.45 * np.cos(turn),
                    _BASE + 0.05 + 0.1 * np.sin(turn),
                    0.075,
                    stone,
                    rough[k + 9],
                )
        elif view.startswith("brazier"):
            _brazier(canvas, cx, half * 1.15, stone, view == "brazier-round")

    whole = (-0.2, -0.2, aspect + 0.2, 1.2)
    layers = [baked(back, whole, 420), baked(front, whole, 420)]

    def lay(which: int) -> Callable[[Canvas], None]:
        rgb, cover = layers[which]
        rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        unit = 1.4 / 420
        box = (left * unit - 0.2, top * unit - 0.2, right * unit - 0.2, bottom * unit - 0.2)
        cut, mask = rgb[top:bottom, left:right].copy(), cover[top:bottom, left:right].copy()
        if mask.min() == 255:
            return lambda canvas: canvas.backdrop(box, cut)
        return lambda canvas: canvas.veil(box, cut, mask)

    return lay(0), lay(1)


def _logs(rng: np.random.Generator, view: str, cx: float, half: float) -> list[NDArray[np.float64]]:
    """Ends of the logs, each of shape (2, 2) in scene units; the last one lies in front."""
    if view == "campfire-tepee":
        feet = np.linspace(-0.95, 0.95, 6)
        tip = np.array([cx, _BASE - rng.uniform(0.28, 0.36)])
        ends = [
            np.array([[cx + half * f, _BASE + 0.04], tip - np.array([0.09 * f, 0.03])])
            for f in rng.permutation(feet)
        ]
        return [*ends, np.array([[cx - half * 0.6, _BASE + 0.06], [cx + half * 0.5, _BASE + 0.03]])]
    lean = rng.uniform(0.06, 0.13)
    pairs = []
    for y, side in ((-0.05, 1), (-0.03, -1), (-0.1, 1), (0.0, -1)):
        tilt = lean * side * rng.uniform(0.6, 1.2)
        reach = half * rng.uniform(0.8, 0.98)
        pairs.append(np.array([[cx - reach, _BASE + y + tilt / 2], [cx + reach, _BASE + y - tilt / 2]]))
    return pairs


def _log(canvas: Canvas, ends: NDArray[np.float64], bark: Colour) -> None:
    """Paint one round log with bark lines and the rings of its sawn end."""
    thick = 0.045
    along = ends[1] - ends[0]
    along = along / np.hypot(*along)
    side = np.array([-along[1], along[0]])
    for offset, width, bright in ((0.0, 1.0, 0.45), (-0.15, 0.7, 0.8), (-0.3, 0.35, 1.15)):
        a, b = ends + side * offset * thick * (1 if side[1] > 0 else -1)
        w = side * thick * width
        canvas.polygon([a - w, b - w, b + w, a + w], shade(bark, bright))
    for k in range(9):
        s = ends[0] + (ends[1] - ends[0]) * (k + 0.3) / 9 + side * thick * (((k * 37) % 11) / 6 - 0.9)
        canvas.line([s, s + along * 0.06], shade(bark, 0.3), 0.006)
    turn = float(np.rad2deg(np.arctan2(along[1], along[0])))
    for radius, bright in ((1.0, 0.5), (0.85, 1.5), (0.55, 1.2), (0.42, 1.5), (0.15, 1.0)):
        canvas.ellipse(ends[1], (thick * 0.5 * radius, thick * radius), turn, shade(bark, bright))


def _stone(
    canvas: Canvas, x: float, y: float, radius: float, colour: Colour, rough: NDArray[np.float64]
) -> None:
    """Paint one rounded field stone with a lit top."""
    turn = np.linspace(0, 2 * np.pi, rough.size, endpoint=False)
    for scale, drop, bright in ((1.0, 0.0, 0.4), (0.85, -0.12, 0.75), (0.5, -0.3, 1.2)):
        reach = radius * scale * rough
        canvas.polygon(
            np.stack([x + np.cos(turn) * reach, y + drop * radius + 0.75 * np.sin(turn) * reach], axis=1),
            shade(colour, bright * float(rough[0])),
        )


def _hearth(
    canvas: Canvas,
    cx: float,
    half: float,
    aspect: float,
    stone: Colour,
    rough: NDArray[np.float64],
    brick: bool,
) -> None:
    """Paint a wall of bricks or blocks with a mantel shelf and a dark opening."""
    canvas.polygon([[-0.2, -0.2], [aspect + 0.2, -0.2], [aspect + 0.2, 1.2], [-0.2, 1.2]], shade(stone, 1.3))
    high, wide = (0.065, 0.17) if brick else (0.13, 0.27)
    for row in range(int(1.4 / high) + 1):
        y = -0.2 + row * high
        for column in range(int((aspect + 0.6) / wide) + 1):
            x = -0.4 + (column + 0.5 * (row % 2)) * wide
            lit = float(rough[row % 40, column % 12]) * 0.75
            canvas.polygon(
                [[x, y], [x + wide - 0.012, y], [x + wide - 0.012, y + high - 0.012], [x, y + high - 0.012]],
                shade(stone, lit),
            )
            canvas.line(
                [[x, y + high - 0.014], [x + wide - 0.014, y + high - 0.014]], shade(stone, lit * 0.6), 0.005
            )
    arch = np.linspace(np.pi, 2 * np.pi, 19)
    rise = 0.12 if brick else 0.03
    top = np.stack([cx + half * np.cos(arch), 0.3 + rise * np.sin(arch)], axis=1)
    rim = np.concatenate(
        [
            [[cx - half - 0.05, _BASE + 0.1]],
            (top - (cx, 0.3)) * (1.1, 1.4) + (cx, 0.3),
            [[cx + half + 0.05, _BASE + 0.1]],
        ]
    )
    canvas.polygon(rim, shade(stone, 0.5))
    canvas.polygon(
        np.concatenate([[[cx - half, _BASE + 0.1]], top, [[cx + half, _BASE + 0.1]]]), (14, 12, 12)
    )
    canvas.polygon(
        [
            [cx - half, _BASE + 0.1],
            [cx - half * 0.8, _BASE],
            [cx + half * 0.8, _BASE],
            [cx + half, _BASE + 0.1],
        ],
        shade(stone, 0.25),
    )
    canvas.polygon(
        [[-0.2, 0.06], [aspect + 0.2, 0.06], [aspect + 0.2, 0.13], [-0.2, 0.13]], shade(stone, 0.9)
    )
    canvas.line([[-0.2, 0.135], [aspect + 0.2, 0.135]], shade(stone, 0.3), 0.012)


def _brazier(canvas: Canvas, cx: float, half: float, metal: Colour, bowl: bool) -> None:
    """Paint the front of a round fire bowl on legs, or of a drum with air holes."""
    turn = np.linspace(0, np.pi, 21)
    rim = np.stack([cx + half * np.cos(turn), _BASE + 0.07 * np.sin(turn)], axis=1)
    for k in range(12):
        a, b = np.cos(np.pi * k / 12), np.cos(np.pi * (k + 1) / 12)
        lit = 0.35 + 0.6 * np.sin(np.pi * (k + 0.5) / 12 * 0.8)
        foot = 0.35 if bowl else 0.97
        strip = [
            [cx + half * a, _BASE + 0.07 * np.sqrt(1 - a * a)],
            [cx + half * b, _BASE + 0.07 * np.sqrt(1 - b * b)],
            [cx + half * foot * b, _BASE + (0.17 if bowl else 0.34)],
            [cx + half * foot * a, _BASE + (0.17 if bowl else 0.34)],
        ]
        canvas.polygon(strip, shade(metal, float(lit)))
    canvas.line(rim, shade(metal, 1.4), 0.016)
    for side in (-0.7, -0.35, 0.0, 0.35, 0.7):
        if bowl:
            canvas.line(
                [[cx + half * side, _BASE + 0.14], [cx + half * side * 1.25, 1.2]], shade(metal, 0.5), 0.02
            )
        else:
            canvas.circle((cx + half * side, _BASE + 0.1 + 0.02 * (1 - side * side)), 0.016, (15, 12, 12))


def _crackle(rng: np.random.Generator, event: Event) -> Wave:
    """Snap of a splinter: a click of a few milliseconds and the wood's short pop."""
    pitch = _WOODS[event.material] * rng.uniform(0.8, 1.5)
    snap = noise(1920, rng, 1800.0) * decay(0.04, rng.uniform(0.008, 0.025), 0.0002)
    pop = modes([pitch, pitch * 1.7, pitch * 2.9], [0.02, 0.014, 0.01], [0.9, 0.6, 0.4], 0.04, rng)
    late = np.zeros(1920, dtype=np.float32)
    # Most splinters tear in two or three steps within a few milliseconds.
    for start in rng.uniform(0.004, 0.02, int(rng.integers(0, 3))):
        grain = noise(240, rng, 2500.0) * decay(0.005, 0.004, 0.0002) * 0.4
        at = int(start * SAMPLE_RATE_HZ)
        late[at : at + 240] += grain
    return peak(snap * (0.5 + 0.5 * event.force) + 0.5 * pop + late, event.force)


def _roar(rng: np.random.Generator, n_samples: int, intensity: Curve) -> Wave:
    """Fluttering low roar and a thin hiss that follow the flames; float32, shape (n_samples,)."""
    coarse_s = np.arange(0, n_samples / SAMPLE_RATE_HZ + 0.02, 0.01)
    level = np.interp(np.arange(n_samples) / SAMPLE_RATE_HZ, coarse_s, intensity(coarse_s))
    knots = np.arange(0, n_samples / SAMPLE_RATE_HZ + 0.2, 0.07)
    flutter = np.interp(np.arange(n_samples) / SAMPLE_RATE_HZ, knots, rng.uniform(0.5, 1.5, knots.size))
    low = noise(n_samples, rng, 60.0, 380.0) * flutter
    hiss = noise(n_samples, rng, 3500.0, 9000.0)
    return np.asarray((0.75 * low + 0.02 * hiss) * level**1.2, dtype=np.float32)
