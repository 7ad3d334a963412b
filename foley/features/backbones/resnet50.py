"""ResNet-50 (He et al. 2016): the network of AutoFoley and FoleyGAN.

The papers take Keras's weights; torchvision's network differs from it in where a block takes its
stride. No package contains ImageNet weights: they come from a local file.
"""

from typing import TYPE_CHECKING

from torch import nn

from foley.features.backbones.base import (
    PooledNetwork,
    WeightsFile,
    fill,
    find_weights,
    load_state,
    randomise,
)
from foley.features.torchvision_shim import torchvision_models

if TYPE_CHECKING:
    from foley.features.visual import BackboneConfig

DIM = 2048
INPUT_PX = 224
MEAN = (123.675, 116.28, 103.53)
SPREAD = (58.395, 57.12, 57.375)
WEIGHTS = WeightsFile(
    source="torchvision's resnet50-0676ba61.pth (ResNet50_Weights.IMAGENET1K_V1)",
    licence="BSD-3-Clause (trained on ImageNet, whose pictures are for research)",
)


def build(config: "BackboneConfig") -> nn.Module:
    """Build the network up to ``conv5`` (2048 maps), without its classifier.

    Raises
    ------
    ConfigError
        If the weights are missing or are not the named ones.
    """
    path = find_weights(config, WEIGHTS)
    network = torchvision_models().resnet50(weights=None)
    if path is None:
        randomise(network, config.seed)
    else:
        fill(network, path, load_state(path))
    trunk = nn.Sequential(*list(network.children())[:-2])
    return PooledNetwork(trunk, MEAN, SPREAD).eval()
