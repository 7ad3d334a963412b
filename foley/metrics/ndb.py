"""Number of statistically different bins (Richardson and Weiss 2018; FoleyGAN, section V-D).

Recorded training clips are clustered into ``k`` bins by k-means; each generated clip falls into the bin
of the nearest centre; a two-sample test says for each bin whether the two shares differ. Read from
``ndb.py`` of github.com/eitanrich/gans-n-gmms (a6bcb4e): with more than 1000 dimensions the bins are found
in a random sixth of them, the centres are then the means in all dimensions but distances are taken in
the sixth; pooled test of two proportions, two-tailed, significant under 0.05.

The space is FoleyGAN's, the log spectrogram: here the sound classifier's log-mel spectrogram, relative to
the clip's loudest point, averaged over cells of 4 bands and 8 frames (``sketch``); ``embedding`` takes the
classifier's features instead. The paper's ``k`` is 50 also within a class. The test holds for five clips a
bin or more on either side, and finds little in fewer: a system that always makes one sound would differ in
one bin of 50 and look good. So ``k`` is lowered until ``min_per_bin`` clips of either side fall to each bin
on average, but not below 2; counts with fewer bins are not those of the paper, shares compare. The
divergence of the two histograms does not depend on a test.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtr

from foley.metrics.base import NO_CLIP, Item, MetricConfig, Score, labels_of, of_split
from foley.metrics.statistics import item_weights, shifted_interval
from foley.seeds import derive_seed, numpy_generator

NEEDS = ("judgements", "reference")
_MANY_DIMS = 1000
_KEPT_DIMS = 6
_UNIT = "bins"


class Config(MetricConfig):
    """Settings of the bins.

    Parameters
    ----------
    k : int
        Bins.
    min_per_bin : int
        Clips a bin, on average, on either side; `k` is lowered where there are fewer.
    significance : float
        Level under which two shares differ.
    space : {"sketch", "embedding"}
        What is clustered.
    whiten : bool
        Divide each dimension by its deviation over the training clips first.
    """

    k: int = Field(default=50, ge=2)
    min_per_bin: int = Field(default=5, ge=1)
    significance: float = Field(default=0.05, gt=0, lt=1)
    space: Literal["sketch", "embedding"] = "sketch"
    whiten: bool = False


def bin_sets(
    recorded: NDArray[np.floating], made: NDArray[np.floating], k: int, seed: int, *, whiten: bool = False
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Put two sets into the bins of the first.

    Parameters
    ----------
    recorded, made : ndarray of float, shape (n, dim) and (m, dim)
        Features; ``k`` of the recorded at least.
    k : int
        Bins.
    seed : int
        Of the clustering.
    whiten : bool
        Divide each dimension by its deviation over `recorded`.

    Returns
    -------
    tuple of ndarray of int, shapes (n,) and (m,)
        Bin of each row, 0 to k - 1.
    """
    # Loading scikit-learn takes a second: only runs that are scored by it pay.
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    first, second = (np.asarray(values, dtype=np.float64) for values in (recorded, made))
    if whiten:
        mean, deviation = first.mean(axis=0), first.std(axis=0) + 1e-6
        first, second = (first - mean) / deviation, (second - mean) / deviation
    n_dims = first.shape[1]
    taken = np.arange(n_dims)
    if n_dims > _MANY_DIMS:
        taken = numpy_generator(seed, "ndb", "dims").choice(n_dims, n_dims // _KEPT_DIMS, replace=False)
    with threadpool_limits(1):  # sums depend on the number of threads
        found = KMeans(k, max_iter=100, n_init=10, random_state=derive_seed(seed, "ndb", "bins") % 2**32).fit(
            first[:, taken]
        )
    own = np.asarray(found.labels_, dtype=np.intp)
    sums = np.eye(k)[own].T @ first[:, taken]
    counts = np.bincount(own, minlength=k)[:, None]
    # A bin that nothing fell into, where rows repeat, is out of reach.
    centres = np.divide(sums, counts, out=np.full_like(sums, np.inf), where=counts > 0)
    return own, _nearest(second[:, taken], centres)


def _nearest(values: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.intp]:
    reached = np.flatnonzero(np.isfinite(centres).all(axis=1))
    kept = centres[reached]
    squared = np.square(kept).sum(axis=1) - 2 * values @ kept.T
    return np.asarray(reached[squared.argmin(axis=1)], dtype=np.intp)


def different_bins(
    counts: NDArray[np.integer], other: NDArray[np.integer], significance: float
) -> NDArray[np.bool_]:
    """Bins whose shares of two sets differ: pooled test of two proportions, two-tailed.

    Parameters
    ----------
    counts : ndarray of int, shape (k,)
        Of the first set in each bin.
    other : ndarray of int, shape (..., k)
        Of the second set, or of several.
    significance : float
        Level of the test.

    Returns
    -------
    ndarray of bool, shape of `other`
        False where both shares are 0, or both are 1.
    """
    n, m = counts.sum(), other.sum(axis=-1, keepdims=True)
    pooled = (counts + other) / (n + m)
    deviation = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    gap = np.abs(counts / n - other / m)
    z = np.divide(gap, deviation, out=np.zeros_like(gap), where=deviation > 0)
    return np.asarray(2 * ndtr(-z) < significance)


def divergence(counts: NDArray[np.integer], other: NDArray[np.integer]) -> float:
    """Jensen-Shannon divergence of two sets of counts, (k,), in nats."""
    p, q = counts / counts.sum(), other / other.sum()
    middle = (p + q) / 2
    return float(sum(_relative(one, middle) for one in (p, q)) / 2)


def _relative(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    inside = p > 0
    return float((p[inside] * np.log(p[inside] / q[inside])).sum())


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Different bins between the held-out clips' generated sound and the recorded training clips.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system; the test clips need to be judged.
    config : Config
        Settings.
    seed : int
        Configured seed; of the clustering, too.

    Returns
    -------
    Score
        How many bins differ, over all classes, with a bootstrap interval over the recordings of the
        generated clips, shifted by the bias of resampling. Parts: ``share`` of the bins; ``divergence``
        (Jensen-Shannon, nats); ``class/<label>``, the share within a class; ``class_average``, the mean of
        these. Notes say how many bins there are where that is not ``k``.

    Raises
    ------
    StoreError
        If a sound was not judged, or there is no recorded sound of these classes.
    """
    judged = of_split(items, "test")
    if not judged:
        return Score(None, 0, _UNIT, note=NO_CLIP)
    labels = labels_of(judged)
    whole = _binned(judged, labels, config, seed)
    parts = dict(whole.parts)
    for label in labels:
        members = [item for item in judged if item.label == label]
        parts[f"class/{label}"] = _binned(members, [label], config, seed).parts["share"]
    shares = [parts[f"class/{label}"].value for label in labels]
    known = [share for share in shares if share is not None]
    average = float(np.mean(known)) if known else None
    parts["class_average"] = Score(average, len(judged), "proportion")
    return Score(whole.value, whole.n, whole.unit, whole.ci_low, whole.ci_high, parts, whole.note)


def _binned(judged: Sequence[Item], labels: Sequence[str], config: Config, seed: int) -> Score:
    """Different bins of some classes, with parts ``share`` and ``divergence``."""
    recorded = judged[0].compared().stack(config.space, "train", labels)
    k = max(2, min(config.k, min(len(recorded), len(judged)) // config.min_per_bin))
    if len(recorded) < 2 * config.min_per_bin:
        note = f"{len(recorded)} training clips are too few for two bins"
        share = Score(None, len(judged), "proportion", note=note)
        return Score(None, len(judged), _UNIT, parts={"share": share}, note=note)
    made = np.array([item.heard(config.space) for item in judged])
    own, other = bin_sets(recorded, made, k, seed, whiten=config.whiten)
    counts, others = np.bincount(own, minlength=k), np.bincount(other, minlength=k)
    value = int(different_bins(counts, others, config.significance).sum())
    weights = item_weights(judged, config, seed, "ndb", *labels)
    resampled = weights @ np.eye(k, dtype=np.int64)[other]
    samples = different_bins(counts, resampled, config.significance).sum(axis=-1).astype(np.float64)
    low, high = shifted_interval(value, samples, config.level, least=0.0)
    note = f"{k} bins" if k != config.k else ""
    share = Score(
        value / k,
        len(judged),
        "proportion",
        None if low is None else low / k,
        None if high is None else min(high / k, 1.0),
        note=note,
    )
    parts = {"share": share, "divergence": Score(divergence(counts, others), len(judged), "nats", note=note)}
    return Score(float(value), len(judged), _UNIT, low, None if high is None else min(high, k), parts, note)
