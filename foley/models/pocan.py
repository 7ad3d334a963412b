"""POCAN: sound conditioned on the class that is seen, learned under a perceptual loss.

Chen, Zhang, Fang, Wang, Bui and Nevatia, "Visually Indicated Sound Generation by Perceptually Optimized
Classification" (ECCV workshops 2018). What its abstract and introduction say, and is done here: sounds fall
into classes; the mean of a class's sounds is its base sample; the class is predicted from the pictures, and
sound is generated conditioned on it; a perceptual loss, computed by a pre-trained sound classification
network, compares generated and true sound during training. The body of the paper was not at hand. From
memory: an LSTM over image features predicts, class by class, what is to be added to the base sample (as an
object detector regresses its boxes), and the pre-trained network is SoundNet.

SoundNet's weights are not at hand either. Here the sound classifier's architecture is trained first, on the
training clips' own representation and labels (:meth:`System.study`), then frozen; the perceptual loss is
the mean squared distance of its embeddings. The regression is under the robust loss of Owens et al., of the
principal components of what differs from the base sample. The image network stays as it is (the features
are cached). Sound is made by the representation's inverse (``output: parametric``), or windows of what was
predicted are answered by recorded sound of the predicted class (``example``).
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from foley.models.base import Batch, DataSpec, Prediction
from foley.models.layers.sound_net import SoundNet
from foley.models.losses import robust_loss
from foley.models.playback import SoundRegression, SoundRegressionConfig


class Config(SoundRegressionConfig):
    """Sizes, weights of the losses, the perceptual network, and how sound is made."""

    class_weight: float = Field(1.0, ge=0, description="weight of the class loss")
    perceptual_weight: float = Field(1.0, ge=0, description="weight of the perceptual loss")
    perceptual_width: int = Field(20, ge=1, description="channels of the perceptual network's first stage")
    perceptual_epochs: int = Field(30, ge=1, description="epochs that it is trained for beforehand")
    perceptual_lr: float = Field(3e-3, gt=0, description="its learning rate at the start; falls as a cosine")
    perceptual_batch: int = Field(32, ge=2, description="clips in its batches")


class System(SoundRegression):
    """Predicts the class, and what is to be added to its base sample.

    Parameters
    ----------
    config : Config
    spec : DataSpec
        ``visual[0]`` is the sequence; ``visual[1]``, where given, lends its first step as the colour frame.
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
        The base samples.
    generator : torch.Generator
        Not used: layers start as PyTorch starts them.
    """

    def __init__(self, config: Config, spec: DataSpec, averages: Tensor, generator: torch.Generator) -> None:
        super().__init__(config, spec, averages)
        self.config = config
        n_classes = len(spec.classes)
        self.classify = nn.Linear(config.n_units, n_classes)
        self.regress = nn.Linear(config.n_units, n_classes * self.components.n_kept)
        nn.init.zeros_(self.regress.weight)
        nn.init.zeros_(self.regress.bias)
        self.perceive = SoundNet(n_classes, spec.n_bins, config.perceptual_width)
        self._freeze()

    def _freeze(self) -> None:
        self.perceive.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Go to training mode; the perceptual network stays frozen."""
        super().train(mode)
        self.perceive.eval()
        return self

    def study(self, targets: NDArray[np.float32], labels: Tensor, generator: torch.Generator) -> None:
        """Find the principal components, and train the perceptual network; see the base class."""
        known = self.averages[labels.to(self.averages.device)].cpu().numpy()
        self.components.measure(targets - known)
        if self.config.perceptual_weight > 0:
            self._learn_to_perceive(torch.from_numpy(targets), labels, generator)

    def _learn_to_perceive(self, targets: Tensor, labels: Tensor, generator: torch.Generator) -> None:
        network, config = self.perceive, self.config
        network.mean.copy_(targets.mean(dim=(0, 2))[:, None])
        network.deviation.copy_(targets.std(dim=(0, 2))[:, None] + 0.02)
        network.requires_grad_(True).train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=config.perceptual_lr, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.perceptual_epochs)
        for _ in range(config.perceptual_epochs):
            order = torch.randperm(len(targets), generator=generator)
            for chosen in torch.split(order, config.perceptual_batch):
                if len(chosen) < 2:
                    continue  # nothing to normalise over
                # Turned in time, so that it learns what sounds and not when.
                turn = int(torch.randint(targets.shape[2], (), generator=generator))
                scores = network(targets[chosen].roll(turn, dims=2))
                optimiser.zero_grad()
                torch.autograd.backward(functional.cross_entropy(scores, labels[chosen]))
                optimiser.step()
            schedule.step()
        optimiser.zero_grad(set_to_none=True)  # what is left would count when gradients are clipped
        self._freeze()

    def forward(
        self, visual: tuple[Tensor, ...], generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits (batch, n_classes) and coefficients (batch, n_classes, n_components, n_audio_frames)."""
        states = self.pictures(visual, generator)
        coefficients = self.regress(states).unflatten(2, (len(self.spec.classes), self.components.n_kept))
        return self.classify(states.mean(dim=1)), coefficients.permute(0, 2, 3, 1)

    def _sound(self, coefficients: Tensor, classes: Tensor) -> Tensor:
        """Base sample and what is added to it, (batch, n_bins, n_audio_frames)."""
        return self.averages[classes] + self.components.restore(coefficients)

    def losses(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Class, regression and perceptual loss; sound is that of the true class."""
        if batch.target is None:
            raise ValueError("training needs targets")
        logits, every = self(batch.visual, generator)
        own = every[torch.arange(len(every), device=every.device), batch.labels]
        wanted = self.components.project(batch.target - self.averages[batch.labels])
        parts = {
            "class": functional.cross_entropy(logits, batch.labels),
            "sound": robust_loss(own, wanted, self.config.alpha),
        }
        total = parts["sound"] + self.config.class_weight * parts["class"]
        if self.config.perceptual_weight > 0:
            with torch.no_grad():
                true = self.perceive.embed(batch.target)
            made = self.perceive.embed(self._sound(own, batch.labels))
            parts["perceptual"] = functional.mse_loss(made, true)
            total = total + self.config.perceptual_weight * parts["perceptual"]
        return {"total": total, **parts}

    def predict(self, batch: Batch, generator: torch.Generator) -> Prediction:
        """Make the sound of the class that is most probable, or forced; nothing is drawn at random."""
        logits, every = self(batch.visual)
        chosen = logits.argmax(dim=1) if batch.forced is None else batch.forced
        own = every[torch.arange(len(every), device=every.device), chosen]
        spectrogram = self._sound(own, chosen).clamp(min=0)
        return Prediction(logits.softmax(dim=1), spectrogram, self.play(spectrogram, chosen.tolist()))
