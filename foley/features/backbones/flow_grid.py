"""Motion averaged over a grid of cells: a cheap look at optical flow that has nothing to learn.

For each of 4 x 4 cells of the picture the mean motion to the right, the mean motion down, and the mean
speed, in pixels of the flow's own maps from one picture to the next. Speed tells parts that move in
opposite directions from parts that rest.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from foley.features.backbones.base import WeightsFile

if TYPE_CHECKING:
    from foley.features.visual import BackboneConfig

N_CELLS = 4
"""Cells in a row, and in a column."""
DIM = 3 * N_CELLS**2
INPUT_PX = 96
NO_MOTION = 128.0
WEIGHTS = WeightsFile(source="none: nothing is learned", licence="none needed")


class FlowGrid(nn.Module):
    """Means over cells, row by row: motion to the right of each, then motion down, then speed.

    Parameters
    ----------
    bound_px : float
        Motion that maps store as 255.
    """

    px_per_step: torch.Tensor

    def __init__(self, bound_px: float) -> None:
        super().__init__()
        self.trunk = nn.AdaptiveAvgPool2d(N_CELLS)
        self.register_buffer("px_per_step", torch.tensor(2 * bound_px / 255))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Motion in maps: uint8 (batch, h, w, 2) to float32 (batch, 3 * n_cells), in pixels."""
        motion = (maps.permute(0, 3, 1, 2).float() - NO_MOTION) * self.px_per_step
        speed = motion.square().sum(dim=1, keepdim=True).sqrt()
        cells: torch.Tensor = self.trunk(torch.cat([motion, speed], dim=1))
        return cells.flatten(1)


def build_for_flow(config: "BackboneConfig", bound_px: float) -> nn.Module:
    """Build the network for optical flow whose maps store ``bound_px`` as 255; see :class:`FlowGrid`.

    Of `config` nothing matters here: there are no weights.
    """
    return FlowGrid(bound_px).eval()
