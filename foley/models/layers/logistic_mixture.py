"""Discretised mixture of logistic distributions over the samples of a sound.

Salimans et al. 2017 (PixelCNN++), as used for sound by Parallel WaveNet; facts of
github.com/r9y9/wavenet_vocoder, ``mixture.py``. A sample in [-1, 1] stands for one of `n_levels`
equal steps; the outermost two take the tails.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

LOWEST_LOG_SCALE = math.log(1e-14)


def negative_log_likelihood(
    parameters: Tensor, samples: Tensor, *, n_levels: int = 65536, lowest_log_scale: float = LOWEST_LOG_SCALE
) -> Tensor:
    """Negative log-likelihood of samples, in nats.

    Parameters
    ----------
    parameters : Tensor, (batch, 3 * n_components, n_samples)
        Logits of the weights, means, logarithms of the scales.
    samples : Tensor, (batch, n_samples)
        In [-1, 1].
    n_levels : int
        Steps between -1 and 1, both counted.
    lowest_log_scale : float
        Floor of the logarithms of the scales.

    Returns
    -------
    Tensor, (batch, n_samples)
    """
    logits, means, log_scales = _parts(parameters, lowest_log_scale)
    centred = samples[:, None] - means
    inverse = torch.exp(-log_scales)
    half_step = 1 / (n_levels - 1)
    upper, lower = inverse * (centred + half_step), inverse * (centred - half_step)
    inside = torch.sigmoid(upper) - torch.sigmoid(lower)
    # Where the step's share vanishes in single precision, its density times the step stands for it.
    middle = inverse * centred
    density = middle - log_scales - 2 * functional.softplus(middle) + math.log(2 * half_step)
    log_inside = torch.where(inside > 1e-5, inside.clamp(min=1e-12).log(), density)
    log_share = torch.where(
        samples[:, None] < -1 + half_step,
        functional.logsigmoid(upper),
        torch.where(samples[:, None] > 1 - half_step, -functional.softplus(lower), log_inside),
    )
    return -torch.logsumexp(torch.log_softmax(logits, dim=1) + log_share, dim=1)


def draw(
    parameters: Tensor, generator: torch.Generator, *, lowest_log_scale: float = LOWEST_LOG_SCALE
) -> Tensor:
    """Draw samples, (batch, n_samples) in [-1, 1], from parameters (batch, 3 * n_components, n_samples)."""
    logits, means, log_scales = _parts(parameters, lowest_log_scale)
    uniform = torch.rand(logits.shape, generator=generator, device=logits.device).clamp(1e-5, 1 - 1e-5)
    chosen = (logits - torch.log(-torch.log(uniform))).argmax(dim=1, keepdim=True)
    mean = means.gather(1, chosen)[:, 0]
    scale = log_scales.gather(1, chosen)[:, 0].exp()
    place = torch.rand(mean.shape, generator=generator, device=logits.device).clamp(1e-5, 1 - 1e-5)
    return (mean + scale * (torch.log(place) - torch.log1p(-place))).clamp(-1, 1)


def _parts(parameters: Tensor, lowest_log_scale: float) -> tuple[Tensor, Tensor, Tensor]:
    logits, means, log_scales = parameters.chunk(3, dim=1)
    return logits, means, log_scales.clamp(min=lowest_log_scale)
