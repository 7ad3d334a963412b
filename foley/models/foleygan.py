"""FoleyGAN: spectrograms from noise, the class, and when the action happens.

Ghose and Prevost, "FoleyGAN: Visually Guided Generative Adversarial Network-Based Synchronous Sound
Generation in Silent Videos". Two networks look at the pictures: a multi-scale temporal relation
network says the class (equations 4 and 5), one of two consecutive frames says how much the action
happens over time; the curve becomes an action spectrogram (:mod:`foley.models.layers.action`). A
BigGAN (:mod:`foley.models.biggan`) makes the sound's spectrogram of noise, class and action
spectrogram, and is trained by the hinge loss (equation 3).

The three networks are trained one after the other, as the paper does: the first `recognition_steps`
steps train both relation networks, which then stay as they are; all later steps train the GAN. The
discriminator sees a spectrogram and its class; of the action it sees nothing, unless `action_seen` is set.

Two things that the paper mentions without saying how are there to be set. Its discriminator is "pretrained
with original spectrogram image": in `pretraining_steps` before the GAN's it learns to tell the class of
recorded spectrograms, by cross-entropy of a linear layer that is not used again. And a "post-processing
filter of 512 length" follows the generator: `filter_taps` learned taps, through which the sound goes, or
every row of its spectrogram (:mod:`foley.models.layers.post_filter`).
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from foley.errors import ConfigError
from foley.models import frame_relation
from foley.models.base import Batch, DataSpec, Prediction
from foley.models.base import System as BaseSystem
from foley.models.biggan import Discriminator, Generator
from foley.models.layers.action import action_spectrogram, to_samples
from foley.models.layers.latent import draw_latent
from foley.models.layers.post_filter import LevelFilter, RowFilter
from foley.models.layers.spectral import add_orthogonal_gradient, without_power_iteration
from foley.seeds import derive_seed


class Config(BaseModel):
    """Sizes and options of FoleyGAN; the defaults are the paper's, or BigGAN's where it is silent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    guided: bool = Field(True, description="false: the same generator, whose guidance is zeros")
    resolution: Literal[512, 256, 128, 64, 32] = Field(
        512, description="of the GAN; targets of another size are averaged to it, sounds interpolated back"
    )
    n_channels: int = Field(3, ge=1, le=3, description="channels that the target holds, stacked along bins")
    target_range: tuple[float, float] = Field(
        (-1.0, 1.0), description="values of the target that the generator's -1 and 1 stand for"
    )
    ch: int = Field(96, ge=1, description="width of generator and discriminator")
    z_chunk: int = Field(20, ge=1, description="random numbers of each layer that takes any (512: 8 layers)")
    n_shared: int = Field(128, ge=1, description="size of the class embedding")
    n_guided: int = Field(32, ge=1, description="width of the guidance encoder")
    attention: int = Field(64, ge=1, description="resolution of self-attention")
    action_n_fft: int = Field(1024, ge=4, description="window of the action spectrogram, in samples")
    action_hop: int = Field(256, ge=1, description="its step")
    # The relation networks.
    n_relations: int = Field(8, ge=2, description="relations among 2 to this many frames")
    n_hidden: int = Field(256, ge=1, description="units of the relations' perceptrons")
    keep_features: float = Field(0.2, gt=0, le=1, description="share of CNN features kept in training")
    keep_hidden: float = Field(0.4, gt=0, le=1, description="share of hidden units kept in training")
    standardise: bool = Field(False, description="zero mean and unit variance of CNN features")
    recognition_steps: int = Field(
        17_400, ge=0, description="steps of the relation networks before the GAN's: 100 epochs of 174 batches"
    )
    recognition_lr_share: float = Field(5.0, gt=0, description="of training.lr: 0.001 of 0.0002")
    # The GAN.
    pretraining_steps: int = Field(
        0,
        ge=0,
        description="steps before in which its discriminator learns classes of recorded sound",
    )
    generator_lr_share: float = Field(0.25, gt=0, description="of training.lr: 0.00005 of 0.0002")
    discriminator_steps: int = Field(
        2, ge=1, description="steps for one of the generator; they share a batch"
    )
    micro_batch: int | None = Field(
        None, ge=1, description="clips at once; gradients of a step's micro-batches are added up"
    )
    orthogonal: float = Field(1e-4, ge=0, description="strength of the orthogonal regularisation")
    averaging: float = Field(0.9999, ge=0, lt=1, description="share of the old in the average generator")
    average_after: int = Field(20_000, ge=0, description="steps before which the average is the generator")
    standing: int = Field(16, ge=1, description="batches that the average's batch norms are measured on")
    truncation: float | None = Field(None, gt=0, description="bound of the random numbers in use")
    filter_taps: int | None = Field(
        None, ge=1, description="taps of the filter after the generator (the paper's 512); null: none"
    )
    filter_of: Literal["sound", "rows"] = Field(
        "sound",
        description="the sound, as its levels show it, or every row of the spectrogram over time",
    )
    adam_eps: float = Field(1e-6, gt=0)
    spectral_eps: float = Field(1e-6, gt=0)
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of activations in training")
    recompute: bool = Field(False, description="activation checkpointing: less memory, more time")
    # Not in the paper.
    action_seen: bool = Field(
        False, description="the discriminator also sees the action spectrogram, as further channels"
    )

    @model_validator(mode="after")
    def _range_rises(self) -> "Config":
        if not self.target_range[0] < self.target_range[1]:
            raise ValueError(f"target_range must rise, got {self.target_range}")
        return self


class System(BaseSystem):
    """FoleyGAN.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        ``visual[0]``: features of colour frames, evenly spaced. The target is a representation in
        [-1, 1] of ``n_channels`` channels, stacked along the bins.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Not looked at.
    generator : torch.Generator
        Not used: layers are initialised by torch's seeded global generator.

    Raises
    ------
    ConfigError
        If the target's bins are no multiple of the channels, there are too few pictures or samples, or
        the sound is to be filtered and the target's rows are no levels at known frequencies.
    """

    n_steps: Tensor

    @classmethod
    def needs_levels(cls, settings: Mapping[str, Any]) -> bool:
        """Whether the sound is filtered."""
        config = Config.model_validate(settings)
        return config.filter_taps is not None and config.filter_of == "sound"

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages.new_zeros(len(spec.classes), 0, 0))
        self.config = config
        if spec.n_bins % config.n_channels:
            raise ConfigError(
                f"model.n_channels is {config.n_channels}, but the representation has {spec.n_bins} rows, "
                "which is no multiple of it; set it to what the representation holds"
            )
        if spec.n_samples < config.action_n_fft or spec.n_visual_steps[0] < 3:
            raise ConfigError(
                f"an action spectrogram needs three pictures and {config.action_n_fft} samples a clip; there "
                f"are {spec.n_visual_steps[0]} and {spec.n_samples}. Lower model.action_n_fft, or take "
                "longer clips"
            )
        looking = config.model_dump(include={"n_hidden", "keep_features", "keep_hidden", "standardise"})
        nothing = self.averages
        self.recogniser, self.pairs = (
            frame_relation.System(
                frame_relation.Config(n_relations=n, test_fraction=1.0, **looking), spec, nothing, generator
            )
            for n in (config.n_relations, 2)
        )
        shape: dict[str, Any] = {
            "resolution": config.resolution,
            "ch": config.ch,
            "attention": config.attention,
            "eps": config.spectral_eps,
            "recompute": config.recompute,
        }
        n_classes = len(spec.classes)
        self.generator = Generator(
            n_classes,
            n_colours=config.n_channels,
            z_chunk=config.z_chunk,
            n_shared=config.n_shared,
            n_guided=config.n_guided,
            last_filter=_last_filter(config, spec),
            **shape,
        )
        self.discriminator = Discriminator(
            n_classes, n_colours=config.n_channels + (3 if config.action_seen else 0), **shape
        )
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False)
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))
        self._curves: dict[int, Tensor] = {}
        self.classes: nn.Linear | None = None
        if config.pretraining_steps:
            self.classes = nn.Linear(self.discriminator.n_features, n_classes)

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Measure mean and variance of the features, where they are standardised."""
        self.recogniser.prepare(features)
        self.pairs.prepare(features)

    def optimisers(self, lr: float, weight_decay: float) -> dict[str, torch.optim.Optimizer]:
        """Adam for the relation networks, the discriminator and the generator, each with its own rate.

        Only the relation networks' weights decay. Pretraining has an Adam of its own, so that the GAN's
        starts afresh.
        """

        def adam(parameters: Iterable[nn.Parameter], share: float) -> torch.optim.Optimizer:
            group = {"params": list(parameters), "lr": lr * share, "lr_share": share}
            return torch.optim.Adam([group], betas=(0.0, 0.999), eps=self.config.adam_eps)

        looking = [*self.recogniser.parameters(), *self.pairs.parameters()]
        share = self.config.recognition_lr_share
        group = {"params": looking, "lr": lr * share, "lr_share": share}
        made: dict[str, torch.optim.Optimizer] = {
            "recognition": torch.optim.AdamW([group], weight_decay=weight_decay),
            "discriminator": adam(self.discriminator.parameters(), 1.0),
            "generator": adam(self.generating_parameters(), self.config.generator_lr_share),
        }
        if self.classes is not None:
            pretrained = [*self.discriminator.parameters(), *self.classes.parameters()]
            made["pretraining"] = adam(pretrained, 1.0)
        return made

    def generating_parameters(self) -> list[nn.Parameter]:
        """What the generator learns; without guidance its guidance encoder has nothing to do."""
        unused = () if self.config.guided else self.generator.guidance.parameters()
        left_out = {id(value) for value in unused}
        return [value for value in self.generator.parameters() if id(value) not in left_out]

    # What the pictures say.

    def recognition_losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of the class: of up to Q frames, and of two consecutive ones."""
        whole = self.recogniser.losses(batch, generator)["class"]
        n_pairs = self.spec.n_visual_steps[0] - 1
        starts = torch.randint(n_pairs, (len(batch.labels),), generator=generator, device=generator.device)
        rows = torch.arange(len(starts), device=starts.device)[:, None]
        seen = batch.visual[0][rows, starts[:, None] + torch.arange(2, device=starts.device)]
        pair = functional.cross_entropy(self.pairs(seen, generator), batch.labels)
        return {"total": whole + pair, "class": whole, "pair": pair}

    @torch.no_grad()
    def action_curve(self, frames: Tensor, labels: Tensor) -> Tensor:
        """Probability of a class in every two consecutive pictures.

        Parameters
        ----------
        frames : Tensor, (batch, n_steps, dim)
        labels : Tensor of int, (batch,)
            The class that is asked for.

        Returns
        -------
        Tensor, (batch, n_steps - 1)
            In [0, 1].
        """
        pairs = torch.stack([frames[:, :-1], frames[:, 1:]], dim=2)
        with _evaluating(self.pairs):
            scores: Tensor = self.pairs(pairs.flatten(0, 1))
        chosen = labels.repeat_interleave(pairs.shape[1])[:, None]
        return scores.softmax(dim=1).gather(1, chosen).view(pairs.shape[:2])

    def action(self, batch: Batch, labels: Tensor) -> Tensor | None:
        """Action spectrograms (batch, 3, resolution, resolution); ``None`` where nothing is guided."""
        return self._guidance(self.action_curve(batch.visual[0], labels)) if self.config.guided else None

    def _known_curves(self, batch: Batch) -> Tensor:
        """Action curves (batch, n_steps - 1) of training clips; what tells them learns no more by now."""
        if batch.clips is None:
            return self.action_curve(batch.visual[0], batch.labels)
        new = [row for row, clip in enumerate(batch.clips) if clip not in self._curves]
        if new:
            found = self.action_curve(batch.visual[0][new], batch.labels[new])
            self._curves |= {batch.clips[row]: curve for row, curve in zip(new, found, strict=True)}
        return torch.stack([self._curves[clip] for clip in batch.clips])

    def _guidance(self, curve: Tensor) -> Tensor:
        samples = to_samples(
            curve,
            steps_per_s=self.spec.visual_hz[0],
            sample_rate_hz=self.spec.sample_rate_hz,
            n_samples=self.spec.n_samples,
        )
        return action_spectrogram(
            samples,
            n_fft=self.config.action_n_fft,
            hop_length=self.config.action_hop,
            resolution=self.config.resolution,
        )

    # The GAN.

    def pictures(self, target: Tensor) -> Tensor:
        """Targets (batch, n_channels * n_bins, n_frames) as (batch, n_channels, resolution, resolution)."""
        low, high = self.config.target_range
        scaled = 2 * (target - low) / (high - low) - 1
        channels = scaled.reshape(len(target), self.config.n_channels, -1, target.shape[2])
        size = self.config.resolution
        if channels.shape[2:] == (size, size):
            return channels
        return functional.adaptive_avg_pool2d(channels, size)

    def targets(self, pictures: Tensor) -> Tensor:
        """Undo :meth:`pictures`, by interpolation where the size differs."""
        shape = (self.spec.n_bins // self.config.n_channels, self.spec.n_audio_frames)
        if pictures.shape[2:] != shape:
            pictures = functional.interpolate(pictures, shape, mode="bilinear", align_corners=False)
        low, high = self.config.target_range
        return low + (pictures.flatten(1, 2) + 1) / 2 * (high - low)

    def judge(self, pictures: Tensor, labels: Tensor, action: Tensor | None) -> Tensor:
        """What the discriminator says of (batch, n_channels, resolution, resolution): (batch,)."""
        judged: Tensor = self.discriminator(self._shown(pictures, action), labels)
        return judged

    def _shown(self, pictures: Tensor, action: Tensor | None) -> Tensor:
        if not self.config.action_seen:
            return pictures
        seen = pictures.new_zeros(len(pictures), 3, *pictures.shape[2:]) if action is None else action
        return torch.cat([pictures, seen], dim=1)

    def pretraining_loss(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the classes that the discriminator tells of pictures; no action is shown."""
        if self.classes is None:
            raise ValueError("model.pretraining_steps is 0: there is nothing that tells classes")
        told = self.classes(self.discriminator.features(self._shown(pictures, None)))
        return functional.cross_entropy(told, labels)

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """What is learned at this point: recognition, classes of spectrograms, the generator's hinge loss."""
        if self.recognising:
            return self.recognition_losses(batch, generator)
        if self.pretraining:
            loss = self.pretraining_loss(self._recorded(batch), batch.labels)
            return {"total": loss, "pretraining": loss}
        latent = draw_latent(len(batch.labels), self.generator.n_latent, generator)
        action = self.action(batch, batch.labels)
        made = self.generator(latent, batch.labels, action)
        loss = -self.judge(made, batch.labels, action).mean()
        return {"total": loss, "generator": loss}

    def go_to_last_phase(self) -> None:
        """Go to where the GAN is trained; see the base class."""
        self.n_steps.fill_(self._n_before)

    @property
    def recognising(self) -> bool:
        """Whether the relation networks are still learning."""
        return int(self.n_steps) < self.config.recognition_steps

    @property
    def pretraining(self) -> bool:
        """Whether, after that, the discriminator is still learning classes."""
        return not self.recognising and int(self.n_steps) < self._n_before

    @property
    def _n_before(self) -> int:
        """Steps before the GAN's."""
        return self.config.recognition_steps + self.config.pretraining_steps

    def _recorded(self, batch: Batch) -> Tensor:
        if batch.target is None:
            raise ValueError("training needs targets")
        return self.pictures(batch.target)

    def step(
        self,
        batch: Batch,
        optimisers: Mapping[str, torch.optim.Optimizer],
        generator: torch.Generator,
        clip_norm: float | None,
    ) -> dict[str, float]:
        """One step of the relation networks, of the discriminator alone, or of the GAN; see the base class.

        The batch is dealt out to the discriminator's steps; the generator's step has the clips of the
        last of them, and random numbers of its own.
        """
        recognising, pretraining = self.recognising, self.pretraining
        self.n_steps += 1
        if recognising:
            return self._recognise(batch, optimisers["recognition"], generator, clip_norm)
        real, labels = self._recorded(batch), batch.labels
        if pretraining:
            told = self._pretrain(real, labels, optimisers["pretraining"], clip_norm)
            return {"total": told, "pretraining": told}
        action = self._guidance(self._known_curves(batch)) if self.config.guided else None
        n_steps = min(self.config.discriminator_steps, len(labels))
        shares = torch.arange(len(labels), device=labels.device).tensor_split(n_steps)
        judged = 0.0
        for share in shares:
            latent = draw_latent(len(share), self.generator.n_latent, generator)
            judged += self._discriminator_step(
                real[share],
                labels[share],
                _rows(action, share),
                latent,
                optimisers["discriminator"],
                clip_norm,
            )
        share = shares[-1]
        latent = draw_latent(len(share), self.generator.n_latent, generator)
        passed = self._generator_step(
            labels[share], _rows(action, share), latent, optimisers["generator"], clip_norm
        )
        self._follow()
        return {"total": passed, "discriminator": judged / n_steps, "generator": passed}

    def _recognise(
        self,
        batch: Batch,
        optimiser: torch.optim.Optimizer,
        generator: torch.Generator,
        clip_norm: float | None,
    ) -> dict[str, float]:
        self._curves.clear()
        optimiser.zero_grad(set_to_none=True)
        parts = self.recognition_losses(batch, generator)
        parts["total"].backward()  # type: ignore[no-untyped-call]
        _finish(optimiser, clip_norm)
        return {name: float(value.detach()) for name, value in parts.items()}

    def _pretrain(
        self, real: Tensor, labels: Tensor, optimiser: torch.optim.Optimizer, clip_norm: float | None
    ) -> float:
        """Cross-entropy of the classes of recorded spectrograms, one step."""

        def loss(rows: Tensor) -> Tensor:
            return self.pretraining_loss(real[rows], labels[rows])

        return self._descend(loss, len(labels), optimiser, clip_norm, [*self.discriminator.parameters()])

    def _discriminator_step(
        self,
        real: Tensor,
        labels: Tensor,
        action: Tensor | None,
        latent: Tensor,
        optimiser: torch.optim.Optimizer,
        clip_norm: float | None,
    ) -> float:
        """Hinge loss of recorded and made spectrograms (equation 3), one step."""

        def loss(rows: Tensor) -> Tensor:
            guidance = _rows(action, rows)
            with torch.no_grad():
                fake = self.generator(latent[rows], labels[rows], guidance)
            both = torch.cat([real[rows], fake.to(real.dtype)])
            twice = None if guidance is None else guidance.repeat(2, 1, 1, 1)
            judged_real, judged_fake = self.judge(both, labels[rows].repeat(2), twice).chunk(2)
            return functional.relu(1 - judged_real).mean() + functional.relu(1 + judged_fake).mean()

        return self._descend(loss, len(labels), optimiser, clip_norm, [*self.discriminator.parameters()])

    def _generator_step(
        self,
        labels: Tensor,
        action: Tensor | None,
        latent: Tensor,
        optimiser: torch.optim.Optimizer,
        clip_norm: float | None,
    ) -> float:
        """Hinge loss of what is made (equation 3), one step."""

        def loss(rows: Tensor) -> Tensor:
            guidance = _rows(action, rows)
            made = self.generator(latent[rows], labels[rows], guidance)
            return -self.judge(made, labels[rows], guidance).mean()

        shared = self.generator.shared.weight
        matrices = [value for value in self.generating_parameters() if value is not shared]
        with _fixed(self.discriminator):
            return self._descend(loss, len(labels), optimiser, clip_norm, matrices)

    def _descend(
        self,
        loss: Callable[[Tensor], Tensor],
        n: int,
        optimiser: torch.optim.Optimizer,
        clip_norm: float | None,
        regularised: list[nn.Parameter],
    ) -> float:
        """One step down a mean over `n` clips, micro-batch by micro-batch; gives the mean.

        Spectral norms take their power iteration with the first micro-batch alone, so that the sum of
        the micro-batches' gradients is that of the whole (but for batch norms, which each of them
        measures on itself).
        """
        optimiser.zero_grad(set_to_none=True)
        device = self.n_steps.device
        total = 0.0
        for number, rows in enumerate(_dealt(n, self.config.micro_batch or n, device)):
            with ExitStack() as stack:
                if number:
                    stack.enter_context(without_power_iteration(self.generator, self.discriminator))
                with self._in_precision(device):
                    value = loss(rows) * (len(rows) / n)
                value.backward()  # type: ignore[no-untyped-call]
            total += float(value.detach())
        add_orthogonal_gradient(regularised, self.config.orthogonal)
        _finish(optimiser, clip_norm)
        return total

    def _in_precision(self, device: torch.device) -> AbstractContextManager[object]:
        if self.config.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the generator; buffers are copied."""
        n_gan_steps = int(self.n_steps) - self._n_before
        old = self.config.averaging if n_gan_steps > self.config.average_after else 0.0
        for mine, theirs in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
            mine.lerp_(theirs, 1 - old)
        for kept, moved in zip(self.averaged.buffers(), self.generator.buffers(), strict=True):
            kept.copy_(moved)

    @torch.no_grad()
    def conclude(self, batches: Iterable[Batch]) -> None:
        """Measure the average generator's batch norms anew: BigGAN's standing statistics.

        Clips come sorted, so their classes and curves are remembered and drawn in another order.
        """
        labels, curves = [], []
        for batch in batches:
            labels.append(batch.labels)
            if self.config.guided:
                curves.append(self._known_curves(batch))
        label, curve = torch.cat(labels), torch.cat(curves) if curves else None
        device = label.device
        generator = torch.Generator(device).manual_seed(derive_seed(0, "standing statistics"))
        norms = [layer for layer in self.averaged.modules() if isinstance(layer, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        with _evaluating(self.averaged):
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # a plain mean over the batches
                norm.train()
            for _ in range(self.config.standing):
                order = torch.randperm(len(label), generator=generator, device=device)
                rows = order[: self.config.micro_batch or 64]
                latent = self._latent(len(rows), generator)
                self.averaged(latent, label[rows], None if curve is None else self._guidance(curve[rows]))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _latent(self, n: int, generator: torch.Generator) -> Tensor:
        return draw_latent(n, self.generator.n_latent, generator, truncation=self.config.truncation)

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Recognise the class, and make the sound of it; the recorded sound is not looked at."""
        probabilities, chosen = self.recogniser.recognise(batch)
        made = self.averaged(self._latent(len(chosen), generator), chosen, self.action(batch, chosen))
        return Prediction(probabilities=probabilities, spectrogram=self.targets(made))


def _last_filter(config: Config, spec: DataSpec) -> nn.Module | None:
    if config.filter_taps is None:
        return None
    if config.filter_of == "rows":
        return RowFilter(config.filter_taps)
    if spec.levels is None:
        raise ConfigError(
            "model.filter_of is sound, but the representation does not say that its rows are levels in "
            "decibels at known frequencies; set model.filter_of: rows, or leave model.filter_taps out"
        )
    if len(spec.levels.bands_hz) * config.n_channels != spec.n_bins:
        raise ConfigError(
            f"model.n_channels is {config.n_channels}, but the representation has {spec.n_bins} rows, "
            f"{len(spec.levels.bands_hz)} of them levels; set it to what the representation holds"
        )
    return LevelFilter(
        config.filter_taps,
        spec.levels,
        sample_rate_hz=spec.sample_rate_hz,
        n_rows=config.resolution,
        target_range=config.target_range,
    )


def _rows(values: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if values is None else values[rows]


def _dealt(n: int, size: int, device: torch.device) -> list[Tensor]:
    """Numbers 0 to n - 1 in micro-batches."""
    return [torch.arange(start, min(start + size, n), device=device) for start in range(0, n, size)]


def _finish(optimiser: torch.optim.Optimizer, clip_norm: float | None) -> None:
    if clip_norm is not None:
        parameters = [value for group in optimiser.param_groups for value in group["params"]]
        nn.utils.clip_grad_norm_(parameters, clip_norm)
    optimiser.step()


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode for the block."""
    modes = {layer: layer.training for layer in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for layer, mode in modes.items():
            layer.training = mode


@contextmanager
def _fixed(network: nn.Module) -> Iterator[None]:
    """Give a network's parameters no gradient in the block."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
