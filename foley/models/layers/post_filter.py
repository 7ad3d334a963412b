"""A learned filter after a generator: takes away what its upsampling leaves in every sound.

WaveGAN's post-processing filter (``wavegan.py`` of github.com/chrisdonahue/wavegan, 40e85e8): one
convolution of the whole waveform with 512 learned taps, without bias, after the tanh, as long as the
sound. TensorFlow's ``SAME`` alignment: of an even number of taps, one more lies after the sample than
before it.

FoleyGAN (section V-B) adds a "post-processing filter of 512 length to the generator output", which is a
spectrogram: the filter works on the sound that the inverse transform makes of it
(:class:`LevelFilter`), or along the time of every row (:class:`RowFilter`).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from foley.features.representations.levels import Levels

_FAINTEST = 1e-12
"""Power of the response under which it is taken to be no fainter: 120 dB of damping."""


class PostFilter(nn.Module):
    """Finite impulse response filter that starts as the identity.

    Parameters
    ----------
    n_taps : int
        Length; the papers' 512.

    Raises
    ------
    ValueError
        If there is no tap.
    """

    def __init__(self, n_taps: int = 512) -> None:
        super().__init__()
        if n_taps < 1:
            raise ValueError(f"a filter needs at least one tap, got {n_taps}")
        self.before = (n_taps - 1) // 2
        self.after = n_taps - 1 - self.before
        taps = torch.zeros(1, 1, n_taps)
        taps[0, 0, self.before] = 1
        self.taps = nn.Parameter(taps)

    def forward(self, waveform: Tensor) -> Tensor:
        """Filter `waveform`, (batch, n_samples) or (batch, 1, n_samples), zeros around it; same shape."""
        single = waveform.dim() == 2
        values = waveform[:, None] if single else waveform
        made = functional.conv1d(functional.pad(values, (self.before, self.after)), self.taps)
        return made[:, 0] if single else made

    def response(self, frequencies: Tensor) -> Tensor:
        """Frequency response at `frequencies`, (...) in turns a sample: complex, (...)."""
        places = torch.arange(-self.before, self.after + 1, device=frequencies.device)
        turned = 2 * math.pi * frequencies[..., None] * places
        waves = torch.polar(torch.ones_like(turned), turned)
        found: Tensor = waves @ self.taps.flatten().to(waves.dtype)
        return found


class RowFilter(PostFilter):
    """The same filter along the time of every row of a spectrogram."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Filter (batch, n_channels, n_rows, n_frames), zeros around it; same shape."""
        return super().forward(pictures.flatten(0, 2)).view_as(pictures)


class LevelFilter(PostFilter):
    """What the filter does to the sound, seen in its spectrogram of levels.

    A filter shorter than the window multiplies the spectrum of every frame by its frequency response H
    (the multiplicative transfer function approximation): it adds ``20 log10 |H|`` dB to a row, the power
    of H taken as the mean over the row's band, and the angle of H to the row's phase, which stays within
    half a turn. The tap that the identity has counts as no delay. Values may leave the picture's range,
    and what was silent (the least level) does not stay so under amplification: it is an approximation
    for what lies above the floor.

    Parameters
    ----------
    n_taps : int
        Length.
    levels : Levels
        What the rows are.
    sample_rate_hz : int
    n_rows : int
        Rows of the pictures; if others than the levels', they are means of the levels' rows.
    target_range : pair of float
        Values of the levels that -1 and 1 of a picture stand for.

    Notes
    -----
    The taps alone are stored; all else follows from the parameters.
    """

    bands: Tensor
    phases: Tensor
    shares: Tensor

    def __init__(
        self,
        n_taps: int,
        levels: Levels,
        *,
        sample_rate_hz: int,
        n_rows: int,
        target_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__(n_taps)
        low, high = target_range
        self.per_unit = 2 / (high - low)  # of a picture, in one of the target
        self.middle = -(low + high) / (high - low)  # the picture's value of a phase of 0
        self.per_db = self.per_unit / levels.db_per_unit
        made = {
            "bands": torch.tensor(levels.bands_hz) / sample_rate_hz,
            "phases": torch.tensor(levels.phases_hz) / sample_rate_hz,
            "shares": functional.adaptive_avg_pool1d(torch.eye(len(levels.bands_hz)), n_rows),
        }
        for name, value in made.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Filter (batch, n_channels, n_rows, n_frames): levels, phases if any, and what is left alone."""
        level, *others = pictures.unbind(dim=1)
        power = torch.view_as_real(self.response(self.bands)).square().sum(dim=-1).mean(dim=1)
        gain_db = 10 * torch.log10(power.clamp(min=_FAINTEST))
        made = [level + self._averaged(gain_db)[:, None] * self.per_db]
        if others:
            angle = torch.angle(self._averaged(self.response(self.phases)))
            phase = others.pop(0) + angle[:, None] / math.pi * self.per_unit
            turn = 2 * self.per_unit
            made.append(phase - turn * torch.round((phase - self.middle) / turn))
        return torch.stack([*made, *others], dim=1)

    def _averaged(self, values: Tensor) -> Tensor:
        """One value a row of the levels, as one a row of the pictures."""
        return (values[:, None] * self.shares).sum(dim=0)
