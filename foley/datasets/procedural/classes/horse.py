"""A horse seen from the side at walk, trot or gallop; each hoof that meets the ground sounds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.figure import (
    Foot,
    FootTrack,
    Ground,
    Points,
    Spray,
    apart,
    limb,
    make_ground,
    make_spray,
    skin_colour,
    smooth_outline,
    two_bone,
)
from foley.datasets.procedural.performance import Event, Performance, Stage, Wave
from foley.datasets.procedural.scenery import pick, random_colour, shade
from foley.datasets.procedural.sound import add_at, decay, modes, noise, peak

_STEP_S = 0.01
_LEGS = ("left hind", "left fore", "right hind", "right fore")
_GAITS = {
    # Landing of each leg in _LEGS as a share of the stride, and the share a leg is in the air.
    "walk": ((0.0, 0.25, 0.5, 0.75), 0.42),
    "trot": ((0.0, 0.5, 0.5, 0.0), 0.5),
    "gallop": ((0.0, 0.4, 0.2, 0.6), 0.62),
}
_STRIDES_S = {
    "a": {
        "walk": ((0.86, 0.94), (1.1, 1.25)),
        "trot": ((0.56, 0.62), (0.72, 0.8)),
        "gallop": ((0.66, 0.7), (0.8, 0.88)),
    },
    "b": {
        "walk": ((0.94, 1.02), (1.02, 1.1)),
        "trot": ((0.62, 0.67), (0.67, 0.72)),
        "gallop": ((0.7, 0.75), (0.75, 0.8)),
    },
}
# Outlines in withers heights: x forward from the middle of the back, y up from the ground.
_TRUNK = np.array(
    [
        *[(-0.5, 0.8), (-0.46, 0.93), (-0.36, 1.0), (-0.2, 0.98), (0.0, 0.93), (0.18, 0.99), (0.3, 1.03)],
        *[
            (0.46, 0.93),
            (0.5, 0.77),
            (0.44, 0.63),
            (0.3, 0.52),
            (0.05, 0.5),
            (-0.16, 0.54),
            (-0.3, 0.54),
            (-0.45, 0.64),
        ],
    ]
)
_NECK = np.array(
    [
        (0.16, 0.97),
        (0.36, 1.2),
        (0.53, 1.36),
        (0.63, 1.33),
        (0.63, 1.18),
        (0.56, 1.06),
        (0.52, 0.9),
        (0.5, 0.74),
        (0.32, 0.76),
    ]
)
_HEAD = np.array(
    [
        (0.53, 1.37),
        (0.62, 1.4),
        (0.7, 1.31),
        (0.81, 1.12),
        (0.88, 1.03),
        (0.87, 0.95),
        (0.8, 0.94),
        (0.74, 1.01),
        (0.64, 1.12),
        (0.56, 1.16),
    ]
)
_MANE = np.array(
    [
        (0.66, 1.33),
        (0.56, 1.42),
        (0.44, 1.34),
        (0.3, 1.19),
        (0.17, 1.04),
        (0.2, 0.95),
        (0.32, 0.98),
        (0.36, 1.1),
        (0.46, 1.15),
        (0.52, 1.27),
    ]
)
_EAR = np.array([(0.55, 1.36), (0.54, 1.5), (0.62, 1.38)])
_NECK_PIVOT = np.array([0.34, 0.9])
_SADDLE = np.array(
    [
        (-0.13, 1.03),
        (-0.08, 0.97),
        (0.08, 0.98),
        (0.2, 1.06),
        (0.19, 0.92),
        (0.16, 0.75),
        (0.04, 0.76),
        (-0.02, 0.92),
    ]
)
_TORSO = np.array(
    [(-0.1, 1.0), (0.12, 1.0), (0.13, 1.2), (0.14, 1.42), (0.04, 1.47), (-0.06, 1.42), (-0.1, 1.2)]
)


def _lit(
    outline: Points, middle: tuple[float, float], size: tuple[float, float], shift: tuple[float, float]
) -> Points:
    """Outline of the lighter part inside a shape: shrunk about `middle` and moved by `shift`."""
    return smooth_outline((outline - middle) * size + np.add(middle, shift), 4)


_SHAPES = {
    "trunk": smooth_outline(_TRUNK, 4),
    "flank": _lit(_TRUNK, (0, 0.78), (0.93, 0.62), (0, 0.06)),
    "back": _lit(_TRUNK, (0, 0.78), (0.8, 0.2), (-0.01, 0.13)),
    "neck": smooth_outline(_NECK, 4),
    "neck light": _lit(_NECK, (0.45, 1.1), (0.45, 0.8), (-0.03, 0)),
    "head": smooth_outline(_HEAD, 4),
    "cheek": _lit(_HEAD, (0.7, 1.17), (0.72, 0.75), (-0.01, 0.02)),
    "mane": smooth_outline(_MANE, 4),
    "saddle": smooth_outline(_SADDLE, 4),
    "seat": _lit(_SADDLE, (0.05, 0.9), (0.6, 0.6), (0.01, 0.01)),
    "torso": smooth_outline(_TORSO, 4),
    "chest": _lit(_TORSO, (0.02, 1.2), (0.55, 0.9), (0.03, 0.01)),
}


@dataclass(frozen=True)
class _Horse:
    """Everything that stays the same while the horse moves; curves are sampled every `_STEP_S`."""

    tracks: tuple[FootTrack, ...]
    land_s: NDArray[np.float64]
    force: NDArray[np.float64]
    body_x: NDArray[np.float64]
    pitch: NDArray[np.float64]
    nod: NDArray[np.float64]
    size: float
    centre_x: float
    ground_y: float
    facing: float
    tack: str
    coat: str
    colours: dict[str, Colour]
    patches: tuple[Points, ...]
    ground: Ground
    spray: Spray


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a horse that goes and stands in turns.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every choice.
    stage : Stage
        Length, shape and half (training or held-out) of the recording.

    Returns
    -------
    Performance
        One ``hoof`` event per contact; the two hooves that a trot sets down together are one event.
        Pawing the air, tossing the head and swishing the tail make none.
    """
    half = "b" if stage.held_out else "a"
    gait = str(rng.choice(list(_GAITS)))
    view = str(rng.choice(["full", "close"], p=[0.75, 0.25]))
    material = str(rng.choice(["cobble", "dirt", "turf"]))
    tack = pick(rng, ("bare", "rider"), ("saddle", "rug"), stage.held_out)
    coat = pick(rng, ("plain", "socks"), ("pinto", "dapple"), stage.held_out)
    bin_ = int(rng.integers(2))
    stride = float(rng.uniform(*_STRIDES_S[half][gait][bin_]))
    runs = _runs(rng, stage.duration_s, stride, _GAITS[gait][0])
    size = apart(rng, *((0.78, 0.95) if view == "close" else (0.56, 0.62)), stage.held_out)
    if tack == "rider" and view == "full":
        size *= 0.86
    horse = _horse(rng, stage, runs, stride, gait, size, material, tack, coat)
    events = _events(horse, material)
    traits = {
        "view": f"{view}-{half}",
        "tempo": f"{gait}-{('quick', 'slow')[bin_]}-{half}",
        "ground": f"{material}-{half}",
        "tack": tack,
        "coat": coat,
    }
    return Performance(events, lambda canvas, t: _draw(canvas, horse, t), _hit(rng, material), traits)


def _runs(
    rng: np.random.Generator, duration_s: float, stride_s: float, offsets: tuple[float, ...]
) -> list[list[tuple[float, int]]]:
    """Runs of (landing time, leg), with pauses between them of up to half the clip in all."""
    t, budget = float(rng.uniform(0.35, 0.9)), float(rng.uniform(0.15, 0.5)) * duration_s
    runs: list[list[tuple[float, int]]] = []
    while t < duration_s - 0.2:
        landings: list[tuple[float, int]] = []
        for k in range(int(rng.integers(1, 5))):
            order = np.argsort(offsets, kind="stable")
            begin = t + k * stride_s
            landings += [(begin + offsets[leg] * stride_s, int(leg)) for leg in order]
        runs.append([(at, leg) for at, leg in landings if at < duration_s - 0.15])
        t = landings[-1][0] + float(rng.uniform(0.45, 0.7)) * stride_s
        if budget > 0.6:
            pause = float(rng.uniform(0.5, min(budget, 2.2)))
            budget -= pause
            t += pause
    return runs


def _horse(
    rng: np.random.Generator,
    stage: Stage,
    runs: list[list[tuple[float, int]]],
    stride: float,
    gait: str,
    size: float,
    material: str,
    tack: str,
    coat: str,
) -> _Horse:
    share = _GAITS[gait][1]
    grid = np.arange(0, stage.duration_s + 0.5, _STEP_S)
    land_s = np.unique(np.round([at for run in runs for at, _ in run], 6))
    speed, phase, idle = np.zeros_like(grid), np.zeros_like(grid), np.ones_like(grid)
    reach = {"walk": 0.2, "trot": 0.2, "gallop": 0.24}[gait]
    for run in runs:
        first, last = run[0][0], run[-1][0]
        on = np.clip((grid - first + 0.35) / 0.3, 0, 1) * np.clip((last + 0.22 - grid) / 0.2, 0, 1)
        speed = np.maximum(speed, on * 2 * reach / ((1 - share) * stride))
        phase = np.where(grid >= first - 0.4, (grid - first) / stride, phase)
        idle *= 1 - on
    beat = np.exp(-0.5 * ((grid[:, None] - land_s) / 0.05) ** 2).sum(axis=1)
    body_x = np.cumsum(speed * (0.7 + 0.7 * np.minimum(beat, 1))) * _STEP_S
    tracks = tuple(_track(rng, runs, leg, grid, body_x, share * stride, reach, gait) for leg in range(4))
    wave = 2 * np.pi * phase
    toss = idle * 0.16 * np.clip(np.sin(2 * np.pi * 0.55 * grid + rng.uniform(0, 6)), 0, 1) * np.sin(9 * grid)
    ground_y = float(rng.uniform(0.88, 0.94))
    centre = 0.5 * stage.aspect + float(rng.uniform(-0.05, 0.05))
    facing = float(rng.choice([-1.0, 1.0]))
    ground = make_ground(rng, material, stage.held_out, ground_y, centre, False)
    coat_colour = _coat_colour(rng)
    contrast = shade(coat_colour, 1.75) if sum(coat_colour) < 380 else shade(coat_colour, 0.35)
    colours = {
        "coat": coat_colour,
        "mark": contrast,
        "mane": shade(coat_colour, 0.3) if rng.random() < 0.6 else shade(coat_colour, 1.6),
        "hoof": random_colour(rng, 0.1, 0.5, 0.3),
        "tack": random_colour(rng),
        "cloth": random_colour(rng),
        "coatee": random_colour(rng),
        "skin": skin_colour(rng),
    }
    bits = {"cobble": 8, "dirt": 22, "turf": 14}[material]
    return _Horse(
        tracks,
        land_s,
        np.clip(rng.uniform(0.5, 0.9) + rng.normal(0, 0.12, land_s.size), 0.2, 1.0),
        body_x,
        (1 - idle) * (0.07 if gait == "gallop" else 0.012) * np.sin(wave - 0.6),
        (1 - idle) * (0.1 if gait == "gallop" else 0.05) * np.sin((1 if gait == "gallop" else 2) * wave + 0.8)
        + toss,
        size,
        centre - facing * 0.12 * size,
        ground_y,
        facing,
        tack,
        coat,
        colours,
        _patches(rng, coat),
        ground,
        make_spray(rng, shade(ground.base, float(rng.choice([0.6, 1.45]))), bits, 0.55, 0.009),
    )


def _track(
    rng: np.random.Generator,
    runs: list[list[tuple[float, int]]],
    leg: int,
    grid: NDArray[np.float64],
    body_x: NDArray[np.float64],
    swing_s: float,
    reach: float,
    gait: str,
) -> FootTrack:
    """Path of one hoof, in withers heights relative to where its leg hangs straight down."""
    land = np.array([at for run in runs for at, which in run if which == leg])
    ahead = np.interp(land, grid, body_x) + reach
    gaps = np.diff(land, prepend=-9.0)
    swing = np.minimum(swing_s, 0.8 * gaps)
    if leg % 2 and land.size > 1:
        # A fore hoof sometimes paws the air through a pause before it steps.
        paw = (gaps > max(1.3, 1.6 * swing_s + 0.8)) & (gaps < 8) & (rng.random(land.size) < 0.5)
        swing = np.where(paw, gaps - 0.45, swing)
    start = float(rng.uniform(-0.08, 0.08))
    return FootTrack(land - swing, land, ahead, start, {"walk": 0.15, "trot": 0.2, "gallop": 0.26}[gait])


def _events(horse: _Horse, material: str) -> tuple[Event, ...]:
    events = []
    for time_s, force in zip(horse.land_s, horse.force, strict=True):
        legs = [
            leg
            for leg, track in enumerate(horse.tracks)
            if np.abs(track.land_s - time_s).min(initial=1) < 1e-3
        ]
        x = np.mean([_hoof(horse, leg, float(time_s) + 1e-4)[1][0] for leg in legs])
        events.append(Event(float(time_s), float(force), "hoof", material, float(x), horse.ground_y))
    return tuple(events)


def _coat_colour(rng: np.random.Generator) -> Colour:
    """Coat under any light: often a horse's own brown, chestnut, grey or black, else any tint."""
    if rng.random() < 0.5:
        return random_colour(rng, 0.15, 0.9, 0.6)
    base = np.array([(120, 75, 45), (165, 95, 50), (190, 190, 190), (55, 50, 50), (205, 170, 120)])[
        rng.integers(5)
    ]
    r, g, b = np.clip(base * rng.uniform(0.7, 1.2) * rng.uniform(0.75, 1.2, 3), 0, 255)
    return float(r), float(g), float(b)


def _patches(rng: np.random.Generator, coat: str) -> tuple[Points, ...]:
    """Markings on the trunk in withers heights."""
    if coat == "pinto":
        spots = [((-0.36, 0.86), 0.11), ((0.0, 0.72), 0.13), ((0.36, 0.82), 0.11)]
        n = 9
    elif coat == "dapple":
        spots = [
            ((float(x), float(y)), 0.022)
            for x, y in zip(rng.uniform(-0.42, 0.4, 22), rng.uniform(0.6, 0.93, 22), strict=True)
        ]
        n = 6
    else:
        return ()
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return tuple(
        smooth_outline(np.array(middle) + ring * radius * rng.uniform(0.6, 1.25, (n, 1)), 3)
        for middle, radius in spots
    )


def _sample(curve: NDArray[np.float64], t: float) -> float:
    i = min(max(t / _STEP_S, 0.0), curve.size - 1.001)
    k = int(i)
    return float(curve[k] + (curve[k + 1] - curve[k]) * (i - k))


def _hoof(horse: _Horse, leg: int, t: float) -> tuple[Foot, Points]:
    """State of a hoof and its scene position."""
    foot = horse.tracks[leg].at(t)
    hang = -0.36 if leg % 2 == 0 else 0.34
    x = hang + foot.x - _sample(horse.body_x, t)
    return foot, _scene(horse, np.array([[x, foot.z]]))[0]


def _scene(horse: _Horse, points: Points) -> Points:
    """Map withers heights to the scene: turned the way the horse faces, y down."""
    scale = np.array([horse.facing * horse.size, -horse.size])
    return np.asarray(np.asarray(points, float) * scale + [horse.centre_x, horse.ground_y])


def _turned(points: Points, pivot: NDArray[np.float64], angle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray((np.asarray(points, float) - pivot) @ np.array([[c, s], [-s, c]]) + pivot)


def _draw(canvas: Canvas, horse: _Horse, t: float) -> None:
    c, size = horse.colours, horse.size
    horse.ground.paint(canvas, across=horse.facing * _sample(horse.body_x, t) * size)
    since = t - horse.land_s
    recent = (since >= 0) & (since < 0.4)
    drop = 0.035 * float((horse.force * np.minimum(since / 0.04, 1) * np.exp(-since / 0.08))[recent].sum())
    pitch = _sample(horse.pitch, t)

    def body(points: Points) -> Points:
        return _scene(horse, _turned(points, np.array([0.0, 0.8]), pitch) - [0, drop])

    def front(points: Points) -> Points:
        return body(_turned(points, _NECK_PIVOT, _sample(horse.nod, t)))

    canvas.ellipse((horse.centre_x, horse.ground_y - 0.01), (0.52 * size, 0.05 * size), 0, (10, 10, 10), 0.4)
    for leg in (2, 3):
        _draw_leg(canvas, horse, leg, t, body, 0.62)
    _draw_tail(canvas, horse, t, body)
    canvas.polygon(body(_SHAPES["trunk"]), shade(c["coat"], 0.8))
    canvas.polygon(body(_SHAPES["flank"]), c["coat"])
    canvas.polygon(body(_SHAPES["back"]), shade(c["coat"], 1.14))
    for patch in horse.patches:
        canvas.polygon(body(patch), c["mark"])
    for leg in (0, 1):
        _draw_leg(canvas, horse, leg, t, body, 1.0)
    _draw_front(canvas, horse, front)
    if horse.tack != "bare":
        _draw_tack(canvas, horse, body)
    if horse.tack == "rider":
        _draw_rider(canvas, horse, body, front)
    for i in np.flatnonzero((since >= 0) & (since < horse.spray.life_s)):
        for leg, track in enumerate(horse.tracks):
            if np.abs(track.land_s - horse.land_s[i]).min(initial=1) < 1e-3:
                _, at = (
                    _hoof(horse, leg, t)
                    if track.at(t).u >= 1
                    else _hoof(horse, leg, float(horse.land_s[i]) + 1e-4)
                )
                horse.spray.paint(
                    canvas, (float(at[0]), horse.ground_y), float(since[i]), float(horse.force[i])
                )


def _draw_front(canvas: Canvas, horse: _Horse, front: Callable[[Points], Points]) -> None:
    """Paint neck, head, mane and bridle."""
    c = horse.colours
    canvas.polygon(front(_EAR + np.array([0.04, 0.0])), shade(c["coat"], 0.6))
    canvas.polygon(front(_SHAPES["neck"]), shade(c["coat"], 0.92))
    canvas.polygon(front(_SHAPES["neck light"]), shade(c["coat"], 1.06))
    canvas.polygon(front(_SHAPES["head"]), shade(c["coat"], 0.86))
    canvas.polygon(front(_SHAPES["cheek"]), shade(c["coat"], 1.08))
    canvas.polygon(front(_EAR), shade(c["coat"], 0.9))
    canvas.polygon(front(_SHAPES["mane"]), c["mane"])
    for u in (0.0, 0.35, 0.7):
        strand = np.array([(0.5, 1.36), (0.44, 1.26), (0.46, 1.17)]) - [0.24 * u, 0.26 * u]
        canvas.line(front(strand), shade(c["mane"], 1.35), 0.014 * horse.size)
    if horse.coat in ("socks", "pinto"):
        canvas.polygon(front(np.array([(0.64, 1.36), (0.67, 1.34), (0.83, 1.1), (0.81, 1.09)])), c["mark"])
    eye, nostril, mouth = front(np.array([(0.655, 1.25), (0.845, 1.0), (0.8, 0.965)]))
    canvas.circle(eye, 0.024 * horse.size, (15, 12, 10))
    canvas.circle(eye - np.array([0.006, 0.006]) * horse.size, 0.007 * horse.size, (235, 235, 235))
    canvas.circle(nostril, 0.016 * horse.size, shade(c["coat"], 0.3))
    canvas.line([mouth, nostril + 0.6 * (mouth - nostril)], shade(c["coat"], 0.35), 0.01 * horse.size)
    if horse.tack in ("rider", "saddle"):
        for strap in ([(0.77, 1.18), (0.73, 1.02)], [(0.6, 1.39), (0.57, 1.17)], [(0.59, 1.3), (0.75, 1.1)]):
            canvas.line(front(np.array(strap)), shade(c["tack"], 0.6), 0.018 * horse.size)


def _draw_tail(canvas: Canvas, horse: _Horse, t: float, body: Callable[[Points], Points]) -> None:
    swish = 0.07 * np.sin(2.1 * t + horse.size * 40) + 0.04 * np.sin(5.3 * t)
    tail = np.array(
        [
            (-0.44, 0.96),
            (-0.54, 0.92),
            (-0.62, 0.74),
            (-0.66, 0.5),
            (-0.62, 0.34),
            (-0.57, 0.5),
            (-0.52, 0.7),
            (-0.47, 0.86),
        ]
    )
    tail[:, 0] += swish * np.clip((0.9 - tail[:, 1]) / 0.5, 0, 1)
    canvas.polygon(body(smooth_outline(tail)), horse.colours["mane"])
    canvas.line(
        body(0.5 * (tail[1:5] + tail[[6, 6, 5, 5]])),
        shade(horse.colours["mane"], 1.3),
        0.02 * horse.size,
    )


def _draw_leg(
    canvas: Canvas, horse: _Horse, leg: int, t: float, body: Callable[[Points], Points], dim: float
) -> None:
    size, hind = horse.size, leg % 2 == 0
    foot, at = _hoof(horse, leg, t)
    coat = shade(horse.colours["coat"], dim)
    lower = shade(horse.colours["mark"], dim) if horse.coat in ("socks", "pinto") else shade(coat, 0.7)
    # In the air the hoof folds back, then turns up to meet the ground.
    fold = 0.0 if foot.u >= 1 else float(np.interp(foot.u, [0, 0.25, 0.6, 1], [-0.3, -1.3, -0.7, 0.12]))
    unfacing = np.array([horse.facing, 1.0])
    turn = np.array([[np.cos(fold), -np.sin(fold)], [np.sin(fold), np.cos(fold)]])

    def hoof(points: Points) -> Points:
        return np.asarray((np.asarray(points, float) @ turn) * unfacing * size + at)

    fetlock = hoof(np.array([[-0.045, -0.13]]))[0]
    root = body(np.array([[-0.36, 0.66] if hind else [0.33, 0.64]]))[0]
    bones = (0.3, 0.3) if hind else (0.28, 0.265)
    joints = two_bone(
        root * unfacing, fetlock * unfacing, bones[0] * size, bones[1] * size, -1.0 if hind else 1.0
    )
    joints = joints * unfacing
    slip = joints[2] - fetlock
    widths = (0.27, 0.105, 0.062) if hind else (0.2, 0.095, 0.06)
    canvas.circle(joints[1], 0.056 * size, shade(coat, 0.8))
    limb(canvas, joints, [w * size for w in widths], coat, 0.18 if dim == 1 else 0.0)
    pastern = hoof(np.array([[0.0, -0.05]]))[0] + slip
    cannon = joints[1] + 0.5 * (joints[2] - joints[1])
    limb(canvas, [cannon, joints[2], pastern], (0.07 * size, 0.068 * size, 0.07 * size), lower, 0.0)
    outline = hoof(np.array([(-0.04, -0.065), (0.035, -0.065), (0.075, 0.0), (-0.06, 0.0)])) + slip
    canvas.polygon(outline, shade(horse.colours["hoof"], dim))
    canvas.line(outline[2:], shade(horse.colours["hoof"], 0.5 * dim), 0.012 * size)


def _draw_tack(canvas: Canvas, horse: _Horse, body: Callable[[Points], Points]) -> None:
    c, size = horse.colours, horse.size
    if horse.tack == "rug":
        rug = np.array(
            [
                (-0.49, 0.9),
                (-0.36, 1.02),
                (0.0, 0.955),
                (0.3, 1.04),
                (0.42, 0.9),
                (0.36, 0.58),
                (0.0, 0.53),
                (-0.46, 0.6),
            ]
        )
        canvas.polygon(body(rug), c["cloth"])
        for u in (-0.3, -0.1, 0.1, 0.28):
            canvas.line(body(np.array([(u, 0.98), (u * 1.05, 0.57)])), shade(c["cloth"], 0.7), 0.02 * size)
        canvas.line(body(rug[[7, 6, 5]]), shade(c["tack"], 1.2), 0.03 * size)
        return
    canvas.polygon(body(np.array([(-0.13, 0.97), (0.2, 1.0), (0.22, 0.72), (-0.12, 0.74)])), c["cloth"])
    canvas.polygon(body(_SHAPES["saddle"]), shade(c["tack"], 0.75))
    canvas.polygon(body(_SHAPES["seat"]), shade(c["tack"], 1.1))
    canvas.line(body(np.array([(0.1, 0.78), (0.14, 0.52)])), shade(c["tack"], 0.5), 0.025 * size)
    if horse.tack == "saddle":
        canvas.line(body(np.array([(0.05, 0.88), (0.06, 0.66)])), shade(c["tack"], 0.4), 0.02 * size)
        canvas.ellipse(body(np.array([[0.06, 0.62]]))[0], (0.045 * size, 0.05 * size), 0, (190, 190, 195))


def _draw_rider(
    canvas: Canvas, horse: _Horse, body: Callable[[Points], Points], front: Callable[[Points], Points]
) -> None:
    c, size = horse.colours, horse.size
    bit = front(np.array([[0.77, 1.03]]))[0]
    canvas.polygon(body(_SHAPES["torso"]), shade(c["coatee"], 0.85))
    canvas.polygon(body(_SHAPES["chest"]), shade(c["coatee"], 1.1))
    limb(
        canvas,
        body(np.array([(0.0, 1.03), (0.2, 0.88), (0.1, 0.62)])),
        (0.17 * size, 0.13 * size, 0.08 * size),
        c["cloth"],
    )
    limb(
        canvas, body(np.array([(0.19, 0.86), (0.1, 0.6)])), (0.12 * size, 0.08 * size), shade(c["tack"], 0.5)
    )
    limb(
        canvas,
        body(np.array([(0.09, 0.57), (0.2, 0.57)])),
        (0.07 * size, 0.055 * size),
        shade(c["tack"], 0.5),
    )
    arm = body(np.array([(0.04, 1.38), (0.06, 1.2), (0.27, 1.16)]))
    canvas.line([arm[2], bit], shade(c["tack"], 0.5), 0.014 * size)
    limb(canvas, arm, (0.11 * size, 0.09 * size, 0.065 * size), shade(c["coatee"], 1.05))
    canvas.circle(arm[2], 0.038 * size, c["skin"])
    head = body(np.array([[0.07, 1.58]]))[0]
    canvas.ellipse(head, (0.075 * size, 0.095 * size), 0, c["skin"])
    helmet = np.array(
        [(-0.03, 1.58), (-0.02, 1.68), (0.07, 1.71), (0.15, 1.67), (0.16, 1.62), (0.2, 1.6), (0.14, 1.6)]
    )
    canvas.polygon(body(helmet), c["tack"])


def _hit(rng: np.random.Generator, material: str) -> Callable[[Event, np.random.Generator], Wave]:
    """Clop of this horse's hooves: the hollow hoof over the thud of the ground."""
    pitch = float(rng.uniform(0.8, 1.25))
    clop, thud, grit = {"cobble": (1.0, 0.35, 0.35), "dirt": (0.6, 0.9, 0.3), "turf": (0.4, 1.0, 0.15)}[
        material
    ]

    def hit(event: Event, rng: np.random.Generator) -> Wave:
        wobble = pitch * float(rng.uniform(0.9, 1.12))
        hollow = [f * wobble for f in (560, 980, 1540, 2300)]
        out = np.zeros(round(0.2 * 48_000), np.float32)
        hoof = modes(hollow, [0.06, 0.05, 0.035, 0.02], [1, 0.9, 0.5, 0.3], 0.12, rng) * clop
        low = modes([88 * wobble, 142 * wobble], [0.11, 0.08], [1, 0.6], 0.18, rng) * thud
        add_at(out, np.asarray(hoof, np.float32), 0.0)
        add_at(out, np.asarray(low, np.float32), 0.0)
        # The toe follows the heel at once: clop, not knock.
        add_at(out, np.asarray(0.55 * hoof, np.float32), float(rng.uniform(0.016, 0.024)))
        scrape = noise(out.size, rng, 700, 1800 + 4500 * event.force) * decay(0.2, 0.06)
        return peak(out + (grit * scrape).astype(np.float32), event.force)

    return hit
