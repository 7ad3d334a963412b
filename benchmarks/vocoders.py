"""Vocoders: how quickly each makes sound of a mel spectrogram.

    python -m benchmarks.vocoders
    python -m benchmarks.vocoders --device cuda

Weights are random, which changes no time. Griffin-Lim starts at the mel spectrogram, too: its time
holds the search for magnitudes. WaveNet draws sample by sample, so that a few hundred samples tell
what a second takes; several clips at once cost little more than one.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.measure import fastest, machine, table
from foley.features.audio import RepresentationConfig, represent
from foley.models.layers import logistic_mixture
from foley.models.vocoders import hifigan, wavenet
from foley.models.vocoders.base import without_norms
from foley.synthesis.config import SynthesisConfig
from foley.synthesis.generate import to_waveform

SMALL_HIFIGAN = hifigan.Config(
    n_channels=64,
    upsampling=(8, 8, 4),
    kernels=(3, 7),
    dilations=((1, 3), (1, 3)),
    paired=False,
    noise=True,
    adversarial=False,
)
SMALL_WAVENET = wavenet.Config(n_layers=12, n_cycles=2, n_residual=32, n_gate=64, n_skip=32)


def hifigan_seconds(config: hifigan.Config, spectrogram: torch.Tensor, repeats: int) -> float:
    """Seconds for a batch of spectrograms (batch, n_mels, n_frames)."""
    network = without_norms(hifigan.Generator(config)).to(spectrogram.device).eval()
    generator = torch.Generator(spectrogram.device).manual_seed(0)
    return _fastest(lambda: network(spectrogram, generator), spectrogram.device, repeats)


def wavenet_seconds(config: wavenet.Config, spectrogram: torch.Tensor, n_samples: int) -> float:
    """Seconds for `n_samples` samples of each clip of a batch (batch, n_mels, n_frames)."""
    network = without_norms(wavenet.WaveNet(config)).to(spectrogram.device).eval()
    generator = torch.Generator(spectrogram.device).manual_seed(0)
    stepper = wavenet.Stepper(network, spectrogram)
    before = torch.zeros(len(spectrogram), device=spectrogram.device)

    def draw() -> None:
        made = before
        for _ in range(n_samples):
            made = logistic_mixture.draw(stepper.step(made)[:, :, None], generator)[:, 0]

    return _fastest(draw, spectrogram.device, 1)


@torch.no_grad()
def _fastest(function: Callable[[], Any], device: torch.device, repeats: int) -> float:
    if device.type == "cpu":
        return fastest(function, repeats, time.process_time)

    def waited() -> None:
        function()
        torch.cuda.synchronize(device)

    return fastest(waited, repeats, time.perf_counter)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a clip")
    parser.add_argument("--batch", type=int, default=32, help="clips at once, for the second rows of WaveNet")
    parser.add_argument("--samples", type=int, default=256, help="that WaveNet draws of each clip")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    mel = RepresentationConfig(kind="mel", duration_s=chosen.seconds, n_frames=None)
    settings = mel.settings
    sound = np.random.default_rng(0).standard_normal(settings.n_samples).astype(np.float32) / 10
    features = represent(sound, mel)
    one = torch.from_numpy(features)[None].to(chosen.device)
    many = one.expand(chosen.batch, -1, -1).contiguous()
    rate_hz = settings.sample_rate_hz
    rows: list[list[str | float | int]] = []

    def add(name: str, n_clips: int, seconds: float, n_samples: int) -> None:
        per_s = n_clips * n_samples / seconds
        rows.append([name, n_clips, per_s, per_s / rate_hz])

    def inverted(n: int) -> Callable[[], Any]:
        words = SynthesisConfig(n_iterations=n)
        return partial(to_waveform, features, mel, words, np.random.default_rng(0))

    for n in (16, 32):
        seconds = fastest(inverted(n), chosen.repeats, time.process_time)
        add(f"Griffin-Lim, {n} iterations (CPU)", 1, seconds, settings.n_samples)
    n_made = features.shape[1] * settings.hop_length
    for name, gan in (("HiFi-GAN, small", SMALL_HIFIGAN), ("HiFi-GAN V1", hifigan.Config(adversarial=False))):
        add(name, 1, hifigan_seconds(gan, one, chosen.repeats), n_made)
    for name, net in (("WaveNet, small", SMALL_WAVENET), ("WaveNet, released", wavenet.Config())):
        add(name, 1, wavenet_seconds(net, one, chosen.samples), chosen.samples)
        add(name, chosen.batch, wavenet_seconds(net, many, chosen.samples), chosen.samples)
    print(f"{machine()}; {chosen.device}, one thread of the CPU")
    header = ["vocoder", "clips at once", "samples a second", "times as fast as it sounds"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
