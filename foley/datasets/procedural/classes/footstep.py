"""A walker's legs and feet, from the side or the front, on wood, metal, gravel or snow."""

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
    paced_times,
    skin_colour,
    smooth_outline,
    two_bone,
)
from foley.datasets.procedural.performance import Event, Performance, Stage, Wave
from foley.datasets.procedural.scenery import pick, random_colour, shade
from foley.datasets.procedural.sound import add_at, decay, modes, noise, peak

_TOE_DELAY_S = 0.075
_TOE = [(0.19, -0.075), (0.24, -0.055), (0.26, -0.02), (0.245, 0.0), (-0.08, 0.0)]
_SHOES = {
    # Side outlines with the ankle over (0, 0), the toe to the right and y down, in leg lengths.
    "sneaker": [(-0.085, -0.06), (-0.075, -0.15), (0.05, -0.14), (0.09, -0.1), *_TOE],
    "boot": [(-0.08, -0.1), (-0.065, -0.3), (0.06, -0.3), (0.055, -0.2), (0.075, -0.13), (0.13, -0.1), *_TOE],
    "loafer": [(-0.08, -0.06), (-0.075, -0.105), (0.03, -0.08), (0.1, -0.075), (0.14, -0.08), *_TOE],
    "high-top": [(-0.085, -0.08), (-0.07, -0.22), (0.055, -0.22), (0.06, -0.15), (0.1, -0.1), *_TOE],
}


@dataclass(frozen=True)
class _Walker:
    """Everything that stays the same while the walker walks."""

    feet: tuple[FootTrack, FootTrack]
    body_t: NDArray[np.float64]
    body_x: NDArray[np.float64]
    land_s: NDArray[np.float64]
    force: NDArray[np.float64]
    leg: float
    bulk: float
    hip_x: float
    ground_y: float
    facing: float
    shoe: str
    garment: str
    colours: dict[str, Colour]
    ground: Ground
    spray: Spray


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a walk with pauses.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every choice.
    stage : Stage
        Length, shape and half (training or held-out) of the recording.

    Returns
    -------
    Performance
        One ``heel`` event per heel strike; a foot lifted and held in the air is no event.
    """
    half = "b" if stage.held_out else "a"
    view = str(rng.choice(["full", "legs", "feet", "front"], p=[0.2, 0.3, 0.2, 0.3]))
    material = str(rng.choice(["wood", "metal", "gravel", "snow"]))
    shoe = pick(rng, ("sneaker", "boot"), ("loafer", "high-top"), stage.held_out)
    garment = pick(rng, ("trousers", "shorts"), ("wide-trousers", "skirt"), stage.held_out)
    tempo = str(rng.choice(["slow", "fast"]))
    periods = {
        "a": {"slow": (0.68, 0.78), "fast": (0.46, 0.54)},
        "b": {"slow": (0.6, 0.68), "fast": (0.54, 0.6)},
    }
    times = paced_times(rng, stage.duration_s, rng.uniform(*periods[half][tempo]), 0.05, min_gap_s=0.36)
    force = np.clip(rng.uniform(0.45, 0.9) + rng.normal(0, 0.12, times.size), 0.2, 1.0)
    leg = {"full": (0.42, 0.47), "legs": (0.66, 0.8), "feet": (1.0, 1.2), "front": (0.66, 0.9)}[view]
    walker = _walker(
        rng, stage, times, force, view, apart(rng, *leg, stage.held_out), material, shoe, garment
    )
    events = tuple(
        Event(float(t), float(f), "heel", material, *_landing(walker, i, view))
        for i, (t, f) in enumerate(zip(times, force, strict=True))
    )
    traits = {
        "view": f"{view}-{half}",
        "ground": f"{material}-{half}",
        "shoe": shoe,
        "garment": garment,
        "tempo": f"{tempo}-{half}",
    }
    paint = _draw_front if view == "front" else _draw_side
    return Performance(events, lambda canvas, t: paint(canvas, walker, t), _hit(rng), traits)


def _walker(
    rng: np.random.Generator,
    stage: Stage,
    times: NDArray[np.float64],
    force: NDArray[np.float64],
    view: str,
    leg: float,
    material: str,
    shoe: str,
    garment: str,
) -> _Walker:
    step = leg * rng.uniform(0.44, 0.54)
    landings = np.asarray(step * (np.arange(times.size) + 0.6), np.float64)
    gaps = np.diff(times, prepend=times[0] - 0.6)
    # A foot swings for most of a step; in a pause some feet are lifted early and held (a feint).
    swing = np.where(
        (gaps > 1.3) & (rng.random(times.size) < 0.5), gaps - 0.35, np.minimum(0.78 * gaps, 0.44)
    )
    feet = []
    for side in (0, 1):
        mine = slice(side, None, 2)
        start = -0.1 * step if side == 0 else 0.0
        lift = times[mine] - swing[mine]
        feet.append(FootTrack(lift, times[mine], landings[mine], start, leg * rng.uniform(0.17, 0.22)))
    grid = np.arange(0, stage.duration_s + 0.5, 1 / 100)
    ground_y = float(rng.uniform(0.84, 0.93))
    centre = stage.aspect * float(rng.uniform(0.42, 0.58))
    ground = make_ground(rng, material, stage.held_out, ground_y, centre, view == "front")
    bits = {"wood": 6, "metal": 6, "gravel": 18, "snow": 22}[material]
    colours = {
        "leg": random_colour(rng),
        "top": random_colour(rng),
        "shoe": random_colour(rng),
        "sole": random_colour(rng, 0.1, 0.95, 0.3),
        "skin": skin_colour(rng),
        "hair": random_colour(rng, 0.1, 0.7),
    }
    return _Walker(
        (feet[0], feet[1]),
        grid,
        _body(grid, times, landings, step),
        times,
        force,
        leg,
        float(rng.uniform(1.0, 1.2)) * (1.2 if view == "full" else 1.0),
        centre,
        ground_y,
        float(rng.choice([-1.0, 1.0])),
        shoe,
        garment,
        colours,
        ground,
        make_spray(rng, shade(ground.base, rng.choice([0.6, 1.5])), bits, 0.35 + 0.35 * leg, 0.009),
    )


def _body(
    t: NDArray[np.float64], times: NDArray[np.float64], landings: NDArray[np.float64], step: float
) -> NDArray[np.float64]:
    """World position of the hips: midway between the feet at each strike, fastest at the strikes."""
    at = landings - 0.5 * step
    x = np.full(t.shape, at[0] - 0.65 * step)
    for i in range(times.size):
        begin, end = at[i] - 0.65 * step, at[i]
        since, gap = times[i] - 0.3, 0.3
        if i and times[i] - times[i - 1] < 1.0:
            begin, since, gap = at[i - 1], times[i - 1], times[i] - times[i - 1]
            u = np.clip((t - since) / gap, 0, 1)
            x = np.where(
                t >= since, begin + (end - begin) * (u + 0.75 * np.sin(2 * np.pi * u) / (2 * np.pi)), x
            )
        else:
            u = np.clip((t - since) / gap, 0, 1)
            x = np.where(t >= since, begin + (end - begin) * u**2, x)
        u = np.clip((t - times[i]) / 0.3, 0, 1)
        x = np.where(t >= times[i], end + 0.35 * step * (1 - (1 - u) ** 2), x)
    return x


def _landing(walker: _Walker, i: int, view: str) -> tuple[float, float]:
    body = float(np.interp(walker.land_s[i], walker.body_t, walker.body_x))
    reach = float(walker.feet[i % 2].land_x[i // 2]) - body
    if view == "front":
        return walker.hip_x + walker.leg * 0.11 * (2 * (i % 2) - 1), walker.ground_y + 0.3 * reach
    return walker.hip_x + walker.facing * reach, walker.ground_y


def _bob(walker: _Walker, t: float) -> float:
    """How far the hips drop at `t`: a jolt right after each strike."""
    since = t - walker.land_s
    hits = (since >= 0) & (since < 0.5)
    jolt = np.sum((walker.force * np.minimum(since / 0.04, 1) * np.exp(-since / 0.09))[hits])
    return 0.035 * walker.leg * float(jolt)


def _tilt(foot: Foot) -> float:
    """Pitch of the sole in radians, toe up positive: heel first, then a slap, at last a push-off."""
    if foot.u < 1.0:
        return float(np.interp(foot.u, [0, 0.15, 0.6, 0.9, 1], [-0.7, -0.85, 0.15, 0.45, 0.4]))
    if foot.until_s < 0.12:
        return -0.7 * (1 - foot.until_s / 0.12)
    return 0.4 * max(0.0, 1 - foot.since_s / _TOE_DELAY_S)


def _shoe_points(
    x: float, y: float, leg: float, tilt: float
) -> tuple[NDArray[np.float64], Callable[[Points], Points]]:
    """Ankle position and the map from shoe outlines to the unmirrored scene."""
    pivot = np.array([-0.08, 0.0]) if tilt > 0 else np.array([0.16, 0.0])
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])

    def place(points: Points) -> Points:
        turned = (np.asarray(points, float) - pivot) @ turn.T + pivot
        return np.asarray(turned * leg + [x, y])

    return place(np.array([[-0.01, -0.1]]))[0], place


def _draw_side(canvas: Canvas, walker: _Walker, t: float) -> None:
    body = float(np.interp(t, walker.body_t, walker.body_x))
    leg, face = walker.leg, walker.facing
    walker.ground.paint(canvas, across=face * body)

    def flip(points: Points) -> Points:
        return np.asarray((np.asarray(points, float) - [walker.hip_x, 0]) * [face, 1] + [walker.hip_x, 0])

    hip = np.array([walker.hip_x, walker.ground_y - 1.02 * leg + _bob(walker, t)])
    swing = walker.feet[0].at(t).x - walker.feet[1].at(t).x
    if leg < 0.9:
        _arm(canvas, walker, hip, swing, 0.7, flip)
    for side, dim in ((1, 0.72), (0, 1.0)):
        foot = walker.feet[side].at(t)
        x, y = walker.hip_x + foot.x - body, walker.ground_y - foot.z - (0.015 if side else 0.0)
        shadow = 0.6 - 0.45 * min(1.0, 5 * foot.z / leg)
        canvas.ellipse(
            flip(np.array([[x + 0.06 * leg, walker.ground_y]]))[0],
            (0.17 * leg, 0.03 * leg),
            0,
            (10, 10, 10),
            shadow,
        )
        tilt = _tilt(foot)
        ankle, place = _shoe_points(x, y, leg, tilt)
        joints = two_bone(hip, ankle, 0.485 * leg, 0.485 * leg, 1.0)
        if foot.u >= 1.0 and x < hip[0]:
            # A leg that trails too far behind lifts its heel, as far as the toe can stay.
            missing = float(np.hypot(*(joints[2] - ankle))) / leg
            ankle, place = _shoe_points(x, y, leg, min(tilt, -min(8 * missing, 0.9)))
            joints = two_bone(hip, ankle, 0.485 * leg, 0.485 * leg, 1.0)
        short = joints[2] - ankle
        _leg(canvas, walker, flip(joints), dim)
        _shoe(canvas, walker, lambda p, place=place, short=short: flip(place(p) + short), dim)  # type: ignore[misc]
        _dust(canvas, walker, side, t, body, flip)
    if leg < 0.9:
        _upper_body(canvas, walker, hip, flip)
        _arm(canvas, walker, hip, -swing, 1.0, flip)


def _dust(
    canvas: Canvas, walker: _Walker, side: int, t: float, body: float, flip: Callable[[Points], Points]
) -> None:
    track = walker.feet[side]
    last = int(np.searchsorted(track.land_s, t, side="right")) - 1
    if last >= 0:
        at = flip(
            np.array([[walker.hip_x + track.land_x[last] - body - 0.06 * walker.leg, walker.ground_y]])
        )[0]
        force = float(walker.force[2 * last + side])
        walker.spray.paint(canvas, (at[0], at[1]), t - float(track.land_s[last]), force)


def _leg(canvas: Canvas, walker: _Walker, joints: Points, dim: float) -> None:
    leg, c = walker.leg * walker.bulk, walker.colours
    cloth, skin = shade(c["leg"], dim), shade(c["skin"], dim)
    hip, knee, ankle = joints
    if walker.garment in ("shorts", "skirt"):
        limb(canvas, joints, (0.21 * leg, 0.14 * leg, 0.085 * leg), skin)
        limb(canvas, [hip, hip + 0.62 * (knee - hip)], (0.27 * leg, 0.23 * leg), cloth)
        return
    wide = walker.garment == "wide-trousers"
    hem = 0.19 if wide else 0.12
    limb(canvas, joints, (0.26 * leg, (0.21 if wide else 0.17) * leg, hem * leg), cloth)
    fold = shade(cloth, 0.65)
    for u in (0.86, 0.94):
        middle, half = knee + u * (ankle - knee), 0.42 * hem * leg
        canvas.line([middle - [half, 0], middle + np.array([half, 0.02 * leg])], fold, 0.008)
    canvas.line([knee + np.array([-0.05 * leg, 0.01]), knee + np.array([0.05 * leg, 0.02])], fold, 0.008)


def _shoe(canvas: Canvas, walker: _Walker, place: Callable[[Points], Points], dim: float) -> None:
    outline = np.array(_SHOES[walker.shoe])
    upper, sole = shade(walker.colours["shoe"], dim), shade(walker.colours["sole"], dim)
    canvas.polygon(place(smooth_outline(outline)), shade(upper, 0.85))
    top = float(outline[:, 1].min())
    for patch in (
        [(0.0, 0.94 * top), (0.04, 0.94 * top), (0.045, -0.1), (0.0, -0.06)],
        [(0.05, -0.09), *_TOE[:2], (0.2, -0.035)],
    ):
        canvas.polygon(place(np.array(patch)), shade(upper, 1.18))
    heel = 0.025 if walker.shoe == "sneaker" else 0.035
    canvas.polygon(
        place(
            np.array(
                [(-0.095, -heel), (0.0, -heel), (0.05, -0.02), (0.22, -0.02), (0.22, 0.008), (-0.095, 0.008)]
            )
        ),
        sole,
    )
    for u in (0.0, 0.03, 0.06):
        canvas.line(place(np.array([(0.04 + u, -0.125 + u), (0.09 + u, -0.105 + 0.7 * u)])), sole, 0.007)


def _arm(
    canvas: Canvas, walker: _Walker, hip: Points, swing: float, dim: float, flip: Callable[[Points], Points]
) -> None:
    leg, c = walker.leg, walker.colours
    shoulder = hip + np.array([0.0, -0.55 * leg])
    hand = shoulder + np.array([0.08 * leg + 0.35 * swing, 0.58 * leg - 0.1 * abs(swing)])
    joints = flip(two_bone(shoulder, hand, 0.31 * leg, 0.31 * leg, -1.0))
    limb(canvas, joints, (0.15 * leg, 0.11 * leg, 0.08 * leg), shade(c["top"], dim * 0.9))
    canvas.circle(joints[2], 0.05 * leg, shade(c["skin"], dim))


def _upper_body(canvas: Canvas, walker: _Walker, hip: Points, flip: Callable[[Points], Points]) -> None:
    leg, c = walker.leg, walker.colours
    torso = [
        (-0.15, 0.06),
        (-0.15, -0.2),
        (-0.17, -0.5),
        (-0.06, -0.66),
        (0.06, -0.66),
        (0.16, -0.5),
        (0.13, -0.2),
        (0.14, 0.06),
    ]
    canvas.polygon(
        flip(smooth_outline(np.array(torso) * [walker.bulk * leg, leg] + hip)), shade(c["top"], 0.85)
    )
    canvas.polygon(
        flip(
            smooth_outline(
                np.array(torso) * [0.5 * walker.bulk * leg, 0.9 * leg] + hip + np.array([0.04 * leg, 0])
            )
        ),
        shade(c["top"], 1.1),
    )
    if walker.garment == "skirt":
        canvas.polygon(
            flip(np.array([(-0.15, -0.1), (0.14, -0.1), (0.25, 0.34), (-0.25, 0.34)]) * leg + hip), c["leg"]
        )
        for x in (-0.1, 0.02, 0.12):
            canvas.line(
                flip(np.array([(0.6 * x, -0.05), (1.4 * x, 0.33)]) * leg + hip), shade(c["leg"], 0.7), 0.01
            )
    head = hip + np.array([0.03 * leg, -0.83 * leg])
    canvas.polygon(
        flip(np.array([(-0.05, 0.2), (-0.05, 0.05), (0.05, 0.05), (0.05, 0.2)]) * leg + head),
        shade(c["skin"], 0.8),
    )
    canvas.ellipse(flip(head[None])[0], (0.115 * leg, 0.145 * leg), 0, c["skin"])
    hair = [
        (-0.13, 0.08),
        (-0.15, -0.06),
        (-0.06, -0.17),
        (0.08, -0.15),
        (0.1, -0.08),
        (-0.02, -0.06),
        (-0.05, 0.06),
    ]
    canvas.polygon(flip(smooth_outline(np.array(hair) * leg + head)), c["hair"])
    canvas.polygon(flip(np.array([(0.1, -0.02), (0.15, 0.04), (0.1, 0.05)]) * leg + head), c["skin"])


def _draw_front(canvas: Canvas, walker: _Walker, t: float) -> None:
    body = float(np.interp(t, walker.body_t, walker.body_x))
    leg, c = walker.leg, walker.colours
    walker.ground.paint(canvas, ahead=body)
    sway = 0.02 * leg * np.sin(np.pi * body / (0.56 * leg))
    hip = np.array([walker.hip_x + sway, walker.ground_y - 0.95 * leg + _bob(walker, t)])
    feet = [(side, walker.feet[side].at(t)) for side in (0, 1)]
    for side, foot in sorted(feet, key=lambda item: item[1].x):
        sign, ahead = 2.0 * side - 1, foot.x - body
        x, y, size = (
            walker.hip_x + 0.11 * leg * sign,
            walker.ground_y + 0.3 * ahead,
            leg * (1 + 0.35 * ahead / leg),
        )
        canvas.ellipse(
            (x, y), (0.12 * size, 0.035 * size), 0, (10, 10, 10), 0.6 - 0.45 * min(1.0, 5 * foot.z / leg)
        )
        sole = np.array([x, y - 0.8 * foot.z])
        tilt = _tilt(foot)
        ankle = sole + np.array([0, -0.11 * size])
        start = hip + np.array([0.1 * leg * sign, 0])
        lifted = min(1.0, foot.z / (0.2 * leg))
        knee = 0.5 * (start + ankle) + np.array([0.02 * leg * sign, (-0.02 - 0.05 * lifted) * leg])
        _leg(canvas, walker, np.stack([start, knee, ankle]), 1.0 if ahead > 0 else 0.8)
        _shoe_front(canvas, walker, sole, size, tilt)
        track = walker.feet[side]
        last = int(np.searchsorted(track.land_s, t, side="right")) - 1
        if last >= 0:
            walker.spray.paint(
                canvas, (x, y), t - float(track.land_s[last]), float(walker.force[2 * last + side])
            )
    waist = hip + np.array([0, -0.02 * leg])
    if walker.garment == "skirt":
        canvas.polygon(
            np.array([(-0.2, -0.15), (0.2, -0.15), (0.3, 0.34), (-0.3, 0.34)]) * leg + waist, c["leg"]
        )
        for u in (-0.12, -0.02, 0.1):
            canvas.line(np.array([(u, -0.1), (1.6 * u, 0.33)]) * leg + waist, shade(c["leg"], 0.7), 0.01)
    coat = [(-0.22, 0.1), (-0.2, -0.2), (-0.28, -0.5), (0.28, -0.5), (0.2, -0.2), (0.22, 0.1), (0, 0.12)]
    canvas.polygon(np.array(coat) * leg + waist, shade(c["top"], 0.9))
    canvas.polygon(
        np.array([(-0.02, 0.11), (-0.02, -0.5), (0.03, -0.5), (0.03, 0.11)]) * leg + waist,
        shade(c["top"], 0.6),
    )
    swing = feet[0][1].x - feet[1][1].x
    for sign in (-1.0, 1.0):
        hand = waist + np.array([0.29 * sign * leg, 0.08 * leg + 0.12 * sign * swing])
        limb(
            canvas,
            [waist + np.array([0.27 * sign * leg, -0.5 * leg]), hand],
            (0.14 * leg, 0.09 * leg),
            c["top"],
        )
        canvas.circle(hand, 0.055 * leg, c["skin"])


def _shoe_front(canvas: Canvas, walker: _Walker, sole: Points, size: float, tilt: float) -> None:
    """Paint a shoe seen from its toe: its sole shows when the toe is up, its back when it is down."""
    c = walker.colours
    tall = 0.13 if walker.shoe in ("sneaker", "loafer") else 0.24
    up = 0.1 * tilt
    toe = [
        (-0.055, -tall),
        (0.055, -tall),
        (0.08, -0.05 - up),
        (0.075, 0.0),
        (-0.075, 0.0),
        (-0.08, -0.05 - up),
    ]
    canvas.polygon(smooth_outline(np.array(toe) * size + sole), shade(c["shoe"], 0.85))
    canvas.ellipse(
        sole + np.array([0, (-0.05 - up) * size]),
        (0.07 * size, (0.04 + 0.3 * max(up, 0)) * size),
        0,
        shade(c["shoe"], 1.15),
    )
    canvas.ellipse(
        sole + np.array([0, -0.008 * size]), (0.078 * size, (0.014 + 0.8 * max(up, 0)) * size), 0, c["sole"]
    )
    for u in (0.09, 0.11, 0.13):
        canvas.line(sole + np.array([(-0.03, -u), (0.03, -u)]) * size, c["sole"], 0.006)


def _hit(rng: np.random.Generator) -> Callable[[Event, np.random.Generator], Wave]:
    """Sound of this walker's heel, and a fainter toe `_TOE_DELAY_S` later."""
    pitch, hard = float(rng.uniform(0.8, 1.25)), float(rng.uniform(0.4, 1.0))

    def contact(event: Event, rng: np.random.Generator, force: float) -> Wave:
        n = round(0.2 * 48_000)
        wobble = pitch * rng.uniform(0.94, 1.06)
        if event.material == "wood":
            body = modes(
                [f * wobble for f in (92, 155, 240, 410)],
                [0.16, 0.12, 0.08, 0.05],
                [1, 0.7, 0.45, 0.25],
                0.2,
                rng,
            )
            knock = noise(n, rng, 300, 2500) * decay(0.2, 0.03) * hard
            return np.asarray(body + 0.9 * knock, np.float32)
        if event.material == "metal":
            f = [f * wobble for f in (180, 437, 690, 1130, 1710)]
            ring = modes(f, [0.2, 0.3, 0.25, 0.2, 0.14], [0.8, 0.6, 0.5, 0.3, 0.2], 0.3, rng)
            ring[:n] += (noise(n, rng, 200, 3500) * decay(0.2, 0.03)).astype(np.float32) * hard
            return ring
        thud = modes([70 * wobble, 120 * wobble], [0.1, 0.07], [0.6, 0.4], 0.2, rng)
        if event.material == "gravel":
            crunch = np.asarray(noise(n, rng, 900, 7000) * decay(0.2, 0.05) + thud[:n], np.float32)
            for _ in range(int(18 + 20 * force)):
                grain = noise(200, rng, 1500, 9000) * decay(200 / 48_000, 0.004)
                add_at(
                    crunch, peak(grain, 1.0) * np.float32(rng.uniform(0.2, 0.8)), 0.11 * rng.random() ** 1.5
                )
            return crunch
        squeak = noise(n, rng, 700 * wobble, 2600 * wobble) * decay(0.2, 0.14)
        grit = 0.6 + 0.4 * np.sign(np.sin(2 * np.pi * np.cumsum(np.linspace(130, 60, n)) / 48_000))
        return np.asarray(
            squeak * grit + 0.8 * thud + noise(n, rng, 400, 3000) * decay(0.2, 0.02), np.float32
        )

    def hit(event: Event, rng: np.random.Generator) -> Wave:
        heel = peak(contact(event, rng, event.force), 1.0)
        out = np.zeros(round(0.42 * 48_000), np.float32)
        add_at(out, heel, 0.0)
        toe = contact(event, rng, event.force)
        # The sole rolls down: the toe swells in and is no hit of its own.
        n_rise = round(0.03 * 48_000)
        toe[:n_rise] *= np.linspace(0, 1, n_rise, dtype=np.float32) ** 2
        add_at(out, peak(toe, 0.15), _TOE_DELAY_S)
        return peak(out, event.force)

    return hit
