"""Cross-entropy of recorded sound under a model that has a likelihood (Visual2Sound, Table 1).

Models are not asked here: when a model's sound is made, it is also asked how unlikely it finds every
recorded clip, and that number is stored beside the sound. How samples are told in levels is the
model's affair, and so numbers compare only between models of one quantiser, rate and number of levels.
"""

import math
from collections.abc import Sequence

import numpy as np

from foley.errors import StoreError
from foley.metrics.base import Item, MetricConfig, Score, of_split
from foley.metrics.statistics import class_parts, mean_score

Config = MetricConfig

_UNIT = "nats"
BITS = 1 / math.log(2)
"""Bits that make a nat."""


def score(items: Sequence[Item], config: MetricConfig, seed: int) -> Score:
    """Mean negative log-likelihood of the recorded sound, in nats a sample.

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
        Value over test clips, with a bootstrap interval by recording; parts ``train`` and ``test``, each
        with ``class/<label>``. ``None`` for a system without a likelihood. Times :data:`BITS` it is in
        bits.

    Raises
    ------
    StoreError
        If a value is missing for some clips only, or is not finite.
    """
    splits = {split: _split_score(of_split(items, split), config, seed, split) for split in ("train", "test")}
    test = splits["test"]
    return Score(test.value, test.n, test.unit, test.ci_low, test.ci_high, splits, test.note)


def _split_score(items: Sequence[Item], config: MetricConfig, seed: int, split: str) -> Score:
    known = {item.clip_id: item.cross_entropy for item in items if item.cross_entropy is not None}
    if not known:
        note = "this system gives recorded sound no likelihood" if items else "no clip"
        return Score(None, 0, _UNIT, note=note)
    for item in items:
        if item.clip_id not in known or not math.isfinite(known[item.clip_id]):
            raise StoreError(
                f"{item.clip_id}: its cross-entropy is missing or not finite; make the run's sound again"
            )
    values = np.array([known[item.clip_id] for item in items], dtype=np.float64)
    parts = class_parts(items, values, _UNIT, config, seed, "cross_entropy", split)
    return mean_score(items, values, _UNIT, config, seed, "cross_entropy", split).with_parts(parts)
