"""WaveNet with a mixture of logistics: REGNET's vocoder, from a mel spectrogram to samples.

Van den Oord et al. 2016, with the sizes of REGNET's hyper-parameters for
github.com/r9y9/wavenet_vocoder (``wavenet.py``, ``modules.py``): 24 layers in 4 cycles of
dilations 1 to 32, a receptive field of 505 samples.

Training sees all samples at once. Generation needs each sample before the next: every layer then
keeps the few past inputs that its kernel reaches, so that a sample costs one column of each layer.
Many clips at once cost little more than one.
"""

import math
from collections.abc import Mapping
from typing import cast

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from foley.features.representations import mel as mel_spectrogram
from foley.models.layers import logistic_mixture
from foley.models.vocoders import base
from foley.models.vocoders.config import VocoderTrainingConfig

_KERNEL = 3
_HALF_POWER = math.sqrt(0.5)
"""Keeps the power of a sum of two equally strong signals."""


class Config(BaseModel):
    """Sizes of the WaveNet; the defaults are REGNET's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_mels: int = Field(80, ge=1, description="bands of the spectrogram")
    n_layers: int = Field(24, ge=1)
    n_cycles: int = Field(4, ge=1, description="times that the dilation starts at 1 again")
    n_residual: int = Field(512, ge=1, description="channels that run through the layers")
    n_gate: int = Field(512, ge=2, multiple_of=2, description="channels of a layer's convolution")
    n_skip: int = Field(256, ge=1, description="channels that are summed over the layers")
    n_components: int = Field(10, ge=1, description="logistic distributions of the mixture")
    upsampling: tuple[int, ...] = Field((4, 4, 4, 4), description="their product is the mel's hop")
    dropout: float = Field(0.05, ge=0, lt=1)

    @model_validator(mode="after")
    def _cycles_fit(self) -> "Config":
        if self.n_layers % self.n_cycles:
            raise ValueError(f"n_layers ({self.n_layers}) must be a multiple of n_cycles ({self.n_cycles})")
        return self

    @property
    def hop_length(self) -> int:
        """Samples of one frame of the spectrogram."""
        return math.prod(self.upsampling)

    @property
    def receptive_field(self) -> int:
        """Samples that one output sees, itself included."""
        per_cycle = self.n_layers // self.n_cycles
        return int((_KERNEL - 1) * self.n_cycles * (2**per_cycle - 1) + 1)


class _Layer(nn.Module):
    """One gated, dilated convolution over the past, conditioned on the spectrogram."""

    def __init__(self, config: Config, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.dropout = nn.Dropout(config.dropout)
        n_open = config.n_gate // 2
        self.convolution = _convolution(config.n_residual, config.n_gate, _KERNEL, dilation)
        self.condition = _convolution(config.n_mels, config.n_gate)
        self.onward = _convolution(n_open, config.n_residual)
        self.skip = _convolution(n_open, config.n_skip)

    @property
    def reach(self) -> int:
        """Past inputs that the kernel needs."""
        return (_KERNEL - 1) * self.dilation

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """All samples at once: (batch, n_residual, n) and (batch, n_mels, n) to onward and skip."""
        past = functional.pad(self.dropout(x), (self.reach, 0))
        opened = _open(self.convolution(past) + self.condition(condition))
        return (self.onward(opened) + x) * _HALF_POWER, self.skip(opened)


def _convolution(n_in: int, n_out: int, side: int = 1, dilation: int = 1) -> nn.Conv1d:
    """Convolution with He-normal weights under a weight norm; wide enough a start for 24 layers."""
    layer = nn.Conv1d(n_in, n_out, side, dilation=dilation)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(cast(Tensor, layer.bias))
    normed: nn.Conv1d = weight_norm(layer)
    return normed


def _open(gates: Tensor) -> Tensor:
    signal, gate = gates.chunk(2, dim=1)
    return torch.tanh(signal) * torch.sigmoid(gate)


class WaveNet(nn.Module):
    """From a mel spectrogram and the samples so far to the distribution of each next sample.

    Parameters
    ----------
    config : Config
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        stages: list[nn.Module] = []
        for factor in config.upsampling:
            stage = nn.ConvTranspose2d(1, 1, (3, factor), stride=(1, factor), padding=(1, 0))
            nn.init.constant_(stage.weight, 1 / 3)  # begins as a repetition in time, smoothed over bands
            nn.init.zeros_(cast(Tensor, stage.bias))
            stages += [weight_norm(stage), nn.ReLU()]
        self.upsampling = nn.Sequential(*stages)
        self.first = _convolution(1, config.n_residual)
        per_cycle = config.n_layers // config.n_cycles
        self.layers = nn.ModuleList(
            _Layer(config, 2 ** (number % per_cycle)) for number in range(config.n_layers)
        )
        self.last = nn.Sequential(
            nn.ReLU(),
            _convolution(config.n_skip, config.n_skip),
            nn.ReLU(),
            _convolution(config.n_skip, 3 * config.n_components),
        )

    def condition(self, mel: Tensor) -> Tensor:
        """Stretch a spectrogram (batch, n_mels, n_frames) to the rate of the samples."""
        stretched: Tensor = self.upsampling(mel[:, None])
        return stretched[:, 0]

    def forward(self, samples: Tensor, mel: Tensor) -> Tensor:
        """Parameters of the distribution of each sample, given those before it.

        Parameters
        ----------
        samples : Tensor, (batch, n_frames * hop_length)
            In [-1, 1].
        mel : Tensor, (batch, n_mels, n_frames)

        Returns
        -------
        Tensor, (batch, 3 * n_components, n_frames * hop_length)
            For :mod:`foley.models.layers.logistic_mixture`.

        Raises
        ------
        ValueError
            If there are not hop_length samples a frame.
        """
        condition = self.condition(mel)
        if samples.shape[1] != condition.shape[2]:
            raise ValueError(
                f"{samples.shape[1]} samples are not {mel.shape[2]} frames of {self.config.hop_length}"
            )
        x: Tensor = self.first(functional.pad(samples, (1, 0))[:, None, :-1])
        total: Tensor | float = 0.0
        for number, layer in enumerate(self.layers):
            x, skip = layer(x, condition)
            total = skip if number == 0 else (total + skip) * _HALF_POWER
        parameters: Tensor = self.last(total)
        return parameters

    def loss(self, samples: Tensor, mel: Tensor) -> Tensor:
        """Mean negative log-likelihood of 16-bit samples, in nats a sample; see :meth:`forward`."""
        return logistic_mixture.negative_log_likelihood(self(samples, mel), samples).mean()


class Stepper:
    """A WaveNet that goes sample by sample, keeping what its layers need of the past.

    What training computes for each layer apart is gathered here, because small matrix products cost
    their calls: the three taps of a kernel are one product, the spectrogram's share is computed for a
    frame at a time, and one product sums the skips of all layers. A gate's sigmoid is written as the
    hyperbolic tangent of half its input, so that one call opens both halves.

    Parameters
    ----------
    network : WaveNet
        In evaluation mode.
    mel : Tensor, (batch, n_mels, n_frames)
    """

    @torch.no_grad()
    def __init__(self, network: WaveNet, mel: Tensor) -> None:
        self.network, self.mel, self.position = network, mel, 0
        config = network.config
        layers = cast(list[_Layer], list(network.layers))
        n_open = config.n_gate // 2
        halved = mel.new_ones(config.n_gate)
        halved[n_open:] = 0.5
        self._layers: list[tuple[int, Tensor, Tensor, Tensor, Tensor]] = []
        shares, share_biases, skips = [], [], []
        skip_bias = mel.new_zeros(config.n_skip)
        for number, layer in enumerate(layers):
            # Taps, oldest first, as one matrix from inputs to gates.
            taps = layer.convolution.weight.permute(2, 1, 0).flatten(0, 1) * halved
            onward = 0.5 * _HALF_POWER * layer.onward.weight[:, :, 0].T
            past = mel.new_zeros(layer.reach, len(mel), config.n_residual)
            onward_bias = _HALF_POWER * _bias(layer.onward)
            self._layers.append((layer.dilation, taps.contiguous(), onward.contiguous(), onward_bias, past))
            shares.append(layer.condition.weight[:, :, 0] * halved[:, None])
            share_biases.append((_bias(layer.condition) + _bias(layer.convolution)) * halved)
            # Each addition of a skip halves the power of all before it.
            weight = _HALF_POWER ** (len(layers) - max(number, 1))
            skips.append(0.5 * weight * layer.skip.weight[:, :, 0].T)
            skip_bias += weight * _bias(layer.skip)
        self._shares = torch.cat(shares)
        self._share_bias = torch.cat(share_biases)[:, None]
        self._skips, self._skip_bias = torch.cat(skips), skip_bias
        self._opened = mel.new_zeros(len(mel), len(layers), n_open)
        self._condition = mel.new_zeros(0)

    @property
    def n_samples(self) -> int:
        """Samples that the spectrogram asks for."""
        return self.mel.shape[2] * self.network.config.hop_length

    @torch.no_grad()
    def step(self, before: Tensor) -> Tensor:
        """Parameters (batch, 3 * n_components) for the next sample, given the one before, (batch,)."""
        frame, within = divmod(self.position, self.network.config.hop_length)
        if within == 0:
            self._condition = self._of_frame(frame)
        condition = self._condition[within]
        n_open = self._opened.shape[2]
        x = _matrix(self.network.first, before[:, None])
        for number, (dilation, taps, onward, bias, past) in enumerate(self._layers):
            # A ring: the slot of this position holds the input of `reach` samples ago.
            oldest = past[self.position % len(past)]
            middle = past[(self.position + dilation) % len(past)]
            gates = torch.addmm(condition[number], torch.cat([oldest, middle, x], dim=1), taps).tanh_()
            signal, gate = gates[:, :n_open], gates[:, n_open:]
            opened = torch.addcmul(signal, signal, gate, out=self._opened[:, number])
            oldest.copy_(x)
            x = torch.addmm(bias, opened, onward).add_(x, alpha=_HALF_POWER)
        self.position += 1
        total = torch.addmm(self._skip_bias, self._opened.flatten(1), self._skips)
        _, inner, _, outer = self.network.last
        return _matrix(outer, torch.relu(_matrix(inner, torch.relu(total))))

    def _of_frame(self, frame: int) -> Tensor:
        """The spectrogram's share in the gates, (hop_length, n_layers, batch, n_gate): frames stand alone."""
        stretched = self.network.condition(self.mel[:, :, frame : frame + 1])
        shares = self._shares @ stretched + self._share_bias
        shape = (len(stretched), len(self._layers), -1, stretched.shape[2])
        return shares.reshape(*shape).permute(3, 1, 0, 2).contiguous()


def _bias(convolution: nn.Module) -> Tensor:
    return cast(Tensor, convolution.bias)


def _matrix(convolution: nn.Module, values: Tensor) -> Tensor:
    """Apply a convolution of kernel 1 to one position, (batch, channels)."""
    layer = cast(nn.Conv1d, convolution)
    return functional.linear(values, layer.weight[:, :, 0], layer.bias)


@torch.no_grad()
def generate(network: WaveNet, mel: Tensor, generator: torch.Generator) -> Tensor:
    """Draw sound for spectrograms.

    Parameters
    ----------
    network : WaveNet
        In evaluation mode; quickest after :func:`foley.models.vocoders.base.without_norms`.
    mel : Tensor, (batch, n_mels, n_frames)
    generator : torch.Generator

    Returns
    -------
    Tensor, (batch, n_frames * hop_length)
        In [-1, 1].
    """
    stepper = Stepper(network, mel)
    made = mel.new_zeros(len(mel), stepper.n_samples + 1)
    for position in range(stepper.n_samples):
        parameters = stepper.step(made[:, position])
        made[:, position + 1] = logistic_mixture.draw(parameters[:, :, None], generator)[:, 0]
    return made[:, 1:]


class Vocoder(base.Vocoder):
    """WaveNet as a vocoder.

    Parameters
    ----------
    config : Config
    settings : foley.features.representations.mel.Config
        The spectrogram that it inverts.
    """

    generator: WaveNet

    def __init__(self, config: Config, settings: mel_spectrogram.Config) -> None:
        super().__init__()
        self.generator = WaveNet(config)

    def optimisers(self, training: VocoderTrainingConfig) -> dict[str, torch.optim.Optimizer]:
        """One, for all weights."""
        return {"generator": base.adam(self.generator, training)}

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
        """Make the recorded samples likelier."""
        loss = self.generator.loss(sound, spectrogram)
        base.descend(loss, self.generator, optimisers["generator"], clip_norm)
        return {"total": float(loss.detach())}

    def generate(self, spectrogram: Tensor, generator: torch.Generator) -> Tensor:
        """Draw sample by sample; see the base class."""
        return generate(self.generator, spectrogram, generator)
