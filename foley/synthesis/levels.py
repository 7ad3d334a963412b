"""Loudness and true peak of a sound that comes in pieces, so that a long film needs no memory.

ITU-R BS.1770-4 (gated loudness, true peak by oversampling) and EBU R 128. The filter coefficients
are those of ``pyloudnorm``, whose own meter wants the whole sound at once; a test compares the two.
"""

from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from pyloudnorm.iirfilter import IIRfilter
from scipy.signal import lfilter

_STEP_S = 0.1
_STEPS_A_BLOCK = 4
"""Blocks of 0.4 s that overlap by three quarters."""
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OVERSAMPLING = 4


class LoudnessMeter:
    """Integrated loudness of a mono sound.

    Parameters
    ----------
    sample_rate_hz : int
    """

    def __init__(self, sample_rate_hz: int) -> None:
        shelf = IIRfilter(4.0, 1 / np.sqrt(2), 1500.0, sample_rate_hz, "high_shelf")
        high_pass = IIRfilter(0.0, 0.5, 38.0, sample_rate_hz, "high_pass")
        self._filters = [(stage.b, stage.a) for stage in (shelf, high_pass)]
        self._states = [np.zeros(max(len(b), len(a)) - 1) for b, a in self._filters]
        self._n_step = round(_STEP_S * sample_rate_hz)
        self._rest = np.empty(0)
        self._energies: list[float] = []

    def add(self, piece: NDArray[Any]) -> None:
        """Listen to the next samples, (n,)."""
        filtered = np.asarray(piece, dtype=np.float64)
        for index, (b, a) in enumerate(self._filters):
            filtered, self._states[index] = lfilter(b, a, filtered, zi=self._states[index])
        whole = np.concatenate([self._rest, filtered])
        n_steps = len(whole) // self._n_step
        steps = whole[: n_steps * self._n_step].reshape(n_steps, self._n_step)
        self._energies.extend(np.mean(steps**2, axis=1).tolist())
        self._rest = whole[n_steps * self._n_step :]

    def integrated_lufs(self) -> float | None:
        """Loudness so far; ``None`` for silence and for less than 0.4 s."""
        if len(self._energies) < _STEPS_A_BLOCK:
            return None
        blocks = np.convolve(self._energies, np.full(_STEPS_A_BLOCK, 1 / _STEPS_A_BLOCK), "valid")
        loud = blocks[_lufs(blocks) > _ABSOLUTE_GATE_LUFS]
        if not len(loud):
            return None
        kept = loud[_lufs(loud) > _lufs(loud.mean()) + _RELATIVE_GATE_LU]
        return float(_lufs(kept.mean()))


def _lufs(energy: Any) -> NDArray[np.float64]:
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(energy, 1e-30)))


class PeakMeter:
    """True peak: the largest value of the sound between its samples too.

    Parameters
    ----------
    sample_rate_hz : int
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._finer = soxr.ResampleStream(
            sample_rate_hz, _OVERSAMPLING * sample_rate_hz, 1, dtype="float32", quality="HQ"
        )
        self.peak = 0.0

    def add(self, piece: NDArray[np.float32], *, last: bool = False) -> None:
        """Look at the next samples, (n,); `last` says that no more will come."""
        finer = self._finer.resample_chunk(np.ascontiguousarray(piece, dtype=np.float32), last=last)
        highest = [float(np.abs(values).max(initial=0.0)) for values in (finer, piece)]
        self.peak = max(self.peak, *highest)
