"""Systems that answer a sound feature with recorded sound of the training clips.

What Owens et al., POCAN and Visual2Sound's bound of retrieval share: they remember windows of the training
clips (:mod:`foley.models.layers.exemplars`) once nothing is left to learn, and play those.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from foley.models.base import Batch, DataSpec, check_rate
from foley.models.base import System as BaseSystem
from foley.models.layers.exemplars import Exemplars, Windows
from foley.models.layers.sound_regression import PictureLstm, PictureLstmConfig, SoundComponents


class PlaybackSystem(BaseSystem):
    """Remembers recorded sound, where it has `exemplars`, and plays it.

    Parameters
    ----------
    spec : DataSpec
        Where sound is played, the representation's sample rate must be the clips'.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
    exemplars : Exemplars or None
        The memory, empty; ``None`` plays nothing.
    """

    def __init__(self, spec: DataSpec, averages: Tensor, exemplars: Exemplars | None) -> None:
        super().__init__(spec, averages)
        self.exemplars = exemplars

    def listen(self, features: tuple[NDArray[np.float16], ...], waveforms: NDArray[np.float32]) -> None:
        """Refuse sound of another rate than the representation's; see the base class."""
        check_rate(self.spec, waveforms, "recorded sound is played")

    def conclude(self, batches: Iterable[Batch]) -> None:
        """Remember the training clips' sound, where it is played."""
        if self.exemplars is not None:
            self.exemplars.remember(_clips_of(batches))

    def play(self, spectrogram: Tensor, labels: Sequence[int] | None = None) -> Tensor | None:
        """Recorded sound (batch, n_samples) for features (batch, n_bins, n_frames), where it is played.

        With `labels`, one a clip, only that class's sound is played.
        """
        if self.exemplars is None:
            return None
        wanted = [None] * len(spectrogram) if labels is None else labels
        sounds = [
            self.exemplars.answer(one, self.spec.n_samples, label)
            for one, label in zip(spectrogram, wanted, strict=True)
        ]
        return torch.stack(sounds)


class SoundRegressionConfig(PictureLstmConfig):
    """Sizes and options of the regression, and how sound is made of its answer."""

    output: Literal["parametric", "example"] = Field("parametric", description="how sound is made")
    window_s: float = Field(0.5, gt=0, description="example: length of a window")
    onset_rise: float = Field(
        0.3, gt=0, le=1, description="example: share of the steepest rise that is an onset"
    )
    n_examples: int = Field(
        4000, ge=1, description="example: windows of training clips that are kept at most"
    )


class SoundRegression(PlaybackSystem):
    """An LSTM over pictures, the sound feature's principal components, and perhaps recorded sound.

    Parameters
    ----------
    config : SoundRegressionConfig
    spec : DataSpec
        ``visual[0]`` is the sequence; ``visual[1]``, where given, lends its first step as the colour frame.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
    """

    def __init__(self, config: SoundRegressionConfig, spec: DataSpec, averages: Tensor) -> None:
        exemplars = None
        if config.output == "example":
            exemplars = exemplars_for(spec, config.window_s, config.onset_rise, config.n_examples)
        super().__init__(spec, averages, exemplars)
        self.pictures = PictureLstm(config, spec)
        self.components = SoundComponents(spec.n_bins, config.n_sound_components)

    @classmethod
    def learns_waveforms(cls, settings: Mapping[str, Any]) -> bool:
        """Whether recorded sound is played; it is not by default."""
        return settings.get("output") == "example"

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Measure the visual features, where they are standardised or reduced."""
        self.pictures.measure(features)


def exemplars_for(spec: DataSpec, window_s: float, onset_rise: float | None, n_examples: int) -> Exemplars:
    """Make an empty memory.

    Parameters
    ----------
    spec : DataSpec
    window_s : float
        Length of a window in seconds; at least 2 frames of the representation are taken.
    onset_rise : float or None
        See :class:`foley.models.layers.exemplars.Windows`.
    n_examples : int
        Windows that are kept at most.

    Returns
    -------
    Exemplars
    """
    n_frames = max(2, round(window_s * spec.n_audio_frames / spec.duration_s))
    return Exemplars(
        Windows(n_frames, onset_rise),
        sample_rate_hz=spec.sample_rate_hz,
        samples_per_frame=spec.n_samples / spec.n_audio_frames,
        most=n_examples,
    )


def _clips_of(batches: Iterable[Batch]) -> Iterable[tuple[Tensor, Tensor, int]]:
    """Representation, sound and class of each clip of some batches."""
    for batch in batches:
        if batch.target is None or batch.waveform is None:
            raise ValueError("remembering clips needs targets and waveforms")
        yield from zip(batch.target, batch.waveform, batch.labels.tolist(), strict=True)
