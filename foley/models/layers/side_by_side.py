"""Several visual features as one: beside each other, and smaller where that is wanted."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foley.models.base import Standardiser
from foley.models.layers.principal_components import PrincipalComponents

_N_MEASURED = 20_000
"""Time steps that principal components are measured on."""


class SideBySide(nn.Module):
    """Put features of equally many steps beside each other.

    Parameters
    ----------
    dims : sequence of int
        Width of each feature.
    standardise : bool
        Give every number zero mean and unit variance over the training clips first.
    n_components : int or None
        Keep this many principal components of each feature that is wider; needs `standardise`.
    """

    def __init__(self, dims: Sequence[int], *, standardise: bool, n_components: int | None) -> None:
        super().__init__()
        self.standardisers = nn.ModuleList(Standardiser(dim) for dim in dims if standardise)
        kept = [min(dim, n_components or dim) for dim in dims]
        self.components = nn.ModuleList(
            PrincipalComponents(dim, n) for dim, n in zip(dims, kept, strict=True) if n_components
        )
        self.n_outputs = sum(kept)

    def measure(self, features: Sequence[NDArray[Any]]) -> None:
        """Look at the features of all training clips, each (n_clips, n_steps, dim)."""
        for number, standardiser in enumerate(self.standardisers):
            cast(Standardiser, standardiser).measure(features[number])
        for number, components in enumerate(self.components):
            flat = features[number].reshape(-1, features[number].shape[2])
            some = torch.from_numpy(flat[:: 1 + len(flat) // _N_MEASURED]).float()
            cast(PrincipalComponents, components).measure(self.standardisers[number](some).numpy())

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Give (batch, n_steps, n_outputs) of features, each (batch, n_steps, dim)."""
        values = list(features)
        for number, standardiser in enumerate(self.standardisers):
            values[number] = standardiser(values[number])
        for number, components in enumerate(self.components):
            values[number] = components(values[number])
        return torch.cat(values, dim=2)
