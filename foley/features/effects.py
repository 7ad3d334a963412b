"""An embedding of sound effects, for distances that owe nothing to the data that is judged.

The network of Ma and Lerch (ISMIR 2022), trained on commercial sound-effects libraries: four blocks of
two 3 x 3 convolutions on a mel spectrogram, then the mean over bands and the maximum over time, 512 values
a clip. Its weights come in the package ``aisfx`` 0.1.2 (CC-BY 4.0), whose code is not imported: the package
pins old versions of what it needs. Read from it: 44,100 Hz, the clip's peak raised to 1, 96 mel bands (HTK,
unit sum, 0 to 22,050 Hz) of the power spectrum, Hann window of 2048 every 1024, and
``log10(10^4 x + 1) / 9.4578``. The authors cut blocks of 100 frames; here a clip is one block.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from foley.errors import ConfigError
from foley.features.audio import resampled
from foley.features.backbones.base import WeightsFile, packaged_weights

SAMPLE_RATE_HZ = 44_100
DIM = 512
_N_FFT, _HOP, _N_MELS = 2048, 1024, 96
_GAIN, _TOP = 1e4, 9.457798957824707
_WIDTHS = (64, 128, 256, 512)
_PREFIX = "embedding_net."
WEIGHTS = WeightsFile(
    source="models/checkpoint.pth of the package aisfx 0.1.2 (install it without its dependencies: "
    "pip install --no-deps aisfx)",
    licence="CC-BY 4.0",
    package="aisfx",
    file="models/checkpoint.pth",
    sha256="499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5",
)


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.pool = pool

    def forward(self, values: Tensor) -> Tensor:
        inner = functional.relu(self.bn1(self.conv1(values)))
        return functional.max_pool2d(functional.relu(self.bn2(self.conv2(inner))), self.pool)


class EffectsEmbedding(nn.Module):
    """The network and its input.

    Parameters
    ----------
    basis : Tensor of float32, shape (96, 1025)
        Mel bands.
    """

    basis: Tensor

    def __init__(self, basis: Tensor) -> None:
        super().__init__()
        n_ins = (1, *_WIDTHS[:-1])
        for number, (n_in, n_out) in enumerate(zip(n_ins, _WIDTHS, strict=True), start=1):
            self.add_module(f"conv_block{number}", _Block(n_in, n_out, pool=1 if n_out == DIM else 2))
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("window", torch.hann_window(_N_FFT), persistent=False)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Embed spectrograms (batch, n_frames, 96), 8 frames at least: (batch, 512)."""
        values = spectrogram[:, None]
        for number in range(1, 1 + len(_WIDTHS)):
            values = self.get_submodule(f"conv_block{number}")(values)
        return values.mean(dim=3).amax(dim=2)

    def spectrogram(self, waveform: NDArray[Any], sample_rate_hz: int) -> Tensor:
        """Input for one clip.

        Parameters
        ----------
        waveform : ndarray of float, shape (n_samples,)
            Mono; resampled where its rate is another than 44,100 Hz.
        sample_rate_hz : int
            Its rate.

        Returns
        -------
        Tensor of float32, shape (n_frames, 96)
            0 for silence.
        """
        sound = resampled(np.asarray(waveform, dtype=np.float32), sample_rate_hz, SAMPLE_RATE_HZ)
        peak = float(np.abs(sound).max(initial=0.0))
        values = torch.from_numpy(sound / peak if peak > 0 else sound).to(self.basis.device)
        window = self.get_buffer("window")
        spectrum = torch.stft(
            values, _N_FFT, _HOP, window=window, center=True, pad_mode="constant", return_complex=True
        )
        power = self.basis @ spectrum.abs().square()
        return torch.log10(power * _GAIN + 1).T / _TOP

    @torch.no_grad()
    def embed(self, waveform: NDArray[Any], sample_rate_hz: int) -> NDArray[np.float32]:
        """Embedding of one clip, (512,); see :meth:`spectrogram`."""
        return np.asarray(self(self.spectrogram(waveform, sample_rate_hz)[None])[0].cpu().numpy())


def load_effects(device: str = "cpu") -> EffectsEmbedding:
    """Load the trained network.

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    EffectsEmbedding
        In evaluation mode.

    Raises
    ------
    ConfigError
        If the package with the weights is missing, or its file is another; says what to install.
    """
    # Here and not above: loading librosa takes a second, which only this needs.
    from foley.features.librosa_shim import librosa

    path = packaged_weights(WEIGHTS, "the effects embedding (metric fad)")
    basis = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=_N_FFT, n_mels=_N_MELS, fmin=0, htk=True, norm=1)
    network = EffectsEmbedding(torch.from_numpy(basis))
    # The file holds a few NumPy numbers beside the tensors, under NumPy's name before version 2.
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    kinds = [type(np.dtype(name)) for name in ("i8", "f8")]
    known: list[Any] = [(scalar, "numpy.core.multiarray.scalar"), np.dtype, *kinds]
    with torch.serialization.safe_globals(known):
        state, _ = torch.load(path, map_location="cpu", weights_only=True)
    own = {name.removeprefix(_PREFIX): values for name, values in state.items() if name.startswith(_PREFIX)}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise ConfigError(
            f"{path}: is not the network it should be ({error}); get {WEIGHTS.source}"
        ) from error
    return network.to(device).eval()
