"""Confusion matrix of the class predicted from the picture (AutoFoley, Fig. 14)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foley.metrics.base import (
    NO_CLASS_OUTPUT,
    Item,
    MetricConfig,
    Score,
    class_indices,
    of_split,
    stack_probabilities,
)
from foley.metrics.statistics import wilson_interval

Config = MetricConfig


def confusion_counts(
    truth: NDArray[np.intp], predicted: NDArray[np.intp], n_classes: int
) -> NDArray[np.int64]:
    """Count clips by true class (row) and predicted class (column).

    Parameters
    ----------
    truth, predicted : ndarray of int, shape (n_clips,)
        Class indices in [0, n_classes).
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of int64, shape (n_classes, n_classes)

    Examples
    --------
    >>> confusion_counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells = np.bincount(truth * n_classes + predicted, minlength=n_classes * n_classes)
    return cells.reshape(n_classes, n_classes)


def score(items: Sequence[Item], config: MetricConfig, seed: int) -> Score:
    """Mean of the diagonal of the row-normalised confusion matrix over held-out clips.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system.
    config : MetricConfig
        Settings.
    seed : int
        Unused: nothing is drawn.

    Returns
    -------
    Score
        Value in [0, 1]; parts ``<true>/<predicted>`` are proportions of the true class's clips;
        ``data`` holds ``classes`` and the ``counts``.
    """
    members = of_split(items, "test")
    table = stack_probabilities(members, "probabilities") if members else None
    if table is None:
        return Score(None, 0, "proportion", note=NO_CLASS_OUTPUT if members else "no clip")
    classes = members[0].classes
    counts = confusion_counts(class_indices(members), table.argmax(axis=1), len(classes))
    parts = {}
    diagonal = []
    for row, label in enumerate(classes):
        n = int(counts[row].sum())
        if n == 0:
            continue
        diagonal.append(counts[row, row] / n)
        for column, predicted in enumerate(classes):
            hits = int(counts[row, column])
            low, high = wilson_interval(hits, n, config.level)
            parts[f"{label}/{predicted}"] = Score(hits / n, n, "proportion", low, high)
    data = {"classes": list(classes), "counts": counts.tolist()}
    return Score(float(np.mean(diagonal)), len(members), "proportion", parts=parts, data=data)
