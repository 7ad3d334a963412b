"""Principal components of features, measured once on the training clips."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


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
        variances, directions = np.linalg.eigh(values.T @ values / len(values))
        n_components = self.components.shape[1]
        kept = directions[:, ::-1][:, :n_components]
        # The sign of a direction is arbitrary: make the largest entry positive.
        signs = np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(n_components)])
        scale = 1 / np.sqrt(max(float(variances[::-1][:n_components].mean()), 1e-12))
        self.components.copy_(torch.from_numpy(kept * signs * scale))

    def forward(self, features: Tensor) -> Tensor:
        """Rotate features (..., dim) to (..., n_components)."""
        return features @ self.components
