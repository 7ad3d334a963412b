"""What BigGAN asks of every weight: spectral norm, orthogonal start, orthogonal regularisation.

Brock, Donahue and Simonyan 2019. Facts of the reference code: ``layers.py`` and ``utils.py`` of
github.com/ajbrock/BigGAN-PyTorch. The spectral norm itself is PyTorch's.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

Layer = TypeVar("Layer", nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding)


def orthogonal(layer: Layer, gain: float = 1.0) -> Layer:
    """Give a layer an orthogonal weight (Saxe et al. 2014), drawn from torch's global generator."""
    nn.init.orthogonal_(layer.weight, gain)
    return layer


def spectral(layer: Layer, eps: float = 1e-12) -> Layer:
    """Give a layer an orthogonal weight, divided by its largest singular value whenever it is used.

    One power iteration a forward pass in training, none in evaluation; the vectors are buffers, so
    they are stored with the weights.

    Parameters
    ----------
    layer : Linear, Conv1d, Conv2d or Embedding
    eps : float
        Added to lengths before dividing by them.
    """
    spectral_norm(orthogonal(layer), n_power_iterations=1, eps=eps)
    return layer


@contextmanager
def without_power_iteration(*networks: nn.Module) -> Iterator[None]:
    """Leave the vectors of all spectral norms alone, so that equal weights stay equal in the block.

    Further micro-batches of one optimisation step must see the weights that the first one saw.
    """
    norms = [
        norm
        for network in networks
        for layer in network.modules()
        if is_parametrized(layer)
        for norm in layer.parametrizations["weight"]  # type: ignore[index]
    ]
    modes = [norm.training for norm in norms]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm, mode in zip(norms, modes, strict=True):
            norm.train(mode)


@contextmanager
def as_before(network: nn.Module) -> Iterator[None]:
    """Let a forward pass be repeated in the block without leaving a trace: activation checkpointing.

    Spectral norms take no power iteration, and batch norms do not move their running statistics.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        with without_power_iteration(network):
            yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked = count


def orthogonal_penalty(weight: Tensor) -> Tensor:
    r"""``||W W^T o (1 - I)||_F^2``: how far the rows of a weight are from orthogonal, their length free.

    BigGAN, equation 3 (modified orthogonal regularisation), on weights flattened to (n_outputs, rest)
    as in the reference code.
    """
    rows = weight.flatten(1)
    products = rows @ rows.T
    return (products - products.diagonal().diag()).square().sum()


@torch.no_grad()
def add_orthogonal_gradient(parameters: Iterable[nn.Parameter], strength: float) -> None:
    """Add the gradient of ``strength * orthogonal_penalty`` to each matrix's gradient, once a step.

    Vectors and parameters without a gradient are left alone. The reference code adds half of this
    gradient (it counts each pair of rows once).

    Parameters
    ----------
    parameters : iterable of Parameter
    strength : float
        The paper's beta; nothing happens for 0.
    """
    if strength == 0:
        return
    for value in parameters:
        if value.grad is None or value.ndim < 2:
            continue
        rows = value.flatten(1)
        products = rows @ rows.T
        products.fill_diagonal_(0)
        value.grad.add_((4 * products @ rows).view_as(value), alpha=strength)
