"""A learned filter after a generator: takes away what its upsampling leaves in every sound.

WaveGAN's post-processing filter (``wavegan.py`` of github.com/chrisdonahue/wavegan, 40e85e8): one
convolution of the whole waveform with 512 learned taps, without bias, after the tanh, as long as the
sound. FoleyGAN (section III-C.2) puts a "filter of 512 length" after its generator; the inverse
transform gives the waveform it works on. TensorFlow's ``SAME`` alignment: of an even number of taps,
one more lies after the sample than before it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


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
