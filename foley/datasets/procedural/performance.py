"""What one procedural clip is: events, picture and sound that share one clock.

A class module stages a :class:`Performance`; the renderer films it and the sound stage records it.
All times are seconds of the recording, all positions are *scene units*: the picture is 1.0 high,
x runs from 0 to the aspect ratio, y grows downwards, so a scene looks the same at every size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foley.datasets.procedural.canvas import Canvas

SAMPLE_RATE_HZ = 48_000
"""Rate at which every procedural sound is made, before the file's own rate is chosen."""

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class Event:
    """One thing that sounds at one instant.

    Parameters
    ----------
    time_s : float
        Time of the physical event (contact, flash, key bottom) in seconds of the recording.
    force : float
        In (0, 1]; sets loudness and brightness of the hit and how hard it looks.
    kind : str
        For example ``strike``, ``bounce``, ``tick``, ``heel``, ``shot``, ``key``.
    material : str
        For example ``glass``, ``gravel``, ``carrot``; empty where it has no meaning.
    x, y : float
        Scene position of the event.
    sound_time_s : float or None
        When the sound arrives; ``None`` means at `time_s` (only thunder may differ).
    """

    time_s: float
    force: float
    kind: str
    material: str
    x: float
    y: float
    sound_time_s: float | None = None

    @property
    def heard_s(self) -> float:
        """Time at which the event is heard, in seconds."""
        return self.time_s if self.sound_time_s is None else self.sound_time_s


@dataclass(frozen=True)
class Stage:
    """What the class may know of the recording it performs in.

    Parameters
    ----------
    duration_s : float
        Length of the recording (4 to 8 s).
    aspect : float
        Width over height of the picture (4/3 to 16/9).
    held_out : bool
        True for test recordings: choose objects, textures and tempos from the held-out half.
    """

    duration_s: float
    aspect: float
    held_out: bool


@dataclass(frozen=True)
class Performance:
    """One staged scene.

    Parameters
    ----------
    events : tuple of Event
        Sorted by time; every sounding event and nothing else (traps make no event).
    draw : callable (canvas, t_s) -> None
        Paint the scene's foreground at time `t_s` over the background that is already there. Must
        be a pure function of `t_s` (it is called out of order, and several times for motion blur).
    hit : callable (event, rng) -> ndarray of float32, shape (n,)
        The sound of one event at 48 kHz. Sample 0 is the instant of the event: the attack reaches
        its first clear energy within 1 ms. Peak about ``event.force``.
    bed : callable (rng, n_samples) -> ndarray of float32, shape (n_samples,), or None
        Continuous sound that follows `intensity` (rain, fire, water, engine).
    intensity : callable (t_s array) -> array in [0, 1], or None
        Level curve of the continuous sound, for classes that have one.
    paints_background : bool
        True when `draw` covers the whole picture (sky, waterfall), so no room is drawn under it.
    traits : dict of str to str
        What was chosen (view, material, gait ...), for the manifest and the leakage test.
    """

    events: tuple[Event, ...]
    draw: Callable[[Canvas, float], None]
    hit: Callable[[Event, np.random.Generator], Wave]
    traits: dict[str, str]
    bed: Callable[[np.random.Generator, int], Wave] | None = None
    intensity: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    paints_background: bool = False


Staging = Callable[[np.random.Generator, Stage], Performance]
"""Signature of ``stage`` in every class module."""
