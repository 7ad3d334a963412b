"""Are the hits when they should be? Onsets of the generated sound against the clip's event times.

How it is measured
------------------
Onsets of the generated sound (:mod:`foley.features.onsets`) are matched one to one with the times at
which the clip's events are heard. Within a window, the matching with the most pairs is taken, and
among those the one with the smallest total absolute error. From it come

* precision, recall and F1 at each window of the configuration (25, 50 and 100 ms), pooled over
  clips: every event and every onset counts once;
* missing events and redundant onsets, counted at ``headline_ms``;
* the signed error in ms, positive where the sound is late, of the pairs found within
  ``error_window_ms``, a window wide enough to show a common delay of several pictures.

The published scripts of the field count differently: a window of 300 ms that doubles as a peak
threshold, matching by loudness, truth that is no longer looked at once the predictions run out.
They give a track that is 200 ms late, or that holds one hit of seven, full marks.

Beside every number stands a control, ``shuffled``: the same sounds against the events of other clips
of the same class, from other recordings. It shows what a system earns that knows the class and the
usual density of hits but does not look at this clip. ``difference`` is ours minus control, with an
interval of its own from paired resamples.

What is not defined is said, not filled in: precision without any onset, recall without any event
and F1 without either are ``None``; a silent track has no onset, and all its events are missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.optimize import linear_sum_assignment

from foley.features.onsets import OnsetConfig, detect_onsets
from foley.metrics.base import Item, MetricConfig, Score, labels_of, of_split
from foley.metrics.statistics import (
    Interval,
    Weights,
    item_weights,
    percentile_interval,
    weighted_medians,
)
from foley.seeds import numpy_generator

Times = NDArray[np.float64]
Counts = NDArray[np.float64]

IMPACT_LABELS = ("break", "clock", "cutting", "footstep", "gunshot", "horse", "typing")
"""Classes whose sound is made of separate hits."""

_ROUNDING_S = 1e-9
"""Pairs exactly one window apart count; this absorbs the rounding of their difference."""


class Config(MetricConfig):
    """Settings of the sync metric.

    Parameters
    ----------
    labels : tuple of str
        Impact classes, whose sound is made of separate hits; other classes are left out.
    windows_ms : tuple of int
        Match windows of precision, recall and F1, in milliseconds.
    headline_ms : int
        The window whose F1 is the value of the score; one of `windows_ms`.
    error_window_ms : int
        Match window of the signed error, in milliseconds.
    silence_peak : float
        A sound whose largest sample is below this (full scale is 1) is silent.
    n_shuffles : int
        How many other clips' events each sound of the control is scored against.
    onsets : OnsetConfig
        Settings of the onset detector.
    """

    labels: tuple[str, ...] = IMPACT_LABELS
    windows_ms: tuple[int, ...] = (25, 50, 100)
    headline_ms: int = 50
    error_window_ms: int = Field(default=250, gt=0)
    silence_peak: float = Field(default=1e-4, ge=0)
    n_shuffles: int = Field(default=5, ge=1)
    onsets: OnsetConfig = OnsetConfig()

    @model_validator(mode="after")
    def _windows_are_sound(self) -> "Config":
        if not self.windows_ms or min(self.windows_ms) <= 0:
            raise ValueError("windows_ms must be one or more positive numbers of milliseconds")
        if self.headline_ms not in self.windows_ms:
            raise ValueError(f"headline_ms {self.headline_ms} must be one of windows_ms {self.windows_ms}")
        return self


@dataclass(frozen=True)
class Match:
    """One-to-one pairs of events and onsets.

    Parameters
    ----------
    pairs : ndarray of int, shape (n_pairs, 2)
        Index of the event and of its onset, by event; no index occurs twice in a column.
    errors_s : ndarray of float64, shape (n_pairs,)
        Onset minus event: positive where the sound is late.
    n_events, n_onsets : int
        How many there were.
    """

    pairs: NDArray[np.intp]
    errors_s: Times
    n_events: int
    n_onsets: int

    @property
    def n_missing(self) -> int:
        """Events without an onset."""
        return self.n_events - len(self.pairs)

    @property
    def n_redundant(self) -> int:
        """Onsets without an event."""
        return self.n_onsets - len(self.pairs)

    @property
    def precision(self) -> float | None:
        """Share of onsets that have an event; ``None`` without onsets."""
        return len(self.pairs) / self.n_onsets if self.n_onsets else None

    @property
    def recall(self) -> float | None:
        """Share of events that have an onset; ``None`` without events."""
        return len(self.pairs) / self.n_events if self.n_events else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; ``None`` with neither events nor onsets."""
        n = self.n_events + self.n_onsets
        return 2 * len(self.pairs) / n if n else None


def match_times(events_s: NDArray[np.floating], onsets_s: NDArray[np.floating], window_s: float) -> Match:
    """Pair events with onsets one to one, as many as the window allows, as close as possible.

    Parameters
    ----------
    events_s, onsets_s : ndarray of float, shape (n_events,) and (n_onsets,)
        Times in seconds, in any order, finite.
    window_s : float
        Largest absolute error of a pair, inclusive; at least 0.

    Returns
    -------
    Match
        Of all matchings with the most pairs, one with the smallest sum of absolute errors.

    Raises
    ------
    ValueError
        If a time is not finite, an array is not one-dimensional, or the window is negative.

    Examples
    --------
    >>> found = match_times(np.array([1.0, 2.0]), np.array([1.04, 1.01]), 0.05)
    >>> found.pairs.tolist(), found.n_missing, found.n_redundant
    ([[0, 1]], 1, 1)
    """
    events, onsets = np.asarray(events_s, dtype=np.float64), np.asarray(onsets_s, dtype=np.float64)
    for name, times in (("events_s", events), ("onsets_s", onsets)):
        if times.ndim != 1 or not np.isfinite(times).all():
            raise ValueError(f"{name} must be a finite (n,) array of seconds, got shape {times.shape}")
    if not window_s >= 0:
        raise ValueError(f"window_s must be at least 0, got {window_s}")
    errors = onsets[None, :] - events[:, None]
    inside = np.abs(errors) <= window_s + _ROUNDING_S
    # Every pair earns more than all errors together can cost, so the number of pairs comes first.
    reward = (window_s + 1.0) * (min(errors.shape) + 1)
    rows, columns = linear_sum_assignment(np.where(inside, np.abs(errors) - reward, 0.0))
    kept = inside[rows, columns]
    pairs = np.stack([rows[kept], columns[kept]], axis=1)
    return Match(pairs, errors[rows[kept], columns[kept]], len(events), len(onsets))


def derange(
    items: Sequence[Item], n_shuffles: int, generator: np.random.Generator
) -> NDArray[np.intp] | None:
    """Give every clip other clips of the sequence, none of its own recording.

    Parameters
    ----------
    items : sequence of Item
        Clips of one class.
    n_shuffles : int
        How many others for each clip.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int, shape (n_shuffles, n_items), or None
        Each row is a permutation of the clips; ``None`` where there is none because one recording
        holds more than half of the clips.
    """
    names = sorted({item.cluster for item in items})
    widest = max((sum(item.cluster == name for item in items) for name in names), default=0)
    if len(items) < 2 * widest or len(names) < 2:
        return None
    table = np.empty((n_shuffles, len(items)), dtype=np.intp)
    for row in table:
        rank = {names[index]: place for place, index in enumerate(generator.permutation(len(names)))}
        # Clips of one recording stand together: a shift by the longest recording leaves it.
        order = sorted(range(len(items)), key=lambda index: (rank[items[index].cluster], index))
        shift = int(generator.integers(widest, len(items) - widest + 1))
        row[order] = np.roll(order, -shift)
    return table


@dataclass(frozen=True)
class _Pool:
    """Counts and errors of many clips, from which scores and resamples are taken.

    ``hits`` has shape (n_clips, n_windows), ``n_events`` and ``n_onsets`` (n_clips,); in the control
    they are means over the shuffles. ``errors_ms`` holds one array a clip.
    """

    hits: Counts
    n_events: Counts
    n_onsets: Counts
    errors_ms: list[Times]

    def take(self, rows: NDArray[np.intp]) -> "_Pool":
        errors = [self.errors_ms[index] for index in rows]
        return _Pool(self.hits[rows], self.n_events[rows], self.n_onsets[rows], errors)


def _pool(events: Sequence[Sequence[Times]], onsets: Sequence[Times], config: Config) -> _Pool:
    """Match every clip's onsets with each of its event lists; counts are means over the lists."""
    hits = np.zeros((len(onsets), len(config.windows_ms)))
    n_events = np.zeros(len(onsets))
    errors: list[Times] = []
    for row, (lists, found) in enumerate(zip(events, onsets, strict=True)):
        for times in lists:
            n_events[row] += len(times) / len(lists)
            for column, window_ms in enumerate(config.windows_ms):
                hits[row, column] += len(match_times(times, found, window_ms / 1000).pairs) / len(lists)
        wide = [match_times(times, found, config.error_window_ms / 1000).errors_s for times in lists]
        errors.append(np.concatenate([*wide, np.zeros(0)]) * 1000)
    return _Pool(hits, n_events, np.array([len(found) for found in onsets], dtype=np.float64), errors)


def _ratio(above: Counts, below: Counts) -> Counts:
    """Quotient that is NaN where nothing was counted."""
    result = np.full(np.shape(below), np.nan)
    np.divide(above, below, out=result, where=below > 0)
    return result


def _proportions(pool: _Pool, weights: Weights, column: int) -> dict[str, Counts]:
    """Precision, recall and F1 of each resample, shape (n_resamples,)."""
    hits: Counts = weights @ pool.hits[:, column]
    n_events: Counts = weights @ pool.n_events
    n_onsets: Counts = weights @ pool.n_onsets
    return {
        "precision": _ratio(hits, n_onsets),
        "recall": _ratio(hits, n_events),
        "f1": _ratio(2 * hits, n_events + n_onsets),
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _scores(pool: _Pool, weights: Weights, config: Config) -> Score:
    """F1 at the headline window, with everything else as parts."""
    once = np.ones((1, len(pool.n_events)), dtype=np.int64)
    n_events, n_onsets = float(pool.n_events.sum()), float(pool.n_onsets.sum())
    sizes = {"precision": n_onsets, "recall": n_events, "f1": n_events}
    parts: dict[str, Score] = {}
    for column, window_ms in enumerate(config.windows_ms):
        values, samples = _proportions(pool, once, column), _proportions(pool, weights, column)
        for name in ("f1", "precision", "recall"):
            value = _number(values[name][0])
            low, high = _interval(value, samples[name], config.level)
            note = "" if value is not None else "no events" if name == "recall" else "no onsets"
            parts[f"{name}_{window_ms}ms"] = Score(
                value, round(sizes[name]), "proportion", low, high, note=note
            )
    for name, errors in (
        ("median_error_ms", pool.errors_ms),
        ("median_abs_error_ms", [np.abs(one) for one in pool.errors_ms]),
    ):
        value = _number(weighted_medians(errors, once)[0])
        low, high = _interval(value, weighted_medians(errors, weights), config.level)
        n = sum(len(one) for one in errors)
        note = f"of pairs within {config.error_window_ms} ms" if n else "no pair"
        parts[name] = Score(value, n, "ms", low, high, note=note)
    hits = float(pool.hits[:, config.windows_ms.index(config.headline_ms)].sum())
    n_clips = len(pool.n_events)
    for name, count in (
        ("events", n_events),
        ("onsets", n_onsets),
        ("missing", n_events - hits),
        ("redundant", n_onsets - hits),
    ):
        parts[name] = Score(round(count, 6), n_clips, "count")
    head = parts[f"f1_{config.headline_ms}ms"]
    return Score(head.value, n_clips, head.unit, head.ci_low, head.ci_high, parts, head.note)


def _listed(errors_ms: Sequence[Times]) -> list[float]:
    """All errors in one list, to the microsecond."""
    joined: list[float] = np.round(np.concatenate([*errors_ms, np.zeros(0)]), 3).tolist()
    return joined


def _interval(value: float | None, samples: Counts, level: float) -> Interval:
    return (None, None) if value is None else percentile_interval(samples, level)


def _difference(ours: _Pool, control: _Pool, weights: Weights, config: Config) -> Score:
    """Ours minus control over the same resamples."""
    once = np.ones((1, len(ours.n_events)), dtype=np.int64)

    def f1(rows: Weights, column: int) -> Counts:
        return _proportions(ours, rows, column)["f1"] - _proportions(control, rows, column)["f1"]

    def median(rows: Weights) -> Counts:
        first, second = ([np.abs(one) for one in pool.errors_ms] for pool in (ours, control))
        return weighted_medians(first, rows) - weighted_medians(second, rows)

    n_clips = len(ours.n_events)
    parts: dict[str, Score] = {}
    for column, window_ms in enumerate(config.windows_ms):
        value = _number(f1(once, column)[0])
        low, high = _interval(value, f1(weights, column), config.level)
        note = "" if value is not None else "nothing to compare"
        parts[f"f1_{window_ms}ms"] = Score(value, n_clips, "proportion", low, high, note=note)
    value = _number(median(once)[0])
    low, high = _interval(value, median(weights), config.level)
    note = "" if value is not None else "nothing to compare"
    parts["median_abs_error_ms"] = Score(value, n_clips, "ms", low, high, note=note)
    head = parts[f"f1_{config.headline_ms}ms"]
    return Score(head.value, n_clips, head.unit, head.ci_low, head.ci_high, parts, head.note)


def find_onsets(item: Item, config: OnsetConfig, silence_peak: float) -> Times:
    """Onsets of a clip's generated sound in seconds, shape (n_onsets,); none where it is silent."""
    return onsets_in(item.generated, item.sample_rate_hz, config, silence_peak)


def onsets_in(
    waveform: NDArray[np.float32], sample_rate_hz: int, config: OnsetConfig, silence_peak: float
) -> Times:
    """Onsets of a sound (n_samples,) in seconds, shape (n_onsets,); none where it is silent."""
    if float(np.abs(waveform).max(initial=0.0)) < silence_peak:
        return np.zeros(0)
    return np.asarray(detect_onsets(waveform, sample_rate_hz, config), dtype=np.float64)


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Score the timing of the generated sounds of the held-out clips of the impact classes.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system.
    config : Config
        Settings.
    seed : int
        Configured seed; decides the resamples and who is shuffled with whom.

    Returns
    -------
    Score
        F1 at the headline window, pooled over clips, with a bootstrap interval over recordings.
        Parts: ``f1_<w>ms precision_<w>ms recall_<w>ms median_error_ms median_abs_error_ms events
        onsets missing redundant``; the same again under ``class/<label>`` and under ``shuffled``;
        ``difference`` with F1 and the median absolute error. ``data`` holds ``errors_ms``
        (all signed errors, by label), ``shuffled_errors_ms`` and ``truth`` (clips by source of their
        event times).
        The value is ``None`` where no test clip is of an impact class.
    """
    members = [item for item in of_split(items, "test") if item.label in config.labels]
    if not members:
        return Score(None, 0, "proportion", note="no test clip of an impact class")
    onsets = [find_onsets(item, config.onsets, config.silence_peak) for item in members]
    events = [item.events_s for item in members]
    ours = _pool([[times] for times in events], onsets, config)
    whole = _scores(ours, item_weights(members, config, seed, "sync"), config)

    parts: dict[str, Score] = {}
    by_label: dict[str, NDArray[np.intp]] = {}
    for label in labels_of(members):
        rows = np.array([index for index, item in enumerate(members) if item.label == label], dtype=np.intp)
        by_label[label] = rows
        weights = item_weights([members[index] for index in rows], config, seed, "sync", label)
        parts[f"class/{label}"] = _scores(ours.take(rows), weights, config)

    partners = _partners(members, by_label, config, seed)
    control_errors_ms: list[Times] = []
    if partners:
        rows = np.array(sorted(partners), dtype=np.intp)
        taken = [members[index] for index in rows]
        control = _pool(
            [[events[other] for other in partners[index]] for index in rows],
            [onsets[index] for index in rows],
            config,
        )
        weights = item_weights(taken, config, seed, "sync", "control")
        control_errors_ms = control.errors_ms
        parts["shuffled"] = _scores(control, weights, config)
        parts["difference"] = _difference(ours.take(rows), control, weights, config)
    else:
        none = Score(None, 0, "proportion", note="too few recordings of a class to shuffle")
        parts["shuffled"] = parts["difference"] = none

    sources = sorted({item.events_source for item in members if item.events_source})
    truth = {name: sum(item.events_source == name for item in members) for name in sources}
    note = "event times: " + (", ".join(sources) or "none")
    head = whole.with_parts(parts)
    data = {
        "errors_ms": {
            label: _listed([ours.errors_ms[index] for index in rows]) for label, rows in by_label.items()
        },
        "shuffled_errors_ms": _listed(control_errors_ms),
        "truth": truth,
    }
    return replace(head, note=note, data=data)


def _partners(
    members: Sequence[Item], by_label: Mapping[str, NDArray[np.intp]], config: Config, seed: int
) -> dict[int, list[int]]:
    """Clips whose events each clip's sound is scored against in the control."""
    found: dict[int, list[int]] = {}
    for label, rows in by_label.items():
        generator = numpy_generator(seed, "shuffle", label)
        table = derange([members[index] for index in rows], config.n_shuffles, generator)
        if table is not None:
            for place, index in enumerate(rows):
                found[int(index)] = [int(rows[other]) for other in table[:, place]]
    return found
