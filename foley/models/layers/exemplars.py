"""Remembered stretches of recorded sound, found again by what they look like in a representation.

Example-based synthesis as Owens et al. (CVPR 2016) describe it for single hits: a window is centred on a
hit, the nearest window of the training clips is looked for, and its recorded sound is put in the place.
The paper's windows last 0.5 s (45 frames of 90 Hz). Clips here hold many hits, or sounds that go on,
so that windows are laid over the whole clip: one is centred on every onset, and where onsets lie
further apart than a window is long, more are spread evenly in between (:func:`window_centres`). Each
window sounds as far as the middle between its centre and the next one's; neighbours are cross-faded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_FULL_SCALE = 32767
_FADE_S = 0.01
_AT_ONCE = 256
"""Windows that are compared with all remembered ones in one go."""


@dataclass(frozen=True)
class Windows:
    """How windows are laid over a clip.

    Parameters
    ----------
    n_frames : int
        Length of a window in frames of the representation.
    onset_rise : float or None
        An onset is a frame whose mean over the bands exceeds the last frame's by this share of the greatest
        such rise in the clip, and is the steepest within half a window; ``None`` lays windows side by side
        from the clip's start, onsets or not.
    """

    n_frames: int
    onset_rise: float | None


def onset_frames(spectrogram: Tensor, windows: Windows) -> list[int]:
    """Frames at which a sound sets in.

    Parameters
    ----------
    spectrogram : Tensor, (n_bins, n_frames)
    windows : Windows
        With an `onset_rise`.

    Returns
    -------
    list of int
        Rising, at least a quarter of a window apart.
    """
    rise = spectrogram.mean(dim=0).diff().clamp(min=0)
    if rise.numel() == 0 or windows.onset_rise is None or float(rise.max()) <= 0:
        return []
    reach = max(1, windows.n_frames // 4)
    steepest = functional.max_pool1d(rise[None], 2 * reach + 1, stride=1, padding=reach)[0]
    peaks = (rise == steepest) & (rise >= windows.onset_rise * rise.max())
    found: list[int] = []
    for frame in (peaks.nonzero()[:, 0] + 1).tolist():
        if not found or frame - found[-1] > reach:  # of equal rises the first
            found.append(frame)
    return found


def window_centres(spectrogram: Tensor, windows: Windows) -> list[int]:
    """Frames that windows are centred on, so that together they reach over the whole clip.

    Parameters
    ----------
    spectrogram : Tensor, (n_bins, n_frames)
    windows : Windows

    Returns
    -------
    list of int
        Rising, at least one.

    Examples
    --------
    >>> window_centres(torch.zeros(3, 20), Windows(8, None))
    [4, 12, 20]
    >>> window_centres(torch.zeros(3, 20), Windows(8, 0.5))
    [3, 10, 17]
    """
    n_frames, width = spectrogram.shape[1], windows.n_frames
    if windows.onset_rise is None:
        return list(range(width // 2, n_frames + width // 2, width))
    anchors = [-(width // 2), *onset_frames(spectrogram, windows), n_frames + width // 2]
    centres = []
    for before, after in pairwise(anchors):
        n_gaps = max(1, -(-(after - before) // width))
        between = [before + round(number * (after - before) / n_gaps) for number in range(1, n_gaps)]
        centres += [*between, after]
    return centres[:-1]


def cut_windows(values: Tensor, centres: Sequence[int], width: int) -> Tensor:
    """Cut windows out of a clip, silence beyond its ends.

    Parameters
    ----------
    values : Tensor, (..., n)
    centres : sequence of int
        Each within half a window of the clip.
    width : int

    Returns
    -------
    Tensor, (n_windows, ..., width)
    """
    padded = functional.pad(values, (width, width))
    starts = [centre - width // 2 + width for centre in centres]
    return torch.stack([padded[..., start : start + width] for start in starts])


class Exemplars(nn.Module):
    """Windows of training clips: their representation and their recorded sound.

    Everything is stored with the model, so that a trained model needs nothing else: the representation
    in half precision, the sound in 16 bits.

    Parameters
    ----------
    windows : Windows
    sample_rate_hz : int
    samples_per_frame : float
        Of the sound, in a frame of the representation.
    most : int
        Windows that are kept at most; of more, evenly spaced ones are.
    """

    features: Tensor
    sounds: Tensor
    labels: Tensor

    def __init__(self, windows: Windows, *, sample_rate_hz: int, samples_per_frame: float, most: int) -> None:
        super().__init__()
        self.windows, self.most = windows, most
        self.samples_per_frame = samples_per_frame
        n_samples = round(windows.n_frames * samples_per_frame)
        self.n_fade = min(round(_FADE_S * sample_rate_hz), n_samples // 4)
        # A little more than the window on both sides: what neighbours that just meet fade over.
        self.n_samples = n_samples + 2 * (self.n_fade // 2 + 1)
        self.register_buffer("features", torch.zeros(0, 0, windows.n_frames, dtype=torch.float16))
        self.register_buffer("sounds", torch.zeros(0, self.n_samples, dtype=torch.int16))
        self.register_buffer("labels", torch.zeros(0, dtype=torch.long))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *more: Any) -> None:
        """Take as many windows as were kept."""
        for name in ("features", "sounds", "labels"):
            if (kept := state_dict.get(prefix + name)) is not None:
                setattr(self, name, torch.empty_like(kept, device=self.labels.device))
        super()._load_from_state_dict(state_dict, prefix, *more)

    def remember(self, clips: Iterable[tuple[Tensor, Tensor, int]]) -> None:
        """Keep the windows of clips, in place of what was kept.

        Parameters
        ----------
        clips : iterable of (Tensor, Tensor, int)
            Representation (n_bins, n_frames), sound (n_samples,) in [-1, 1], class; in a fixed order.
        """
        features, sounds, labels = [], [], []
        for spectrogram, sound, label in clips:
            centres = window_centres(spectrogram, self.windows)
            features.append(cut_windows(spectrogram, centres, self.windows.n_frames).half())
            quantised = (sound.clamp(-1, 1) * _FULL_SCALE).round().to(torch.int16)
            sounds.append(cut_windows(quantised, self._in_samples(centres), self.n_samples))
            labels += [label] * len(centres)
        device = self.labels.device
        count = len(labels)
        kept = torch.arange(count) if count <= self.most else torch.arange(self.most) * count // self.most
        self.features = torch.cat(features)[kept.to(features[0].device)].to(device)
        self.sounds = torch.cat(sounds)[kept.to(sounds[0].device)].to(device)
        self.labels = torch.tensor(labels)[kept].to(device)

    def _in_samples(self, frames: Sequence[int]) -> list[int]:
        return [round(frame * self.samples_per_frame) for frame in frames]

    def nearest(self, wanted: Tensor, label: int | None = None) -> Tensor:
        """Index of the window whose representation is nearest, by squared distance.

        Parameters
        ----------
        wanted : Tensor, (n, n_bins, n_frames)
        label : int, optional
            Only windows of this class, if there are any.

        Returns
        -------
        Tensor of int, (n,)
            Of equally near ones the first.
        """
        allowed = (
            self.labels == label if label is not None else torch.ones_like(self.labels, dtype=torch.bool)
        )
        if not bool(allowed.any()):
            allowed = torch.ones_like(allowed)
        indices = allowed.nonzero()[:, 0]
        kept = self.features[indices].float().flatten(1)
        found = []
        for some in torch.split(wanted.flatten(1), _AT_ONCE):
            # Without the part that is the same for all remembered windows.
            found.append((kept.square().sum(dim=1) - 2 * some @ kept.T).argmin(dim=1))
        return indices[torch.cat(found)]

    def answer(self, spectrogram: Tensor, n_samples: int, label: int | None = None) -> Tensor:
        """Put recorded sound together that looks like a clip's representation.

        Parameters
        ----------
        spectrogram : Tensor, (n_bins, n_frames)
        n_samples : int
            Length of the clip's sound.
        label : int, optional
            Only sound of this class, if there is any.

        Returns
        -------
        Tensor, (n_samples,)
            In [-1, 1]; silence where nothing is remembered.
        """
        made = torch.zeros(n_samples + 2 * self.n_samples, device=spectrogram.device)
        if not len(self.labels):
            return made[:n_samples]
        centres = window_centres(spectrogram, self.windows)
        chosen = self.nearest(cut_windows(spectrogram, centres, self.windows.n_frames), label)
        places = self._in_samples(centres)
        edges = [-self.n_samples, *((one + other) // 2 for one, other in pairwise(places))]
        edges.append(n_samples + self.n_samples)
        for place, index, (first, last) in zip(places, chosen.tolist(), pairwise(edges), strict=True):
            start = place - self.n_samples // 2
            sound = self.sounds[index].to(made.dtype) / _FULL_SCALE * self._gain(start, first, last)
            made[start + self.n_samples :][: self.n_samples] += sound
        return made[self.n_samples :][:n_samples].clamp(-1, 1)

    def _gain(self, start: int, first: int, last: int) -> Tensor:
        """Of a window from sample `start` that sounds from `first` to `last`: ramps that add up to 1."""
        place = start + torch.arange(self.n_samples, device=self.sounds.device) + 0.5
        rising = ((place - first) / self.n_fade + 0.5).clamp(0, 1)
        falling = ((last - place) / self.n_fade + 0.5).clamp(0, 1)
        return torch.minimum(rising, falling)
