"""Divergence of what a classifier hears in generated and in recorded sound of the same clip.

``KL(p(recorded) || p(generated))`` of the sound classifier's posteriors, in nats, averaged over clips (as
SpecVQGAN and its followers report it, with other classifiers). 0 where both sound alike to it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from foley.metrics.base import NO_CLIP, Item, MetricConfig, Score, of_split, stack_probabilities
from foley.metrics.statistics import class_parts, mean_score

NEEDS = ("judgements", "reference")


class Config(MetricConfig):
    """Settings of the divergence.

    Parameters
    ----------
    floor : float
        Smallest probability that counts; a class that the classifier rules out would make it infinite.
    """

    floor: float = Field(default=1e-6, gt=0, lt=0.1)


def divergences(
    wanted: NDArray[np.floating], made: NDArray[np.floating], floor: float
) -> NDArray[np.float64]:
    """Divergence of each row of `wanted` from that of `made`, both (n, n_classes), in nats: (n,).

    Examples
    --------
    >>> divergences(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), 1e-9).round(4).tolist()
    [0.6931]
    """
    p, q = (np.maximum(np.asarray(values, dtype=np.float64), floor) for values in (wanted, made))
    p, q = (values / values.sum(axis=1, keepdims=True) for values in (p, q))
    return np.asarray((p * np.log(p / q)).sum(axis=1))


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Mean divergence over the held-out clips.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system; the test clips need a `judgement`.
    config : Config
        Settings.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        In nats, with a bootstrap interval over recordings; parts ``class/<label>``.

    Raises
    ------
    StoreError
        If a clip has no recorded sound that was judged.
    """
    judged = of_split(items, "test")
    made = stack_probabilities(judged, "judgement") if judged else None
    if made is None:
        return Score(None, 0, "nats", note=NO_CLIP)
    reference = judged[0].compared()
    wanted = np.array([reference.read(item.clip_id, "probabilities") for item in judged])
    values = divergences(wanted, made, config.floor)
    whole = mean_score(judged, values, "nats", config, seed, "kl")
    return whole.with_parts(class_parts(judged, values, "nats", config, seed, "kl"))
