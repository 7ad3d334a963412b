"""What the rows of a representation are, where they are levels in decibels at known frequencies."""

from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import NDArray


@dataclass(frozen=True)
class Levels:
    """Rows of the first channel; there are as many in the others.

    Parameters
    ----------
    bands_hz : tuple of tuple of float, (n_rows, n_points)
        The power of a row is the mean of that at these frequencies, all with equal weight.
    phases_hz : tuple of float, (n_rows,)
        Frequency whose phase the second channel holds, where there is one, as a share of half a turn.
    db_per_unit : float
        Decibels between a value of 0 and of 1.
    """

    bands_hz: tuple[tuple[float, ...], ...]
    phases_hz: tuple[float, ...]
    db_per_unit: float

    @classmethod
    def of(cls, bands_hz: NDArray[Any], phases_hz: NDArray[Any], db_per_unit: float) -> Self:
        """Take arrays (n_rows, n_points) and (n_rows,)."""
        return cls(tuple(map(tuple, bands_hz.tolist())), tuple(phases_hz.tolist()), float(db_per_unit))
