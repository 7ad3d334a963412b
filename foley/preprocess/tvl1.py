"""TV-L1 optical flow of many picture pairs at once, in torch, on a CPU or a GPU.

The method is that of Zach, Pock and Bischof (2007) in the form that Sánchez, Meinhardt-Llopis and
Facciolo (IPOL, 2013) describe and OpenCV's ``DualTVL1OpticalFlow`` computes: it minimises

    sum of |grad u1| + |grad u2| + lambda * |I1(x + u) - I0(x)|

from a coarse picture to the fine one. On each scale the second picture is warped a few times by
the flow so far; between warps the data term (a point-wise threshold) and the smoothness term (the
dual of the total variation) are solved in turn. A median filter of the flow starts each round of
inner iterations.

Where a picture says what moves, this and OpenCV's agree to hundredths of a pixel; where it does not
(hidden parts, no texture) rounding alone leads to another flow that is as good. A pair stops by its
own error, so that a result never depends on its neighbours in the batch.
"""

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from foley.errors import FoleyError
from foley.preprocess.flow_config import TvL1Config

_LEAST_SIDE_PX = 16
"""Coarser scales than this are left out."""
_FLAT = 1e-7
"""Squared gradients below this count as this: there the data term moves nothing."""
_CHECK_EVERY = 8
"""On a GPU, asking whether all pairs are done stops the queue: it is asked this seldom."""


def tvl1_opencv(config: TvL1Config) -> Any:
    """Set up OpenCV's own TV-L1 with these parameters."""
    return cv2.optflow.DualTVL1OpticalFlow.create(
        tau=config.tau,
        lambda_=config.lambda_,
        theta=config.theta,
        nscales=config.n_scales,
        warps=config.n_warps,
        epsilon=config.epsilon_px,
        innnerIterations=config.n_inner,
        outerIterations=config.n_outer,
        scaleStep=config.scale_step,
        medianFiltering=config.median_px,
    )


def tvl1(first: torch.Tensor, second: torch.Tensor, config: TvL1Config | None = None) -> torch.Tensor:
    """Estimate the flow from each first picture to its second.

    Parameters
    ----------
    first, second : Tensor, shape (n_pairs, height, width)
        Grey levels from 0 to 255, of any real type, on one device.
    config : TvL1Config, optional

    Returns
    -------
    Tensor of float32, shape (n_pairs, 2, height, width)
        Pixels to the right and pixels down: what is at ``(x, y)`` in the first picture is at
        ``(x + flow[0], y + flow[1])`` in the second.

    Raises
    ------
    FoleyError
        If the two differ in shape, or are not three-dimensional.
    """
    config = config or TvL1Config()
    if first.shape != second.shape or first.ndim != 3:
        raise FoleyError(
            f"TV-L1 needs two batches of grey pictures of one shape (n, height, width), got "
            f"{tuple(first.shape)} and {tuple(second.shape)}"
        )
    with torch.no_grad():
        scales = _pyramid(torch.stack([first, second], dim=1).float(), config)
        flow = torch.zeros_like(scales[-1])
        for pictures in reversed(scales):
            if flow.shape != pictures.shape:
                flow = _enlarged(flow, pictures.shape[-2], pictures.shape[-1], config.scale_step)
            flow = _solve_scale(pictures[:, 0], pictures[:, 1], flow, config)
        return flow


def _pyramid(pictures: torch.Tensor, config: TvL1Config) -> list[torch.Tensor]:
    """Pictures (n, 2, h, w) of every scale, the finest first."""
    scales = [pictures]
    while len(scales) < config.n_scales:
        height, width = (round(side * config.scale_step) for side in scales[-1].shape[-2:])
        if min(height, width) < _LEAST_SIDE_PX:
            break
        # Sampled at exact multiples of the step, though sizes are whole: the margin is for rounding up.
        wide = F.pad(scales[-1], (0, 2, 0, 2), mode="replicate")
        small = F.interpolate(
            wide, scale_factor=config.scale_step, mode="bilinear", recompute_scale_factor=False
        )
        scales.append(small[..., :height, :width].contiguous())
    return scales


def _enlarged(flow: torch.Tensor, height: int, width: int, scale_step: float) -> torch.Tensor:
    """Bring a flow to the next finer scale, and its pixels with it."""
    return F.interpolate(flow, (height, width), mode="bilinear") / scale_step


def _solve_scale(
    first: torch.Tensor, second: torch.Tensor, flow: torch.Tensor, config: TvL1Config
) -> torch.Tensor:
    """Refine the flow (n, 2, h, w) on one scale; pictures are (n, h, w)."""
    n_pairs, height, width = first.shape
    sampled = torch.cat([second[:, None], _central_gradient(second)], dim=1)
    # Axes: pair, component of the flow, direction of its derivative, row, column.
    dual = flow.new_zeros(n_pairs, 2, 2, height, width)
    check_every = 1 if flow.device.type == "cpu" else _CHECK_EVERY
    for _ in range(config.n_warps):
        warped = _warp(sampled, flow)
        gradient = warped[:, 1:]
        constant = warped[:, 0] - (gradient * flow).sum(dim=1) - first
        squared = (gradient**2).sum(dim=1).clamp_min_(_FLAT)
        moving = torch.ones(n_pairs, 1, 1, 1, dtype=torch.bool, device=flow.device)
        for number in range(config.n_outer * config.n_inner):
            if number % config.n_inner == 0:
                flow = torch.where(moving, _median(flow, config.median_px), flow)
            new_flow, new_dual = _iterate(flow, dual, gradient, constant, squared, config)
            change = ((new_flow - flow) ** 2).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
            if n_pairs == 1:
                flow, dual = new_flow, new_dual
            else:
                flow = torch.where(moving, new_flow, flow)
                dual = torch.where(moving[..., None], new_dual, dual)
            moving = moving & (change > config.epsilon_px**2)
            if (number + 1) % check_every == 0 and not moving.any():
                break
    return flow


def _iterate(
    flow: torch.Tensor,
    dual: torch.Tensor,
    gradient: torch.Tensor,
    constant: torch.Tensor,
    squared: torch.Tensor,
    config: TvL1Config,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Do one iteration: threshold the data term, then a step of the dual variable."""
    reach = config.lambda_ * config.theta
    residual = constant + (gradient * flow).sum(dim=1)
    step = residual.div_(squared).clamp_(-reach, reach)
    new_flow = torch.addcmul(flow, gradient, step[:, None], value=-1)
    new_flow.add_(_divergence(dual), alpha=config.theta)
    slope = _forward_gradient(new_flow)
    rate = config.tau / config.theta
    length = slope.square().sum(dim=2, keepdim=True).sqrt_()
    new_dual = torch.add(dual, slope, alpha=rate).div_(length.mul_(rate).add_(1))
    return new_flow, new_dual


def _central_gradient(picture: torch.Tensor) -> torch.Tensor:
    """Half the difference of the neighbours, (n, h, w) to (n, 2, h, w); ends are repeated."""
    wide = F.pad(picture[:, None], (1, 1, 1, 1), mode="replicate")
    across = wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]
    down = wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]
    return torch.cat([across, down], dim=1).mul_(0.5)


def _forward_gradient(flow: torch.Tensor) -> torch.Tensor:
    """Difference to the next pixel, (n, 2, h, w) to (n, 2, 2, h, w); 0 at the end."""
    slope = flow.new_zeros(*flow.shape[:2], 2, *flow.shape[2:])
    torch.sub(flow[..., 1:], flow[..., :-1], out=slope[:, :, 0, :, :-1])
    torch.sub(flow[..., 1:, :], flow[..., :-1, :], out=slope[:, :, 1, :-1, :])
    return slope


def _divergence(dual: torch.Tensor) -> torch.Tensor:
    """Negative adjoint of :func:`_forward_gradient`, (n, 2, 2, h, w) to (n, 2, h, w)."""
    across, down = dual[:, :, 0], dual[:, :, 1]
    total = across + down
    total[..., 1:].sub_(across[..., :-1])
    total[..., 1:, :].sub_(down[..., :-1, :])
    return total


def _warp(pictures: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Fetch (n, channels, h, w) from where the flow points, bicubic; 0 beyond the edge."""
    height, width = flow.shape[-2:]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    # grid_sample counts from -1 at the first pixel's centre to 1 at the last one's.
    x = (columns + flow[:, 0]) * (2 / max(width - 1, 1)) - 1
    y = (rows + flow[:, 1]) * (2 / max(height - 1, 1)) - 1
    grid = torch.stack([x, y], dim=-1)
    return F.grid_sample(pictures, grid, mode="bicubic", padding_mode="zeros", align_corners=True)


def _median(flow: torch.Tensor, side_px: int) -> torch.Tensor:
    """Median of a square around each pixel; edges are repeated."""
    if side_px < 3:
        return flow
    if flow.device.type == "cpu":
        planes = flow.numpy().reshape(-1, *flow.shape[-2:])
        return torch.from_numpy(np.stack([cv2.medianBlur(p, side_px) for p in planes])).view_as(flow)
    return _median_by_exchanges(flow, side_px)


def _median_by_exchanges(flow: torch.Tensor, side_px: int) -> torch.Tensor:
    """Do as :func:`_median` with element-wise minima and maxima only, which a GPU does fast.

    Of any ``n // 2 + 2`` of the ``n`` values, the least and the greatest cannot be the median: they
    are dropped, the next value comes in, until three are left.
    """
    height, width = flow.shape[-2:]
    margin = side_px // 2
    wide = F.pad(flow, (margin, margin, margin, margin), mode="replicate")
    shifts = [
        wide[..., row : row + height, column : column + width]
        for row in range(side_px)
        for column in range(side_px)
    ]
    n_kept = len(shifts) // 2 + 2
    kept, waiting = shifts[:n_kept], shifts[n_kept:]
    while len(kept) > 1:
        kept = _without_extremes(kept)
        if waiting:
            kept.append(waiting.pop())
    return kept[0]


def _without_extremes(values: list[torch.Tensor]) -> list[torch.Tensor]:
    """Drop the least and the greatest of several values, element by element."""
    kept = list(values)
    last = len(kept) - 1

    def order(low: int, high: int) -> None:
        kept[low], kept[high] = torch.minimum(kept[low], kept[high]), torch.maximum(kept[low], kept[high])

    for index in range(len(kept) // 2):
        order(index, last - index)
    # The least is now in the first half and the greatest in the second; the middle counts to both.
    for index in range(1, (len(kept) + 1) // 2):
        order(0, index)
    for index in range(len(kept) // 2, last):
        order(index, last)
    return kept[1:-1]
