"""VGG19 up to its first fully connected layer, fc6: the feature of Visual2Sound and V2RA-GAN.

torchvision's network: its pooling brings pictures of any size to the 7 x 7 cells that the layer wants.
The papers do not say whether they take the layer before or after its ReLU: ``vgg19_fc6`` is after,
``vgg19_fc6_linear`` before. No package contains ImageNet weights: they come from a local file.
"""

from typing import TYPE_CHECKING

from torch import nn

from foley.features.backbones.base import PooledNetwork, fill, find_weights, load_state, randomise
from foley.features.backbones.vgg19 import MEAN, SPREAD, WEIGHTS
from foley.features.torchvision_shim import torchvision_models

if TYPE_CHECKING:
    from foley.features.visual import BackboneConfig

DIM = 4096
INPUT_PX = 224


def build(config: "BackboneConfig") -> nn.Module:
    """Build convolutions, pooling and fc6.

    Raises
    ------
    ConfigError
        If the weights are missing or are not the named ones.
    """
    path = find_weights(config, WEIGHTS)
    network = torchvision_models().vgg19(weights=None)
    if path is None:
        randomise(network, config.seed)
    else:
        fill(network, path, load_state(path))
    end = [] if config.network.endswith("_linear") else [nn.ReLU()]
    trunk = nn.Sequential(
        network.features,
        network.avgpool,
        nn.Flatten(),
        network.classifier[0],
        *end,
        nn.Unflatten(1, (DIM, 1, 1)),  # one cell, so that averaging over the picture changes nothing
    )
    return PooledNetwork(trunk, MEAN, SPREAD).eval()
