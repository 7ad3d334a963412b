"""Opening, probing and muxing media with FFmpeg, by its library (PyAV) and its program.

The clock of a file is its picture's: time 0 is the instant at which the first picture is shown.
A file without a picture starts with its first sample. Containers disagree about what their own
zero means (MPEG-TS starts anywhere, edit lists shift MP4), and everything here is about keeping
sound and picture together, so no other clock is used outside this package.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from foley.errors import MediaError
from foley.media.reasons import Reason
from foley.store.files import atomic_path

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,ogg,asf,wav,w64,flac,mp3,aac,aiff,"
    "m4v,mxf,nut,ivf,yuv4mpegpipe,gif,dv,rm,caf,au"
)
_INPUT_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
"""Containers only: a playlist (HLS, DASH, concat) named ``.mp4`` could make FFmpeg read other files."""

_SIGNATURES = (
    (4, (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    (0, (b"\x1aE\xdf\xa3", b"RIFF", b"RF64", b"FLV\x01", b"OggS", b"fLaC", b"ID3", b"FORM", b"caff")),
    (0, (b"\x30\x26\xb2\x75", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\x06\x0e\x2b\x34", b".RMF")),
)
HIGH_RANGES = {16: "pq", 18: "hlg"}
"""FFmpeg's numbers for the transfer curves of high dynamic range (SMPTE ST 2084, ARIB STD-B67)."""
_N_START_PACKETS = 64
_SECTION_CODECS = {
    **{"c:v": "libx264", "preset": "veryfast", "crf": "18", "threads": "1"},
    **{"vf": "pad=ceil(iw/2)*2:ceil(ih/2)*2", "c:a": "aac", "b:a": "192k"},
}
_MOST_RATE_HZ = 384_000
_MOST_PIXELS = 1 << 27
"""Of one picture, four times what 8K has: a few bytes can ask for a picture that fills the memory."""


@dataclass(frozen=True)
class MediaFacts:
    """What is in a file; times are on the picture's clock (see the module).

    Parameters
    ----------
    container : str
        FFmpeg's name of the format, for example ``mov,mp4,m4a,3gp,3g2,mj2``.
    duration_s : float
        From the first picture to the end of the last; of the sound in a file without picture.
    has_video, has_audio : bool
        Cover art does not count as video.
    fps : float
        Mean rate, pictures per second; 0 without picture.
    variable_frame_rate : bool
        True when the distances between pictures differ by more than the container's rounding.
    n_frames : int
        Pictures that are shown.
    width_px, height_px : int
        As displayed, after the rotation that the file asks for.
    rotation_deg : int
        Counter-clockwise turn that the file asks for: 0, 90, 180 or 270.
    sample_rate_hz, n_channels : int
        Of the first sound stream; 0 without sound.
    audio_start_s, audio_duration_s : float
        Where the sound lies; it may begin before 0 (encoder priming) or late.
    video_codec, audio_codec : str
        FFmpeg's names, empty without such a stream.
    bit_depth : int
        Bits of one sample of the picture; 0 without picture.
    dynamic_range : str
        ``standard``, or how a high dynamic range is coded: ``pq`` or ``hlg``.
    channel_layout : str
        FFmpeg's name of it, for example ``stereo``; empty without sound.
    cut_off_s : float
        How much of what the header promises is missing at the end; 0 for a whole file.
    """

    container: str
    duration_s: float
    has_video: bool
    has_audio: bool
    fps: float = 0.0
    variable_frame_rate: bool = False
    n_frames: int = 0
    width_px: int = 0
    height_px: int = 0
    rotation_deg: int = 0
    sample_rate_hz: int = 0
    n_channels: int = 0
    audio_start_s: float = 0.0
    audio_duration_s: float = 0.0
    video_codec: str = ""
    audio_codec: str = ""
    bit_depth: int = 0
    dynamic_range: str = "standard"
    channel_layout: str = ""
    cut_off_s: float = 0.0


@cache
def ffmpeg_binary() -> str:
    """Path of the ffmpeg program that comes with ``imageio-ffmpeg`` (there is no ffprobe)."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def file_url(path: str | Path) -> str:
    """Name a file so that FFmpeg takes no part of it for an option, a protocol or a pattern.

    Raises
    ------
    MediaError
        ``unsafe_path`` for a name that is not text, which the ffmpeg program cannot be given.

    Examples
    --------
    >>> file_url("/films/-y 'a'.mp4")
    "file:/films/-y 'a'.mp4"
    """
    url = f"file:{Path(path).absolute()}"
    try:
        url.encode()
    except UnicodeEncodeError as error:
        raise MediaError(
            Reason.UNSAFE_PATH, f"{shown(path)}: its name is not valid UTF-8; rename it"
        ) from error
    return url


def shown(path: str | Path) -> str:
    r"""Write a file name so that it fits in one line of a message.

    Examples
    --------
    >>> shown("a\nb.mp4")
    "'a\\nb.mp4'"
    >>> shown("a b.mp4")
    'a b.mp4'
    """
    text = str(path)
    return text if text.isprintable() else repr(text)


@contextmanager
def decoding(path: str | Path) -> Iterator[None]:
    """Turn FFmpeg's errors inside the block into a MediaError that names `path`."""
    try:
        yield
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            Reason.DECODE_ERROR,
            f"{shown(path)}: cannot be decoded ({text}); fetch the file again or re-encode it",
        ) from error


@contextmanager
def open_media(path: str | Path) -> Iterator[Any]:
    """Open a file with PyAV for reading; nothing but that one file is ever read.

    Parameters
    ----------
    path : str or Path
        Any name is safe: leading dash, quotes, line breaks, undecodable bytes.

    Yields
    ------
    av.container.InputContainer

    Raises
    ------
    MediaError
        ``missing_file``, ``empty_file``, ``not_media``, or ``decode_error`` for a damaged file and
        for whatever FFmpeg raises inside the block.
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(Reason.MISSING_FILE, f"{shown(path)}: there is no such file; restore it")
    if path.stat().st_size == 0:
        raise MediaError(Reason.EMPTY_FILE, f"{shown(path)}: the file holds 0 bytes; fetch it again")
    with path.open("rb") as stream:
        try:
            # A Python file in place of its name: FFmpeg never parses the name at all.
            container = av.open(stream, options=_INPUT_OPTIONS, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError) as error:
            raise _unreadable(path, error) from error
        with container, decoding(path):
            yield container


def _unreadable(path: Path, error: Exception) -> MediaError:
    with path.open("rb") as stream:
        head = stream.read(16)
    if any(head[at:].startswith(marks) for at, marks in _SIGNATURES):
        return MediaError(
            Reason.DECODE_ERROR,
            f"{shown(path)}: begins like a media file but is damaged or cut off ({error}); fetch it again",
        )
    return MediaError(
        Reason.NOT_MEDIA,
        f"{shown(path)}: is not an audio or video file that Foley reads; replace it or remove it",
    )


def picture_stream(container: Any) -> Any:
    """First video stream that is not cover art, decoded on one thread; None without one.

    Raises
    ------
    MediaError
        ``decode_error`` when nothing can decode it.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            decoder = _decodable(container, stream).codec_context
            decoder.thread_count = 1  # jobs already fill the cores
            decoder.options = {**decoder.options, "max_pixels": str(_MOST_PIXELS)}
            return stream
    return None


def sound_stream(container: Any) -> Any:
    """First audio stream, or None.

    Raises
    ------
    MediaError
        ``decode_error`` when nothing can decode it.
    """
    stream = next(iter(container.streams.audio), None)
    return stream if stream is None else _decodable(container, stream)


def _decodable(container: Any, stream: Any) -> Any:
    if stream.codec_context is None:
        raise MediaError(
            Reason.DECODE_ERROR,
            f"{shown(container.name)}: its {stream.type} stream has an unknown codec; re-encode it",
        )
    return stream


def shown_at(item: Any) -> int | None:
    """Presentation time of a packet or frame in its time base; AVI has decoding times only."""
    stamp: int | None = item.pts if item.pts is not None else item.dts
    return stamp


def picture_start(path: str | Path) -> Fraction | None:
    """Container time of the first picture that is shown, in seconds; None without picture.

    Packets come in decoding order, so the earliest of the first few dozen is taken; those that an
    edit list hides do not count.
    """
    with open_media(path) as container:
        stream = picture_stream(container)
        if stream is None:
            return None
        shown_packets = (packet for packet in container.demux(stream) if not packet.is_discard)
        stamps = (stamp for packet in shown_packets if (stamp := shown_at(packet)) is not None)
        first = min(itertools.islice(stamps, _N_START_PACKETS), default=None)
        return None if first is None else Fraction(first * stream.time_base)


def _packet_times(container: Any, streams: list[Any]) -> dict[int, list[tuple[int, int]]]:
    """Presentation time and duration of every shown packet, by stream index."""
    found: dict[int, list[tuple[int, int]]] = {stream.index: [] for stream in streams}
    for packet in container.demux(streams):
        time = shown_at(packet)
        if time is not None and not packet.is_discard:
            found[packet.stream_index].append((time, packet.duration or 0))
    return found


def _intervals_vary(times_s: NDArray[np.float64], tick_s: float) -> bool:
    """Tell a variable frame rate from rounding: containers round times to their tick."""
    if len(times_s) < 3:
        return False
    intervals = np.diff(times_s)
    usual = float(np.median(intervals))
    return bool(np.max(np.abs(intervals - usual)) > max(0.1 * usual, 1.5 * tick_s))


def _rotation(path: Path) -> int:
    with open_media(path) as container:
        stream = picture_stream(container)
        for frame in container.decode(stream):
            return int(round(frame.rotation / 90) * 90 % 360)
    raise MediaError(
        Reason.DECODE_ERROR,
        f"{shown(path)}: not one picture can be decoded; fetch the file again or re-encode it",
    )


def probe(path: str | Path) -> MediaFacts:
    """Find out what is in a file, by reading all its packets and decoding one picture.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    MediaFacts
        Measured from time stamps; what headers say is only used to notice a cut-off file.

    Raises
    ------
    MediaError
        ``missing_file``, ``empty_file``, ``not_media``, ``decode_error``. A file without picture
        or without sound is no error here.
    """
    path = Path(path)
    with open_media(path) as container:
        picture, sound = picture_stream(container), sound_stream(container)
        streams = [stream for stream in (picture, sound) if stream is not None]
        if not streams:
            raise MediaError(Reason.NOT_MEDIA, f"{shown(path)}: holds neither picture nor sound; replace it")
        packets = _packet_times(container, streams)
        origin = 0.0
        facts: dict[str, Any] = {"container": container.format.name}
        missing: list[float] = []
        if picture is not None and packets[picture.index]:
            origin, video = _picture_facts(picture, sorted(packets[picture.index]))
            facts |= video
            missing.append(_missing_s(container, picture, origin + video["duration_s"]))
        if sound is not None and packets[sound.index]:
            audio = _sound_facts(path, sound, packets[sound.index], origin if "n_frames" in facts else None)
            facts |= audio
            end_s = origin + audio["audio_start_s"] + audio["audio_duration_s"]
            missing.append(_missing_s(container, sound, end_s))
    has_video, has_audio = "n_frames" in facts, "sample_rate_hz" in facts
    if not missing:
        raise MediaError(
            Reason.DECODE_ERROR, f"{shown(path)}: its streams are empty or cut off; fetch the file again"
        )
    facts.setdefault("duration_s", facts.get("audio_duration_s", 0.0))
    if has_video:
        turn = _rotation(path)
        if turn in (90, 270):
            facts |= {"width_px": facts["height_px"], "height_px": facts["width_px"]}
        facts["rotation_deg"] = turn
    return MediaFacts(has_video=has_video, has_audio=has_audio, cut_off_s=min(missing), **facts)


def _picture_facts(stream: Any, packets: list[tuple[int, int]]) -> tuple[float, dict[str, Any]]:
    tick_s = float(stream.time_base)
    times_s = np.array([time for time, _ in packets], dtype=np.float64) * tick_s
    intervals = np.diff(times_s)
    usual_s = float(np.median(intervals)) if len(intervals) else 0.0
    rate = stream.average_rate or stream.guessed_rate
    last_s = packets[-1][1] * tick_s or usual_s or (1.0 / float(rate) if rate else 0.0)
    span_s = float(times_s[-1] - times_s[0])
    varies = _intervals_vary(times_s, tick_s)
    fps = (len(times_s) - 1) / span_s if span_s > 0 else (float(rate) if rate else 0.0)
    context = stream.codec_context
    return float(times_s[0]), {
        "duration_s": span_s + last_s,
        # A constant rate is what the header says, when that agrees: 30000/1001 in place of 29.96998.
        "fps": float(rate) if rate and not varies and abs(float(rate) / fps - 1) < 0.005 else fps,
        "variable_frame_rate": varies,
        "n_frames": len(times_s),
        "width_px": int(context.width),
        "height_px": int(context.height),
        "video_codec": str(context.name),
        "bit_depth": int(context.format.components[0].bits) if context.format else 0,
        "dynamic_range": HIGH_RANGES.get(int(context.color_trc), "standard"),
    }


def _sound_facts(
    path: Path, stream: Any, packets: list[tuple[int, int]], origin_s: float | None
) -> dict[str, Any]:
    tick_s = float(stream.time_base)
    first_s = min(time for time, _ in packets) * tick_s
    end_s = max(time + length for time, length in packets) * tick_s
    rate = int(stream.codec_context.sample_rate or 0)
    if not 0 < rate <= _MOST_RATE_HZ:
        raise MediaError(
            Reason.DECODE_ERROR,
            f"{shown(path)}: sound at {rate} Hz: its header is damaged; fetch the file again",
        )
    return {
        "sample_rate_hz": rate,
        "n_channels": int(stream.codec_context.channels),
        "audio_start_s": first_s - (first_s if origin_s is None else origin_s),
        "audio_duration_s": end_s - first_s,
        "audio_codec": str(stream.codec_context.name),
        "channel_layout": str(stream.codec_context.layout.name),
    }


def _missing_s(container: Any, stream: Any, end_s: float) -> float:
    """How far a stream ends before what the header promises for it, in container seconds."""
    start_s = float((stream.start_time or 0) * stream.time_base)
    if stream.duration:
        promised_s = start_s + float(stream.duration * stream.time_base)
    elif container.duration:
        promised_s = ((container.start_time or 0) + container.duration) / av.time_base
    else:
        return 0.0
    return max(0.0, promised_s - end_s)


def replace_sound(
    video_in: str | Path,
    wav: str | Path,
    out: str | Path,
    *,
    keep_original: bool = True,
    codec: str | None = None,
) -> None:
    """Put a new sound track on a film; every picture packet is copied bit for bit.

    Sample 0 of `wav` is heard when the first picture is shown. The sound is padded with silence or
    cut to exactly the length of the picture. It becomes the first and default sound track; the
    sound that the film had follows, copied bit for bit.

    Parameters
    ----------
    video_in : str or Path
        Film of any container; its name may be hostile.
    wav : str or Path
        WAV file, any rate, any number of channels.
    out : str or Path
        File to make; the ending chooses the container. Written whole or not at all.
    keep_original : bool
        Keep the film's own sound tracks behind the new one.
    codec : str or None
        FFmpeg's encoder for the new sound. By default 24-bit PCM in ``.mov``, ``.mkv`` and
        ``.avi``, Opus in ``.webm``, AAC elsewhere.

    Raises
    ------
    MediaError
        ``no_video`` when there is no picture to keep, ``decode_error`` when FFmpeg cannot write
        this picture into the container that `out` names, and what :func:`probe` raises.
    """
    facts, sound = probe(video_in), probe(wav)
    if not facts.has_video:
        raise MediaError(Reason.NO_VIDEO, f"{shown(video_in)}: has no picture to put sound to; give a video")
    if not sound.has_audio:
        raise MediaError(Reason.NO_AUDIO, f"{shown(wav)}: holds no sound; give a WAV file")
    out = Path(out)
    if out.exists() and out.samefile(video_in):
        raise MediaError(
            Reason.UNSAFE_PATH, f"{shown(out)}: would overwrite the film it is made from; name another file"
        )
    n_samples = round(facts.duration_s * sound.sample_rate_hz)
    film = ffmpeg.input(file_url(video_in), **_INPUT_OPTIONS)
    fresh = (
        ffmpeg.input(file_url(wav), itsoffset=f"{_start_in_file_s(video_in):.9f}", **_INPUT_OPTIONS)
        .audio.filter("apad", whole_len=n_samples)
        .filter("atrim", end_sample=n_samples)
    )
    tracks = [film["v"], fresh]
    options: dict[str, Any] = {
        "c:v": "copy",
        "c:a:0": codec or _sound_codec(out),
        "disposition:a:0": "default",
    }
    if keep_original and facts.has_audio:
        tracks.append(film["a"])
        options |= {f"c:a:{index}": "copy" for index in range(1, 1 + _n_sound_streams(video_in))} | {
            "disposition:a:1": "0"
        }
    if options["c:a:0"] == "aac":
        options["b:a:0"] = "192k"
    with atomic_path(out) as temporary:
        run_ffmpeg(ffmpeg.output(*tracks, file_url(temporary), **options), out)


def _start_in_file_s(path: str | Path) -> float:
    """Time from the container's start to the first picture: what ffmpeg keeps when it copies."""
    start = picture_start(path)
    with open_media(path) as container:
        return max(0.0, float(start or 0) - float(container.start_time or 0) / float(av.time_base))


def _n_sound_streams(path: str | Path) -> int:
    with open_media(path) as container:
        return len(container.streams.audio)


def _sound_codec(out: Path) -> str:
    codecs = {".mov": "pcm_s24le", ".mkv": "pcm_s24le", ".avi": "pcm_s24le", ".webm": "libopus"}
    return codecs.get(out.suffix.lower(), "aac")


def section_codecs() -> list[str]:
    """Arguments for the ffmpeg program that writes a section: one thread, near-transparent H.264, AAC."""
    arguments: list[str] = []
    for name, value in _SECTION_CODECS.items():
        arguments += [f"-{name}", value]
    return arguments


def cut_section(path: str | Path, out: str | Path, *, start_s: float, end_s: float) -> None:
    """Cut a section out of a file, to the picture; it is encoded anew.

    Packets are not copied: copies begin at the key frame before, and lose the sync in containers
    that cannot hide what comes before the start.

    Parameters
    ----------
    path : str or Path
        Any file that Foley reads.
    out : str or Path
        File to make; the ending chooses the container. Written whole or not at all.
    start_s, end_s : float
        Section of the container's time.

    Raises
    ------
    MediaError
        ``decode_error`` when ffmpeg cannot.
    """
    source = ffmpeg.input(file_url(path), ss=f"{start_s:.6f}", t=f"{end_s - start_s:.6f}", **_INPUT_OPTIONS)
    with atomic_path(out) as temporary:
        run_ffmpeg(ffmpeg.output(source, file_url(temporary), **_SECTION_CODECS), path)


def run_ffmpeg(stream: Any, path: str | Path) -> bytes:
    """Run the ffmpeg program on an ffmpeg-python graph.

    Parameters
    ----------
    stream : ffmpeg.nodes.OutputStream
        What to run; name its inputs with :func:`file_url`.
    path : str or Path
        File that an error is about.

    Returns
    -------
    bytes
        What the program wrote to its standard output.

    Raises
    ------
    MediaError
        ``decode_error`` with the last lines that ffmpeg wrote.
    """
    quiet = stream.global_args("-hide_banner", "-nostdin", "-loglevel", "error")
    try:
        output, _ = ffmpeg.run(
            quiet, cmd=ffmpeg_binary(), capture_stdout=True, capture_stderr=True, overwrite_output=True
        )
    except ffmpeg.Error as error:
        said = " | ".join(error.stderr.decode("utf-8", "replace").strip().splitlines()[-3:])
        raise MediaError(
            Reason.DECODE_ERROR,
            f"{shown(path)}: ffmpeg failed ({said}); if the container cannot hold this picture or sound, "
            "try a name that ends in .mkv",
        ) from error
    return bytes(output)
