"""SpecGAN: WaveGAN's networks on pictures of sound.

Donahue, McAuley and Puckette 2019, "Adversarial Audio Synthesis", section 3.2; facts of their code
(``specgan.py``, ``train_specgan.py`` in github.com/chrisdonahue/wavegan, commit 40e85e8): convolutions
of 5 x 5 and stride 2 take the place of those of 25 and 4, there is no phase shuffle; each bin of the
logarithmic spectrogram is standardised over the training clips, divided by 3 and clipped to [-1, 1];
sound comes back by 16 iterations of Griffin and Lim from zero phase (``synthesis``).

Not theirs: classes (`conditional`, see :mod:`foley.models.class_gan`), and the width of the picture:
128 x 128 is 1.024 s at 16 kHz; 3 s are 128 x 384, made of a start of 4 x 12 in place of 4 x 4.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from foley.errors import ConfigError
from foley.models.base import Batch, DataSpec, Prediction
from foley.models.class_gan import ClassGan, GanConfig
from foley.models.layers.strided import OddKernel, StridedCritic, StridedGenerator, initialise

_N_LAYERS = 5
_STRIDE = 2
_N_SPREADS = 3.0
"""Standard deviations at which bins are clipped."""


class Config(GanConfig):
    """Sizes and options of SpecGAN; the defaults are those of the reference, with classes."""

    conditional: bool = Field(True, description="false: the reference, which knows no class")
    n_noise: int = Field(100, ge=1, description="random numbers of a sound")
    width: int = Field(64, ge=1, description="d: channels after the critic's first convolution")
    kernel: OddKernel = Field(5, ge=3, description="side of what a convolution looks at; odd")
    n_critic: int = Field(5, ge=1, description="steps of the critic for one of the generator")


def networks(
    config: Config, n_bins: int, n_frames: int, n_classes: int
) -> tuple[StridedGenerator, StridedCritic]:
    """Make generator and critic, as PyTorch starts them; `n_classes` is 0 for the reference.

    Raises
    ------
    ConfigError
        If bins or frames cannot be halved five times.
    """
    smallest = _STRIDE**_N_LAYERS
    if n_bins % smallest or n_frames % smallest:
        raise ConfigError(
            f"specgan makes spectrograms whose sides are multiples of {smallest}, not {n_bins} x {n_frames}; "
            "set n_fft and n_frames of the representation"
        )
    start = (n_bins // smallest, n_frames // smallest)
    rising = [config.width * 2**power for power in range(_N_LAYERS)]
    strides = [_STRIDE] * _N_LAYERS
    generator = StridedGenerator(
        config.n_noise + n_classes, start=start, widths=rising[::-1], strides=strides, kernel=config.kernel
    )
    critic = StridedCritic(
        end=start, widths=rising, strides=strides, kernel=config.kernel, n_classes=n_classes
    )
    return generator, critic


class System(ClassGan):
    """SpecGAN, told the class.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        The target is a logarithmic spectrogram whose sides are multiples of 32: kind ``specgan``.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Not used.
    generator : torch.Generator
        Draws the weights.

    Raises
    ------
    ConfigError
        If the spectrogram cannot be halved five times.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(
            config,
            spec,
            averages,
            generator,
            conditional=config.conditional,
            n_critic=config.n_critic,
            betas=(0.5, 0.9),
        )
        self.config = config
        n_classes = len(spec.classes) if config.conditional else 0
        self.generator, self.critic = networks(config, spec.n_bins, spec.n_audio_frames, n_classes)
        for network in (self.generator, self.critic):
            initialise(network, generator)
        self.register_buffer("mean", torch.zeros(spec.n_bins, 1))
        self.register_buffer("spread", torch.ones(spec.n_bins, 1))

    def study(self, targets: NDArray[np.float32], labels: Tensor, generator: torch.Generator) -> None:
        """Measure mean and standard deviation of each bin; see the base class."""
        mean = targets.mean(axis=(0, 2), dtype=np.float64)
        spread = targets.std(axis=(0, 2), dtype=np.float64)
        self.mean.copy_(torch.from_numpy(mean)[:, None])
        # A bin that never changes is only shifted.
        self.spread.copy_(torch.from_numpy(np.where(spread > 1e-6, spread, 1.0))[:, None])

    def generating(self) -> torch.nn.Module:
        """The generator."""
        return self.generator

    def judging(self) -> torch.nn.Module:
        """The critic."""
        return self.critic

    def real(self, batch: Batch) -> Tensor:
        """Standardised spectrograms, (batch, n_bins, n_frames), within [-1, 1]."""
        if batch.target is None:
            raise ValueError("training needs targets")
        return ((batch.target - self.mean) / (_N_SPREADS * self.spread)).clamp(-1, 1)

    def make(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Make standardised spectrograms, (batch, n_bins, n_frames), within [-1, 1]."""
        made: Tensor = self.generator(self.uniform_inputs(labels, self.config.n_noise, generator))
        return made

    def judge(self, samples: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Score standardised spectrograms (batch, n_bins, n_frames)."""
        scores: Tensor = self.critic(samples, labels, generator)
        return scores

    def predicted(self, labels: Tensor, generator: torch.Generator) -> Prediction:
        """Make spectrograms in the target representation."""
        made = self.make(labels, generator)
        return Prediction(spectrogram=made * (_N_SPREADS * self.spread) + self.mean)
