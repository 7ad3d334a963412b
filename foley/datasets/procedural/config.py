"""Settings of the procedural data set. Light: imports neither picture nor sound code."""

from fractions import Fraction
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

AFD_CLASSES = (
    "break",
    "car",
    "clock",
    "cutting",
    "fire",
    "footstep",
    "gunshot",
    "horse",
    "rain",
    "thunder",
    "typing",
    "waterfall",
)
"""The twelve classes of the Automatic Foley Dataset, in the order of every table."""

IMPACT_CLASSES = ("break", "clock", "cutting", "footstep", "gunshot", "horse", "thunder", "typing")
"""Classes whose sound is a row of separate events (the others have an intensity curve)."""

_ALIASES = {"chopping": "cutting"}

VARIABLE_RATE = "variable"
"""Name of the frame rate that is none: every frame has its own duration."""


def canonical_label(label: str) -> str:
    """Give the label that the data set uses for `label` (FoleyGAN's Chopping is Cutting).

    Parameters
    ----------
    label : str
        Class name in any case.

    Returns
    -------
    str
        One of :data:`AFD_CLASSES`.

    Raises
    ------
    ValueError
        If there is no such class; names all that exist.

    Examples
    --------
    >>> canonical_label("Chopping")
    'cutting'
    """
    name = label.strip().lower()
    name = _ALIASES.get(name, name)
    if name not in AFD_CLASSES:
        known = ", ".join([*AFD_CLASSES, *_ALIASES])
        raise ValueError(f"unknown class {label!r}: choose from {known}")
    return name


class ProceduralConfig(BaseModel):
    """What the procedural data set holds; same config, same files to the byte.

    Parameters
    ----------
    classes : tuple of str
        Labels to make; ``chopping`` is read as ``cutting``.
    recordings_per_class : int
        Recordings of each class, held-out ones included.
    held_out_fraction : float
        Share of recordings made from the held-out objects, textures and tempos, in [0, 1).
    min_duration_s, max_duration_s : float
        Bounds of a recording's length in seconds.
    frame_sizes_px : tuple of (int, int)
        Width and height to draw from; the first ones are drawn more often. Even numbers.
    frame_rates : tuple of str
        Frames per second as a fraction (``"30000/1001"``), or ``"variable"``.
    mixture : str
        Off-screen sound: ``clean`` (none), ``gauss`` (white noise), or the name of another class
        whose sound is mixed in, as in REGNET's simulated data (Chen et al. 2020, section V).
    mixture_snr_db : float
        Level of the on-screen sound over the mixed-in one in dB, RMS over the recording.
    sound_bank : path or None
        Folder with one folder of recordings per class, which replace the synthetic sound.
    seed : int
        All randomness comes from here.
    motion_blur_samples : int
        Pictures averaged for a frame of a slow-shutter recording; 1 switches motion blur off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: tuple[str, ...] = AFD_CLASSES
    recordings_per_class: int = Field(default=20, ge=1)
    held_out_fraction: float = Field(default=0.25, ge=0.0, lt=1.0)
    min_duration_s: float = Field(default=4.0, ge=1.0)
    max_duration_s: float = Field(default=8.0, le=60.0)
    frame_sizes_px: tuple[tuple[int, int], ...] = (
        (320, 240),
        (426, 240),
        (400, 300),
        (480, 270),
        (480, 360),
        (640, 360),
        (640, 480),
        (854, 480),
    )
    frame_rates: tuple[str, ...] = ("25", "30", "24", "30000/1001", "15", "50", VARIABLE_RATE)
    mixture: str = "clean"
    mixture_snr_db: float = 10.0
    sound_bank: Path | None = None
    seed: int = 0
    motion_blur_samples: int = Field(default=2, ge=1, le=16)

    @field_validator("classes")
    @classmethod
    def _known_classes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(canonical_label(label) for label in value)
        if not names or len(set(names)) != len(names):
            raise ValueError(f"classes must name at least one class and none twice, got {value}")
        return names

    @field_validator("frame_sizes_px")
    @classmethod
    def _even_sizes(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        for width, height in value:
            if width % 2 or height % 2 or height < 64 or width < height:
                raise ValueError(f"{width}x{height}: wants even numbers, at least 64 high, not upright")
        if not value:
            raise ValueError("give at least one frame size")
        return value

    @field_validator("frame_rates")
    @classmethod
    def _real_rates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if text != VARIABLE_RATE and not 5 <= Fraction(text) <= 120:
                raise ValueError(f"frame rate {text} is outside 5 to 120 fps")
        if not value:
            raise ValueError("give at least one frame rate")
        return value

    @field_validator("mixture")
    @classmethod
    def _known_mixture(cls, value: str) -> str:
        return value if value in ("clean", "gauss") else canonical_label(value)

    @model_validator(mode="after")
    def _durations_in_order(self) -> "ProceduralConfig":
        if self.min_duration_s > self.max_duration_s:
            raise ValueError(
                f"min_duration_s {self.min_duration_s} is over max_duration_s {self.max_duration_s}"
            )
        return self
