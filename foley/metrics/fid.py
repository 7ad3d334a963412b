"""Frechet inception distance on the features of the project's own sound classifier (FoleyGAN, eq. 7).

The features are what the classifier's last layer sees: mean and maximum over time of its maps. FoleyGAN
(section V-C) uses its own spectrogram classifier, too, and compares with the training data: its row of
real data is 11, not 0. The classifier has learned from the training clips, so real test clips are
farther from them than new training clips would be; ``reference: test`` compares with the recorded sound
of the very clips that the sounds were made for.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from foley.metrics.base import Item, MetricConfig, Score
from foley.metrics.frechet import frechet_score

NEEDS = ("judgements", "reference")


class Config(MetricConfig):
    """Settings of the distance.

    Parameters
    ----------
    reference : {"train", "test"}
        Recorded clips to compare with.
    """

    n_resamples: int = Field(default=200, ge=0)
    reference: Literal["train", "test"] = "train"


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Distance of the held-out clips' generated sound to recorded sound.

    Parameters
    ----------
    items : sequence of Item
        All clips of one system; the test clips need to be judged.
    config : Config
        Settings.
    seed : int
        Configured seed.

    Returns
    -------
    Score
        See :func:`foley.metrics.frechet.frechet_score`.
    """
    return frechet_score(items, "embedding", config.reference, config, seed)
