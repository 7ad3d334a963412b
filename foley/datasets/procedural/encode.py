"""Write pictures and sound into a file like any user's: H.264 with AAC or PCM, exact time stamps."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import soxr
from numpy.typing import NDArray

from foley.datasets.procedural.config import VARIABLE_RATE
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ

_MP4_TICK = Fraction(1, 90_000)
_MKV_TICK = Fraction(1, 1_000)
_SAMPLES_A_BLOCK = 1024


@dataclass(frozen=True)
class FileFormat:
    """How a recording is stored.

    Parameters
    ----------
    container : str
        ``mp4``, ``mov`` or ``mkv``.
    audio_codec : str
        ``aac`` or ``pcm_s16le``.
    rate : str
        Frames per second as a fraction, or ``variable``.
    crf : int
        Constant rate factor of H.264, 18 (good) to 32 (poor).
    preset : str
        Preset of libx264; all but ``ultrafast`` use B-frames, so packets are out of order.
    sample_rate_hz : int
        44100 or 48000.
    n_channels : int
        1 or 2.
    audio_bit_rate : int
        Bits per second, for AAC.
    """

    container: str
    audio_codec: str
    rate: str
    crf: int
    preset: str
    sample_rate_hz: int
    n_channels: int
    audio_bit_rate: int

    @property
    def tick(self) -> Fraction:
        """Unit of the picture's time stamps in seconds (Matroska only knows milliseconds)."""
        if self.container == "mkv":
            return _MKV_TICK
        if self.rate == VARIABLE_RATE:
            return _MP4_TICK
        return 1 / (Fraction(self.rate).limit_denominator(1001) * 1000)


def draw_format(rng: np.random.Generator, rate: str) -> FileFormat:
    """Draw a file format for a recording with frame rate `rate`."""
    codec = str(rng.choice(["aac", "pcm_s16le"], p=[0.7, 0.3]))
    containers = ["mp4", "mov", "mkv"] if codec == "aac" else ["mov", "mkv"]
    weights = [0.7, 0.15, 0.15] if codec == "aac" else [0.5, 0.5]
    n_channels = int(rng.choice([1, 2]))
    return FileFormat(
        container=str(rng.choice(containers, p=weights)),
        audio_codec=codec,
        rate=rate,
        crf=int(rng.integers(18, 33)),
        preset=str(rng.choice(["ultrafast", "superfast"])),
        sample_rate_hz=int(rng.choice([44_100, 48_000])),
        n_channels=n_channels,
        audio_bit_rate=int(rng.choice([80_000, 96_000, 128_000])) * n_channels,
    )


def write_film(
    path: Path,
    frames: Iterator[tuple[float, NDArray[np.uint8]]],
    ticks: NDArray[np.int64],
    size_px: tuple[int, int],
    sound: NDArray[np.float32],
    layout: FileFormat,
) -> None:
    """Encode pictures and sound with PyAV; same input, same bytes.

    The AAC encoder starts 1024 samples early (priming). The time stamps given here start at 0, so
    the muxer writes an edit list (mp4, mov) or a codec delay (mkv) that tells a reader to drop the
    priming: decoded by presentation time, sample 0 is the start of the recording again.

    Parameters
    ----------
    path : Path
        File to write; its ending chooses the container.
    frames : iterator of (float, ndarray of uint8, shape (height, width, 3))
        RGB pictures in time order.
    ticks : ndarray of int64, shape (n_frames,)
        Presentation time of each picture in units of ``layout.tick``.
    size_px : (int, int)
        Width and height.
    sound : ndarray of float32, shape (n_samples, n_channels)
        48 kHz, in [-1, 1].
    layout : FileFormat
        How to store it.
    """
    duration_s = sound.shape[0] / SAMPLE_RATE_HZ
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=_nominal_rate(layout, ticks))
        video.width, video.height = size_px
        video.pix_fmt = "yuv420p"
        video.time_base = layout.tick
        video.codec_context.time_base = layout.tick
        # One thread: the bytes must not depend on the machine's number of cores.
        video.codec_context.thread_count = 1
        video.options = {"preset": layout.preset, "crf": str(layout.crf), "flags": "+bitexact"}
        audio = container.add_stream(
            layout.audio_codec,
            rate=layout.sample_rate_hz,
            layout="mono" if layout.n_channels == 1 else "stereo",
        )
        audio.codec_context.options = {"flags": "+bitexact"}
        if layout.audio_codec == "aac":
            audio.bit_rate = layout.audio_bit_rate
        samples = _resampled(sound, layout.sample_rate_hz)
        blocks = _audio_frames(samples, layout)
        block = next(blocks, None)
        last = round(duration_s / layout.tick)
        for k, (t_s, picture) in enumerate(frames):
            while block is not None and float(block.pts) <= t_s * layout.sample_rate_hz:
                container.mux(audio.encode(block))
                block = next(blocks, None)
            frame = av.VideoFrame.from_ndarray(
                cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), format="yuv420p"
            )
            frame.time_base = layout.tick
            frame.pts = int(ticks[k])
            frame.duration = int((ticks[k + 1] if k + 1 < len(ticks) else max(last, ticks[k] + 1)) - ticks[k])
            container.mux(video.encode(frame))
        while block is not None:
            container.mux(audio.encode(block))
            block = next(blocks, None)
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _nominal_rate(layout: FileFormat, ticks: NDArray[np.int64]) -> Fraction:
    if layout.rate != VARIABLE_RATE:
        return Fraction(layout.rate).limit_denominator(1001)
    mean = float(np.mean(np.diff(ticks))) * float(layout.tick) if len(ticks) > 1 else 1 / 30
    return Fraction(round(1 / mean))


def _resampled(sound: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    if rate_hz == SAMPLE_RATE_HZ:
        return sound
    resampled: NDArray[np.float32] = soxr.resample(sound, SAMPLE_RATE_HZ, rate_hz)
    return resampled


def _audio_frames(samples: NDArray[np.float32], layout: FileFormat) -> Iterator[av.AudioFrame]:
    names = "mono" if layout.n_channels == 1 else "stereo"
    for start in range(0, len(samples), _SAMPLES_A_BLOCK):
        part = np.clip(samples[start : start + _SAMPLES_A_BLOCK], -1, 1)
        if layout.audio_codec == "aac":
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part.T), format="fltp", layout=names)
        else:
            whole = np.round(part * 32767).astype(np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(whole, format="s16", layout=names)
        frame.sample_rate = layout.sample_rate_hz
        frame.time_base = Fraction(1, layout.sample_rate_hz)
        frame.pts = start
        yield frame
