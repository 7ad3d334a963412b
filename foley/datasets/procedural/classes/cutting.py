"""Cutting: a knife in a hand chops food on a board; the event is the blade meeting the board."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.performance import Event, Performance, Stage, Wave
from foley.datasets.procedural.props import (
    Look,
    arm,
    fist,
    limb,
    limbs,
    place,
    random_look,
    random_view,
    through,
)
from foley.datasets.procedural.scenery import pick, random_colour, shade
from foley.datasets.procedural.sound import decay, modes, noise, peak


@dataclass(frozen=True)
class _Food:
    name: str
    radius: float
    taper: float
    marks: str
    face: str
    crunch_hz: tuple[float, float]
    crunch_s: float


_FOODS = (
    _Food("carrot", 0.085, 0.75, "rings", "core", (1800, 9000), 0.05),
    _Food("cucumber", 0.10, 0.1, "stripes", "seeds", (900, 6000), 0.06),
    _Food("loaf", 0.17, 0.1, "scores", "crumb", (2500, 12000), 0.10),
    _Food("onion", 0.15, 0.3, "stripes", "rings", (1200, 7500), 0.07),
)
_FOODS_HELD_OUT = (
    _Food("daikon", 0.11, 0.55, "rings", "core", (1400, 8000), 0.055),
    _Food("leek", 0.09, 0.2, "stripes", "rings", (1000, 7000), 0.065),
    _Food("baguette", 0.13, 0.25, "scores", "crumb", (2800, 11000), 0.09),
    _Food("aubergine", 0.135, 0.2, "plain", "seeds", (800, 6500), 0.06),
)
_BLADES: dict[str, list[list[float]]] = {
    "chef": [[0, 0], [-0.6, 0], [-0.85, -0.03], [-1, -0.12], [-0.9, -0.17], [-0.5, -0.23], [0, -0.25]],
    "santoku": [[0, 0], [-0.8, 0], [-0.95, -0.02], [-1, -0.06], [-0.93, -0.18], [-0.8, -0.26], [0, -0.27]],
    "cleaver": [[0, 0], [-0.96, 0], [-0.97, -0.4], [0, -0.42]],
    "carver": [[0, 0], [-0.8, 0], [-0.95, -0.05], [-1, -0.17], [-0.85, -0.19], [-0.4, -0.2], [0, -0.2]],
}
_HANDLE = [[-0.01, -0.27], [0.1, -0.25], [0.62, -0.26], [0.68, -0.13], [0.56, -0.13], [0.1, -0.15], [0, -0.1]]
_TEMPOS = {
    "slow-a": (0.55, 0.8),
    "fast-a": (0.24, 0.36),
    "medium-b": (0.40, 0.52),
    "fast-b": (0.20, 0.24),
}
_BLADE_LENGTH = 0.62
_FALL_S = 0.1
_REST_S = 0.045
_SLICE_S = 0.2
_N_LYING = 6
_AXIS = np.array([-0.86, -0.36])
_FRONT = np.array([0.66, 0.80])


@dataclass(frozen=True)
class _Strokes:
    """Every downward stroke: when it ends, whether it meets the board, and how high it started."""

    times: NDArray[np.float64]
    cuts: NDArray[np.bool_]
    lifts: NDArray[np.float64]


def _plan(rng: np.random.Generator, duration_s: float, gap_s: tuple[float, float]) -> _Strokes:
    """Bursts of strokes with pauses of at most half the clip; some strokes stop above the food."""
    t, idle_left = rng.uniform(0.2, 0.9), duration_s / 2
    base = rng.uniform(*gap_s)
    times, cuts = [], []
    while t < duration_s - 0.1:
        times.append(t)
        cuts.append(len(times) == 1 or rng.random() > 0.16)
        gap = max(base * rng.uniform(0.85, 1.2), 0.19)
        if rng.random() < 0.10 and idle_left > 0.6:
            pause = rng.uniform(0.5, min(1.8, idle_left))
            gap, idle_left = gap + pause, idle_left - pause
        t += gap
    lifts = np.clip(np.diff([-1.0, *times]) / 0.3, 0.55, 1.0) * rng.uniform(0.75, 1.1, len(times))
    return _Strokes(np.array(times), np.array(cuts), lifts)


def _height(strokes: _Strokes, t_s: float, lift: float, missed_at: float) -> float:
    """Height of the edge above the board at `t_s`: 0 exactly while it rests on the board."""
    last = int(np.searchsorted(strokes.times, t_s, side="right")) - 1
    following = last + 1
    height = lift * (strokes.lifts[following] if following < len(strokes.times) else 1.0)
    if last >= 0:
        floor = 0.0 if strokes.cuts[last] else missed_at
        room = strokes.times[following] - strokes.times[last] if following < len(strokes.times) else 0.5
        rise_s = min(0.22, max(room - _FALL_S - _REST_S, 0.03))
        u = np.clip((t_s - strokes.times[last] - _REST_S) / rise_s, 0, 1)
        height = floor + (height - floor) * u * u * (3 - 2 * u)
    if following < len(strokes.times):
        floor = 0.0 if strokes.cuts[following] else missed_at
        u = np.clip(1 - (strokes.times[following] - t_s) / _FALL_S, 0, 1)
        height = height + (floor - height) * u * u
    return float(height)


@dataclass(frozen=True)
class _Set:
    """Everything that the picture is made of, in the set's own frame."""

    food: _Food
    length: float
    skin: Colour
    flesh: Colour
    knife: str
    steel: Colour
    grip: Colour
    look: Look
    grain: NDArray[np.float64]
    wood_colour: Colour
    counter: Colour
    rocking: bool
    lift: float
    slice_step: float
    piles: NDArray[np.float64]
    face: NDArray[np.uint8]


def _radius(food: _Food, along: float | NDArray[np.float64], length: float) -> NDArray[np.float64]:
    u = np.clip(np.asarray(along) / length, 0, 1)
    tip = np.sqrt(np.clip(1 - np.maximum(u - 0.72, 0) ** 2 / 0.28**2, 0, 1))
    return np.asarray(food.radius * (1 - food.taper * u * 0.6) * tip)


def _draw_board(canvas: Canvas, made: _Set) -> None:
    canvas.polygon([[-2.0, 0.66], [4.0, 0.66], [4.0, 3.0], [-2.0, 3.0]], made.counter)
    canvas.polygon([[0.02, 0.965], [1.31, 0.965], [1.33, 1.03], [0.0, 1.03]], shade(made.counter, 0.55))
    canvas.polygon([[0.16, 0.56], [1.17, 0.56], [1.31, 0.95], [0.02, 0.95]], made.wood_colour)
    canvas.lines(made.grain[::2], shade(made.wood_colour, 0.8), 0.008)
    canvas.lines(made.grain[1::2], shade(made.wood_colour, 1.12), 0.005)
    canvas.polygon([[0.02, 0.95], [1.31, 0.95], [1.31, 1.0], [0.02, 1.0]], shade(made.wood_colour, 0.6))
    canvas.line([[0.02, 0.951], [1.31, 0.951]], shade(made.wood_colour, 1.4), 0.006)
    canvas.ellipse([1.13, 0.63], [0.045, 0.02], 0, shade(made.counter, 0.6))


def _bake_face(food: _Food, skin: Colour, flesh: Colour) -> NDArray[np.uint8]:
    """RGBA picture, shape (96, 96, 4), of a cut surface: what is inside tells the food."""
    side, middle = 96, [0.5, 0.5]
    rgb = np.full((side, side, 3), shade(skin, 0.7), dtype=np.float64).astype(np.uint8)
    to_px = np.array([[side, 0, -0.5], [0, side, -0.5]], dtype=np.float64)
    canvas = Canvas(rgb, to_px)
    canvas.circle(middle, 0.45, flesh)
    if food.face == "core":
        for radius, light in ((0.26, 0.8), (0.22, 1.35)):
            canvas.circle(middle, radius, shade(flesh, light))
    elif food.face == "rings":
        for radius in (0.37, 0.25, 0.13):
            canvas.circle(middle, radius, shade(flesh, 0.72))
            canvas.circle(middle, radius - 0.03, shade(flesh, 1.2))
    else:
        k = np.arange(14 if food.face == "crumb" else 9)
        away = 0.4 * np.sqrt((k + 0.5) / k.size) if food.face == "crumb" else np.full(k.size, 0.29)
        for x, y in 0.5 + away[:, None] * np.stack([np.cos(k * 2.4), np.sin(k * 2.4)], axis=1):
            canvas.ellipse([x, y], [0.045, 0.06], 20, shade(flesh, 0.72))
    cover = np.zeros((side, side, 3), dtype=np.uint8)
    Canvas(cover, to_px).circle(middle, 0.495, (255, 255, 255))
    return np.concatenate([rgb, cover[..., :1]], axis=2)


def _draw_face(canvas: Canvas, made: _Set, centre: NDArray[np.float64], rx: float, ry: float) -> None:
    canvas.textured(centre + np.array([[-rx, -ry], [rx, -ry], [rx, ry], [-rx, ry]]), made.face)


def _draw_food(canvas: Canvas, made: _Set, cut: float) -> None:
    """Paint the rest of the food, lying away from the viewer behind the cutting plane."""
    if cut >= made.length * 0.98:
        return
    s = np.linspace(cut, made.length, 14)
    r = _radius(made.food, s, made.length) * (1 - 0.2 * s)
    across = np.array([_AXIS[1], -_AXIS[0]])
    mid = _FRONT + np.outer(s, _AXIS) - np.stack([np.zeros_like(r), np.maximum(r, 0.05)], axis=1)
    edge = mid + np.array([0.02, 0.03]) + 1.02 * r[:, None] * across

    def band(low: float, high: float) -> NDArray[np.float64]:
        return np.concatenate([mid + low * r[:, None] * across, (mid + high * r[:, None] * across)[::-1]])

    canvas.polygon(np.concatenate([edge, mid[::-1]]), shade(made.wood_colour, 0.4), 0.5)
    for low, high, light in ((-1, 1, 0.5), (-1, 0.72, 0.75), (-0.95, 0.4, 1.0), (-0.8, -0.25, 1.2)):
        canvas.polygon(band(low, high), shade(made.skin, light))
    if made.food.marks == "stripes":
        for k in (-0.6, -0.1, 0.35, 0.75):
            canvas.line(mid + k * r[:, None] * across, shade(made.skin, 0.62), 0.008, 0.8)
    elif made.food.marks != "plain":
        lean = 0.0 if made.food.marks == "rings" else 0.12
        width, light = (0.006, 0.62) if made.food.marks == "rings" else (0.028, 1.55)
        for at in np.arange(0.06, made.length, 0.09):
            if at > cut + lean:
                ends = np.interp([at - lean, at], s, np.arange(s.size)).round().astype(int)
                low, high = (-0.8, 0.1) if at % 0.18 < 0.09 else (-0.9, 0.55)
                ink = [mid[ends[0]] + low * r[ends[0]] * across, mid[ends[1]] + high * r[ends[1]] * across]
                canvas.line(ink, shade(made.skin, light), width, 0.85)
    _draw_face(canvas, made, mid[0], r[0] * 0.72, r[0] * 1.03)


def _draw_knife(canvas: Canvas, made: _Set, edge: NDArray[np.float64], height: float) -> None:
    """Paint blade, handle, hand and arm; `edge` is where the blade meets the board when it is down."""
    heel = edge + np.array([0.26, -height])
    turn = 0.35 * height / made.lift
    if made.rocking:
        # The point stays near the board and the handle swings: the middle of the edge still meets it.
        turn = -0.9 * height
        heel = heel - np.array([0, 0.35 * height])
    blade = place(_BLADES[made.knife], heel, turn, _BLADE_LENGTH)
    middle = blade.mean(axis=0)
    canvas.polygon(blade, shade(made.steel, 0.55))
    canvas.polygon(middle + (blade - middle) * [0.985, 0.94] - [0, 0.004], made.steel)
    bright = place([[-0.03, -0.07], [-0.8, -0.06], [-0.86, -0.1], [-0.03, -0.13]], heel, turn, _BLADE_LENGTH)
    canvas.polygon(bright, shade(made.steel, 1.6))
    if made.knife == "cleaver":
        canvas.circle(place([[-0.86, -0.33]], heel, turn, _BLADE_LENGTH)[0], 0.018, shade(made.steel, 0.3))
    if made.knife == "santoku":
        for x in np.arange(-0.75, -0.1, 0.12):
            spot = place([[x, -0.1]], heel, turn, _BLADE_LENGTH)[0]
            canvas.ellipse(spot, [0.012, 0.03], 0, shade(made.steel, 0.8))
    canvas.polygon(place(_HANDLE, heel, turn, _BLADE_LENGTH), shade(made.grip, 0.6))
    strip = [[0.0, -0.24], [0.64, -0.24], [0.64, -0.19], [0.02, -0.19]]
    canvas.polygon(place(strip, heel, turn, _BLADE_LENGTH), made.grip)
    for x in (0.12, 0.58):
        rivet = place([[x, -0.2]], heel, turn, _BLADE_LENGTH)[0]
        canvas.circle(rivet, 0.012, shade(made.steel, 1.3))
    wrist, elbow = place([[0.42, -0.33], [1.15, -0.75]], heel, turn * 0.8, _BLADE_LENGTH)
    arm(canvas, wrist, elbow, 0.055, made.look)
    fist(canvas, place([[0.30, -0.19]], heel, turn, _BLADE_LENGTH)[0], turn, 0.19, made.look)


def _draw_holder(canvas: Canvas, made: _Set, cut: float) -> None:
    """Paint the other hand, fingers bent over the food behind the blade."""
    spot = min(cut + 0.2, made.length * 0.86)
    r = float(_radius(made.food, spot, made.length)) * (1 - 0.2 * spot)
    top = _FRONT + spot * _AXIS - [0, max(r, 0.05) * 1.7]
    wrist, elbow, heel, knuckles = place(
        [[-0.12, -0.06], [-0.52, -0.26], [-0.10, -0.05], [-0.01, -0.03]], top, 0.0
    )
    arm(canvas, wrist, elbow, 0.055, made.look)
    limb(canvas, heel, knuckles, 0.075, 0.07, made.look.hand)
    k = np.arange(4)
    bent = np.stack([-0.07 + 0.045 * k, -0.055 + 0.013 * k], axis=1)
    tips = np.stack([-0.035 + 0.045 * k, 0.03 + 0.021 * k], axis=1)
    limbs(canvas, top + np.stack([bent, tips], axis=1), [[0.03, 0.024]] * 4, [made.look.hand] * 4)


def _painter(made: _Set, strokes: _Strokes, view: NDArray[np.float64]) -> Callable[[Canvas, float], None]:
    done = strokes.times[strokes.cuts]

    def draw(canvas: Canvas, t_s: float) -> None:
        seen = through(canvas, view)
        passed = int(np.searchsorted(done, t_s, side="right"))
        fresh = float(np.clip((t_s - done[passed - 1] - _REST_S) / 0.12, 0, 1)) if passed else 1.0
        cut = made.slice_step * (passed + 1)
        height = _height(strokes, t_s, made.lift, 2 * made.food.radius + 0.03)
        # The knife moves to the next slice while it rises.
        plane = made.slice_step * (passed + fresh)
        idle = 0.006 * np.sin(5 * t_s) if height > 0.5 * made.lift else 0.0
        _draw_board(seen, made)
        _draw_food(seen, made, min(cut - made.slice_step * (1 - fresh), made.length))
        _draw_holder(seen, made, cut)
        for k in range(max(passed - _N_LYING, 0), passed):
            u = float(np.clip((t_s - done[k]) / _SLICE_S, 0, 1))
            _draw_slice(seen, made, k, u * u)
        _draw_knife(seen, made, _FRONT + plane * _AXIS, height + idle)
        if passed and height < 2 * made.food.radius:
            u = float(np.clip((t_s - done[passed - 1]) / _SLICE_S, 0, 1))
            _draw_slice(seen, made, passed - 1, u * u)

    return draw


def _draw_slice(canvas: Canvas, made: _Set, index: int, fallen: float) -> None:
    """Paint slice `index`, standing at the blade (`fallen` 0) to lying on the board (1)."""
    at = made.slice_step * index
    r = max(float(_radius(made.food, at, made.length)), 0.02)
    start = _FRONT + at * _AXIS - [0, r]
    centre = start + (made.piles[index % _N_LYING] - start) * fallen
    rx, ry = r * (0.72 + 0.22 * fallen), r * (1.03 - 0.58 * fallen)
    canvas.ellipse([centre[0] + 0.012, centre[1] + 0.016], [rx, ry], 0, shade(made.skin, 0.45))
    _draw_face(canvas, made, centre, rx, ry)


def _striker(food: _Food, board_hz: float, damping: float) -> Callable[[Event, np.random.Generator], Wave]:
    def hit(event: Event, rng: np.random.Generator) -> Wave:
        pitch = board_hz * rng.uniform(0.96, 1.04) * (0.9 + 0.2 * event.force)
        ratios = np.array([1.0, 1.57, 2.3, 3.4, 5.1])
        thud = modes(list(pitch * ratios), list(damping / ratios**0.6), [1, 0.7, 0.5, 0.35, 0.2], 0.16, rng)
        click = noise(thud.size, rng, 1500, 9000) * decay(0.16, 0.012)
        fibre = noise(thud.size, rng, *food.crunch_hz) * decay(0.16, food.crunch_s * 1.6)
        grains = np.repeat(rng.random(thud.size // 120 + 1) ** 3, 120)[: thud.size]
        grains[:120] = 1.0
        return peak(thud + (0.5 + event.force) * click + 1.6 * fibre * grains, event.force)

    return hit


def _grain(rng: np.random.Generator) -> NDArray[np.float64]:
    """Fibres of the board, in perspective: wavy lines, shape (26, 12, 2)."""
    deep = np.sort(rng.uniform(0.01, 0.99, (26, 1)), axis=0)
    along = np.linspace(rng.uniform(0.0, 0.3, 26), rng.uniform(0.7, 1.0, 26), 12, axis=1)
    wave = 0.012 * np.sin(rng.uniform(2, 6, (26, 1)) * along + rng.uniform(0, 6, (26, 1)))
    left, right = 0.16 - 0.14 * deep, 1.17 + 0.14 * deep
    return np.stack([left + (right - left) * along, 0.56 + 0.39 * np.clip(deep + wave, 0, 1)], axis=2)


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a clip of somebody cutting food on a board.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    stage : Stage
        Length, shape and side (training or held out) of the recording.

    Returns
    -------
    Performance
        Events of kind ``strike``: the blade meets the board. Strokes that stop above the food make
        motion but no event.
    """
    out = stage.held_out
    food = pick(rng, _FOODS, _FOODS_HELD_OUT, out)
    knife = pick(rng, ("chef", "santoku"), ("cleaver", "carver"), out)
    tempo = pick(rng, ("slow-a", "fast-a"), ("medium-b", "fast-b"), out)
    strokes = _plan(rng, stage.duration_s, _TEMPOS[tempo])
    times = strokes.times[strokes.cuts]
    n_cuts = len(times)
    wood_colour, length = random_colour(rng, 0.25, 0.9), rng.uniform(0.62, 0.75)
    away = rng.uniform([0.62, 0.85], [1.15, 0.92], (_N_LYING, 2))
    skin = random_colour(rng, 0.35, 0.95)
    flesh = shade(random_colour(rng, 0.5, 0.95), rng.uniform(1.1, 1.6))
    made = _Set(
        food=food,
        length=length,
        skin=skin,
        flesh=flesh,
        knife=knife,
        steel=shade(random_colour(rng, 0.55, 0.85, 0.25), 1.0),
        grip=random_colour(rng, 0.08, 0.7),
        look=random_look(rng),
        grain=_grain(rng),
        wood_colour=wood_colour,
        counter=random_colour(rng, 0.2, 0.85),
        rocking=bool(rng.random() < 0.4),
        lift=2 * food.radius + rng.uniform(0.08, 0.16),
        slice_step=min(0.04, 0.8 * length / (n_cuts + 1)),
        piles=away,
        face=_bake_face(food, skin, flesh),
    )
    view = random_view(rng, stage.aspect, (0.95, 1.2))
    strength = rng.uniform(0.4, 0.8)
    events = []
    for k, time_s in enumerate(times):
        x, y = view @ [*(_FRONT + made.slice_step * (k + 1) * _AXIS), 1.0]
        force = float(np.clip(strength * rng.uniform(0.75, 1.25), 0.15, 1))
        events.append(Event(float(time_s), force, "strike", food.name, float(x), float(y)))
    return Performance(
        events=tuple(events),
        draw=_painter(made, strokes, view),
        hit=_striker(food, rng.uniform(130, 320), rng.uniform(0.08, 0.15)),
        traits={"food": food.name, "knife": f"knife-{knife}", "tempo": f"tempo-{tempo}"},
    )
