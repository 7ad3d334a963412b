"""Cars that drive by in perspective: slow traffic that may stop, start and pass near or far."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Event, Performance, Stage, Wave
from foley.datasets.procedural.scenery import fractal, pick, random_colour, shade, skyline, swell
from foley.datasets.procedural.sound import decay, noise, peak

Points = tuple[tuple[float, float], ...]

_MARGIN = 0.12
_UNIT_PX = 300
_WIDTH_M = 1.75
_GRID_S = 0.01


@dataclass(frozen=True)
class _Body:
    """Side view of a vehicle in metres: x from the rear bumper forwards, y up from the road.

    `glass` lists the outline's edges (by their first corner) that are windscreens.
    """

    outline: Points
    windows: tuple[Points, ...]
    glass: tuple[int, ...]
    axles: tuple[float, float]
    wheel: float
    firing_hz: float

    @property
    def length(self) -> float:
        """Length over the bumpers in metres."""
        return max(x for x, _ in self.outline)


def _shape(text: str) -> Points:
    """Corners from text such as ``"0 0.5, 1 0.5"``."""
    pairs = (pair.split() for pair in text.split(","))
    return tuple((float(x), float(y)) for x, y in pairs)


_BODIES = {
    "saloon": _Body(
        _shape(
            "0.05 0.35, 0 0.75, 0.1 1, 0.7 1.05, 1.35 1.42, 2.5 1.45, 3.3 1.02, 4.3 0.88, 4.5 0.65, 4.45 0.35"
        ),
        (
            _shape("0.95 1.05, 1.45 1.36, 1.95 1.38, 1.95 1.05"),
            _shape("2.03 1.05, 2.03 1.38, 2.45 1.38, 3.05 1.05"),
        ),
        glass=(3, 5),
        axles=(0.85, 3.65),
        wheel=0.33,
        firing_hz=62.0,
    ),
    "hatchback": _Body(
        _shape("0.05 0.35, 0 0.8, 0.2 1, 0.55 1.42, 1 1.5, 2.2 1.48, 3 1.03, 3.75 0.9, 3.9 0.65, 3.85 0.35"),
        (
            _shape("0.5 1.05, 0.75 1.4, 1.6 1.42, 1.6 1.05"),
            _shape("1.68 1.05, 1.68 1.42, 2.15 1.41, 2.8 1.05"),
        ),
        glass=(2, 5),
        axles=(0.65, 3.15),
        wheel=0.32,
        firing_hz=74.0,
    ),
    "van": _Body(
        _shape("0.02 0.4, 0 1, 0.08 2, 0.25 2.1, 3.4 2.1, 4.1 1.25, 4.8 1.05, 4.9 0.7, 4.88 0.4"),
        (
            _shape("0.4 1.35, 0.4 1.9, 1.3 1.9, 1.3 1.35"),
            _shape("2.9 1.3, 2.9 1.95, 3.3 1.95, 3.85 1.3"),
        ),
        glass=(4,),
        axles=(0.95, 4.0),
        wheel=0.36,
        firing_hz=48.0,
    ),
    "estate": _Body(
        _shape(
            "0.05 0.45, 0 0.95, 0.15 1.15, 0.3 1.62, 0.6 1.68, 2.7 1.66, "
            "3.4 1.2, 4.35 1.05, 4.5 0.8, 4.45 0.45"
        ),
        (
            _shape("0.35 1.18, 0.45 1.56, 1.3 1.59, 1.3 1.18"),
            _shape("1.38 1.18, 1.38 1.59, 2.1 1.59, 2.1 1.18"),
            _shape("2.18 1.18, 2.18 1.59, 2.65 1.58, 3.15 1.18"),
        ),
        glass=(2, 5),
        axles=(0.85, 3.6),
        wheel=0.37,
        firing_hz=55.0,
    ),
    "pickup": _Body(
        _shape(
            "0.05 0.45, 0 1.05, 1.75 1.08, 1.85 1.7, 2.1 1.76, 3.2 1.72, "
            "3.8 1.18, 4.9 1.05, 5.1 0.8, 5.05 0.45"
        ),
        (
            _shape("1.95 1.2, 2.02 1.65, 2.5 1.66, 2.5 1.2"),
            _shape("2.58 1.2, 2.58 1.66, 3.15 1.64, 3.6 1.2"),
        ),
        glass=(2, 5),
        axles=(1.0, 4.1),
        wheel=0.4,
        firing_hz=52.0,
    ),
}


@dataclass(frozen=True)
class _Lens:
    """Pinhole camera beside the road: x along the road, y up, z away from the camera, in metres."""

    middle: float
    horizon: float
    focal: float
    height: float
    yaw: float

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scene positions, shape (..., 2), of points in metres, shape (..., 3)."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        across = x * np.cos(self.yaw) - z * np.sin(self.yaw)
        depth = np.maximum(x * np.sin(self.yaw) + z * np.cos(self.yaw), 0.3)
        return np.stack(
            [
                self.middle + self.focal * across / depth,
                self.horizon + self.focal * (self.height - y) / depth,
            ],
            axis=-1,
        )


@dataclass(frozen=True)
class _Traffic:
    """One lane: way driven since the start on a time grid, and each car's way to the camera."""

    grid_s: NDArray[np.float64]
    way_m: NDArray[np.float64]
    pace: NDArray[np.float64]
    offsets_m: NDArray[np.float64]
    heading: float
    near_m: float

    def along(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Signed distance of each car past its closest point, shape (n_cars, n_times), metres."""
        return np.asarray(np.interp(t, self.grid_s, self.way_m)[None, :] - self.offsets_m[:, None])

    def gains(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """Level of each car by distance and speed, in [0, 1], shape (n_cars, n_times)."""
        pace = np.interp(t, self.grid_s, self.pace)
        # Steeper than sound in the open falls off, since the microphone faces the road.
        return np.asarray((0.35 + 0.65 * pace) / (1 + (self.along(t) / (0.7 * self.near_m)) ** 2) ** 1.8)


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage slow traffic on a street, seen from the pavement.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every choice.
    stage : Stage
        Length, aspect and half (training or held out) of the recording.

    Returns
    -------
    Performance
        Events of kind ``pass`` at each closest approach; the bed follows the intensity curve.
    """
    kind = pick(rng, ("saloon", "hatchback", "van"), ("estate", "pickup"), stage.held_out)
    view = pick(rng, ("kerb-near-a", "kerb-far-a"), ("kerb-middle-b",), stage.held_out)
    tempo = pick(rng, ("traffic-slow-a", "traffic-fast-a"), ("traffic-medium-b",), stage.held_out)
    distance = {"kerb-near-a": 4.1, "kerb-middle-b": 4.7, "kerb-far-a": 5.4}[view] * rng.uniform(0.93, 1.07)
    speed = {"traffic-slow-a": 4.8, "traffic-medium-b": 6.2, "traffic-fast-a": 8.0}[tempo] * rng.uniform(
        0.9, 1.1
    )
    body = _BODIES[kind]
    lens = _Lens(
        stage.aspect / 2,
        rng.uniform(0.36, 0.46),
        rng.uniform(0.85, 1.0),
        rng.uniform(1.2, 1.9),
        rng.uniform(-0.35, 0.35),
    )
    traffic = _traffic(rng, stage.duration_s, speed, distance, body.length)
    events = _passes(rng, traffic, lens, distance, stage.duration_s, kind)
    dim = 1.0 if rng.random() < 0.6 else rng.uniform(0.35, 0.8)
    box = (-_MARGIN, -_MARGIN, stage.aspect + _MARGIN, 1 + _MARGIN)
    picture = _street(rng, box, lens, distance, dim)
    parts = _parts(body)
    looks = [_look(rng, dim) for _ in traffic.offsets_m]

    def draw(canvas: Canvas, t: float) -> None:
        canvas.backdrop(box, picture)
        along = traffic.along(np.array([t]))[:, 0]
        # The farthest car first, so that a nearer one covers it.
        for k in np.argsort(-np.abs(along)):
            if _in_sight(lens, along[k] * traffic.heading, distance, body.length, stage.aspect):
                _car(
                    canvas, lens, body, parts, along[k] * traffic.heading, traffic.heading, distance, looks[k]
                )

    def intensity(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        t = np.atleast_1d(np.asarray(t_s, dtype=np.float64))
        level = np.clip(traffic.gains(t.ravel()).sum(axis=0), 0, 1)
        return np.asarray(level.reshape(np.shape(t_s)))

    def hit(event: Event, hit_rng: np.random.Generator) -> Wave:
        # The gust that a car pushes along its flank.
        gust = noise(14_400, hit_rng, 150.0, 2500.0) * decay(0.3, 0.25, 0.0005)
        return peak(gust, 0.6 * event.force)

    def bed(bed_rng: np.random.Generator, n_samples: int) -> Wave:
        return _engines(bed_rng, n_samples, traffic, body)

    traits = {"object": kind, "view": view, "tempo": tempo}
    return Performance(events, draw, hit, traits, bed, intensity, paints_background=True)


def _traffic(
    rng: np.random.Generator, duration_s: float, speed: float, distance: float, length: float
) -> _Traffic:
    """Plan one lane in which all cars speed up, slow down or halt together."""
    grid = np.arange(-1.0, duration_s + 1.0, _GRID_S)
    curve = swell(rng, duration_s, rng.uniform(0.55, 0.85), 1.0)
    pace = curve(grid)
    if rng.random() < 0.4:
        halt = rng.uniform(0.25, 0.75) * duration_s
        rest = rng.uniform(0.2, 0.6)
        pace = pace * np.clip((np.abs(grid - halt) - rest) / 0.7, 0, 1)
    way = np.cumsum(pace) * speed * _GRID_S
    way -= np.interp(0.0, grid, way)
    offsets, at = [], way[0] + rng.uniform(0, 6)
    while at < way[-1]:
        # Nobody halts just at the closest point, where the event would have no sharp time.
        if np.interp(at, way + 1e-6 * grid, pace) > 0.35:
            offsets.append(at)
        at += length + rng.uniform(1.6, 4.6)
    heading = float(rng.choice([-1.0, 1.0]))
    return _Traffic(grid, way, pace, np.array(offsets), heading, distance)


def _passes(
    rng: np.random.Generator, traffic: _Traffic, lens: _Lens, distance: float, duration_s: float, kind: str
) -> tuple[Event, ...]:
    """Closest approaches that fall inside the recording."""
    place = lens.project(np.array([0.0, 0.7, distance]))
    steady = traffic.way_m + 1e-6 * traffic.grid_s
    times = np.interp(traffic.offsets_m, steady, traffic.grid_s)
    force = np.clip(
        np.interp(times, traffic.grid_s, traffic.pace) * rng.uniform(0.6, 1.0, times.size), 0.2, 1
    )
    return tuple(
        Event(float(t), float(f), "pass", kind, float(place[0]), float(place[1]))
        for t, f in zip(times, force, strict=True)
        if 0.1 < t < duration_s - 0.1
    )


def _look(rng: np.random.Generator, dim: float) -> dict[str, Colour]:
    """Colours of one car in this light."""
    return {
        "paint": shade(random_colour(rng, 0.15, 0.95, 0.9), dim),
        "dark": (16.0, 16.0, 18.0),
        "glass": shade(random_colour(rng, 0.15, 0.5, 0.4), dim),
        "tyre": shade((34.0, 34.0, 37.0), dim),
        "rim": shade(random_colour(rng, 0.55, 0.85, 0.15), dim),
        "lamp": (255.0, 250.0, 225.0) if dim < 0.8 else (225.0, 228.0, 230.0),
        "tail": (225.0, 45.0, 40.0) if dim < 0.8 else (150.0, 35.0, 35.0),
    }


def _street(
    rng: np.random.Generator, box: tuple[float, ...], lens: _Lens, distance: float, dim: float
) -> NDArray[np.uint8]:
    """Houses, far pavement, road with lane marks, near kerb; uint8 RGB."""
    height, width = round(_UNIT_PX * (box[3] - box[1])), round(_UNIT_PX * (box[2] - box[0]))
    split = round((lens.horizon + 0.05 - box[1]) * _UNIT_PX)
    picture = skyline(rng, (height, width), split, dim)
    camera = np.array([[_UNIT_PX, 0.0, -box[0] * _UNIT_PX], [0.0, _UNIT_PX, -box[1] * _UNIT_PX]])
    canvas = Canvas(picture, camera)
    road, stone = (
        shade(random_colour(rng, 0.2, 0.65, 0.4), dim),
        shade(random_colour(rng, 0.3, 0.8, 0.5), dim),
    )
    mark = shade(random_colour(rng, 0.7, 0.95, 0.3), dim)

    def strip(z_near: float, z_far: float, colour: Colour, x0: float = -60.0, x1: float = 60.0) -> None:
        # Only what lies before the lens: the projection has no meaning behind it.
        low, high = x0, x1
        bound = (0.35 - z_near * np.cos(lens.yaw)) / np.sin(lens.yaw) if abs(lens.yaw) > 1e-3 else 0.0
        if lens.yaw > 1e-3:
            low = max(low, bound)
        elif lens.yaw < -1e-3:
            high = min(high, bound)
        if high > low:
            corners = np.array([[low, 0, z_near], [low, 0, z_far], [high, 0, z_far], [high, 0, z_near]])
            canvas.polygon(lens.project(corners), colour)

    canvas.polygon(
        [[-1.0, lens.horizon + 0.05], [4.0, lens.horizon + 0.05], [4.0, 2.0], [-1.0, 2.0]], shade(stone, 0.8)
    )
    strip(distance + 7.0, 200.0, shade(stone, 0.7))
    strip(distance - 1.1, distance + 6.5, road)
    strip(distance + 6.4, distance + 6.7, shade(stone, 1.3))
    for k in range(-10, 11):
        strip(distance + 3.0, distance + 3.18, mark, 4.0 * k, 4.0 * k + 2.0)
    strip(distance - 1.25, distance - 1.0, shade(stone, 1.35))
    strip(distance - 1.0, distance - 0.9, shade(road, 0.5))
    grain = 0.8 + 0.4 * fractal(rng, (height - split, width), 0.9, (2.0, 1.0))[..., None]
    picture[split:] = np.clip(picture[split:] * grain, 0, 255).astype(np.uint8)
    return picture


def _in_sight(lens: _Lens, x: float, distance: float, length: float, aspect: float) -> bool:
    """Whether a car at `x` is wholly before the lens and partly in the (shaken) picture."""
    reach = np.array([-length / 2, length / 2]) + x
    corners = np.array([[e, 0.0, z] for e in reach for z in (distance, distance + _WIDTH_M)])
    if (corners[:, 0] * np.sin(lens.yaw) + corners[:, 2] * np.cos(lens.yaw)).min() < 0.8:
        return False
    across = lens.project(corners)[:, 0]
    return bool(across.max() > -0.3 and across.min() < aspect + 0.3)


@dataclass(frozen=True)
class _Part:
    """One flat piece of a car: corners in metres from the middle of its near side, shape (n, 3)."""

    material: str
    lit: float
    corners: NDArray[np.float64]
    is_face: bool = False


def _parts(body: _Body) -> list[_Part]:
    """Pieces of a vehicle in painting order; faces may turn out to be hidden."""
    length, (rear, front), radius = body.length, body.axles, body.wheel
    outline = np.array(body.outline)
    low, belt = float(outline[0, 1]), min(y for _, y in body.windows[-1])
    parts: list[_Part] = []

    def add(
        material: str, lit: float, shape: NDArray[np.float64] | list[list[float]], z: float = 0.0
    ) -> None:
        flat = np.asarray(shape, dtype=np.float64)
        depth = np.full((len(flat), 1), z)
        parts.append(_Part(material, lit, np.concatenate([flat - (length / 2, 0), depth], axis=1)))

    def bar(x0: float, x1: float, y0: float, y1: float) -> list[list[float]]:
        return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]

    add("dark", 0.7, bar(0.3, length - 0.3, 0.18, 0.5), 0.3)
    for axle in (rear, front):
        add("tyre", 1.0, _circle(axle, radius, radius), _WIDTH_M - 0.1)
    for k in range(len(outline) - 1):
        edge = np.concatenate([outline[k : k + 2], outline[k : k + 2][::-1]]) - (length / 2, 0)
        depth = np.array([[0.0], [0.0], [_WIDTH_M], [_WIDTH_M]])
        rise = np.abs(outline[k + 1] - outline[k])
        material, lit = (
            ("glass", 1.2) if k in body.glass else ("paint", 0.6 + 0.75 * rise[0] / np.hypot(*rise))
        )
        parts.append(_Part(material, float(lit), np.concatenate([edge, depth], axis=1), is_face=True))
    add("paint", 1.0, outline)
    add("paint", 0.55, bar(0.03, length - 0.03, low, low + 0.22))
    add("paint", 1.35, bar(0.1, length - 0.25, belt - 0.16, belt - 0.08))
    for window in body.windows:
        pane = np.array(window)
        middle = pane.mean(axis=0)
        add("glass", 1.0, pane)
        add("glass", 1.35, middle + (pane - middle) * np.array([0.25, 0.8]) - np.array([0.12, 0.0]))
    for window in body.windows[-2:]:
        left = min(x for x, _ in window)
        add("paint", 0.45, bar(left - 0.015, left + 0.015, low + 0.1, belt))
        add("paint", 0.35, bar(left + 0.1, left + 0.28, belt - 0.27, belt - 0.22))
    lamp = 0.5 * float(outline[:, 1].max()) if outline[:, 1].max() < 2 else 0.85
    add(
        "lamp",
        1.0,
        [
            [length, lamp - 0.08],
            [length - 0.3, lamp - 0.04],
            [length - 0.25, lamp + 0.09],
            [length - 0.08, lamp + 0.09],
        ],
    )
    add("tail", 1.0, bar(0.02, 0.22, lamp - 0.02, lamp + 0.16))
    for axle in (rear, front):
        add("dark", 1.0, _circle(axle, radius, radius * 1.2))
        add("tyre", 1.0, _circle(axle, radius, radius), -0.02)
        add("rim", 1.0, _circle(axle, radius, radius * 0.68), -0.03)
        add("rim", 0.35, _circle(axle, radius, radius * 0.58), -0.03)
    return parts


def _car(
    canvas: Canvas,
    lens: _Lens,
    body: _Body,
    parts: list[_Part],
    x: float,
    heading: float,
    distance: float,
    look: dict[str, Colour],
) -> None:
    """Paint one car whose middle is at `x` metres along the road."""
    spin = -(x * heading) / body.wheel + np.arange(5) * 2 * np.pi / 5
    ends = np.zeros((2, 5, 2, 3))
    ends[..., 2] = -0.03
    ends[..., 1] = body.wheel
    ends[..., 0] = np.array(body.axles)[:, None, None] - body.length / 2
    ends[:, :, 1, :2] += 0.62 * body.wheel * np.stack([np.cos(spin), np.sin(spin)], axis=1)
    half = body.length / 2 + 0.1
    shadow = np.array(
        [[-half, 0, -0.15], [half, 0, -0.15], [half, 0, _WIDTH_M + 0.15], [-half, 0, _WIDTH_M + 0.15]]
    )
    pieces = [shadow, *(part.corners for part in parts), ends.reshape(-1, 3)]
    # All corners go through the lens at once: one call instead of sixty.
    scene = lens.project(np.concatenate(pieces) * np.array([heading, 1, 1]) + np.array([x, 0, distance]))
    shapes = np.split(scene, np.cumsum([len(piece) for piece in pieces])[:-1])
    canvas.polygon(shapes[0], (12, 12, 14), 0.6)
    for part, shape in zip(parts, shapes[1:-1], strict=True):
        # A face that is turned away runs round the other way in the picture.
        if part.is_face and _winding(shape) * heading > 0:
            continue
        canvas.polygon(shape, shade(look[part.material], part.lit))
        if part.material == "lamp" and look["lamp"][0] > 250:
            canvas.glow(shape[0], 0.16, (190, 185, 160), 0.8)
    canvas.lines(shapes[-1].reshape(10, 2, 2), look["rim"], 0.012)


def _circle(x: float, y: float, radius: float) -> NDArray[np.float64]:
    """Corners of a circle, shape (20, 2)."""
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)


def _winding(corners: NDArray[np.float64]) -> float:
    """Twice the signed area of a polygon, shape (n, 2): its sign tells which way it runs."""
    x, y = corners[:, 0], corners[:, 1]
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def _engines(rng: np.random.Generator, n_samples: int, traffic: _Traffic, body: _Body) -> Wave:
    """Engine orders with Doppler shift, and tyre noise, of all cars; float32, shape (n_samples,)."""
    times = np.arange(n_samples) / SAMPLE_RATE_HZ
    coarse = np.arange(0, n_samples / SAMPLE_RATE_HZ + 0.02, _GRID_S)
    gains = traffic.gains(coarse)
    pace = np.interp(coarse, traffic.grid_s, traffic.pace)
    track = np.zeros(n_samples)
    angle = np.arange(4096) * 2 * np.pi / 4096
    for gain, along in zip(gains, traffic.along(coarse), strict=True):
        if gain.max() < 0.02:
            continue
        order = np.arange(1, 25)
        weight = order**-0.75 * rng.uniform(0.3, 1.0, order.size) * np.where(order % 2 == 0, 1.0, 0.6)
        table = (weight[:, None] * np.sin(order[:, None] * angle + rng.uniform(0, 6.3, (order.size, 1)))).sum(
            axis=0
        )
        table /= np.abs(table).max()
        away = np.gradient(np.hypot(along, traffic.near_m), _GRID_S)
        rate = body.firing_hz * rng.uniform(0.85, 1.15) * (0.5 + 0.6 * pace) * (1 - away / 343.0)
        phase = np.cumsum(np.interp(times, coarse, rate)) / SAMPLE_RATE_HZ
        index = (phase * 4096).astype(np.int64) % 4096
        track += 0.32 * table[index] * np.interp(times, coarse, gain)
    rolling = np.interp(times, coarse, gains.sum(axis=0) * pace)
    track += 0.22 * noise(n_samples, rng, 500.0, 2200.0) * rolling
    return np.asarray(track, dtype=np.float32)
