"""Gunshot: a gun held in the hand fires single shots, pairs or bursts; the event is the muzzle flash."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Event, Performance, Stage, Wave
from foley.datasets.procedural.props import Look, arm, fist, limb, place, random_look, random_view, through
from foley.datasets.procedural.scenery import pick, random_colour, shade
from foley.datasets.procedural.sound import add_at, decay, modes, noise, peak

Shape = list[list[float]]


@dataclass(frozen=True)
class _Gun:
    """A gun pointing right, in units of `size` scene units, its grip near the origin.

    Parameters
    ----------
    parts : tuple of (str, shape)
        What each outline is made of (``metal``, ``dark``, ``grip``, or ``slide``, which recoils), from
        back to front.
    lines : tuple of shape
        Engraved lines on the fixed parts.
    muzzle, port, trigger : (float, float)
        Where it flashes, throws out shells, and is pulled.
    grip : shape
        Axis of the grip, from top to bottom.
    fore : shape
        Axis under the supporting hand; empty for a gun held in one hand.
    hammer : (float, float) or None
        Pivot of the hammer that is seen to cock, or ``None`` where it is hidden.
    """

    parts: tuple[tuple[str, Shape], ...]
    lines: tuple[Shape, ...]
    muzzle: tuple[float, float]
    port: tuple[float, float]
    trigger: tuple[float, float]
    grip: Shape
    fore: Shape
    hammer: tuple[float, float] | None
    size: float
    origin: tuple[float, float]
    boom_hz: float
    shells: bool


_PISTOL = _Gun(
    parts=(
        ("metal", [[0.6, -0.19], [0.70, -0.19], [0.70, -0.10], [0.6, -0.10]]),
        ("grip", [[-0.21, -0.02], [-0.33, 0.44], [-0.06, 0.49], [0.0, 0.24], [0.07, 0.03]]),
        ("metal", [[-0.26, -0.08], [0.62, -0.08], [0.62, -0.01], [0.28, 0.02], [0.06, 0.06], [-0.24, 0.02]]),
        (
            "slide",
            [[-0.24, -0.22], [0.63, -0.22], [0.66, -0.19], [0.66, -0.07], [-0.27, -0.07], [-0.27, -0.18]],
        ),
        ("slide", [[-0.22, -0.26], [-0.15, -0.26], [-0.14, -0.22], [-0.22, -0.22]]),
        ("slide", [[0.56, -0.25], [0.61, -0.25], [0.63, -0.22], [0.55, -0.22]]),
        ("dark", [[-0.34, 0.43], [-0.05, 0.48], [-0.05, 0.53], [-0.35, 0.48]]),
    ),
    lines=([[0.3, -0.045], [0.58, -0.045]], [[-0.2, 0.1], [-0.02, 0.13]], [[-0.26, 0.3], [-0.06, 0.33]]),
    muzzle=(0.71, -0.145),
    port=(0.15, -0.2),
    trigger=(0.15, 0.03),
    grip=[[-0.12, 0.02], [-0.2, 0.45]],
    fore=[],
    hammer=(-0.25, -0.12),
    size=0.78,
    origin=(0.52, 0.52),
    boom_hz=110,
    shells=True,
)
_REVOLVER = _Gun(
    parts=(
        (
            "grip",
            [
                [-0.25, -0.04],
                [-0.06, 0.03],
                [-0.12, 0.2],
                [-0.1, 0.44],
                [-0.34, 0.5],
                [-0.4, 0.4],
                [-0.28, 0.18],
            ],
        ),
        ("metal", [[-0.27, -0.2], [-0.2, -0.25], [0.18, -0.25], [0.18, 0.02], [0.0, 0.06], [-0.24, 0.03]]),
        ("metal", [[0.16, -0.24], [0.74, -0.22], [0.74, -0.11], [0.16, -0.09]]),
        ("metal", [[0.16, -0.09], [0.56, -0.11], [0.6, -0.07], [0.55, -0.04], [0.16, -0.02]]),
        ("metal", [[0.66, -0.22], [0.68, -0.28], [0.73, -0.28], [0.74, -0.22]]),
        ("dark", [[-0.13, -0.21], [0.14, -0.21], [0.16, -0.17], [0.16, -0.03], [0.14, 0.01], [-0.13, 0.01]]),
    ),
    lines=(
        [[-0.08, -0.16], [0.12, -0.16]],
        [[-0.08, -0.1], [0.12, -0.1]],
        [[-0.08, -0.04], [0.12, -0.04]],
        [[0.2, -0.16], [0.7, -0.15]],
    ),
    muzzle=(0.75, -0.165),
    port=(0.15, -0.2),
    trigger=(0.04, 0.05),
    grip=[[-0.17, 0.02], [-0.24, 0.45]],
    fore=[],
    hammer=(-0.24, -0.16),
    size=0.78,
    origin=(0.52, 0.52),
    boom_hz=90,
    shells=False,
)
_RIFLE = _Gun(
    parts=(
        ("metal", [[0.6, -0.12], [1.08, -0.12], [1.08, -0.07], [0.6, -0.07]]),
        ("dark", [[1.0, -0.13], [1.1, -0.13], [1.1, -0.06], [1.0, -0.06]]),
        ("dark", [[0.84, -0.12], [0.86, -0.24], [0.89, -0.24], [0.92, -0.12]]),
        ("grip", [[-0.95, -0.16], [-0.45, -0.15], [-0.45, -0.01], [-0.68, 0.05], [-0.93, 0.16]]),
        ("grip", [[-0.4, -0.01], [-0.47, 0.29], [-0.31, 0.32], [-0.23, 0.02]]),
        ("dark", [[-0.12, 0.01], [0.09, 0.01], [0.13, 0.18], [0.22, 0.36], [0.06, 0.42], [-0.05, 0.22]]),
        ("metal", [[-0.5, -0.19], [0.24, -0.19], [0.24, 0.03], [-0.5, 0.03]]),
        ("grip", [[0.24, -0.18], [0.66, -0.16], [0.66, -0.02], [0.24, 0.02]]),
        ("dark", [[-0.3, -0.35], [0.12, -0.35], [0.18, -0.38], [0.18, -0.25], [0.12, -0.27], [-0.3, -0.27]]),
        ("dark", [[-0.2, -0.27], [-0.12, -0.27], [-0.12, -0.19], [-0.2, -0.19]]),
        ("slide", [[-0.16, -0.15], [0.05, -0.15], [0.05, -0.09], [-0.16, -0.09]]),
    ),
    lines=([[0.3, -0.11], [0.62, -0.11]], [[0.3, -0.06], [0.62, -0.06]], [[-0.45, -0.04], [0.2, -0.04]]),
    muzzle=(1.12, -0.095),
    port=(-0.05, -0.15),
    trigger=(-0.18, 0.04),
    grip=[[-0.32, 0.03], [-0.38, 0.3]],
    fore=[[0.3, 0.0], [0.62, -0.01]],
    hammer=None,
    size=0.52,
    origin=(0.58, 0.5),
    boom_hz=75,
    shells=True,
)
_SHOTGUN = _Gun(
    parts=(
        ("metal", [[0.0, -0.19], [1.12, -0.17], [1.12, -0.11], [0.0, -0.1]]),
        ("dark", [[0.1, -0.1], [0.95, -0.1], [0.95, -0.04], [0.1, -0.03]]),
        ("metal", [[1.06, -0.2], [1.09, -0.2], [1.1, -0.17], [1.05, -0.17]]),
        ("grip", [[-0.98, 0.02], [-0.5, -0.13], [-0.3, -0.14], [-0.25, 0.03], [-0.45, 0.1], [-0.92, 0.28]]),
        ("dark", [[-1.02, 0.01], [-0.96, 0.01], [-0.9, 0.28], [-0.96, 0.29]]),
        ("metal", [[-0.34, -0.19], [0.12, -0.2], [0.12, 0.01], [-0.2, 0.04], [-0.34, -0.02]]),
        ("grip", [[0.3, -0.1], [0.74, -0.1], [0.76, -0.06], [0.74, 0.03], [0.3, 0.04], [0.28, -0.03]]),
        ("slide", [[-0.14, -0.14], [0.04, -0.14], [0.04, -0.08], [-0.14, -0.08]]),
    ),
    lines=tuple([[x, -0.07], [x, 0.0]] for x in np.arange(0.34, 0.74, 0.06).tolist()),
    muzzle=(1.13, -0.14),
    port=(-0.05, -0.12),
    trigger=(-0.14, 0.05),
    grip=[[-0.3, -0.02], [-0.5, 0.1]],
    fore=[[0.38, 0.0], [0.66, 0.0]],
    hammer=None,
    size=0.52,
    origin=(0.58, 0.5),
    boom_hz=60,
    shells=True,
)
_GUNS = {"pistol": _PISTOL, "rifle": _RIFLE, "revolver": _REVOLVER, "shotgun": _SHOTGUN}
_RHYTHMS = {
    # Shots in a row, time between them, time between rows, in seconds.
    "single-a": (1, (0.2, 0.2), (0.55, 1.2)),
    "burst-a": (4, (0.135, 0.16), (0.8, 1.5)),
    "double-b": (2, (0.24, 0.34), (0.8, 1.4)),
    "triple-b": (3, (0.17, 0.21), (0.8, 1.3)),
}
_SQUEEZE_S = 0.14
_FLASH_S = 0.075
_SMOKE_S = 0.9


def _plan(rng: np.random.Generator, duration_s: float, rhythm: str) -> list[float]:
    in_row, gap_s, rest_s = _RHYTHMS[rhythm]
    t, times = rng.uniform(0.3, 1.0), list[float]()
    while t < duration_s - 0.1:
        n_row, gap = max(1, in_row + int(rng.integers(-1, 1))) if in_row > 2 else in_row, rng.uniform(*gap_s)
        row = t + np.concatenate(
            [[0.0], np.cumsum(np.full(n_row - 1, gap) * rng.uniform(0.95, 1.05, n_row - 1))]
        )
        times += [float(x) for x in row if x < duration_s - 0.1]
        t = row[-1] + rng.uniform(*rest_s)
    return times


@dataclass(frozen=True)
class _Set:
    gun: _Gun
    metal: Colour
    dark: Colour
    grip: Colour
    look: Look
    flash: Colour
    smoke: Colour
    shots: NDArray[np.float64]
    forces: NDArray[np.float64]
    spikes: NDArray[np.float64]
    aim_t: NDArray[np.float64]
    aim_rad: NDArray[np.float64]
    teases: NDArray[np.float64]
    wander: NDArray[np.float64]
    kick: float


def _aim(rng: np.random.Generator, times: list[float], duration_s: float) -> tuple[list[float], list[float]]:
    """Times and angles of the barrel: on target when it fires, elsewhere lowered or swung aside."""
    keys = {0.0: rng.uniform(-0.1, 0.45)}
    target = rng.uniform(-0.1, 0.1)
    for last, following in zip([-9.0, *times], [*times, duration_s + 9], strict=True):
        if following - last > 0.9:
            if last > 0:
                keys[last + 0.3] = target
            aside = (last + 0.3 + following - 0.25) / 2 if last > 0 else following / 2
            if following < duration_s and aside > 0.05:
                # Swings aside and back: aiming again is motion, but no event.
                keys[aside] = target + rng.choice([-1.0, 1.0]) * rng.uniform(0.05, 0.35)
                target = rng.uniform(-0.1, 0.1)
                keys[max(following - 0.22, aside + 0.1)] = target
        if following < duration_s:
            keys[following] = target
    order = sorted(keys)
    return order, [float(keys[k]) for k in order]


def _recoil(made: _Set, t_s: float) -> float:
    """How far the gun is thrown back and up: jumps within 15 ms of a shot, settles in a quarter second."""
    since = t_s - made.shots[(made.shots <= t_s) & (made.shots > t_s - 1.0)]
    forces = made.forces[(made.shots <= t_s) & (made.shots > t_s - 1.0)]
    # Not 0 at the shot itself: the picture of that instant already shows the jump.
    return float((forces * (1.25 - np.exp(-since / 0.012)) * np.exp(-since / 0.10)).sum())


def _squeeze(made: _Set, t_s: float) -> float:
    """Pull of the trigger in [0, 1]: full at a shot, half where the finger only hesitates."""
    ahead = made.shots - t_s
    pull = np.where(ahead >= 0, 1 - ahead / _SQUEEZE_S, 1 + ahead / 0.1).max(initial=0.0)
    tease = 0.6 * (1 - np.abs(made.teases - t_s) / 0.2).max(initial=0.0)
    return float(np.clip(max(pull, tease), 0, 1))


def _draw_flash(
    canvas: Canvas, made: _Set, index: int, since: float, at: NDArray[np.float64], turn: float
) -> None:
    left = 1 - 0.6 * since / _FLASH_S
    force = 0.6 + 0.4 * made.forces[index]
    canvas.glow((float(at[0]), float(at[1])), 0.42 * force, made.flash, 0.9 * left)
    rays = made.spikes[index]
    phase = np.linspace(0, 2 * np.pi, rays.size, endpoint=False)
    ahead = 0.55 + 0.45 * np.cos(phase)
    star = np.stack([rays * ahead * np.cos(phase), 0.75 * rays * ahead**0.5 * np.sin(phase)], axis=1)
    for size, light in ((0.36, 1.0), (0.26, 1.6), (0.14, 2.0)):
        canvas.polygon(place(star, at, turn, size * force * left), shade(made.flash, light))


def _draw_smoke(canvas: Canvas, made: _Set, since: float, at: NDArray[np.float64], index: int) -> None:
    u = since / _SMOKE_S
    for k in range(5):
        drift = 0.04 * (k - 1) + 0.12 * u * np.sin(1.7 * k + index)
        rise = -0.16 * u * (0.6 + 0.2 * k) + 0.02 * np.sin(2.4 * k + index)
        radius = 0.025 + 0.012 * (k % 3) + 0.06 * u
        canvas.circle([at[0] + drift, at[1] + rise], radius, made.smoke, 0.5 * (1 - u))


def _draw_gun(
    canvas: Canvas, made: _Set, at: NDArray[np.float64], turn: float, t_s: float, lit: float
) -> None:
    gun, size = made.gun, made.gun.size
    since = t_s - made.shots[made.shots <= t_s]
    back = float(np.clip(1 - np.abs(since.min(initial=9.0) - 0.03) / 0.045, 0, 1)) * 0.15
    tones = {"metal": made.metal, "slide": shade(made.metal, 0.85), "dark": made.dark, "grip": made.grip}
    pull = _squeeze(made, t_s)
    x, y = gun.trigger
    guard = [
        [x - 0.1, y],
        [x - 0.08, y + 0.12],
        [x + 0.03, y + 0.14],
        [x + 0.1, y + 0.08],
        [x + 0.1, y - 0.02],
    ]
    canvas.line(place(guard, at, turn, size), shade(made.metal, 0.6), 0.03 * size)
    pulled = x + 0.03 - 0.06 * pull
    canvas.line(
        place([[x + 0.02, y - 0.02], [pulled, y + 0.09]], at, turn, size),
        shade(made.metal, 1.3),
        0.025 * size,
    )
    if gun.hammer is not None:
        cocked = -0.9 * pull if since.min(initial=9.0) > 0.03 else 0.0
        spur = place([[0.0, 0.05], [0.02, -0.09], [-0.07, -0.12], [-0.06, -0.06]], gun.hammer, cocked)
        canvas.polygon(place(spur, at, turn, size), made.dark)
    for part, outline in gun.parts:
        points = np.asarray(outline) - ([back, 0.0] if part == "slide" else [0.0, 0.0])
        tone = shade(tones[part], 1 + 0.5 * lit)
        middle = points.mean(axis=0)
        canvas.polygon(place(points, at, turn, size), shade(tone, 0.45))
        canvas.polygon(place(middle + (points - middle) * [0.97, 0.86] - [0, 0.004], at, turn, size), tone)
        if part != "grip":
            top = middle + (points - middle) * [0.93, 0.2] - [0, 0.22 * np.ptp(points[:, 1])]
            canvas.polygon(place(top, at, turn, size), shade(tone, 1.25))
    for line in gun.lines:
        canvas.line(place(line, at, turn, size), shade(made.dark, 0.6), 0.012 * size)
    if gun.hammer is not None and gun.shells:
        for k in range(6):
            rib = [[-0.21 - back + 0.025 * k, -0.19], [-0.21 - back + 0.025 * k, -0.1]]
            canvas.line(place(rib, at, turn, size), shade(made.metal, 0.5), 0.01 * size)


def _draw_hands(canvas: Canvas, made: _Set, at: NDArray[np.float64], turn: float, pull: float) -> None:
    gun, size = made.gun, made.gun.size
    top, bottom = np.asarray(gun.grip)
    middle = place([top * 0.45 + bottom * 0.55], at, turn, size)[0]
    along = float(np.arctan2(*(bottom - top)[::-1]))
    wide = 0.2 if gun.fore else 0.26
    wrist, elbow = place([[-0.11, 0.03], [-0.66, 0.35]], middle, turn * 0.6)
    arm(canvas, wrist, elbow, 0.07 if not gun.fore else 0.055, made.look)
    fist(canvas, middle, turn + along, wide, made.look, thumb_side=1.0)
    knuckle = place([[top[0] + 0.05, top[1] + 0.07]], at, turn, size)[0]
    tip = place([[gun.trigger[0] + 0.07 - 0.06 * pull, gun.trigger[1] + 0.05]], at, turn, size)[0]
    limb(canvas, knuckle, tip, 0.032 * wide / 0.26, 0.026 * wide / 0.26, made.look.hand)
    if gun.fore:
        hold = place([np.mean(gun.fore, axis=0)], at, turn, size)[0]
        wrist, elbow = place([[-0.03, 0.07], [-0.22, 0.62]], hold, 0.0)
        arm(canvas, wrist, elbow, 0.055, made.look)
        fist(canvas, hold, turn, 0.2, made.look, thumb_side=1.0)


def _painter(made: _Set, view: NDArray[np.float64]) -> Callable[[Canvas, float], None]:
    gun = made.gun

    def pose(t_s: float) -> tuple[NDArray[np.float64], float]:
        jump = _recoil(made, t_s)
        sway = made.wander[:, 0] * np.sin(made.wander[:, 1] * t_s + made.wander[:, 2])
        turn = float(np.interp(t_s, made.aim_t, made.aim_rad)) + sway[0] - 0.32 * made.kick * jump
        at = np.array(gun.origin) + sway[1:3] + np.array([-0.09, -0.035]) * made.kick * jump
        return at, turn

    # Smoke and shells start where the muzzle was at the shot.
    starts = [pose(float(t)) for t in made.shots]
    muzzles = [place([gun.muzzle], at, turn, gun.size)[0] for at, turn in starts]
    ports = [place([gun.port], at, turn, gun.size)[0] for at, turn in starts]

    def draw(canvas: Canvas, t_s: float) -> None:
        seen = through(canvas, view)
        at, turn = pose(t_s)
        since = t_s - made.shots
        lit = float(((since >= 0) & (since < _FLASH_S)).any())
        _draw_gun(seen, made, at, turn, t_s, lit)
        _draw_hands(seen, made, at, turn, _squeeze(made, t_s))
        for k in np.flatnonzero((since >= 0) & (since < _SMOKE_S)):
            u = float(since[k])
            _draw_smoke(seen, made, u, muzzles[k], int(k))
            if gun.shells and u < 0.6:
                spot = ports[k] + np.array([-0.5 * u, -1.3 * u + 2.6 * u * u])
                shell = [[-0.03, -0.012], [0.03, -0.012], [0.03, 0.012], [-0.03, 0.012]]
                seen.polygon(place(shell, spot, 14 * u + k), shade(made.flash, 0.8))
            if u < _FLASH_S:
                _draw_flash(seen, made, int(k), u, place([gun.muzzle], at, turn, gun.size)[0], turn)

    return draw


def _blast(boom_hz: float, tail_s: float, action: bool) -> Callable[[Event, np.random.Generator], Wave]:
    def hit(event: Event, rng: np.random.Generator) -> Wave:
        length_s = 0.15 + tail_s
        out = np.zeros(round(length_s * SAMPLE_RATE_HZ), dtype=np.float32)
        t = np.arange(out.size) / SAMPLE_RATE_HZ
        # Friedlander pulse: the pressure jumps, then swings below that of the air at rest.
        width_s = rng.uniform(0.0006, 0.0012) * 110 / boom_hz
        out += (1.2 * (1 - t / width_s) * np.exp(-t / width_s)).astype(np.float32)
        out += noise(out.size, rng, 250, 6000 + 6000 * event.force) * decay(length_s, 0.09) * 0.5
        out += modes([boom_hz, boom_hz * 1.7], [0.14, 0.1], [0.6, 0.35], length_s, rng)
        echo = noise(round(0.05 * SAMPLE_RATE_HZ), rng, 150, 3500) * decay(0.05, 0.05)
        for _ in range(int(rng.integers(2, 5))):
            add_at(
                out,
                np.asarray(echo * rng.uniform(0.1, 0.3), dtype=np.float32),
                float(rng.uniform(0.01, 0.07)),
            )
        tail = noise(out.size, rng, 80, 1800) * decay(length_s, tail_s, 0.02)
        out += np.asarray(peak(tail, 0.22) * np.clip((t[-1] - t) / 0.02, 0, 1), dtype=np.float32)
        if action:
            click = modes([2100, 3400, 5200], [0.03, 0.02, 0.015], [1, 0.7, 0.5], 0.04, rng)
            add_at(out, peak(click, 0.05), 0.055)
        return peak(out, event.force)

    return hit


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a clip of a gun that is aimed and fired.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    stage : Stage
        Length, shape and side (training or held out) of the recording.

    Returns
    -------
    Performance
        Events of kind ``shot``: flash, recoil and smoke. Swinging the gun to a new target and
        half-squeezing the trigger make motion but no event.
    """
    out = stage.held_out
    name = pick(rng, ("pistol", "rifle"), ("revolver", "shotgun"), out)
    rhythm = pick(rng, ("single-a", "burst-a"), ("double-b", "triple-b"), out)
    gun = _GUNS[name]
    times = _plan(rng, stage.duration_s, rhythm)
    aim_t, aim_rad = _aim(rng, times, stage.duration_s)
    strength = rng.uniform(0.55, 0.95)
    forces = np.clip(strength * rng.uniform(0.85, 1.1, len(times)), 0.3, 1.0)
    idle = [(a + b) / 2 for a, b in pairwise(times) if b - a > 0.8]
    made = _Set(
        gun=gun,
        metal=random_colour(rng, 0.2, 0.75, 0.5),
        dark=random_colour(rng, 0.1, 0.4, 0.5),
        grip=random_colour(rng, 0.15, 0.7),
        look=random_look(rng),
        flash=shade(random_colour(rng, 0.85, 1.0, 0.9), 1.1),
        smoke=random_colour(rng, 0.4, 0.95, 0.2),
        shots=np.array(times),
        forces=forces,
        spikes=rng.uniform(0.25, 0.5, (len(times), 18)) * np.tile([2.0, 0.8], 9),
        aim_t=np.array(aim_t),
        aim_rad=np.array(aim_rad),
        teases=np.array([t for t in idle if rng.random() < 0.4]),
        wander=np.column_stack([[0.02, 0.012, 0.012], rng.uniform(1.5, 4.0, 3), rng.uniform(0, 6, 3)]),
        kick=rng.uniform(0.7, 1.2),
    )
    view = random_view(rng, stage.aspect, (0.95, 1.1))
    muzzle = place([gun.muzzle], gun.origin, 0.0, gun.size)[0]
    x, y = (float(v) for v in view @ [*muzzle, 1.0])
    return Performance(
        events=tuple(Event(t, float(f), "shot", name, x, y) for t, f in zip(times, forces, strict=True)),
        draw=_painter(made, view),
        hit=_blast(gun.boom_hz * rng.uniform(0.85, 1.15), rng.uniform(0.3, 0.7), gun.shells),
        traits={"gun": name, "rhythm": f"rhythm-{rhythm}"},
    )
