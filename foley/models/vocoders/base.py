"""What every vocoder is: a network that turns mel spectrograms into sound.

A vocoder's module exposes ``Config`` (frozen pydantic, with ``n_mels`` and ``hop_length``) and
``Vocoder``. As with systems, the vocoder makes its own optimisers and takes its own steps, so that
the training loop knows nothing of discriminators.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from foley import registry
from foley.features.representations import mel
from foley.features.representations.base import Settings, hann_window
from foley.models.vocoders.config import VocoderConfig, VocoderTrainingConfig

Network = TypeVar("Network", bound=nn.Module)


class Vocoder(nn.Module, ABC):
    """Base of every vocoder.

    Attributes
    ----------
    generator : nn.Module
        The part that makes the sound. It alone is stored, and its weights alone are averaged.
    """

    generator: nn.Module

    @abstractmethod
    def optimisers(self, config: VocoderTrainingConfig) -> dict[str, torch.optim.Optimizer]:
        """Make the optimisers by name."""

    @abstractmethod
    def step(
        self,
        spectrogram: Tensor,
        sound: Tensor,
        optimisers: Mapping[str, torch.optim.Optimizer],
        generator: torch.Generator,
        *,
        number: int,
        clip_norm: float | None,
    ) -> dict[str, float]:
        """Take one step of training.

        Parameters
        ----------
        spectrogram : Tensor, (batch, n_mels, n_frames)
            In [0, 1].
        sound : Tensor, (batch, n_frames * hop_length)
            In [-1, 1].
        optimisers : mapping
            What :meth:`optimisers` made; the learning rate of this step is set.
        generator : torch.Generator
            The only source of randomness but torch's own, which the loop sets for each step.
        number : int
            Steps taken before.
        clip_norm : float or None
            Largest norm of the gradient.

        Returns
        -------
        dict of str to float
            Loss parts for the curve.
        """

    @abstractmethod
    def generate(self, spectrogram: Tensor, generator: torch.Generator) -> Tensor:
        """Make sound; called in evaluation mode, without gradients.

        Parameters
        ----------
        spectrogram : Tensor, (batch, n_mels, n_frames)
            In [0, 1].
        generator : torch.Generator
            The only source of randomness, on the device of the spectrogram.

        Returns
        -------
        Tensor, (batch, n_frames * hop_length)
            In [-1, 1], at the scale that the spectrogram tells.
        """


def build_vocoder(config: VocoderConfig, settings: Settings, seed: int) -> Vocoder:
    """Make an untrained vocoder.

    Parameters
    ----------
    config : VocoderConfig
    settings : foley.features.representations.base.Settings
        Of the spectrogram, of kind mel.
    seed : int
        Decides the weights.
    """
    module = registry.load("vocoders", config.kind)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made: Vocoder = module.Vocoder(module.Config.model_validate(config.model), settings)
    return made


def adam(parameters: nn.Module, config: VocoderTrainingConfig) -> torch.optim.Optimizer:
    """AdamW on everything in a module."""
    return torch.optim.AdamW(
        parameters.parameters(), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
    )


def descend(
    loss: Tensor, module: nn.Module, optimiser: torch.optim.Optimizer, clip_norm: float | None
) -> None:
    """Take one step down a loss with the optimiser of a module."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
    optimiser.step()


def without_norms(network: Network) -> Network:
    """Fold weight norms in, in place, so that generation does not compute them again and again."""
    for module in network.modules():
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight")
    return network


class LogMel(nn.Module):
    """Logarithm of the bands of :mod:`foley.features.representations.mel`, so that a loss can use it.

    Parameters
    ----------
    settings : mel.Config
    """

    window: Tensor
    filters: Tensor

    def __init__(self, settings: mel.Config) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("window", torch.from_numpy(hann_window(settings.n_fft)), persistent=False)
        filters = torch.from_numpy(np.array(mel.filters(settings)))
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, sound: Tensor) -> Tensor:
        """Natural logarithms (batch, n_mels, 1 + n_samples // hop_length) of sound (batch, n_samples)."""
        magnitude = stft_magnitude(sound, self.window, self.settings.hop_length)
        return torch.log((self.filters @ magnitude).clamp(min=self.settings.floor))


def stft_magnitude(sound: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Magnitudes (batch, n_fft // 2 + 1, n_frames) of sound (batch, n_samples), ends reflected."""
    spectrum = torch.stft(
        sound, len(window), hop_length, window=window, pad_mode="reflect", return_complex=True
    )
    return spectrum.abs()
