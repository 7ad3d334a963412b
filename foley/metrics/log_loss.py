"""Log loss of the class predicted from the picture (AutoFoley, Table IV)."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from foley.metrics.base import (
    NO_CLASS_OUTPUT,
    Item,
    MetricConfig,
    Score,
    class_indices,
    of_split,
    stack_probabilities,
)
from foley.metrics.statistics import class_parts, mean_score


class Config(MetricConfig):
    """Settings of the log loss.

    Parameters
    ----------
    floor : float
        Smallest probability that counts, so that one certain error is not infinite.
    """

    floor: float = Field(default=1e-7, gt=0, lt=1)


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Mean negative logarithm of the probability of the true class, in nats.

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
        Value over test clips, at least 0; parts ``train`` and ``test``, each with ``class/<label>``.
        ``None`` for a system without a class output.
    """
    splits = {split: _split_score(of_split(items, split), config, seed, split) for split in ("train", "test")}
    test = splits["test"]
    return Score(test.value, test.n, test.unit, test.ci_low, test.ci_high, splits, test.note)


def _split_score(items: Sequence[Item], config: Config, seed: int, split: str) -> Score:
    table = stack_probabilities(items, "probabilities") if items else None
    if table is None:
        return Score(None, 0, "nats", note=NO_CLASS_OUTPUT if items else "no clip")
    of_truth = table[np.arange(len(items)), class_indices(items)]
    losses = -np.log(np.clip(of_truth, config.floor, 1.0))
    parts = class_parts(items, losses, "nats", config, seed, "log_loss", split)
    return mean_score(items, losses, "nats", config, seed, "log_loss", split).with_parts(parts)
