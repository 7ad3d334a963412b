"""The camera: turns a staged performance and its nuisances into frames."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas
from foley.datasets.procedural.config import VARIABLE_RATE
from foley.datasets.procedural.nuisance import Matrix, Nuisances
from foley.datasets.procedural.performance import Performance

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """How the camera is set.

    Parameters
    ----------
    width_px, height_px : int
        Frame size.
    times_s : ndarray of float64, shape (n_frames,)
        Time of each frame in the recording, rising, first one 0.
    shutter_s : float
        How long each frame is exposed, centred on its time; 0 gives frozen motion.
    n_samples : int
        Pictures averaged over the exposure; 1 gives frozen motion.
    """

    width_px: int
    height_px: int
    times_s: NDArray[np.float64]
    shutter_s: float
    n_samples: int


def frame_ticks(duration_s: float, rate: str, tick: Fraction, rng: np.random.Generator) -> NDArray[np.int64]:
    """Time stamps of the frames of a recording, in units of `tick`.

    Parameters
    ----------
    duration_s : float
        Length of the recording; every frame starts before its end.
    rate : str
        Frames per second as a fraction, or ``"variable"`` for a phone-like stream: a nominal rate
        with dropped frames, uneven intervals, or both.
    tick : Fraction
        Time base of the file in seconds.
    rng : numpy.random.Generator
        Used for the variable rate only.

    Returns
    -------
    ndarray of int64, shape (n_frames,)
    """
    if rate != VARIABLE_RATE:
        interval = 1 / Fraction(rate)
        n_frames = max(1, math.ceil(Fraction(duration_s).limit_denominator(10**6) / interval))
        return np.array([round(k * interval / tick) for k in range(n_frames)], dtype=np.int64)
    nominal = float(rng.choice([24.0, 29.97, 30.0]))
    n_frames = int(duration_s * nominal * 2)
    intervals = np.full(n_frames, 1 / nominal)
    if rng.random() < 0.7:
        intervals[rng.random(n_frames) < rng.uniform(0.05, 0.3)] *= 2
    else:
        intervals *= rng.uniform(0.75, 1.3, n_frames)
    if rng.random() < 0.4:
        intervals *= rng.uniform(0.9, 1.1, n_frames)
    times = np.concatenate([[0.0], np.cumsum(intervals)])
    return np.round(times[times < duration_s - 0.01] / float(tick)).astype(np.int64)


def film(
    performance: Performance, nuisances: Nuisances, shot: Shot, rng: np.random.Generator
) -> Iterator[tuple[float, Frame]]:
    """Film a performance frame by frame.

    Parameters
    ----------
    performance : Performance
        What happens.
    nuisances : Nuisances
        What lies in between.
    shot : Shot
        Size, time stamps and shutter.
    rng : numpy.random.Generator
        Sensor noise.

    Yields
    ------
    t_s : float
        Time of the frame.
    frame : ndarray of uint8, shape (height_px, width_px, 3)
        RGB; a new array each time.
    """
    scenery = _Scenery(performance, nuisances, shot)
    sensor = _Sensor(nuisances, shot, rng)
    for t_s in shot.times_s:
        yield float(t_s), sensor.expose(scenery.exposure(float(t_s)), float(t_s))


def picture_at(performance: Performance, nuisances: Nuisances, shot: Shot, t_s: float, seed: int) -> Frame:
    """Render the one frame at `t_s` (for contact sheets and tests); RGB uint8 (height, width, 3)."""
    scenery = _Scenery(performance, nuisances, shot)
    sensor = _Sensor(nuisances, shot, np.random.default_rng(seed))
    return sensor.expose(scenery.exposure(t_s), t_s)


def metered(performance: Performance, nuisances: Nuisances, shot: Shot) -> Nuisances:
    """Set the exposure as a camera does: aim at the mean brightness that was drawn for this take.

    Five small pictures are metered and their median is used, so a flash does not count. The gain
    is limited to a factor of 2.5 either way, so a night stays a night, and by the highlights: no
    more than a few per cent of the picture may be blown out.
    """
    small = replace(shot, width_px=round(shot.width_px * 60 / shot.height_px), height_px=60, n_samples=1)
    scenery = _Scenery(performance, nuisances, small)
    end_s = float(shot.times_s[-1])
    lumas, highlights = [], []
    for part in (0.1, 0.3, 0.5, 0.7, 0.9):
        graded = cv2.transform(scenery.exposure(part * end_s), nuisances.grade.astype(np.float32))
        lumas.append(float(np.mean((graded / 255.0) ** nuisances.gamma)))
        highlights.append(float(np.quantile(graded, 0.96)))
    # Brightness before the tone curve goes by its inverse.
    wanted = (nuisances.target_luma / 255) ** (1 / nuisances.gamma)
    measured = max(float(np.median(lumas)), 1e-3) ** (1 / nuisances.gamma)
    brightest = max(float(np.median(highlights)), 1.0)
    gain = float(np.clip(min(wanted / measured, max(250 / brightest, 1.0)), 0.4, 2.5))
    return replace(nuisances, grade=nuisances.grade * gain)


class _Scenery:
    """Paints the scene through the camera."""

    def __init__(self, performance: Performance, nuisances: Nuisances, shot: Shot) -> None:
        self._performance = performance
        self._nuisances = nuisances
        self._shot = shot
        self._still = self._backdrop(self._camera(0.0)) if nuisances.camera.still else None

    def _camera(self, t_s: float) -> Matrix:
        return self._nuisances.camera.matrix(t_s, self._shot.height_px)

    def _backdrop(self, camera: Matrix) -> Frame:
        width, height = self._shot.width_px, self._shot.height_px
        if self._performance.paints_background:
            return np.zeros((height, width, 3), np.uint8)
        # Above 300 lines a half-size warp, enlarged, is twice as fast; a backdrop is soft anyway.
        shrink = 2 if height > 300 else 1
        texture = self._nuisances.backdrop
        to_scene = np.diag([1 / texture.shape[0], 1 / texture.shape[0], 1.0])
        matrix = (camera / shrink) @ to_scene
        small = cv2.warpAffine(
            texture,
            matrix,
            (width // shrink, height // shrink),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        full = small if shrink == 1 else cv2.resize(small, (width, height))
        return np.asarray(full, dtype=np.uint8)

    def _view(self, backdrop: Frame, camera: Matrix, t_s: float) -> Frame:
        canvas = Canvas(backdrop.copy(), camera)
        if not self._performance.paints_background:
            for extra in self._nuisances.behind:
                extra(canvas, t_s)
        self._performance.draw(canvas, t_s)
        if self._performance.paints_background:
            for extra in self._nuisances.behind:
                extra(canvas, t_s)
        for extra in self._nuisances.before:
            extra(canvas, t_s)
        return canvas.image

    def exposure(self, t_s: float) -> Frame:
        """Average over the open shutter, then what stands right before the lens."""
        camera = self._camera(t_s)
        backdrop = self._still if self._still is not None else self._backdrop(camera)
        n, shutter = self._shot.n_samples, self._shot.shutter_s
        if n <= 1 or shutter <= 0:
            frame = self._view(backdrop, camera, t_s)
        else:
            offsets = ((np.arange(n) + 0.5) / n - 0.5) * shutter
            frame = self._view(backdrop, camera, t_s + offsets[0])
            for k in range(1, n):
                more = self._view(backdrop, camera, t_s + offsets[k])
                frame = cv2.addWeighted(frame, k / (k + 1), more, 1 / (k + 1), 0)
        if self._nuisances.occluders:
            height = self._shot.height_px
            screen = Canvas(frame, np.array([[height, 0, 0], [0, height, 0]], dtype=np.float64))
            for extra in self._nuisances.occluders:
                extra(screen, t_s)
        return frame


class _Sensor:
    """Lens blur, colour grade, vignette and noise."""

    _SLACK_PX = 48

    def __init__(self, nuisances: Nuisances, shot: Shot, rng: np.random.Generator) -> None:
        self._nuisances = nuisances
        self._rng = rng
        height, width = shot.height_px, shot.width_px
        self._sigma = nuisances.defocus_px * height / 240
        ramp = (np.arange(256) / 255) ** nuisances.gamma * 255
        self._curve = np.round(ramp).astype(np.uint8)[None]
        self._vignette = self._corner_mask(width, height) if nuisances.vignette > 0 else None
        self._grain: tuple[Frame, Frame] | None = None
        if nuisances.noise_std > 0:
            # One grain picture, read at a random place for each frame: noise for the price of an addition.
            shape = (height + self._SLACK_PX, width + self._SLACK_PX, 3)
            grain = rng.standard_normal(shape, dtype=np.float32) * nuisances.noise_std
            self._grain = (
                np.clip(np.round(grain), 0, 255).astype(np.uint8),
                np.clip(np.round(-grain), 0, 255).astype(np.uint8),
            )

    def _corner_mask(self, width: int, height: int) -> Frame:
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        mask = 1 - self._nuisances.vignette * np.clip((x**2 + y**2) / 2, 0, 1)
        return np.repeat(np.round(mask * 255).astype(np.uint8)[..., None], 3, axis=2)

    def expose(self, frame: Frame, t_s: float) -> Frame:
        """Frame as the file sees it."""
        if self._sigma > 0:
            size = 3 if self._sigma < 0.8 else 5
            frame = cv2.GaussianBlur(frame, (size, size), self._sigma)
        gain = self._nuisances.light.gain(t_s)
        grade = self._nuisances.grade * gain
        frame = cv2.transform(frame, grade.astype(np.float32))
        if self._vignette is not None:
            frame = cv2.multiply(frame, self._vignette, scale=1 / 255)
        frame = cv2.LUT(frame, self._curve)
        if self._grain is not None:
            height, width = frame.shape[:2]
            top, left = self._rng.integers(0, self._SLACK_PX, 2)
            window = np.s_[top : top + height, left : left + width]
            frame = cv2.subtract(cv2.add(frame, self._grain[0][window]), self._grain[1][window])
        return frame
