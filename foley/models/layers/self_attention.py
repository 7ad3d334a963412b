"""Self-attention over the places of a feature map: Zhang et al. 2019, as BigGAN uses it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from foley.models.layers.spectral import spectral


class SelfAttention(nn.Module):
    """Add to every place what it attends to, with a weight that is 0 at first.

    Queries have an eighth of the channels, keys and values are pooled by 2 x 2, values have half of the
    channels; all are 1 x 1 convolutions with spectral norm and without bias.

    Parameters
    ----------
    n_channels : int
        Channels in and out.
    eps : float
        Of the spectral norm.
    """

    def __init__(self, n_channels: int, eps: float = 1e-12) -> None:
        super().__init__()
        narrow, half = max(n_channels // 8, 1), max(n_channels // 2, 1)
        self.query = spectral(nn.Conv2d(n_channels, narrow, 1, bias=False), eps)
        self.key = spectral(nn.Conv2d(n_channels, narrow, 1, bias=False), eps)
        self.value = spectral(nn.Conv2d(n_channels, half, 1, bias=False), eps)
        self.out = spectral(nn.Conv2d(half, n_channels, 1, bias=False), eps)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, seen: Tensor) -> Tensor:
        """Attend within (batch, n_channels, height, width)."""
        query = self.query(seen).flatten(2)
        key = functional.max_pool2d(self.key(seen), 2).flatten(2)
        value = functional.max_pool2d(self.value(seen), 2).flatten(2)
        weights = (query.transpose(1, 2) @ key).softmax(dim=2)
        attended = (value @ weights.transpose(1, 2)).unflatten(2, seen.shape[2:])
        mixed: Tensor = seen + self.gain * self.out(attended)
        return mixed
