"""BN-Inception (Ioffe and Szegedy 2015): the network of REGNET, for pictures and for optical flow.

The Caffe-style graph that REGNET's weights were made for (``bn-inception`` of TSN): convolutions
with biases, a batch norm after each, pooling that rounds up. Pictures go in as BGR of 0 to 255 less
the mean; flow as two channels around 128, with the first kernel averaged over its colours. No
package contains the weights: they come from a local file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

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

DIM = 1024
INPUT_PX = 224
MEAN = (128.0, 117.0, 104.0)
SPREAD = (1.0, 1.0, 1.0)
FLOW_MEAN = (128.0, 128.0)
FLOW_SPREAD = (1.0, 1.0)
WEIGHTS = WeightsFile(
    source="bn_inception-9f5701afb96c8044.pth, as REGNET and TSN use it",
    licence="stated by neither of them; trained on ImageNet, whose pictures are for research",
)

# Channels of the branches: 1x1; 3x3 reduced and out; double 3x3 reduced and out; pooled. A block
# without its first and last branch halves the picture.
_BLOCKS: dict[str, tuple[int, tuple[int, int], tuple[int, int], int]] = {
    "3a": (64, (64, 64), (64, 96), 32),
    "3b": (64, (64, 96), (64, 96), 64),
    "3c": (0, (128, 160), (64, 96), 0),
    "4a": (224, (64, 96), (96, 128), 128),
    "4b": (192, (96, 128), (96, 128), 128),
    "4c": (160, (128, 160), (128, 160), 128),
    "4d": (96, (128, 192), (160, 192), 128),
    "4e": (0, (128, 192), (192, 256), 0),
    "5a": (352, (192, 320), (160, 224), 128),
    "5b": (352, (192, 320), (192, 224), 128),
}
_LAST_BLOCK = "5b"
"""Pools by maximum where the other blocks average."""


class _Block(nn.Module):
    """Four ways through the picture, side by side."""

    def __init__(self, name: str, n_in: int) -> None:
        super().__init__()
        single, (narrow, n_three), (double_narrow, n_double), pooled = _BLOCKS[name]
        stride = 1 if single else 2
        self.n_out = single + n_three + n_double + (pooled or n_in)
        self.single = _unit(n_in, single, 1) if single else None
        self.three = nn.Sequential(_unit(n_in, narrow, 1), _unit(narrow, n_three, 3, stride))
        self.twice = nn.Sequential(
            _unit(n_in, double_narrow, 1),
            _unit(double_narrow, n_double, 3),
            _unit(n_double, n_double, 3, stride),
        )
        if not pooled:
            self.pooled: nn.Module = nn.MaxPool2d(3, stride, ceil_mode=True)
        else:
            pool = nn.MaxPool2d if name == _LAST_BLOCK else nn.AvgPool2d
            self.pooled = nn.Sequential(pool(3, 1, padding=1, ceil_mode=True), _unit(n_in, pooled, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ways = [self.three(x), self.twice(x), self.pooled(x)]
        return torch.cat(ways if self.single is None else [self.single(x), *ways], dim=1)


def _unit(n_in: int, n_out: int, side: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, side, stride, padding=side // 2), nn.BatchNorm2d(n_out), nn.ReLU()
    )


def trunk(n_channels: int = 3) -> nn.Sequential:
    """Build the network without its classifier: (batch, n_channels, h, w) to (batch, 1024, h/32, w/32)."""
    layers: list[nn.Module] = [
        _unit(n_channels, 64, 7, 2),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _unit(64, 64, 1),
        _unit(64, 192, 3),
        nn.MaxPool2d(3, 2, ceil_mode=True),
    ]
    n_in = 192
    for name in _BLOCKS:
        block = _Block(name, n_in)
        layers.append(block)
        n_in = block.n_out
    return nn.Sequential(*layers)


def build(config: "BackboneConfig") -> nn.Module:
    """Build the network for pictures.

    Raises
    ------
    ConfigError
        If the weights are missing or are not the named ones.
    """
    path = find_weights(config, WEIGHTS)
    network = trunk()
    if path is None:
        randomise(network, config.seed)
    else:
        _fill(network, path, load_state(path))
    return PooledNetwork(network, MEAN, SPREAD, reverse_channels=True).eval()


def build_for_flow(config: "BackboneConfig", bound_px: float) -> nn.Module:
    """Build the network for optical flow, uint8 (batch, h, w, 2) with 128 for no motion.

    It takes the maps as they are stored: `bound_px`, the motion at 255, is not looked at.

    Its first kernel is the mean of the picture network's over the colours, for both directions: no
    weights that were trained on flow are used (REGNET, ``wrapper.py`` and ``extract_feature.py``).

    Raises
    ------
    ConfigError
        If the weights are missing or are not the named ones.
    """
    path = find_weights(config, WEIGHTS)
    network = trunk(len(FLOW_MEAN))
    if path is None:
        randomise(network, config.seed)
    else:
        state = dict(load_state(path))
        kernel = state[f"{_FIRST}.weight"].mean(dim=1, keepdim=True)
        state[f"{_FIRST}.weight"] = kernel.expand(-1, len(FLOW_MEAN), -1, -1)
        _fill(network, path, state)
    return PooledNetwork(network, FLOW_MEAN, FLOW_SPREAD).eval()


_FIRST = "conv1_7x7_s2"


def _published_names() -> list[str]:
    """Names of the weights file's convolutions, in the order of the network's own."""
    names = [_FIRST, "conv2_3x3_reduce", "conv2_3x3"]
    for block, (single, _, _, pooled) in _BLOCKS.items():
        branches = ["1x1"] if single else []
        branches += ["3x3_reduce", "3x3", "double_3x3_reduce", "double_3x3_1", "double_3x3_2"]
        branches += ["pool_proj"] if pooled else []
        names += [f"inception_{block}_{branch}" for branch in branches]
    return names


def _fill(network: nn.Module, path: Path, published: Mapping[str, torch.Tensor]) -> None:
    """Copy the published weights, whose classifier is left out and whose norms may be (1, C)."""
    state = {}
    own = network.state_dict()
    layers = [name.removesuffix(".0.weight") for name in own if name.endswith(".0.weight")]
    for layer, name in zip(layers, _published_names(), strict=True):
        for ours, theirs in ((f"{layer}.0", name), (f"{layer}.1", f"{name}_bn")):
            for part in ("weight", "bias", "running_mean", "running_var"):
                value = published.get(f"{theirs}.{part}")
                if value is not None:
                    state[f"{ours}.{part}"] = value.reshape(own[f"{ours}.{part}"].shape)
        state[f"{layer}.1.num_batches_tracked"] = own[f"{layer}.1.num_batches_tracked"]
    fill(network, path, state)
