"""What lies between a scene and its film: backdrop, camera, light, passers-by, lens and sensor.

Everything here is drawn without knowing the class. Only the positions of the events are used, to
keep them in the picture and uncovered, as a camera operator would.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas
from foley.datasets.procedural.performance import Event, Stage
from foley.datasets.procedural.texture import backdrop, random_palette

Matrix = NDArray[np.float64]
Extra = Callable[[Canvas, float], None]


@dataclass(frozen=True)
class Sway:
    """Sum of slow sines, for hands that shake and things that drift.

    Parameters
    ----------
    amplitudes, rates_hz, phases : ndarray of float64, shape (n_terms,)
        Terms of the sum.
    """

    amplitudes: NDArray[np.float64]
    rates_hz: NDArray[np.float64]
    phases: NDArray[np.float64]

    def at(self, t_s: float) -> float:
        """Value at time `t_s`."""
        return float(np.sum(self.amplitudes * np.sin(2 * np.pi * self.rates_hz * t_s + self.phases)))


def random_sway(rng: np.random.Generator, amplitude: float, slowest_hz: float, fastest_hz: float) -> Sway:
    """Draw a sway of four terms whose sum stays within about `amplitude`."""
    rates = np.exp(rng.uniform(np.log(slowest_hz), np.log(fastest_hz), 4))
    return Sway(amplitude * rng.dirichlet(np.ones(4)), rates, rng.uniform(0, 2 * np.pi, 4))


@dataclass(frozen=True)
class CameraPath:
    """Where the lens points over time; the view never leaves the scene.

    Parameters
    ----------
    aspect : float
        Width over height of picture and scene.
    duration_s : float
        Time in which pan and zoom run from start to end.
    start, end : tuple of float
        Centre x, centre y (scene units) and magnification (>= 1) at both ends.
    shake_x, shake_y, roll_rad : Sway
        Hand-held motion.
    roll_offset_rad : float
        Constant tilt.
    """

    aspect: float
    duration_s: float
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    shake_x: Sway
    shake_y: Sway
    roll_rad: Sway
    roll_offset_rad: float
    still: bool

    def matrix(self, t_s: float, height_px: int) -> Matrix:
        """Affine map from scene units to pixels at time `t_s`, shape (2, 3)."""
        part = min(max(t_s / self.duration_s, 0.0), 1.0)
        part = part * part * (3 - 2 * part)
        x, y, zoom = (a + (b - a) * part for a, b in zip(self.start, self.end, strict=True))
        x, y = x + self.shake_x.at(t_s), y + self.shake_y.at(t_s)
        roll = self.roll_offset_rad + self.roll_rad.at(t_s)
        cos, sin = np.cos(roll), abs(np.sin(roll))
        zoom = max(zoom, (self.aspect * cos + sin) / self.aspect, cos + self.aspect * sin)
        half_x = (self.aspect * cos + sin) / (2 * zoom)
        half_y = (cos + self.aspect * sin) / (2 * zoom)
        x = min(max(x, half_x), self.aspect - half_x)
        y = min(max(y, half_y), 1 - half_y)
        turn = np.array([[cos, -np.sin(roll)], [np.sin(roll), cos]]) * (zoom * height_px)
        middle = np.array([self.aspect / 2, 0.5]) * height_px
        return np.concatenate([turn, (middle - turn @ np.array([x, y]))[:, None]], axis=1)


@dataclass(frozen=True)
class Light:
    """Brightness over time.

    Parameters
    ----------
    kind : str
        ``steady``, ``drift``, ``cloud`` or ``switch``.
    depth : float
        How far brightness goes down or up, about [-0.4, 0.4].
    at_s, rate_hz : float
        Moment of the change, or rate of the drift.
    """

    kind: str
    depth: float
    at_s: float
    rate_hz: float

    def gain(self, t_s: float) -> float:
        """Factor on linear brightness at time `t_s`."""
        match self.kind:
            case "drift":
                return 1 + self.depth * float(np.sin(2 * np.pi * self.rate_hz * t_s + self.at_s))
            case "cloud":
                return 1 - abs(self.depth) * float(np.exp(-(((t_s - self.at_s) / 0.8) ** 2)))
            case "switch":
                return 1 + self.depth / (1 + float(np.exp(-(t_s - self.at_s) / 0.06)))
            case _:
                return 1.0


@dataclass(frozen=True)
class Nuisances:
    """One draw of everything that is independent of the class.

    Parameters
    ----------
    backdrop : ndarray of uint8, shape (h, w, 3)
        RGB picture of the whole scene rectangle.
    camera : CameraPath
        View over time.
    light : Light
        Brightness over time.
    behind, before : tuple of callable (canvas, t_s) -> None
        Silent movers behind and in front of the scene.
    occluders : tuple of callable (canvas, t_s) -> None
        Dark things at the rim of the picture; painted in screen units (height 1).
    grade : ndarray of float64, shape (3, 4)
        Affine colour map (white balance, saturation, contrast, tint), on [0, 255].
    target_luma : float
        Mean brightness in [0, 255] that the camera's exposure meter aims at.
    gamma : float
        Exponent on brightness after the grade.
    vignette : float
        Darkening of the corners in [0, 1].
    defocus_px : float
        Standard deviation of the lens blur at 240 lines, in pixels.
    noise_std : float
        Standard deviation of the sensor noise in 8-bit steps.
    traits : dict of str to str
        Names of what was chosen.
    """

    backdrop: NDArray[np.uint8]
    camera: CameraPath
    light: Light
    behind: tuple[Extra, ...]
    before: tuple[Extra, ...]
    occluders: tuple[Extra, ...]
    grade: NDArray[np.float64]
    target_luma: float
    gamma: float
    vignette: float
    defocus_px: float
    noise_std: float
    traits: dict[str, str]


def draw_nuisances(
    rng: np.random.Generator, stage: Stage, events: Sequence[Event], backdrop_px: int = 240
) -> Nuisances:
    """Draw all nuisances of one recording.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all choices.
    stage : Stage
        Length, shape and held-out flag of the recording.
    events : sequence of Event
        Only their positions are used.
    backdrop_px : int
        Height of the backdrop picture.

    Returns
    -------
    Nuisances
    """
    spots = np.array([[event.x, event.y] for event in events]).reshape(-1, 2)
    kind, picture = backdrop(rng, backdrop_px, stage.aspect, stage.held_out)
    softness = rng.choice([0.0, 0.8, 2.0, 4.0])
    if softness > 0:
        picture = cv2.GaussianBlur(picture, (0, 0), softness)
    camera_kind, camera = _camera(rng, stage, spots)
    light_kind = str(rng.choice(["steady", "drift", "cloud", "switch"], p=[0.55, 0.2, 0.15, 0.1]))
    light = Light(
        light_kind,
        float(rng.uniform(-0.3, 0.3)),
        float(rng.uniform(0, stage.duration_s)),
        float(rng.uniform(0.05, 0.3)),
    )
    names, movers = _movers(rng, stage, spots)
    behind = tuple(mover for mover in movers if rng.random() < 0.6)
    before = tuple(mover for mover in movers if mover not in behind)
    rim, occluders = _occluders(rng, stage, spots)
    grade, tone = _grade(rng)
    return Nuisances(
        backdrop=picture,
        camera=camera,
        light=light,
        behind=behind,
        before=before,
        occluders=occluders,
        grade=grade,
        target_luma=float(rng.uniform(50, 122)),
        gamma=float(np.exp(rng.normal(0, 0.22))),
        vignette=float(rng.choice([0.0, rng.uniform(0.15, 0.55)])),
        defocus_px=float(rng.choice([0.0, rng.uniform(0.4, 1.0)])),
        noise_std=float(rng.choice([0.0, rng.uniform(1.0, 5.0)], p=[0.4, 0.6])),
        traits={
            "backdrop": kind,
            "camera": camera_kind,
            "light": light_kind,
            "movers": "+".join(names) or "none",
            "occluder": rim,
            "tone": tone,
        },
    )


def _camera(rng: np.random.Generator, stage: Stage, spots: Matrix) -> tuple[str, CameraPath]:
    kind = str(
        rng.choice(
            ["tripod", "handheld", "pan", "zoom", "handheld-pan"],
            p=[0.35, 0.3, 0.1, 0.1, 0.15],
        )
    )
    extent = np.array([stage.aspect, 1.0])
    # All events stay in view, with some air around them where the scene has any.
    first, last = extent / 2, extent / 2
    if len(spots):
        first, last = np.maximum(spots.min(axis=0) - 0.08, 0), np.minimum(spots.max(axis=0) + 0.08, extent)
    most = max(1.0, float(np.min(extent / np.maximum(last - first, 1e-3))))
    ends = []
    zoom = min(rng.uniform(1.0, 1.16), most)
    for _ in range(2):
        half = extent / (2 * zoom)
        low, high = np.maximum(half, last - half), np.minimum(extent - half, first + half)
        middle = (low + high) / 2
        room = np.maximum(high - low, 0) / 2
        centre = middle + room * rng.uniform(-1, 1, 2)
        ends.append((float(centre[0]), float(centre[1]), float(zoom)))
        if kind == "zoom":
            zoom = min(rng.uniform(1.0, 1.2), most)
    if "pan" not in kind and kind != "zoom":
        ends[1] = ends[0]
    shake = rng.uniform(0.004, 0.018) if "handheld" in kind else 0.0
    return kind, CameraPath(
        aspect=stage.aspect,
        duration_s=stage.duration_s,
        start=ends[0],
        end=ends[1],
        shake_x=random_sway(rng, shake, 0.3, 3.0),
        shake_y=random_sway(rng, shake, 0.3, 3.0),
        roll_rad=random_sway(rng, shake * 0.8, 0.2, 1.5),
        roll_offset_rad=float(rng.choice([0.0, rng.normal(0, 0.02)])),
        still=kind == "tripod",
    )


_TRAINING_MOVERS = ("balloon", "leaf", "bird", "lantern")
_HELD_OUT_MOVERS = ("butterfly", "pennant", "bubble", "paper-plane")


def _movers(rng: np.random.Generator, stage: Stage, spots: Matrix) -> tuple[list[str], tuple[Extra, ...]]:
    names = []
    movers = []
    for _ in range(int(rng.choice([0, 1, 2], p=[0.45, 0.35, 0.2]))):
        name = str(rng.choice(_HELD_OUT_MOVERS if stage.held_out else _TRAINING_MOVERS))
        names.append(name)
        movers.append(_mover(rng, stage, spots, name))
    return sorted(names), tuple(movers)


def _mover(rng: np.random.Generator, stage: Stage, spots: Matrix, name: str) -> Extra:
    """Something small and silent that drifts or flies on its own clock."""
    size = rng.uniform(0.03, 0.06)
    tries = np.stack([rng.uniform(0.05, stage.aspect - 0.05, 12), rng.uniform(0.05, 0.95, 12)], axis=1)
    gaps = np.linalg.norm(tries[:, None] - spots[None], axis=2).min(axis=1, initial=9.0)
    home = tries[int(gaps.argmax())]
    sway_x = random_sway(rng, 0.15, 0.1, 1.2)
    sway_y = random_sway(rng, 0.1, 0.1, 1.2)
    velocity = rng.uniform(-0.12, 0.12, 2)
    beat_hz, phase = rng.uniform(1.0, 5.0), rng.uniform(0, 6.28)
    first, second = ((float(c[0]), float(c[1]), float(c[2])) for c in random_palette(rng, 2))

    def draw(canvas: Canvas, t_s: float) -> None:
        x = home[0] + sway_x.at(t_s) + velocity[0] * (t_s - stage.duration_s / 2)
        y = home[1] + sway_y.at(t_s) + velocity[1] * (t_s - stage.duration_s / 2)
        wing = float(np.sin(2 * np.pi * beat_hz * t_s + phase))
        match name:
            case "balloon":
                canvas.line([[x, y], [x + 0.3 * size * wing, y + 2.6 * size]], second, 0.003)
                canvas.ellipse((x, y), (size * 0.8, size), 0.0, first)
                canvas.circle((x - size * 0.3, y - size * 0.35), size * 0.2, (255, 255, 255), 0.5)
            case "leaf":
                canvas.ellipse((x, y), (size, size * (0.15 + 0.3 * abs(wing))), 50 * wing, first)
            case "bird" | "butterfly":
                lift, span = wing * size * 0.8, size * (1.3 if name == "bird" else 0.8)
                for side in (-1, 1):
                    tip = [x + side * span, y - lift]
                    canvas.polygon(
                        [[x, y - size * 0.15], tip, [x + side * size * 0.2, y + size * 0.3]], first
                    )
                canvas.ellipse((x, y), (size * 0.15, size * 0.35), 0.0, second)
            case "lantern":
                hang = x + 0.5 * size * wing
                canvas.line([[x, y - 3 * size], [hang, y]], second, 0.003)
                canvas.ellipse((hang, y + size * 0.6), (size * 0.6, size * 0.8), 10 * wing, first)
                canvas.glow((hang, y + size * 0.6), size * 1.5, (90, 80, 60), 0.6)
            case "pennant":
                ripple = [
                    [x + size * u, y + size * 0.15 * np.sin(6 * u - 6.28 * beat_hz * t_s)]
                    for u in np.linspace(0, 2, 8)
                ]
                canvas.polygon([*ripple, [x, y + size]], first)
                canvas.line([[x, y - size * 0.2], [x, y + 3 * size]], second, 0.006)
            case "bubble":
                canvas.circle((x, y), size, first, 0.35)
                canvas.circle((x - size * 0.35, y - size * 0.35), size * 0.2, (255, 255, 255), 0.7)
            case _:
                tilt = 0.3 * wing
                nose = [x + size * 1.5, y + size * tilt]
                canvas.polygon([nose, [x - size, y - size * 0.6], [x - size * 0.7, y]], first)
                canvas.polygon([nose, [x - size * 0.7, y], [x - size, y + size * 0.4]], second)

    return draw


def _occluders(rng: np.random.Generator, stage: Stage, spots: Matrix) -> tuple[str, tuple[Extra, ...]]:
    """Something dark and out of focus that reaches in from the rim farthest from the events."""
    if rng.random() > 0.3:
        return "none", ()
    kind = str(rng.choice(["rail", "frond"] if stage.held_out else ["post", "twig"]))
    depth = rng.uniform(0.04, 0.12)
    tint = random_palette(rng, 1)[0] * 0.35
    colour = (float(tint[0]), float(tint[1]), float(tint[2]))
    gaps = (
        np.array([spots[:, 0].min(), (stage.aspect - spots[:, 0]).min(), spots[:, 1].min()])
        if len(spots)
        else np.ones(3)
    )
    side = int(gaps.argmax())
    sway = random_sway(rng, 0.012, 0.2, 1.0)
    leaves = rng.uniform(0, 1, (9, 3))

    def place(u: float, v: float) -> list[float]:
        """Point at `u` along the rim and `v` into the picture."""
        match side:
            case 0:
                return [v, u]
            case 1:
                return [stage.aspect - v, u]
            case _:
                return [u * stage.aspect, v]

    def draw(canvas: Canvas, t_s: float) -> None:
        shift = sway.at(t_s)
        if kind in ("post", "rail"):
            for grow in (0.0, 0.006, 0.012):
                canvas.polygon(
                    [
                        place(-0.1, depth + grow + shift),
                        place(1.1, depth + grow + shift),
                        place(1.1, -0.1),
                        place(-0.1, -0.1),
                    ],
                    colour,
                    0.55 if kind == "post" else 0.4,
                )
            return
        for along, into, turn in leaves:
            point = place(along, into * depth + shift)
            slim = 0.2 if kind == "frond" else 0.5
            canvas.ellipse(point, (depth * 0.9, depth * slim), 180 * turn, colour, 0.85)

    return kind, (draw,)


_LUMA = np.array([0.299, 0.587, 0.114])


def _grade(rng: np.random.Generator) -> tuple[NDArray[np.float64], str]:
    """White balance, saturation, hue drift, contrast; sometimes black and white or sepia."""
    tone = str(rng.choice(["colour", "tinted", "mono"], p=[0.72, 0.18, 0.1]))
    saturation = {"colour": rng.uniform(0.5, 1.25), "tinted": rng.uniform(0.15, 0.5), "mono": 0.0}[tone]
    turn = rng.normal(0, 0.3)
    axis = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    hue = np.cos(turn) * np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * axis
    grey = np.outer(np.ones(3), _LUMA)
    balance = np.exp(rng.normal(0, 0.0 if tone == "mono" else 0.15, 3))
    contrast = rng.uniform(0.7, 1.15)
    matrix = np.diag(balance) @ (grey + saturation * (hue - grey)) * contrast
    offset = 64 * (1 - contrast) + np.where(tone == "tinted", rng.normal(0, 18, 3), 0.0)
    return np.concatenate([matrix, offset[:, None]], axis=1), tone
