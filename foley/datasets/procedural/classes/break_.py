"""Break: wares are dropped or struck and burst; events are the first contact and the shards' landings."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Event, Performance, Stage, Wave
from foley.datasets.procedural.props import (
    Look,
    arm,
    capsule,
    fist,
    limb,
    limbs,
    place,
    random_look,
    random_view,
    through,
)
from foley.datasets.procedural.scenery import fractal, pick, random_colour, shade, tint
from foley.datasets.procedural.sound import add_at, decay, modes, noise, peak

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Ware:
    """A breakable thing: half-widths over height from the top (-0.5) to the foot (0.5), both in heights."""

    name: str
    material: str
    clear: bool
    height: float
    profile: tuple[tuple[float, float], ...]


_DISC = tuple((float(-0.5 * np.cos(a)), float(0.5 * np.sin(a))) for a in np.linspace(0, np.pi, 15))
_WARES = (
    _Ware("plate", "ceramic", False, 0.42, _DISC),
    _Ware(
        "vase",
        "ceramic",
        False,
        0.50,
        (
            (-0.5, 0.17),
            (-0.46, 0.12),
            (-0.36, 0.1),
            (-0.25, 0.15),
            (-0.05, 0.29),
            (0.12, 0.32),
            (0.35, 0.23),
            (0.5, 0.17),
        ),
    ),
    _Ware("tumbler", "glass", True, 0.42, ((-0.5, 0.33), (0.5, 0.24))),
    _Ware("pot", "clay", False, 0.42, ((-0.5, 0.48), (-0.32, 0.48), (-0.31, 0.41), (0.5, 0.27))),
)
_WARES_HELD_OUT = (
    _Ware(
        "bowl",
        "porcelain",
        False,
        0.30,
        ((-0.5, 0.95), (-0.2, 0.88), (0.1, 0.7), (0.34, 0.42), (0.36, 0.34), (0.5, 0.38)),
    ),
    _Ware(
        "goblet",
        "crystal",
        True,
        0.50,
        (
            (-0.5, 0.24),
            (-0.3, 0.29),
            (-0.12, 0.24),
            (0.0, 0.09),
            (0.04, 0.035),
            (0.4, 0.035),
            (0.45, 0.13),
            (0.5, 0.26),
        ),
    ),
    _Ware(
        "bottle",
        "bottle-glass",
        True,
        0.54,
        ((-0.5, 0.075), (-0.44, 0.085), (-0.43, 0.065), (-0.22, 0.07), (-0.08, 0.17), (0.5, 0.18)),
    ),
    _Ware(
        "jug",
        "earthenware",
        False,
        0.46,
        ((-0.5, 0.24), (-0.35, 0.19), (-0.1, 0.32), (0.2, 0.36), (0.5, 0.22)),
    ),
)
_PITCH_HZ = {
    "ceramic": (1300.0, 0.07),
    "glass": (2900.0, 0.14),
    "clay": (620.0, 0.04),
    "porcelain": (1900.0, 0.09),
    "crystal": (3500.0, 0.18),
    "bottle-glass": (2300.0, 0.11),
    "earthenware": (850.0, 0.05),
}
_TEMPOS = {"brisk-a": (1.2, 1.6), "slow-a": (1.9, 2.5), "medium-b": (1.6, 1.9), "brisk-b": (1.05, 1.3)}
_FLOOR = 0.80
_GRAVITY = 5.0
_SPRITE_PX = 160
_SWING_S = 0.12
_N_CORNERS = 7


@dataclass(frozen=True)
class _Break:
    """One ware: where it waits, how it comes to its end, and where its shards go."""

    ware: _Ware
    sprite: NDArray[np.uint8]
    start_s: float
    contact_s: float
    release_s: float
    hold: Floats
    end: Floats
    hit: Floats
    turn: float
    shards: Floats
    centres: Floats
    colours: tuple[Colour, ...]
    landing_s: Floats
    landing: Floats
    spin: Floats
    group: NDArray[np.int64]
    force: float
    feint_s: float


def _half_width(ware: _Ware, y: Floats) -> Floats:
    at, half = np.array(ware.profile).T
    return np.asarray(np.interp(y, at, half))


def _outline(ware: _Ware) -> Floats:
    side = np.array([(half, y) for y, half in ware.profile])
    return np.concatenate([side, side[::-1] * [-1, 1]]) * ware.height


def _bake(rng: np.random.Generator, ware: _Ware) -> NDArray[np.uint8]:
    """RGBA picture of the ware, lit from the left, with a painted pattern or see-through walls."""
    widest = max(half for _, half in ware.profile)
    y = (np.arange(_SPRITE_PX)[:, None] + 0.5) / _SPRITE_PX - 0.5
    n_wide = 2 * round(widest * _SPRITE_PX)
    x = (np.arange(n_wide)[None, :] + 0.5) / _SPRITE_PX - n_wide / _SPRITE_PX / 2
    u = x / np.maximum(_half_width(ware, y), 1e-3)
    inside = np.abs(u) <= 1
    round_ = np.sqrt(np.clip(1 - u**2, 0, 1))
    base, second = np.array(random_colour(rng, 0.35, 0.95)), np.array(random_colour(rng, 0.2, 0.95))
    if ware.profile is _DISC:
        away = 2 * np.hypot(x, y)
        light = 1.0 - 0.25 * np.exp(-(((away - 0.62) / 0.05) ** 2)) + 0.15 * (x + y < -0.2) * (away > 0.62)
        mark = (np.abs(away - 0.85) < 0.06) | ((away < 0.35) & (np.cos(6 * np.arctan2(y, x)) > 0.2))
        edge = away > 0.96
    else:
        light = 0.42 + 0.45 * round_ - 0.25 * u + 0.6 * np.exp(-(((u + 0.45) / 0.09) ** 2))
        around, n_bands = np.arcsin(np.clip(u, -1, 1)), int(rng.integers(2, 5))
        style = int(rng.integers(3))
        wave = 0.06 * np.abs(((around * 2.5) % 1.0) - 0.5) if style == 1 else 0.0
        mark = np.sin((y + wave) * np.pi * 2 * n_bands) > 0.55
        if style == 2:
            mark = (np.sin(y * 26) > 0.2) & (np.sin(around * 9) > 0.2)
        edge = (np.abs(u) > 0.9) | (y < -0.47)
    colour = (
        np.where(mark[..., None], second, base) if not ware.clear else np.broadcast_to(base, (*u.shape, 3))
    )
    rgb = np.clip(colour * light[..., None], 0, 255)
    rgb = np.where(edge[..., None], rgb * 0.6 if not ware.clear else rgb + 0.6 * (255 - rgb), rgb)
    cover = np.where(edge | (light > 1.1), 235, 130) if ware.clear else np.full(u.shape, 255)
    return np.dstack([rgb, np.where(inside, cover, 0)]).astype(np.uint8)


def _shatter(
    rng: np.random.Generator, ware: _Ware, sprite: NDArray[np.uint8], n_shards: int
) -> tuple[Floats, Floats, tuple[Colour, ...]]:
    """Voronoi cells of the picture: corners about each middle, shape (n, 7, 2), middles (n, 2), colours."""
    rows, columns = np.nonzero(sprite[::3, ::3, 3])
    points = (
        np.stack([3 * columns - sprite.shape[1] / 2, 3 * rows - sprite.shape[0] / 2], axis=1) / _SPRITE_PX
    )
    seeds = points[rng.choice(len(points), n_shards, replace=False)]
    owner = np.argmin(((points[:, None] - seeds[None]) ** 2).sum(axis=2), axis=1)
    corners, middles, colours = [], [], []
    for k in range(n_shards):
        mine = points[owner == k]
        middle = mine.mean(axis=0)
        # The farthest point in each of a few directions spans the (convex) cell.
        angles = 2 * np.pi * (np.arange(_N_CORNERS) + rng.uniform(-0.3, 0.3, _N_CORNERS)) / _N_CORNERS
        ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        corners.append((mine[np.argmax((mine - middle) @ ways.T, axis=0)] - middle) * 1.05)
        middles.append(middle)
        rgb = sprite[3 * rows[owner == k], 3 * columns[owner == k], :3].mean(axis=0)
        tone = shade((float(rgb[0]), float(rgb[1]), float(rgb[2])), float(rng.uniform(0.8, 1.25)))
        colours.append(shade(tone, 1.3) if ware.clear else tone)
    return np.array(corners) * ware.height, np.array(middles) * ware.height, tuple(colours)


def _plan_break(
    rng: np.random.Generator,
    ware: _Ware,
    start_s: float,
    contact_s: float,
    x: float,
    tool: str,
    tumble: float,
) -> _Break:
    sprite = _bake(rng, ware)
    dropped = tool == "hand"
    turn = rng.uniform(-tumble, tumble) if dropped else 0.0
    low = float(place(_outline(ware), [0, 0], turn)[:, 1].max())
    end = np.array([x, _FLOOR - low])
    hold = np.array([x + rng.uniform(-0.04, 0.04), min(0.40, end[1] - 0.2)]) if dropped else end
    fall_s = float(np.sqrt(2 * (end[1] - hold[1]) / _GRAVITY))
    shards, middles, colours = _shatter(rng, ware, sprite, 22)
    middles = place(middles, [0, 0], turn)
    # High shards need longer to come down; all shards of a group land together and make one event.
    n_groups = int(rng.integers(2, 5))
    landings = np.cumsum(rng.uniform(0.14, 0.21, n_groups)) + 0.04
    rank = np.argsort(np.argsort(-middles[:, 1] + rng.normal(0, 0.08, len(middles))))
    group = np.minimum((rank / len(middles)) ** 0.75 * n_groups, n_groups - 1).astype(np.int64)
    flown_s = landings[group]
    depth = rng.uniform(-0.08, 0.13, len(middles))
    spread = (
        middles[:, 0] * rng.uniform(2.0, 4.5, len(middles)) + rng.normal(0, 0.5, len(middles))
    ) * flown_s
    landing = np.stack([end[0] + middles[:, 0] + spread, _FLOOR + depth], axis=1)
    hit = np.array([x, _FLOOR]) if dropped else np.array([x, end[1] - 0.36 * ware.height])
    return _Break(
        ware=ware,
        sprite=sprite,
        start_s=start_s,
        contact_s=contact_s,
        release_s=contact_s - fall_s if dropped else contact_s,
        hold=hold,
        end=end,
        hit=hit,
        turn=turn,
        shards=place(shards.reshape(-1, 2), [0, 0], turn).reshape(shards.shape),
        centres=middles + end,
        colours=colours,
        landing_s=contact_s + flown_s,
        landing=landing,
        spin=rng.uniform(-14, 14, len(middles)),
        group=group,
        force=float(rng.uniform(0.55, 1.0)),
        feint_s=contact_s - fall_s - rng.uniform(0.35, 0.5) if rng.random() < 0.5 else -9.0,
    )


@dataclass(frozen=True)
class _Set:
    breaks: tuple[_Break, ...]
    tool: str
    look: Look
    floor: NDArray[np.uint8]
    floor_colour: Colour
    tiles: Floats
    grout: Colour
    steel: Colour
    shaft: Colour


def _draw_floor(canvas: Canvas, made: _Set) -> None:
    canvas.textured([[-0.25, 0.66], [1.58, 0.66], [2.1, 1.12], [-0.77, 1.12]], made.floor)
    canvas.lines(made.tiles, made.grout, 0.006)
    canvas.line([[-0.6, 0.66], [1.9, 0.66]], shade(made.floor_colour, 0.5), 0.012)


def _draw_ware(canvas: Canvas, item: _Break, at: Floats, turn: float) -> None:
    half = np.array([item.sprite.shape[1] / _SPRITE_PX, 1.0]) * item.ware.height / 2
    quad = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    shadow_width = half[0] * (0.6 + 0.5 * at[1] / _FLOOR)
    canvas.ellipse([at[0], _FLOOR + 0.015], [shadow_width, 0.02], 0, (20, 20, 20), 0.35)
    if item.ware.name == "jug":
        loop = (
            np.array([[0.2, -0.32], [0.42, -0.38], [0.55, -0.2], [0.5, 0.08], [0.3, 0.22]]) * item.ware.height
        )
        canvas.line(place(loop, at, turn), shade(item.colours[0], 0.8), 0.035)
    canvas.textured(place(quad, at, turn), item.sprite)


def _draw_shards(canvas: Canvas, item: _Break, t_s: float) -> None:
    """Paint the shards in flight or at rest: pieces of a group reach the floor at the same instant."""
    since, flown = t_s - item.contact_s, item.landing_s - item.contact_s
    u = np.minimum(since / flown, 1.0)
    late = np.clip((t_s - item.landing_s) / 0.22, 0, 1)
    way = item.landing - item.centres
    rise = -0.5 * _GRAVITY * flown**2 * u * (1 - u)
    skid = 0.12 * way[:, 0] * late * (2 - late)
    # A shard that has landed hops once more, low, and lies still.
    hop = -0.10 * late * (1 - late)
    at = item.centres + way * u[:, None] + np.stack([skid, rise + hop], axis=1)
    angle = item.spin * (np.minimum(since, flown) + 0.1 * late)
    flat = np.where(late > 0, 1 - 0.5 * np.minimum(late * 2, 1), 1.0)
    tumble = np.where(u < 1, 0.35 + 0.65 * np.abs(np.cos(0.9 * angle)), 1.0)
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = item.shards[..., 0] * tumble[:, None], item.shards[..., 1]
    corners = np.stack([x * c - y * s, (x * s + y * c) * flat[:, None]], axis=2) + at[:, None]
    canvas.lines(corners + np.array([0.0, 0.006]), shade(item.colours[0], 0.35), 0.008, closed=True)
    canvas.patches(corners, item.colours)
    if since < 0.09:
        # Splinters leave the point of contact.
        ways = 2 * np.pi * np.arange(11) / 11 + item.spin[0]
        ray = np.stack([np.cos(ways), 0.7 * np.sin(ways)], axis=1)
        inner, outer = item.hit + ray * (0.03 + 1.5 * since), item.hit + ray * (0.10 + 2.4 * since)
        canvas.lines(np.stack([inner, outer], axis=1), shade(item.colours[1], 1.8), 0.008)
    for k in range(int(item.group.max()) + 1):
        fresh = t_s - float(item.landing_s[item.group == k].min())
        if 0 <= fresh < 0.12:
            spots = item.landing[item.group == k]
            hops = np.tile(spots, (3, 1)) + np.stack(
                [
                    fresh * np.sin(np.arange(3 * len(spots)) * 2.1),
                    -0.5 * fresh * np.cos(np.arange(3 * len(spots)) * 0.7),
                ],
                axis=1,
            )
            canvas.dots(hops, 0.005 * canvas.scale, shade(item.colours[1], 1.5))


def _draw_hand(canvas: Canvas, made: _Set, top: Floats, wide: float, spread: float, behind: bool) -> None:
    """Paint the hand that holds a ware by its upper edge; `spread` 0 holds, 1 has let go."""
    if behind:
        arm(canvas, top + np.array([0.05, -0.16]), top + np.array([0.28, -0.75]), 0.06, made.look)
        limb(
            canvas, top + np.array([0.03, -0.15]), top + np.array([-0.02, -0.08]), 0.085, 0.08, made.look.hand
        )
        thumb = top + np.array([wide * 0.5 + 0.04 + 0.1 * spread, 0.03 - 0.06 * spread])
        limb(canvas, top + np.array([0.06, -0.09]), thumb, 0.036, 0.028, made.look.hand)
        return
    k = np.arange(4)
    roots = np.stack([-0.075 + 0.045 * k, np.full(4, -0.1)], axis=1)
    tips = np.stack(
        [(-0.09 + 0.05 * k) * (1 + 0.8 * spread), 0.045 - 0.01 * (k - 1.5) ** 2 - 0.05 * spread], axis=1
    )
    limbs(canvas, top + np.stack([roots, tips], axis=1), [[0.032, 0.026]] * 4, [made.look.hand] * 4)


def _draw_tool(canvas: Canvas, made: _Set, t_s: float) -> None:
    """Paint hammer or mallet: it hangs above the next ware, swings down in 0.12 s and comes back."""
    times = np.array([b.contact_s for b in made.breaks])
    following = min(int(np.searchsorted(times, t_s, side="left")), len(times) - 1)
    item, before = made.breaks[following], made.breaks[max(following - 1, 0)]
    u = float(np.clip((t_s - before.contact_s - 0.2) / 0.4, 0, 1))
    hit = before.hit + (item.hit - before.hit) * u * u * (3 - 2 * u)
    since = t_s - times
    swing = np.where(
        since < 0, np.clip(1 + since / _SWING_S, 0, 1) ** 2, np.clip(1.0 - (since - 0.05) / 0.25, 0, 1)
    )
    feints = np.array([b.feint_s for b in made.breaks])
    feint = 0.55 * np.clip(1 - np.abs(t_s - feints) / 0.13, 0, 1)
    down = float(max(swing.max(), feint.max()))
    through_ = float(np.clip(since[(since >= 0) & (since < 0.3)] / 0.05, 0, 1).max(initial=0.0)) * down
    grip = hit + np.array([0.40, -0.10 - 0.12 * (1 - down)])
    turn = 0.85 * (1 - down) - 0.22 * through_ - 0.12
    head = place([[-0.40, 0.0]], grip, turn)[0]
    canvas.polygon(capsule(grip + (grip - head) * 0.25, head, 0.022, 0.018), shade(made.shaft, 0.6))
    canvas.polygon(capsule(grip + (grip - head) * 0.25, head, 0.012, 0.008), shade(made.shaft, 1.15))
    if made.tool == "hammer":
        blocks = [
            [[-0.05, -0.11], [0.045, -0.11], [0.045, 0.10], [-0.05, 0.10]],
            [[-0.06, 0.06], [0.055, 0.06], [0.055, 0.12], [-0.06, 0.12]],
        ]
        blocks.append([[-0.03, -0.10], [0.03, -0.10], [0.075, -0.2], [0.05, -0.2]])
    else:
        blocks = [
            [[-0.085, -0.14], [0.085, -0.14], [0.085, 0.13], [-0.085, 0.13]],
            [[-0.085, -0.1], [0.085, -0.1], [0.085, -0.07], [-0.085, -0.07]],
        ]
    for k, block in enumerate(blocks):
        # The striking face is at the origin of the block's lower edge.
        shape = np.array(block) - [0.0, 0.12]
        middle = shape.mean(axis=0)
        canvas.polygon(place(shape, head, turn), shade(made.steel, 0.4))
        canvas.polygon(place(middle + (shape - middle) * 0.86, head, turn), shade(made.steel, 0.8 + 0.25 * k))
        canvas.polygon(
            place(middle + (shape - middle) * [0.25, 0.8] - [0.02, 0], head, turn), shade(made.steel, 1.35)
        )
    wrist, elbow = place([[0.07, -0.03], [0.55, -0.28]], grip, turn * 0.5)
    arm(canvas, wrist, elbow, 0.055, made.look)
    fist(canvas, grip, turn, 0.19, made.look)


def _painter(made: _Set, view: Floats) -> Callable[[Canvas, float], None]:
    def draw(canvas: Canvas, t_s: float) -> None:
        seen = through(canvas, view)
        _draw_floor(seen, made)
        for item in made.breaks:
            if t_s >= item.contact_s:
                _draw_shards(seen, item, t_s)
        if made.tool != "hand":
            for item in made.breaks:
                if t_s < item.contact_s:
                    _draw_ware(seen, item, item.end, 0.0)
            _draw_tool(seen, made, t_s)
            return
        for item in made.breaks:
            # The hand brings the ware from above, may dip it without letting go, and leaves empty.
            if not item.start_s <= t_s < item.release_s + 0.45:
                continue
            come = float(np.clip((t_s - item.start_s) / 0.35, 0, 1))
            leave = float(np.clip((t_s - item.release_s - 0.1) / 0.35, 0, 1))
            dip = 0.14 * float(np.clip(1 - abs(t_s - item.feint_s) / 0.16, 0, 1))
            held = item.hold - [0, 0.75 * (1 - come) ** 2 + 0.75 * leave**2 - dip]
            top = held - [0, item.ware.height / 2]
            wide = 2 * item.ware.profile[0][1] * item.ware.height
            spread = float(np.clip((t_s - item.release_s) / 0.08, 0, 1))
            _draw_hand(seen, made, top, wide, spread, True)
            fallen = max(t_s - item.release_s, 0.0)
            if t_s < item.contact_s:
                part = fallen / (item.contact_s - item.release_s)
                at = held if fallen == 0 else item.hold + (item.end - item.hold) * part**2
                _draw_ware(seen, item, at, item.turn * part)
            _draw_hand(seen, made, top, wide, spread, False)

    return draw


def _crash() -> Callable[[Event, np.random.Generator], Wave]:
    def hit(event: Event, rng: np.random.Generator) -> Wave:
        pitch, ring_s = _PITCH_HZ[event.material]
        pitch *= rng.uniform(0.85, 1.2)
        chips = [
            modes(
                list(pitch * rng.uniform(1.2, 5.0, 4)),
                [ring_s * k for k in (0.5, 0.4, 0.3, 0.25)],
                [1, 0.8, 0.7, 0.5],
                0.09,
                rng,
            )
            * decay(0.09, 0.08, 0.0001)
            for _ in range(4)
        ]
        if event.kind == "bounce":
            out = np.zeros(round(0.16 * SAMPLE_RATE_HZ), dtype=np.float32)
            add_at(out, peak(chips[0], 1.0), 0.0)
            for at in np.sort(rng.uniform(0.002, 0.04, int(rng.integers(2, 5)))):
                chip = chips[int(rng.integers(4))]
                add_at(out, peak(chip, rng.uniform(0.2, 0.5) * (1 - at / 0.06)), float(at))
            return peak(out, event.force)
        length_s = 0.42
        ratios = np.array([1.0, 1.47, 2.09, 2.56, 3.39, 4.6])
        body = modes(
            list(pitch * ratios), list(2 * ring_s / ratios**0.5), list(1 / ratios**0.4), length_s, rng
        )
        smash = noise(body.size, rng, 0.8 * pitch, 15000) * decay(length_s, 0.12)
        knock = modes([190, 330], [0.05, 0.04], [0.7, 0.5], length_s, rng)
        out = np.asarray(peak(body, 0.6) + peak(smash, 0.9) + 0.4 * knock, dtype=np.float32)
        for at in rng.exponential(0.07, 26):
            if at < length_s - 0.1:
                add_at(
                    out,
                    peak(chips[int(rng.integers(4))], rng.uniform(0.05, 0.25) * np.exp(-at / 0.09)),
                    float(at),
                )
        return peak(out, event.force)

    return hit


def _events(made: _Set, view: Floats, duration_s: float) -> tuple[Event, ...]:
    def event(time_s: float, force: float, kind: str, item: _Break, at: Floats) -> Event:
        x, y = view @ [at[0], at[1], 1.0]
        return Event(
            float(time_s), float(np.clip(force, 0.06, 1)), kind, item.ware.material, float(x), float(y)
        )

    found = []
    for item in made.breaks:
        found.append(event(item.contact_s, item.force, "break", item, item.hit))
        for k in range(int(item.group.max()) + 1):
            mine = item.group == k
            if mine.any() and item.landing_s[mine][0] < duration_s - 0.05:
                force = item.force * 0.42 * 0.8**k
                found.append(
                    event(item.landing_s[mine][0], force, "bounce", item, item.landing[mine].mean(axis=0))
                )
    return tuple(sorted(found, key=lambda e: e.time_s))


def stage(rng: np.random.Generator, stage: Stage) -> Performance:
    """Stage a clip in which a few wares break, one after the other.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    stage : Stage
        Length, shape and side (training or held out) of the recording.

    Returns
    -------
    Performance
        Events of kind ``break`` (first contact with the floor or the tool) and ``bounce`` (a group of
        shards lands). A hand that dips the ware and a tool that stops short make motion but no event.
    """
    out = stage.held_out
    ware = pick(rng, _WARES, _WARES_HELD_OUT, out)
    way = pick(rng, ("drop", "hammer"), ("slip", "mallet"), out)
    tempo = pick(rng, ("brisk-a", "slow-a"), ("medium-b", "brisk-b"), out)
    tool = "hand" if way in ("drop", "slip") else way
    times = [rng.uniform(0.65, 1.3)]
    while len(times) < 5 and times[-1] + 1.0 < stage.duration_s - 0.5:
        times.append(times[-1] + rng.uniform(*_TEMPOS[tempo]))
    times = [float(t) for t in times if t < stage.duration_s - 0.3]
    if tool == "hand":
        places = rng.uniform(0.45, 0.9, len(times))
        starts = [max(t - rng.uniform(0.75, 1.0), -0.4) for t in times]
    else:
        # The wares stand in a row and are struck from the far end on.
        places = np.linspace(0.18, 0.98, len(times)) if len(times) > 1 else np.array([0.55])
        starts = [-9.0] * len(times)
    tumble = 0.25 if way == "drop" else 1.2
    breaks = [
        _plan_break(rng, ware, start, t, float(x), tool, tumble)
        for start, t, x in zip(starts, times, places, strict=True)
    ]
    floor = random_colour(rng, 0.25, 0.85)
    rows = 0.66 + 0.46 * np.array([0.12, 0.3, 0.55, 0.9])
    fan = np.linspace(-1.2, 1.2, int(rng.integers(5, 10)))
    across = [[[-0.8, y], [2.1, y]] for y in rows]
    along = [[[0.667 + 0.76 * k, 0.66], [0.667 + 1.2 * k, 1.12]] for k in fan]
    made = _Set(
        breaks=tuple(breaks),
        tool=tool,
        look=random_look(rng),
        floor=tint(fractal(rng, (48, 96), 1.3), shade(floor, 0.75), shade(floor, 1.15)),
        floor_colour=floor,
        tiles=np.array(along + across if rng.random() < 0.5 else along),
        grout=shade(floor, 0.6),
        steel=random_colour(rng, 0.3, 0.8, 0.4),
        shaft=random_colour(rng, 0.3, 0.8),
    )
    view = random_view(rng, stage.aspect, (0.92, 1.1), 0.04)
    return Performance(
        events=_events(made, view, stage.duration_s),
        draw=_painter(made, view),
        hit=_crash(),
        traits={"ware": ware.name, "material": ware.material, "way": way, "tempo": f"tempo-{tempo}"},
    )
