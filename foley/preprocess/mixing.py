"""Sound that the picture does not show, laid over the clips' own.

REGNET's simulated data (Chen et al. 2020, section V-F): "Dog-gauss" is dogs under Gaussian noise,
"Dog-fireworks" dogs under the sound of fireworks films. What was laid over is known, so it can be
measured whether a system has learned the sound that belongs to the picture, or the other one too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

import foley
from foley.errors import ConfigError
from foley.provenance import code_digest, file_sha256
from foley.seeds import numpy_generator
from foley.store.manifests import Clip, read_rows
from foley.store.shards import ShardReader, write_shard


class MixtureConfig(BaseModel):
    """What is laid over which clips.

    Examples
    --------
    >>> MixtureConfig(kind="class", label="gunshot").covers("footstep")
    True
    >>> MixtureConfig(kind="class", label="gunshot").covers("gunshot")
    False
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["noise", "class"] = Field(description="Gaussian noise, or the sound of other clips")
    std: float | None = Field(None, gt=0, description="of the noise, full scale is 1; REGNET: 0.1")
    label: str | None = Field(None, description="whose clips' sound is laid over")
    level_db: float | None = Field(
        None,
        description="RMS of what is laid over, relative to the clip's; null: as it is",
    )
    over: tuple[str, ...] = Field((), description="only over clips of these classes; empty means all")

    @model_validator(mode="after")
    def _fits_kind(self) -> "MixtureConfig":
        if self.kind == "class" and self.label is None:
            raise ValueError("a mixture of kind class needs label")
        if self.kind == "noise" and (self.std is None) == (self.level_db is None):
            raise ValueError("a mixture of kind noise needs either std or level_db")
        foreign = {"noise": "label", "class": "std"}[self.kind]
        if getattr(self, foreign) is not None:
            raise ValueError(f"a mixture of kind {self.kind} has no {foreign}")
        if self.label in self.over:
            raise ValueError(f"over: {self.label!r} is the class that is laid over the others")
        return self

    def covers(self, label: str) -> bool:
        """Whether clips of a class are mixed; those of the mixture's own class never are."""
        return label != self.label and (not self.over or label in self.over)


def at_level(
    background: NDArray[np.float32], waveform: NDArray[np.float32], level_db: float | None
) -> NDArray[np.float32]:
    """Bring a background to a level relative to a clip.

    Parameters
    ----------
    background, waveform : ndarray of float32, shape (n_samples,)
    level_db : float or None
        RMS of the background over RMS of the waveform; None changes nothing.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Silent where the waveform is silent and a level is asked for; a silent background stays so.
    """
    loudness = float(np.sqrt(np.mean(np.square(background, dtype=np.float64))))
    if level_db is None or loudness == 0:
        return background
    wanted = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) * 10 ** (level_db / 20)
    return np.asarray(background * (wanted / loudness), dtype=np.float32)


def mix_shard(
    *,
    clips_path: str | Path,
    all_clips_path: str | Path,
    rows_path: str | Path,
    mixture: str,
    config: MixtureConfig,
    seed: int,
    mixed_path: str | Path,
) -> None:
    """Lay a mixture's sound over the clips of a shard.

    Parameters
    ----------
    clips_path : path
        Shard of clips: item ``audio (n_samples,)``.
    all_clips_path, rows_path : path
        Clips of all shards and their table: what other clips' sound is taken from. A clip's background
        is of its own split, so that no test sound is heard in training.
    mixture : str
        Name of the mixture, for its random numbers.
    config : MixtureConfig
    seed : int
        Configured seed.
    mixed_path : path
        Shard to write: item ``audio (n_samples,)``, the sum, and ``background (n_samples,)``, what was
        laid over, both float32 and not limited to [-1, 1]; attributes those of the clip, and
        ``background_clip``, the clip that was laid over ("" for noise). Clips that the mixture does
        not cover are left out.

    Raises
    ------
    ConfigError
        If no clip has a label that the mixture names, or a split has none to take sound from.
    """
    clips, every = ShardReader(clips_path), ShardReader(all_clips_path)
    rows = {row.clip_id: row for row in read_rows(rows_path, Clip)}
    _check_labels(mixture, config, sorted({row.label for row in rows.values()}))
    sources: dict[str, list[str]] = {}
    for row in rows.values():
        if row.label == config.label:
            sources.setdefault(row.split, []).append(row.clip_id)
    attributes = {
        "config": config.model_dump(mode="json"),
        "seeds": [seed, mixture],
        "inputs": [file_sha256(path) for path in (clips_path, all_clips_path, rows_path)],
        "code": code_digest([__name__], Path(foley.__file__).parents[1]),
    }

    def make(clip_id: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        waveform = clips.read(clip_id, "audio")
        generator = numpy_generator(seed, "mixture", mixture, clip_id)
        source = ""
        if config.kind == "class":
            split = rows[clip_id].split
            if split not in sources:
                raise ConfigError(
                    f"mixtures.{mixture}.label: no clip of the {split} split is labelled {config.label!r}; "
                    "ask for more recordings, or take another class"
                )
            source = str(generator.choice(sorted(sources[split])))
            drawn = every.read(source, "audio")
        else:
            drawn = generator.normal(0.0, config.std or 1.0, len(waveform)).astype(np.float32)
        background = at_level(drawn, waveform, config.level_db)
        about = {**clips.item_attributes(clip_id), "background_clip": source}
        return {"audio": waveform + background, "background": background}, about

    covered = [clip_id for clip_id in clips.items if config.covers(rows[clip_id].label)]
    write_shard(mixed_path, attributes, covered, make)


def _check_labels(mixture: str, config: MixtureConfig, known: Sequence[str]) -> None:
    named = {"over": list(config.over), "label": [config.label] if config.label is not None else []}
    for key, labels in named.items():
        for label in labels:
            if label not in known:
                raise ConfigError(
                    f"mixtures.{mixture}.{key}: no clip is labelled {label!r}; there are {', '.join(known)}"
                )
