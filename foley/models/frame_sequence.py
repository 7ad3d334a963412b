"""AutoFoley's Frame-Sequence Network: space-time features, a Fast-Slow LSTM, a sound at every step.

Ghose and Prevost 2020, section III-B.1. Input at step t is the feature of the space-time image
joined with that of the clip's first colour frame (equation 2). The last fast cell's state gives
the class, and at every step a residual that is added to the average spectrogram of that class
(equation 7, read as in ``docs/autofoley.md``). The defaults are the paper's sizes, and the values
of the Fast-Slow LSTM's enwik8 configuration where the paper is silent; options that the paper does
not have are off by default.
"""

from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from foley.errors import ConfigError
from foley.models.base import Batch, DataSpec, Prediction, Standardiser
from foley.models.base import System as BaseSystem
from foley.models.layers.fast_slow_lstm import FastSlowLSTM
from foley.models.layers.principal_components import PrincipalComponents
from foley.models.losses import OWENS_ALPHA, robust_loss

_N_MEASURED = 20_000
"""Feature vectors that principal components are measured on: more change nothing that matters."""


class Config(BaseModel):
    """Sizes and options of the Frame-Sequence Network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recurrent: Literal["fs_lstm", "lstm"] = Field("fs_lstm", description="lstm: the ablations' simple LSTM")
    n_cells: int = Field(4, ge=2, description="fast cells")
    n_fast: int = Field(1200, ge=1, description="units of a fast cell, or of the simple LSTM")
    n_slow: int = Field(1500, ge=1, description="units of the slow cell")
    keep: float = Field(0.75, gt=0, le=1, description="dropout: share that is kept")
    keep_h: float = Field(0.95, gt=0, le=1, description="zoneout of h: share that is renewed")
    keep_c: float = Field(0.7, gt=0, le=1, description="zoneout of c: share that is renewed")
    class_from: Literal["mean", "last"] = Field("mean", description="state that the class is read from")
    alpha: float = Field(OWENS_ALPHA, gt=0, description="floor of the robust loss")
    class_weight: float = Field(1.0, ge=0, description="weight of the class loss beside the robust loss")
    # Not in the paper; all off by default.
    n_components: int | None = Field(
        None, ge=1, description="keep the strongest principal components of each feature"
    )
    context_steps: int = Field(0, ge=0, description="append the features of this many steps before and after")
    skip: bool = Field(False, description="the residual is read from the input too, not only from the state")
    n_projected: int | None = Field(None, ge=1, description="project features to this width first")
    standardise: bool = Field(False, description="zero mean and unit variance of features")
    differences: bool = Field(False, description="append the change since the step before")
    delay_steps: int = Field(0, ge=0, description="answer for step t after seeing step t + delay")
    shift_steps: int = Field(0, ge=0, description="augmentation: roll picture and sound by up to this")
    noise: float = Field(0.0, ge=0, description="augmentation: Gaussian noise on features")
    residual_gain: float = Field(1.0, gt=0, description="factor on the residual, for small targets")


class System(BaseSystem):
    """The Frame-Sequence Network.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        ``visual[0]`` is the sequence; ``visual[1]``, where given, lends its first step as the
        colour frame.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
    generator : torch.Generator
        Draws the weights.

    Raises
    ------
    ConfigError
        If the audio frames are no multiple of the visual steps.
    """

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages)
        if not 1 <= len(spec.visual_dims) <= 2:
            raise ConfigError(f"frame_sequence takes 1 or 2 visual features, got {len(spec.visual_dims)}")
        self.config = config
        n_steps = spec.n_visual_steps[0]
        if spec.n_audio_frames % n_steps:
            raise ConfigError(
                f"{spec.n_audio_frames} audio frames are no multiple of {n_steps} visual steps; choose "
                "backbones.<name>.every so that they are"
            )
        self.frames_per_step = spec.n_audio_frames // n_steps
        self.standardisers = nn.ModuleList(Standardiser(dim) for dim in spec.visual_dims)
        dims = [min(dim, config.n_components or dim) for dim in spec.visual_dims]
        self.components: nn.ModuleList | None = None
        if config.n_components is not None:
            self.components = nn.ModuleList(
                PrincipalComponents(dim, kept) for dim, kept in zip(spec.visual_dims, dims, strict=True)
            )
        widths = [dims[0] * (1 + 2 * config.context_steps)]
        widths += [dims[0]] * config.differences + dims[1:]
        width = sum(widths)
        self.projection: _Projection | None = None
        if config.n_projected is not None:
            self.projection = _Projection(widths, config.n_projected)
            width = config.n_projected
        if config.recurrent == "fs_lstm":
            self.recurrent: nn.Module = FastSlowLSTM(
                width,
                n_fast=config.n_fast,
                n_slow=config.n_slow,
                n_cells=config.n_cells,
                keep=config.keep,
                keep_h=config.keep_h,
                keep_c=config.keep_c,
                generator=generator,
            )
        else:
            self.recurrent = nn.LSTM(width, config.n_fast, batch_first=True)
        self.classify = nn.Linear(config.n_fast, len(spec.classes))
        n_read = config.n_fast + width * config.skip
        self.residual = nn.Linear(n_read, spec.n_bins * self.frames_per_step)
        nn.init.zeros_(self.residual.weight)
        nn.init.zeros_(self.residual.bias)

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Measure mean and variance of the features, where they are standardised."""
        if self.config.standardise:
            for standardiser, values in zip(self.standardisers, features, strict=True):
                cast(Standardiser, standardiser).measure(values)
        for number, components in enumerate(self.components or ()):
            used = features[number] if number == 0 else features[number][:, :1]
            flat = used.reshape(-1, used.shape[2])
            some = torch.from_numpy(flat[:: 1 + len(flat) // _N_MEASURED]).float()
            centred: Tensor = self.standardisers[number](some)
            centred = centred - centred.mean(dim=0)
            cast(PrincipalComponents, components).measure(centred.numpy())

    def _reduced(self, number: int, features: Tensor) -> Tensor:
        """One visual feature as it goes in: standardised, in its principal components."""
        values: Tensor = self.standardisers[number](features)
        return values if self.components is None else self.components[number](values)

    def _inputs(self, visual: tuple[Tensor, ...], generator: torch.Generator | None) -> Tensor:
        """Equation 2: V_t, (batch, n_steps, width)."""
        sequence = self._reduced(0, visual[0])
        if self.training and self.config.noise > 0 and generator is not None:
            sequence = sequence + self.config.noise * torch.randn(
                sequence.shape, generator=generator, device=sequence.device
            )
        parts = [_with_context(sequence, self.config.context_steps)]
        if self.config.differences:
            parts.append(functional.pad(sequence.diff(dim=1), (0, 0, 1, 0)))
        if len(visual) > 1:
            parts.append(self._reduced(1, visual[1][:, :1]))
        if self.projection is not None:
            projected: Tensor = self.projection(parts)
            return projected
        return torch.cat([part.expand(-1, sequence.shape[1], -1) for part in parts], dim=2)

    def _states(self, inputs: Tensor, generator: torch.Generator | None) -> Tensor:
        """Recurrent states for each step, (batch, n_steps, n_fast), the delay taken back."""
        delay = self.config.delay_steps
        # The last picture is held while the delayed answers come out.
        inputs = torch.cat([inputs, inputs[:, -1:].expand(-1, delay, -1)], dim=1) if delay else inputs
        if isinstance(self.recurrent, FastSlowLSTM):
            states: Tensor = self.recurrent(inputs, generator)
        else:
            states, _ = self.recurrent(_dropped(inputs, self.config.keep, self.training, generator))
            states = _dropped(states, self.config.keep, self.training, generator)
        return states[:, delay:]

    def forward(
        self, visual: tuple[Tensor, ...], generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Class logits (batch, n_classes) and residual spectrogram (batch, n_bins, n_audio_frames)."""
        inputs = self._inputs(visual, generator)
        states = self._states(inputs, generator)
        summary = states.mean(dim=1) if self.config.class_from == "mean" else states[:, -1]
        read = torch.cat([states, inputs], dim=2) if self.config.skip else states
        residual = self.residual(read) * self.config.residual_gain
        batch, n_steps, _ = residual.shape
        frames = residual.view(batch, n_steps * self.frames_per_step, self.spec.n_bins)
        return self.classify(summary), frames.transpose(1, 2)

    def _rolled(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Roll picture and sound of each clip together, by a random number of steps."""
        most = self.config.shift_steps
        if most == 0 or batch.target is None:
            return batch
        drawn = torch.randint(
            -most, most + 1, (len(batch.labels),), generator=generator, device=generator.device
        )
        sequence, target = batch.visual[0].clone(), batch.target.clone()
        for clip, shift in enumerate(drawn.tolist()):
            sequence[clip] = batch.visual[0][clip].roll(shift, dims=0)
            target[clip] = batch.target[clip].roll(shift * self.frames_per_step, dims=1)
        return Batch((sequence, *batch.visual[1:]), batch.labels, target)

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of the class, and the robust loss of the sound, given the true class."""
        batch = self._rolled(batch, generator)
        if batch.target is None:
            raise ValueError("training needs targets")
        logits, residual = self(batch.visual, generator)
        class_loss = functional.cross_entropy(logits, batch.labels)
        sound_loss = robust_loss(residual + self.averages[batch.labels], batch.target, self.config.alpha)
        total = sound_loss + self.config.class_weight * class_loss
        return {"total": total, "class": class_loss, "sound": sound_loss}

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Equation 7: the residual on the average of the class that is most probable.

        A clip whose label is given (not -1) in `batch` is predicted without looking at it; a forced
        class takes the place of the most probable one.
        """
        logits, residual = self(batch.visual)
        chosen = logits.argmax(dim=1) if batch.forced is None else batch.forced
        return Prediction(
            probabilities=logits.softmax(dim=1),
            spectrogram=(residual + self.averages[chosen]).clamp(min=0),
        )


class _Projection(nn.Linear):
    """Linear layer with a ReLU over features side by side; a part with one step serves all steps.

    Parameters
    ----------
    widths : list of int
        Width of each part.
    n_outputs : int
    """

    def __init__(self, widths: list[int], n_outputs: int) -> None:
        super().__init__(sum(widths), n_outputs)
        self.widths = widths

    def forward(self, parts: list[Tensor]) -> Tensor:  # type: ignore[override]
        """Project parts, each (batch, n_steps or 1, width), to (batch, n_steps, n_outputs)."""
        total: Tensor = self.bias
        weights = self.weight.split_with_sizes(self.widths, dim=1)
        for part, weight in zip(parts, weights, strict=True):
            total = total + functional.linear(part, weight)
        return functional.relu(total)


def _with_context(sequence: Tensor, n_around: int) -> Tensor:
    """Each step beside its neighbours, (batch, n_steps, (1 + 2 * n_around) * dim); ends repeat."""
    if n_around == 0:
        return sequence
    first, last = sequence[:, :1], sequence[:, -1:]
    padded = torch.cat([first.expand(-1, n_around, -1), sequence, last.expand(-1, n_around, -1)], dim=1)
    return padded.unfold(1, 1 + 2 * n_around, 1).flatten(2)


def _dropped(values: Tensor, keep: float, training: bool, generator: torch.Generator | None) -> Tensor:
    if not training or keep >= 1:
        return values
    mask = torch.empty_like(values).bernoulli_(keep, generator=generator)
    return values * (mask / keep)
