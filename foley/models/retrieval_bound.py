"""What retrieval could reach at most: the recorded sound's own cochleagram, answered by training sound.

Visual2Sound (Zhou et al. 2018, "Comparison with [9]") has "an upper bound version" of Owens et al.: the
cochleagram of the true sound is given, and sound of the training clips is retrieved "with the stride of
2s". Read here as: the clip is cut into stretches of 2 s, each is answered by the nearest of the stretches
that the training clips are cut into in the same way; what is left at a clip's end is filled up with
silence. It looks at no picture and learns nothing. It is no system for films, only a bound.
"""

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from foley.models.base import Batch, DataSpec, Prediction
from foley.models.playback import PlaybackSystem, exemplars_for


class Config(BaseModel):
    """How the clips are cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_s: float = Field(2.0, gt=0, description="length of a stretch, and the stride")
    n_examples: int = Field(100_000, ge=1, description="stretches of training clips that are kept at most")


class System(PlaybackSystem):
    """Answers the true representation by the nearest recorded sound of the training clips.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        The representation's sample rate must be the clips'.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Not used.
    generator : torch.Generator
        Not used.
    """

    trained = False
    classifies = False
    needs_waveform = True

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages, exemplars_for(spec, config.window_s, None, config.n_examples))

    @classmethod
    def is_shown_target(cls, settings: Mapping[str, Any]) -> bool:
        """Always: that is the bound."""
        return True

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Raise: there is nothing to learn."""
        raise RuntimeError("the retrieval bound is not trained")

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Answer each clip's own representation; its own sound is not looked at."""
        if batch.target is None:
            raise ValueError("the retrieval bound needs the representation of the recorded sound")
        return Prediction(waveform=self.play(batch.target))
