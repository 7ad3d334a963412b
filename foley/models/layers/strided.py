"""WaveGAN's and SpecGAN's networks: stacks of strided convolutions over time, or time and frequency.

Donahue, McAuley and Puckette 2019, "Adversarial Audio Synthesis", appendix D; facts of their code
(``wavegan.py`` and ``specgan.py`` in github.com/chrisdonahue/wavegan, commit 40e85e8): "same" padding
as TensorFlow lays it (of an odd number of zeros, one more behind than before), no normalisation,
Glorot's uniform weights, biases zero.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor, nn
from torch.nn import functional

from foley.models.layers.adversarial import shuffle_phase


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError("must be odd")
    return kernel


OddKernel = Annotated[int, AfterValidator(_odd)]
"""Kernels whose "same" padding can be undone: strides are 2 and 4."""

_CONVOLUTIONS: dict[int, tuple[type[nn.Module], type[nn.Module]]] = {
    1: (nn.Conv1d, nn.ConvTranspose1d),
    2: (nn.Conv2d, nn.ConvTranspose2d),
}


class Widen(nn.Module):
    """Transposed convolution to `stride` times as many steps along every axis.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Channels.
    kernel, stride : int
        One is odd, the other even.
    n_axes : int
        1 or 2.
    """

    def __init__(self, n_inputs: int, n_outputs: int, kernel: int, stride: int, n_axes: int) -> None:
        super().__init__()
        self.n_axes = n_axes
        self.convolution = _CONVOLUTIONS[n_axes][1](
            n_inputs, n_outputs, kernel, stride=stride, padding=(kernel - stride) // 2
        )

    def forward(self, values: Tensor) -> Tensor:
        """Give (batch, n_outputs, stride * n, ...) of (batch, n_inputs, n, ...)."""
        made: Tensor = self.convolution(values)
        return made[..., :-1] if self.n_axes == 1 else made[..., :-1, :-1]


class Narrow(nn.Module):
    """Convolution to a `stride`-th of the steps along every axis; the mirror of :class:`Widen`."""

    def __init__(self, n_inputs: int, n_outputs: int, kernel: int, stride: int, n_axes: int) -> None:
        super().__init__()
        before = (kernel - stride) // 2
        self.zeros = [before, kernel - stride - before] * n_axes
        self.convolution = _CONVOLUTIONS[n_axes][0](n_inputs, n_outputs, kernel, stride=stride)

    def forward(self, values: Tensor) -> Tensor:
        """Give (batch, n_outputs, n / stride, ...) of (batch, n_inputs, n, ...)."""
        made: Tensor = self.convolution(functional.pad(values, self.zeros))
        return made


class StridedGenerator(nn.Module):
    """From a vector to a sound or picture in [-1, 1].

    Parameters
    ----------
    n_inputs : int
        Numbers of the vector, those of the class among them.
    start : sequence of int
        Steps along each axis before the first convolution.
    widths : sequence of int
        Channels before each convolution; after the last there is one.
    strides : sequence of int
        Of each convolution.
    kernel : int
    """

    def __init__(
        self,
        n_inputs: int,
        *,
        start: Sequence[int],
        widths: Sequence[int],
        strides: Sequence[int],
        kernel: int,
    ) -> None:
        super().__init__()
        self.shape = (widths[0], *start)
        self.project = nn.Linear(n_inputs, prod(self.shape))
        self.widen = nn.ModuleList(
            Widen(before, after, kernel, stride, len(start))
            for (before, after), stride in zip(pairwise([*widths, 1]), strides, strict=True)
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """Give (batch, *start * strides) of (batch, n_inputs)."""
        values = self.project(vectors).unflatten(1, self.shape)
        for widen in self.widen:
            values = widen(functional.relu(values))
        made: Tensor = values[:, 0].tanh()
        return made


class StridedCritic(nn.Module):
    """From a sound or picture to one number; the mirror of :class:`StridedGenerator`.

    Parameters
    ----------
    end : sequence of int
        Steps along each axis after the last convolution.
    widths : sequence of int
        Channels after each convolution; before the first there is one.
    strides : sequence of int
        Of each convolution.
    kernel : int
    n_classes : int
        0 for a critic that is not told the class; else the inner product of its last layer and a
        vector of the class is added to the score (Miyato and Koyama 2018).
    n_shuffled : int
        Phases are shuffled after as many of the first convolutions (one axis only).
    radius : int
        Of phase shuffle.
    """

    def __init__(
        self,
        *,
        end: Sequence[int],
        widths: Sequence[int],
        strides: Sequence[int],
        kernel: int,
        n_classes: int = 0,
        n_shuffled: int = 0,
        radius: int = 0,
    ) -> None:
        super().__init__()
        self.n_shuffled = n_shuffled if radius else 0
        self.radius = radius
        self.narrow = nn.ModuleList(
            Narrow(before, after, kernel, stride, len(end))
            for (before, after), stride in zip(pairwise([1, *widths]), strides, strict=True)
        )
        n_last = widths[-1] * prod(end)
        self.score = nn.Linear(n_last, 1)
        self.of_class = nn.Embedding(n_classes, n_last) if n_classes else None

    def forward(self, made: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Score samples.

        Parameters
        ----------
        made : Tensor, (batch, *end * strides)
        labels : Tensor, (batch,)
            Class indices; not looked at without classes.
        generator : torch.Generator
            Draws the shifts of phase.

        Returns
        -------
        Tensor, (batch,)
        """
        values = made[:, None]
        for number, narrow in enumerate(self.narrow):
            values = functional.leaky_relu(narrow(values), 0.2)
            if number < self.n_shuffled:
                values = shuffle_phase(values, self.radius, generator)
        flat = values.flatten(1)
        scores: Tensor = self.score(flat)[:, 0]
        if self.of_class is not None:
            scores = scores + (flat * self.of_class(labels)).sum(dim=1)
        return scores


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw Glorot's uniform weights; biases and vectors of classes start at zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.zeros_(module.weight)
