"""Tiny films for tests, made with PyAV: every time stamp and every sample is known."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

TICK = Fraction(1, 90_000)


def level(index: int) -> int:
    """Grey level of the picture with this number: neighbours differ clearly after compression."""
    return 30 + 40 * (index % 5) + index % 3


def picture(index: int, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Picture number `index`: a grey level of its own, and a white mark in the top left corner."""
    canvas = np.full((height, width, 3), level(index), dtype=np.uint8)
    canvas[: height // 4, : width // 4] = 255
    return canvas


def hits(times_s: list[float], duration_s: float, rate_hz: int = 44_100) -> NDArray[np.float32]:
    """Short noise bursts with a sharp start at the given times, over very quiet noise."""
    rng = np.random.default_rng(0)
    sound = (1e-3 * rng.standard_normal(round(duration_s * rate_hz))).astype(np.float32)
    burst = rng.standard_normal(round(0.03 * rate_hz)) * np.exp(-np.linspace(0, 6, round(0.03 * rate_hz)))
    for time_s in times_s:
        first = round(time_s * rate_hz)
        sound[first : first + len(burst)] += (0.2 * burst).astype(np.float32)[: len(sound) - first]
    return sound


def make_film(
    path: Path,
    times_s: list[float] | NDArray[np.float64] | None = None,
    sound: NDArray[np.float32] | None = None,
    *,
    rate_hz: int = 44_100,
    width: int = 64,
    height: int = 48,
    still: bool = False,
    paint: Callable[[int], NDArray[np.uint8]] | None = None,
    pixel_format: str = "yuv420p",
    transfer: int | None = None,
    sound_start_s: float = 0.0,
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    b_frames: int = 2,
    key_every: int = 10,
    container: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a film; `times_s` are the instants of its pictures, `sound` is (n,) or (n, n_channels).

    `paint` draws picture number i in place of :func:`picture`; `transfer` is FFmpeg's number of a curve.
    """
    with av.open(path.open("wb"), "w", format=container or _format(path), options=options or {}) as film:
        video = audio = None
        if times_s is not None:
            video = film.add_stream(video_codec, rate=25)
            video.width, video.height, video.pix_fmt = width, height, pixel_format
            video.time_base = video.codec_context.time_base = (
                TICK if video_codec == "libx264" else Fraction(1, 25)
            )
            video.codec_context.thread_count = 1
            if video_codec == "libx264":
                video.options = {"crf": "12", "g": str(key_every), "bf": str(b_frames), "preset": "veryfast"}
        if sound is not None:
            sound = sound.reshape(len(sound), -1)
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[sound.shape[1]]
            audio = film.add_stream(audio_codec, rate=rate_hz, layout=layout)
            if audio_codec == "aac":
                audio.bit_rate = 96_000 * sound.shape[1]
        if video is not None and times_s is not None:
            last_s = times_s[-1] + (times_s[-1] - times_s[-2] if len(times_s) > 1 else 0.04)
            ends_s = [*times_s[1:], last_s]
            if transfer is not None:
                video.codec_context.color_trc = transfer
            for index, (time_s, end_s) in enumerate(zip(times_s, ends_s, strict=True)):
                number = 0 if still else index
                canvas = picture(number, width, height) if paint is None else paint(number)
                frame = av.VideoFrame.from_ndarray(canvas, "rgb24").reformat(format=pixel_format)
                if transfer is not None:
                    frame.color_trc = transfer
                frame.time_base = video.codec_context.time_base
                frame.pts = round(time_s / frame.time_base)
                frame.duration = round((end_s - time_s) / frame.time_base)
                film.mux(video.encode(frame))
            film.mux(video.encode(None))
        if audio is not None and sound is not None:
            planar = audio_codec in ("aac", "libopus_planar")
            for first in range(0, len(sound), 1024):
                part = sound[first : first + 1024]
                if planar:
                    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part.T), "fltp", layout)
                else:
                    whole = np.round(np.clip(part, -1, 1) * 32767).astype(np.int16).reshape(1, -1)
                    frame = av.AudioFrame.from_ndarray(whole, "s16", layout)
                frame.sample_rate = rate_hz
                frame.time_base = Fraction(1, rate_hz)
                frame.pts = first + round(sound_start_s * rate_hz)
                film.mux(audio.encode(frame))
            film.mux(audio.encode(None))
    return path


def _format(path: Path) -> str:
    return {".mkv": "matroska", ".ts": "mpegts", ".mpg": "mpeg"}.get(path.suffix, path.suffix[1:])


def lag_s(heard: NDArray[np.float32], truth: NDArray[np.float32], rate_hz: int) -> float:
    """By how much `heard` is later than `truth`, to the sample, by cross-correlation."""
    size = 1 << (len(heard) + len(truth)).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(truth, size))
    peak = int(np.argmax(np.fft.irfft(product, size)))
    return (peak if peak < size // 2 else peak - size) / rate_hz
