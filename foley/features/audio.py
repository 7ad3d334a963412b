"""Sound features: a time-frequency representation of every clip of a shard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

import foley
from foley import registry
from foley.errors import ConfigError, StoreError
from foley.features.representations.base import ClipSettings, Settings
from foley.features.representations.levels import Levels
from foley.provenance import code_digest, file_sha256
from foley.store.shards import ShardReader, write_shard

CLEAN = {"features": "audio"}
MIXED = {"features": "audio", "background": "background"}
"""What is represented of clips, and of mixtures: the sound, and what was laid over."""


class RepresentationConfig(BaseModel):
    """A representation's kind, and the settings of that kind on the same level.

    The settings are those of the kind's own ``Config``; they are checked and filled with its
    defaults here, so ``RepresentationConfig(kind="stft").n_fft`` is there, and a misspelt key is an
    error that names it.

    Examples
    --------
    >>> RepresentationConfig(kind="stft", n_frames=100).settings.n_steps
    100
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str = "stft"

    @model_validator(mode="before")
    @classmethod
    def _checked_by_kind(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        kind = values.get("kind", "stft")
        own = {key: value for key, value in values.items() if key != "kind"}
        try:
            settings = registry.load("representations", kind).Config.model_validate(own)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return {"kind": kind, **settings.model_dump()}

    @property
    def settings(self) -> ClipSettings:
        """The kind's own settings object."""
        checked: ClipSettings = registry.load("representations", self.kind).Config(**(self.model_extra or {}))
        return checked

    @property
    def grid(self) -> Settings:
        """The same, of a kind that is made of the short-time Fourier transform; ConfigError for others."""
        settings = self.settings
        if not isinstance(settings, Settings):
            raise ConfigError(f"a representation of kind {self.kind} has no short-time Fourier transform")
        return settings


def represent(waveform: NDArray[Any], config: RepresentationConfig) -> NDArray[np.float32]:
    """Turn a waveform into the configured representation.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Mono clip in [-1, 1], of the configured length and rate.
    config : RepresentationConfig
        Kind and settings.

    Returns
    -------
    ndarray of float32, shape (n_bins, n_frames)

    Raises
    ------
    FoleyError
        If the waveform does not have the configured length.
    """
    module = registry.load("representations", config.kind)
    features: NDArray[np.float32] = module.represent(waveform, config.settings)
    return features


def to_magnitude(features: NDArray[Any], config: RepresentationConfig) -> NDArray[np.float32]:
    """Undo :func:`represent` as far as the magnitudes of the STFT.

    Parameters
    ----------
    features : ndarray of float, shape (n_bins, n_frames)
        In the configured representation.
    config : RepresentationConfig
        Kind and settings.

    Returns
    -------
    ndarray of float32, shape (n_fft // 2 + 1, n_stft_frames)
        STFT magnitudes for ``config.grid.n_fft`` and ``config.grid.hop_length``.

    Raises
    ------
    FoleyError
        If the features do not have the configured shape.
    """
    module = registry.load("representations", config.kind)
    magnitude: NDArray[np.float32] = module.to_magnitude(features, config.settings)
    return magnitude


def to_phase(features: NDArray[Any], config: RepresentationConfig) -> NDArray[np.float32] | None:
    """Phases that the representation itself holds, from which Griffin-Lim can start.

    Parameters and errors as in :func:`to_magnitude`.

    Returns
    -------
    ndarray of float32, shape (n_fft // 2 + 1, n_stft_frames), or None
        In radians; ``None`` where it holds none.
    """
    module = registry.load("representations", config.kind)
    if not hasattr(module, "to_phase"):
        return None
    phase: NDArray[np.float32] | None = module.to_phase(features, config.settings)
    return phase


def levels(config: RepresentationConfig) -> Levels | None:
    """Say what the rows are, where they are levels in decibels at known frequencies."""
    module = registry.load("representations", config.kind)
    told: Levels | None = module.levels(config.settings) if hasattr(module, "levels") else None
    return told


def to_sound(
    features: NDArray[Any],
    config: RepresentationConfig,
    *,
    n_iterations: int,
    generator: np.random.Generator,
) -> NDArray[np.float32] | None:
    """Make sound of a representation that has its own way back, without Griffin-Lim.

    Parameters
    ----------
    features, config
        And errors, as in :func:`to_magnitude`.
    n_iterations : int
        Steps, where the way back takes several.
    generator : numpy Generator
        Draws what the representation does not tell.

    Returns
    -------
    ndarray of float32, shape (n_samples,), or None
        Not limited to [-1, 1]; ``None`` where the way back goes through :func:`to_magnitude`.
    """
    module = registry.load("representations", config.kind)
    sound: NDArray[np.float32] | None = None
    if hasattr(module, "from_noise"):
        sound = module.from_noise(features, config.settings, n_iterations=n_iterations, generator=generator)
    elif hasattr(module, "to_waveform"):
        sound = module.to_waveform(features, config.settings)
    return sound


def resampled(waveform: NDArray[np.float32], rate_hz: int, wanted_hz: int) -> NDArray[np.float32]:
    """Bring sound, (n_samples,), to another sample rate (soxr, HQ); at its own it is left alone."""
    if rate_hz == wanted_hz:
        return waveform
    return np.asarray(soxr.resample(waveform, rate_hz, wanted_hz, quality="HQ"), dtype=np.float32)


def represent_at(
    waveform: NDArray[np.float32], sample_rate_hz: int, config: RepresentationConfig, clip: str
) -> NDArray[np.float32]:
    """Turn a clip of any sample rate into the configured representation.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
        Resampled where its rate is not the representation's.
    sample_rate_hz : int
        Rate of the waveform.
    config : RepresentationConfig
        Kind and settings.
    clip : str
        Who it is, for the error.

    Returns
    -------
    ndarray of float32, shape (n_bins, n_frames)

    Raises
    ------
    StoreError
        If the clip is not as long as the settings say.
    """
    settings = config.settings
    sound = resampled(waveform, sample_rate_hz, settings.sample_rate_hz)
    if len(sound) != settings.n_samples:
        raise StoreError(
            f"{clip} lasts {len(sound) / settings.sample_rate_hz:.3f} s, the representation is set up for "
            f"{settings.duration_s} s; make clips.duration_s and the representation's duration_s agree"
        )
    return represent(sound, config)


def extract_shard(
    *,
    clips_path: str | Path,
    config: RepresentationConfig,
    features_path: str | Path,
    sounds: Mapping[str, str] = CLEAN,
) -> None:
    """Compute the representation of every clip of a shard.

    Parameters
    ----------
    clips_path : path
        Shard of clips: items of sounds, each (n_samples,), and the attribute ``sample_rate_hz``. Sound
        of another rate than the representation's is resampled (soxr, HQ).
    config : RepresentationConfig
        Kind and settings.
    features_path : path
        Shard to write: the representation of each sound, (n_bins, n_frames) float32; attribute
        ``sample_rate_hz``, the representation's.
    sounds : mapping of str to str
        Name of each representation to write, and of the sound that it represents.

    Raises
    ------
    StoreError
        If a clip is not as long as the settings say; names file and clip.
    """
    clips = ShardReader(clips_path)
    root = Path(foley.__file__).parents[1]
    attributes = {
        "config": config.model_dump(mode="json"),
        "clips_sha256": file_sha256(clips_path),
        "sounds": dict(sounds),
        "code": code_digest([__name__, registry.module_name("representations", config.kind)], root),
    }

    def make(clip_id: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        rate_hz = clips.item_attributes(clip_id)["sample_rate_hz"]
        made = {
            name: represent_at(clips.read(clip_id, sound), rate_hz, config, f"{clips_path}: {clip_id}")
            for name, sound in sounds.items()
        }
        return made, {"sample_rate_hz": config.settings.sample_rate_hz}

    write_shard(features_path, attributes, clips.items, make)
