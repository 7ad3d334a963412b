"""Checking of raw files: the only judge of what can be used.

Every file is decoded to its end once. What makes it useless is a failure with a reason code; what is
merely odd is a remark, and ``check.refuse`` turns chosen remarks into failures. Media are judged by
what is decoded from them, never by their names or headers.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import soxr
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from foley.datasets.findings import (
    CheckedFile,
    Finding,
    Judgement,
    JudgementCache,
    write_details,
    write_evidence,
)
from foley.datasets.fingerprints import (
    LONGEST_S,
    PICTURE_HOP_S,
    SOUND_RATE_HZ,
    picture_word,
    sound_print,
)
from foley.errors import MediaError
from foley.media.audio import Waveform, read_audio
from foley.media.ffmpeg import MediaFacts, probe, shown
from foley.media.paths import media_path
from foley.media.reasons import OK, Reason
from foley.media.video import Picture, ShownPicture, iterate_pictures
from foley.provenance import config_digest, file_sha256
from foley.store.manifests import Failure, Medium, Recording, iterate_rows, write_rows

logger = logging.getLogger(__name__)

_LOOKED_AT_PX = 64
"""Side to which pictures are shrunk before they are compared: a spot is one pixel of these, so that
a moving finger counts and compression noise does not. Real films change by 80 of 255 and more."""
_FULL_SCALE = 0.98
_STRIP_AT = (0.1, 0.5, 0.9)
_STRIP_HEIGHT_PX = 90
_STRIP_QUALITY = 70
_USUAL_BITS = 8


class CheckConfig(BaseModel):
    """What a usable recording must have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_duration_s: float = Field(
        3.0, gt=0, description="shortest recording; at least a clip's length, unless clips.repeat"
    )
    silent_dbfs: float = Field(-70.0, lt=0, description="a track whose peak is below this is silent")
    still_change: float = Field(
        8.0, ge=0, description="a film is still when no spot of a picture ever differs more from the first"
    )
    max_cut_off_s: float = Field(0.5, ge=0, description="file ends this much before its header says: damaged")
    max_mismatch_s: float = Field(0.5, ge=0, description="picture and sound differ more in length: remarked")
    max_offset_s: float = Field(0.1, ge=0, description="sound starts this far from the picture: remarked")
    max_frozen_s: float = Field(5.0, gt=0, description="picture does not move for longer: remarked")
    black_level: int = Field(24, ge=0, le=255, description="a picture without a brighter spot is black")
    black_share: float = Field(0.05, ge=0, le=1, description="more black pictures than this: remarked")
    max_black_share: float = Field(0.9, ge=0, le=1, description="more black pictures than this: refused")
    clipped_share: float = Field(
        0.001, ge=0, le=1, description="more samples than this at full scale: remarked"
    )
    max_clipped_share: float = Field(0.25, ge=0, le=1, description="more than this at full scale: refused")
    max_damaged_share: float = Field(0.1, ge=0, le=1, description="more damaged pictures than this: refused")
    min_sample_rate_hz: int = Field(32_000, gt=0, description="sound with a lower rate is remarked")
    refuse: tuple[Reason, ...] = Field((), description="remarks that make a recording unusable here")


def check_file(path: Path, config: CheckConfig) -> Judgement:
    """Decode a file to its end and judge it; a bad file is a judgement, not an error.

    Parameters
    ----------
    path : Path
    config : CheckConfig

    Returns
    -------
    Judgement
        Holds what could be measured, also where the file cannot be used.
    """
    judgement = Judgement()
    try:
        facts = probe(path)
        judgement = replace(judgement, facts=facts, findings=_of_facts(facts, config))
        if facts.has_video:
            judgement = _look(path, facts, config, judgement)
        if facts.has_audio:
            judgement = _listen(path, facts, config, judgement)
    except MediaError as error:
        judgement = replace(judgement, findings=(*judgement.findings, _told(error, path)))
    findings = [
        replace(finding, fatal=finding.fatal or finding.code in config.refuse)
        for finding in judgement.findings
    ]
    return replace(judgement, findings=tuple(sorted(findings, key=lambda finding: not finding.fatal)))


def _told(error: MediaError, path: Path) -> Finding:
    """Turn an error into a finding; the file's name stands in a column of its own."""
    return Finding(Reason(error.reason), str(error).removeprefix(f"{shown(path)}: "))


def _of_facts(facts: MediaFacts, config: CheckConfig) -> tuple[Finding, ...]:
    """Judge what is known before anything is decoded."""
    found: list[Finding] = []
    if not facts.has_video:
        found.append(Finding(Reason.NO_VIDEO, "has no moving picture"))
    if not facts.has_audio:
        found.append(Finding(Reason.NO_AUDIO, "has no sound"))
    if facts.cut_off_s > config.max_cut_off_s:
        found.append(Finding(Reason.DECODE_ERROR, f"{facts.cut_off_s:.1f} s are missing at its end"))
    if facts.duration_s < config.min_duration_s - 1e-3:
        text = f"lasts {facts.duration_s:.2f} s, less than {config.min_duration_s} s"
        found.append(Finding(Reason.TOO_SHORT, text))
    return (*found, *(Finding(code, text, fatal=False) for code, text in _oddities(facts, config)))


def _oddities(facts: MediaFacts, config: CheckConfig) -> Iterator[tuple[Reason, str]]:
    if facts.has_audio and facts.has_video:
        if abs(facts.audio_start_s) > config.max_offset_s:
            side = "after" if facts.audio_start_s > 0 else "before"
            yield (
                Reason.SOUND_OFFSET,
                f"sound starts {abs(facts.audio_start_s):.2f} s {side} the picture",
            )
        sound_end_s = facts.audio_start_s + facts.audio_duration_s
        if abs(sound_end_s - facts.duration_s) > config.max_mismatch_s:
            yield (
                Reason.SOUND_LENGTH,
                f"sound ends at {sound_end_s:.2f} s, picture at {facts.duration_s:.2f} s",
            )
    if facts.has_audio and facts.sample_rate_hz < config.min_sample_rate_hz:
        yield Reason.SAMPLE_RATE, f"sound has {facts.sample_rate_hz} Hz"
    if facts.n_channels > 2:
        yield Reason.CHANNEL_LAYOUT, f"sound has {facts.n_channels} channels ({facts.channel_layout})"
    if facts.variable_frame_rate:
        yield Reason.VARIABLE_FRAME_RATE, f"{facts.fps:.2f} pictures a second on average"
    if facts.rotation_deg:
        yield Reason.ROTATED, f"turned by {facts.rotation_deg} degrees"
    if facts.has_video and (facts.width_px % 2 or facts.height_px % 2):
        yield Reason.ODD_SIZE, f"{facts.width_px} x {facts.height_px} pixels"
    if facts.bit_depth > _USUAL_BITS:
        yield Reason.BIT_DEPTH, f"{facts.bit_depth} bits a sample"
    if facts.dynamic_range != "standard":
        yield Reason.HIGH_DYNAMIC_RANGE, f"coded as {facts.dynamic_range.upper()}"


def _listen(path: Path, facts: MediaFacts, config: CheckConfig, so_far: Judgement) -> Judgement:
    waveform = read_audio(path, facts.sample_rate_hz)
    size = np.abs(waveform)
    peak = float(size.max(initial=0.0))
    clipped = float(np.mean(size >= _FULL_SCALE)) if len(size) else 0.0
    found = list(so_far.findings)
    if peak <= 10 ** (config.silent_dbfs / 20):
        text = f"its sound track is silent (peak {peak:.2g} of full scale)"
        found.append(Finding(Reason.SILENT, text))
    if clipped > config.clipped_share:
        ruined = clipped > config.max_clipped_share
        found.append(Finding(Reason.CLIPPED, f"{clipped:.2%} of the sound is at full scale", fatal=ruined))
    return replace(
        so_far,
        findings=tuple(found),
        measured={**so_far.measured, "peak": round(peak, 6), "clipped_share": round(clipped, 6)},
        sound_print=sound_print(_resampled(waveform, facts.sample_rate_hz)),
    )


def _resampled(waveform: Waveform, rate_hz: int) -> Waveform:
    beginning = waveform[: round(LONGEST_S * rate_hz)]
    if rate_hz == SOUND_RATE_HZ or not len(beginning):
        return beginning
    return np.asarray(soxr.resample(beginning, rate_hz, SOUND_RATE_HZ, quality="MQ"), dtype=np.float32)


@dataclass
class _Watched:
    """What is kept while a film is looked at, picture by picture."""

    still_change: float
    black_level: int
    n_pictures: int = 0
    n_black: int = 0
    n_damaged: int = 0
    last_s: float = 0.0
    change: float = 0.0
    frozen_s: float = 0.0
    words: list[int] = field(default_factory=list)
    strip: list[Picture] = field(default_factory=list)
    _first: NDArray[np.int16] | None = None
    _anchor: NDArray[np.int16] | None = None
    _anchor_s: float = 0.0

    def see(self, picture: ShownPicture, duration_s: float) -> None:
        luma = picture.luma(_LOOKED_AT_PX)
        spots = luma.astype(np.int16)
        if self._first is None or self._anchor is None:
            self._first = self._anchor = spots
        self.change = max(self.change, float(np.abs(spots - self._first).max()))
        if np.abs(spots - self._anchor).max() > self.still_change:
            self._anchor, self._anchor_s = spots, picture.time_s
        self.frozen_s = max(self.frozen_s, picture.time_s - self._anchor_s)
        self.n_pictures, self.last_s = self.n_pictures + 1, picture.time_s
        self.n_black += int(luma.max() <= self.black_level)
        self.n_damaged += picture.is_damaged
        if len(self.words) * PICTURE_HOP_S <= min(picture.time_s, LONGEST_S):
            self.words.append(picture_word(luma))
        if len(self.strip) < len(_STRIP_AT) and picture.time_s >= _STRIP_AT[len(self.strip)] * duration_s:
            self.strip.append(picture.rgb())


def _look(path: Path, facts: MediaFacts, config: CheckConfig, so_far: Judgement) -> Judgement:
    watched = _Watched(config.still_change, config.black_level)
    found = list(so_far.findings)
    try:
        for picture in iterate_pictures(path):
            watched.see(picture, facts.duration_s)
    except MediaError as error:
        found.append(_told(error, path))
    found += _seen(watched, facts, config)
    n_pictures = max(watched.n_pictures, 1)
    return replace(
        so_far,
        findings=tuple(found),
        measured={
            **so_far.measured,
            "n_pictures": watched.n_pictures,
            "change": watched.change,
            "frozen_s": round(watched.frozen_s, 6),
            "black_share": round(watched.n_black / n_pictures, 6),
            "damaged_share": round(watched.n_damaged / n_pictures, 6),
        },
        strip=_strip(watched.strip),
        picture_print=np.array(watched.words, dtype=np.uint64),
    )


def _seen(watched: _Watched, facts: MediaFacts, config: CheckConfig) -> Iterator[Finding]:
    """Judge the pictures of a film."""
    n_pictures, two_s = watched.n_pictures, 2 / max(facts.fps, 1)
    if n_pictures < 0.9 * facts.n_frames or watched.last_s < facts.duration_s - config.max_cut_off_s - two_s:
        text = f"only {n_pictures} of {facts.n_frames} pictures can be decoded"
        yield Finding(Reason.DECODE_ERROR, text)
    if not n_pictures:
        return
    if watched.n_damaged > config.max_damaged_share * n_pictures:
        text = f"{watched.n_damaged} of {n_pictures} pictures are damaged"
        yield Finding(Reason.DECODE_ERROR, text)
    elif watched.n_damaged:
        text = f"{watched.n_damaged} of {n_pictures} pictures are damaged"
        yield Finding(Reason.DAMAGED_PICTURES, text, fatal=False)
    black = watched.n_black / n_pictures
    if black > config.max_black_share:
        yield Finding(Reason.BLACK, f"{black:.0%} of its pictures are black")
    elif watched.change <= config.still_change:
        yield Finding(Reason.STILL, "its picture does not move")
    elif black > config.black_share:
        yield Finding(Reason.BLACK_PICTURES, f"{black:.0%} of its pictures are black", fatal=False)
    if watched.change > config.still_change and watched.frozen_s > config.max_frozen_s:
        yield Finding(Reason.FROZEN, f"picture does not move for {watched.frozen_s:.1f} s", fatal=False)


def _strip(pictures: Sequence[Picture]) -> bytes:
    """Lay pictures side by side in one JPEG."""
    if not pictures:
        return b""
    small = []
    for picture in pictures:
        height, width = picture.shape[:2]
        wide = min(max(1, round(width * _STRIP_HEIGHT_PX / height)), 4 * _STRIP_HEIGHT_PX)
        small.append(cv2.resize(picture, (wide, _STRIP_HEIGHT_PX), interpolation=cv2.INTER_AREA))
    whole = cv2.cvtColor(np.concatenate(small, axis=1), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, _STRIP_QUALITY])
    return data.tobytes()


def check_media(
    *,
    media_path: str,
    data_dir: str,
    config: CheckConfig,
    code: str,
    recordings_path: str,
    failures_path: str,
    details_path: str,
    evidence_path: str,
) -> None:
    """Judge every raw file of a shard; none of them ends the run.

    What was judged is kept beside `details_path` at once: a run that is killed, or a shard of which
    a few files are new, decodes only what was never judged with these settings and this code.

    Parameters
    ----------
    media_path : str
        Ledger of what was fetched.
    data_dir : str
        Folder that relative raw paths start from.
    config : CheckConfig
    code : str
        Digest of the code of checking.
    recordings_path, failures_path : str
        Tables to write, sorted by recording: usable recordings, and the others with a reason.
    details_path : str
        Lines of JSON to write: everything that was found and measured, of every file.
    evidence_path : str
        HDF5 file to write: picture strips and fingerprints.
    """
    details = Path(details_path)
    cache = JudgementCache(
        details.with_suffix(".cache.jsonl"), config_digest([config.model_dump(mode="json"), code])
    )
    recordings: list[Recording] = []
    failures: list[Failure] = []
    checked: list[CheckedFile] = []
    judgements: dict[str, Judgement] = {}
    media = sorted(iterate_rows(media_path, Medium), key=lambda medium: medium.recording_id)
    for number, medium in enumerate(media, start=1):
        judgement = judge_medium(medium, Path(data_dir), config, cache)
        judgements[medium.recording_id] = judgement
        checked.append(
            CheckedFile.of(medium.recording_id, medium.label, medium.path, medium.sha256, judgement)
        )
        result = _row(medium, judgement)
        if isinstance(result, Recording):
            recordings.append(result)
        else:
            logger.warning("%s: %s (%s)", result.recording_id, result.reason, result.detail)
            failures.append(result)
        if number % 100 == 0:
            logger.info("%d of %d checked", number, len(media))
    write_rows(recordings_path, Recording, recordings)
    write_rows(failures_path, Failure, failures)
    write_details(details, checked)
    write_evidence(evidence_path, judgements)
    cache.keep_only(medium.sha256 for medium in media)


def judge_medium(
    medium: Medium,
    data_dir: Path,
    config: CheckConfig,
    cache: JudgementCache,
    checker: Callable[[Path, CheckConfig], Judgement] = check_file,
) -> Judgement:
    """Judge one fetched file, or remember how it was judged.

    Parameters
    ----------
    medium : Medium
    data_dir : Path
        Folder that relative raw paths start from.
    config : CheckConfig
    cache : JudgementCache
        Known judgements; a new one is added.
    checker : callable
        What decodes and judges.

    Returns
    -------
    Judgement
        A file that is not the one that was acquired is refused as ``changed``.
    """
    if medium.status != OK:
        return Judgement(findings=(Finding(Reason(medium.status), medium.detail),))
    try:
        path = media_path(data_dir, medium.path)
    except MediaError as error:
        return Judgement(findings=(Finding(Reason(error.reason), str(error)),))
    if not path.is_file():
        return Judgement(findings=(Finding(Reason.MISSING_FILE, "the file is no longer there"),))
    try:
        sha256 = file_sha256(path)
        if medium.sha256 not in ("", sha256):
            return Judgement(findings=(Finding(Reason.CHANGED, "is not the file that was acquired"),))
        known = cache.get(sha256)
        judgement = known or checker(path, config)
    except Exception as error:  # one strange file must not end a run over thousands
        logger.exception("%s: unexpected error", medium.recording_id)
        return Judgement(findings=(Finding(Reason.DECODE_ERROR, f"{type(error).__name__}: {error}"),))
    if known is None and path.is_file():  # one that vanished meanwhile may come back as it was
        cache.add(sha256, judgement)
    return judgement


def _row(medium: Medium, judgement: Judgement) -> Recording | Failure:
    failure, facts = judgement.failure, judgement.facts
    if failure is not None or facts is None:
        reason = Reason.DECODE_ERROR if failure is None else failure.code
        one_line = " ".join(("" if failure is None else failure.detail).split())
        return Failure(
            recording_id=medium.recording_id,
            label=medium.label,
            path=medium.path,
            stage="check_media" if medium.status == OK else "download_media",
            reason=str(reason),
            detail="".join(char if char.isprintable() else "?" for char in one_line),
        )
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
        detail=judgement.remarks,
    )
