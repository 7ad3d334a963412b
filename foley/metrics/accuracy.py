"""Accuracy of the class that a system predicts from the picture (AutoFoley, Tables IV to VII)."""

from collections.abc import Sequence

from foley.metrics.base import (
    NO_CLASS_OUTPUT,
    Item,
    MetricConfig,
    Score,
    class_indices,
    labels_of,
    of_split,
    stack_probabilities,
)
from foley.metrics.statistics import class_average_score, proportion_score

Config = MetricConfig


def top1_score(items: Sequence[Item], which: str, config: MetricConfig, seed: int) -> Score:
    """Proportion of clips whose most probable class is the true one.

    Parameters
    ----------
    items : sequence of Item
        Clips of one split.
    which : {"probabilities", "judgement"}
        Whose class probabilities.
    config : MetricConfig
        Confidence level and bootstrap size.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        Over clips, with a Wilson interval; parts ``class_average`` (mean over the classes, bootstrap
        interval) and ``class/<label>``.
    """
    table = stack_probabilities(items, which) if items else None
    if table is None:
        return Score(None, 0, "proportion", note=NO_CLASS_OUTPUT if items else "no clip")
    hits = table.argmax(axis=1) == class_indices(items)
    average = class_average_score(items, hits.astype(float), "proportion", config, seed, "top1", which)
    parts = {"class_average": average}
    for label in labels_of(items):
        inside = [item.label == label for item in items]
        parts[f"class/{label}"] = proportion_score(hits[inside], config.level)
    return proportion_score(hits, config.level).with_parts(parts)


def score(items: Sequence[Item], config: MetricConfig, seed: int) -> Score:
    """Accuracy over the held-out clips; parts ``train`` and ``test`` hold both splits.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system.
    config : MetricConfig
        Settings.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        Value in [0, 1] over test clips; ``None`` for a system without a class output.
    """
    splits = {
        split: top1_score(of_split(items, split), "probabilities", config, seed)
        for split in ("train", "test")
    }
    test = splits["test"]
    return Score(test.value, test.n, test.unit, test.ci_low, test.ci_high, splits, test.note)
