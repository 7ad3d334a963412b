"""The recorded sound itself, as a system: the upper row of every table that judges sound."""

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from foley.models.base import Batch, DataSpec, Prediction
from foley.models.base import System as BaseSystem


class Config(BaseModel):
    """Nothing to configure."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class System(BaseSystem):
    """Plays back what was recorded; learns nothing, sees nothing."""

    trained = False
    classifies = False

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages)

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Raise: there is nothing to learn."""
        raise RuntimeError("the recorded sound is not trained")

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Give the recorded waveform."""
        if batch.waveform is None:
            raise ValueError("the recorded system needs waveforms")
        return Prediction(waveform=batch.waveform)
