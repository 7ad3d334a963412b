"""Scenes of the procedural classes, staged and drawn without a film: for tests of the classes."""

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas
from foley.datasets.procedural.performance import Performance, Stage

HEIGHT_PX, ASPECT, DURATION_S = 120, 4 / 3, 6.0
CAMERA = np.array([[HEIGHT_PX, 0, 0], [0, HEIGHT_PX, 0]], dtype=np.float64)


def perform(
    module: ModuleType, seed: int, held_out: bool = False, duration_s: float = DURATION_S
) -> Performance:
    """Stage one recording of a class."""
    performance: Performance = module.stage(np.random.default_rng(seed), Stage(duration_s, ASPECT, held_out))
    return performance


def film(performance: Performance, t_s: float) -> NDArray[np.int16]:
    """Picture on a grey background, (120, 160, 3), signed so that pictures can be subtracted."""
    image = np.full((HEIGHT_PX, round(HEIGHT_PX * ASPECT), 3), 128, dtype=np.uint8)
    performance.draw(Canvas(image, CAMERA), t_s)
    return image.astype(np.int16)


def change(performance: Performance, t_s: float) -> float:
    """Mean change of the picture over the 40 ms that end at `t_s`."""
    return float(np.abs(film(performance, t_s) - film(performance, t_s - 0.04)).mean())
