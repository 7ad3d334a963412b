"""GANSynth: a GAN of spectrograms with instantaneous frequency, grown from coarse to fine.

Engel et al. 2019, "GANSynth: Adversarial Neural Audio Synthesis"; the networks are those of Karras et
al. 2018 ("Progressive Growing of GANs"). Facts of their code (``networks.py``, ``layers.py``,
``train_util.py``, ``configs/mel_prog_hires.py`` of models/gansynth in github.com/magenta/magenta,
commit 526d3eb): seven resolutions from 2 x 16 to 128 x 1024; 256 random numbers and the class as
one-hot; two convolutions of 3 x 3 a resolution with 4096 / 2^k channels, at most 256; equalised
learning rate, pixel normalisation, standard deviation over the batch as a last channel of the
critic; a resolution is trained on 800,000 clips and faded in over 800,000; gradient penalty of
weight 10, mean square of scores of recorded sound of weight 0.001, classification of recorded sound
by the critic and of made sound by the generator of weight 10; Adam with betas 0 and 0.99 (learning rate
8e-4: ``training.lr``), 8 clips a step; sound is made by a running mean (0.999) of the generator.

Their pictures are laid out with time first, ours with frequency first. While a resolution grows they
keep pictures at full size and shrink them inside the networks; here they are as small as they look, and
the gradient penalty is scaled so that its value is the same. It is taken in the scaled representation
that networks see, theirs in the spectrogram before it is scaled.
"""

from collections.abc import Mapping
from copy import deepcopy
from math import sqrt
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from foley.errors import ConfigError
from foley.models.base import Batch, DataSpec, Prediction
from foley.models.class_gan import ClassGan, GanConfig
from foley.models.layers.adversarial import gradient_penalty


class Config(GanConfig):
    """Sizes and options of GANSynth; the defaults are those of its ``mel_prog_hires``."""

    n_channels: int = Field(2, ge=1, description="channels of the target, stacked along its bins")
    n_resolutions: int = Field(7, ge=1, description="each twice as fine along both axes as the one before")
    stable_clips: int = Field(800_000, ge=1, description="clips that a resolution is trained on")
    transition_clips: int = Field(800_000, ge=1, description="clips over which a resolution is faded in")
    n_noise: int = Field(256, ge=1, description="random numbers of a sound")
    most_channels: int = Field(256, ge=1, description="channels of the coarsest resolutions")
    n_channels_base: int = Field(4096, ge=1, description="resolution k has this over 2^k channels, if fewer")
    score_weight: float = Field(0.001, ge=0, description="of the mean square of scores of recorded sound")
    class_weight: float = Field(10.0, ge=0, description="of the auxiliary classification, for both networks")
    smoothing: float = Field(0.999, ge=0, lt=1, description="of the running mean of the generator's weights")
    n_critic: int = Field(1, ge=1, description="steps of the critic for one of the generator")

    def width(self, resolution: int) -> int:
        """Channels of a resolution, counted from 1; those of 0 are the critic's last."""
        return max(1, min(self.n_channels_base >> resolution, self.most_channels))

    def progress(self, n_clips: int) -> float:
        """How far growth has come after so many clips.

        Returns
        -------
        float
            ``k`` while resolution ``k + 1`` alone is trained, and a number between ``k`` and ``k + 1``
            while the next is faded in; at most ``n_resolutions - 1``.

        Examples
        --------
        >>> config = Config(n_resolutions=3, stable_clips=10, transition_clips=10)
        >>> [config.progress(n) for n in (0, 10, 15, 20, 30, 35, 1000)]
        [0.0, 0.0, 0.5, 1.0, 1.0, 1.5, 2.0]
        """
        stage = self.stable_clips + self.transition_clips
        grown, rest = divmod(n_clips, stage)
        if grown >= self.n_resolutions - 1:
            return float(self.n_resolutions - 1)
        return grown + max(0, rest - self.stable_clips) / self.transition_clips


def pixel_norm(values: Tensor) -> Tensor:
    """Give every place the mean square 1 over its channels (axis 1)."""
    normed: Tensor = values * torch.rsqrt(values.square().mean(dim=1, keepdim=True) + 1e-8)
    return normed


def with_batch_spread(values: Tensor) -> Tensor:
    """Append a channel that everywhere holds the mean standard deviation over the batch.

    Parameters
    ----------
    values : Tensor, (batch, n_channels, height, width)

    Returns
    -------
    Tensor, (batch, n_channels + 1, height, width)
    """
    spread = (values.var(dim=0, unbiased=False) + 1e-6).sqrt().mean()
    return torch.cat([values, spread.expand(len(values), 1, *values.shape[2:])], dim=1)


def finer(values: Tensor, times: int = 2) -> Tensor:
    """Repeat every place along the last two axes."""
    return values.repeat_interleave(times, dim=-2).repeat_interleave(times, dim=-1)


def coarser(values: Tensor, times: int = 2) -> Tensor:
    """Average over squares of places along the last two axes."""
    return functional.avg_pool2d(values, times)


class _Equalised(nn.Module):
    """Convolution, or a linear layer, whose weights have unit variance and are scaled in use.

    Parameters
    ----------
    shape : tuple of int
        Of the weights, outputs first.
    padding : pair of int
    gain : float
        Root of 2 before a rectifier, else 1.
    """

    def __init__(
        self, shape: tuple[int, ...], *, padding: tuple[int, int] = (0, 0), gain: float = sqrt(2)
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(shape[0]))
        self.scale = gain / sqrt(self.weight[0].numel())
        self.padding = padding

    def forward(self, values: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if weight.dim() == 2:
            return functional.linear(values, weight, self.bias)
        return functional.conv2d(values, weight, self.bias, padding=self.padding)


def _square(n_inputs: int, n_outputs: int) -> _Equalised:
    return _Equalised((n_outputs, n_inputs, 3, 3), padding=(1, 1))


def _point(n_inputs: int, n_outputs: int, gain: float) -> _Equalised:
    return _Equalised((n_outputs, n_inputs, 1, 1), gain=gain)


class Generator(nn.Module):
    """From random numbers and a class to a picture of sound, as fine as growth has come.

    Parameters
    ----------
    config : Config
    n_classes : int
    start : pair of int
        Height and width of the coarsest resolution.
    """

    def __init__(self, config: Config, n_classes: int, start: tuple[int, int]) -> None:
        super().__init__()
        first = config.width(1)
        # Zeros around one place, and a kernel as large as the coarsest picture: each place of it has
        # weights of its own.
        self.spread = _Equalised(
            (first, config.n_noise + n_classes, *start), padding=(start[0] - 1, start[1] - 1)
        )
        blocks = [nn.ModuleList([_square(first, first)])]
        for resolution in range(2, config.n_resolutions + 1):
            before, after = config.width(resolution - 1), config.width(resolution)
            blocks.append(nn.ModuleList([_square(before, after), _square(after, after)]))
        self.blocks = nn.ModuleList(blocks)
        self.show = nn.ModuleList(
            _point(config.width(resolution), config.n_channels, 1.0)
            for resolution in range(1, config.n_resolutions + 1)
        )

    def forward(self, vectors: Tensor, progress: float) -> Tensor:
        """Give (batch, n_channels, height, width), within [-1, 1].

        Parameters
        ----------
        vectors : Tensor, (batch, n_noise + n_classes)
        progress : float
            See :meth:`Config.progress`. In a transition the size is already that of the finer picture.
        """
        grown, share = _split(progress)
        values = _lit(self.spread(pixel_norm(vectors)[:, :, None, None]))
        coarse = None
        for number, block in enumerate(self.blocks[: grown + (share > 0) + 1]):
            if number > grown:
                coarse = self.show[grown](values).tanh()
            if number:
                values = finer(values)
            for convolution in cast(nn.ModuleList, block):
                values = _lit(convolution(values))
        fine: Tensor = self.show[grown + (share > 0)](values).tanh()
        return fine if coarse is None else share * fine + (1 - share) * finer(coarse)


class Critic(nn.Module):
    """From a picture of sound to a score and to class scores; the mirror of :class:`Generator`."""

    def __init__(self, config: Config, n_classes: int, start: tuple[int, int]) -> None:
        super().__init__()
        resolutions = range(1, config.n_resolutions + 1)
        self.see = nn.ModuleList(
            _point(config.n_channels, config.width(resolution), sqrt(2)) for resolution in resolutions
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                [
                    _square(config.width(resolution), config.width(resolution)),
                    _square(config.width(resolution), config.width(resolution - 1)),
                ]
            )
            for resolution in resolutions[1:]
        )
        first, last = config.width(1), config.width(0)
        self.compare = _square(first + 1, first)
        self.gather = _Equalised((last, first, *start))
        self.score = _Equalised((1, last), gain=1.0)
        self.classify = _Equalised((n_classes, last), gain=1.0)

    def forward(self, samples: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        """Judge samples (batch, n_channels, height, width) of the size that `progress` has.

        Returns
        -------
        scores : Tensor, (batch,)
        logits : Tensor, (batch, n_classes)
        """
        grown, share = _split(progress)
        finest = grown + (share > 0)
        values = _bent(self.see[finest](samples))
        for number in range(finest, 0, -1):
            for convolution in cast(nn.ModuleList, self.blocks[number - 1]):
                values = _bent(convolution(values))
            values = coarser(values)
            if number > grown:
                values = share * values + (1 - share) * _bent(self.see[grown](coarser(samples)))
        values = _bent(self.gather(_bent(self.compare(with_batch_spread(values)))))[:, :, 0, 0]
        scores: Tensor = self.score(values)[:, 0]
        return scores, self.classify(values)


def _split(progress: float) -> tuple[int, float]:
    """Resolutions that are wholly grown after the first, and the share of the next."""
    grown = int(progress)
    return grown, progress - grown


def _bent(values: Tensor) -> Tensor:
    return functional.leaky_relu(values, 0.2)


def _lit(values: Tensor) -> Tensor:
    return pixel_norm(_bent(values))


class System(ClassGan):
    """GANSynth, told the class.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        The target has `n_channels` channels in [-1, 1], stacked along its bins; bins of a channel and
        frames can be halved ``n_resolutions - 1`` times.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Not used.
    generator : torch.Generator
        Draws the weights.

    Raises
    ------
    ConfigError
        If the target cannot be halved so often.
    """

    n_heard: Tensor

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(
            config,
            spec,
            averages,
            generator,
            conditional=True,
            n_critic=config.n_critic,
            betas=(0.0, 0.99),
        )
        self.config = config
        factor = 2 ** (config.n_resolutions - 1)
        if spec.n_bins % (config.n_channels * factor) or spec.n_audio_frames % factor:
            raise ConfigError(
                f"gansynth grows {config.n_resolutions} resolutions: bins of each of {config.n_channels} "
                f"channels and frames must be multiples of {factor}, the target is {spec.n_bins} x "
                f"{spec.n_audio_frames}; set n_resolutions, or the representation's sizes"
            )
        start = (spec.n_bins // config.n_channels // factor, spec.n_audio_frames // factor)
        self.generator = Generator(config, len(spec.classes), start)
        self.critic = Critic(config, len(spec.classes), start)
        for module in (*self.generator.modules(), *self.critic.modules()):
            if isinstance(module, _Equalised):
                nn.init.normal_(module.weight, generator=generator)
        self.smoothed = deepcopy(self.generator).requires_grad_(False)
        self.register_buffer("n_heard", torch.zeros((), dtype=torch.long))

    def go_to_last_phase(self) -> None:
        """Go to where everything has been grown; see the base class."""
        stage = self.config.stable_clips + self.config.transition_clips
        self.n_heard.fill_(stage * (self.config.n_resolutions - 1))

    @property
    def progress(self) -> float:
        """How far growth has come; see :meth:`Config.progress`."""
        return self.config.progress(int(self.n_heard))

    def generating(self) -> torch.nn.Module:
        """The generator that is trained."""
        return self.generator

    def judging(self) -> torch.nn.Module:
        """The critic."""
        return self.critic

    def real(self, batch: Batch) -> Tensor:
        """Recorded pictures at full size, (batch, n_channels, height, width)."""
        if batch.target is None:
            raise ValueError("training needs targets")
        n_clips, _, n_frames = batch.target.shape
        return batch.target.reshape(n_clips, self.config.n_channels, self._full_height(), n_frames)

    def seen(self, pictures: Tensor, progress: float) -> Tensor:
        """Pictures of full size as coarse as growth has come; in a transition both sizes are blended."""
        grown, share = _split(progress)
        times = 2 ** (self.config.n_resolutions - 1 - grown)
        if share == 0:
            return coarser(pictures, times)
        return share * coarser(pictures, times // 2) + (1 - share) * finer(coarser(pictures, times))

    def _vectors(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(len(labels), self.config.n_noise, generator=generator, device=generator.device)
        return torch.cat([noise.to(labels.device), self.one_hot(labels)], dim=1)

    def make(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Make pictures (batch, n_channels, height, width) as fine as growth has come."""
        made: Tensor = self.generator(self._vectors(labels, generator), self.progress)
        return made

    def judge(self, samples: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Score pictures as fine as growth has come."""
        scores: Tensor = self.critic(samples, self.progress)[0]
        return scores

    def critic_losses(
        self, real: Tensor, fake: Tensor, labels: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """What the critic descends; see the base class."""
        progress = self.progress
        seen = self.seen(real, progress)
        real_scores, logits = self.critic(seen, progress)
        distance = real_scores.mean() - self.judge(fake, labels, generator).mean()
        penalty = gradient_penalty(
            lambda between: self.judge(between, labels, generator),
            seen,
            fake,
            generator,
            coarseness=real.shape[-1] / seen.shape[-1],
        )
        classified = functional.cross_entropy(logits, labels)
        total = (
            self.gan_config.penalty_weight * penalty
            - distance
            + self.config.score_weight * real_scores.square().mean()
            + self.config.class_weight * classified
        )
        return {"critic": total, "distance": distance, "penalty": penalty, "class_recorded": classified}

    def generator_losses(self, labels: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """What the generator descends; see the base class."""
        scores, logits = self.critic(self.make(labels, generator), self.progress)
        classified = functional.cross_entropy(logits, labels)
        return {
            "generator": self.config.class_weight * classified - scores.mean(),
            "class_made": classified,
        }

    def step(
        self,
        batch: Batch,
        optimisers: Mapping[str, torch.optim.Optimizer],
        generator: torch.Generator,
        clip_norm: float | None,
    ) -> dict[str, float]:
        """As the base class; then the running mean moves, and growth goes on."""
        parts = super().step(batch, optimisers, generator, clip_norm)
        parts["resolutions"] = 1 + self.progress
        with torch.no_grad():
            for mean, value in zip(self.smoothed.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(value, 1 - self.config.smoothing)
            self.n_heard += len(batch.labels)
        return parts

    def predicted(self, labels: Tensor, generator: torch.Generator) -> Prediction:
        """Make the target at full size; what has not been grown yet is not there."""
        made = self.smoothed(self._vectors(labels, generator), self.progress)
        return Prediction(spectrogram=finer(made, self._full_height() // made.shape[-2]).flatten(1, 2))

    def _full_height(self) -> int:
        return self.spec.n_bins // self.config.n_channels
