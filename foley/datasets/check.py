"""Checking of raw files: the only judge of what can be used."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from foley.errors import MediaError
from foley.media.audio import Waveform, read_audio
from foley.media.ffmpeg import MediaFacts, probe, shown
from foley.media.reasons import OK, Reason
from foley.media.video import iterate_frames
from foley.store.manifests import Failure, Medium, Recording, decode_path, read_rows, write_rows

logger = logging.getLogger(__name__)

_LOOKED_AT_PX = 64
"""Side to which pictures are shrunk before they are compared: a spot is one pixel of these, so that
a moving finger counts and compression noise does not. Real films change by 80 of 255 and more."""
_LISTENED_AT_HZ = 16_000


class CheckConfig(BaseModel):
    """What a usable recording must have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_duration_s: float = Field(3.0, gt=0, description="shortest recording; at least a clip's length")
    silent_dbfs: float = Field(-70.0, lt=0, description="a track whose peak is below this is silent")
    still_change: float = Field(
        8.0, ge=0, description="a film is still when no spot of a picture ever differs more from the first"
    )
    max_cut_off_s: float = Field(0.5, ge=0, description="file ends this much before its header says: damaged")
    max_mismatch_s: float = Field(0.5, ge=0, description="picture and sound differ more in length: remarked")


def check_file(path: Path, config: CheckConfig) -> tuple[MediaFacts, str]:
    """Decode a file to its end and judge it.

    Parameters
    ----------
    path : Path
    config : CheckConfig

    Returns
    -------
    facts : MediaFacts
        What is in the file.
    remark : str
        What is odd about it without making it useless; empty if nothing.

    Raises
    ------
    MediaError
        With the reason why it cannot be used.
    """
    facts = probe(path)
    name = shown(path)
    if not facts.has_video:
        raise MediaError(Reason.NO_VIDEO, f"{name}: has no moving picture")
    if not facts.has_audio:
        raise MediaError(Reason.NO_AUDIO, f"{name}: has no sound")
    if facts.cut_off_s > config.max_cut_off_s:
        raise MediaError(Reason.DECODE_ERROR, f"{name}: {facts.cut_off_s:.1f} s are missing at its end")
    if facts.duration_s < config.min_duration_s - 1e-3:
        raise MediaError(
            Reason.TOO_SHORT, f"{name}: lasts {facts.duration_s:.2f} s, less than {config.min_duration_s} s"
        )
    _listen(read_audio(path, _LISTENED_AT_HZ), name, config)
    _look(path, name, facts, config)
    return facts, _remarks(facts, config)


def _listen(waveform: Waveform, name: str, config: CheckConfig) -> None:
    peak = float(np.abs(waveform).max(initial=0.0))
    if peak <= 10 ** (config.silent_dbfs / 20):
        raise MediaError(Reason.SILENT, f"{name}: its sound track is silent (peak {peak:.2g} of full scale)")


def _look(path: Path, name: str, facts: MediaFacts, config: CheckConfig) -> None:
    first: NDArray[np.float32] | None = None
    change, n_frames, last_s = 0.0, 0, 0.0
    for time_s, picture in iterate_frames(path, size_px=_LOOKED_AT_PX):
        small = picture.mean(axis=-1, dtype=np.float32)
        first = small if first is None else first
        change = max(change, float(np.abs(small - first).max()))
        n_frames, last_s = n_frames + 1, time_s
    if n_frames < 0.9 * facts.n_frames or last_s < facts.duration_s - config.max_cut_off_s - 2 / max(
        facts.fps, 1
    ):
        raise MediaError(
            Reason.DECODE_ERROR, f"{name}: only {n_frames} of {facts.n_frames} pictures can be decoded"
        )
    if change <= config.still_change:
        raise MediaError(Reason.STILL, f"{name}: its picture does not move")


def _remarks(facts: MediaFacts, config: CheckConfig) -> str:
    remarks = []
    sound_end_s = facts.audio_start_s + facts.audio_duration_s
    if abs(sound_end_s - facts.duration_s) > config.max_mismatch_s:
        remarks.append(f"sound ends at {sound_end_s:.2f} s, picture at {facts.duration_s:.2f} s")
    if facts.rotation_deg:
        remarks.append(f"turned by {facts.rotation_deg} degrees")
    if facts.variable_frame_rate:
        remarks.append("variable frame rate")
    return "; ".join(remarks)


def check_media(
    *, media_path: str, data_dir: str, config: CheckConfig, recordings_path: str, failures_path: str
) -> None:
    """Judge every raw file of a shard; none of them ends the run.

    Parameters
    ----------
    media_path : str
        Ledger of what was fetched.
    data_dir : str
        Folder that relative raw paths start from.
    config : CheckConfig
    recordings_path, failures_path : str
        Tables to write: usable recordings, and the others with a reason.
    """
    recordings, failures = [], []
    for medium in read_rows(media_path, Medium):
        result = check_medium(medium, Path(data_dir), config)
        if isinstance(result, Recording):
            recordings.append(result)
        else:
            logger.warning("%s: %s (%s)", result.recording_id, result.reason, result.detail)
            failures.append(result)
    write_rows(recordings_path, Recording, recordings)
    write_rows(failures_path, Failure, failures)


def check_medium(
    medium: Medium,
    data_dir: Path,
    config: CheckConfig,
    checker: Callable[[Path, CheckConfig], tuple[MediaFacts, str]] = check_file,
) -> Recording | Failure:
    """Judge one fetched file.

    Returns
    -------
    Recording or Failure
        The checked recording, or why it cannot be used.
    """
    if medium.status != OK:
        return _failed(medium, "download_media", medium.status, medium.detail)
    try:
        facts, remark = checker(data_dir / decode_path(medium.path), config)
    except MediaError as error:
        return _failed(medium, "check_media", error.reason, str(error))
    except Exception as error:  # one strange file must not end a run over thousands
        logger.exception("%s: unexpected error", medium.recording_id)
        return _failed(medium, "check_media", Reason.DECODE_ERROR, f"{type(error).__name__}: {error}")
    return Recording(
        **medium.model_dump(exclude={"status", "detail"}),
        duration_s=round(facts.duration_s, 6),
        fps=round(facts.fps, 6),
        variable_frame_rate=facts.variable_frame_rate,
        width_px=facts.width_px,
        height_px=facts.height_px,
        sample_rate_hz=facts.sample_rate_hz,
        n_channels=facts.n_channels,
        status=OK,
        detail=remark,
    )


def _failed(medium: Medium, stage: str, reason: str, detail: str) -> Failure:
    one_line = " ".join(detail.split())
    return Failure(
        recording_id=medium.recording_id,
        label=medium.label,
        path=medium.path,
        stage=stage,
        reason=str(reason),
        detail="".join(char if char.isprintable() else "?" for char in one_line),
    )
