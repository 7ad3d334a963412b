"""Frechet distance of two sets of features, each taken for a Gaussian (Heusel et al. 2017).

``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))``, covariances with n - 1 (FoleyGAN, eq. 7). The trace of the
root is the sum of the singular values of the product of the two centred data matrices, so sets smaller
than the number of dimensions need no care, and no root of a matrix that is nearly singular is taken.
The distance of small sets is too large, by more the fewer they are: compare equal numbers only.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foley.metrics.base import NO_CLIP, Item, MetricConfig, Score, labels_of, of_split
from foley.metrics.statistics import item_weights, shifted_interval

_UNIT = "squared feature distance"


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Frechet distance of two sets of features.

    Parameters
    ----------
    first, second : ndarray of float, shape (n, dim) and (m, dim)
        At least two rows each.

    Returns
    -------
    float
        At least 0; 0 for equal sets.

    Examples
    --------
    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]]))
    9.0
    """
    return float(frechet_distances(first, second, np.ones((1, len(second))))[0])


def frechet_distances(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    weights: NDArray[np.integer] | NDArray[np.floating],
) -> NDArray[np.float64]:
    """Frechet distances of a set to weighted versions of another.

    Parameters
    ----------
    first, second : ndarray of float, shape (n, dim) and (m, dim)
        Features.
    weights : ndarray, shape (n_sets, m)
        How often each row of `second` is in each set; at least two in all.

    Returns
    -------
    ndarray of float64, shape (n_sets,)
        At least 0.
    """
    a = np.asarray(first, dtype=np.float64)
    b = np.asarray(second, dtype=np.float64)
    mean = a.mean(axis=0)
    scatter, trace = _root_factor(a - mean)
    found = np.empty(len(weights))
    for row, counts in enumerate(np.asarray(weights, dtype=np.float64)):
        total = counts.sum()
        own_mean = counts @ b / total
        spread = np.sqrt(counts / (total - 1))[:, None] * (b - own_mean)
        shared = np.linalg.svd(spread @ scatter, compute_uv=False).sum()
        gap = np.square(mean - own_mean).sum() + trace + np.square(spread).sum() - 2 * shared
        found[row] = max(0.0, gap)
    return found


def _root_factor(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Matrix (dim, rank) whose product with its transpose is the covariance, and the covariance's trace."""
    _, values, rows = np.linalg.svd(centred / np.sqrt(len(centred) - 1), full_matrices=False)
    kept = values > values.max(initial=0) * 1e-12
    return (rows[kept] * values[kept, None]).T, float(np.square(values).sum())


def frechet_score(
    items: Sequence[Item],
    name: str,
    split: str,
    config: MetricConfig,
    seed: int,
    *,
    n_components: int | None = None,
) -> Score:
    """Frechet distance of what is heard in a system's sound to what is heard in recorded sound.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system.
    name : str
        What was heard: ``embedding`` or ``effects``.
    split : {"train", "test"}
        Recorded clips to compare with, those of the system's classes.
    config : MetricConfig
        Level and number of resamples.
    seed : int
        Configured seed.
    n_components : int, optional
        Principal components of the recorded clips' features that are compared; all by default.

    Returns
    -------
    Score
        With a bootstrap interval over the recordings of the generated clips, the recorded ones being
        held, shifted by the bias of resampling. The value is ``None`` for fewer than two clips on a side.

    Raises
    ------
    StoreError
        If a sound was not judged, or there is no recorded sound of these classes.
    """
    judged = of_split(items, "test")
    if len(judged) < 2:
        return Score(None, len(judged), _UNIT, note="needs two clips or more" if judged else NO_CLIP)
    recorded = judged[0].compared().stack(name, split, labels_of(judged))
    if len(recorded) < 2:
        return Score(None, len(judged), _UNIT, note="needs two recorded clips or more")
    made = np.array([item.heard(name) for item in judged], dtype=np.float64)
    if n_components is not None:
        recorded, made = _projected(recorded, made, n_components)
    value = frechet_distance(recorded, made)
    samples = frechet_distances(recorded, made, item_weights(judged, config, seed, "frechet", name))
    low, high = shifted_interval(value, samples, config.level, least=0.0)
    fewest, n_dims = min(len(made), len(recorded)), made.shape[1]
    note = f"{fewest} clips for {n_dims} dimensions: too large" if fewest <= n_dims else ""
    return Score(value, len(judged), _UNIT, low, high, note=note, data={"n_recorded": len(recorded)})


def _projected(
    recorded: NDArray[np.float64], made: NDArray[np.float64], n_components: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sets in the leading principal components of the first."""
    mean = recorded.mean(axis=0)
    _, _, axes = np.linalg.svd(recorded - mean, full_matrices=False)
    basis = axes[:n_components].T
    return (recorded - mean) @ basis, (made - mean) @ basis
