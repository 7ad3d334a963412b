"""Detect and play: REGNET's simple rival, which plays recorded hits where it sees that something happens.

Chen et al. 2020, section V-E. A time step of a training clip is an occurrence where both the sound and
the optical flow are strong; REGNET's visual encoder and a multi-layer perceptron learn to tell from the
pictures which steps are; in use, each detected occurrence is answered by a stretch of training sound
of suitable length. The paper cropped its stretches by hand and names no thresholds. Here thresholds
are quantiles over the training clips, and of all occurrences in them whose length is nearest to a
wanted one, the loudest is kept.
"""

from collections.abc import Iterable
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn import functional

from foley.errors import ConfigError
from foley.models.base import Batch, DataSpec, Prediction, check_rate
from foley.models.base import System as BaseSystem
from foley.models.layers.side_by_side import SideBySide, SideBySideConfig, check_steps
from foley.models.regnet import Encoder

_FADE_S = 0.01


class Config(SideBySideConfig):
    """Sizes, and what an occurrence is."""

    motion: int = Field(-1, description="which of the visual features is the one of network flow_grid")
    sound_quantile: float = Field(
        0.8, gt=0, lt=1, description="share of the training steps that are too quiet for an occurrence"
    )
    motion_quantile: float = Field(
        0.5, gt=0, lt=1, description="share of the training steps that are too still for an occurrence"
    )
    probability: float = Field(0.5, gt=0, lt=1, description="from which on an occurrence is detected")
    crop_s: tuple[float, ...] = Field(
        (0.15, 0.3, 0.6), min_length=1, description="lengths of the stretches of training sound, rising"
    )
    n_encoded: int = Field(2048, ge=1, description="channels of the encoder's convolutions")
    n_units: int = Field(512, ge=1, description="units of the encoder's Bi-LSTM in one direction")
    n_hidden: int = Field(256, ge=1, description="units of the perceptron")
    dropout: float = Field(0.5, ge=0, lt=1, description="after each of the encoder's convolutions")

    @field_validator("crop_s")
    @classmethod
    def _lengths_rise(cls, lengths: tuple[float, ...]) -> tuple[float, ...]:
        if lengths[0] <= 0 or list(lengths) != sorted(set(lengths)):
            raise ValueError("crop_s must be rising lengths above 0 s")
        return lengths


def step_levels(waveforms: Tensor, n_steps: int) -> Tensor:
    """Level of the sound in each time step.

    Parameters
    ----------
    waveforms : Tensor, (n_clips, n_samples)
        In [-1, 1].
    n_steps : int
        Equal stretches; what is left over at the end is not looked at.

    Returns
    -------
    Tensor, (n_clips, n_steps)
        Root mean square, at least 0.
    """
    size = waveforms.shape[1] // n_steps
    stretches = waveforms[:, : size * n_steps].reshape(len(waveforms), n_steps, size)
    return stretches.square().mean(dim=2).sqrt()


def runs(marked: Iterable[bool]) -> list[tuple[int, int]]:
    """First step and length of each unbroken run of marked steps.

    Examples
    --------
    >>> runs([False, True, True, False, True])
    [(1, 2), (4, 1)]
    """
    found = []
    start = 0
    for value, group in groupby(marked):
        length = len(list(group))
        if value:
            found.append((start, length))
        start += length
    return found


class System(BaseSystem):
    """Detect occurrences in the pictures and play stretches of training sound.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        The representation is not made, but its sample rate must be the clips': the stretches of sound
        are kept at that rate.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Not used.
    generator : torch.Generator
        Not used: layers start as PyTorch starts them.

    Raises
    ------
    ConfigError
        If visual features differ in their steps, or `motion` is not one that flow_grid makes.
    """

    needs_waveform = True
    classifies = False
    crops: Tensor
    crop_lengths: Tensor
    sound_threshold: Tensor
    motion_threshold: Tensor

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages)
        check_steps(spec, "detect_and_play")
        n_features = len(spec.visual_dims)
        if not -n_features <= config.motion < n_features or spec.visual_dims[config.motion] % 3:
            raise ConfigError(
                f"detect_and_play: visual feature {config.motion} of {n_features} must be one of network "
                "flow_grid; set motion"
            )
        self.config = config
        self.n_steps = spec.n_visual_steps[0]
        self.side_by_side = SideBySide(spec.visual_dims, config)
        self.encoder = Encoder(
            self.side_by_side.n_outputs,
            n_encoded=config.n_encoded,
            n_units=config.n_units,
            dropout=config.dropout,
            projection=False,
        )
        self.classify = nn.Sequential(
            nn.Linear(self.encoder.n_outputs, config.n_hidden), nn.ReLU(), nn.Linear(config.n_hidden, 1)
        )
        lengths = [round(length_s * spec.sample_rate_hz) for length_s in config.crop_s]
        self.register_buffer("crops", torch.zeros(len(lengths), lengths[-1]))
        self.register_buffer("crop_lengths", torch.tensor(lengths))
        self.register_buffer("sound_threshold", torch.zeros(()))
        self.register_buffer("motion_threshold", torch.zeros(()))

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Measure the features, where they are standardised."""
        self.side_by_side.measure(features)

    def listen(self, features: tuple[NDArray[np.float16], ...], waveforms: NDArray[np.float32]) -> None:
        """Set thresholds, and keep stretches of the training sound; see the base class.

        Raises
        ------
        ConfigError
            If the representation has another sample rate than the clips.
        """
        check_rate(self.spec, waveforms, "detect_and_play plays recorded sound")
        sound = torch.from_numpy(waveforms)
        levels = step_levels(sound, self.n_steps)
        motion = self._motion(torch.from_numpy(features[self.config.motion]).float())
        self.sound_threshold.copy_(levels.quantile(self.config.sound_quantile))
        self.motion_threshold.copy_(motion.quantile(self.config.motion_quantile))
        self._keep_crops(sound, self._occurs(levels, motion))

    def _keep_crops(self, sound: Tensor, occurs: Tensor) -> None:
        per_step = sound.shape[1] // self.n_steps
        found = [
            (clip, start * per_step, length * per_step)
            for clip, marked in enumerate(occurs.tolist())
            for start, length in runs(marked)
        ]
        for crop, wanted in zip(self.crops, self.crop_lengths.tolist(), strict=True):
            whole = [one for one in found if one[1] + wanted <= sound.shape[1]]
            if not whole:
                continue  # silence: nothing of this length was heard
            nearest = min(abs(length - wanted) for _, _, length in whole)
            stretches = [
                sound[clip, start : start + wanted]
                for clip, start, length in whole
                if abs(length - wanted) == nearest
            ]
            loudest = max(stretches, key=lambda stretch: float(stretch.square().sum()))
            crop[:wanted] = _faded(loudest, round(_FADE_S * self.spec.sample_rate_hz))

    @staticmethod
    def _motion(flow: Tensor) -> Tensor:
        """Amplitude of the flow, (batch, n_steps), in pixels: the mean speed over the cells of flow_grid."""
        return flow[..., -flow.shape[-1] // 3 :].mean(dim=-1)

    def _occurs(self, levels: Tensor, motion: Tensor) -> Tensor:
        """Steps in which both sound and motion are strong, bool (batch, n_steps)."""
        return (levels > self.sound_threshold) & (motion > self.motion_threshold)

    def detect(self, batch: Batch) -> Tensor:
        """Logits of an occurrence, (batch, n_steps)."""
        encoded = self.encoder(self.side_by_side(batch.visual))
        logits: Tensor = self.classify(encoded)
        return logits[..., 0]

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Binary cross-entropy of the steps."""
        if batch.waveform is None:
            raise ValueError("training needs waveforms")
        levels = step_levels(batch.waveform, self.n_steps)
        occurs = self._occurs(levels, self._motion(batch.visual[self.config.motion]))
        return {"total": functional.binary_cross_entropy_with_logits(self.detect(batch), occurs.float())}

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Play a stretch of training sound at each detected occurrence; nothing is drawn at random."""
        detected = self.detect(batch).sigmoid() > self.config.probability
        waveform = torch.zeros(len(detected), self.spec.n_samples, device=detected.device)
        per_step = self.spec.n_samples // self.n_steps
        for sound, marked in zip(waveform, detected.tolist(), strict=True):
            for start, length in runs(marked):
                self._play(sound[start * per_step :], length * per_step)
        return Prediction(waveform=waveform.clamp(-1, 1))

    def _play(self, sound: Tensor, length: int) -> None:
        """Add the shortest stretch that fills `length` samples, or the longest, to the start of `sound`."""
        lengths = self.crop_lengths.tolist()
        index = next((number for number, one in enumerate(lengths) if one >= length), len(lengths) - 1)
        n = min(lengths[index], len(sound))
        sound[:n] += self.crops[index, :n]


def _faded(stretch: Tensor, n_fade: int) -> Tensor:
    n = min(n_fade, len(stretch))
    gain = torch.ones_like(stretch)
    gain[len(gain) - n :] = torch.linspace(1, 0, n, device=stretch.device)
    return stretch * gain
