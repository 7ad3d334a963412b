"""The mean sound of a class, whatever is seen: what every system that looks must beat."""

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from foley.errors import ConfigError
from foley.models.base import Batch, DataSpec, Prediction
from foley.models.base import System as BaseSystem


class Config(BaseModel):
    """Nothing to configure."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class System(BaseSystem):
    """Makes the mean representation of the clip's true class over the training clips; learns nothing."""

    trained = False
    classifies = False

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages)

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Raise: there is nothing to learn."""
        raise RuntimeError("the mean sound is not trained")

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Give the mean of each clip's class; ConfigError where the class is not known."""
        classes = batch.labels if batch.forced is None else batch.forced
        if bool((classes < 0).any()):
            raise ConfigError("mean_sound looks at no picture: say which class sounds")
        return Prediction(spectrogram=self.averages[classes])
