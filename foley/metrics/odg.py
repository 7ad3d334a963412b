"""Objective difference grade of generated sound against the recorded sound (V2RA, section 4.3.1).

Liu, Li and Cheng take it from PEAQ's basic version (ITU-R BS.1387; :mod:`foley.metrics.peaq`) and do not
say what the reference is. Here it is the clip's own recording, both brought to 48 kHz. The paper's rows
"ground truth", -0.2343 and -0.2157, cannot be of a sound against itself, which gets 0.21; and what it
prints for generated sound, -0.1 to -0.3, is what an added noise 40 dB below the sound gets.

PEAQ judges coded sound that is in step with its original, and its network was trained on that. New sound
of the same event is far outside: its variables leave the range that they are scaled by, and the grade is
no longer a measure of anything heard (another recording of the class may get a better one than the same
recording with much noise). The parts say where the variables lie.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from foley.errors import StoreError
from foley.metrics.base import Item, MetricConfig, Score, of_split
from foley.metrics.peaq import Movs, PeaqResult, peaq_basic
from foley.metrics.statistics import class_parts, mean_score

Config = MetricConfig

_UNIT = "grade"
_UNITS = {"bandwidth_ref": "lines of 23.4 Hz", "bandwidth_test": "lines of 23.4 Hz", "total_nmr": "dB"}


def score(items: Sequence[Item], config: MetricConfig, seed: int) -> Score:
    """Mean objective difference grade over the held-out clips.

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
        In (-3.98, 0.22), with a bootstrap interval by recording; parts ``class/<label>``,
        ``distortion_index`` and ``mov/<name>``: the means of what the grade is made of, bandwidths by
        Kabal's rule (0 where it finds none).

    Raises
    ------
    StoreError
        If a clip lacks its sound.
    """
    members = of_split(items, "test")
    found = [_grade(item) for item in members]

    def mean(values: Sequence[float], unit: str, of: str) -> Score:
        return mean_score(members, np.array(values), unit, config, seed, "odg", of)

    grades = np.array([one.odg for one in found])
    table: NDArray[np.float64] = np.array([one.movs for one in found]).reshape(len(found), len(Movs._fields))
    parts = class_parts(members, grades, _UNIT, config, seed, "odg", "odg")
    parts["distortion_index"] = mean([one.distortion_index for one in found], "index", "index")
    for column, name in enumerate(Movs._fields):
        parts[f"mov/{name}"] = mean(table[:, column].tolist(), _UNITS.get(name, ""), name)
    return mean_score(members, grades, _UNIT, config, seed, "odg", "odg").with_parts(parts)


def _grade(item: Item) -> PeaqResult:
    try:
        return peaq_basic(item.recorded, item.generated, item.sample_rate_hz)
    except ValueError as error:
        raise StoreError(f"{item.clip_id}: {error}; run the experiment again") from error
