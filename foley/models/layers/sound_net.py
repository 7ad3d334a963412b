"""A small residual network that tells sounds apart by their spectrograms."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Residual(nn.Module):
    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(n_out)
        self.second = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(n_out)
        self.direct = (
            nn.Identity()
            if stride == 1 and n_in == n_out
            else nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        )

    def forward(self, values: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(values)))
        return functional.relu(self.second_norm(self.second(inner)) + self.direct(values))


class SoundNet(nn.Module):
    """Residual network over spectrograms of any length.

    Parameters
    ----------
    n_classes : int
        Outputs.
    n_mels : int
        Bands of the spectrograms.
    width : int
        Channels of the first stage.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, n_classes: int, n_mels: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_mels, 1))
        self.register_buffer("deviation", torch.ones(n_mels, 1))
        self.stem = nn.Sequential(nn.Conv2d(1, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.stages = nn.Sequential(
            _Residual(width, width, 1), _Residual(width, 2 * width, 2), _Residual(2 * width, 4 * width, 2)
        )
        self.embedding_size = 8 * width
        self.head = nn.Linear(self.embedding_size, n_classes)

    def embed(self, spectrogram: Tensor) -> Tensor:
        """Embedding of spectrograms.

        Parameters
        ----------
        spectrogram : Tensor of float32, shape (batch, n_mels, n_frames)
            As ``LogMel`` of the sound classifier gives, or in another representation.

        Returns
        -------
        Tensor of float32, shape (batch, 8 * width)
            Mean over time beside maximum over time: what goes on, and what happens once.
        """
        scaled = (spectrogram - self.mean) / self.deviation
        maps = self.stages(self.stem(scaled[:, None]))
        over_time = maps.mean(dim=2)
        return torch.cat([over_time.mean(dim=2), over_time.amax(dim=2)], dim=1)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Class scores before the softmax, shape (batch, n_classes)."""
        scores: Tensor = self.head(self.embed(spectrogram))
        return scores
