"""Losses that several systems share."""

import torch
from torch import Tensor

OWENS_ALPHA = 1 / 25**2
"""Floor of the robust loss, from Owens et al. 2016; AutoFoley leaves it unstated."""


def robust_loss(predicted: Tensor, target: Tensor, alpha: float = OWENS_ALPHA) -> Tensor:
    r"""Robust distance of two spectrograms: AutoFoley equations 8 and 9, per time step.

    ``mean_t log(alpha + ||predicted_t - target_t||^2)``, the mean over clips and time steps in
    place of the sum over time, so that the weight does not depend on the clip's length.

    Parameters
    ----------
    predicted, target : Tensor, (batch, n_bins, n_frames)
    alpha : float
        Floor; > 0.

    Returns
    -------
    Tensor, ()
    """
    squared = (predicted - target).square().sum(dim=1)
    return torch.log(alpha + squared).mean()
