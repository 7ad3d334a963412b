"""Does the sound follow the picture? The picture is moved, and the sound is asked whether it moved too.

A system makes the sound of a clip twice with equal random numbers, the second time from pictures that
come a while later (``synthesis.shift`` of the experiment, 500 ms; the first picture is held until
then). Nothing else differs, so what changes in the sound is the system's answer to the picture. Unlike
the error against true event times it needs no truth, and unlike F1 it gives nothing to a system that
makes hits everywhere.

Only the time that both sounds can fill is looked at: from the shift to the end of the clip. There

* ``follows`` is F1 of the second sound's onsets against the first one's, moved by the shift,
* ``stays`` is F1 against the first one's onsets where they were,

both pooled over clips with one-to-one pairs within ``window_ms``. The score is ``follows`` minus
``stays``: 1 where every onset moves with the picture, -1 where none does, 0 where neither is seen.
``envelope`` asks the same of the loudness, for sounds without onsets: the correlation of the second
sound's loudness curve with the first one's, moved, minus that with the first one's as it was.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from foley.features.onsets import OnsetConfig
from foley.metrics.base import Item, MetricConfig, Score, labels_of, of_split
from foley.metrics.envelope import rms_curve
from foley.metrics.statistics import Weights, class_parts, item_weights, mean_score, percentile_interval
from foley.metrics.sync import match_times, onsets_in

NOT_MADE = "no sound of a shifted picture was made; set synthesis.shift of the experiment"
_UNIT = "difference"


class Config(MetricConfig):
    """Settings of the shift metric.

    Parameters
    ----------
    window_ms : int
        Largest distance of a pair of onsets, in milliseconds.
    silence_peak : float
        A sound whose largest sample is below this (full scale is 1) is silent.
    window_s, hop_s : float
        Length and step of the loudness curve's windows, in seconds.
    onsets : OnsetConfig
        Settings of the onset detector.
    """

    window_ms: int = Field(default=50, gt=0)
    silence_peak: float = Field(default=1e-4, ge=0)
    window_s: float = Field(default=0.032, gt=0)
    hop_s: float = Field(default=0.008, gt=0)
    onsets: OnsetConfig = OnsetConfig()


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """How much of the sound moves with the picture, over the held-out clips that were made twice.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system.
    config : Config
        Settings.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        In [-1, 1], with a bootstrap interval over recordings. Parts ``follows``, ``stays`` and
        ``envelope`` (see above), ``class/<label>`` with the same parts, and ``onsets``, those of the
        second sounds. ``None`` where the experiment makes no second sound, or there are no onsets.
    """
    members = [item for item in of_split(items, "test") if item.load_shifted is not None]
    if not members:
        return Score(None, 0, _UNIT, note=NOT_MADE)
    counts = np.array([onset_counts(item, config) for item in members], dtype=np.float64)
    moved = np.array([envelope_response(item, config) for item in members])
    whole = _scores(counts, item_weights(members, config, seed, "shift"), config)
    parts = {"envelope": mean_score(members, moved, _UNIT, config, seed, "shift_envelope")}
    by_class = class_parts(members, moved, _UNIT, config, seed, "shift_envelope")
    for label in labels_of(members):
        rows = [index for index, item in enumerate(members) if item.label == label]
        taken = [members[index] for index in rows]
        weights = item_weights(taken, config, seed, "shift", label)
        one = _scores(counts[rows], weights, config)
        parts[f"class/{label}"] = one.with_parts({"envelope": by_class[f"class/{label}"]})
    return whole.with_parts(parts)


def onset_counts(item: Item, config: Config) -> tuple[int, int, int, int, int]:
    """Count what F1 is made of, in the time that both sounds of a clip can fill.

    Returns
    -------
    tuple of int
        Pairs of the second sound's onsets with the first one's, moved; with those as they were; and the
        numbers of onsets: of the second sound, of the first one moved, of the first one as it was.
    """
    rate, start_s = item.sample_rate_hz, item.shifted_by_s
    first = onsets_in(item.generated, rate, config.onsets, config.silence_peak)
    second = onsets_in(item.shifted, rate, config.onsets, config.silence_peak)
    end_s = len(item.generated) / rate
    moved = first + start_s
    moved, kept, second = moved[moved < end_s], first[first >= start_s], second[second >= start_s]
    window_s = config.window_ms / 1000
    follows, stays = (len(match_times(times, second, window_s).pairs) for times in (moved, kept))
    return follows, stays, len(second), len(moved), len(kept)


def envelope_response(item: Item, config: Config) -> float:
    """Correlation of the second sound's loudness with the first one's moved, minus that with it as it was.

    In [-2, 2]; a curve that does not vary has no correlation, which counts as 0.
    """
    rate = item.sample_rate_hz
    first, second = (
        rms_curve(one, rate, config.window_s, config.hop_s) for one in (item.generated, item.shifted)
    )
    n = round(item.shifted_by_s / config.hop_s)
    size = min(len(first), len(second))
    return _correlation(second[n:size], first[: size - n]) - _correlation(second[n:size], first[n:size])


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    a, b = first - first.mean(), second - second.mean()
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length > 1e-12 else 0.0


def _f1(pairs: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
    """``2 pairs / n`` that is NaN where there are no onsets."""
    found = np.full(np.shape(n), np.nan)
    np.divide(2 * pairs, n, out=found, where=n > 0)
    return found


def _scores(counts: NDArray[np.float64], weights: Weights, config: Config) -> Score:
    once = np.ones((1, len(counts)), dtype=np.int64)

    def values(rows: Weights) -> dict[str, NDArray[np.float64]]:
        follows, stays, second, moved, kept = (rows @ counts).T
        found = {"follows": _f1(follows, second + moved), "stays": _f1(stays, second + kept)}
        # Where the first sound had nothing to move, or nothing to keep, it was not met either.
        difference = np.nan_to_num(found["follows"]) - np.nan_to_num(found["stays"])
        undefined = np.isnan(found["follows"]) & np.isnan(found["stays"])
        return {"": np.where(undefined, np.nan, difference), **found}

    one, many = values(once), values(weights)
    n_clips = len(counts)
    made = {}
    for name, unit in (("", _UNIT), ("follows", "proportion"), ("stays", "proportion")):
        value = float(one[name][0])
        if np.isfinite(value):
            made[name] = Score(value, n_clips, unit, *percentile_interval(many[name], config.level))
        else:
            made[name] = Score(None, n_clips, unit, note="no onsets")
    onsets = Score(float(counts[:, 2].sum()), n_clips, "count")
    return made.pop("").with_parts({**made, "onsets": onsets})
