"""Owens et al., "Visually Indicated Sounds" (CVPR 2016): pictures to a cochleagram, and that to sound.

An image network looks at space-time images (grey of the frame before, this one and the next) and at
the first colour frame; an LSTM regresses the sound feature, frame by frame, as coefficients of its principal
components, under the robust loss ``log(alpha + ||.||^2)``. Sound comes of it in two ways (``output``):

``parametric``
    noise on which the predicted envelopes are imposed (the representation's own inverse);
``example``
    windows of the predicted feature are answered by the recorded sound of the nearest windows of the
    training clips (:mod:`foley.models.layers.exemplars`, which says how windows are laid over a clip).

No code of the authors is public. What is known: 42 bands at 90 Hz and windows of 45 frames (paper, as others
describe it); ``alpha`` = 1/25^2 (a re-implementation, and memory). From memory: 10 principal components; 256
units and one layer are those of the re-implementation. The paper fine-tunes its image network (AlexNet)
with the LSTM; here features come from the cache, the network that made them stays as it is.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foley.models.base import Batch, DataSpec, Prediction
from foley.models.losses import robust_loss
from foley.models.playback import SoundRegression, SoundRegressionConfig


class Config(SoundRegressionConfig):
    """Sizes, options, and how sound is made."""


class System(SoundRegression):
    """The CNN-LSTM that predicts a sound feature.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        ``visual[0]`` is the sequence; ``visual[1]``, where given, lends its first step as the colour frame.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Not used.
    generator : torch.Generator
        Not used: layers start as PyTorch starts them.
    """

    classifies = False

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(config, spec, averages)
        self.config = config
        self.regress = nn.Linear(config.n_units, self.components.n_kept)

    def study(self, targets: NDArray[np.float32], labels: Tensor, generator: torch.Generator) -> None:
        """Find the principal components of the sound feature."""
        self.components.measure(targets)

    def forward(self, visual: tuple[Tensor, ...], generator: torch.Generator | None = None) -> Tensor:
        """Coefficients of the sound feature, (batch, n_components, n_audio_frames)."""
        coefficients: Tensor = self.regress(self.pictures(visual, generator))
        return coefficients.transpose(1, 2)

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Robust loss of the coefficients; the mean over clips and frames."""
        if batch.target is None:
            raise ValueError("training needs targets")
        found = self(batch.visual, generator)
        return {"total": robust_loss(found, self.components.project(batch.target), self.config.alpha)}

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Predict the sound feature, and with examples the sound; nothing is drawn at random."""
        spectrogram = self.components.restore(self(batch.visual)).clamp(min=0)
        return Prediction(spectrogram=spectrogram, waveform=self.play(spectrogram))
