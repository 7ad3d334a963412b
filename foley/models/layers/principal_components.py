"""Principal components of features, measured once on the training clips."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def leading_directions(
    covariance: NDArray[np.float64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions in which something varies most.

    Parameters
    ----------
    covariance : ndarray of float64, shape (dim, dim)
    n : int
        Directions, at most `dim`.

    Returns
    -------
    directions : ndarray of float64, shape (dim, n)
        Orthonormal. The sign of a direction is arbitrary: its largest entry is positive.
    variances : ndarray of float64, shape (n,)
        Along them, falling.
    """
    variances, found = np.linalg.eigh(covariance)
    kept = found[:, ::-1][:, :n]
    signs = np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(n)])
    return kept * signs, variances[::-1][:n]


class PrincipalComponents(nn.Module):
    """Rotate standardised features onto the directions in which they vary most.

    Parameters
    ----------
    dim : int
        Width of the features.
    n_components : int
        Directions kept, at most `dim`. Until :meth:`measure` is called they are the first features.
    """

    components: Tensor

    def __init__(self, dim: int, n_components: int) -> None:
        super().__init__()
        self.register_buffer("components", torch.eye(dim)[:, :n_components].contiguous())

    def measure(self, features: NDArray[Any]) -> None:
        """Find the directions.

        All are scaled alike, so that the mean variance along them is 1 and strong directions stay
        strong: what varies little is mostly noise.

        Parameters
        ----------
        features : ndarray of float, shape (n_vectors, dim)
            Centred.
        """
        values = features.astype(np.float64)
        directions, variances = leading_directions(values.T @ values / len(values), self.components.shape[1])
        scale = 1 / np.sqrt(max(float(variances.mean()), 1e-12))
        self.components.copy_(torch.from_numpy(directions * scale))

    def forward(self, features: Tensor) -> Tensor:
        """Rotate features (..., dim) to (..., n_components)."""
        return features @ self.components
