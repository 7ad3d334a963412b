"""BigGAN: generator and discriminator, guided by what happens in the picture.

Brock, Donahue and Simonyan 2019, the plain (not "deep") architecture, for pictures of 32 to 512.
Sizes are those of the reference code (``BigGAN.py`` of github.com/ajbrock/BigGAN-PyTorch), which has
no discriminator for 512: ours follows the widths given in its issue 40. FoleyGAN (Ghose and Prevost,
section IV-B) adds visual guidance; its text and figure leave open how. Here a small convolutional
encoder keeps the time axis of the action spectrogram, and every block of the generator adds a map of
its own time resolution to the output of its first convolution, the same at all frequencies. Nothing in
the encoder has a bias, so that guidance of zeros adds exactly nothing.
"""

import itertools
import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from foley.models.layers.self_attention import SelfAttention
from foley.models.layers.spectral import as_before, orthogonal, spectral

GENERATOR_WIDTHS: dict[int, tuple[int, ...]] = {
    512: (16, 16, 8, 8, 4, 2, 1, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
    128: (16, 16, 8, 4, 2, 1),
    64: (16, 16, 8, 4, 2),
    32: (4, 4, 4, 4),
}
"""By resolution, channels before the first and after every block, in multiples of ``ch``."""

DISCRIMINATOR_WIDTHS: dict[int, tuple[int, ...]] = {
    512: (1, 1, 2, 4, 8, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
    128: (1, 2, 4, 8, 16, 16),
    64: (1, 2, 4, 8, 16),
    32: (4, 4, 4, 4),
}
"""By resolution, channels after every block, in multiples of ``ch``."""

BOTTOM = 4
"""Height and width of the map that the generator begins with."""


def n_halvings(resolution: int) -> int:
    """Blocks of the discriminator that halve the picture; the others keep its size."""
    return 2 if resolution == 32 else len(DISCRIMINATOR_WIDTHS[resolution]) - 1


class ConditionalNorm(nn.Module):
    """Batch norm whose gain and bias are linear in the condition.

    Parameters
    ----------
    n_channels, n_condition : int
    eps : float
        Of the spectral norm.
    """

    def __init__(self, n_channels: int, n_condition: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(n_channels, affine=False)
        self.gain = spectral(nn.Linear(n_condition, n_channels, bias=False), eps)
        self.bias = spectral(nn.Linear(n_condition, n_channels, bias=False), eps)

    def forward(self, seen: Tensor, condition: Tensor) -> Tensor:
        """Normalise (batch, n_channels, height, width) under (batch, n_condition)."""
        gain, bias = 1 + self.gain(condition), self.bias(condition)
        normed: Tensor = self.norm(seen) * gain[:, :, None, None] + bias[:, :, None, None]
        return normed


class GeneratorBlock(nn.Module):
    """Residual block that doubles height and width.

    Parameters
    ----------
    n_inputs, n_outputs, n_condition : int
    eps : float
        Of the spectral norm.
    """

    def __init__(self, n_inputs: int, n_outputs: int, n_condition: int, eps: float) -> None:
        super().__init__()
        self.norm1 = ConditionalNorm(n_inputs, n_condition, eps)
        self.conv1 = spectral(nn.Conv2d(n_inputs, n_outputs, 3, padding=1), eps)
        self.norm2 = ConditionalNorm(n_outputs, n_condition, eps)
        self.conv2 = spectral(nn.Conv2d(n_outputs, n_outputs, 3, padding=1), eps)
        self.shortcut = spectral(nn.Conv2d(n_inputs, n_outputs, 1), eps)

    def forward(self, seen: Tensor, condition: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Double (batch, n_inputs, height, width); `guidance` is (batch, n_outputs, 1, 2 * width)."""
        hidden = self.conv1(_doubled(functional.relu(self.norm1(seen, condition))))
        if guidance is not None:
            hidden = hidden + guidance
        hidden = self.conv2(functional.relu(self.norm2(hidden, condition)))
        made: Tensor = hidden + self.shortcut(_doubled(seen))
        return made


class DiscriminatorBlock(nn.Module):
    """Residual block that may halve height and width.

    Parameters
    ----------
    n_inputs, n_outputs : int
    first : bool
        The first block sees the picture itself: nothing is rectified before it.
    halves : bool
    eps : float
        Of the spectral norm.
    """

    def __init__(self, n_inputs: int, n_outputs: int, *, first: bool, halves: bool, eps: float) -> None:
        super().__init__()
        self.first, self.halves = first, halves
        self.conv1 = spectral(nn.Conv2d(n_inputs, n_outputs, 3, padding=1), eps)
        self.conv2 = spectral(nn.Conv2d(n_outputs, n_outputs, 3, padding=1), eps)
        self.shortcut: nn.Module | None = None
        if halves or n_inputs != n_outputs:
            self.shortcut = spectral(nn.Conv2d(n_inputs, n_outputs, 1), eps)

    def forward(self, seen: Tensor) -> Tensor:
        """Look at (batch, n_inputs, height, width)."""
        hidden = self.conv1(seen if self.first else functional.relu(seen))
        hidden = self.conv2(functional.relu(hidden))
        if self.halves:
            hidden = functional.avg_pool2d(hidden, 2)
        passed = seen
        if self.halves and self.first:  # equal to the other order, and cheaper
            passed = functional.avg_pool2d(passed, 2)
        if self.shortcut is not None:
            passed = self.shortcut(passed)
        if self.halves and not self.first:
            passed = functional.avg_pool2d(passed, 2)
        seen_through: Tensor = hidden + passed
        return seen_through


class GuidanceEncoder(nn.Module):
    """From the action spectrogram to one map a block, each with the block's own time axis.

    Convolutions halve the frequency axis and keep time; what is left is averaged over frequency, and
    brought to zero mean and unit variance over time, so that a clip in which the action is faint guides
    as much as one in which it is plain. Zeros stay zeros.

    Parameters
    ----------
    n_inputs : int
        Channels of the action spectrogram.
    resolution : int
        Its height and width.
    width : int
        Channels of the encoder.
    n_outputs : sequence of int
        Channels of each block's map.
    """

    def __init__(self, n_inputs: int, resolution: int, width: int, n_outputs: tuple[int, ...]) -> None:
        super().__init__()
        gain = math.sqrt(2)  # keeps variance through rectifiers
        n_layers = int(math.log2(resolution // BOTTOM))
        layers: list[nn.Module] = []
        for number in range(n_layers):
            before = n_inputs if number == 0 else width
            convolution = nn.Conv2d(before, width, 3, stride=(2, 1), padding=1, bias=False)
            layers += [orthogonal(convolution, gain), nn.ReLU()]
        self.look = nn.Sequential(*layers)
        self.norm = nn.InstanceNorm1d(width)
        self.maps = nn.ModuleList(
            orthogonal(nn.Conv1d(width, n, 3, padding=1, bias=False)) for n in n_outputs
        )

    def forward(self, action: Tensor) -> list[Tensor]:
        """Maps (batch, n_outputs, 1, 8), (.., 16) and so on of (batch, n_inputs, resolution, resolution)."""
        seen = self.norm(self.look(action).mean(dim=2))
        widths = [BOTTOM * 2 ** (number + 1) for number in range(len(self.maps))]
        return [
            layer(functional.adaptive_avg_pool1d(seen, width))[:, :, None]
            for layer, width in zip(self.maps, widths, strict=True)
        ]


class Generator(nn.Module):
    """From random numbers, a class and an action spectrogram to a spectrogram.

    In [-1, 1], unless a last filter takes it further.

    Parameters
    ----------
    n_classes : int
    resolution : int
        512, 256, 128, 64 or 32.
    ch : int
        Width; BigGAN has 96.
    n_colours : int
        Channels of the spectrogram.
    z_chunk : int
        Random numbers of the first layer, and of every block (skip-z).
    n_shared : int
        Size of the class embedding that all blocks share.
    attention : int
        Resolution at which places attend to one another.
    n_guided : int
        Width of the guidance encoder.
    eps : float
        Of the spectral norm.
    recompute : bool
        Forget activations of blocks and compute them again for the gradient: slower, in less memory.
    last_filter : Module, optional
        Works on what is made; part of the generator.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        resolution: int = 512,
        ch: int = 96,
        n_colours: int = 3,
        z_chunk: int = 20,
        n_shared: int = 128,
        attention: int = 64,
        n_guided: int = 32,
        eps: float = 1e-12,
        recompute: bool = False,
        last_filter: nn.Module | None = None,
    ) -> None:
        super().__init__()
        widths = [ch * factor for factor in GENERATOR_WIDTHS[resolution]]
        n_blocks = len(widths) - 1
        self.z_chunk, self.recompute = z_chunk, recompute
        self.n_latent = z_chunk * (n_blocks + 1)
        self.shared = orthogonal(nn.Embedding(n_classes, n_shared))
        self.first = spectral(nn.Linear(z_chunk, widths[0] * BOTTOM**2), eps)
        self.blocks = nn.ModuleList(
            GeneratorBlock(before, after, n_shared + z_chunk, eps)
            for before, after in itertools.pairwise(widths)
        )
        self.attending = [BOTTOM * 2 ** (number + 1) == attention for number in range(n_blocks)]
        self.attentions = nn.ModuleList(
            SelfAttention(width, eps) if attends else nn.Identity()
            for width, attends in zip(widths[1:], self.attending, strict=True)
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.last = spectral(nn.Conv2d(widths[-1], n_colours, 3, padding=1), eps)
        self.guidance = GuidanceEncoder(3, resolution, n_guided, tuple(widths[1:]))
        self.last_filter = last_filter or nn.Identity()

    def forward(self, latent: Tensor, labels: Tensor, action: Tensor | None = None) -> Tensor:
        """Make spectrograms.

        Parameters
        ----------
        latent : Tensor, (batch, n_latent)
        labels : Tensor of int, (batch,)
        action : Tensor or None, (batch, 3, resolution, resolution)
            Action spectrograms; ``None`` is the same as zeros, in less time.

        Returns
        -------
        Tensor, (batch, n_colours, resolution, resolution)
        """
        first, *others = torch.split(latent, self.z_chunk, dim=1)
        embedded = self.shared(labels)
        maps: list[Tensor] | list[None] = [None] * len(self.blocks)
        if action is not None:
            maps = self.guidance(action)
        hidden = self.first(first).unflatten(1, (-1, BOTTOM, BOTTOM))
        for block, attention, chunk, map_ in zip(self.blocks, self.attentions, others, maps, strict=True):
            run = partial(_through, block, attention, torch.cat([embedded, chunk], dim=1), map_)
            hidden = _run(run, hidden, (block, attention), recompute=self.recompute and self.training)
        made: Tensor = self.last_filter(torch.tanh(self.last(functional.relu(self.norm(hidden)))))
        return made


def _through(
    block: nn.Module, attention: nn.Module, condition: Tensor, guidance: Tensor | None, hidden: Tensor
) -> Tensor:
    made: Tensor = attention(block(hidden, condition, guidance))
    return made


class Discriminator(nn.Module):
    """How recorded a spectrogram of a class looks: any number, high for recorded.

    Parameters
    ----------
    n_classes, resolution, ch, n_colours, attention, eps, recompute
        See :class:`Generator`.
    """

    def __init__(
        self,
        n_classes: int,
        *,
        resolution: int = 512,
        ch: int = 96,
        n_colours: int = 3,
        attention: int = 64,
        eps: float = 1e-12,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.recompute = recompute
        widths = [n_colours, *(ch * factor for factor in DISCRIMINATOR_WIDTHS[resolution])]
        n_halved = n_halvings(resolution)
        self.blocks = nn.ModuleList()
        self.attentions = nn.ModuleList()
        size = resolution
        for number, (before, after) in enumerate(itertools.pairwise(widths)):
            halves = number < n_halved
            self.blocks.append(DiscriminatorBlock(before, after, first=number == 0, halves=halves, eps=eps))
            size = size // 2 if halves else size
            self.attentions.append(
                SelfAttention(after, eps) if halves and size == attention else nn.Identity()
            )
        self.n_features = widths[-1]
        self.score = spectral(nn.Linear(widths[-1], 1), eps)
        self.projection = spectral(nn.Embedding(n_classes, widths[-1]), eps)

    def forward(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Judge (batch, n_colours, resolution, resolution) as of classes (batch,): (batch,)."""
        summed = self.features(pictures)
        judged: Tensor = self.score(summed)[:, 0] + (self.projection(labels) * summed).sum(dim=1)
        return judged

    def features(self, pictures: Tensor) -> Tensor:
        """What is seen in (batch, n_colours, resolution, resolution), summed: (batch, n_features)."""
        hidden = pictures
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            run = partial(_looked, block, attention)
            hidden = _run(run, hidden, (block, attention), recompute=self.recompute and self.training)
        return functional.relu(hidden).sum(dim=(2, 3))


def _looked(block: nn.Module, attention: nn.Module, hidden: Tensor) -> Tensor:
    seen: Tensor = attention(block(hidden))
    return seen


def _run(
    function: Callable[[Tensor], Tensor],
    hidden: Tensor,
    layers: tuple[nn.Module, ...],
    *,
    recompute: bool,
) -> Tensor:
    """Apply a function of one tensor, with or without keeping what its gradient needs."""
    if not recompute or not torch.is_grad_enabled():
        return function(hidden)
    again = nn.ModuleList(layers)
    made: Tensor = checkpoint(
        function,
        hidden,
        use_reentrant=False,
        preserve_rng_state=False,  # nothing here is random
        context_fn=lambda: (nullcontext(), as_before(again)),
    )
    return made


def _doubled(values: Tensor) -> Tensor:
    return functional.interpolate(values, scale_factor=2, mode="nearest")
