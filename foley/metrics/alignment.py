"""How much of a sound is missing, redundant or of the wrong kind: our stand-in for listeners.

REGNET (section V-B) asked people in which of two videos fewer moments are misaligned, for three
reasons: a sound is missing where something happens, a sound is there where nothing happens, a sound
is of the wrong kind. Nobody listens here. The same three are counted instead, clip by clip:

==============  ============================================================================
``missing``     share of the clip's events that no onset of the generated sound answers
``redundant``   share of the sound's onsets that answer no event
``mismatched``  whether the sound classifier hears another class than the clip's, 0 or 1
==============  ============================================================================

Events and onsets are matched one to one (:mod:`foley.metrics.sync`). All are shares in [0, 1] of
which more is worse. They are objective and ours: nothing says that listeners would agree, and they
do not compare with the paper's percentages, which are preferences between two systems.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from foley.errors import StoreError
from foley.features.onsets import OnsetConfig
from foley.metrics.base import Item, MetricConfig, Score, class_indices, of_split, stack_probabilities
from foley.metrics.statistics import class_parts, mean_score
from foley.metrics.sync import IMPACT_LABELS, Match, find_onsets, match_times

NEEDS = ("judgements",)
_UNIT = "proportion"


class Config(MetricConfig):
    """Settings of the alignment shares.

    Parameters
    ----------
    labels : tuple of str
        Classes whose sound is made of separate hits; of others only ``mismatched`` is counted.
    window_ms : int
        Largest distance of an onset from the event that it answers, in milliseconds.
    silence_peak : float
        A sound whose largest sample is below this (full scale is 1) is silent.
    onsets : OnsetConfig
        Settings of the onset detector.
    """

    labels: tuple[str, ...] = IMPACT_LABELS
    window_ms: int = Field(default=100, gt=0)
    silence_peak: float = Field(default=1e-4, ge=0)
    onsets: OnsetConfig = OnsetConfig()


def missing_share(match: Match) -> float:
    """Share of events without an onset; 0 where nothing happens, because nothing can be missing."""
    return match.n_missing / match.n_events if match.n_events else 0.0


def redundant_share(match: Match) -> float:
    """Share of onsets without an event; 0 for silence, which holds nothing redundant."""
    return match.n_redundant / match.n_onsets if match.n_onsets else 0.0


def score(items: Sequence[Item], config: Config, seed: int) -> Score:
    """Mean shares over the held-out clips.

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
        Mean over the clips of the impact classes of the mean of the three shares, with a bootstrap
        interval over recordings; parts ``missing``, ``redundant`` and ``mismatched``, each again
        under ``<share>/class/<label>``. The value is ``None`` where no test clip is of an impact class;
        ``mismatched`` is over the test clips of all classes.

    Raises
    ------
    StoreError
        If a test clip was not judged.
    """
    judged = of_split(items, "test")
    if not judged:
        return Score(None, 0, _UNIT, note="no clip")
    timed = [item for item in judged if item.label in config.labels]
    matches = [
        match_times(
            item.events_s, find_onsets(item, config.onsets, config.silence_peak), config.window_ms / 1000
        )
        for item in timed
    ]
    wrong = _mismatched(judged)
    shares = {
        "missing": (timed, np.array([missing_share(match) for match in matches])),
        "redundant": (timed, np.array([redundant_share(match) for match in matches])),
        "mismatched": (judged, wrong),
    }
    parts: dict[str, Score] = {}
    for name, (members, values) in shares.items():
        parts[name] = mean_score(members, values, _UNIT, config, seed, "alignment", name)
        by_class = class_parts(members, values, _UNIT, config, seed, "alignment", name)
        parts |= {f"{name}/{label}": part for label, part in by_class.items()}
    if not timed:
        return Score(None, 0, _UNIT, parts=parts, note="no test clip of an impact class")
    wrong_timed = wrong[[item.label in config.labels for item in judged]]
    whole = (shares["missing"][1] + shares["redundant"][1] + wrong_timed) / 3
    return mean_score(timed, whole, _UNIT, config, seed, "alignment").with_parts(parts)


def _mismatched(items: Sequence[Item]) -> NDArray[np.float64]:
    """1 where the sound classifier hears another class, shape (n_items,)."""
    table = stack_probabilities(items, "judgement")
    if table is None:
        raise StoreError(f"{items[0].clip_id}: no sound of this run was judged; run the stage that judges it")
    wrong: NDArray[np.float64] = (table.argmax(axis=1) != class_indices(items)).astype(np.float64)
    return wrong
