"""In-between pictures on an accelerator, many at once: :func:`foley.preprocess.flow.between` in PyTorch.

The search for motion stays with OpenCV on the CPU, a small part of the work; everything that is done
once a picture happens here in batches. Coordinates are rounded to 1/32 pixel and values to whole
levels in the same places as there: 99.5 % of all values differ from OpenCV's by at most one level of
255, and the mean difference is below 0.05 levels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from foley.preprocess.flow import SHIFT, Motion, PairFlow, Picture, Source


def between_all(
    pairs: Sequence[PairFlow], shares: Sequence[float], *, device: str, batch_size: int = 64
) -> Picture:
    """Make pictures between pictures in batches.

    Parameters
    ----------
    pairs : sequence of PairFlow
        From :func:`foley.preprocess.flow.estimate`, of one size; at least one. A pair is named
        once for every picture that is made of it.
    shares : sequence of float
        How far each picture is on the way from its pair's first (0) to the second (1).
    device : str
        PyTorch's name of the accelerator, or ``cpu``.
    batch_size : int
        Pictures at once; 64 of 224 px take about 0.5 GB.

    Returns
    -------
    ndarray of uint8, shape (len(pairs), h, w, 3)
        RGB.
    """
    with torch.inference_mode():
        scene = _Scene(list({id(pair): pair for pair in pairs}.values()), device)
        made = [
            scene.draw(pairs[start : start + batch_size], shares[start : start + batch_size]).cpu()
            for start in range(0, len(pairs), batch_size)
        ]
        return np.asarray(torch.cat(made).numpy())


class _Scene:
    """Pictures and motion of all pairs, on the device."""

    def __init__(self, pairs: Sequence[PairFlow], device: str) -> None:
        sources: dict[int, Source] = {}
        for pair in pairs:
            sources.update({id(pair.first): pair.first, id(pair.second): pair.second})
        order = {key: index for index, key in enumerate(sources)}
        self.device = device
        self.rows = {id(pair): row for row, pair in enumerate(pairs)}
        self.ends = torch.tensor([[order[id(p.first)], order[id(p.second)]] for p in pairs], device=device)
        self.pictures = self._moved(np.stack([source.picture for source in sources.values()]))
        self.sharpened = self._moved(np.stack([source.sharpened for source in sources.values()]))
        small = next(iter(sources.values())).grey.shape
        self.maps = self._moved(np.stack([_maps(pair.motion, small) for pair in pairs]))

    def _moved(self, arrays: NDArray[Any]) -> Tensor:
        """Channels before rows and columns, on the device."""
        return torch.from_numpy(arrays).to(self.device).permute(0, 3, 1, 2).contiguous()

    def draw(self, pairs: Sequence[PairFlow], shares: Sequence[float]) -> Tensor:
        """Pictures of some of the pairs, uint8 (n, h, w, 3)."""
        chosen = torch.tensor([self.rows[id(pair)] for pair in pairs], device=self.device)
        moments = [_moment(pair, share) for pair, share in zip(pairs, shares, strict=True)]
        share, instant = (
            torch.tensor(column, dtype=torch.float32, device=self.device)[:, None, None, None]
            for column in zip(*moments, strict=True)
        )
        first, second = self.ends[chosen].unbind(1)
        blended = _mixed(self.pictures[first].float(), self.pictures[second].float(), share)

        maps = self.maps[chosen]
        maps = _read(maps, (0.5 - instant) * maps[:, :2])
        maps[:, 2:].round_()
        scale = blended.shape[2] / maps.shape[2]
        maps = functional.interpolate(maps, blended.shape[2:], mode="bilinear")
        flow = maps[:, :2] * scale
        trust, hidden_early, hidden_late = maps[:, 2:].round()[:, :, None].unbind(1)
        early = _read(self.sharpened[first].float(), -SHIFT - share * flow).round()
        late = _read(self.sharpened[second].float(), -SHIFT + (1 - share) * flow).round()
        carried = _mixed(early, late, share)
        carried = torch.where(hidden_early > 127, late, carried)
        carried = torch.where(hidden_late > 127, early, carried)
        made = (carried * trust / 255).round() + (blended * (255 - trust) / 255).round()
        pictures: Tensor = made.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
        return pictures


def _maps(motion: Motion | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Motion in x and y, trust, hidden in the first, hidden in the second; float32 (h, w, 5)."""
    maps = np.zeros((*shape, 5), dtype=np.float32)
    if motion is not None:
        maps[..., :2], maps[..., 2] = motion.flow, motion.trust
        if motion.hidden is not None:
            maps[..., 3:] = motion.hidden
    return maps


def _moment(pair: PairFlow, share: float) -> tuple[float, float]:
    """Share of the second picture, and the instant whose motion is used."""
    if pair.relation == "cut":
        share = float(share >= 0.5)
    share = min(max(share, 0.0), 1.0)
    moves = pair.motion is not None and 0 < share < 1
    return share, pair.motion.instant(share) if moves and pair.motion is not None else 0.5


def _mixed(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    return ((1 - share) * first + share * second).round()


def _read(values: Tensor, offset: Tensor) -> Tensor:
    """Values `offset` pixels (x, y) from every pixel, read linearly; edges continue.

    Parameters
    ----------
    values : Tensor, shape (n, c, h, w)
    offset : Tensor, shape (n, 2, h, w)
    """
    height, width = values.shape[2:]
    y = torch.arange(height, device=values.device, dtype=torch.float32)[:, None]
    x = torch.arange(width, device=values.device, dtype=torch.float32)
    places = torch.stack([offset[:, 0] + x, offset[:, 1] + y], dim=-1)
    places = (places * 32).round() / 32  # as OpenCV's maps
    size = torch.tensor([width - 1, height - 1], device=values.device, dtype=torch.float32)
    return functional.grid_sample(
        values, 2 * places / size - 1, mode="bilinear", padding_mode="border", align_corners=True
    )
