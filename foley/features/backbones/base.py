"""What every image network shares: weights files, normalisation, global pooling."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from foley.errors import ConfigError
from foley.provenance import file_sha256

if TYPE_CHECKING:
    from foley.features.visual import BackboneConfig

RANDOM = "random"


@dataclass(frozen=True)
class WeightsFile:
    """Where the weights of a network come from.

    Parameters
    ----------
    source : str
        Who made them and what the file is called, for a person who has to fetch it.
    licence : str
        Licence of the weights.
    package : str
        Distribution that contains the file; empty when none does.
    file : str
        Path of the file inside the package's folder.
    sha256 : str
        Of the file inside the package.
    """

    source: str
    licence: str
    package: str = ""
    file: str = ""
    sha256: str = ""


def find_weights(config: "BackboneConfig", known: WeightsFile) -> Path | None:
    """Find the weights file that a configuration asks for, and check it.

    Parameters
    ----------
    config : BackboneConfig
        ``weights`` is a path, ``"random"``, or None for the file that comes with a package.
    known : WeightsFile
        What the network's module knows about its weights.

    Returns
    -------
    Path or None
        The checked file; None for random weights, which have to be asked for.

    Raises
    ------
    ConfigError
        If the file is missing or is not the one that was named; says which file and where it can
        be got.
    """
    if config.weights == RANDOM:
        return None
    if config.weights is not None:
        path, sha256 = Path(config.weights), config.sha256
        if not path.is_file():
            raise ConfigError(f"{path}: weights of {config.network} are missing; get {known.source}")
        if sha256 is None:
            raise ConfigError(
                f"{path}: name the file's sha256 beside its path; this file's is {file_sha256(path)}"
            )
    elif known.package:
        return packaged_weights(known, config.network, config.sha256)
    else:
        raise ConfigError(
            f"no package contains weights for {config.network}: get {known.source}, and set weights to its "
            'path and sha256 to its digest (or weights: "random", for tests only)'
        )
    _check_digest(path, sha256, known)
    return path


def _check_digest(path: Path, sha256: str, known: WeightsFile) -> None:
    found = file_sha256(path)
    if not found.startswith(sha256):
        raise ConfigError(f"{path}: sha256 is {found}, expected {sha256}; get {known.source}")


def packaged_weights(known: WeightsFile, network: str, sha256: str | None = None) -> Path:
    """Find a weights file inside an installed package, without importing the package, and check it.

    Parameters
    ----------
    known : WeightsFile
        Where it is.
    network : str
        What the weights are for, for the message.
    sha256 : str, optional
        What it must begin with, in place of the known digest.

    Returns
    -------
    Path

    Raises
    ------
    ConfigError
        If the package is not installed or the file is another; says what to install.
    """
    spec = importlib.util.find_spec(known.package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / known.file
        if path.is_file():
            _check_digest(path, sha256 or known.sha256, known)
            return path
    raise ConfigError(
        f"weights of {network} are missing: install the package {known.package.replace('_', '-')} "
        f"(it contains {known.file}), or set weights to a local file: {known.source}"
    )


def load_state(path: Path) -> Mapping[str, torch.Tensor]:
    """Read a state dict from ``.safetensors`` or from torch's format; tensors only, never code."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        tensors: dict[str, torch.Tensor] = load_file(path)
        return tensors
    state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def vgg_state(path: Path) -> dict[str, torch.Tensor]:
    """Convolutions of torchvision's VGG state dict, named as in :func:`vgg_trunk`."""
    prefix = "features."
    return {
        name.removeprefix(prefix): value
        for name, value in load_state(path).items()
        if name.startswith(prefix)
    }


def fill(network: nn.Module, path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Copy weights into a network, all of them.

    Raises
    ------
    ConfigError
        If a weight is missing, left over or of another shape; names the file and the first.
    """
    own = network.state_dict()
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    surplus = [name for name in state if name not in own]
    if wrong or surplus:
        raise ConfigError(
            f"{path}: does not fit the network (missing or misshapen: {wrong[:3]}, unknown: {surplus[:3]}); "
            "give the file that was made for it"
        )
    network.load_state_dict(dict(state))


def randomise(network: nn.Module, seed: int) -> None:
    """Fill a network with He-normal weights and zero biases from a seed (tests, ablations)."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class PooledNetwork(nn.Module):
    """Normalise pictures, run a convolutional trunk, average its last map over the picture.

    Parameters
    ----------
    trunk : nn.Module
        From (batch, n_channels, h, w) to (batch, dim, h', w').
    mean, spread : tuple of float
        Subtracted from and divided into values of 0 to 255; one entry a channel.
    reverse_channels : bool
        Give the trunk BGR, for weights that come from Caffe.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(
        self,
        trunk: nn.Module,
        mean: tuple[float, ...],
        spread: tuple[float, ...],
        *,
        reverse_channels: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.reverse_channels = reverse_channels
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("spread", torch.tensor(spread).view(1, -1, 1, 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Features of pictures: uint8 RGB (batch, h, w, 3) to float32 (batch, dim).

        The trunk may be in half precision; what surrounds it stays in float32.
        """
        x = (pictures.permute(0, 3, 1, 2).float() - self.mean) / self.spread
        if self.reverse_channels:
            x = x.flip(1)
        dtype = next(self.trunk.parameters()).dtype
        features: torch.Tensor = self.trunk(x.to(dtype)).float().mean(dim=(2, 3))
        return features


def vgg_trunk(widths: tuple[tuple[int, ...], ...]) -> nn.Sequential:
    """VGG's convolutions up to the last one and its ReLU, with max-pooling between the blocks.

    Parameters
    ----------
    widths : tuple of tuple of int
        Channels of the 3x3 convolutions of each block.
    """
    layers: list[nn.Module] = []
    n_in = 3
    for index, block in enumerate(widths):
        if index:
            layers.append(nn.MaxPool2d(2, 2))
        for n_out in block:
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
            n_in = n_out
    return nn.Sequential(*layers)


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    """All convolutions of a network, in order."""
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def as_tensor(values: Any) -> torch.Tensor:
    """Copy an array-like into a float32 tensor."""
    return torch.tensor(values, dtype=torch.float32)
