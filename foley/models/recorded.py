"""The recorded sound itself, as a system: the upper row of every table that judges sound.

Through its spectrogram it shows what is lost on the way from a spectrogram to sound, whoever predicts.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from foley.models.base import Batch, DataSpec, Prediction
from foley.models.base import System as BaseSystem


class Config(BaseModel):
    """What of the recorded sound is played back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    through: Literal["waveform", "spectrogram"] = Field(
        "waveform",
        description="the sound itself, or its representation as if it had been predicted (copy synthesis)",
    )


class System(BaseSystem):
    """Plays back what was recorded; learns nothing, sees nothing."""

    trained = False
    classifies = False

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages)
        self.config = config

    @classmethod
    def is_shown_target(cls, settings: Mapping[str, Any]) -> bool:
        """Whether it copies the representation."""
        return Config.model_validate(settings).through == "spectrogram"

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Raise: there is nothing to learn."""
        raise RuntimeError("the recorded sound is not trained")

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Give the recorded waveform, or its representation."""
        if self.config.through == "spectrogram":
            if batch.target is None:
                raise ValueError("copy synthesis needs the representation of the recorded sound")
            return Prediction(spectrogram=batch.target)
        if batch.waveform is None:
            raise ValueError("the recorded system needs waveforms")
        return Prediction(waveform=batch.waveform)
