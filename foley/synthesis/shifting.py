"""The same clip with a picture that comes later: what metric ``shift`` compares a sound with."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from foley.models.base import Batch
from foley.store.manifests import Clip
from foley.synthesis.config import ShiftConfig


def shifted(batch: Batch, visual_hz: Sequence[float], by_s: float) -> Batch:
    """Give clips a picture that comes later: its first step is held, its end is lost.

    Parameters
    ----------
    batch : Batch
    visual_hz : sequence of float
        Steps per second of each visual feature.
    by_s : float
        How much later, in seconds; rounded to whole steps.
    """
    moved = []
    for values, steps_per_s in zip(batch.visual, visual_hz, strict=True):
        n = min(round(by_s * steps_per_s), values.shape[1] - 1)
        moved.append(torch.cat([values[:, :1].expand(-1, n, -1), values[:, : values.shape[1] - n]], dim=1))
    return replace(batch, visual=tuple(moved))


def is_shifted(row: Clip, shift: ShiftConfig | None) -> bool:
    """Whether a second sound is made of this clip."""
    return shift is not None and row.split == "test" and (not shift.labels or row.label in shift.labels)
