"""One descent of one optimiser, for systems that train several networks against each other."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def descend(
    loss: Tensor,
    optimiser: torch.optim.Optimizer,
    clip_norm: float | None,
    share: Callable[[Iterable[nn.Parameter]], None] | None = None,
) -> None:
    """Change the optimiser's own parameters only, whatever else the loss depends on.

    Parameters
    ----------
    loss : Tensor, ()
    optimiser : torch.optim.Optimizer
    clip_norm : float or None
        Largest norm of the gradient.
    share : callable, optional
        What :attr:`foley.models.base.System.share_gradients` holds.
    """
    parameters = [value for group in optimiser.param_groups for value in group["params"]]
    # Some may be unused: the last state of a backward direction leaves a forward layer out, and layers may
    # not have been grown yet.
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for value, gradient in zip(parameters, gradients, strict=True):
        value.grad = gradient
    if share is not None:
        share(parameters)
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(parameters, clip_norm)
    optimiser.step()
