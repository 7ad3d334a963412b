"""Clock: a stepping hand, a pendulum or a metronome; the event is each step or passage of the middle."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.performance import Event, Performance, Stage, Wave
from foley.datasets.procedural.props import through
from foley.datasets.procedural.scenery import baked, pick, random_colour, shade
from foley.datasets.procedural.sound import add_at, decay, modes, noise, peak

Points = NDArray[np.float64]

_KINDS = ("wall-round", "alarm-bells", "longcase", "pyramid-metronome")
_KINDS_HELD_OUT = ("wall-octagon", "mantel-square", "drop-regulator", "arch-metronome")
_NUMERALS = {
    "arabic": tuple(str(k) for k in range(1, 13)),
    "quarters": tuple(str(k) if k % 3 == 0 else "" for k in range(1, 13)),
    "roman": ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"),
    "even": tuple(str(k) if k % 2 == 0 else "" for k in range(1, 13)),
}
_PERIODS_S = {"slow-a": (0.75, 1.0), "fast-a": (0.25, 0.36), "medium-b": (0.52, 0.7), "quick-b": (0.38, 0.5)}
_JUMP_S = 0.035
_MIDDLE_X = 2 / 3


@dataclass(frozen=True)
class _Dial:
    """Where the clock face is, and the hand that steps on it."""

    centre: tuple[float, float]
    radius: float
    step_rad: float
    start_rad: float
    hour_rad: float
    minute_rad: float
    hand: str


@dataclass(frozen=True)
class _Set:
    kind: str
    numerals: str
    dial: _Dial
    housing: Colour
    trim: Colour
    face: Colour
    ink: Colour
    hand: Colour
    swing_rad: float
    weight_at: float
    lamp: Colour | None


def _plan(rng: np.random.Generator, duration_s: float, period_s: tuple[float, float]) -> Points:
    """Steps of an almost even period; some clocks start late, stop early or stand still for a while."""
    period = rng.uniform(*period_s)
    uneven, limp = rng.uniform(0.004, 0.03), rng.uniform(0.0, 0.05)
    first, last = 0.12 + period * rng.random(), duration_s - 0.1
    fate = rng.random()
    if fate < 0.15:
        first = duration_s * rng.uniform(0.15, 0.4)
    elif fate < 0.4:
        last = duration_s * rng.uniform(0.6, 0.85)
    halt_s = duration_s * rng.uniform(0.2, 0.5) if fate > 0.7 else duration_s
    t, times = first, []
    while t < last:
        times.append(t)
        # Tick and tock are seldom exactly as long as each other.
        gap = period * (1 + uneven * np.clip(rng.standard_normal(), -2, 2) + limp * (-1) ** len(times))
        if t >= halt_s:
            gap, halt_s = gap + rng.uniform(0.5, min(2.0, 0.3 * duration_s)), duration_s
        t += max(gap, 0.2)
    return np.array(times)


def _hand_turn(times: Points, step_rad: float, t_s: float) -> float:
    """Angle that the stepping hand has turned: at each time it arrives, shoots over and settles."""
    passed = int(np.searchsorted(times, t_s, side="right"))
    turn = float(passed)
    if passed < times.size:
        turn += max(0.0, 1 - (times[passed] - t_s) / _JUMP_S) ** 2
    if passed:
        since = t_s - times[passed - 1]
        turn += 0.4 * np.sin(2 * np.pi * since / 0.07) * np.exp(-since / 0.025)
    return turn * step_rad


def _swing(times: Points, t_s: float) -> float:
    """Deflection in [-1, 1] of a pendulum: 0 at each time and fast there, held at one side in a halt."""
    gaps = np.diff(times)
    usual = float(np.median(gaps)) if gaps.size else 0.6
    passed = int(np.searchsorted(times, t_s, side="right"))
    side = 1.0 if passed % 2 else -1.0
    gap = gaps[passed - 1] if 0 < passed < times.size else usual
    quarter = 0.5 * min(float(gap), 1.1 * usual)
    out = min((t_s - times[passed - 1]) / quarter, 1.0) if passed else 1.0
    if passed == times.size:
        # It has stopped: the last swing sinks back to the middle without another passage.
        x = (t_s - times[-1]) / quarter
        return side * float(x * np.exp(1 - x)) if x > 1 else side * (1 - (1 - out) ** 3)
    back = min((times[passed] - t_s) / quarter, 1.0)
    return float(side * (1 - (1 - out) ** 3) * (1 - (1 - back) ** 3))


def _round(centre: tuple[float, float], radius: float, n: int = 64, turn_rad: float = 0.0) -> Points:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False) + turn_rad
    return np.array(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _box(x0: float, y0: float, x1: float, y1: float) -> Points:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _ray(dial: _Dial, turn_rad: float, near: float, far: float) -> Points:
    """Line from `near` to `far` (in radii) at the clockwise angle `turn_rad` from twelve."""
    way = np.array([np.sin(turn_rad), -np.cos(turn_rad)])
    ends: Points = np.array(dial.centre) + dial.radius * np.array([[near], [far]]) * way
    return ends


def _draw_dial(canvas: Canvas, made: _Set) -> None:
    """Paint the face: ring, scale, numerals and the two slow hands."""
    dial, r, c = made.dial, made.dial.radius, made.dial.centre
    canvas.polygon(_round(c, 1.03 * r), shade(made.trim, 0.4))
    canvas.polygon(_round(c, r), shade(made.face, 0.8))
    canvas.polygon(_round((c[0] + 0.02 * r, c[1] + 0.03 * r), 0.95 * r), made.face)
    for k in range(60):
        long = k % 5 == 0
        width = 0.03 * r if long else 0.012 * r
        canvas.line(_ray(dial, k * np.pi / 30, 0.86 if long else 0.9, 0.95), made.ink, width)
    for k, words in enumerate(_NUMERALS[made.numerals], start=1):
        spot = _ray(dial, k * np.pi / 6, 0.0, 0.7 if words else 0.82)[1]
        if words:
            canvas.text(spot, words, (0.14 if made.numerals == "roman" else 0.19) * r, made.ink, 0.03 * r)
        else:
            canvas.circle(spot, 0.035 * r, made.ink)
    for turn, far, width in ((dial.hour_rad, 0.48, 0.075), (dial.minute_rad, 0.74, 0.05)):
        a, b = _ray(dial, turn, -0.12, far)
        canvas.line([a + 0.025 * r, b + 0.025 * r], shade(made.face, 0.55), width * r)
        canvas.line([a, b], made.ink, width * r)
    canvas.circle(c, 0.07 * r, made.ink)


def _draw_stepper(canvas: Canvas, made: _Set, turned_rad: float) -> None:
    dial, r = made.dial, made.dial.radius
    turn = dial.start_rad + turned_rad
    a, b = _ray(dial, turn, -0.28, 0.88)
    down = np.array([0.03, 0.04]) * r
    canvas.line([a + down, b + down], shade(made.face, 0.5), 0.035 * r)
    canvas.line([a, b], made.hand, 0.042 * r)
    canvas.line([a, a + 0.14 * (b - a)], made.hand, 0.09 * r)
    tip = a + 0.84 * (b - a)
    if dial.hand == "disc":
        canvas.circle(list(tip), 0.085 * r, made.hand)
    elif dial.hand == "arrow":
        way = (b - a) / np.hypot(*(b - a)) * r
        side = np.array([way[1], -way[0]])
        canvas.polygon([b, tip - 0.08 * way + 0.09 * side, tip - 0.08 * way - 0.09 * side], made.hand)
    canvas.circle(dial.centre, 0.06 * r, made.hand)
    canvas.circle([dial.centre[0] - 0.012 * r, dial.centre[1] - 0.012 * r], 0.025 * r, shade(made.hand, 1.5))


def _bands(canvas: Canvas, outline: Points, colour: Colour, steps: tuple[tuple[float, float], ...]) -> None:
    """Paint an outline several times, ever smaller about its middle, in other tones: a moulding."""
    middle = outline.mean(axis=0)
    for size, light in steps:
        canvas.polygon(middle + (outline - middle) * size, shade(colour, light))


_MOULDING = ((1.0, 0.45), (0.985, 1.25), (0.955, 0.95), (0.91, 0.6), (0.89, 0.8))


def _draw_wall(canvas: Canvas, made: _Set) -> None:
    c, r = made.dial.centre, made.dial.radius
    if made.kind == "alarm-bells":
        for side in (-1.0, 1.0):
            foot = np.array([[0.5 * side, 0.7], [0.66 * side, 0.62], [0.86 * side, 1.28], [0.78 * side, 1.3]])
            canvas.polygon(foot * r + c, shade(made.trim, 0.6))
            bell = np.array([0.62 * side, -1.1]) * r + c
            arc = np.linspace(np.pi, 2 * np.pi, 20)
            dome = np.stack([0.42 * np.cos(arc), 0.36 * np.sin(arc)], axis=1) * r
            a = 0.5 * side
            turned = dome @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + bell
            _bands(canvas, turned, made.trim, ((1.0, 0.5), (0.9, 1.0), (0.5, 1.5)))
        canvas.line([[c[0], c[1] - r], [c[0], c[1] - 1.38 * r]], shade(made.trim, 0.4), 0.05 * r)
        canvas.circle([c[0], c[1] - 1.38 * r], 0.09 * r, shade(made.trim, 0.8))
    n, turn = {"wall-octagon": (8, np.pi / 8), "mantel-square": (4, np.pi / 4)}.get(made.kind, (64, 0.0))
    wide = {"wall-octagon": 1.27, "mantel-square": 1.62}.get(made.kind, 1.16)
    outline = _round(c, wide * r, n, turn)
    if made.kind == "mantel-square":
        low = c[1] + 1.1 * r
        canvas.polygon(_box(c[0] - 1.35 * r, low, c[0] + 1.35 * r, low + 0.16 * r), shade(made.housing, 0.6))
        canvas.line([[c[0] - 1.35 * r, low], [c[0] + 1.35 * r, low]], shade(made.housing, 1.4), 0.02 * r)
    else:
        canvas.polygon(outline + 0.06 * r, (12, 12, 12), 0.4)
    _bands(canvas, outline, made.housing, _MOULDING)
    _draw_dial(canvas, made)


def _draw_case(canvas: Canvas, made: _Set) -> None:
    """Paint a pendulum clock: long case with hood, or an eight-sided head over a short box."""
    c, r, m = made.dial.centre, made.dial.radius, _MIDDLE_X
    body = made.housing
    if made.kind == "longcase":
        canvas.polygon(_box(m - 0.27, 0.36, m + 0.27, 1.06), shade(body, 0.55))
        canvas.polygon(_box(m - 0.25, 0.36, m + 0.25, 1.06), shade(body, 0.85))
        hood = [[-0.36, 0.44], [-0.33, 0.06], [-0.22, 0.02], [-0.08, -0.06], [0, -0.08], [0.08, -0.06]]
        hood += [[0.22, 0.02], [0.33, 0.06], [0.36, 0.44]]
        _bands(canvas, np.add(hood, (m, 0)), body, ((1.0, 0.5), (0.96, 1.1), (0.9, 0.8)))
        for side in (-1, 1):
            canvas.line([[m + 0.29 * side, 0.08], [m + 0.29 * side, 0.42]], shade(body, 1.35), 0.025)
        canvas.polygon(_box(m - 0.37, 0.42, m + 0.37, 0.46), shade(body, 1.2))
        glass = _box(m - 0.2, 0.5, m + 0.2, 1.0)
    else:
        box = [[-0.26, 0.4], [0.26, 0.4], [0.26, 0.94], [0.14, 1.02], [-0.14, 1.02], [-0.26, 0.94]]
        _bands(canvas, np.add(box, (m, 0)), body, ((1.0, 0.5), (0.96, 1.15), (0.91, 0.75)))
        _bands(canvas, _round(c, 1.3 * r, 8, np.pi / 8), body, _MOULDING)
        glass = _box(m - 0.2, 0.6, m + 0.2, 0.93)
    canvas.polygon(glass - [0.0, 0.008], shade(made.trim, 1.2))
    _bands(canvas, glass, body, ((1.0, 0.2), (0.95, 0.33)))
    for x in (-0.13, -0.06, 0.03, 0.1):
        canvas.line(
            [[m + x, glass[0, 1] + 0.02], [m + x + 0.01, glass[2, 1] - 0.02]], shade(body, 0.42), 0.008
        )
    _draw_dial(canvas, made)


def _draw_pendulum(canvas: Canvas, made: _Set, swing: float) -> None:
    turn = made.swing_rad * swing
    long = made.kind == "longcase"
    pivot, bob_at, top = np.array([_MIDDLE_X, 0.3]), (0.55 if long else 0.48), (0.21 if long else 0.31)
    way = np.array([np.sin(turn), np.cos(turn)])
    bob = pivot + bob_at * way
    canvas.line([pivot + top * way, pivot + (bob_at + 0.11) * way], shade(made.trim, 0.8), 0.014)
    size = 0.085
    canvas.circle(list(np.add(bob, (0.014, 0.018))), size, (6, 6, 6), 0.5)
    if long:
        rings = ((1.0, 0.5), (0.92, 1.0), (0.62, 0.8), (0.55, 1.15))
        _bands(canvas, _round((float(bob[0]), float(bob[1])), size, 32), made.trim, rings)
    else:
        lens = bob + np.array([[0, -1.25], [0.85, 0], [0, 1.25], [-0.85, 0]]) * size
        _bands(canvas, lens, made.trim, ((1.0, 0.5), (0.9, 1.0), (0.5, 1.3)))
    canvas.circle(list(bob - [0.3 * size, 0.32 * size]), 0.2 * size, shade(made.trim, 1.7))


def _draw_metronome(canvas: Canvas, made: _Set) -> None:
    m, body = _MIDDLE_X, made.housing
    if made.kind == "pyramid-metronome":
        side = np.array([[-0.13, 0.03], [0.13, 0.03], [0.37, 0.97], [-0.37, 0.97]])
    else:
        arc = np.linspace(np.pi, 2 * np.pi, 14)
        arch = np.stack([0.22 * np.cos(arc), 0.2 + 0.17 * np.sin(arc)], axis=1)
        side = np.concatenate([arch, [[0.33, 0.97], [-0.33, 0.97]]])
    canvas.polygon(np.add(side, (m + 0.05, 0.0)), shade(body, 0.35))
    _bands(canvas, np.add(side, (m, 0)), body, ((1.0, 0.55), (0.97, 1.1), (0.93, 0.9)))
    slot = side * [0.7, 0.74] + [m, 0.06]
    _bands(canvas, slot, body, ((1.0, 0.3), (0.96, 0.5)))
    canvas.polygon(_box(m - 0.06, 0.1, m + 0.06, 0.76), made.face)
    for k, y in enumerate(np.linspace(0.14, 0.72, 17)):
        half = 0.05 if k % 4 == 0 else 0.03
        if k % 4 == 2:
            canvas.text([m, y], str(40 + 10 * k), 0.03, made.ink, 0.005)
        else:
            canvas.line([[m - half, y], [m + half, y]], made.ink, 0.006)
    canvas.polygon(_box(m - 0.36, 0.8, m + 0.36, 0.95), shade(body, 0.75))
    canvas.line([[m - 0.34, 0.8], [m + 0.34, 0.8]], shade(body, 1.4), 0.012)
    canvas.circle([m, 0.875], 0.045, shade(made.trim, 0.5))
    canvas.circle([m - 0.005, 0.87], 0.035, made.trim)
    for x in (-0.28, 0.28):
        canvas.polygon(_box(m + x - 0.06, 0.95, m + x + 0.06, 1.0), shade(body, 0.4))


def _draw_rod(canvas: Canvas, made: _Set, swing: float) -> None:
    turn = made.swing_rad * swing
    pivot, way = np.array([_MIDDLE_X, 0.82]), np.array([np.sin(turn), -np.cos(turn)])
    across = np.array([-way[1], way[0]])
    canvas.line(
        [np.add(pivot, (0.02, 0.0)), pivot + 0.78 * way + [0.02, 0.01]], shade(made.housing, 0.3), 0.014
    )
    canvas.line([pivot, pivot + 0.78 * way], shade(made.trim, 0.7), 0.022)
    canvas.line([pivot - 0.004, pivot + 0.78 * way - 0.004], shade(made.trim, 1.4), 0.008)
    middle = pivot + made.weight_at * way
    if made.kind == "pyramid-metronome":
        corners = np.array([[-0.075, 0.05], [0.075, 0.05], [0.05, -0.055], [-0.05, -0.055]])
    else:
        corners = _round((0.0, 0.0), 0.065, 24) * [1.0, 0.85]
    weight = middle + corners[:, :1] * across - corners[:, 1:] * way
    _bands(canvas, weight, made.trim, ((1.0, 0.4), (0.88, 1.0), (0.45, 1.35)))


def _painter(made: _Set, times: Points, view: NDArray[np.float64]) -> Callable[[Canvas, float], None]:
    box = (0.0, -0.12, 1.34, 1.1)
    swings = made.kind in ("longcase", "drop-regulator")
    beats = made.kind.endswith("metronome")
    still = _draw_metronome if beats else _draw_case if swings else _draw_wall
    # Baked at the first frame: who only wants the events does not pay for the picture.
    sheet = cache(lambda: baked(lambda canvas: still(canvas, made), box, 400))

    def draw(canvas: Canvas, t_s: float) -> None:
        seen = through(canvas, view)
        seen.veil(box, *sheet())
        if beats or swings:
            (_draw_rod if beats else _draw_pendulum)(seen, made, _swing(times, t_s))
        if not beats:
            _draw_stepper(seen, made, _hand_turn(times, made.dial.step_rad, t_s))
        if made.lamp is not None:
            since = t_s - times[times <= t_s]
            lit = float(np.exp(-since.min() / 0.06)) if since.size else 0.0
            spot = [_MIDDLE_X + 0.22, 0.875]
            seen.circle(spot, 0.032, shade(made.lamp, 0.25 + 0.75 * lit))
            if lit > 0.03:
                seen.glow(spot, 0.2, made.lamp, 0.8 * lit)

    return draw


def _striker(
    rng: np.random.Generator, kind: str, first_hz: float, body_hz: float
) -> Callable[[Event, np.random.Generator], Wave]:
    """Sound of an escapement: a short bright tick, the drop just after it, and some housing."""
    wooden = kind not in ("wall-round", "wall-octagon", "alarm-bells")
    ratios = np.array([1.0, 1.37, 1.83, 2.61])
    gains = np.array([1.0, 0.7, 0.5, 0.3]) * rng.uniform(0.6, 1.3, 4)
    fall_s, drop_s, tock = rng.uniform(0.025, 0.06), rng.uniform(0.006, 0.014), rng.uniform(0.74, 0.92)

    def hit(event: Event, rng: np.random.Generator) -> Wave:
        tone = first_hz * rng.uniform(0.99, 1.01) * (tock if event.kind == "tock" else 1.0)
        ring = modes(list(tone * ratios), list(fall_s / ratios**0.5), list(gains), 0.16, rng)
        body = modes([body_hz, 1.9 * body_hz], [0.09, 0.06], [0.6, 0.4], 0.16, rng)
        snap = noise(ring.size, rng, 3500, 12000) * decay(0.16, 0.006)
        one = peak(ring + (0.9 if wooden else 0.3) * body + 0.8 * snap, 1.0)
        out = np.zeros(round(0.2 * 48_000), np.float32)
        add_at(out, one, 0.0)
        add_at(out, np.float32(0.3) * one, drop_s)
        return peak(out, event.force)

    return hit


def _dial(rng: np.random.Generator, kind: str, hand: str) -> _Dial:
    """Face of the clock; hour and minute hands agree with each other."""
    centre, radius = {
        "longcase": ((_MIDDLE_X, 0.25), 0.2),
        "drop-regulator": ((_MIDDLE_X, 0.31), 0.235),
        "alarm-bells": ((_MIDDLE_X, 0.54), 0.33),
        "mantel-square": ((_MIDDLE_X, 0.48), 0.37),
        "wall-octagon": ((_MIDDLE_X, 0.5), 0.37),
    }.get(kind, ((_MIDDLE_X, 0.5), 0.4))
    hours = rng.uniform(0, 12)
    step = np.pi / 30 * float(rng.choice([1.0, 1.5, 2.0]))
    return _Dial(
        centre=centre,
        radius=radius,
        step_rad=step,
        start_rad=step * int(rng.integers(60)),
        hour_rad=hours * np.pi / 6,
        minute_rad=(hours % 1) * 2 * np.pi,
        hand=hand,
    )


def _view(rng: np.random.Generator, aspect: float) -> NDArray[np.float64]:
    """Where the clock is seen from, somewhat from the side but never mirrored."""
    size, tilt, narrow = rng.uniform(0.92, 1.1), rng.uniform(-0.06, 0.06), rng.uniform(0.84, 1.0)
    c, s = size * np.cos(tilt), size * np.sin(tilt)
    linear = np.array([[c, -s], [s, c]]) @ np.array([[narrow, 0.0], [rng.uniform(-0.06, 0.06), 1.0]])
    middle = np.array([aspect / 2 + rng.uniform(-0.15, 0.15), 0.5 + rng.uniform(-0.03, 0.03)])
    return np.column_stack([linear, middle - linear @ np.array([_MIDDLE_X, 0.5])])


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a clip of a ticking clock or metronome.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    stage : Stage
        Length, shape and side (training or held out) of the recording.

    Returns
    -------
    Performance
        Events of kind ``tick`` and ``tock``: the second hand arrives at its next mark, or the
        pendulum passes its middle. A clock that stands still makes no event.
    """
    out = stage.held_out
    kind = pick(rng, _KINDS, _KINDS_HELD_OUT, out)
    numerals = pick(rng, ("arabic", "quarters"), ("roman", "even"), out)
    hand = pick(rng, ("baton", "disc"), ("arrow", "needle"), out)
    tempo = pick(rng, ("slow-a", "fast-a"), ("medium-b", "quick-b"), out)
    times = _plan(rng, stage.duration_s, _PERIODS_S[tempo])
    face = random_colour(rng, 0.15, 0.98)
    bright = sum(face) > 330
    beats = kind.endswith("metronome")
    made = _Set(
        kind=kind,
        numerals=numerals,
        dial=_dial(rng, kind, hand),
        housing=random_colour(rng, 0.15, 0.95),
        trim=random_colour(rng, 0.45, 0.95),
        face=face,
        ink=shade(face, 0.15) if bright else shade(face, 1.85),
        hand=random_colour(rng, 0.1, 0.45, 1.0) if bright else random_colour(rng, 0.75, 1.0, 1.0),
        swing_rad=float(rng.uniform(0.36, 0.5) if beats else rng.uniform(0.15, 0.2)),
        weight_at=float(rng.uniform(0.35, 0.6)),
        lamp=random_colour(rng, 0.8, 1.0) if beats and rng.random() < 0.5 else None,
    )
    view = _view(rng, stage.aspect)
    strength = rng.uniform(0.4, 0.9)
    events = []
    for k, time_s in enumerate(times):
        tip = _ray(made.dial, made.dial.start_rad + (k + 1) * made.dial.step_rad, 0.0, 0.88)[1]
        if beats:
            tip = np.array([_MIDDLE_X, 0.82 - made.weight_at])
        x, y = view @ [*tip, 1.0]
        force = float(np.clip(strength * rng.uniform(0.92, 1.08), 0.15, 1))
        events.append(Event(float(time_s), force, "tock" if k % 2 else "tick", kind, float(x), float(y)))
    first_hz = rng.uniform(1300, 2400) if beats else rng.uniform(2300, 4600)
    return Performance(
        events=tuple(events),
        draw=_painter(made, times, view),
        hit=_striker(rng, kind, first_hz, rng.uniform(260, 620)),
        traits={
            "clock": kind,
            "numerals": f"numerals-{numerals}",
            "hand": f"hand-{hand}",
            "tempo": f"tempo-{tempo}",
        },
    )
