"""PEAQ's neural network: from model output variables to the objective difference grade.

BS.1387-1, Annex 2, section 6.1: scaling of the variables, eleven inputs, three hidden nodes, one output.
The constants are those of the Recommendation's tables.
"""

import numpy as np
from scipy.special import expit

from foley.metrics.peaq.bands import Array
from foley.metrics.peaq.movs import Movs

LOWEST_GRADE, HIGHEST_GRADE = -3.98, 0.22

# One row a variable: the values that are scaled to 0 and to 1, and the weights to the hidden nodes.
_INPUTS = {
    "bandwidth_ref": (393.916656, 921, -0.502657, 0.436333, 1.219602),
    "bandwidth_test": (361.965332, 881.131226, 4.307481, 3.246017, 1.123743),
    "total_nmr": (-24.045116, 16.212030, 4.984241, -2.211189, -0.192096),
    "win_mod_diff_1": (1.110661, 107.137772, 0.051056, -1.762424, 4.331315),
    "adb": (-0.206623, 2.886017, 2.321580, 1.789971, -0.754560),
    "ehs": (0.074318, 13.933351, -5.303901, -3.452257, -10.814982),
    "avg_mod_diff_1": (1.113683, 63.257874, 2.730991, -6.111805, 1.519223),
    "avg_mod_diff_2": (0.950345, 1145.018555, 0.624950, -1.331523, -5.955151),
    "rms_noise_loud": (0.029985, 14.819740, 3.102889, 0.871260, -5.922878),
    "mfpd": (0.000101, 1, -1.051468, -0.939882, -0.142913),
    "rel_dist_frames": (0, 1, -1.804679, -0.503610, -0.620456),
}
_HIDDEN_BIAS = (-2.518254, 0.654841, -2.207228)
_OUTPUT_WEIGHTS = (-3.817048, 4.107138, 4.629582)
_OUTPUT_BIAS = -0.307594


def distortion_index(movs: Movs) -> float:
    """Distortion index of the variables, which are not clipped to the range of their scale."""
    table: Array = np.array([_INPUTS[name] for name in Movs._fields], dtype=np.float64)
    scaled = (np.array(movs) - table[:, 0]) / (table[:, 1] - table[:, 0])
    hidden = expit(np.array(_HIDDEN_BIAS) + scaled @ table[:, 2:])
    return float(_OUTPUT_BIAS + hidden @ np.array(_OUTPUT_WEIGHTS))


def difference_grade(index: float) -> float:
    """Objective difference grade of a distortion index.

    Examples
    --------
    >>> round(difference_grade(0.0), 2)
    -1.88
    """
    return float(LOWEST_GRADE + (HIGHEST_GRADE - LOWEST_GRADE) * expit(index))
