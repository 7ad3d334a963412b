"""Confidence intervals: seeded bootstrap over recordings, Wilson interval for proportions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from foley.metrics.base import Item, MetricConfig, Score, labels_of
from foley.seeds import numpy_generator

Interval = tuple[float | None, float | None]
Weights = NDArray[np.int64]


def wilson_interval(n_hits: int, n: int, level: float = 0.95) -> Interval:
    """Score interval of a proportion, which stays inside [0, 1] and is sound for small `n`.

    Parameters
    ----------
    n_hits, n : int
        Hits and trials, ``0 <= n_hits <= n``.
    level : float
        Confidence level in (0, 1).

    Returns
    -------
    tuple of float
        Lower and upper end; ``(None, None)`` for no trial.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.

    Examples
    --------
    >>> low, high = wilson_interval(8, 10)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    if not 0 <= n_hits <= n:
        raise ValueError(f"need 0 <= n_hits <= n, got n_hits={n_hits}, n={n}")
    if n == 0:
        return None, None
    z = float(ndtri(0.5 + level / 2))
    centre = (n_hits + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * float(np.sqrt(n_hits * (n - n_hits) / n + z * z / 4))
    return max(0.0, centre - half), min(1.0, centre + half)


def resample_weights(
    clusters: Sequence[str], strata: Sequence[str], n_resamples: int, generator: np.random.Generator
) -> Weights:
    """Draw bootstrap resamples as how often each item is taken.

    Clusters are drawn with replacement within their stratum, so clips of one recording go together
    and every class keeps its number of recordings in every resample.

    Parameters
    ----------
    clusters, strata : sequence of str, length n
        Cluster (recording) and stratum (class) of each item.
    n_resamples : int
        How many resamples.
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of int64, shape (n_resamples, n)
        How often each item occurs in each resample.
    """
    keys = list(zip(strata, clusters, strict=True))
    weights = np.zeros((n_resamples, len(keys)), dtype=np.int64)
    for stratum in sorted(set(strata)):
        members = sorted({key for key in keys if key[0] == stratum})
        number = {key: index for index, key in enumerate(members)}
        drawn = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), n_resamples)
        for index, key in enumerate(keys):
            if key[0] == stratum:
                weights[:, index] = drawn[:, number[key]]
    return weights


def item_weights(items: Sequence[Item], config: MetricConfig, seed: int, *names: object) -> Weights:
    """Draw the resamples of `items`, seeded by `seed` and `names`; see :func:`resample_weights`.

    There are none when every class has a single recording: resampling would only repeat it, and an
    interval of no width would claim certainty.
    """
    clusters, strata = [item.cluster for item in items], [item.label for item in items]
    varies = len(set(zip(strata, clusters, strict=True))) > len(set(strata))
    generator = numpy_generator(seed, "bootstrap", *names)
    return resample_weights(clusters, strata, config.n_resamples if varies else 0, generator)


def percentile_interval(samples: NDArray[np.float64], level: float) -> Interval:
    """Percentile interval of bootstrap statistics; undefined (NaN) resamples are left out."""
    kept = samples[np.isfinite(samples)]
    if kept.size == 0:
        return None, None
    tail = 50 * (1 - level)
    low, high = np.percentile(kept, [tail, 100 - tail])
    return float(low), float(high)


def shifted_interval(
    value: float, samples: NDArray[np.float64], level: float, least: float = -np.inf
) -> Interval:
    """Percentile interval of a statistic that resampling itself moves.

    A resample repeats some clips and lacks others, so that it is less diverse than the set that it was
    drawn from: distances between distributions grow. The interval is shifted so that the samples'
    median lies on the value.

    Parameters
    ----------
    value : float
        The statistic of the whole set.
    samples : ndarray of float64, shape (n_resamples,)
        Of the resamples; undefined ones (NaN) are left out.
    level : float
        Confidence level.
    least : float
        Smallest value that the statistic can have.

    Returns
    -------
    tuple of float
        Lower and upper end; ``(None, None)`` without samples.

    Examples
    --------
    >>> shifted_interval(1.0, np.array([2.0, 3.0, 4.0]), 0.5, least=0.6)
    (0.6, 1.5)
    """
    low, high = percentile_interval(samples, level)
    if low is None or high is None:
        return None, None
    shift = value - float(np.median(samples[np.isfinite(samples)]))
    return max(low + shift, least), max(high + shift, least)


def weighted_medians(groups: Sequence[NDArray[np.float64]], weights: Weights) -> NDArray[np.float64]:
    """Median of all values for every resample; NaN where a resample holds no value.

    Parameters
    ----------
    groups : sequence of ndarray of float64
        Values of each item (any number, also none).
    weights : ndarray of int64, shape (n_resamples, n_items)
        See :func:`resample_weights`.

    Returns
    -------
    ndarray of float64, shape (n_resamples,)
    """
    values = np.concatenate([*groups, np.zeros(0)])
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    order = np.argsort(values, kind="stable")
    values, owner = values[order], owner[order]
    result = np.full(len(weights), np.nan)
    for row, counts in enumerate(weights):
        cumulative = np.cumsum(counts[owner])
        total = int(cumulative[-1]) if len(cumulative) else 0
        if total:
            low, high = np.searchsorted(cumulative, [(total - 1) // 2 + 1, total // 2 + 1])
            result[row] = (values[low] + values[high]) / 2
    return result


def mean_score(
    items: Sequence[Item],
    values: NDArray[np.float64],
    unit: str,
    config: MetricConfig,
    seed: int,
    *names: object,
) -> Score:
    """Mean over clips with its bootstrap interval.

    Parameters
    ----------
    items : sequence of Item
        Clips.
    values : ndarray of float64, shape (n_items,)
        One value a clip.
    unit : str
        Unit of the values.
    config : MetricConfig
        Level and number of resamples.
    seed : int
        Configured seed.
    *names : object
        Name path of this score's random numbers.

    Returns
    -------
    Score
        ``value`` is ``None`` for no clip.
    """
    if len(items) == 0:
        return Score(None, 0, unit, note="no clip")
    weights = item_weights(items, config, seed, *names)
    samples = (weights @ values) / np.maximum(weights.sum(axis=1), 1)
    low, high = percentile_interval(samples, config.level)
    return Score(float(np.mean(values)), len(items), unit, low, high)


def class_parts(
    items: Sequence[Item],
    values: NDArray[np.float64],
    unit: str,
    config: MetricConfig,
    seed: int,
    *names: object,
) -> dict[str, Score]:
    """Mean over the clips of each class: parts ``class/<label>``; parameters as :func:`mean_score`."""
    parts = {}
    for label in labels_of(items):
        inside = np.array([item.label == label for item in items])
        members = [item for item in items if item.label == label]
        parts[f"class/{label}"] = mean_score(members, values[inside], unit, config, seed, *names, label)
    return parts


def proportion_score(hits: NDArray[np.bool_], level: float) -> Score:
    """Proportion of hits with its Wilson interval."""
    if hits.size == 0:
        return Score(None, 0, "proportion", note="no clip")
    low, high = wilson_interval(int(hits.sum()), hits.size, level)
    return Score(float(hits.mean()), hits.size, "proportion", low, high)


def class_average_score(
    items: Sequence[Item],
    values: NDArray[np.float64],
    unit: str,
    config: MetricConfig,
    seed: int,
    *names: object,
) -> Score:
    """Mean over the classes of the mean over each class's clips, with its bootstrap interval.

    The paper's averages are of this kind ("we average the accuracy of all categories", sec. IV-C).
    Parameters as in :func:`mean_score`.
    """
    if len(items) == 0:
        return Score(None, 0, unit, note="no clip")
    labels = np.array([item.label for item in items])
    masks = np.array([labels == label for label in sorted(set(labels.tolist()))])
    weights = item_weights(items, config, seed, *names)
    sums = (weights * values) @ masks.T
    samples = (sums / np.maximum(weights @ masks.T, 1)).mean(axis=1)
    low, high = percentile_interval(samples, config.level)
    centre = float(np.mean([values[mask].mean() for mask in masks]))
    return Score(centre, len(items), unit, low, high)
