"""Removing steady noise from the sound of recordings.

AutoFoley section IV-A applies "a denoising algorithm" to outdoor recordings without naming it; we
use spectral gating (Sainburg, noisereduce).
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

import foley
from foley.media.audio import read_audio
from foley.media.paths import media_path
from foley.provenance import code_digest, file_sha256
from foley.store.manifests import Recording, read_rows
from foley.store.shards import write_shard


class DenoiseConfig(BaseModel):
    """How noise is removed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["none", "stationary", "non_stationary"] = "none"
    strength: float = Field(0.8, ge=0, le=1, description="share of the noise that is taken away")
    labels: tuple[str, ...] = Field((), description="only these classes; empty means all")


def denoise(waveform: NDArray[np.float32], sample_rate_hz: int, config: DenoiseConfig) -> NDArray[np.float32]:
    """Remove steady noise from a waveform.

    Parameters
    ----------
    waveform : ndarray of float32, shape (n_samples,)
    sample_rate_hz : int
    config : DenoiseConfig
        ``labels`` is not looked at here.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        In step with the input: gating shifts nothing.
    """
    if config.method == "none" or not waveform.any():
        return waveform
    import noisereduce

    cleaned = noisereduce.reduce_noise(
        y=waveform,
        sr=sample_rate_hz,
        stationary=config.method == "stationary",
        prop_decrease=config.strength,
        use_torch=False,
        n_jobs=1,
    )
    return np.asarray(cleaned, dtype=np.float32)


def denoise_shard(
    *,
    recordings_path: str | Path,
    data_dir: str | Path,
    sample_rate_hz: int,
    config: DenoiseConfig,
    denoised_path: str | Path,
) -> None:
    """Read and de-noise the sound of every recording of a shard.

    Parameters
    ----------
    recordings_path : path
        Checked recordings.
    data_dir : path
        Folder that relative raw paths start from.
    sample_rate_hz : int
        Rate wanted.
    config : DenoiseConfig
    denoised_path : path
        Shard to write: item ``audio (n_samples,)`` float32, attribute ``sample_rate_hz``.
    """
    attributes: dict[str, Any] = {
        "config": config.model_dump(mode="json"),
        "sample_rate_hz": sample_rate_hz,
        "recordings_sha256": file_sha256(recordings_path),
        "code": code_digest([__name__], Path(foley.__file__).parents[1]),
    }
    rows = {row.recording_id: row for row in read_rows(recordings_path, Recording)}

    def make(recording_id: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        row = rows[recording_id]
        waveform = read_audio(media_path(data_dir, row.path), sample_rate_hz, duration_s=row.duration_s)
        if not config.labels or row.label in config.labels:
            waveform = denoise(waveform, sample_rate_hz, config)
        return {"audio": waveform}, {"sample_rate_hz": sample_rate_hz}

    write_shard(denoised_path, attributes, rows, make)
