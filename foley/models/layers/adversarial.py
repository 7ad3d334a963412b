"""What GANs with a Wasserstein critic share: the gradient penalty and phase shuffle.

Gulrajani et al. 2017 for the penalty. Donahue et al. 2019 for phase shuffle; facts of their code
(``wavegan.py`` in github.com/chrisdonahue/wavegan): one shift for the whole batch, ends continued by
reflection.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def gradient_penalty(
    judge: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    generator: torch.Generator,
    *,
    coarseness: float = 1.0,
) -> Tensor:
    """Mean squared distance of the critic's slope from 1, at random places between real and made.

    Parameters
    ----------
    judge : callable
        Scores (batch,) of samples (batch, ...).
    real, fake : Tensor, (batch, ...)
    generator : torch.Generator
        Draws one place for each pair.
    coarseness : float
        What the slopes are divided by. A sample shrunk s times along both its axes (mean over s x s
        cells) has a slope s times that of the full-sized sample that it stands for.

    Returns
    -------
    Tensor, ()
    """
    shape = (len(real), *([1] * (real.dim() - 1)))
    place = torch.rand(shape, generator=generator, device=generator.device).to(real)
    between = (real + place * (fake - real)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(judge(between).sum(), between, create_graph=True)
    slopes = gradient.flatten(1).norm(dim=1) / coarseness
    penalty: Tensor = (slopes - 1).square().mean()
    return penalty


def shuffle_phase(values: Tensor, radius: int, generator: torch.Generator) -> Tensor:
    """Shift all of a batch in time by the same random number of steps.

    Parameters
    ----------
    values : Tensor, (batch, n_channels, n_steps)
        More than `radius` steps.
    radius : int
        The shift is an integer in [-radius, radius], each as likely; above 0 is later.
    generator : torch.Generator

    Returns
    -------
    Tensor, (batch, n_channels, n_steps)
        The gap at one end is filled with the reflection about that end.
    """
    device = generator.device
    shift = int(torch.randint(-radius, radius + 1, (), generator=generator, device=device))
    if shift == 0:
        return values
    padded = functional.pad(values, (max(shift, 0), max(-shift, 0)), mode="reflect")
    return padded[..., : values.shape[2]] if shift > 0 else padded[..., -values.shape[2] :]
