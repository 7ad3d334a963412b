"""Typing: fingers press the keys of a keyboard; the event is the key that reaches its bottom."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.performance import Event, Performance, Stage, Wave
from foley.datasets.procedural.props import Look, arm, limbs, random_look, through
from foley.datasets.procedural.scenery import baked, pick, random_colour, shade
from foley.datasets.procedural.sound import add_at, decay, modes, noise, peak

Points = NDArray[np.float64]


@dataclass(frozen=True)
class _Cap:
    """Shape of a key cap, in key pitches: half sizes, corner exponent, inset and height of its top."""

    name: str
    half: tuple[float, float]
    corner: float
    inset: float
    height: float
    clack_hz: float
    thock: float


_CAPS = (
    _Cap("sculpted-caps", (0.46, 0.36), 7.0, 0.78, 0.26, 1500, 0.6),
    _Cap("round-caps", (0.45, 0.35), 2.0, 0.84, 0.28, 2600, 0.25),
)
_CAPS_HELD_OUT = (
    _Cap("bevelled-caps", (0.45, 0.36), 4.0, 0.84, 0.26, 1900, 0.45),
    _Cap("slab-caps", (0.46, 0.38), 12.0, 0.92, 0.22, 2200, 0.35),
)
_LEGENDS = {
    "qwerty": ("TQWERTYUIOPLK", "TGASDFGHJKLPO", "XCZXCVBNM,.KL"),
    "qwertz": ("TQWERTZUIOPUK", "TGASDFGHJKLOA", "XCYXCVBNM,.KL"),
    "azerty": ("TAZERTYUIOPLK", "TGQSDFGHJKLMO", "XCWXCVBN,;:KL"),
    "dvorak": ("QJ',.PYFGCRLS", "TGAOEUIDHTNSO", "XC;QJKXBMWVZL"),
}
_TEMPOS = {"steady-a": (0.2, 0.28), "fast-a": (0.11, 0.14), "slow-b": (0.29, 0.38), "medium-b": (0.14, 0.19)}
_STAGGER = (-0.3, 0.0, 0.4)
_SPACE_ROW = 3
_DESK_Y = 0.02
_PRESS_S = 0.08
_SINK_S = 0.03
_RISE_S = 0.07
_ANGLES = np.linspace(0, 2 * np.pi, 24, endpoint=False)
_HOMES = np.array([-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0, -0.6, 0.6])
"""Home column of eight fingers from left to right, then of both thumbs."""
_KNUCKLE_ROW = np.array([3.35, 3.12, 3.05, 3.15, 3.15, 3.05, 3.12, 3.35, 4.35, 4.35])
_REACH = np.array([0.29, 0.36, 0.38, 0.34, 0.34, 0.38, 0.36, 0.29, 0.22, 0.22])
_THICK = np.array([0.85, 0.96, 1.0, 0.98, 0.98, 1.0, 0.96, 0.85, 1.15, 1.15])


@dataclass(frozen=True)
class _Press:
    """One finger that goes down: when it is lowest, where, and how deep (1 bottoms the key)."""

    time_s: float
    finger: int
    column: float
    row: int
    depth: float
    force: float


@dataclass(frozen=True)
class _Set:
    cap: _Cap
    legends: tuple[str, str, str]
    caps: Colour
    accent: Colour
    ink: Colour
    case: Colour
    desk: Colour
    look: Look
    accents: NDArray[np.bool_]
    nails: Colour
    hold_s: float
    hover: float
    thickness: float


def _grid(u: Points | float, v: Points | float) -> Points:
    """Frame position of column `u` (0 in the middle) and row `v` (0 at the back, 4 at the front)."""
    u, v = np.asarray(u, np.float64), np.asarray(v, np.float64)
    x = 2 / 3 + u * 0.125 * (0.9 + 0.06 * v)
    y = 0.12 + 0.155 * v + 0.0075 * v * v
    return np.stack(np.broadcast_arrays(x, y), axis=-1)


def _target(rng: np.random.Generator, finger: int) -> tuple[float, int]:
    """Column and row of a key that the finger can reach."""
    home = float(_HOMES[finger])
    if finger >= 8:
        return home, _SPACE_ROW
    row = int(rng.choice(3, p=[0.35, 0.4, 0.25]))
    inward = abs(home) == 1.0 and rng.random() < 0.25
    return (0.0 if inward else home) + _STAGGER[row], row


def _plan(rng: np.random.Generator, duration_s: float, gap_s: tuple[float, float]) -> list[_Press]:
    """Bursts of presses; in the pauses between them fingers dip without touching a key."""
    t, idle_left = float(rng.uniform(0.25, 0.9)), duration_s / 2
    base, strength = rng.uniform(*gap_s), rng.uniform(0.4, 0.85)
    left, free_s, presses = int(rng.integers(3, 10)), np.zeros(10), []

    def press(time_s: float, depth: float) -> None:
        ready = np.flatnonzero(free_s <= time_s)
        weight = np.where(ready >= 8, 0.5, 1.0)
        finger = int(rng.choice(ready, p=weight / weight.sum()))
        force = float(np.clip(strength * rng.uniform(0.7, 1.25), 0.15, 1)) if depth == 1 else 0.0
        presses.append(_Press(time_s, finger, *_target(rng, finger), depth, force))
        free_s[finger] = time_s + 0.44

    while t < duration_s - 0.15:
        press(t, 1.0)
        gap, left = max(base * rng.uniform(0.75, 1.35), 0.085), left - 1
        if left <= 0 and idle_left > 0.7:
            pause = float(rng.uniform(0.6, min(1.9, idle_left)))
            idle_left, left = idle_left - pause, int(rng.integers(3, 10))
            for feint in np.arange(t + 0.35, t + gap + pause - 0.35, 0.3):
                if rng.random() < 0.5:
                    press(float(feint), float(rng.uniform(0.3, 0.5)))
            gap += pause
        t += gap
    return presses


def _cap_outlines(cap: _Cap, u: float, row: int, wide: float, sunk: float) -> tuple[Points, Points]:
    """Foot and top of a cap, each of shape (24, 2), in the frame; `sunk` in [0, 1]."""
    c, s = np.cos(_ANGLES), np.sin(_ANGLES)
    du = np.sign(c) * np.abs(c) ** (2 / cap.corner)
    dv = np.sign(s) * np.abs(s) ** (2 / cap.corner)
    half_u = cap.half[0] + wide
    lift = cap.height * (1 - 0.88 * sunk)
    foot = _grid(u + half_u * du, row + 0.6 + cap.half[1] * dv)
    top = _grid(u + (half_u - (1 - cap.inset) * 0.5) * du, row + 0.6 + cap.inset * cap.half[1] * dv - lift)
    return foot, top


def _draw_cap(canvas: Canvas, made: _Set, u: float, row: int, legend: str, sunk: float, accent: bool) -> None:
    wide = 2.4 if row == _SPACE_ROW and legend == " " else 0.0
    foot, top = _cap_outlines(made.cap, u, row, wide, sunk)
    if sunk > 0:
        up_foot, up_top = _cap_outlines(made.cap, u, row, wide, 0.0)
        canvas.polygon(_hull(np.concatenate([up_foot, up_top])), shade(made.case, 0.3))
    colour = made.accent if accent else made.caps
    light = 1.0 - 0.3 * sunk
    middle = top.mean(axis=0)
    canvas.polygon(foot, shade(colour, 0.32 * light))
    canvas.polygon(_hull(np.concatenate([foot, top])), shade(colour, 0.55 * light))
    canvas.polygon(top, shade(colour, 0.85 * light))
    canvas.polygon(middle + (top - middle) * [0.84, 0.8] - [0, 0.004], shade(colour, 1.0 * light))
    canvas.polygon(middle + (top - middle) * [0.6, 0.3] - [0, 0.022], shade(colour, 1.12 * light))
    if legend != " ":
        canvas.text(middle - [0.012, 0.004], legend, 0.045, shade(made.ink, light), 0.009)


def _hull(points: Points) -> Points:
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], np.float64)


def _keys(made: _Set) -> dict[tuple[float, int], tuple[str, bool]]:
    """Legend of, and whether in the accent colour, every key by column and row."""
    keys = {}
    for row, letters in enumerate(made.legends):
        for k, letter in enumerate(letters):
            keys[(k - 6 + _STAGGER[row], row)] = (letter, bool(made.accents[row, k]))
    keys[(0.0, _SPACE_ROW)] = (" ", bool(made.accents[0, 0]))
    for u in (-7.0, -5.6, -4.0, 4.0, 5.6, 7.0):
        keys[(u, _SPACE_ROW)] = ("", bool(made.accents[1, 0]))
    return keys


def _draw_board(canvas: Canvas, made: _Set) -> None:
    canvas.polygon([[-2.0, -1.0], [4.0, -1.0], [4.0, 3.0], [-2.0, 3.0]], made.desk)
    outer = _grid(np.array([-6.9, 6.9, 6.9, -6.9]), np.array([-0.35, -0.35, 4.3, 4.3]))
    canvas.polygon(outer + np.array([0.03, 0.05]), shade(made.desk, 0.5))
    canvas.polygon(outer, made.case)
    well = _grid(np.array([-6.6, 6.6, 6.6, -6.6]), np.array([-0.1, -0.1, 4.1, 4.1]))
    canvas.polygon(well, shade(made.case, 0.45))
    canvas.line(outer[:2], shade(made.case, 1.5), 0.012)
    canvas.polygon(np.concatenate([outer[[3, 2]], outer[[2, 3]] + [0, 0.05]]), shade(made.case, 0.6))
    for (u, row), (legend, accent) in _keys(made).items():
        _draw_cap(canvas, made, u, row, legend, 0.0, accent)


def _smooth(u: float) -> float:
    u = min(max(u, 0.0), 1.0)
    return u * u * (3 - 2 * u)


def _tip(presses: list[_Press], finger: int, t_s: float, hold_s: float) -> tuple[float, float, float]:
    """Column and row of a fingertip, and its height: 1 hovers, 0 has the key at its bottom."""
    home = (float(_HOMES[finger]), 3 if finger >= 8 else 1)
    column, row, height = home[0], float(home[1]), 1.0
    for k, press in enumerate(presses):
        start = press.time_s - 0.26
        if t_s < start:
            break
        u = _smooth((t_s - start) / (0.26 - _PRESS_S))
        column, row = column + (press.column - column) * u, row + (press.row - row) * u
        since = t_s - press.time_s
        if since < 0:
            # Raised a little before the stroke, then ever faster down.
            go = max(0.0, 1 + since / _PRESS_S)
            height = 1 + 0.3 * u * (1 - go) - press.depth * go * go
        else:
            height = 1 - press.depth * (1 - _smooth((since - 0.6 * hold_s) / 0.1))
        if since > 0.3 and (k + 1 == len(presses) or presses[k + 1].time_s - press.time_s > 1.2):
            back = _smooth((since - 0.3) / 0.4)
            column, row = column + (home[0] - column) * back, row + (home[1] - row) * back
    return column, row, height


def _sunk(since_s: float, hold_s: float) -> float:
    if since_s < 0:
        return max(0.0, 1 + since_s / _SINK_S)
    return 1 - _smooth((since_s - 0.6 * hold_s) / _RISE_S)


def _draw_hands(canvas: Canvas, made: _Set, tips: Points, t_s: float) -> None:
    """Paint both hands; `tips` has a row of column, row and height for each finger."""
    size, cap = made.thickness, made.cap
    homes = np.where(np.arange(10) < 8, 1, 3)
    below = _grid(tips[:, 0], tips[:, 1] + 0.66 - cap.height)
    sink = np.clip(1 - tips[:, 2] / 0.3, 0, 1) * 0.16 * cap.height
    at = below + np.stack([np.zeros(10), sink - made.hover * np.maximum(tips[:, 2], 0)], axis=1)
    gap = 0.35 * made.hover * np.maximum(tips[:, 2], 0)
    for spot, height in zip(below + 0.012 + gap[:, None] * [1.0, 0.0], tips[:, 2], strict=True):
        canvas.ellipse(list(spot), (0.034, 0.02), 0, (8, 8, 8), 0.6 - 0.3 * min(float(height), 1.0))
    drift = 0.004 * np.array([np.sin(2.1 * t_s), np.sin(1.7 * t_s + 1)])
    for side in (0, 1):
        mine = np.array([8 + side, *(range(4) if side == 0 else range(7, 3, -1))])
        pull = tips[mine, :2] - np.stack([_HOMES[mine], homes[mine]], axis=1)
        shift = pull[1:].mean(axis=0)
        dip = 0.02 * float(np.clip(1 - tips[mine, 2], 0, 1).max())
        spread = np.where(mine < 8, 0.86 * _HOMES[mine] + 0.35 * (2 * side - 1), 1.9 * (2 * side - 1))
        knuckles = _grid(spread + 0.4 * shift[0], _KNUCKLE_ROW[mine] + 0.5 * shift[1]) + drift + [0, dip]
        wrist = _grid(2.9 * (2 * side - 1), 5.3) + drift + [0.3 * dip, dip]
        arm(canvas, wrist, wrist + np.array([0.1 * (2 * side - 1), 0.6]), 0.085 * size, made.look)
        sides = np.array([[-0.085, 0.02], [0.085, 0.02]]) * size + wrist
        bumps = np.array([[-0.04, -0.02], [0.04, -0.02], [0, -0.035]]) * size
        swell = (knuckles[:, None] + bumps).reshape(-1, 2)
        palm = _hull(np.concatenate([swell, sides]))
        middle = palm.mean(axis=0)
        canvas.polygon(palm, shade(made.look.hand, 0.5))
        canvas.polygon(middle + (palm - middle) * 0.94, shade(made.look.hand, 0.9))
        canvas.polygon(middle + (palm - middle) * 0.62 - [0.03, 0.02], shade(made.look.hand, 1.06))
        _draw_fingers(canvas, made, knuckles, at[mine], mine)


def _draw_fingers(
    canvas: Canvas, made: _Set, knuckles: Points, ends: Points, fingers: NDArray[np.intp]
) -> None:
    way = ends - knuckles
    slack = np.maximum(_REACH[fingers] - np.hypot(way[:, 0], way[:, 1]), 0.0)
    joints = knuckles + 0.55 * way - np.stack([np.zeros(5), 0.02 + 0.4 * slack], axis=1)
    last = joints + 0.55 * (ends - joints)
    parts = np.stack([knuckles, joints, joints, last, last, ends], axis=1).reshape(-1, 2, 2)
    radii = np.array([[0.04, 0.036], [0.036, 0.032], [0.032, 0.026]]) * made.thickness
    thick = (_THICK[fingers][:, None, None] * radii).reshape(-1, 2)
    limbs(canvas, parts, thick, [made.look.hand] * len(parts))
    # A nail in its bed near each tip, and the fold of skin over the last joint.
    along = (ends - last) / np.hypot(*(ends - last).T)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    c, s = np.cos(_ANGLES[::2])[:, None], np.sin(_ANGLES[::2])[:, None]
    marks, tones = [], []
    for middle, long, wide, tone in (
        (last, 0.009, 0.02, shade(made.look.hand, 0.78)),
        (ends - 0.004 * along, 0.02, 0.016, shade(made.look.hand, 0.6)),
        (ends - 0.004 * along, 0.017, 0.0125, made.nails),
    ):
        marks.append(middle[:, None] + c * long * along[:, None] + s * wide * across[:, None])
        tones += [tone] * len(ends)
    canvas.patches(np.concatenate(marks), tones)


def _painter(made: _Set, presses: list[_Press], view: NDArray[np.float64]) -> Callable[[Canvas, float], None]:
    box = (-0.5, _DESK_Y, 1.84, 1.2)
    # Baked at the first frame: who only wants the events does not pay for the picture.
    board = cache(lambda: baked(lambda canvas: _draw_board(canvas, made), box, 400)[0])
    corners = [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]]
    keys = _keys(made)
    by_finger = [[p for p in presses if p.finger == finger] for finger in range(10)]

    def draw(canvas: Canvas, t_s: float) -> None:
        seen = through(canvas, view)
        seen.polygon([[-2.0, _DESK_Y], [4.0, _DESK_Y], [4.0, 3.0], [-2.0, 3.0]], made.desk)
        # The board hides all below it: adding its light to black takes half as long as blending.
        seen.polygon(corners, (0, 0, 0))
        seen.veil(box, board())
        for press in presses:
            sunk = _sunk(t_s - press.time_s, made.hold_s) if press.depth == 1 else 0.0
            if t_s - press.time_s > -_SINK_S and sunk > 0:
                u = 0.0 if press.row == _SPACE_ROW else press.column
                key = min(keys, key=lambda k: abs(k[0] - u) + 9 * abs(k[1] - press.row))
                _draw_cap(seen, made, *key, keys[key][0], sunk, keys[key][1])
        tips = np.array([_tip(mine, finger, t_s, made.hold_s) for finger, mine in enumerate(by_finger)])
        _draw_hands(seen, made, tips, t_s)

    return draw


def _striker(
    cap: _Cap, pitch: float, damping: float, hold_s: float
) -> Callable[[Event, np.random.Generator], Wave]:
    ratios = np.array([1.0, 1.46, 2.1, 3.3])

    def click(rng: np.random.Generator, tone_hz: float, low: float) -> Wave:
        ring = modes(list(tone_hz * ratios), list(damping / ratios**0.5), [1, 0.6, 0.5, 0.3], 0.07, rng)
        thud = modes([low * 180, low * 310], [0.05, 0.035], [1.0, 0.7], 0.07, rng) * cap.thock
        snap = noise(ring.size, rng, 2000, 9000) * decay(0.07, 0.009)
        return peak(0.7 * ring + thud + 1.1 * snap, 1.0)

    def hit(event: Event, rng: np.random.Generator) -> Wave:
        # The long space bar sounds lower than a letter.
        large = 0.62 if event.material == "space-bar" else 1.0
        tone = cap.clack_hz * pitch * large * rng.uniform(0.92, 1.08)
        out = np.zeros(round(0.26 * 48_000), np.float32)
        add_at(out, click(rng, tone, pitch * large), 0.0)
        release = noise(2400, rng, 2500, 10_000) * decay(0.05, 0.02, attack_s=0.008)
        release += modes([1.3 * tone, 2.1 * tone], [0.02, 0.015], [0.8, 0.5], 0.05, rng)
        add_at(out, peak(release, 0.05), hold_s)
        return peak(out, event.force)

    return hit


def _flat_view(rng: np.random.Generator, aspect: float) -> NDArray[np.float64]:
    """Where the keyboard is seen from: scale, tilt and shift, never mirrored (legends stay legible)."""
    size, tilt = rng.uniform(1.0, 1.2), rng.uniform(-0.08, 0.08)
    c, s = size * np.cos(tilt), size * np.sin(tilt)
    linear = np.array([[c, -s], [s, c]])
    middle = np.array([aspect / 2 + rng.uniform(-0.06, 0.06), 0.47 + rng.uniform(-0.04, 0.02)])
    return np.column_stack([linear, middle - linear @ np.array([2 / 3, 0.5])])


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a clip of two hands at a keyboard.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    stage : Stage
        Length, shape and side (training or held out) of the recording.

    Returns
    -------
    Performance
        Events of kind ``key``: a key reaches its bottom. Fingers that dip and touch no key make
        motion but no event.
    """
    out = stage.held_out
    cap = pick(rng, _CAPS, _CAPS_HELD_OUT, out)
    layout = pick(rng, ("qwerty", "qwertz"), ("azerty", "dvorak"), out)
    tempo = pick(rng, ("steady-a", "fast-a"), ("slow-b", "medium-b"), out)
    presses = _plan(rng, stage.duration_s, _TEMPOS[tempo])
    caps, look = random_colour(rng, 0.15, 0.95), random_look(rng)
    made = _Set(
        cap=cap,
        legends=_LEGENDS[layout],
        caps=caps,
        accent=random_colour(rng, 0.2, 0.9),
        ink=shade(caps, 1.85) if sum(caps) < 360 else shade(caps, 0.2),
        case=random_colour(rng, 0.15, 0.9),
        desk=random_colour(rng, 0.15, 0.9),
        look=look,
        accents=rng.random((3, 13)) < rng.choice([0.0, 0.0, 0.12, 0.25]),
        nails=random_colour(rng, 0.3, 0.95) if rng.random() < 0.3 else shade(look.hand, 1.4),
        hold_s=float(rng.uniform(0.07, 0.1)),
        hover=float(rng.uniform(0.07, 0.1)),
        thickness=float(rng.uniform(0.85, 1.1)),
    )
    view = _flat_view(rng, stage.aspect)
    events = []
    for press in presses:
        if press.depth == 1:
            x, y = view @ [*_grid(press.column, press.row + 0.6), 1.0]
            material = "space-bar" if press.row == _SPACE_ROW else cap.name
            events.append(Event(press.time_s, press.force, "key", material, float(x), float(y)))
    return Performance(
        events=tuple(events),
        draw=_painter(made, presses, view),
        hit=_striker(cap, rng.uniform(0.75, 1.3), rng.uniform(0.02, 0.045), made.hold_s),
        traits={"keys": cap.name, "layout": f"layout-{layout}", "tempo": f"tempo-{tempo}"},
    )
