"""WaveNet with a mixture of logistics: REGNET's vocoder, from a mel spectrogram to samples.

Van den Oord et al. 2016, with the sizes of REGNET's hyper-parameters for
github.com/r9y9/wavenet_vocoder (``wavenet.py``, ``modules.py``): 24 layers in 4 cycles of
dilations 1 to 32, a receptive field of 505 samples.

Training sees all samples at once. Generation needs each sample before the next: every layer then
keeps the few past inputs that its kernel reaches, so that a sample costs one column of each layer.
"""

import math
from typing import cast

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

from foley.models.layers import logistic_mixture

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


def without_norms(network: WaveNet) -> WaveNet:
    """Fold the weight norms in, in place, so that generation does not compute them for each sample."""
    for module in network.modules():
        if hasattr(module, "parametrizations"):
            remove_parametrizations(module, "weight")
    return network


class Stepper:
    """A WaveNet that goes sample by sample, keeping what its layers need of the past.

    Parameters
    ----------
    network : WaveNet
        In evaluation mode.
    mel : Tensor, (batch, n_mels, n_frames)
    """

    def __init__(self, network: WaveNet, mel: Tensor) -> None:
        self.network = network
        batch, self.position = len(mel), 0
        self.condition = network.condition(mel)
        self._pasts, self._kernels = [], []
        for layer in network.layers:
            reach, convolution = cast(_Layer, layer).reach, cast(_Layer, layer).convolution
            self._pasts.append(mel.new_zeros(reach, batch, network.config.n_residual))
            # Taps, oldest first, as matrices from inputs to gates.
            self._kernels.append(convolution.weight.detach().permute(2, 1, 0).contiguous())

    @property
    def n_samples(self) -> int:
        """Samples that the spectrogram asks for."""
        return int(self.condition.shape[2])

    def step(self, before: Tensor) -> Tensor:
        """Parameters (batch, 3 * n_components) for the next sample, given the one before, (batch,)."""
        now = self.condition[:, :, self.position]
        x = _matrix(self.network.first, before[:, None])
        total: Tensor | float = 0.0
        for number, layer in enumerate(cast(list[_Layer], list(self.network.layers))):
            past, kernel = self._pasts[number], self._kernels[number]
            # A ring: the slot of this position holds the input of `reach` samples ago.
            oldest = self.position % layer.reach
            middle = (self.position + layer.dilation) % layer.reach
            gates = _matrix(layer.condition, now) + cast(Tensor, layer.convolution.bias)
            gates = gates + past[oldest] @ kernel[0] + past[middle] @ kernel[1] + x @ kernel[2]
            past[oldest] = x
            opened = _open(gates)
            x = (_matrix(layer.onward, opened) + x) * _HALF_POWER
            skip = _matrix(layer.skip, opened)
            total = skip if number == 0 else (total + skip) * _HALF_POWER
        self.position += 1
        _, inner, _, outer = self.network.last
        return _matrix(outer, torch.relu(_matrix(inner, torch.relu(cast(Tensor, total)))))


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
        In evaluation mode; quickest after :func:`without_norms`.
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
