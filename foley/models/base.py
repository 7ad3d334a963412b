"""What every system is: a network that looks at features and says what sounds.

A system's module exposes ``Config`` (frozen pydantic) and ``System``. The training loop asks a
system for its optimisers and lets it take one step a batch, so that systems with several networks
(GANs) or other losses need nothing but their own module.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foley.errors import ConfigError
from foley.features.representations.levels import Levels


@dataclass(frozen=True)
class DataSpec:
    """Shapes and rates of what a system sees and must make.

    Parameters
    ----------
    classes : tuple of str
        Labels, in the order of class indices.
    visual_dims : tuple of int
        Width of each visual feature.
    n_visual_steps : tuple of int
        Time steps of each visual feature.
    visual_hz : tuple of float
        Time steps per second of each visual feature.
    n_bins, n_audio_frames : int
        Shape of the target representation.
    sample_rate_hz : int
        Sample rate of the sound that the target represents.
    duration_s : float
        Length of a clip.
    levels : Levels, optional
        What the rows of the target are, for systems that ask (:meth:`System.needs_levels`).
    """

    classes: tuple[str, ...]
    visual_dims: tuple[int, ...]
    n_visual_steps: tuple[int, ...]
    visual_hz: tuple[float, ...]
    n_bins: int
    n_audio_frames: int
    sample_rate_hz: int
    duration_s: float
    levels: Levels | None = None

    @property
    def n_samples(self) -> int:
        """Samples of a clip."""
        return round(self.duration_s * self.sample_rate_hz)


@dataclass(frozen=True)
class Batch:
    """Several clips at once.

    Parameters
    ----------
    visual : tuple of Tensor, each (batch, n_visual_steps, dim)
        Visual features, float32.
    labels : Tensor, (batch,)
        Class indices; -1 where unknown.
    target : Tensor or None, (batch, n_bins, n_audio_frames)
        Representation of the recorded sound; ``None`` when predicting.
    waveform : Tensor or None, (batch, n_samples)
        Recorded sound, for systems that learn or play waveforms; at the clips' sample rate, which
        need not be the representation's.
    forced : Tensor or None, (batch,)
        Class indices that must sound whatever the pictures show; ``None`` lets the system choose.
        Systems without a class ignore it.
    clips : tuple of int or None
        Which clips these are, in training: always the same number for the same clip, so that a system
        may remember what it found out about one.
    """

    visual: tuple[Tensor, ...]
    labels: Tensor
    target: Tensor | None = None
    waveform: Tensor | None = None
    forced: Tensor | None = None
    clips: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Prediction:
    """What a system makes of a batch; what it does not make is ``None``.

    Parameters
    ----------
    probabilities : Tensor or None, (batch, n_classes)
    spectrogram : Tensor or None, (batch, n_bins, n_audio_frames)
        In the target representation.
    waveform : Tensor or None, (batch, n_samples)
        At the clips' sample rate, as in :class:`Batch`.
    """

    probabilities: Tensor | None = None
    spectrogram: Tensor | None = None
    waveform: Tensor | None = None


class System(nn.Module, ABC):
    """Base of every system.

    Parameters
    ----------
    spec : DataSpec
        Shapes of the data.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        Mean representation of each class over the training clips. Stored in the model, so that a
        trained model needs nothing else.
    """

    spec: DataSpec
    averages: Tensor
    trained: bool = True
    """False for systems that learn nothing."""
    classifies: bool = True
    """False for systems that give no class probabilities: they are asked about test clips only."""
    needs_waveform: bool = False
    """True for systems that learn from ``Batch.waveform``; they get none when they predict."""
    has_likelihood: bool = False
    """True for systems that say how likely recorded sound is (:meth:`cross_entropy`)."""
    share_gradients: Callable[[Iterable[nn.Parameter]], None] | None = None
    """Set where several processes train together; a step calls it before it clips and descends."""

    @classmethod
    def learns_waveforms(cls, settings: Mapping[str, Any]) -> bool:
        """Whether it learns from waveforms with these settings of its ``Config``."""
        return cls.needs_waveform

    @classmethod
    def needs_levels(cls, settings: Mapping[str, Any]) -> bool:
        """Whether it must know what the rows of its target are (:attr:`DataSpec.levels`)."""
        return False

    @classmethod
    def is_shown_target(cls, settings: Mapping[str, Any]) -> bool:
        """Whether the recorded sound's representation is shown to it when it predicts: copies, bounds."""
        return False

    def __init__(self, spec: DataSpec, averages: Tensor) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("averages", averages)

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Look at all training features once, before training (for example to standardise).

        Parameters
        ----------
        features : tuple of ndarray, each (n_clips, n_visual_steps, dim)
            One entry a visual feature.
        """

    def study(self, targets: NDArray[np.float32], labels: Tensor, generator: torch.Generator) -> None:
        """Look at all training targets once, after :meth:`prepare`.

        Parameters
        ----------
        targets : ndarray of float32, (n_clips, n_bins, n_audio_frames)
        labels : Tensor, (n_clips,)
            Class indices.
        generator : torch.Generator
            On the CPU; the only source of randomness.
        """

    def listen(self, features: tuple[NDArray[np.float16], ...], waveforms: NDArray[np.float32]) -> None:
        """Hear all training clips once, after :meth:`study`, where :meth:`learns_waveforms`.

        Parameters
        ----------
        features : tuple of ndarray, each (n_clips, n_visual_steps, dim)
            One entry a visual feature.
        waveforms : ndarray of float32, (n_clips, n_samples)
            At the clips' sample rate.
        """

    def conclude(self, batches: Iterable[Batch]) -> None:
        """Go over the training clips once more when training has ended (for example to remember some).

        Parameters
        ----------
        batches : iterable of Batch
            As in training, sorted by clip; on the system's device. Called in evaluation mode, without
            gradients.
        """

    def go_to_last_phase(self) -> None:
        """Go to the last of the phases that training has, where a step costs most: for timing one."""

    def optimisers(self, lr: float, weight_decay: float) -> dict[str, torch.optim.Optimizer]:
        """Make the optimisers; Adam on everything by default.

        A parameter group may name an ``lr_share``: the training loop sets its rate to that share of the
        configured one.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        return {"adam": torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)}

    @abstractmethod
    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Compute the parts of the loss; ``total`` is what is descended."""

    def step(
        self,
        batch: Batch,
        optimisers: Mapping[str, torch.optim.Optimizer],
        generator: torch.Generator,
        clip_norm: float | None,
    ) -> dict[str, float]:
        """Take one optimisation step; systems with several optimisers override this.

        Parameters
        ----------
        batch : Batch
        optimisers : mapping
            What :meth:`optimisers` made.
        generator : torch.Generator
            The only source of randomness.
        clip_norm : float or None
            Largest norm of the gradient.

        Returns
        -------
        dict of str to float
            Loss parts for the training curve.
        """
        (optimiser,) = optimisers.values()
        optimiser.zero_grad(set_to_none=True)
        parts = self.losses(batch, generator)
        parts["total"].backward()  # type: ignore[no-untyped-call]
        if self.share_gradients is not None:
            self.share_gradients(self.parameters())
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters(), clip_norm)
        optimiser.step()
        return {name: float(value.detach()) for name, value in parts.items()}

    @abstractmethod
    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Make what the system makes; called in evaluation mode, without gradients.

        The recorded sound in `batch` is not to be looked at, except by the system that plays it.
        """

    def cross_entropy(self, batch: Batch) -> Tensor:
        """Say how unlikely the recorded sound is, where :attr:`has_likelihood`.

        Called in evaluation mode, without gradients, apart from :meth:`predict`.

        Parameters
        ----------
        batch : Batch
            With targets.

        Returns
        -------
        Tensor, (batch,)
            Mean negative log-likelihood of a clip's samples, in nats a sample.
        """
        raise NotImplementedError(f"{type(self).__module__} gives recorded sound no likelihood")

    def n_parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def check_rate(spec: DataSpec, waveforms: NDArray[np.float32], what: str) -> None:
    """Refuse recorded sound of another rate than the representation's.

    Parameters
    ----------
    spec : DataSpec
    waveforms : ndarray of float32, (n_clips, n_samples)
        What :meth:`System.listen` is given.
    what : str
        What the system does with it, for the message.

    Raises
    ------
    ConfigError
        If the representation has another sample rate than the clips.
    """
    if waveforms.shape[1] != spec.n_samples:
        raise ConfigError(
            f"{what}: clips have {waveforms.shape[1]} samples, the representation's {spec.sample_rate_hz} Hz "
            f"make {spec.n_samples}; give the experiment a representation at the clips' sample rate"
        )


_ROWS_A_PIECE = 64


class Standardiser(nn.Module):
    """Shift and scale features to zero mean and unit variance, as measured on the training clips."""

    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def measure(self, features: NDArray[Any]) -> None:
        """Set mean and scale from features (n_clips, n_steps, dim); constant ones are only shifted."""
        # In pieces that stay in the processor's cache: ten times as fast as std() of the whole.
        rows = torch.from_numpy(features.reshape(-1, features.shape[-1]))
        pieces, n_rows = torch.split(rows, _ROWS_A_PIECE), len(rows)
        mean = (
            torch.stack([piece.float().sum(dim=0) for piece in pieces]).double().sum(dim=0) / n_rows
        ).float()
        squares = torch.stack([(piece.float() - mean).square_().sum(dim=0) for piece in pieces])
        spread = (squares.double().sum(dim=0) / max(n_rows - 1, 1)).sqrt().float()
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(spread > 1e-6, 1 / spread.clamp(min=1e-6), torch.ones_like(spread)))

    def forward(self, features: Tensor) -> Tensor:
        """Standardise features (..., dim)."""
        return (features - self.mean) * self.scale
