"""GANs that know of the picture only its class: what WaveGAN, SpecGAN and GANSynth share here.

FoleyGAN compares itself with three GANs that make sound and look at nothing (Ghose and Prevost 2021,
Table I). To be heard with a film they are told what it shows: in training the clip's true class, in
use the one that a multi-scale temporal relation network (FoleyGAN's own recogniser, here that of
AutoFoley's second model) reads off the pictures. Nothing else of the picture reaches them: when things
happen they cannot know.
"""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from foley.errors import ConfigError
from foley.models import frame_relation
from foley.models.base import Batch, DataSpec, Prediction
from foley.models.base import System as BaseSystem
from foley.models.descent import descend
from foley.models.layers.adversarial import gradient_penalty


class RecogniserConfig(frame_relation.Config):
    """The Frame-Relation Network that names the class, from the whole clip; its averages are not played."""

    test_fraction: float = Field(1.0, gt=0, le=1, description="share of the clip, from its start, looked at")


class GanConfig(BaseModel):
    """What all three have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recogniser: RecogniserConfig = RecogniserConfig()
    recogniser_lr_factor: float = Field(
        10.0, gt=0, description="its learning rate, as a multiple of the GAN's (training.lr)"
    )
    penalty_weight: float = Field(10.0, ge=0, description="of the gradient penalty (lambda)")


class ClassGan(BaseSystem):
    """A generator, a critic with gradient penalty, and a network that reads the class off the pictures.

    Parameters
    ----------
    config : GanConfig
    spec : DataSpec
        ``visual[0]``: features of colour frames, not looked at without classes.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Not used.
    generator : torch.Generator
    conditional : bool
        False for the GAN of its reference, which knows no class.
    n_critic : int
        Steps of the critic before one of the generator. A batch is cut into as many parts, so that
        every step of the critic hears other clips.
    betas : pair of float
        Of Adam.
    """

    def __init__(
        self,
        config: GanConfig,
        spec: DataSpec,
        averages: Tensor,
        generator: torch.Generator,
        *,
        conditional: bool,
        n_critic: int,
        betas: tuple[float, float],
    ) -> None:
        super().__init__(spec, averages)
        if conditional and not spec.visual_dims:
            raise ConfigError(
                "this system reads the class off the pictures: give the experiment a visual feature"
            )
        self.gan_config = config
        self.n_critic = n_critic
        self.betas = betas
        self.classifies = conditional
        self.recogniser: frame_relation.System | None = None
        if conditional:
            no_averages = averages.new_zeros(len(spec.classes), 0, 0)
            self.recogniser = frame_relation.System(config.recogniser, spec, no_averages, generator)

    @abstractmethod
    def generating(self) -> torch.nn.Module:
        """The generator that is trained."""

    @abstractmethod
    def judging(self) -> torch.nn.Module:
        """The critic."""

    @abstractmethod
    def real(self, batch: Batch) -> Tensor:
        """Recorded sound in the form in which it is judged, (batch, ...).

        Raises
        ------
        ValueError
            If the batch has none.
        """

    @abstractmethod
    def make(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Make sound of classes (batch,), in the form in which it is judged."""

    @abstractmethod
    def judge(self, samples: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Score samples, (batch,)."""

    @abstractmethod
    def predicted(self, labels: Tensor, generator: torch.Generator) -> Prediction:
        """Make sound of classes (batch,) as others are to have it; class probabilities are not set."""

    def one_hot(self, labels: Tensor) -> Tensor:
        """Classes as (batch, n_classes) numbers; no columns without classes."""
        if self.recogniser is None:
            return torch.zeros(len(labels), 0, device=labels.device)
        return functional.one_hot(labels, len(self.spec.classes)).float()

    def uniform_inputs(self, labels: Tensor, n_noise: int, generator: torch.Generator) -> Tensor:
        """Numbers drawn from (-1, 1) beside the class, (batch, n_noise + n_classes)."""
        noise = torch.rand(len(labels), n_noise, generator=generator, device=generator.device)
        return torch.cat([2 * noise.to(labels.device) - 1, self.one_hot(labels)], dim=1)

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Measure the features, where the recogniser standardises them."""
        if self.recogniser is not None:
            self.recogniser.prepare(features)

    def optimisers(self, lr: float, weight_decay: float) -> dict[str, torch.optim.Optimizer]:
        """Adam for generator and critic, and one of AdamW for the recogniser."""

        def adam(network: torch.nn.Module) -> torch.optim.Optimizer:
            return torch.optim.Adam(network.parameters(), lr=lr, betas=self.betas)

        made = {"generator": adam(self.generating()), "critic": adam(self.judging())}
        if self.recogniser is not None:
            share = self.gan_config.recogniser_lr_factor
            group = {"params": list(self.recogniser.parameters()), "lr": lr * share, "lr_share": share}
            made["recogniser"] = torch.optim.AdamW([group], weight_decay=weight_decay)
        return made

    def critic_losses(
        self, real: Tensor, fake: Tensor, labels: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """What the critic descends: ``critic`` is all of it.

        Parameters
        ----------
        real, fake : Tensor, (batch, ...)
        labels : Tensor, (batch,)
            Classes of both.
        generator : torch.Generator
        """
        distance = self.judge(real, labels, generator).mean() - self.judge(fake, labels, generator).mean()
        penalty = gradient_penalty(
            lambda between: self.judge(between, labels, generator), real, fake, generator
        )
        total = self.gan_config.penalty_weight * penalty - distance
        return {"critic": total, "distance": distance, "penalty": penalty}

    def generator_losses(self, labels: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """What the generator descends: ``generator`` is all of it."""
        fake = self.make(labels, generator)
        return {"generator": -self.judge(fake, labels, generator).mean()}

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """All losses of one batch, added up: each network of :meth:`step` descends its own only."""
        real = self.real(batch)
        with torch.no_grad():
            fake = self.make(batch.labels, generator)
        parts = self.critic_losses(real, fake, batch.labels, generator)
        parts |= self.generator_losses(batch.labels, generator)
        total = parts["critic"] + parts["generator"]
        if self.recogniser is not None:
            parts["class"] = self.recogniser.losses(batch, generator)["class"]
            total = total + parts["class"]
        return {"total": total, **parts}

    def step(
        self,
        batch: Batch,
        optimisers: Mapping[str, torch.optim.Optimizer],
        generator: torch.Generator,
        clip_norm: float | None,
    ) -> dict[str, float]:
        """Steps of the critic on one part of the batch each, then one of the generator; see the base class.

        Losses of the critic are means over its steps.
        """
        found: dict[str, list[float]] = {}

        def note(parts: Mapping[str, Tensor]) -> None:
            for name, value in parts.items():
                found.setdefault(name, []).append(float(value.detach()))

        real_sound = self.real(batch)
        for real, labels in zip(
            real_sound.chunk(self.n_critic), batch.labels.chunk(self.n_critic), strict=True
        ):
            with torch.no_grad():
                fake = self.make(labels, generator)
            parts = self.critic_losses(real, fake, labels, generator)
            descend(parts["critic"], optimisers["critic"], clip_norm)
            note(parts)
        parts = self.generator_losses(labels, generator)
        descend(parts["generator"], optimisers["generator"], clip_norm)
        note(parts)
        if self.recogniser is not None:
            loss = self.recogniser.losses(batch, generator)["class"]
            descend(loss, optimisers["recogniser"], clip_norm)
            note({"class": loss})
        return {name: sum(values) / len(values) for name, values in found.items()}

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Read the class off the pictures, and make any sound of that class."""
        if self.recogniser is None:
            return self.predicted(batch.labels, generator)
        probabilities, chosen = self.recogniser.recognise(batch)
        made = self.predicted(chosen, generator)
        return Prediction(probabilities, made.spectrogram, made.waveform)
