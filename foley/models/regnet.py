"""REGNET: sound from pictures, with an audio forwarding regulariser while it learns.

Chen et al. 2020, "Generating Visually Aligned Sound from Videos". Two profiles, because text and
released code (github.com/PeihaoChen/regnet: ``model.py``, ``config.py``, ``train.py``) disagree:

================================  ==============================  ==================================
what                              ``released`` (default)          ``paper``
================================  ==============================  ==================================
noise beside the visual features  512 numbers, also in use        none
projection after the Bi-LSTMs     linear                          none
regulariser's bottleneck          last state of the backward      2 D features, sampled every S
                                  direction, D features           frames in both directions
weight of reconstruction          10,000                          1
weight of the adversarial terms   1                               10,000
================================  ==============================  ==================================

When sound is made, the regulariser's output is zero and the recorded sound is not looked at.
"""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from foley.errors import ConfigError
from foley.models.base import Batch, DataSpec, Prediction
from foley.models.base import System as BaseSystem
from foley.models.descent import descend
from foley.models.layers.side_by_side import SideBySide, SideBySideConfig, check_steps

PROFILES: dict[str, dict[str, Any]] = {
    "released": {
        "n_noise": 512,
        "projections": True,
        "bottleneck": "last",
        "reconstruction_weight": 10_000.0,
        "adversarial_weight": 1.0,
    },
    "paper": {
        "n_noise": 0,
        "projections": False,
        "bottleneck": "sampled",
        "reconstruction_weight": 1.0,
        "adversarial_weight": 10_000.0,
    },
}
_UPSAMPLING = 4  # two transposed convolutions of stride 2


class Config(SideBySideConfig):
    """Sizes and options of REGNET; what is not set comes from the profile."""

    profile: Literal["released", "paper"] = Field("released", description="whose word counts, code or text")
    # The audio forwarding regulariser.
    regulariser: Literal["sound", "sound_and_vision", "none"] = Field(
        "sound", description="what it sees: Ours, Ours-VS, Ours-woREG"
    )
    bottleneck: Literal["last", "sampled", "convolution"] = Field(
        "last", description="how its output is narrowed in time"
    )
    bottleneck_dim: int = Field(32, ge=1, description="D: units in one direction")
    bottleneck_every: int = Field(860, ge=1, description="S: spectrogram frames of one sample")
    # Everything else.
    adversarial: bool = Field(True, description="false trains without the discriminator (Ours-woGAN)")
    n_noise: int = Field(512, ge=0, description="random numbers beside the visual features")
    projections: bool = Field(True, description="linear layers after the Bi-LSTMs")
    reconstruction_weight: float = Field(10_000.0, ge=0, description="of both squared errors")
    adversarial_weight: float = Field(1.0, ge=0, description="of the generator's adversarial loss")
    n_encoded: int = Field(2048, ge=1, description="channels of the encoder's convolutions")
    n_units: int = Field(512, ge=1, description="units of the encoder's Bi-LSTM in one direction")
    n_generated: int = Field(512, ge=1, description="channels of generator and post-network")
    n_seen: int = Field(1024, ge=1, description="channels of the discriminator's look at the pictures")
    n_judged: tuple[int, int, int] = Field((256, 512, 1024), description="channels of the discriminator")
    dropout: float = Field(0.5, ge=0, lt=1, description="after each of the encoder's convolutions")
    # Neither in the paper nor in its code: for few clips and small machines.
    detail_gain: float = Field(
        1.0, ge=0, description="first scale of what the post-network adds; short trainings cannot lower it"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_profile(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {**PROFILES.get(str(values.get("profile", "released")), {}), **values}


class Encoder(nn.Module):
    """REGNET's visual encoder: three convolutions over time and a Bi-LSTM.

    Parameters
    ----------
    n_inputs : int
        Numbers a step, noise included.
    n_encoded : int
        Channels of the convolutions.
    n_units : int
        Units of the Bi-LSTM in one direction.
    dropout : float
        After each convolution.
    projection : bool
        End in a linear layer, as the released code does.
    """

    def __init__(
        self, n_inputs: int, *, n_encoded: int, n_units: int, dropout: float, projection: bool
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (n_inputs, n_encoded, n_encoded):
            layers += [
                nn.Conv1d(width, n_encoded, 5, padding=2),
                nn.BatchNorm1d(n_encoded),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.n_outputs = 2 * n_units
        self.recurrent = nn.LSTM(n_encoded, n_units, num_layers=2, batch_first=True, bidirectional=True)
        self.projection = nn.Linear(self.n_outputs, self.n_outputs) if projection else nn.Identity()

    def forward(self, seen: Tensor) -> Tensor:
        """Encode (batch, n_steps, n_inputs) as (batch, n_steps, 2 * n_units)."""
        encoded = self.convolutions(seen.transpose(1, 2))
        states, _ = self.recurrent(encoded.transpose(1, 2))
        projected: Tensor = self.projection(states)
        return projected


class _Regulariser(nn.Module):
    """Audio forwarding regulariser: the recorded sound through a bottleneck, (batch, steps, n_outputs).

    Parameters
    ----------
    n_inputs : int
        Bins of the spectrogram, and the visual features' width where it sees them.
    config : Config
    """

    def __init__(self, n_inputs: int, config: Config) -> None:
        super().__init__()
        self.bottleneck, self.every = config.bottleneck, config.bottleneck_every
        dim = config.bottleneck_dim
        self.n_outputs = 2 * dim if config.bottleneck == "sampled" else dim
        if config.bottleneck == "convolution":
            self.convolutions = nn.Sequential(
                nn.Conv1d(n_inputs, 32, 3, stride=2, padding=1),
                nn.BatchNorm1d(32),
                nn.ReLU(),
                nn.Conv1d(32, dim, 3, stride=2, padding=1),
                nn.BatchNorm1d(dim),
                nn.ReLU(),
            )
            return
        self.recurrent = nn.LSTM(n_inputs, dim, num_layers=2, batch_first=True, bidirectional=True)
        projected = config.projections and config.bottleneck == "last"  # as the released variants have it
        self.projection = nn.Linear(self.n_outputs, self.n_outputs) if projected else nn.Identity()

    def forward(self, sound: Tensor, n_steps: int) -> Tensor:
        """Narrow `sound`, (batch, n_frames, n_inputs), and repeat it up to `n_steps` steps."""
        if self.bottleneck == "convolution":
            narrow: Tensor = self.convolutions(sound.transpose(1, 2)).transpose(1, 2)
            return narrow[:, :n_steps]
        outputs, (states, _) = self.recurrent(sound)
        narrow = states[-1][:, None] if self.bottleneck == "last" else outputs[:, :: self.every]
        narrow = self.projection(narrow)
        # Each sample stands for its own stretch of time. (The released code tiles the whole row, which
        # puts later samples at earlier times.)
        n_repeats = math.ceil(n_steps / narrow.shape[1])
        return narrow.repeat_interleave(n_repeats, dim=1)[:, :n_steps]


class _Generator(nn.Module):
    """From encoded steps to a spectrogram of four times as many frames: first draft, then detail."""

    def __init__(self, n_inputs: int, n_bins: int, config: Config) -> None:
        super().__init__()
        width = config.n_generated
        self.draft = nn.Sequential(
            nn.ConvTranspose1d(n_inputs, width, 4, stride=2, padding=1),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Conv1d(width, width, 5, padding=2),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.ConvTranspose1d(width, n_bins, 4, stride=2, padding=1),
            nn.BatchNorm1d(n_bins),
            nn.ReLU(),
            nn.Conv1d(n_bins, n_bins, 5, padding=2),
        )
        layers: list[nn.Module] = []
        widths = [n_bins, width, width, width, width, n_bins]
        for number, (before, after) in enumerate(pairwise(widths)):
            layers += [nn.Conv1d(before, after, 5, padding=2), nn.BatchNorm1d(after)]
            if number < len(widths) - 2:
                layers.append(nn.Tanh())
        nn.init.constant_(cast(nn.BatchNorm1d, layers[-1]).weight, config.detail_gain)
        self.detail = nn.Sequential(*layers)

    def forward(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Final and first spectrogram, (batch, n_bins, 4 * n_steps), of (batch, n_steps, width)."""
        draft: Tensor = self.draft(steps.transpose(1, 2))
        return draft + self.detail(draft), draft


class _Discriminator(nn.Module):
    """Patches of a spectrogram beside the pictures: logits of being recorded, (batch, n_patches)."""

    def __init__(self, n_inputs: int, n_bins: int, config: Config) -> None:
        super().__init__()
        self.visual = nn.Sequential(
            nn.ConvTranspose1d(n_inputs, config.n_seen, 4, stride=2, padding=1),
            nn.BatchNorm1d(config.n_seen),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose1d(config.n_seen, 64, 4, stride=2, padding=1),
        )
        self.sound = nn.ConvTranspose1d(n_bins, 64, 1)
        first, second, third = config.n_judged
        self.patches = nn.Sequential(
            nn.Conv1d(128, first, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv1d(first, second, 4, stride=2, padding=1),
            nn.BatchNorm1d(second),
            nn.LeakyReLU(0.2),
            nn.Conv1d(second, third, 4, stride=1, padding=1),
            nn.BatchNorm1d(third),
            nn.LeakyReLU(0.2),
            nn.Conv1d(third, 1, 4, stride=1, padding=1),
        )

    def forward(self, visual: Tensor, spectrogram: Tensor) -> Tensor:
        both = torch.cat([self.visual(visual.transpose(1, 2)), self.sound(spectrogram)], dim=1)
        logits: Tensor = self.patches(both)
        return logits[:, 0]


class System(BaseSystem):
    """REGNET: visual encoder, audio forwarding regulariser, generator and discriminator.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        ``visual`` features lie side by side: appearance and motion. The target is a mel spectrogram
        in [0, 1].
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Not used.
    generator : torch.Generator
        Draws the weights of convolutions and linear layers, N(0, 0.02).

    Raises
    ------
    ConfigError
        If there is no visual feature, features differ in their steps, or the target has not four
        frames a step.
    """

    classifies = False

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages)
        check_steps(spec, "regnet")
        if spec.n_audio_frames != _UPSAMPLING * spec.n_visual_steps[0]:
            raise ConfigError(
                f"regnet makes {_UPSAMPLING} spectrogram frames of a visual step, but there are "
                f"{spec.n_audio_frames} frames and {spec.n_visual_steps[0]} steps; set n_frames of the "
                "representation, or every of the backbone, so that they fit"
            )
        self.config = config
        self.side_by_side = SideBySide(spec.visual_dims, config)
        n_visual = self.side_by_side.n_outputs
        self.encoder = Encoder(
            n_visual + config.n_noise,
            n_encoded=config.n_encoded,
            n_units=config.n_units,
            dropout=config.dropout,
            projection=config.projections,
        )
        self.regulariser: _Regulariser | None = None
        n_forwarded = 0
        if config.regulariser != "none":
            n_seen = spec.n_bins + n_visual * (config.regulariser == "sound_and_vision")
            self.regulariser = _Regulariser(n_seen, config)
            n_forwarded = self.regulariser.n_outputs
        self.n_forwarded = n_forwarded
        self.generator = _Generator(self.encoder.n_outputs + n_forwarded, spec.n_bins, config)
        self.discriminator = _Discriminator(n_visual, spec.n_bins, config) if config.adversarial else None
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Measure the features, where they are standardised."""
        self.side_by_side.measure(features)

    def look(self, batch: Batch) -> Tensor:
        """Put the visual features beside each other: (batch, n_steps, n_visual)."""
        beside: Tensor = self.side_by_side(batch.visual)
        return beside

    def optimisers(self, lr: float, weight_decay: float) -> dict[str, torch.optim.Optimizer]:
        """Adam with betas (0.5, 0.999), one for what generates and one for the discriminator."""

        def adam(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
            return torch.optim.Adam(parameters, lr=lr, betas=(0.5, 0.999), weight_decay=weight_decay)

        made = {"generator": adam(self.generating_parameters())}
        if self.discriminator is not None:
            made["discriminator"] = adam(list(self.discriminator.parameters()))
        return made

    def generating_parameters(self) -> list[nn.Parameter]:
        """Parameters of encoder, regulariser and generator: the reference code's ``netG``."""
        parts = (self.encoder, self.regulariser, self.generator)
        return [value for part in parts if part is not None for value in part.parameters()]

    def forwarded(self, visual: Tensor, sound: Tensor) -> Tensor:
        """Output of the regulariser for recorded sound.

        Parameters
        ----------
        visual : Tensor, (batch, n_steps, n_visual)
            What :meth:`look` gives.
        sound : Tensor, (batch, n_bins, 4 * n_steps)

        Returns
        -------
        Tensor, (batch, n_steps, n_forwarded)
        """
        if self.regulariser is None:
            return visual.new_zeros(*visual.shape[:2], 0)
        seen = sound.transpose(1, 2)
        if self.config.regulariser == "sound_and_vision":
            seen = torch.cat([seen, visual.repeat_interleave(_UPSAMPLING, dim=1)], dim=2)
        outputs: Tensor = self.regulariser(seen, visual.shape[1])
        return outputs

    def generate(
        self, visual: Tensor, forwarded: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Final and first spectrogram, (batch, n_bins, 4 * n_steps) each.

        Parameters
        ----------
        visual : Tensor, (batch, n_steps, n_visual)
            What :meth:`look` gives.
        forwarded : Tensor or None, (batch, n_steps, n_forwarded)
            None is the regulariser's zero vector: what sound is made with.
        generator : torch.Generator
            Draws the noise.
        """
        noise = torch.randn(
            len(visual), self.config.n_noise, generator=generator, device=generator.device
        ).to(visual)
        everywhere = noise[:, None].expand(-1, visual.shape[1], -1)
        encoded = self.encoder(torch.cat([visual, everywhere], dim=2))
        if forwarded is None:
            forwarded = encoded.new_zeros(*encoded.shape[:2], self.n_forwarded)
        spectrograms: tuple[Tensor, Tensor] = self.generator(torch.cat([encoded, forwarded], dim=2))
        return spectrograms

    def _drafted(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures, recorded sound, and what is made of both."""
        if batch.target is None:
            raise ValueError("training needs targets")
        visual = self.look(batch)
        return visual, batch.target, *self.generate(visual, self.forwarded(visual, batch.target), generator)

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """What the generator descends: both squared errors, and how much of it passes for recorded."""
        visual, target, final, draft = self._drafted(batch, generator)
        return self._generator_losses(visual, target, final, draft)

    def _generator_losses(
        self, visual: Tensor, target: Tensor, final: Tensor, draft: Tensor
    ) -> dict[str, Tensor]:
        squared = functional.mse_loss(final, target)
        total = self.config.reconstruction_weight * (squared + functional.mse_loss(draft, target))
        parts = {"squared_error": squared}
        if self.discriminator is not None:
            parts["adversarial"] = _judged(self.discriminator(visual, final), recorded=True)
            total = total + self.config.adversarial_weight * parts["adversarial"]
        return {"total": total, **parts}

    def step(
        self,
        batch: Batch,
        optimisers: Mapping[str, torch.optim.Optimizer],
        generator: torch.Generator,
        clip_norm: float | None,
    ) -> dict[str, float]:
        """One step of the discriminator, then one of the generator; see the base class."""
        visual, target, final, draft = self._drafted(batch, generator)
        parts: dict[str, Tensor] = {}
        if self.discriminator is not None:
            real = _judged(self.discriminator(visual, target), recorded=True)
            fake = _judged(self.discriminator(visual, final.detach()), recorded=False)
            parts["discriminator"] = 0.5 * (real + fake)
            # Its weight in equation 7 is no matter: Adam's steps do not depend on the loss's scale.
            descend(parts["discriminator"], optimisers["discriminator"], clip_norm, self.share_gradients)
        parts |= self._generator_losses(visual, target, final, draft)
        descend(parts["total"], optimisers["generator"], clip_norm, self.share_gradients)
        return {name: float(value.detach()) for name, value in parts.items()}

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Sound from pictures alone; the regulariser is switched off and the target not looked at."""
        final, _ = self.generate(self.look(batch), None, generator)
        return Prediction(spectrogram=final.clamp(0, 1))


def _judged(logits: Tensor, *, recorded: bool) -> Tensor:
    wanted = torch.ones_like(logits) if recorded else torch.zeros_like(logits)
    return functional.binary_cross_entropy_with_logits(logits, wanted)
