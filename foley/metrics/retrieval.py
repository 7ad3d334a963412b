"""Sound retrieval accuracy: how often a sound classifier hears the right class (AutoFoley, Table III).

A classifier trained on the original tracks of the training clips judges the generated sounds. Run
on the recorded tracks of the test clips it gives the ceiling, the row "Real sound tracks".
"""

from collections.abc import Sequence

from foley.metrics.accuracy import top1_score
from foley.metrics.base import Item, MetricConfig, Score, of_split

NEEDS = ("judgements",)
Config = MetricConfig


def score(items: Sequence[Item], config: MetricConfig, seed: int) -> Score:
    """Proportion of held-out clips whose generated sound is judged to be of the clip's class.

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
        Value in [0, 1] with a Wilson interval; parts ``class_average`` (what the paper prints) and
        ``class/<label>``.

    Raises
    ------
    StoreError
        If a test clip was not judged.
    """
    return top1_score(of_split(items, "test"), "judgement", config, seed)
