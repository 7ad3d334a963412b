"""Onsets of hits in a sound, to within a few milliseconds.

The detector has two steps. Candidates are peaks of a band-wise spectral flux on a logarithmic
scale at a hop of about a millisecond. Each candidate is then moved to the start of its attack: the
sample that best splits its neighbourhood into two stretches of different variance, by Akaike's
criterion (Maeda 1985, the picker of arrival times in seismology). The split is looked for in what
the sound's own recent past does not predict, so that a hit in the ring of the last one is found
where it begins.

Known limits: an attack that grows over more than about 10 ms has no sharp start, and the time given
lies within its rise; of hits closer together than ``min_gap_s`` only the stronger is kept; a hit
in the first few milliseconds of the waveform is missed, since nothing shows what it rises above; in
dense noise-like sound (rain, applause) single drops are found only where they stand out.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg import solve_toeplitz
from scipy.ndimage import maximum_filter1d, median_filter
from scipy.signal import lfilter

from foley.errors import FoleyError

Floats = NDArray[np.float64]


class OnsetConfig(BaseModel):
    """Settings of the onset detector; all levels are relative, so loudness does not matter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hop_s: float = Field(0.001, gt=0, description="step of the flux")
    window_s: float = Field(0.006, gt=0, description="length of the Hann window")
    lag_s: float = Field(0.004, gt=0, description="the flux is the rise over this time")
    memory_s: float = Field(0.02, gt=0, description="and above the loudest of this time before it")
    n_bands: int = Field(20, ge=1, description="bands, evenly spaced on a logarithmic scale")
    low_hz: float = Field(150.0, gt=0, description="lower edge of the lowest band")
    high_hz: float = Field(16000.0, gt=0, description="upper edge of the highest band, or Nyquist")
    threshold_db: float = Field(2.0, gt=0, description="mean rise over the bands that makes a candidate")
    range_db: float = Field(55.0, gt=0, description="what lies further below the loudest moment is ignored")
    noise_margin_db: float = Field(9.0, ge=0, description="band levels are floored this far above the noise")
    min_level_db: float = Field(-40.0, lt=0, description="weakest hit, relative to the strongest")
    min_gap_s: float = Field(0.04, gt=0, description="smallest time between two onsets")


def detect_onsets(waveform: NDArray[Any], sample_rate_hz: float, config: OnsetConfig | None = None) -> Floats:
    """Find when hits begin.

    Parameters
    ----------
    waveform : ndarray of float, shape (n_samples,)
        Mono sound; any level.
    sample_rate_hz : float
        Sample rate, at least 8000.
    config : OnsetConfig, optional
        Settings; the defaults when left out.

    Returns
    -------
    ndarray of float64, shape (n_onsets,)
        Times in seconds from the first sample, ascending; empty for silence and for sound shorter
        than two windows.

    Raises
    ------
    FoleyError
        If the waveform is not one-dimensional, is not finite, or its rate is below 8000 Hz.

    Examples
    --------
    >>> hit = np.zeros(8000)
    >>> hit[4000:] = np.exp(-np.arange(4000) / 400) * np.sin(np.arange(4000) * 1.1)
    >>> abs(detect_onsets(hit, 8000)[0] - 0.5) < 0.001
    np.True_
    """
    config = config or OnsetConfig()
    sound = np.asarray(waveform, dtype=np.float64)
    if sound.ndim != 1:
        raise FoleyError(f"onsets need a mono waveform of shape (n,), got {sound.shape}; mix it down first")
    if not np.isfinite(sound).all():
        raise FoleyError("onsets need finite samples; the waveform holds NaN or infinity")
    if sample_rate_hz < 8000:
        raise FoleyError(f"onsets need at least 8000 samples a second, got {sample_rate_hz}")
    peak = float(np.abs(sound).max(initial=0.0))
    if peak == 0.0 or sound.size < 2 * round(config.window_s * sample_rate_hz):
        return np.empty(0)
    sound = sound / peak
    rise_db, level, centres = _flux(sound, sample_rate_hz, config)
    candidates = _pick(rise_db, level, config)
    times = [_attack_start(sound, int(centres[index]), sample_rate_hz) for index in candidates]
    return _apart(np.array(sorted(times), dtype=np.float64) / sample_rate_hz, config.min_gap_s)


def _flux(
    sound: Floats, sample_rate_hz: float, config: OnsetConfig
) -> tuple[Floats, Floats, NDArray[np.int_]]:
    """Mean rise of the bands (dB), power gained (linear), and the sample each value is for."""
    size = round(config.window_s * sample_rate_hz)
    hop = max(1, round(config.hop_s * sample_rate_hz))
    lag = max(1, round(config.lag_s / config.hop_s))
    memory = max(1, round(config.memory_s / config.hop_s)) | 1  # odd
    bands = _band_matrix(size, sample_rate_hz, config)
    starts = np.arange(0, sound.size - size + 1, hop)
    windows = np.lib.stride_tricks.sliding_window_view(sound, size)[starts]
    power = np.abs(np.fft.rfft(windows * np.hanning(size), axis=1)) ** 2 @ bands
    # The emphasis makes up for the fall of natural spectra, so that one range serves every band.
    power *= np.linspace(0, 1, power.shape[1]) + 0.1
    noise = np.quantile(power, 0.1, axis=0) * 10 ** (config.noise_margin_db / 10)
    floor = np.maximum(noise, power.max() * 10 ** (-config.range_db / 10))
    level_db = 10 * np.log10(power + floor)
    rise_db = np.zeros(len(starts))
    gain = np.zeros(len(starts))
    # Rising above the recent maximum, not above one moment, ignores the flicker of noisy decays.
    recent_db = maximum_filter1d(level_db, memory, axis=0, mode="nearest", origin=(memory - 1) // 2)
    rise_db[lag:] = np.maximum(level_db[lag:] - recent_db[:-lag], 0).mean(axis=1)
    gain[lag:] = np.maximum(power[lag:] - power[:-lag], 0).sum(axis=1)
    return rise_db, gain, starts + size // 2


def _band_matrix(size: int, sample_rate_hz: float, config: OnsetConfig) -> Floats:
    """Matrix (n_bins, n_bands) that sums bins into bands; bands without a bin are left out."""
    frequencies_hz = np.fft.rfftfreq(size, 1 / sample_rate_hz)
    edges_hz = np.geomspace(config.low_hz, min(config.high_hz, sample_rate_hz / 2), config.n_bands + 1)
    inside = (frequencies_hz[:, None] >= edges_hz[:-1]) & (frequencies_hz[:, None] < edges_hz[1:])
    return inside[:, inside.any(axis=0)].astype(np.float64)


def _pick(rise_db: Floats, gain: Floats, config: OnsetConfig) -> list[int]:
    """Frames of the candidates: local maxima over the threshold, the strongest first."""
    # Subtracting the local median keeps a restless background from raising candidates.
    width = 2 * round(0.1 / config.hop_s) + 1
    salience = rise_db - median_filter(rise_db, size=min(width, len(rise_db) // 2 * 2 + 1), mode="nearest")
    gap = round(config.min_gap_s / config.hop_s)
    reach = max(1, round(config.window_s / config.hop_s))
    nearby_gain = np.array([gain[max(0, i - reach) : i + reach + 1].max() for i in range(len(gain))])
    loud = nearby_gain >= gain.max() * 10 ** (config.min_level_db / 10)
    open_frames = (salience >= config.threshold_db) & loud
    chosen: list[int] = []
    for frame in np.argsort(-salience, kind="stable"):
        if not open_frames[frame]:
            if salience[frame] < config.threshold_db:
                break
            continue
        before, after = salience[max(0, frame - reach) : frame], salience[frame + 1 : frame + reach + 1]
        if max(before.max(initial=-1.0), after.max(initial=-1.0)) <= salience[frame]:
            chosen.append(int(frame))
            open_frames[max(0, frame - gap + 1) : frame + gap] = False
    return chosen


def _attack_start(sound: Floats, centre: int, sample_rate_hz: float) -> int:
    """Sample at which the attack near `centre` begins."""
    before, after = round(0.010 * sample_rate_hz), round(0.005 * sample_rate_hz)
    past = round(0.025 * sample_rate_hz)
    first, last = max(0, centre - before), min(sound.size, centre + after)
    history_first = max(0, first - past)
    residual = _unpredicted(sound[history_first:last], first - history_first)
    return first + _variance_split(residual)


def _unpredicted(stretch: Floats, n_past: int, order: int = 24) -> Floats:
    """What linear prediction, fitted on the first `n_past` samples, does not foresee in the rest."""
    past = stretch[:n_past]
    correlation = np.array(
        [past[lag:] @ past[: past.size - lag] for lag in range(min(order, n_past // 2) + 1)]
    )
    if correlation.size < 3 or correlation[0] <= 1e-12 * max(float(stretch @ stretch), 1e-30):
        return np.diff(stretch[n_past:], prepend=stretch[n_past])
    correlation[0] *= 1 + 1e-6  # keeps the equations solvable for a pure tone
    weights = solve_toeplitz(correlation[:-1], correlation[1:])
    return np.asarray(lfilter(np.concatenate([[1.0], -weights]), [1.0], stretch)[n_past:])


def _variance_split(signal: Floats) -> int:
    """Index that best splits `signal` into two stretches of different variance (AIC)."""
    energy = signal**2
    smallest = max(float(energy.max()) * 1e-6, 1e-30)
    total = np.concatenate([[0.0], np.cumsum(energy)])
    margin = max(2, signal.size // 50)
    split = np.arange(margin, signal.size - margin)
    left = total[split] / split
    right = (total[-1] - total[split]) / (signal.size - split)
    criterion = split * np.log(left + smallest) + (signal.size - split) * np.log(right + smallest)
    return int(split[np.argmin(criterion)])


def _apart(times_s: Floats, min_gap_s: float) -> Floats:
    """Drop onsets that the move to the attack's start brought onto an earlier one."""
    kept: list[float] = []
    for time_s in times_s:
        if not kept or time_s - kept[-1] >= min_gap_s:
            kept.append(float(time_s))
    return np.array(kept, dtype=np.float64)
