"""AutoFoley's Frame-Relation Network: a multi-scale temporal relation network over a few frames.

Ghose and Prevost 2020, section III-B.2, after Zhou et al. 2018. For every scale s from 2 to Q a
two-layer network g looks at ordered tuples of s frames, and a linear layer h makes class scores of
their mean; the scales are added (equations 5 and 6; the mean in place of the sum makes the scores
independent of how many tuples are looked at). Facts of the reference code: ``TRNmodule.py`` in
github.com/zhoubolei/TRN-pytorch, whose tuples are random in testing too; here testing looks at the
same tuples every time.
"""

from functools import cache
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from foley.errors import ConfigError
from foley.models.base import Batch, DataSpec, Prediction, Standardiser
from foley.models.base import System as BaseSystem


class Config(BaseModel):
    """Sizes and options of the Frame-Relation Network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_relations: int = Field(8, ge=2, description="Q: relations among 2 to Q frames")
    n_hidden: int = Field(256, ge=1, description="units of each of g's two layers, and of the frame feature")
    keep_features: float = Field(
        0.2, gt=0, le=1, description="dropout on CNN features (reference: 0.8 dropped)"
    )
    keep_hidden: float = Field(0.4, gt=0, le=1, description="dropout in g (reference: 0.6 dropped)")
    n_tuples: int = Field(3, ge=1, description="tuples of each smaller scale in training")
    n_test_tuples: int = Field(32, ge=1, description="tuples of each scale in testing, evenly spread")
    train_fraction: float = Field(
        1.0, gt=0, le=1, description="share of the clip, at a random place, trained on"
    )
    test_fraction: float = Field(0.25, gt=0, le=1, description="share of the clip, from its start, tested on")
    probability_gain: float = Field(
        1.0, ge=0, description="equation 7 adds the probability to the average; 0 plays the average itself"
    )
    # Not in the paper; off by default.
    standardise: bool = Field(False, description="zero mean and unit variance of features")


class System(BaseSystem):
    """The Frame-Relation Network; its sound is the average of the class it recognises.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        ``visual[0]``: features of colour frames.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
    generator : torch.Generator
        Not used: layers are initialised by torch's seeded global generator.

    Raises
    ------
    ConfigError
        If a quarter of the clip has fewer frames than are related.
    """

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(spec, averages)
        self.config = config
        n_steps = spec.n_visual_steps[0]
        least = max(round(n_steps * min(config.test_fraction, config.train_fraction)), 1)
        if least < config.n_relations:
            raise ConfigError(
                f"relations among {config.n_relations} frames need as many; {least} steps are looked at. "
                "Lower n_relations, or backbones.<name>.every"
            )
        self.standardiser = Standardiser(spec.visual_dims[0])
        self.reduce = nn.Linear(spec.visual_dims[0], config.n_hidden)
        self.scales = range(2, config.n_relations + 1)
        self.g = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Linear(scale * config.n_hidden, config.n_hidden),
                nn.ReLU(),
                nn.Dropout(1 - config.keep_hidden),
                nn.Linear(config.n_hidden, config.n_hidden),
                nn.ReLU(),
            )
            for scale in self.scales
        )
        self.h = nn.ModuleList(nn.Linear(config.n_hidden, len(spec.classes)) for _ in self.scales)

    def prepare(self, features: tuple[NDArray[np.float16], ...]) -> None:
        """Measure mean and variance of the features, where they are standardised."""
        if self.config.standardise:
            self.standardiser.measure(features[0])

    def tuples(self, scale: int, generator: torch.Generator | None = None) -> Tensor:
        """Ordered tuples of `scale` among the Q frames, (n, scale).

        All of them, thinned evenly, for testing; with a generator, a random few for training.
        """
        every = _ordered_tuples(self.config.n_relations, scale)
        if generator is not None:
            order = torch.randperm(len(every), generator=generator, device=generator.device)
            return every[order[: self.config.n_tuples].cpu()]
        n_kept = min(len(every), self.config.n_test_tuples)
        return every[torch.linspace(0, len(every) - 1, n_kept).round().long()]

    def training_steps(self, generator: torch.Generator) -> Tensor:
        """Steps of Q frames: one at random in each of Q equal segments, (Q,)."""
        n_steps = self.spec.n_visual_steps[0]
        length = max(round(n_steps * self.config.train_fraction), self.config.n_relations)
        device = generator.device
        start = int(torch.randint(0, n_steps - length + 1, (1,), generator=generator, device=device))
        edges = torch.linspace(0, length, self.config.n_relations + 1)
        place = torch.rand(self.config.n_relations, generator=generator, device=device).cpu()
        chosen: Tensor = (start + edges[:-1] + place * edges.diff()).long().clamp(max=n_steps - 1)
        return chosen

    def test_steps(self) -> Tensor:
        """Steps of Q frames: segment centres of the first part of the clip, (Q,)."""
        length = self.spec.n_visual_steps[0] * self.config.test_fraction
        edges = torch.linspace(0, length, self.config.n_relations + 1)
        return ((edges[:-1] + edges[1:]) / 2).long()

    def forward(self, frames: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Class scores (batch, n_classes) of the features of Q frames (batch, Q, dim)."""
        frames = self.standardiser(frames)
        if self.training:
            mask = torch.empty_like(frames).bernoulli_(self.config.keep_features, generator=generator)
            frames = frames * (mask / self.config.keep_features)
        reduced = self.reduce(frames)
        scores: Tensor = reduced.new_zeros(len(frames), len(self.spec.classes))
        for scale, g, h in zip(self.scales, self.g, self.h, strict=True):
            chosen = self.tuples(scale, generator if self.training else None)
            joined = reduced[:, chosen].flatten(2)  # (batch, n_tuples, scale * n_hidden)
            scores = scores + h(g(joined).mean(dim=1))
        return scores

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Cross-entropy of the class."""
        frames = batch.visual[0][:, self.training_steps(generator)]
        loss = functional.cross_entropy(self(frames, generator), batch.labels)
        return {"total": loss, "class": loss}

    def recognise(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Class probabilities (batch, n_classes), and the class (batch,): forced, or the most probable."""
        probabilities = self(batch.visual[0][:, self.test_steps()]).softmax(dim=1)
        return probabilities, probabilities.argmax(dim=1) if batch.forced is None else batch.forced

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Recognise the class in the first part of the clip; its average is the sound (equation 7).

        A forced class takes the place of the most probable one, with its own probability.
        """
        probabilities, chosen = self.recognise(batch)
        share = probabilities.gather(1, chosen[:, None])
        spectrogram = self.averages[chosen] + self.config.probability_gain * share[:, :, None]
        return Prediction(probabilities=probabilities, spectrogram=spectrogram)


@cache
def _ordered_tuples(n_frames: int, scale: int) -> Tensor:
    """All ordered tuples of `scale` among `n_frames`, (n, scale); of 16 frames they are 65,519 in all."""
    return torch.tensor(list(combinations(range(n_frames), scale)))
