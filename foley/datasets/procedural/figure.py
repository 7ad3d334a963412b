"""Shared parts of staged scenes: colours, limbs, steps, paced times and a scrolling ground."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from foley.datasets.procedural.canvas import Canvas, Colour
from foley.datasets.procedural.scenery import random_colour, shade

Points = NDArray[np.float64]

_HALF_RING = np.stack(
    [np.cos(np.linspace(-np.pi / 2, np.pi / 2, 8)), np.sin(np.linspace(-np.pi / 2, np.pi / 2, 8))], axis=1
)


def skin_colour(rng: np.random.Generator) -> Colour:
    """Draw a skin tone from very dark to very fair, under a random light."""
    hsv = np.array([[[rng.uniform(5, 32), rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.97)]]], np.float32)
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * 255 * rng.uniform(0.85, 1.0, 3)
    return float(rgb[0]), float(rgb[1]), float(rgb[2])


def apart(rng: np.random.Generator, low: float, high: float, held_out: bool) -> float:
    """Draw from the middle third of [`low`, `high`] for a held-out recording, else from the outer thirds."""
    third = (high - low) / 3
    if held_out:
        return float(low + third * rng.uniform(1, 2))
    return float(low + third * (rng.uniform(0, 1) + 2 * rng.integers(2)))


def paced_times(
    rng: np.random.Generator,
    duration_s: float,
    period_s: float,
    jitter: float,
    run: tuple[int, int] = (3, 8),
    min_gap_s: float = 0.12,
) -> NDArray[np.float64]:
    """Instants in runs of about one `period_s`, with pauses of up to half the clip in all.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    duration_s : float
        Length of the clip; instants lie in [0.25, duration_s - 0.2].
    period_s, jitter : float
        Mean gap inside a run and its relative standard deviation.
    run : (int, int)
        Least and greatest number of gaps between two pauses.
    min_gap_s : float
        Least gap between two instants.

    Returns
    -------
    ndarray of float64, shape (n_events,)
        Increasing, never empty.
    """
    t, times = float(rng.uniform(0.3, 1.1)), []
    budget = rng.uniform(0.1, 0.5) * duration_s
    left = int(rng.integers(run[0], run[1] + 1))
    while t < duration_s - 0.2:
        times.append(t)
        left -= 1
        if left <= 0 and budget > 0.5:
            pause = float(rng.uniform(0.5, min(budget, 2.2)))
            budget -= pause
            t += pause
            left = int(rng.integers(run[0], run[1] + 1))
        t += max(min_gap_s, period_s * (1 + jitter * float(np.clip(rng.standard_normal(), -2, 2))))
    return np.array(times)


def two_bone(start: ArrayLike, end: ArrayLike, upper: float, lower: float, bend: float) -> Points:
    """Find the joint between two bones that reach from `start` to `end`.

    Returns shape (3, 2): start, joint, end (pulled in where it is out of reach). `bend` +1 puts the
    joint to the left of the way from start to end (in a picture with y down: towards +x for a leg
    that hangs), -1 to the other side.
    """
    a, b = np.asarray(start, float), np.asarray(end, float)
    way = b - a
    full = float(np.hypot(way[0], way[1])) or 1e-9
    reach = min(full, (upper + lower) * 0.999)
    direction = way / full
    along = (reach**2 + upper**2 - lower**2) / (2 * reach)
    off = np.sqrt(max(upper**2 - along**2, 0.0))
    normal = np.array([direction[1], -direction[0]])
    return np.stack([a, a + direction * along + normal * off * bend, a + direction * reach])


def smooth_outline(points: ArrayLike, n_between: int = 5) -> Points:
    """Close `points`, shape (n, 2), into a smooth outline (Catmull-Rom), shape (n * n_between, 2)."""
    p = np.asarray(points, float)
    before, after, next_but_one = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    u = np.linspace(0, 1, n_between, endpoint=False)[None, :, None]
    a, b, c, d = (q[:, None] for q in (before, p, after, next_but_one))
    curve = 0.5 * (2 * b + (c - a) * u + (2 * a - 5 * b + 4 * c - d) * u**2 + (3 * b - a - 3 * c + d) * u**3)
    return np.asarray(curve.reshape(-1, 2))


def limb(
    canvas: Canvas, joints: ArrayLike, widths: Sequence[float], colour: Colour, light: float = 0.18
) -> None:
    """Paint a tapered limb through `joints`, shape (n, 2), `widths` thick; `light` > 0 lights one side."""
    pts, size = np.asarray(joints, float), np.asarray(widths, float)
    way = np.diff(pts, axis=0)
    way /= np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9)[:, None]
    normal = way[:, ::-1] * [1, -1]
    # A half circle around each end of each part, in the part's own frame.
    ring = _HALF_RING[:, :1] * way[:, None] + _HALF_RING[:, 1:] * normal[:, None]
    near = pts[:-1, None] - 0.5 * size[:-1, None, None] * ring
    far = pts[1:, None] + 0.5 * size[1:, None, None] * ring
    canvas.polygons(np.concatenate([far, near], axis=1), shade(colour, 0.82))
    if light <= 0:
        return
    # One ribbon of light along the whole limb, so that joints do not break it.
    mean = np.concatenate([normal[:1], normal[:-1] + normal[1:], normal[-1:]])
    mean /= np.maximum(np.hypot(mean[:, 0], mean[:, 1]), 1e-9)[:, None]
    edge, core = pts + mean * size[:, None] * 0.42, pts - mean * size[:, None] * 0.06
    canvas.polygon(np.concatenate([edge, core[::-1]]), shade(colour, 1 + light))


@dataclass(frozen=True)
class Foot:
    """Where a foot is: world `x`, height `z`, swing phase `u` in [0, 1] (1 when planted), times in s."""

    x: float
    z: float
    u: float
    since_s: float
    until_s: float


@dataclass(frozen=True)
class FootTrack:
    """The path of one foot that lands at given instants and stops dead there.

    Parameters
    ----------
    lift_s, land_s, land_x : ndarray of float64, shape (n,)
        When each swing starts and ends, and the world position where it ends.
    start_x : float
        World position before the first swing.
    height : float
        Greatest height of the swing.
    """

    lift_s: NDArray[np.float64]
    land_s: NDArray[np.float64]
    land_x: NDArray[np.float64]
    start_x: float
    height: float

    def at(self, t_s: float) -> Foot:
        """Return the state at `t_s`; swings longer than 0.8 s hover in the air before they land."""
        j = int(np.searchsorted(self.land_s, t_s, side="right"))
        here = self.start_x if j == 0 else float(self.land_x[j - 1])
        since = 9.0 if j == 0 else t_s - float(self.land_s[j - 1])
        if j == self.land_s.size or t_s < self.lift_s[j]:
            until = 9.0 if j == self.land_s.size else float(self.lift_s[j]) - t_s
            return Foot(here, 0.0, 1.0, since, until)
        whole, gone = float(self.land_s[j] - self.lift_s[j]), t_s - float(self.lift_s[j])
        left, wiggle = whole - gone, 0.0
        if whole > 0.8:
            # A feint: the foot is lifted, sways in the air and only then steps.
            u = max(0.6 * min(gone / 0.3, 1.0), 1 - 0.4 * left / 0.16)
            wiggle = np.sin(2 * np.pi * 1.7 * gone) * min(gone / 0.5, 1.0, max(left - 0.16, 0.0) / 0.2)
        else:
            u = gone / whole
        x = here + (float(self.land_x[j]) - here) * u**1.4
        z = self.height * (np.sin(np.pi * u**1.5) + 0.25 * wiggle * u)
        return Foot(float(x + 0.35 * self.height * wiggle), max(float(z), 0.0), u, since, 0.0)


@dataclass(frozen=True)
class Spray:
    """Bits of ground thrown up at each contact: offsets in scene units per second."""

    speed: NDArray[np.float64]
    colour: Colour
    size: float
    life_s: float = 0.32

    def paint(self, canvas: Canvas, at: tuple[float, float], since_s: float, strength: float) -> None:
        """Paint the bits `since_s` after a contact at scene position `at`."""
        if not 0.0 <= since_s < self.life_s:
            return
        n = max(2, round(self.speed.shape[0] * strength))
        moved = self.speed[:n] * since_s
        moved[:, 1] += 1.6 * since_s**2
        points = np.asarray(at) + moved
        points[:, 1] = np.minimum(points[:, 1], at[1] + 0.02)
        age = since_s / self.life_s
        canvas.dots(points, max(1.0, self.size * canvas.scale), self.colour, 1 - 0.6 * age)
        canvas.ellipse(at, (0.05 + 0.14 * age, 0.012 + 0.04 * age), 0.0, self.colour, 0.45 * (1 - age))


def make_spray(rng: np.random.Generator, colour: Colour, n_bits: int, speed: float, size: float) -> Spray:
    """Draw the bits of a :class:`Spray`: up and to both sides."""
    angle, pace = rng.uniform(-0.85 * np.pi, -0.15 * np.pi, n_bits), rng.uniform(0.3, 1.0, n_bits) * speed
    return Spray(np.stack([np.cos(angle) * pace * 1.3, np.sin(angle) * pace], axis=1), colour, size)


@dataclass(frozen=True)
class Ground:
    """A floor in perspective that scrolls under a figure; depth 1 is where the figure walks.

    Parameters
    ----------
    layers : tuple of (ndarray of float64, shape (n, k, 3), Colour)
        Convex patches; each vertex is (across, depth, height) in scene units at depth 1.
    base : Colour
        Colour between the patches.
    contact_y : float
        Picture height of the floor at depth 1.
    centre_x : float
        Vanishing point.
    """

    layers: tuple[tuple[Points, Colour], ...]
    base: Colour
    contact_y: float
    centre_x: float

    HALF = 3.0
    NEAR, FAR = 0.55, 3.0
    EYE = 0.42

    def paint(self, canvas: Canvas, across: float = 0.0, ahead: float = 0.0) -> None:
        """Paint the floor after it has moved `across` to the left and `ahead` towards the viewer."""
        horizon = self.contact_y - self.EYE
        top = horizon + self.EYE / self.FAR
        cx = self.centre_x
        canvas.polygon([[cx - 3, top], [cx + 3, top], [cx + 3, 1.6], [cx - 3, 1.6]], self.base)
        span = self.FAR - self.NEAR
        for patches, colour in self.layers:
            middle = patches.mean(axis=1)
            dx = (middle[:, 0] - across + self.HALF) % (2 * self.HALF) - self.HALF - middle[:, 0]
            dz = (middle[:, 1] - ahead - self.NEAR) % span + self.NEAR - middle[:, 1]
            depth = np.clip(patches[..., 1] + dz[:, None], self.NEAR, self.FAR)
            x = cx + (patches[..., 0] + dx[:, None]) / depth
            y = horizon + (self.EYE - patches[..., 2]) / depth
            seen = (x.max(axis=1) > cx - 1.1) & (x.min(axis=1) < cx + 1.1) & (y.min(axis=1) < 1.1)
            canvas.polygons(np.stack([x, y], axis=2)[seen], colour)


def _pebbles(
    rng: np.random.Generator, n: int, size: tuple[float, float], tall: float, corners: int = 6
) -> Points:
    """Scatter `n` flat or domed stones over the floor; shape (n, corners, 3)."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 1, (n, 1))
    radius = rng.uniform(*size, (n, 1)) * rng.uniform(0.75, 1.2, (n, corners)) ** (6 / corners)
    depth = Ground.NEAR + (Ground.FAR - Ground.NEAR) * rng.uniform(0, 1, (n, 1)) ** 1.6
    x = rng.uniform(-Ground.HALF, Ground.HALF, (n, 1)) + radius * np.cos(angle)
    z = depth + radius * np.sin(angle)
    return np.stack([x, z, np.maximum(0, np.sin(angle + 3.14)) * radius * tall], axis=2)


def _tiles(rng: np.random.Generator, wide: float, deep: float, gap: float, stagger: bool) -> Points:
    """Lay a floor of cells with gaps; shape (n, 8, 3), corners cut off."""
    # The cells must close at the wrap, so sizes are rounded to whole numbers of cells.
    n_x = max(1, round(2 * Ground.HALF / wide))
    n_z = max(1, round((Ground.FAR - Ground.NEAR) / deep))
    w, d = 2 * Ground.HALF / n_x, (Ground.FAR - Ground.NEAR) / n_z
    hw, hd = (w - gap) / 2, (d - gap) / 2
    cut = min(hw, hd) * (0.35 if stagger else 0.02)
    sx = np.array([-hw + cut, hw - cut, hw, hw, hw - cut, -hw + cut, -hw, -hw])
    sz = np.array([-hd, -hd, -hd + cut, hd - cut, hd, hd, hd - cut, -hd + cut])
    ix, iz = np.meshgrid(np.arange(n_x), np.arange(n_z))
    x = -Ground.HALF + w * (ix.ravel() + 0.5 + (0.5 * (iz.ravel() % 2) if stagger else 0))
    z = Ground.NEAR + d * (iz.ravel() + 0.5)
    x = x[:, None] + sx + rng.uniform(-0.05, 0.05, (x.size, 1)) * cut
    return np.stack([x, z[:, None] + sz, np.zeros_like(x)], axis=2)


def make_ground(
    rng: np.random.Generator, material: str, held_out: bool, contact_y: float, centre_x: float, ahead: bool
) -> Ground:
    """Lay a floor of `material` in random colours.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    material : {"wood", "metal", "gravel", "snow", "dirt", "cobble", "turf"}
        What the floor is made of.
    held_out : bool
        Take sizes of planks, plates and stones from the held-out half.
    contact_y, centre_x : float
        See :class:`Ground`.
    ahead : bool
        True when the figure walks towards the viewer, so planks lie across its way.
    """
    base = random_colour(rng, 0.2, 0.9)
    size = rng.uniform(1.25, 1.5) if held_out else rng.uniform(0.85, 1.1)
    light, dark = shade(base, rng.uniform(1.15, 1.35)), shade(base, rng.uniform(0.6, 0.8))
    if material == "wood":
        cells = _tiles(rng, *((5.0, 0.3 * size) if ahead else (0.3 * size, 5.0)), gap=0.014, stagger=False)
        order = rng.permutation(len(cells))
        third = max(1, len(cells) // 3)
        grain = _pebbles(rng, 50, (0.004, 0.01), 0.0)
        stretch = np.array([1.0, 9.0, 1.0]) if not ahead else np.array([9.0, 1.0, 1.0])
        grain = (grain - grain.mean(axis=1, keepdims=True)) * stretch + grain.mean(axis=1, keepdims=True)
        planks = (
            (cells[order[:third]], shade(base, 1.1)),
            (cells[order[third:]], shade(base, 0.92)),
            (grain, dark),
        )
        return Ground(planks, shade(base, 0.4), contact_y, centre_x)
    if material == "metal":
        plates = _tiles(rng, 0.9 * size, 0.4 if ahead else 1.2, gap=0.02, stagger=False)
        studs = _tiles(rng, 0.26 * size, 0.4, gap=0.2 * size, stagger=True)
        return Ground(((plates, base), (studs, light)), shade(base, 0.45), contact_y, centre_x)
    if material == "cobble":
        stones = _tiles(rng, 0.3 * size, 0.3 * size, gap=0.035, stagger=True)
        order = rng.permutation(len(stones))
        half = len(stones) // 2
        layers = ((stones[order[:half]], light), (stones[order[half:]], base))
        return Ground(layers, shade(base, 0.5), contact_y, centre_x)
    if material == "gravel":
        pebbles = [_pebbles(rng, 110, (0.015 * size, 0.035 * size), 0.8) for _ in range(3)]
        return Ground(
            tuple(zip(pebbles, (dark, light, shade(base, 1.1)), strict=True)), base, contact_y, centre_x
        )
    if material == "snow":
        humps = _pebbles(rng, 40, (0.12 * size, 0.3 * size), 0.12, 12)
        glints = _pebbles(rng, 70, (0.004, 0.009), 0.0)
        return Ground(
            ((humps, shade(base, 1.06)), (glints, shade(base, 1.6))), shade(base, 0.97), contact_y, centre_x
        )
    if material == "turf":
        blades = _pebbles(rng, 240, (0.008 * size, 0.016 * size), 0.0)[:, ::2]
        blades[:, 0, 2] += rng.uniform(0.04, 0.09, len(blades)) * size
        half = len(blades) // 2
        return Ground(((blades[:half], dark), (blades[half:], light)), base, contact_y, centre_x)
    ruts = _pebbles(rng, 45, (0.05 * size, 0.12 * size), 0.0)
    stones = _pebbles(rng, 60, (0.008 * size, 0.022 * size), 0.8)
    return Ground(((ruts, shade(base, 0.86)), (stones, light)), base, contact_y, centre_x)
