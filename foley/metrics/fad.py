"""Frechet audio distance on an embedding of sound effects (after Kilgour et al. 2019).

The embedding is that of aisfx (Ma and Lerch 2022), a network that was trained to tell the categories of
sound-effects libraries apart and knows nothing of this project (:mod:`foley.features.effects`); both
sides are brought to its sample rate. It has 512 dimensions, more than there are test clips at the
embedded scale: the leading principal components of the recorded clips are compared. What a system makes
outside of them is not seen.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from foley.metrics.base import Item, MetricConfig, Score
from foley.metrics.frechet import frechet_score

NEEDS = ("judgements", "reference", "effects")


class Config(MetricConfig):
    """Settings of the distance.

    Parameters
    ----------
    reference : {"train", "test"}
        Recorded clips to compare with.
    n_components : int or None
        Principal components of the recorded clips' embeddings that are compared; None takes all.
    """

    n_resamples: int = Field(default=200, ge=0)
    reference: Literal["train", "test"] = "train"
    n_components: int | None = Field(default=64, ge=1)


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Distance of the held-out clips' generated sound to recorded sound.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system; the test clips need an effects embedding.
    config : Config
        Settings.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        See :func:`foley.metrics.frechet.frechet_score`.
    """
    return frechet_score(items, "effects", config.reference, config, seed, n_components=config.n_components)
