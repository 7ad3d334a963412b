"""WaveGAN: a GAN of raw waveforms.

Donahue, McAuley and Puckette 2019, "Adversarial Audio Synthesis"; facts of their code
(``wavegan.py``, ``train_wavegan.py`` in github.com/chrisdonahue/wavegan, commit 40e85e8): 100 numbers
in (-1, 1), a linear layer to 16 steps, transposed convolutions of 25 steps and stride 4 (32,768 samples:
the last of stride 2), tanh; the critic mirrors them, with phase shuffle of radius 2 after its first four
convolutions; no normalisation; gradient penalty of weight 10, five steps of the critic for one of the
generator, Adam with betas 0.5 and 0.9 (learning rate 1e-4: ``training.lr``), 64 clips a step
(``training.batch_size: 320``).

Not theirs: classes (`conditional`, see :mod:`foley.models.class_gan`), one level for each class
(`level`), and the rate. A clip is made whole, whatever its length: `n_samples` samples are spread over
it, so that 65,536 over 3 s are 21.8 kHz, and 16,384 over 1.024 s the reference's 16 kHz.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from foley.models.base import Batch, DataSpec, Prediction, check_rate
from foley.models.class_gan import ClassGan, GanConfig
from foley.models.layers.post_filter import PostFilter
from foley.models.layers.strided import OddKernel, StridedCritic, StridedGenerator, initialise

_START = 16
_N_SHUFFLED = 4
_STRIDES = {16_384: (4, 4, 4, 4, 4), 32_768: (4, 4, 4, 4, 4, 2), 65_536: (4, 4, 4, 4, 4, 4)}


class Config(GanConfig):
    """Sizes and options of WaveGAN; the defaults are those of the reference, with classes."""

    n_samples: Literal[16_384, 32_768, 65_536] = Field(65_536, description="samples of a clip that are made")
    conditional: bool = Field(True, description="false: the reference, which knows no class")
    level: Literal["recorded", "class"] = Field(
        "recorded", description="class: learn every class at full scale, and play it at its own level"
    )
    n_noise: int = Field(100, ge=1, description="random numbers of a sound")
    width: int = Field(64, ge=1, description="d: channels after the critic's first convolution")
    kernel: OddKernel = Field(25, ge=5, description="steps that a convolution looks at; odd")
    shuffle_radius: int = Field(2, ge=0, description="of phase shuffle; 0 leaves it out")
    n_critic: int = Field(5, ge=1, description="steps of the critic for one of the generator")
    filter_taps: int | None = Field(
        None,
        ge=1,
        description="taps of the reference's optional filter after the generator (512); null: none",
    )

    @model_validator(mode="after")
    def _level_is_of_a_class(self) -> "Config":
        if self.level == "class" and not self.conditional:
            raise ValueError("level: class needs conditional: true")
        return self


def networks(config: Config, n_classes: int) -> tuple[nn.Module, StridedCritic]:
    """Make generator and critic, as PyTorch starts them; `n_classes` is 0 for the reference."""
    strides = _STRIDES[config.n_samples]
    rising = [config.width * 2**power for power in range(len(strides))]
    generator: nn.Module = StridedGenerator(
        config.n_noise + n_classes,
        start=(_START,),
        widths=rising[::-1],
        strides=strides,
        kernel=config.kernel,
    )
    if config.filter_taps is not None:
        generator = nn.Sequential(generator, PostFilter(config.filter_taps))
    critic = StridedCritic(
        end=(_START,),
        widths=rising,
        strides=strides,
        kernel=config.kernel,
        n_classes=n_classes,
        n_shuffled=_N_SHUFFLED,
        radius=config.shuffle_radius,
    )
    return generator, critic


def at_length(sound: Tensor, n_samples: int) -> Tensor:
    """Spread sound over another number of samples: the spectrum is cut off, or filled up with zeros.

    Parameters
    ----------
    sound : Tensor, (..., n)
    n_samples : int

    Returns
    -------
    Tensor, (..., n_samples)
        Of the same duration; the clip is taken for one period.
    """
    n_before = sound.shape[-1]
    spectrum = torch.fft.rfft(sound)[..., : n_samples // 2 + 1]
    resampled: Tensor = torch.fft.irfft(spectrum, n=n_samples) * (n_samples / n_before)
    return resampled


class System(ClassGan):
    """WaveGAN, told the class.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        The representation is not made, but its sample rate must be the clips'.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Not used.
    generator : torch.Generator
        Draws the weights.
    """

    needs_waveform = True
    peaks: Tensor

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
        self.generator, self.critic = networks(config, len(spec.classes) if config.conditional else 0)
        for network in (self.generator, self.critic):
            initialise(network, generator)
        self.register_buffer("peaks", torch.zeros(len(spec.classes)))

    def listen(self, features: tuple[NDArray[np.float16], ...], waveforms: NDArray[np.float32]) -> None:
        """Check the clips' sample rate; see the base class.

        Raises
        ------
        ConfigError
            If the representation has another sample rate than the clips.
        """
        check_rate(self.spec, waveforms, "wavegan makes waveforms")

    def generating(self) -> nn.Module:
        """The generator."""
        return self.generator

    def judging(self) -> nn.Module:
        """The critic."""
        return self.critic

    def real(self, batch: Batch) -> Tensor:
        """Recorded sound at the generator's rate and level, (batch, n_samples)."""
        if batch.waveform is None:
            raise ValueError("wavegan learns from waveforms")
        if self.config.level == "recorded":
            return at_length(batch.waveform, self.config.n_samples)
        with torch.no_grad():
            # The highest peak of each class that was heard so far: all of them after one epoch.
            self.peaks.scatter_reduce_(0, batch.labels, batch.waveform.abs().amax(dim=1), "amax")
        level = self._levels(batch.labels)
        return at_length(batch.waveform / level[:, None], self.config.n_samples)

    def _levels(self, labels: Tensor) -> Tensor:
        """Full scale of each class, (batch,), above 0."""
        peaks = self.peaks[labels]
        return torch.where(peaks > 0, peaks, torch.ones_like(peaks))

    def make(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Make sound, (batch, n_samples), within [-1, 1]."""
        made: Tensor = self.generator(self.uniform_inputs(labels, self.config.n_noise, generator))
        return made

    def judge(self, samples: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Score waveforms (batch, n_samples)."""
        scores: Tensor = self.critic(samples, labels, generator)
        return scores

    def predicted(self, labels: Tensor, generator: torch.Generator) -> Prediction:
        """Make waveforms at the clips' rate."""
        made = at_length(self.make(labels, generator), self.spec.n_samples)
        if self.config.level == "class":
            made = made * self._levels(labels)[:, None]
        return Prediction(waveform=made.clamp(-1, 1))
