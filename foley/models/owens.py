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

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from foley.models.base import Batch, DataSpec, Prediction, check_rate
from foley.models.base import System as BaseSystem
from foley.models.layers.exemplars import Exemplars, Windows
from foley.models.layers.sound_regression import PictureLstm, PictureLstmConfig, SoundComponents
from foley.models.losses import robust_loss

PLAYED = "recorded sound is played"
"""What remembering systems do with the clips' sound, for messages."""


class Config(PictureLstmConfig):
    """Sizes, options, and how sound is made."""

    output: Literal["parametric", "example"] = Field("parametric", description="how sound is made")
    window_s: float = Field(0.5, gt=0, description="example: length of a window")
    onset_rise: float = Field(
        0.3, gt=0, le=1, description="example: share of the steepest rise that is an onset"
    )
    n_examples: int = Field(
        4000, ge=1, description="example: windows of training clips that are kept at most"
    )


class System(BaseSystem):
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
        super().__init__(spec, averages)
        self.config = config
        self.pictures = PictureLstm(config, spec)
        self.components = SoundComponents(spec.n_bins, config.n_sound_components)
        self.regress = nn.Linear(config.n_units, self.components.n_kept)
        self.exemplars: Exemplars | None = None
        if config.output == "example":
            windows = Windows(round_frames(config.window_s, spec), config.onset_rise)
            self.exemplars = exemplars_for(spec, windows, config.n_examples)

    @classmethod
    def learns_waveforms(cls, settings: Mapping[str, Any]) -> bool:
        """Whether recorded sound is played."""
        return Config.model_validate(settings).output == "example"

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Measure the visual features, where they are standardised or reduced."""
        self.pictures.measure(features)

    def study(self, targets: NDArray[np.float32], labels: Tensor, generator: torch.Generator) -> None:
        """Find the principal components of the sound feature."""
        self.components.measure(targets)

    def listen(self, features: tuple[NDArray[np.float16], ...], waveforms: NDArray[np.float32]) -> None:
        """Refuse sound of another rate than the representation's; see the base class."""
        check_rate(self.spec, waveforms, PLAYED)

    def conclude(self, batches: Iterable[Batch]) -> None:
        """Remember the training clips' sound, where it is played."""
        if self.exemplars is not None:
            self.exemplars.remember(remembered_clips(batches))

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
        if self.exemplars is None:
            return Prediction(spectrogram=spectrogram)
        sounds = [self.exemplars.answer(one, self.spec.n_samples) for one in spectrogram]
        return Prediction(spectrogram=spectrogram, waveform=torch.stack(sounds))


def round_frames(length_s: float, spec: DataSpec) -> int:
    """Frames of the representation in a length of time, at least 2."""
    return max(2, round(length_s * spec.n_audio_frames / spec.duration_s))


def exemplars_for(spec: DataSpec, windows: Windows, most: int) -> Exemplars:
    """Make an empty memory for windows of clips."""
    return Exemplars(
        windows,
        sample_rate_hz=spec.sample_rate_hz,
        samples_per_frame=spec.n_samples / spec.n_audio_frames,
        most=most,
    )


def remembered_clips(batches: Iterable[Batch]) -> Iterable[tuple[Tensor, Tensor, int]]:
    """Representation, sound and class of each clip of some batches."""
    for batch in batches:
        if batch.target is None or batch.waveform is None:
            raise ValueError("remembering clips needs targets and waveforms")
        yield from zip(batch.target, batch.waveform, batch.labels.tolist(), strict=True)
