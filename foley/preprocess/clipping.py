"""Clips of one length, cut from recordings, with the events that happen in them.

REGNET takes films that are shorter than its clips and plays them again until 10 s are full. Its code
(``extract_audio_and_video.py``) cuts the picture to the length of the sound, loops both with FFmpeg
(``-stream_loop``), cuts at 10 s, and takes the sound out of what was encoded anew, so that sound goes
through AAC twice. With ``repeat`` the same is seen and heard here without a copy: a clip says after how
many seconds its recording begins again, sound is repeated to the sample, and whoever reads pictures
plays them again by that clock. Where we differ: a recording is as long as its picture, and its sound is
cut or filled up with silence to that length, so that the two are in step however often they come round.
The join is left as it is, there as here; onsets are looked for in one round, and repeated with it.
"""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
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

_SLACK_S = 1e-6


class ClipConfig(BaseModel):
    """Length and spacing of clips."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration_s: float = Field(3.0, gt=0, description="length of a clip")
    hop_s: float = Field(3.0, gt=0, description="distance between the starts of two clips")
    repeat: bool = Field(
        False, description="play a recording that is too short again, until the clip is full"
    )
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
    >>> clip_starts(2.9, ClipConfig(repeat=True))
    [0.0]
    """
    n_clips = int((duration_s - config.duration_s + _SLACK_S) // config.hop_s) + 1
    n_clips = max(n_clips, int(config.repeat))
    if config.most_per_recording is not None:
        n_clips = min(n_clips, config.most_per_recording)
    return [round(number * config.hop_s, 9) for number in range(n_clips)]


def clip_period_s(duration_s: float, config: ClipConfig) -> float | None:
    """Time after which a recording begins again, a whole number of samples; None if it need not.

    Examples
    --------
    >>> clip_period_s(4.0, ClipConfig(duration_s=10.0, repeat=True))
    4.0
    >>> clip_period_s(12.0, ClipConfig(duration_s=10.0, repeat=True)) is None
    True
    """
    if not config.repeat or duration_s >= config.duration_s - _SLACK_S:
        return None
    return round(duration_s * config.sample_rate_hz) / config.sample_rate_hz


def _again_s(times_s: NDArray[np.float64], period_s: float, duration_s: float) -> NDArray[np.float64]:
    """Times at which what happens at `times_s` happens in a clip of a recording played again and again."""
    starts_s = period_s * np.arange(math.ceil(duration_s / period_s))
    again_s = (starts_s[:, None] + times_s).ravel()
    return again_s[again_s < duration_s - _SLACK_S]


def events_in_clip(events: list[Event], clip_id: str, start_s: float, duration_s: float) -> list[Event]:
    """Events of a recording that fall into a clip, on the clip's own clock."""
    return [
        event.model_copy(update={"clip_id": clip_id, "time_s": round(event.time_s - start_s, 6)})
        for event in events
        if start_s <= event.time_s < start_s + duration_s
    ]


def _again(events: list[Event], period_s: float, duration_s: float) -> list[Event]:
    """Events of a clip whose recording is played again and again, in order."""
    return [
        event.model_copy(update={"time_s": round(float(time_s), 6)})
        for number in range(math.ceil(duration_s / period_s))
        for event in events
        if (time_s := number * period_s + event.time_s) < duration_s - _SLACK_S
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
            period_s = clip_period_s(recording.duration_s, config)
            taken_s = period_s or config.duration_s
            n_taken = round(taken_s * config.sample_rate_hz)
            for number, start_s in enumerate(clip_starts(recording.duration_s, config)):
                clip_id = f"{recording.recording_id}_{number:02d}"
                first = round(start_s * config.sample_rate_hz)
                sound = fit_length(audio[first : first + n_taken], n_taken)
                inside = (times_s >= start_s - _SLACK_S) & (times_s < start_s + taken_s - _SLACK_S)
                shown_s = times_s[inside] - start_s
                if not len(shown_s):
                    logger.warning("%s left out: no picture in it", clip_id)
                    continue
                if not sound.any():  # the track starts later or ends sooner than the picture
                    logger.warning("%s left out: no sound in it", clip_id)
                    continue
                heard = (
                    events_in_clip(known, clip_id, start_s, taken_s)
                    if known is not None
                    else _detected(clip_id, sound, config)
                )
                if period_s is not None:
                    sound = np.resize(sound, n_samples)  # which repeats it
                    shown_s = _again_s(shown_s, period_s, config.duration_s)
                    heard = _again(heard, period_s, config.duration_s)
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
                    period_s=period_s,
                )
                rows.append(row)
                clip_events += heard
                if not shard.done(clip_id):
                    arrays: dict[str, NDArray[Any]] = {"audio": sound, "frame_times_s": shown_s}
                    shard.write(
                        clip_id, arrays, {**row.model_dump(), "sample_rate_hz": config.sample_rate_hz}
                    )
    write_rows(rows_path, Clip, rows)
    write_rows(clip_events_path, Event, clip_events)
