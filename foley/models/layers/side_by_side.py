"""Several visual features as one: beside each other, and smaller where that is wanted."""

from collections.abc import Sequence
from typing import Any, Self, cast

import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from foley.errors import ConfigError
from foley.models.base import DataSpec, Standardiser
from foley.models.layers.principal_components import PrincipalComponents

_N_MEASURED = 20_000
"""Time steps that principal components are measured on."""


class SideBySideConfig(BaseModel):
    """What is done to visual features first; in no paper, for few clips and small machines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    standardise: bool = Field(False, description="give visual features zero mean and unit variance")
    n_components: int | None = Field(None, ge=1, description="principal components kept of each feature")

    @model_validator(mode="after")
    def _components_are_of_standardised_features(self) -> Self:
        if self.n_components is not None and not self.standardise:
            raise ValueError("n_components needs standardise: true")
        return self


def check_steps(spec: DataSpec, system: str) -> None:
    """Refuse visual features that do not go side by side, because their steps differ: ConfigError."""
    if len(set(spec.n_visual_steps)) != 1:
        raise ConfigError(
            f"{system} takes visual features of equally many steps, got {spec.n_visual_steps}; use one rate "
            "and one every for all of them"
        )


class SideBySide(nn.Module):
    """Put features of equally many steps beside each other.

    Parameters
    ----------
    dims : sequence of int
        Width of each feature.
    config : SideBySideConfig
        Standardised over the training clips; components of each feature that is wider than these are many.
    """

    def __init__(self, dims: Sequence[int], config: SideBySideConfig) -> None:
        super().__init__()
        standardise, n_components = config.standardise, config.n_components
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
