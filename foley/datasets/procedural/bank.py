"""A sound bank: real recordings in one folder per class, sliced at their onsets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Wave
from foley.errors import ConfigError, MediaError
from foley.provenance import config_digest, file_sha256

_ENDINGS = {".wav", ".ogg", ".flac", ".mp3", ".aif", ".aiff"}
_FOLDERS = {"cutting": ("cutting", "chopping"), "waterfall": ("waterfall", "water")}
_LONGEST_TAKE_S = 3.0
_SHORTEST_BED_S = 1.5
_HOP = 48  # 1 ms: takes start where the sound starts


@dataclass(frozen=True)
class Bank:
    """What was picked from the bank for one recording.

    Parameters
    ----------
    takes : tuple of ndarray of float32, shape (n,)
        Single hits at 48 kHz; sample 0 is the onset.
    bed : ndarray of float32, shape (n,), or None
        A long recording to loop.
    """

    takes: tuple[Wave, ...]
    bed: Wave | None


def bank_files(folder: Path, label: str, held_out: bool) -> list[Path]:
    """List the recordings of a class that training (or held-out) recordings may use.

    Every third file, in order of name, is kept for the held-out recordings, so no take is heard in
    both; a class with a single file shares it.

    Raises
    ------
    ConfigError
        If the bank has no folder with recordings for `label`; names what was looked for.
    """
    names = _FOLDERS.get(label, (label,))
    for name in names:
        files = sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in _ENDINGS)
        if files:
            chosen = [p for k, p in enumerate(files) if (k % 3 == 2) == held_out]
            return chosen or files
    wanted = " or ".join(str(folder / name) for name in names)
    raise ConfigError(f"sound_bank: no recordings in {wanted}; put {', '.join(sorted(_ENDINGS))} files there")


def bank_digest(folder: Path, label: str, held_out: bool) -> str:
    """Digest of the names and contents of :func:`bank_files`; raises what it raises."""
    return config_digest([[path.name, file_sha256(path)] for path in bank_files(folder, label, held_out)])


def open_bank(
    folder: Path, label: str, held_out: bool, wants_bed: bool, rng: np.random.Generator, n_files: int = 6
) -> Bank:
    """Pick a few recordings of a class and cut them into takes.

    Parameters
    ----------
    folder : path
        The bank.
    label : str
        Class.
    held_out : bool
        Which part of the bank to use.
    wants_bed : bool
        Look for a recording to loop too.
    rng : numpy.random.Generator
        Picks the files.
    n_files : int
        Files to read at most; one recording is made of few sources, as in life.

    Returns
    -------
    Bank

    Raises
    ------
    ConfigError
        If there is nothing for this class.
    MediaError
        If a file cannot be read or holds silence only.
    """
    files = bank_files(folder, label, held_out)
    picked = [files[k] for k in rng.permutation(len(files))[:n_files]]
    waves = [_read(path) for path in picked]
    takes = [take for wave in waves for take in slice_at_onsets(wave)]
    if not takes:
        raise MediaError("silent", f"{picked[0].parent}: no onset in {[p.name for p in picked]}")
    long = [wave for wave in waves if wave.size >= _SHORTEST_BED_S * SAMPLE_RATE_HZ]
    bed = None
    if wants_bed:
        bed = long[int(rng.integers(len(long)))] if long else max(waves, key=lambda wave: wave.size)
    return Bank(tuple(takes), bed)


def slice_at_onsets(wave: Wave) -> list[Wave]:
    """Cut a recording at 48 kHz into hits that begin at their onsets.

    An onset is where the level of 5 ms rises by 9 dB over the 20 ms before it, within 26 dB of the
    loudest moment; the cut lies on the first sample that reaches a tenth of the peak that follows.
    """
    level = _level_db(wave)
    if level.size == 0 or level.max() < -70:
        return []
    before = np.array([level[max(0, k - 20) : max(1, k - 2)].max() for k in range(level.size)])
    before[0] = -120.0
    after = np.array([level[k : k + 5].max() for k in range(level.size)])
    rising = (after - before > 9) & (after > level.max() - 26)
    cuts: list[int] = []
    for frame in np.flatnonzero(rising):
        start = int(frame) * _HOP
        window = np.abs(wave[start : start + 30 * _HOP])
        cut = start + int(np.argmax(window > 0.1 * window.max()))
        if not cuts or cut - cuts[-1] > 0.06 * SAMPLE_RATE_HZ:
            cuts.append(cut)
    cuts = cuts or [int(np.argmax(np.abs(wave) > 0.1 * np.abs(wave).max()))]
    ends = [*cuts[1:], wave.size]
    takes = []
    for cut, end in zip(cuts, ends, strict=True):
        take = wave[cut : min(end - _HOP, cut + round(_LONGEST_TAKE_S * SAMPLE_RATE_HZ))].copy()
        if take.size > 10 * _HOP:
            fade = min(take.size // 2, round(0.03 * SAMPLE_RATE_HZ))
            take[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
            takes.append(take)
    return takes


def choose_takes(n_events: int, n_takes: int, rng: np.random.Generator) -> list[int]:
    """Choose a take for each event, never the same one twice in a row (where there are two)."""
    chosen: list[int] = []
    for _ in range(n_events):
        pick = int(rng.integers(n_takes))
        if chosen and n_takes > 1 and pick == chosen[-1]:
            pick = (pick + 1 + int(rng.integers(n_takes - 1))) % n_takes
        chosen.append(pick)
    return chosen


def match_level(take: Wave, reference: Wave) -> Wave:
    """Scale `take` so that its loudest 20 ms equal those of `reference`."""
    own, wanted = _loudest_rms(take), _loudest_rms(reference)
    return np.asarray(take * (wanted / own if own > 0 else 0.0), dtype=np.float32)


def choke(take: Wave, room_s: float) -> Wave:
    """Fade a take out before the next event, `room_s` seconds later, so that it can be heard too.

    At least 80 ms are kept; the fade takes the last 40 % of what is left.
    """
    n = round(max(room_s, 0.08) * SAMPLE_RATE_HZ)
    if take.size <= n:
        return take
    cut = take[:n].copy()
    fade = round(0.4 * n)
    cut[n - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return cut


def loop(wave: Wave, n_samples: int, rng: np.random.Generator) -> Wave:
    """Repeat the steady part of `wave` from a random start; unit RMS, shape (n_samples,).

    Quiet ends are cut off, slow changes of level are evened out (the scene brings its own intensity
    curve), and repetitions are cross-faded over 100 ms.
    """
    wave = _steady(wave)
    fade = min(round(0.1 * SAMPLE_RATE_HZ), wave.size // 3)
    ramp = np.sqrt(np.linspace(0, 1, max(fade, 1), dtype=np.float32))
    start = int(rng.integers(wave.size))
    out = np.zeros(n_samples + wave.size, np.float32)
    piece = wave.copy()
    piece[:fade] *= ramp[:fade]
    piece[wave.size - fade :] *= ramp[:fade][::-1]
    at = -start
    while at < n_samples:
        low = max(at, 0)
        out[low : at + wave.size] += piece[low - at :]
        at += wave.size - fade
    out = out[:n_samples]
    rms = float(np.sqrt(np.mean(out.astype(np.float64) ** 2)))
    return np.asarray(out / rms if rms > 0 else out, dtype=np.float32)


def _steady(wave: Wave) -> Wave:
    """Cut off what is 12 dB under the median level at both ends; even out half seconds by up to 10 dB."""
    block = SAMPLE_RATE_HZ // 10
    n = wave.size // block
    if n < 5:
        return wave
    level = np.sqrt((wave[: n * block].astype(np.float64).reshape(n, block) ** 2).mean(axis=1) + 1e-12)
    loud = np.flatnonzero(level > np.median(level) / 4)
    level = level[loud[0] : loud[-1] + 1]
    kept = wave[loud[0] * block : (loud[-1] + 1) * block]
    smooth = np.convolve(np.pad(level, 2, mode="edge"), np.full(5, 0.2), "valid")
    gain = np.clip(np.median(smooth) / smooth, 0.3, 3.0)
    middles = (np.arange(gain.size) + 0.5) * block
    return np.asarray(kept * np.interp(np.arange(kept.size), middles, gain), dtype=np.float32)


def _read(path: Path) -> Wave:
    try:
        wave, rate_hz = sf.read(path, dtype="float32", always_2d=True)
    except (sf.LibsndfileError, OSError) as error:
        raise MediaError(
            "decode_error", f"{path}: cannot be read as sound ({error}); take it out of the bank"
        ) from error
    mono: NDArray[np.float32] = wave.mean(axis=1)
    return np.asarray(soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ), dtype=np.float32)


def _level_db(wave: Wave) -> NDArray[np.float64]:
    n = wave.size // _HOP
    power = (wave[: n * _HOP].astype(np.float64).reshape(n, _HOP) ** 2).mean(axis=1)
    return np.asarray(10 * np.log10(power + 1e-12))


def _loudest_rms(wave: Sequence[float] | Wave) -> float:
    power = np.cumsum(np.concatenate([[0.0], np.asarray(wave, dtype=np.float64) ** 2]))
    n = min(round(0.02 * SAMPLE_RATE_HZ), power.size - 1)
    return float(np.sqrt(max((power[n:] - power[:-n]).max(), 0.0) / n)) if n else 0.0
