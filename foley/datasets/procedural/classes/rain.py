"""Rain, from drizzle to downpour: falling streaks, rings in puddles, an umbrella or a wet pane."""

import itertools
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Event, Performance, Stage, Wave
from foley.datasets.procedural.scenery import (
    Curve,
    baked,
    fractal,
    pick,
    random_colour,
    scatter,
    shade,
    skyline,
    swell,
    tint,
)
from foley.datasets.procedural.sound import add_at, decay, modes, noise

_TEXTURE_PX = 300
_MARGIN = 0.15
_SURFACES = {
    "asphalt": (1200.0, 0.3),
    "puddle": (800.0, 0.6),
    "gravel": (1900.0, 0.25),
    "flagstone": (1000.0, 0.45),
    "pond": (700.0, 0.65),
    "roof-tiles": (2300.0, 0.3),
}
"""Pitch in Hz of a drop on each surface, and how tonal (0 to 1) it is."""

Painter = Callable[[Canvas, float], None]


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a rainy scene whose intensity changes during the recording.

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
    view = pick(
        rng,
        ("umbrella-dome", "puddle-street", "pane-cross", "umbrella-pair"),
        ("umbrella-flat", "puddle-yard", "pane-bars"),
        stage.held_out,
    )
    surface = pick(rng, ("asphalt", "puddle", "gravel"), ("flagstone", "pond", "roof-tiles"), stage.held_out)
    tempo = pick(rng, ("fall-slow-a", "fall-fast-a"), ("fall-medium-b",), stage.held_out)
    fall = {"fall-slow-a": 1.5, "fall-medium-b": 2.0, "fall-fast-a": 2.6}[tempo] * rng.uniform(0.92, 1.08)
    intensity = swell(rng, stage.duration_s, rng.uniform(0.06, 0.25), rng.uniform(0.75, 1.0))
    horizon = rng.uniform(0.35, 0.6)
    box = (-_MARGIN, -_MARGIN, stage.aspect + _MARGIN, 1 + _MARGIN)
    picture = _street(rng, box, horizon)
    layers: list[Painter] = []
    if view.startswith("pane"):
        picture = _wetted(rng, picture)
        layers += [_streaks(rng, stage.aspect, fall, intensity, 0.5)]
        layers += [_pane(rng, stage.aspect, intensity, view)]
    else:
        layers += [_rings(rng, stage.aspect, horizon, intensity)]
        if view.startswith("umbrella"):
            n_people = 2 if view == "umbrella-pair" else 1
            for i in range(n_people):
                x = stage.aspect * (i + 0.5 + rng.uniform(-0.12, 0.12)) / n_people
                layers += [_umbrella(rng, x, intensity, view == "umbrella-flat", 1.0 - 0.2 * (n_people - 1))]
        layers += [_streaks(rng, stage.aspect, fall, intensity, 1.0)]
    haze = np.asarray(random_colour(rng, 0.45, 0.8, 0.3))

    def draw(canvas: Canvas, t: float) -> None:
        canvas.backdrop(box, picture)
        # Denser rain hides what is far away.
        veil = 0.35 * float(intensity(np.array([t]))[0])
        cv2.convertScaleAbs(canvas.image, canvas.image, 1 - veil, float(haze.mean()) * veil)
        for layer in layers:
            layer(canvas, t)

    def hit(event: Event, hit_rng: np.random.Generator) -> Wave:
        return np.asarray(_drop(hit_rng, surface) * event.force, dtype=np.float32)

    def bed(bed_rng: np.random.Generator, n_samples: int) -> Wave:
        return _patter(bed_rng, n_samples, intensity, surface)

    traits = {"view": view, "material": surface, "tempo": tempo}
    return Performance((), draw, hit, traits, bed, intensity, paints_background=True)


def _street(rng: np.random.Generator, box: tuple[float, ...], horizon: float) -> NDArray[np.uint8]:
    """Sky, a row of houses or trees, and wet ground that mirrors them; uint8 RGB."""
    height = round(_TEXTURE_PX * (box[3] - box[1]))
    width = round(_TEXTURE_PX * (box[2] - box[0]))
    night = 1.0 if rng.random() < 0.6 else rng.uniform(0.3, 0.8)
    split = round((horizon - box[1]) * _TEXTURE_PX)
    picture = skyline(rng, (height, width), split, night)
    picture = cv2.GaussianBlur(picture, (0, 0), 1.6)
    below = height - split
    mirror = cv2.flip(picture[max(0, split - below) : split], 0)
    mirror = cv2.GaussianBlur(cv2.resize(mirror, (width, below)), (0, 0), sigmaX=2, sigmaY=7)
    grain = fractal(rng, (below, width), 1.2, (2.5, 1.0))
    ground = random_colour(rng, 0.15, 0.75)
    floor = tint(grain, shade(ground, 0.5 * night), shade(ground, night))
    wet = np.clip((fractal(rng, (below, width), 2.0, (2.5, 1.0)) - 0.3) * 3, 0.15, 0.85)[..., None]
    picture[split:] = (floor * (1 - wet) + mirror * wet).astype(np.uint8)
    return np.asarray(picture)


def _streaks(
    rng: np.random.Generator, aspect: float, fall: float, intensity: Curve, opacity: float
) -> Painter:
    """Falling drops, drawn as the streaks that a film camera sees."""
    n = 480
    index = np.arange(n)
    near = rng.uniform(0.35, 1.0, n)
    speed, phase, rank = fall * near, rng.uniform(0, 1, n), rng.permutation(n) / n
    slant = rng.uniform(-0.25, 0.25)
    colour = shade(random_colour(rng, 0.7, 1.0, 0.25), 1.3)
    span = 1.6

    def draw(canvas: Canvas, t: float) -> None:
        laps = phase + t * speed / span
        cycle = np.floor(laps)
        y = -0.3 + span * (laps - cycle)
        level = intensity(np.clip(t - (y + 0.3) / speed, 0, None))
        live = rank < level
        x = -0.4 + (aspect + 0.8) * scatter(index, cycle, 1.0) + slant * y
        length = (0.06 + 0.07 * level) * near
        head = np.stack([x, y], axis=1)
        both = np.stack([head, head - np.stack([slant * length, length], axis=1)], axis=1)
        canvas.lines(both[live & (near <= 0.75)], colour, 0.002, 0.45 * opacity)
        canvas.lines(both[live & (near > 0.75)], colour, 0.004, 0.6 * opacity)

    return draw


def _rings(rng: np.random.Generator, aspect: float, horizon: float, intensity: Curve) -> Painter:
    """Widening rings and small splash crowns where drops meet the wet ground."""
    n = 80
    index = np.arange(n)
    pace, phase, rank = rng.uniform(1.0, 1.7, n), rng.uniform(0, 1, n), rng.permutation(n) / n
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    light = shade(random_colour(rng, 0.7, 1.0, 0.25), 1.3)
    dark = random_colour(rng, 0.05, 0.25, 0.4)
    size = rng.uniform(0.1, 0.17)

    def draw(canvas: Canvas, t: float) -> None:
        laps = phase + t * pace
        cycle = np.floor(laps)
        age = laps - cycle
        live = rank < intensity(np.clip(t - age / pace, 0, None)) ** 1.2
        depth = scatter(index, cycle, 2.0) ** 0.8
        y = horizon + 0.04 + (1.06 - horizon) * depth
        x = -0.1 + (aspect + 0.2) * scatter(index, cycle, 3.0)
        flat = 0.3 + 0.15 * depth
        radius = size * (0.25 + 0.75 * depth) * (0.12 + 0.88 * age)
        for low, high, alpha in ((0.0, 0.4, 1.0), (0.4, 1.0, 0.45)):
            some = live & (age >= low) & (age < high)
            reach = np.stack([radius[some], radius[some] * flat[some]], axis=1)[:, None, :]
            ring = np.stack([x[some], y[some]], axis=1)[:, None, :] + circle * reach
            if low == 0:
                canvas.lines(ring + np.array([0, 0.007]), dark, 0.003, closed=True)
            canvas.lines(ring, light, 0.005, alpha, closed=True)
        fresh = live & (age < 0.22)
        foot = np.stack([x[fresh], y[fresh]], axis=1)[:, None, :]
        rise = (0.02 + 0.3 * age[fresh] * (1 - age[fresh] / 0.3))[:, None] * (0.3 + 0.7 * depth[fresh])[
            :, None
        ]
        crown = [foot + np.concatenate([lean * rise, -rise], axis=1)[:, None, :] for lean in (-0.5, 0.0, 0.5)]
        canvas.lines(np.concatenate([np.concatenate([foot, tip], axis=1) for tip in crown]), light, 0.006)

    return draw


def _umbrella(rng: np.random.Generator, x: float, intensity: Curve, flat: bool, size: float) -> Painter:
    """A person under a ribbed umbrella on which drops burst."""
    half, rise, top = 0.43 * size, (0.2 if flat else 0.29) * size, 1.0 - 0.9 * size
    sway_hz, sway = rng.uniform(0.3, 0.8), rng.uniform(0.005, 0.02)
    box = (-half - 0.02, top - 0.06, half + 0.02, 1.1)
    person = _person(rng, half, rise, top, size, flat)
    rgb, cover = baked(person, box, 400)
    n = 22
    index = np.arange(n)
    pace, phase = rng.uniform(3.0, 5.0, n), rng.uniform(0, 1, n)

    def draw(canvas: Canvas, t: float) -> None:
        cx = x + sway * np.sin(2 * np.pi * sway_hz * t)
        canvas.veil((box[0] + cx, box[1], box[2] + cx, box[3]), rgb, cover)
        laps = phase + t * pace
        cycle = np.floor(laps)
        age = laps - cycle
        live = index / n < float(intensity(np.array([t]))[0])
        u = 1.9 * scatter(index, cycle, 4.0) - 0.95
        lean = 1.6 * scatter(index, cycle, 8.0) - 0.8
        spot = np.stack([cx + half * u, top + rise * (1 - np.sqrt(1 - u * u))], axis=1)
        for spread in (-0.05, 0.0, 0.05):
            fly = spot + np.stack([(spread + 0.03 * lean) * age, -0.08 * age * (1.2 - age)], axis=1)
            canvas.dots(fly[live], max(1.0, 0.004 * canvas.scale), (235, 240, 245))

    return draw


def _person(
    rng: np.random.Generator, half: float, rise: float, top: float, size: float, flat: bool
) -> Callable[[Canvas], None]:
    """Painter of the person, standing at x = 0, and of the umbrella."""
    cover, coat, legs = random_colour(rng, 0.25, 0.95), random_colour(rng), random_colour(rng, 0.05, 0.5)
    other = random_colour(rng, 0.25, 0.95) if flat else cover
    skin = shade((224.0, 188.0, 160.0), rng.uniform(0.35, 1.0))
    n_ribs, rim = int(rng.integers(6, 9)), top + rise
    arc = np.linspace(0, np.pi / 2, 9)
    edges = np.sin(np.linspace(-np.pi / 2, np.pi / 2, n_ribs + 1))

    def rib(u: float) -> NDArray[np.float64]:
        return np.stack([half * u * np.sin(arc), top + rise * (1 - np.cos(arc))], axis=1)

    def paint(canvas: Canvas) -> None:
        for side in (-1, 1):
            outer, inner = side * 0.09 * size, side * 0.015
            leg = [[inner, rim + 0.4 * size], [outer, rim + 0.4 * size], [outer, 1.1], [inner, 1.1]]
            canvas.polygon(leg, shade(legs, 1.0 if side > 0 else 0.75))
        canvas.circle((0, rim + 0.02 * size), 0.062 * size, shade(skin, 0.8))
        body = np.array([[-0.05, 0.07], [-0.14, 0.12], [-0.17, 0.5], [0.17, 0.5], [0.14, 0.12], [0.05, 0.07]])
        canvas.polygon(body * size + (0, rim), coat)
        canvas.polygon(
            np.array([[-0.14, 0.12], [-0.17, 0.5], [-0.05, 0.5], [-0.06, 0.1]]) * size + (0, rim),
            shade(coat, 0.7),
        )
        canvas.line([[0, rim + 0.08 * size], [0, rim + 0.5 * size]], shade(coat, 0.55), 0.008)
        canvas.line([[0.05 * size, rim - 0.05], [0.06 * size, rim + 0.29 * size]], (40, 40, 45), 0.012)
        arm = np.array([[0.13, 0.15], [0.17, 0.33], [0.06, 0.26]]) * size + (0, rim)
        canvas.line(arm, shade(coat, 0.8), 0.05 * size)
        canvas.circle(arm[2], 0.03 * size, skin)
        for k, (a, b) in enumerate(itertools.pairwise(edges)):
            hem = np.linspace(0, 1, 6)
            scallop = np.stack([half * (a + (b - a) * hem), rim - 0.12 * rise * np.sin(np.pi * hem)], axis=1)
            lit = 0.55 + 0.8 * (0.5 + 0.5 * np.sin((a + b) * 1.2 + 0.7))
            canvas.polygon(
                np.concatenate([rib(a), scallop, rib(b)[::-1]]), shade(cover if k % 2 else other, lit)
            )
            canvas.line(rib(a), shade(cover, 0.45), 0.005)
        canvas.line([[0, top + 0.01], [0, top - 0.045 * size]], (50, 50, 55), 0.012)

    return paint


def _pane(rng: np.random.Generator, aspect: float, intensity: Curve, view: str) -> Painter:
    """A window from inside: clinging drops, fresh drops that burst, drops that run down, the frame."""
    frame = random_colour(rng, 0.1, 0.95)
    bars = _bars(rng, aspect, view)
    turn = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    spikes = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    n, n_runs = 90, 12
    index, runs = np.arange(n), np.arange(n_runs)
    pace, phase = rng.uniform(1.0, 2.0, n), rng.uniform(0, 1, n)
    run_pace, run_phase = rng.uniform(0.25, 0.7, n_runs), rng.uniform(0, 1, n_runs)

    def draw(canvas: Canvas, t: float) -> None:
        level = float(intensity(np.array([t]))[0])
        laps = run_phase + t * run_pace
        cycle = np.floor(laps)
        down = laps - cycle
        live = runs / n_runs < level
        x0 = aspect * scatter(runs, cycle, 5.0)[live, None]
        way = 1.15 * down[live, None] ** 1.3 * np.linspace(0, 1, 9)
        paths = np.stack([x0 + 0.012 * np.sin(22 * way + x0), way - 0.05], axis=2)
        canvas.lines(paths, (205, 210, 215), 0.012, 0.4)
        canvas.dots(paths[:, -1], 0.016 * canvas.scale, (35, 38, 42))
        canvas.dots(paths[:, -1] + np.array([0, 0.006]), 0.01 * canvas.scale, (235, 238, 240))
        laps = phase + t * pace
        cycle = np.floor(laps)
        age = laps - cycle
        live = (index / n < level) & (age < 0.75)
        spot = np.stack([aspect * scatter(index, cycle, 6.0), scatter(index, cycle, 7.0)], axis=1)[live]
        canvas.dots(spot, 0.012 * canvas.scale, (60, 65, 72))
        canvas.dots(spot + np.array([0, 0.004]), 0.008 * canvas.scale, (225, 228, 230))
        fresh = age[live] < 0.2
        reach = (0.02 + 0.12 * age[live][fresh])[:, None, None]
        rays = spot[fresh][:, None, :] + reach * spikes[None]
        canvas.lines(
            np.stack([rays * 0.35 + 0.65 * spot[fresh][:, None, :], rays], axis=2).reshape(-1, 2, 2),
            (230, 234, 238),
            0.005,
        )
        for bar in bars:
            left, upper, right, lower = bar
            canvas.polygon([[left, upper], [right, upper], [right, lower], [left, lower]], frame)
            lies = right - left > lower - upper
            canvas.line([[left, lower] if lies else [right, upper], [right, lower]], shade(frame, 0.5), 0.012)

    return draw


def _wetted(rng: np.random.Generator, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The blurred view through a pane, with drops that cling to it: dark above, bright below."""
    wet = cv2.GaussianBlur(picture, (0, 0), 5)
    for _ in range(480):
        x, y = int(rng.integers(0, wet.shape[1])), int(rng.integers(0, wet.shape[0]))
        r = int(1 + 6 * rng.random() ** 2.5)
        near = wet[y, x].astype(float)
        cv2.ellipse(wet, (x, y), (r, r + 1), 0, 0, 360, tuple(near * 0.45), -1, cv2.LINE_AA)
        glint = tuple(near * 0.35 + 165)
        cv2.ellipse(wet, (x, y + r // 2), (max(1, r - 1), max(1, r // 2)), 0, 0, 360, glint, -1, cv2.LINE_AA)
    return np.asarray(wet)


def _bars(rng: np.random.Generator, aspect: float, view: str) -> list[tuple[float, float, float, float]]:
    """Frame of a window as boxes (x0, y0, x1, y1) in scene units."""
    thick = rng.uniform(0.03, 0.06)
    x, y = aspect * rng.uniform(0.35, 0.65), rng.uniform(0.35, 0.65)
    bars = [
        (-0.3, 1 - thick, aspect + 0.3, 1.3),
        (-0.3, -0.3, thick, 1.3),
        (aspect - thick, -0.3, aspect + 0.3, 1.3),
    ]
    if view == "pane-cross":
        return [*bars, (x, -0.3, x + thick, 1.3), (-0.3, y, aspect + 0.3, y + thick)]
    return [*bars, *((aspect * k / 3, -0.3, aspect * k / 3 + thick * 0.8, 1.3) for k in (1, 2))]


def _drop(rng: np.random.Generator, surface: str) -> Wave:
    """One drop on `surface`: a tick of noise and the ring of the bubble it leaves; about 20 ms."""
    pitch, tonal = _SURFACES[surface]
    pitch *= rng.uniform(0.7, 2.4)
    ring = modes([pitch, pitch * 2.3], [0.02, 0.012], [tonal, 0.4 * tonal], 0.02, rng)
    tick = (1 - tonal) * noise(ring.size, rng, 1500.0) * decay(0.02, 0.012, 0.0003)
    return np.asarray(ring + tick, dtype=np.float32)


def _patter(rng: np.random.Generator, n_samples: int, intensity: Curve, surface: str) -> Wave:
    """Hiss of the far drops and the patter of the near ones, both following the intensity."""
    duration_s = n_samples / SAMPLE_RATE_HZ
    coarse_s = np.arange(0, duration_s + 0.02, 0.01)
    level = np.interp(np.arange(n_samples) / SAMPLE_RATE_HZ, coarse_s, intensity(coarse_s))
    pitch = _SURFACES[surface][0]
    hiss = noise(n_samples, rng, 1.2 * pitch) * 0.13 + noise(n_samples, rng, 500.0, 3000.0) * 0.05
    track = np.asarray(hiss * level**1.5, dtype=np.float32)
    grains = [_drop(rng, surface) for _ in range(24)]
    times = rng.uniform(0, duration_s, int(240 * duration_s))
    near = times[rng.uniform(0, 1, times.size) < np.interp(times, coarse_s, intensity(coarse_s))]
    for time_s in near:
        add_at(track, grains[int(rng.integers(24))] * np.float32(0.3 * rng.random() ** 3), time_s)
    return track
