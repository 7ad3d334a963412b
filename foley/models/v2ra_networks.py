"""V2RA-GAN's networks, and its encoding of pictures as long as the sound.

Liu, Li and Cheng, "Towards an End-to-End Visual-to-Raw-Audio Generation with GAN": section 3.1 for
the encoding, Tables 1 and 2 for the networks. The strides that Table 1 prints for its transposed
convolutions multiply to 18,900 where its shapes need 44,100; here they mirror the encoder's, which
gives every printed shape. Neither table prints padding: k = 3 s with p = s gives the generator's
shapes, p = 6 the discriminator's.
"""

import math
from itertools import pairwise
from typing import Literal

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional

SAMPLE_RATE_HZ = 44_100
"""Samples of a second, and numbers of its encoding; the product of the strides."""
N_VECTORS = 10
"""Feature vectors of a second: floor(44,100 / 4096), equation 3."""
N_SLOTS = SAMPLE_RATE_HZ // N_VECTORS
FULL_DIM = 4096
"""Length of VGG19's fc6, the paper's feature."""

STRIDES = (3, 3, 4, 5, 5, 7, 7)
WIDTHS = (1, 2, 4, 8, 8, 8, 8)
PRINTED_KERNELS = (21, 15, 15, 12, 9, 9, 9)
"""Of Table 1's transposed convolutions, in printed order."""
FILTER_LENGTH = 513
N_DROPPED = 3
"""Decoder layers with dropout, from the first: as pix2pix, whose design the paper follows."""

DecoderKernels = Literal["mirrored", "printed"]


def shown_at_s(starts_s: Tensor) -> Tensor:
    """Times of the pictures that stand for the second after each start.

    Every third picture of 30, counted from one: at 30 a second, the number 3 j is on the screen
    (3 j - 1) / 30 s after the start (section 3.1).

    Parameters
    ----------
    starts_s : Tensor, (...)

    Returns
    -------
    Tensor, (..., 10)
    """
    numbers = torch.arange(1, N_VECTORS + 1, device=starts_s.device, dtype=starts_s.dtype)
    return starts_s[..., None] + numbers / N_VECTORS - 1 / 30


def encode_second(vectors: Tensor) -> Tensor:
    """Lay the vectors of one second end to end, as long as a second of sound.

    Each vector fills 4410 slots: 4096 numbers and 314 zeros. Of a narrower feature every number is
    held for ``floor(4096 / dim)`` slots, so that it spans the same stretch, and zeros fill the rest.

    Parameters
    ----------
    vectors : Tensor, (..., 10, dim)
        At most 4410 wide.

    Returns
    -------
    Tensor, (..., 44100)

    Examples
    --------
    >>> encode_second(torch.ones(10, 4096)).sum()
    tensor(40960.)
    >>> encode_second(torch.ones(10, 1000)).reshape(10, 4410)[:, 3999:4001]
    tensor([[1., 0.],
            [1., 0.],
            [1., 0.],
            [1., 0.],
            [1., 0.],
            [1., 0.],
            [1., 0.],
            [1., 0.],
            [1., 0.],
            [1., 0.]])
    """
    dim = vectors.shape[-1]
    held = vectors.repeat_interleave(max(1, FULL_DIM // dim), dim=-1)
    return functional.pad(held, (0, N_SLOTS - held.shape[-1])).flatten(-2)


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that takes its running statistics where a batch has one number a channel."""

    def forward(self, values: Tensor) -> Tensor:
        if self.training and values.shape[0] * values.shape[2] == 1:
            return functional.batch_norm(
                values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(values)


def _mirror(n_inputs: int, n_outputs: int, kernel: int, stride: int) -> nn.ConvTranspose1d:
    """Transposed convolution that makes exactly `stride` times as many steps."""
    excess = kernel - stride
    padding = math.ceil(excess / 2)
    return nn.ConvTranspose1d(
        n_inputs, n_outputs, kernel, stride, padding=padding, output_padding=2 * padding - excess
    )


class LongFilter(nn.Conv1d):
    """A filter of one channel that keeps the length: as its base class, by way of the spectrum.

    That takes a twentieth of the time for 513 samples on a CPU.
    """

    def __init__(self, length: int) -> None:
        super().__init__(1, 1, length, padding=length // 2, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """Filter (n, 1, n_samples)."""
        n_samples, length = values.shape[2], self.weight.shape[2]
        n_bins = next_fast_len(n_samples + length - 1, real=True)
        # Convolution layers correlate: they do not turn the kernel round.
        response = torch.fft.rfft(self.weight.flip(2), n_bins)
        filtered = torch.fft.irfft(torch.fft.rfft(values, n_bins) * response, n_bins)
        kept: Tensor = filtered[:, :, length // 2 : length // 2 + n_samples]
        return kept


class Generator(nn.Module):
    """Table 1: from the encoding of a second to its samples.

    Parameters
    ----------
    width : int
        d.
    n_inputs : int
        Channels of the input: the encoding, and noise where it is wanted.
    skip : bool
        Hand each encoder layer's output to the decoder layer of the same length (Table 7).
    audio_filter : bool
        End in the filter of 513 samples.
    dropout : float
        In the first three decoder layers.
    kernels : str
        Of the transposed convolutions: three times the stride, or what Table 1 prints.
    """

    def __init__(
        self,
        width: int,
        *,
        n_inputs: int,
        skip: bool,
        audio_filter: bool,
        dropout: float,
        kernels: DecoderKernels,
    ) -> None:
        super().__init__()
        self.skip, self.dropout = skip, dropout
        widths = [n_inputs, *(width * multiple for multiple in WIDTHS)]
        self.down = nn.ModuleList(
            nn.Conv1d(before, after, 3 * stride, stride, padding=stride)
            for (before, after), stride in zip(pairwise(widths), STRIDES, strict=True)
        )
        self.down_norms = nn.ModuleList(_BatchNorm(after) for after in widths[2:])
        back = [*widths[:0:-1], 1]
        # A skip doubles what every layer but the first one takes in.
        taken = [back[0], *(before * (2 if skip else 1) for before in back[1:-1])]
        lengths = [3 * stride for stride in reversed(STRIDES)] if kernels == "mirrored" else PRINTED_KERNELS
        self.up = nn.ModuleList(
            _mirror(before, after, kernel, stride)
            for before, after, kernel, stride in zip(taken, back[1:], lengths, reversed(STRIDES), strict=True)
        )
        self.up_norms = nn.ModuleList(_BatchNorm(after) for after in back[1:-1])
        self.filter = LongFilter(FILTER_LENGTH) if audio_filter else None

    def forward(self, seen: Tensor, generator: torch.Generator, *, drop: bool) -> Tensor:
        """Make seconds of sound.

        Parameters
        ----------
        seen : Tensor, (n, n_inputs, 44100)
        generator : torch.Generator
            Draws dropout.
        drop : bool
            Whether it drops anything.

        Returns
        -------
        Tensor, (n, 1, 44100)
            Within [-1, 1] without the filter; the filter is followed by nothing.
        """
        values, kept = seen, []
        for number, layer in enumerate(self.down):
            values = layer(values)
            if number:
                values = self.down_norms[number - 1](values)
            values = functional.leaky_relu(values, 0.2)
            kept.append(values)
        for number, layer in enumerate(self.up):
            if number and self.skip:
                values = torch.cat([values, kept[-1 - number]], dim=1)
            values = layer(values)
            if number < len(self.up_norms):
                values = self.up_norms[number](values)
                if drop and number < N_DROPPED:
                    values = _dropped(values, self.dropout, generator)
                values = functional.relu(values)
        values = values.tanh()
        return values if self.filter is None else self.filter(values)


def _dropped(values: Tensor, share: float, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(values.shape, generator=generator, device=generator.device)
    return values * (drawn >= share).to(values) / (1 - share)


class Discriminator(nn.Module):
    """Table 2: scores of a second of sound beside its encoding.

    Parameters
    ----------
    width : int
        d.
    one_score : bool
        End in one channel; Table 2 prints 8 d.
    """

    def __init__(self, width: int, *, one_score: bool) -> None:
        super().__init__()
        last = 1 if one_score else 8 * width
        sizes = (
            (2, width, 16, 4, 6),
            (width, 2 * width, 16, 4, 6),
            (2 * width, 4 * width, 16, 4, 6),
            (4 * width, 8 * width, 4, 1, 1),
            (8 * width, last, 4, 1, 1),
        )
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, kernel, stride, padding=padding)
            for before, after, kernel, stride, padding in sizes
        )
        self.norms = nn.ModuleList(_BatchNorm(after) for _, after, _, _, _ in sizes[1:-1])

    def forward(self, sound: Tensor, seen: Tensor) -> Tensor:
        """Score (n, 8 d or 1, 687) of sound and encoding, each (n, 1, 44100); no activation."""
        values = torch.cat([sound, seen], dim=1)
        for number, layer in enumerate(self.layers):
            values = layer(values)
            if 0 < number < len(self.layers) - 1:
                values = self.norms[number - 1](values)
            if number < len(self.layers) - 1:
                values = functional.leaky_relu(values, 0.2)
        return values
