"""From pictures to a sound feature at every frame of the sound.

What Owens et al. and POCAN share. At step t goes in what the image network says of the space-time image
beside what it says of the clip's first colour frame. Pictures come at a lower rate than frames of the
sound: each is repeated for as long as it is on the screen (the paper repeats each of 15 pictures three
times for 45 frames).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from foley.errors import ConfigError
from foley.models.base import DataSpec
from foley.models.layers.principal_components import leading_directions
from foley.models.layers.side_by_side import SideBySide, SideBySideConfig


class PictureLstmConfig(SideBySideConfig):
    """Sizes and options of the recurrent network."""

    n_units: int = Field(256, ge=1, description="units of the LSTM")
    n_layers: int = Field(1, ge=1, description="layers of the LSTM")
    n_sound_components: int | None = Field(
        10,
        ge=1,
        description="principal components of the sound feature that are learned; null: the feature itself",
    )
    alpha: float = Field(1 / 25**2, gt=0, description="floor of the robust loss")
    # Not in the papers; all off by default.
    noise: float = Field(0.0, ge=0, description="augmentation: Gaussian noise on visual features")
    keep: float = Field(1.0, gt=0, le=1, description="dropout of the LSTM's states: share that is kept")
    delay_frames: int = Field(
        0, ge=0, description="answer for a frame of the sound after seeing this many more"
    )


class PictureLstm(nn.Module):
    """Recurrent states at every frame of the sound.

    Parameters
    ----------
    config : PictureLstmConfig
    spec : DataSpec
        ``visual[0]`` is the sequence; ``visual[1]``, where given, lends its first step as the colour frame.

    Raises
    ------
    ConfigError
        If there are no visual features, or more than two.
    """

    on_screen: Tensor

    def __init__(self, config: PictureLstmConfig, spec: DataSpec) -> None:
        super().__init__()
        if not 1 <= len(spec.visual_dims) <= 2:
            raise ConfigError(f"this system takes 1 or 2 visual features, got {len(spec.visual_dims)}")
        self.config = config
        self.side_by_side = SideBySide(spec.visual_dims, config)
        self.lstm = nn.LSTM(self.side_by_side.n_outputs, config.n_units, config.n_layers, batch_first=True)
        n_frames, n_steps = spec.n_audio_frames, spec.n_visual_steps[0]
        middles = (torch.arange(n_frames) + 0.5) * n_steps / n_frames
        self.register_buffer("on_screen", middles.long().clamp(max=n_steps - 1), persistent=False)

    def measure(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Look at all training features, where they are standardised or reduced."""
        self.side_by_side.measure(features)

    def forward(self, visual: tuple[Tensor, ...], generator: torch.Generator | None = None) -> Tensor:
        """States (batch, n_audio_frames, n_units) of visual features, each (batch, n_steps, dim).

        `generator` draws noise and dropout in training.
        """
        first = [colour[:, :1].expand(-1, visual[0].shape[1], -1) for colour in visual[1:]]
        seen = self.side_by_side([visual[0], *first])
        if self.training and self.config.noise > 0:
            seen = seen + self.config.noise * torch.randn(seen.shape, generator=generator, device=seen.device)
        seen = seen[:, self.on_screen]
        delay = self.config.delay_frames
        # The last picture is held while the delayed answers come out.
        seen = torch.cat([seen, seen[:, -1:].expand(-1, delay, -1)], dim=1)
        states: Tensor = self.lstm(seen)[0][:, delay:]
        if self.training and self.config.keep < 1:
            kept = torch.empty_like(states).bernoulli_(self.config.keep, generator=generator)
            states = states * kept / self.config.keep
        return states


class SoundComponents(nn.Module):
    """Principal components of the sound feature over all frames.

    They are orthonormal, so that distances keep their scale.

    Parameters
    ----------
    n_bins : int
        Width of the sound feature.
    n_components : int or None
        Directions kept, at most `n_bins`; ``None`` leaves the feature as it is. Until :meth:`measure` is
        called they are the first bins.
    """

    mean: Tensor
    directions: Tensor

    def __init__(self, n_bins: int, n_components: int | None) -> None:
        super().__init__()
        self.n_kept = min(n_bins, n_components or n_bins)
        self.turned = n_components is not None
        self.register_buffer("mean", torch.zeros(n_bins, 1))
        self.register_buffer("directions", torch.eye(n_bins)[:, : self.n_kept].contiguous())

    def measure(self, targets: NDArray[np.float32]) -> None:
        """Find mean and directions of features (n_clips, n_bins, n_frames)."""
        if not self.turned:
            return
        mean = targets.mean(axis=(0, 2), dtype=np.float64)
        # The covariance clip by clip: a copy of all targets in double precision would not fit.
        squares = sum(clip.astype(np.float64) @ clip.T for clip in targets) / (
            len(targets) * targets.shape[2]
        )
        directions, _ = leading_directions(squares - np.outer(mean, mean), self.n_kept)
        self.mean.copy_(torch.from_numpy(mean[:, None]))
        self.directions.copy_(torch.from_numpy(directions))

    def project(self, features: Tensor) -> Tensor:
        """Coefficients (batch, n_components, n_frames) of features (batch, n_bins, n_frames)."""
        return self.directions.T @ (features - self.mean)

    def restore(self, coefficients: Tensor) -> Tensor:
        """Features (batch, n_bins, n_frames) of coefficients (batch, n_components, n_frames)."""
        return self.directions @ coefficients + self.mean
