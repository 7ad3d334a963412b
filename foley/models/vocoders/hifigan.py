"""HiFi-GAN: a spectrogram is stretched to the rate of the samples in one pass, judged by discriminators.

Kong, Kim and Bae 2020. Transposed convolutions stretch time; after each, residual blocks of several
kernel sizes and dilations run side by side and are averaged. Discriminators look at the sound folded
by periods and at several rates. The generator is to deceive them (least squares), to make their
inner values those of recorded sound, and to keep the mel spectrogram. The defaults are the paper's V1.

Two additions of ours, both off by default:

- ``noise``: after each stretch white noise is added, as loud as the features say. Rain and fire are
  noise, which a network without a source of randomness can only imitate by a fixed pattern.
- ``resolutions``: further transform lengths at which spectra are compared, for trainings too short
  for discriminators to be of much use.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import cast

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from foley.features.representations import mel
from foley.features.representations.base import hann_window
from foley.models.vocoders import base
from foley.models.vocoders.config import VocoderTrainingConfig

_SLOPE = 0.1
_MAGNITUDE_FLOOR = 1e-3
"""Of single bins in the loss: about a thousandth of what a soft sound has."""


class Config(BaseModel):
    """Sizes and weights of losses; the defaults are V1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_mels: int = Field(80, ge=1, description="bands of the spectrogram")
    n_channels: int = Field(512, ge=2, description="before the first stretch; halved by each")
    upsampling: tuple[int, ...] = Field((8, 8, 2, 2), description="even; their product is the mel's hop")
    kernels: tuple[int, ...] = Field((3, 7, 11), description="odd; a residual block each, side by side")
    dilations: tuple[tuple[int, ...], ...] = Field(
        ((1, 3, 5), (1, 3, 5), (1, 3, 5)), description="of the convolutions of each block"
    )
    paired: bool = Field(True, description="a convolution without dilation follows each dilated one")
    noise: bool = Field(False, description="add noise after each stretch; ours")
    mel_weight: float = Field(45.0, ge=0)
    resolutions: tuple[int, ...] = Field((), description="further transform lengths to compare at; ours")
    adversarial: bool = Field(True, description="train with discriminators")
    adversarial_from: int = Field(0, ge=0, description="steps before the discriminators begin")
    periods: tuple[int, ...] = Field((2, 3, 5, 7, 11), description="of the discriminators of folded sound")
    n_scales: int = Field(3, ge=0, description="discriminators at halved rates")
    discriminator_width: int = Field(32, ge=1, description="channels that all their sizes are multiples of")
    feature_weight: float = Field(2.0, ge=0, description="of the discriminators' inner values")

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if any(rate % 2 for rate in self.upsampling):
            raise ValueError(f"upsampling {self.upsampling} must be even numbers")
        if self.n_channels % 2 ** len(self.upsampling):
            raise ValueError(
                f"n_channels ({self.n_channels}) must be divisible by 2 for each number of upsampling"
            )
        if len(self.kernels) != len(self.dilations) or not all(kernel % 2 for kernel in self.kernels):
            raise ValueError("kernels must be odd, and dilations name the convolutions of each")
        if self.adversarial and not (self.periods or self.n_scales):
            raise ValueError("adversarial needs periods or n_scales; set adversarial: false for neither")
        return self

    @property
    def hop_length(self) -> int:
        """Samples of one frame of the spectrogram."""
        return math.prod(self.upsampling)


class _Block(nn.Module):
    """Residual convolutions of one kernel size."""

    def __init__(self, n_channels: int, kernel: int, dilations: Sequence[int], *, paired: bool) -> None:
        super().__init__()

        def convolution(dilation: int) -> nn.Module:
            padding = dilation * (kernel - 1) // 2
            return _normed(nn.Conv1d(n_channels, n_channels, kernel, dilation=dilation, padding=padding))

        self.steps = nn.ModuleList(
            nn.ModuleList([convolution(dilation), *([convolution(1)] if paired else [])])
            for dilation in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            y = x
            for layer in cast(nn.ModuleList, step):
                y = layer(functional.leaky_relu(y, _SLOPE))
            x = x + y
        return x


class Generator(nn.Module):
    """From a mel spectrogram to sound.

    Parameters
    ----------
    config : Config
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.first = _normed(nn.Conv1d(config.n_mels, config.n_channels, 7, padding=3))
        self.stretches, self.blocks, self.loudness = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        n_channels = config.n_channels
        for rate in config.upsampling:
            stretch = nn.ConvTranspose1d(n_channels, n_channels // 2, 2 * rate, rate, padding=rate // 2)
            n_channels //= 2
            self.stretches.append(_normed(stretch))
            self.blocks.append(
                nn.ModuleList(
                    _Block(n_channels, kernel, dilations, paired=config.paired)
                    for kernel, dilations in zip(config.kernels, config.dilations, strict=True)
                )
            )
            if config.noise:
                self.loudness.append(_normed(nn.Conv1d(n_channels, n_channels, 1)))
        self.last = _normed(nn.Conv1d(n_channels, 1, 7, padding=3))

    def forward(self, spectrogram: Tensor, generator: torch.Generator) -> Tensor:
        """Make sound (batch, n_frames * hop_length) of spectrograms (batch, n_mels, n_frames)."""
        x = self.first(spectrogram)
        for number, (stretch, blocks) in enumerate(zip(self.stretches, self.blocks, strict=True)):
            x = stretch(functional.leaky_relu(x, _SLOPE))
            if self.config.noise:
                shape = (len(x), 1, x.shape[2])
                x = x + self.loudness[number](x) * torch.randn(shape, generator=generator, device=x.device)
            made = [block(x) for block in cast(nn.ModuleList, blocks)]
            x = torch.stack(made).mean(dim=0) if len(made) > 1 else made[0]
        return torch.tanh(self.last(functional.leaky_relu(x)))[:, 0]


class _Discriminator(nn.Module):
    """Convolutions one after the other; all that they give is compared, the last is the judgement."""

    def __init__(self, layers: Sequence[nn.Module], period: int | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.period = period

    def forward(self, sound: Tensor) -> list[Tensor]:
        x = sound[:, None]
        if self.period is not None:
            missing = -x.shape[2] % self.period
            x = functional.pad(x, (0, missing), mode="reflect").reshape(len(x), 1, -1, self.period)
        found = []
        for layer in self.layers[:-1]:
            x = functional.leaky_relu(layer(x), _SLOPE)
            found.append(x)
        return [*found, self.layers[-1](x)]


class Discriminators(nn.Module):
    """Those of folded sound, then those of sound at halved rates.

    Parameters
    ----------
    config : Config
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.discriminator_width
        self.of_periods = nn.ModuleList(_of_period(period, width) for period in config.periods)
        self.of_scales = nn.ModuleList(_of_scale(width, first=not n) for n in range(config.n_scales))

    def forward(self, sound: Tensor) -> list[list[Tensor]]:
        """Values of every layer of every discriminator; the last of each is its judgement."""
        found = [judge(sound) for judge in self.of_periods]
        for number, judge in enumerate(self.of_scales):
            if number:
                sound = functional.avg_pool1d(sound[:, None], 4, 2, padding=2)[:, 0]
            found.append(judge(sound))
        return found


def _of_period(period: int, width: int) -> _Discriminator:
    sizes = [1, *(width * share for share in (1, 4, 16, 32, 32))]
    layers = [
        weight_norm(
            nn.Conv2d(n_in, n_out, (5, 1), (1 if number == 4 else 3, 1), padding=(2, 0)),
        )
        for number, (n_in, n_out) in enumerate(pairwise(sizes))
    ]
    return _Discriminator([*layers, weight_norm(nn.Conv2d(sizes[-1], 1, (3, 1), padding=(1, 0)))], period)


def _of_scale(width: int, *, first: bool) -> _Discriminator:
    norm = spectral_norm if first else weight_norm
    sizes = [1, *(width * share for share in (4, 4, 8, 16, 32, 32, 32))]
    shapes = ((15, 1, 1), (41, 2, 4), (41, 2, 16), (41, 4, 16), (41, 4, 16), (41, 1, 16), (5, 1, 1))
    layers = []
    for (n_in, n_out), (kernel, stride, groups) in zip(pairwise(sizes), shapes, strict=True):
        fitting = math.gcd(groups, n_in, n_out)
        layers.append(
            norm(nn.Conv1d(n_in, n_out, kernel, stride, padding=kernel // 2, groups=fitting)),
        )
    return _Discriminator([*layers, norm(nn.Conv1d(sizes[-1], 1, 3, padding=1))])


class Vocoder(base.Vocoder):
    """Generator, discriminators and losses.

    Parameters
    ----------
    config : Config
    settings : mel.Config
        The spectrogram that it inverts.
    """

    generator: Generator

    def __init__(self, config: Config, settings: mel.Config) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config)
        self.discriminators = Discriminators(config) if config.adversarial else None
        self.log_mel = base.LogMel(settings)
        for length in config.resolutions:
            self.register_buffer(f"window{length}", torch.from_numpy(hann_window(length)), persistent=False)

    def optimisers(self, training: VocoderTrainingConfig) -> dict[str, torch.optim.Optimizer]:
        """One for the generator, one for the discriminators."""
        made = {"generator": base.adam(self.generator, training)}
        if self.discriminators is not None:
            made["discriminators"] = base.adam(self.discriminators, training)
        return made

    def step(
        self,
        spectrogram: Tensor,
        sound: Tensor,
        optimisers: Mapping[str, torch.optim.Optimizer],
        generator: torch.Generator,
        *,
        number: int,
        clip_norm: float | None,
    ) -> dict[str, float]:
        """Let the discriminators take a step, then the generator."""
        made = self.generator(spectrogram, generator)
        parts = {"mel": functional.l1_loss(self.log_mel(made), self.log_mel(sound))}
        total = self.config.mel_weight * parts["mel"]
        if self.config.resolutions:
            parts["spectra"] = self._spectra(made, sound)
            total = total + self.config.mel_weight * parts["spectra"]
        if self.discriminators is not None and number >= self.config.adversarial_from:
            judges = self.discriminators
            parts["discriminators"] = _judging_loss(judges(sound), judges(made.detach()))
            base.descend(parts["discriminators"], judges, optimisers["discriminators"], clip_norm)
            judges.requires_grad_(False)  # their share of the generator's gradient would be thrown away
            heard, wanted = judges(made), judges(sound)
            judges.requires_grad_(True)
            parts["deceiving"] = torch.stack([(1 - values[-1]).square().mean() for values in heard]).sum()
            parts["features"] = _feature_loss(heard, wanted)
            total = total + parts["deceiving"] + self.config.feature_weight * parts["features"]
        base.descend(total, self.generator, optimisers["generator"], clip_norm)
        return {"total": float(total.detach())} | {name: float(part.detach()) for name, part in parts.items()}

    def generate(self, spectrogram: Tensor, generator: torch.Generator) -> Tensor:
        """Make sound in one pass; see the base class."""
        made: Tensor = self.generator(spectrogram, generator)
        return made

    def _spectra(self, made: Tensor, sound: Tensor) -> Tensor:
        """Mean absolute difference of the logarithms of magnitudes, over the further transform lengths."""
        gaps = []
        for length in self.config.resolutions:
            window = cast(Tensor, getattr(self, f"window{length}"))
            spectra = [base.stft_magnitude(one, window, length // 4) for one in (made, sound)]
            one, other = (torch.log(spectrum.clamp(min=_MAGNITUDE_FLOOR)) for spectrum in spectra)
            gaps.append(functional.l1_loss(one, other))
        return torch.stack(gaps).mean()


def _normed(layer: nn.Module) -> nn.Module:
    """Put a weight norm on; the tiny starting weights of the release cost a short training many steps."""
    normed: nn.Module = weight_norm(layer)
    return normed


def _judging_loss(real: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """Least squares: recorded sound is 1, made sound is 0."""
    pairs = zip(real, made, strict=True)
    return torch.stack([(1 - a[-1]).square().mean() + b[-1].square().mean() for a, b in pairs]).sum()


def _feature_loss(made: list[list[Tensor]], real: list[list[Tensor]]) -> Tensor:
    """Mean absolute differences of inner values, summed over layers and discriminators."""
    gaps = [
        functional.l1_loss(a, b.detach())
        for mine, theirs in zip(made, real, strict=True)
        for a, b in zip(mine[:-1], theirs[:-1], strict=True)
    ]
    return torch.stack(gaps).sum()
