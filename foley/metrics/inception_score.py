"""Inception score: how sure a classifier is of each sound, and how many classes it hears (FoleyGAN, eq. 6).

``exp(mean KL(p(y|x) || p(y)))`` (Salimans et al. 2016), by the project's own sound classifier, as FoleyGAN
(section V-B) uses its own. Between 1 and the number of classes; more is better. All clips are one set:
the usual ten parts would hold too few.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foley.metrics.base import NO_CLIP, Item, MetricConfig, Score, of_split, stack_probabilities
from foley.metrics.statistics import item_weights, shifted_interval

Config = MetricConfig
NEEDS = ("judgements",)
_UNIT = "effective classes"


def inception_scores(
    probabilities: NDArray[np.floating], weights: NDArray[np.integer] | NDArray[np.floating]
) -> NDArray[np.float64]:
    """Inception score of weighted sets.

    Parameters
    ----------
    probabilities : ndarray of float, shape (n_items, n_classes)
        Rows sum to 1.
    weights : ndarray, shape (n_sets, n_items)
        How often each item is in each set.

    Returns
    -------
    ndarray of float64, shape (n_sets,)

    Examples
    --------
    >>> inception_scores(np.eye(3), np.ones((1, 3))).round(6).tolist()
    [3.0]
    """
    table = np.asarray(probabilities, dtype=np.float64)
    shares = weights / weights.sum(axis=1, keepdims=True)
    within = shares @ _information(table).sum(axis=1)
    between = _information(shares @ table).sum(axis=1)
    return np.asarray(np.exp(within - between))


def _information(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``p log p``, 0 at 0."""
    return values * np.log(np.where(values > 0, values, 1.0))


def score(items: Sequence[Item], config: MetricConfig, seed: int) -> Score:
    """Inception score of the held-out clips' generated sound.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system; the test clips need a `judgement`.
    config : MetricConfig
        Settings.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        With a bootstrap interval over recordings, shifted by the bias of resampling.
    """
    judged = of_split(items, "test")
    table = stack_probabilities(judged, "judgement") if judged else None
    if table is None:
        return Score(None, 0, _UNIT, note=NO_CLIP)
    value = float(inception_scores(table, np.ones((1, len(judged))))[0])
    samples = inception_scores(table, item_weights(judged, config, seed, "inception_score"))
    low, high = shifted_interval(value, samples, config.level, least=1.0)
    return Score(value, len(judged), _UNIT, low, high)
