"""Clips of one length, cut from recordings, with the events that happen in them."""

import logging
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

import foley
from foley.errors import MediaError
from foley.features.onsets import OnsetConfig, detect_onsets
from foley.media.audio import fit_length
from foley.media.paths import media_path
from foley.media.video import frame_times
from foley.provenance import code_digest, file_sha256
from foley.store.manifests import Clip, Event, Recording, Split, read_rows, write_rows
from foley.store.shards import ShardReader, ShardWriter

logger = logging.getLogger(__name__)


class ClipConfig(BaseModel):
    """Length and spacing of clips."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration_s: float = Field(3.0, gt=0, description="length of a clip")
    hop_s: float = Field(3.0, gt=0, description="distance between the starts of two clips")
    sample_rate_hz: int = Field(44_100, ge=8000, description="sample rate of the clips' sound")
    most_per_recording: int | None = Field(None, ge=1, description="at most this many clips of a recording")
    min_events: int = Field(0, ge=0, description="leave out clips in which fewer events are known or heard")
    onsets: OnsetConfig = Field(OnsetConfig(), description="for recordings without annotated events")


def clip_starts(duration_s: float, config: ClipConfig) -> list[float]:
    """Starts of the clips that fit into a recording, in seconds.

    Examples
    --------
    >>> clip_starts(7.5, ClipConfig())
    [0.0, 3.0]
    >>> clip_starts(2.9, ClipConfig())
    []
    """
    slack_s = 1e-6
    n_clips = int((duration_s - config.duration_s + slack_s) // config.hop_s) + 1
    n_clips = max(n_clips, 0)
    if config.most_per_recording is not None:
        n_clips = min(n_clips, config.most_per_recording)
    return [round(number * config.hop_s, 9) for number in range(n_clips)]


def events_in_clip(events: list[Event], clip_id: str, start_s: float, duration_s: float) -> list[Event]:
    """Events of a recording that fall into a clip, on the clip's own clock."""
    return [
        event.model_copy(update={"clip_id": clip_id, "time_s": round(event.time_s - start_s, 6)})
        for event in events
        if start_s <= event.time_s < start_s + duration_s
    ]


def _detected(clip_id: str, sound: NDArray[Any], config: ClipConfig) -> list[Event]:
    return [
        Event(clip_id=clip_id, time_s=round(float(time_s), 6), kind="onset", material="", source="detected")
        for time_s in detect_onsets(sound, config.sample_rate_hz, config.onsets)
    ]


def cut_shard(
    *,
    recordings_path: str | Path,
    splits_path: str | Path,
    denoised_path: str | Path,
    events_path: str | Path,
    data_dir: str | Path,
    config: ClipConfig,
    clips_path: str | Path,
    rows_path: str | Path,
    clip_events_path: str | Path,
) -> None:
    """Cut the recordings of a shard into clips.

    No picture is copied: a clip says where in which raw file it lies, and at which times pictures
    are shown in it. A recording whose events are not known gets the onsets that are heard in its
    clips, marked ``detected``; one whose events are known and that lists none has none (steady rain).

    Parameters
    ----------
    recordings_path, splits_path, denoised_path, events_path : path
        Checked recordings, their splits, their sound, and events in recording time.
    data_dir : path
        Folder that relative raw paths start from.
    config : ClipConfig
    clips_path : path
        Shard to write: item ``audio (n_samples,)`` float32, ``frame_times_s (n,)`` float64, and the
        attributes of :class:`~foley.store.manifests.Clip` with ``sample_rate_hz``.
    rows_path, clip_events_path : path
        Tables to write: clips, and events in clip time.
    """
    splits = {row.recording_id: row.split for row in read_rows(splits_path, Split)}
    denoised = ShardReader(denoised_path)
    events: dict[str, list[Event]] = {}
    for event in read_rows(events_path, Event):
        events.setdefault(event.clip_id, []).append(event)
    n_samples = round(config.duration_s * config.sample_rate_hz)
    attributes = {
        "config": config.model_dump(mode="json"),
        "inputs": [file_sha256(path) for path in (recordings_path, splits_path, denoised_path, events_path)],
        "code": code_digest([__name__], Path(foley.__file__).parents[1]),
    }
    rows: list[Clip] = []
    clip_events: list[Event] = []
    with ShardWriter(clips_path, attributes) as shard:
        for recording in read_rows(recordings_path, Recording):
            # Left out above: a duplicate has no split, and sound that failed to decode is not there.
            if recording.recording_id not in splits or recording.recording_id not in denoised:
                logger.warning("%s left out: no split or no sound", recording.recording_id)
                continue
            try:
                times_s = frame_times(media_path(data_dir, recording.path))
            except MediaError as error:
                logger.warning("%s left out: %s", recording.recording_id, error)
                continue
            known = events.get(recording.recording_id, []) if recording.events_known else None
            audio = denoised.read(recording.recording_id, "audio")
            for number, start_s in enumerate(clip_starts(recording.duration_s, config)):
                clip_id = f"{recording.recording_id}_{number:02d}"
                first = round(start_s * config.sample_rate_hz)
                sound = fit_length(audio[first : first + n_samples], n_samples)
                inside = (times_s >= start_s - 1e-6) & (times_s < start_s + config.duration_s - 1e-6)
                if not inside.any():
                    logger.warning("%s left out: no picture in it", clip_id)
                    continue
                if not sound.any():  # the track starts later or ends sooner than the picture
                    logger.warning("%s left out: no sound in it", clip_id)
                    continue
                heard = (
                    events_in_clip(known, clip_id, start_s, config.duration_s)
                    if known is not None
                    else _detected(clip_id, sound, config)
                )
                if len(heard) < config.min_events:
                    logger.info("%s left out: %d events in it", clip_id, len(heard))
                    continue
                row = Clip(
                    clip_id=clip_id,
                    recording_id=recording.recording_id,
                    label=recording.label,
                    shard=recording.shard,
                    group=recording.group,
                    split=splits[recording.recording_id],
                    path=recording.path,
                    start_s=start_s,
                    duration_s=config.duration_s,
                    fps=recording.fps,
                )
                rows.append(row)
                clip_events += heard
                if not shard.done(clip_id):
                    arrays: dict[str, NDArray[Any]] = {
                        "audio": sound,
                        "frame_times_s": times_s[inside] - start_s,
                    }
                    shard.write(
                        clip_id, arrays, {**row.model_dump(), "sample_rate_hz": config.sample_rate_hz}
                    )
    write_rows(rows_path, Clip, rows)
    write_rows(clip_events_path, Event, clip_events)
