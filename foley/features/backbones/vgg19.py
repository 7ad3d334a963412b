"""VGG19's sixteen convolutions: the network of Visual2Sound and V2RA-GAN.

Those papers take the first fully connected layer (``vgg19_fc6``); here the last convolution is averaged
over the picture, as for every network. No package contains ImageNet weights: they come from a local file.
"""

from typing import TYPE_CHECKING

from torch import nn

from foley.features.backbones.base import (
    PooledNetwork,
    WeightsFile,
    fill,
    find_weights,
    randomise,
    vgg_state,
    vgg_trunk,
)

if TYPE_CHECKING:
    from foley.features.visual import BackboneConfig

DIM = 512
INPUT_PX = 224
MEAN = (123.675, 116.28, 103.53)
SPREAD = (58.395, 57.12, 57.375)
WIDTHS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
WEIGHTS = WeightsFile(
    source="torchvision's vgg19-dcbb9e9d.pth (VGG19_Weights.IMAGENET1K_V1)",
    licence="BSD-3-Clause (trained on ImageNet, whose pictures are for research)",
)


def build(config: "BackboneConfig") -> nn.Module:
    """Build the convolutions.

    Raises
    ------
    ConfigError
        If the weights are missing or are not the named ones.
    """
    path = find_weights(config, WEIGHTS)
    trunk = vgg_trunk(WIDTHS)
    if path is None:
        randomise(trunk, config.seed)
    else:
        fill(trunk, path, vgg_state(path))
    return PooledNetwork(trunk, MEAN, SPREAD).eval()
