"""Reading sound on the picture's clock, and writing WAV files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from foley.errors import MediaError
from foley.media.ffmpeg import open_media, picture_start, shown, sound_stream
from foley.media.reasons import Reason
from foley.store.files import atomic_path

Waveform = NDArray[np.float32]

_JUMP_S = 0.025
"""Time stamps that wander less than this are rounding (Matroska counts milliseconds), not gaps."""
_MOST_SILENCE_S = 600.0
"""Gaps in the time stamps are filled up to here, all together: a forged file must not fill the memory."""
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63}
_HALF_POWER = float(np.sqrt(0.5))
_WAVE_ORDER = ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR")
"""Order of channels where a container names none (PCM in Matroska)."""
_FOLD = {"FL": 1.0, "FR": 1.0, "FC": 2 * _HALF_POWER, "LFE": 0.0, "LFE2": 0.0}
"""Shares of a fold-down to mono after ITU-R BS.775: to stereo first, then the mean of both sides.
Channels not named here are surrounds and count 0.7; the shares are scaled to sum to 1."""


def read_audio(path: str | Path, sample_rate_hz: int, *, duration_s: float | None = None) -> Waveform:
    """Read a file's first sound track as mono, on the picture's clock.

    Sample 0 is heard when the first picture is shown (module :mod:`foley.media.ffmpeg`): a late
    track is preceded by silence, encoder priming and what edit lists hide are left out, and gaps
    in the time stamps become silence. Surround is folded down, without the low-frequency channel.

    Parameters
    ----------
    path : str or Path
    sample_rate_hz : int
        Rate wanted; resampled with soxr (HQ) where the file has another.
    duration_s : float or None
        Pad with silence or cut to exactly ``round(duration_s * sample_rate_hz)`` samples; by
        default the track's own end.

    Returns
    -------
    ndarray of float32, shape (n,)
        Nominally in [-1, 1].

    Raises
    ------
    MediaError
        ``no_audio``, ``decode_error`` and what opening the file can raise.
    """
    zero = picture_start(path)
    with open_media(path) as container:
        stream = sound_stream(container)
        if stream is None:
            raise MediaError(Reason.NO_AUDIO, f"{shown(path)}: has no sound; use a file with sound")
        rate = int(stream.codec_context.sample_rate or 0)
        if rate <= 0:
            raise MediaError(
                Reason.DECODE_ERROR, f"{shown(path)}: sound without a rate; fetch the file again"
            )
        parts = list(_pieces(container.decode(stream), rate, None if zero is None else float(zero), path))
    native = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
    waveform = native if rate == sample_rate_hz else soxr.resample(native, rate, sample_rate_hz, quality="HQ")
    waveform = np.asarray(waveform, dtype=np.float32)
    return waveform if duration_s is None else fit_length(waveform, round(duration_s * sample_rate_hz))


def _pieces(
    frames: Iterator[Any], rate_hz: int, zero_s: float | None, path: str | Path
) -> Iterator[Waveform]:
    """Give mono pieces that laid end to end form the track from time 0."""
    position = 0  # samples given so far
    n_silent = 0
    started = False
    for frame in frames:
        if frame.sample_rate != rate_hz:
            raise MediaError(
                Reason.DECODE_ERROR, f"{shown(path)}: its sound changes rate on the way; re-encode it"
            )
        mono = fold_to_mono(frame)
        if frame.pts is not None:
            time_s = float(frame.pts * frame.time_base)
            zero_s = time_s if zero_s is None else zero_s
            ahead = round((time_s - zero_s) * rate_hz) - position
            if n_silent + ahead > _MOST_SILENCE_S * rate_hz:
                missing_s = (n_silent + ahead) / rate_hz
                raise MediaError(
                    Reason.DECODE_ERROR,
                    f"{shown(path)}: {missing_s:.0f} s of its sound are missing; re-encode it",
                )
            if not started or abs(ahead) > _JUMP_S * rate_hz:
                if ahead > 0:
                    yield np.zeros(ahead, dtype=np.float32)
                    position += ahead
                    n_silent += ahead
                elif ahead < 0:
                    mono = mono[-ahead:]
        # Pieces wholly before time 0 keep `started` false, so the first sample that is heard is placed
        # by its own time stamp.
        started = started or len(mono) > 0
        position += len(mono)
        yield mono


def fold_to_mono(frame: Any) -> Waveform:
    """Convert a decoded PyAV audio frame of any format and layout to mono.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Integer formats are scaled to [-1, 1].
    """
    name = frame.format.name
    samples = frame.to_ndarray()
    n_channels = len(frame.layout.channels)
    if not frame.format.is_planar:
        samples = samples.reshape(-1, n_channels).T
    scale = _FULL_SCALE.get(name.removesuffix("p"), 1.0)
    wave = samples.astype(np.float64)
    if name.startswith("u8"):
        wave -= scale
    wave /= scale
    shares = np.ones(n_channels)
    if n_channels > 2:
        names = [channel.name for channel in frame.layout.channels]
        if n_channels in (6, 8) and set(names) == {"NONE"}:
            names = list(_WAVE_ORDER[:n_channels])
        shares = np.array([_FOLD.get(channel, _HALF_POWER) for channel in names])
        if not shares.any():
            shares = np.ones(n_channels)
    mono: Waveform = (shares / shares.sum() @ wave).astype(np.float32)
    return mono


def fit_length(waveform: Waveform, n_samples: int) -> Waveform:
    """Cut a waveform, or pad it with silence, to `n_samples` samples.

    Examples
    --------
    >>> fit_length(np.ones(3, dtype=np.float32), 5).tolist()
    [1.0, 1.0, 1.0, 0.0, 0.0]
    """
    if len(waveform) >= n_samples:
        return waveform[:n_samples]
    return np.pad(waveform, (0, n_samples - len(waveform)))


def write_wav(
    path: str | Path, waveform: NDArray[Any], sample_rate_hz: int, *, subtype: str = "PCM_24"
) -> None:
    """Write a WAV file, whole or not at all; the same samples give the same bytes.

    Parameters
    ----------
    path : str or Path
    waveform : ndarray of float, shape (n,) or (n, n_channels)
        In [-1, 1]; beyond that the format clips.
    sample_rate_hz : int
    subtype : {"PCM_16", "PCM_24", "PCM_32"}
        No float formats: their header carries the time of writing.

    Raises
    ------
    ValueError
        If a sample is not finite, the shape is wrong or the subtype unknown.
    """
    waveform = np.asarray(waveform)
    if waveform.ndim not in (1, 2) or not np.isfinite(waveform).all():
        raise ValueError(f"{shown(path)}: a waveform is (n,) or (n, n_channels) of finite samples")
    if subtype not in ("PCM_16", "PCM_24", "PCM_32"):
        raise ValueError(f"{subtype!r} is not one of PCM_16, PCM_24, PCM_32")
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        soundfile.write(stream, waveform, sample_rate_hz, subtype=subtype, format="WAV")
