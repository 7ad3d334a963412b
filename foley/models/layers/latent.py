"""Random numbers that a generator starts from, and the truncation trick."""

import torch
from torch import Tensor


def draw_latent(n: int, dim: int, generator: torch.Generator, *, truncation: float | None = None) -> Tensor:
    """Draw from the standard normal distribution, or from what lies within a bound.

    Brock et al. 2019, section 3.1: values beyond the bound are drawn again until they lie within. (The
    reference code scales the values instead, which is another distribution.)

    Parameters
    ----------
    n, dim : int
    generator : torch.Generator
        The source of randomness; the result lies on its device.
    truncation : float, optional
        The bound, > 0; without it nothing is drawn again.

    Returns
    -------
    Tensor, (n, dim)

    Raises
    ------
    ValueError
        If the bound is not positive.
    """
    values = torch.randn(n, dim, generator=generator, device=generator.device)
    if truncation is None:
        return values
    if truncation <= 0:
        raise ValueError(f"truncation must be positive, got {truncation}")
    while (outside := values.abs() > truncation).any():
        again = torch.randn(int(outside.sum()), generator=generator, device=generator.device)
        values[outside] = again
    return values
