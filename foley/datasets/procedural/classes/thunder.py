"""Thunder: bolts from storm clouds to a dark horizon; the event is the return stroke's flash."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Event, Performance, Stage, Wave
from foley.datasets.procedural.scenery import fractal, pick, random_colour, shade, tint
from foley.datasets.procedural.sound import add_at, decay, noise, peak

_GAPS_S = {"rare-a": (1.0, 1.7), "often-a": (0.6, 1.0), "medium-b": (1.0, 1.3), "often-b": (0.7, 1.15)}
_LEADER_S = 0.13
_AFTERGLOW_S = 0.5
_MARGIN = 0.6


@dataclass(frozen=True)
class _Bolt:
    """One stroke: its channel, its branches, and when the channel lights up again (light only)."""

    time_s: float
    force: float
    channel: NDArray[np.float64]
    branches: tuple[NDArray[np.float64], ...]
    restrokes_s: NDArray[np.float64]


@dataclass(frozen=True)
class _Flicker:
    """Light inside a cloud without a bolt: seen, never heard."""

    pulses_s: NDArray[np.float64]
    x: float
    y: float
    radius: float
    strength: float


@dataclass(frozen=True)
class _Scene:
    aspect: float
    horizon: float
    clouds: NDArray[np.uint8]
    clouds_lit: NDArray[np.uint8]
    drift: float
    light: Colour
    land: str
    ground: Colour
    window: Colour
    blocks: NDArray[np.float64]
    panes: NDArray[np.float64]


def _zigzag(
    rng: np.random.Generator, start: NDArray[np.float64], end: NDArray[np.float64], levels: int, rough: float
) -> NDArray[np.float64]:
    """Path, shape (2**levels + 1, 2), from `start` to `end` by displaced midpoints."""
    path = np.stack([start, end])
    for _ in range(levels):
        step = np.diff(path, axis=0)
        sideways = np.stack([-step[:, 1], step[:, 0]], axis=1) * rng.uniform(-rough, rough, (len(step), 1))
        middle = path[:-1] + step * rng.uniform(0.4, 0.6, (len(step), 1)) + sideways
        path = np.insert(path, np.arange(1, len(path)), middle, axis=0)
    return path


def _bolt(rng: np.random.Generator, time_s: float, force: float, aspect: float, horizon: float) -> _Bolt:
    x = rng.uniform(0.15, 0.85) * aspect
    start = np.array([x, rng.uniform(0.08, 0.25)])
    end = np.array([np.clip(x + rng.uniform(-0.25, 0.25), 0.1, aspect - 0.1), horizon + 0.02])
    channel = _zigzag(rng, start, end, 5, 0.32)
    branches = []
    for _ in range(int(rng.integers(4, 9))):
        root = channel[int(rng.integers(4, 26))]
        reach = rng.uniform(0.12, 0.4) * (horizon - start[1])
        side = rng.choice([-1.0, 1.0]) * rng.uniform(0.35, 1.1)
        tip = root + reach * np.array([np.sin(side), np.cos(side)])
        twig = _zigzag(rng, root, tip, 4, 0.3)
        branches.append(twig)
        if rng.random() < 0.6:
            fork = twig[int(rng.integers(4, 12))]
            turn = side + rng.uniform(-0.7, 0.7)
            tip = fork + 0.45 * reach * np.array([np.sin(turn), np.cos(turn)])
            branches.append(_zigzag(rng, fork, tip, 4, 0.3))
    restrokes = time_s + np.cumsum(rng.uniform(0.05, 0.11, int(rng.integers(0, 3))))
    return _Bolt(time_s, force, channel, tuple(branches), restrokes)


def _plan(rng: np.random.Generator, duration_s: float, gap_s: tuple[float, float]) -> list[float]:
    t, times, idle_left = rng.uniform(0.25, 1.2), list[float](), duration_s / 4
    while t < duration_s - 0.25:
        times.append(float(t))
        gap = rng.uniform(*gap_s)
        if rng.random() < 0.15 and idle_left > 0.5:
            pause = rng.uniform(0.4, idle_left)
            gap, idle_left = gap + pause, idle_left - pause
        t += gap
    return times


def _flickers(
    rng: np.random.Generator, times: list[float], duration_s: float, aspect: float
) -> list[_Flicker]:
    """Up to three flickers that stay clear of the bolts, so that light alone is no event."""
    made = []
    for _ in range(int(rng.integers(0, 5))):
        at = rng.uniform(0, duration_s - 0.2)
        if all(abs(at - t) > 0.35 for t in times):
            pulses = at + np.cumsum(rng.uniform(0.04, 0.1, int(rng.integers(1, 4))))
            x, y = rng.uniform(0.1, 0.9) * aspect, rng.uniform(0.05, 0.35)
            made.append(_Flicker(pulses, x, y, rng.uniform(0.25, 0.5), rng.uniform(0.4, 0.8)))
    return made


def _clouds(rng: np.random.Generator, horizon: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Sky before and during a flash, each shape (180, 360, 3), with billowing, heavy-bottomed clouds."""
    shape = (180, 360)
    field = fractal(rng, shape, 1.9, (1.7, 1.0))
    billow = cv2.GaussianBlur(1 - 2 * np.abs(field - 0.5), (0, 0), 1.6)
    relief = np.roll(billow, (-5, -3), (0, 1)) - billow
    height = np.linspace(0, 1, shape[0])[:, None]
    base = np.clip((height / horizon - 0.45) / 0.4, 0, 1)
    cloud = 0.35 + 0.35 * billow + 1.6 * relief - 0.25 * np.exp(-(((height - 0.42 * horizon) / 0.14) ** 2))
    grey = np.clip(cloud * (1 - 0.8 * base) + 0.8 * base * (0.55 + 0.35 * height), 0, 1)
    dark, light = random_colour(rng, 0.02, 0.15), random_colour(rng, 0.25, 0.6, 0.7)
    calm = tint(grey, dark, light)
    # Not much brighter: the sky must leave the bolt its contrast on film.
    lit = tint(np.clip(grey * 1.2 + 0.1, 0, 1), shade(light, 0.45), shade(light, 1.3))
    return calm, lit


def _bolt_light(bolt: _Bolt, t_s: float) -> float:
    """Brightness of the channel at `t_s`: 0 before the return stroke, 1 at it, then fading restrokes."""
    since = t_s - bolt.time_s
    if since < 0 or since > _AFTERGLOW_S + 0.2:
        return 0.0
    light = np.exp(-since / 0.11)
    for again in bolt.restrokes_s:
        if t_s >= again:
            light = max(light, 0.55 * np.exp(-(t_s - again) / 0.08))
    return float(light) if light > 0.03 else 0.0


def _draw_bolt(canvas: Canvas, bolt: _Bolt, light: float, colour: Colour) -> None:
    width = 0.007 + 0.009 * bolt.force
    canvas.line(bolt.channel, colour, width * 5, 0.22 * light)
    canvas.line(bolt.channel, colour, width * 2.4, 0.5 * light)
    for branch in bolt.branches:
        canvas.line(branch, colour, width * 1.3, 0.4 * light)
        canvas.line(branch, shade(colour, 1.7), width * 0.4, min(1.0, 1.3 * light))
    canvas.line(bolt.channel, shade(colour, 1.9), width, min(1.0, 1.6 * light))


def _draw_leader(canvas: Canvas, bolt: _Bolt, grown: float, colour: Colour) -> None:
    """Paint the dim leader on its way down, before it meets the ground and lights up."""
    n_points = 2 + int(grown * (len(bolt.channel) - 3))
    canvas.line(bolt.channel[:n_points], colour, 0.006, 0.35 + 0.25 * grown)
    tip = bolt.channel[n_points - 1]
    canvas.glow(tip, 0.035, colour, 0.5)
    for branch in bolt.branches:
        if branch[0, 1] < tip[1]:
            n_shown = 2 + int(grown * (len(branch) - 3))
            canvas.line(branch[:n_shown], colour, 0.003, 0.3)


def _draw_city(canvas: Canvas, scene: _Scene, front: Colour) -> None:
    y = scene.horizon
    canvas.polygon(_below(scene, np.array([[-_MARGIN, y], [scene.aspect + _MARGIN, y]])), front)
    for k, (x, width, height) in enumerate(scene.blocks):
        tone, top = shade(front, 0.75 + 0.1 * (k % 3)), y - height
        canvas.polygon([[x, top], [x + width, top], [x + width, y + 0.3], [x, y + 0.3]], tone)
        if k % 3 == 0:
            canvas.line([[x + width / 2, top], [x + width / 2, top - 0.06]], tone, 0.006)
    canvas.lines(scene.panes, scene.window, 0.01)


def _panes(blocks: NDArray[np.float64], horizon: float, aspect: float) -> NDArray[np.float64]:
    """Lit windows of the houses near the picture: short upright lines, shape (n, 2, 2)."""
    found = []
    for k, (x, width, height) in enumerate(blocks):
        if -0.25 < x < aspect + 0.1:
            rows = np.arange(horizon - height + 0.025, horizon + 0.12, 0.035)
            spots = np.stack(np.meshgrid(np.arange(x + 0.015, x + width - 0.012, 0.028), rows), axis=-1)
            lit = spots.reshape(-1, 2)[(np.arange(spots.size // 2) * 7 + k) % 5 < 2]
            found.append(np.stack([lit, lit + np.array([0.0, 0.012])], axis=1))
    return np.concatenate(found)


def _draw_sea(canvas: Canvas, scene: _Scene, front: Colour, flash: float) -> None:
    y = scene.horizon
    canvas.polygon(_below(scene, np.array([[-_MARGIN, y], [scene.aspect + _MARGIN, y]])), front)
    for k, (x, width, height) in enumerate(np.tile(scene.blocks, (2, 1))):
        left, row = x + 0.3 * (k % 4), y + 0.01 + 0.28 * ((k * 0.37) % 1) ** 1.5
        crest = [[left, row], [left + width / 2, row - 0.004], [left + width, row]]
        canvas.line(crest, shade(front, 1.2 + 0.5 * flash), 0.003 + 0.02 * height)
    x, deck = scene.blocks[10, 0], y + 0.04
    hull = [[x - 0.16, deck - 0.035], [x + 0.17, deck - 0.045], [x + 0.11, deck], [x - 0.12, deck]]
    canvas.line([[x, deck], [x, deck - 0.36]], shade(front, 0.5), 0.008)
    canvas.polygon([[x, deck - 0.35], [x + 0.15, deck - 0.07], [x, deck - 0.06]], shade(front, 1.5))
    canvas.polygon([[x, deck - 0.31], [x - 0.1, deck - 0.07], [x, deck - 0.06]], shade(front, 1.3))
    canvas.polygon(hull, shade(front, 0.4))


def _draw_country(canvas: Canvas, scene: _Scene, front: Colour) -> None:
    near, y = shade(front, 0.7), scene.horizon
    bumps = np.stack([scene.blocks[:, 0], y - 0.4 * scene.blocks[:, 2] + 0.02], axis=1)
    canvas.polygon(_below(scene, bumps), shade(front, 0.95))
    xs = np.linspace(-_MARGIN, scene.aspect + _MARGIN, 30)
    slope = y + 0.06 + 0.05 * np.sin(np.linspace(0, 7, 30) + scene.blocks[0, 1] * 60)
    canvas.polygon(_below(scene, np.stack([xs, slope], axis=1)), near)
    for x, _, height in scene.blocks[1:-1:2]:
        foot, tall = float(np.interp(x, xs, slope)) + 0.02, 0.12 + 0.6 * height
        if scene.land == "farm":
            canvas.line([[x, foot], [x, foot - tall]], shade(near, 0.5), 0.01)
            canvas.line([[x - 0.05, foot - tall], [x + 0.05, foot - tall]], shade(near, 0.5), 0.008)
            continue
        canvas.line([[x, foot], [x, foot - tall * 0.3]], shade(near, 0.5), 0.015)
        for k in range(3):
            low, half = foot - tall * (0.15 + 0.25 * k), tall * (0.28 - 0.07 * k)
            canvas.polygon([[x - half, low], [x + half, low], [x, low - tall * 0.42]], shade(near, 0.6))
    if scene.land == "farm":
        x = scene.blocks[10, 0]
        y = float(np.interp(x, xs, slope)) + 0.06
        canvas.polygon([[x, y], [x, y - 0.12], [x + 0.24, y - 0.12], [x + 0.24, y]], shade(front, 0.55))
        roof = [[x - 0.02, y - 0.12], [x + 0.06, y - 0.22], [x + 0.18, y - 0.22], [x + 0.26, y - 0.12]]
        canvas.polygon(roof, shade(front, 0.35))
        for left in (x + 0.05, x + 0.15):
            top, low = y - 0.085, y - 0.04
            canvas.polygon([[left, top], [left + 0.04, top], [left + 0.04, low], [left, low]], scene.window)


def _below(scene: _Scene, edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Close the area below a line that runs from the left to the right."""
    return np.concatenate([edge, [[scene.aspect + _MARGIN, 2.0], [-_MARGIN, 2.0]]])


def _draw_land(canvas: Canvas, scene: _Scene, flash: float) -> None:
    """Paint what stands before the sky; the flash lifts it a little out of the dark."""
    front = shade(scene.ground, 1 + 0.35 * flash)
    if scene.land == "city":
        _draw_city(canvas, scene, front)
    elif scene.land == "sea":
        _draw_sea(canvas, scene, front, flash)
    else:
        _draw_country(canvas, scene, front)


def _painter(scene: _Scene, bolts: list[_Bolt], flickers: list[_Flicker]) -> Callable[[Canvas, float], None]:
    def draw(canvas: Canvas, t_s: float) -> None:
        lights = [_bolt_light(bolt, t_s) for bolt in bolts]
        flash = max((k * (0.5 + 0.5 * b.force) for k, b in zip(lights, bolts, strict=True)), default=0.0)
        sky = scene.clouds
        if flash > 0:
            sky = cv2.addWeighted(scene.clouds, 1 - 0.7 * flash, scene.clouds_lit, 0.7 * flash, 0)
        shift = scene.drift * t_s
        wide = scene.clouds.shape[1] / scene.clouds.shape[0]
        canvas.backdrop((shift - 0.2, -0.02, shift - 0.2 + wide, 0.98), sky)
        for flicker in flickers:
            since = t_s - flicker.pulses_s
            glow = float((np.exp(-since / 0.06) * (since >= 0)).max())
            if glow > 0.04:
                place = (flicker.x, flicker.y)
                canvas.glow(place, flicker.radius, scene.light, flicker.strength * glow)
        for bolt, light in zip(bolts, lights, strict=True):
            if light > 0:
                canvas.glow(bolt.channel[0], 0.2 + 0.2 * bolt.force, scene.light, 0.45 * light)
                _draw_bolt(canvas, bolt, light, scene.light)
            elif 0 < bolt.time_s - t_s < _LEADER_S:
                _draw_leader(canvas, bolt, 1 - (bolt.time_s - t_s) / _LEADER_S, scene.light)
        _draw_land(canvas, scene, flash)

    return draw


def _thunderclap(depth_hz: float, roll_s: float) -> Callable[[Event, np.random.Generator], Wave]:
    def hit(event: Event, rng: np.random.Generator) -> Wave:
        n_samples = round((0.5 + roll_s) * SAMPLE_RATE_HZ)
        t = np.arange(n_samples) / SAMPLE_RATE_HZ
        crack = np.zeros(n_samples, dtype=np.float32)
        tear = noise(round(0.25 * SAMPLE_RATE_HZ), rng, 120, 4000 + 5000 * event.force)
        add_at(crack, peak(tear * decay(0.25, 0.2), 1.0), 0.0)
        for at in np.cumsum(rng.exponential(0.035, 6)):
            burst = noise(round(0.12 * SAMPLE_RATE_HZ), rng, 80, 2500) * decay(0.12, 0.1, 0.002)
            add_at(crack, peak(burst, rng.uniform(0.2, 0.6) * np.exp(-at / 0.15)), float(at))
        # Rolling: the sound of ever more distant parts of the channel, darker and darker.
        knots = np.arange(0, t[-1] + 0.2, 0.11)
        roll = np.interp(t, knots, rng.uniform(0.25, 1.0, knots.size) ** 1.5)
        fall = np.minimum(t / 0.03, 1) * np.exp(-3.5 * t / roll_s) * np.clip((t[-1] - t) / 0.1, 0, 1)
        rumble = peak(noise(n_samples, rng, 25, depth_hz) * roll * fall, 0.55)
        body = peak(noise(n_samples, rng, 100, 6 * depth_hz) * roll * fall**2, 0.25)
        return peak(crack + rumble + body, event.force)

    return hit


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a thunderstorm close by.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    stage : Stage
        Length, shape and side (training or held out) of the recording.

    Returns
    -------
    Performance
        Events of kind ``flash``: a leader has grown down to the ground and the return stroke lights
        up. It is heard at once (the strokes are near). Clouds also flicker without a bolt, silently.
    """
    out = stage.held_out
    land = pick(rng, ("city", "hills"), ("sea", "farm"), out)
    rate = pick(rng, ("rare-a", "often-a"), ("medium-b", "often-b"), out)
    horizon = rng.uniform(0.7, 0.86)
    calm, lit = _clouds(rng, horizon)
    xs = np.linspace(-_MARGIN, stage.aspect + _MARGIN, 22) + rng.uniform(-0.04, 0.04, 22)
    blocks = np.column_stack([xs, rng.uniform(0.08, 0.15, 22), rng.uniform(0.05, 0.26, 22)])
    scene = _Scene(
        aspect=stage.aspect,
        horizon=horizon,
        clouds=calm,
        clouds_lit=lit,
        drift=rng.uniform(-0.03, 0.03),
        light=shade(random_colour(rng, 0.8, 1.0, 0.8), 1.35),
        land=land,
        ground=random_colour(rng, 0.1, 0.5),
        window=random_colour(rng, 0.5, 1.0),
        blocks=blocks,
        panes=_panes(blocks, horizon, stage.aspect),
    )
    times = _plan(rng, stage.duration_s, _GAPS_S[rate])
    strength = rng.uniform(0.5, 0.9)
    bolts = [
        _bolt(rng, t, float(np.clip(strength * rng.uniform(0.7, 1.2), 0.2, 1)), stage.aspect, horizon)
        for t in times
    ]
    feet = [(float(b.channel[-1, 0]), float(b.channel[-1, 1])) for b in bolts]
    return Performance(
        events=tuple(
            Event(b.time_s, b.force, "flash", "", x, y) for b, (x, y) in zip(bolts, feet, strict=True)
        ),
        draw=_painter(scene, bolts, _flickers(rng, times, stage.duration_s, stage.aspect)),
        hit=_thunderclap(rng.uniform(90, 180), rng.uniform(1.0, 2.0)),
        traits={"land": land, "rate": f"rate-{rate}"},
        paints_background=True,
    )
