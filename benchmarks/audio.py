"""Sound: features, Griffin-Lim and noise reduction, ours beside the papers' tools.

    python -m benchmarks.audio

CPU-seconds of one thread for one clip, the fastest of several runs; what comes out is compared too.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import librosa
import noisereduce
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measure import fastest, machine, table
from foley.features.audio import RepresentationConfig, represent
from foley.preprocess.denoise import DenoiseConfig, denoise
from foley.synthesis.griffin_lim import griffin_lim

N_FFT, HOP, RATE_HZ = 256, 128, 44_100


def sound(duration_s: float) -> NDArray[np.float32]:
    """Hits that decay, over quiet noise."""
    rng = np.random.default_rng(0)
    n_samples = round(duration_s * RATE_HZ)
    decay = np.exp(-(np.arange(n_samples) % RATE_HZ) / (0.1 * RATE_HZ))
    return (rng.standard_normal(n_samples) * (0.3 * decay + 0.003)).astype(np.float32)


def by_torch(magnitude: NDArray[np.float32], n_iterations: int, n_samples: int) -> NDArray[np.float32]:
    """Griffin-Lim as PyTorch's transforms give it."""
    target, window = torch.from_numpy(magnitude), torch.hann_window(N_FFT)
    settings: dict[str, Any] = {"n_fft": N_FFT, "hop_length": HOP, "window": window, "center": True}
    spectrum = torch.polar(target, torch.zeros_like(target))
    for _ in range(n_iterations):
        waveform = torch.istft(spectrum, **settings, length=n_samples)
        rebuilt = torch.stft(waveform, **settings, pad_mode="reflect", return_complex=True)
        spectrum = target * rebuilt / (rebuilt.abs() + 1e-16)
    return torch.istft(spectrum, **settings, length=n_samples).numpy()


def convergence_db(waveform: NDArray[np.float32], magnitude: NDArray[np.float32]) -> float:
    """How far the waveform's magnitudes are from the wanted ones, dB of the wanted (lower is nearer)."""
    made = np.abs(librosa.stft(waveform, n_fft=N_FFT, hop_length=HOP, pad_mode="reflect"))
    return float(20 * np.log10(np.linalg.norm(made - magnitude) / np.linalg.norm(magnitude)))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    waveform = sound(chosen.seconds)
    magnitude = np.abs(librosa.stft(waveform, n_fft=N_FFT, hop_length=HOP, pad_mode="reflect"))
    kind = RepresentationConfig(kind="stft", n_fft=N_FFT, hop_length=HOP, duration_s=chosen.seconds)
    size = {"n_fft": N_FFT, "hop_length": HOP}

    def librosa_gl(n: int) -> NDArray[np.float32]:
        words: dict[str, Any] = {
            "momentum": 0.0,
            "init": None,
            "length": len(waveform),
            "pad_mode": "reflect",
        }
        return librosa.griffinlim(magnitude, n_iter=n, **size, **words)

    def ours_gl(n: int) -> NDArray[np.float32]:
        return griffin_lim(magnitude, **size, n_iterations=n, n_samples=len(waveform))

    tasks: list[tuple[str, str, Callable[[], Any]]] = [
        ("STFT features", "librosa", lambda: np.abs(librosa.stft(waveform, **size, pad_mode="reflect"))),
        ("STFT features", "ours (with scaling and resampling in time)", lambda: represent(waveform, kind)),
    ]
    for n in (16, 32):
        tasks += [
            (f"Griffin-Lim {n}", "librosa", lambda n=n: librosa_gl(n)),
            (f"Griffin-Lim {n}", "torch.stft", lambda n=n: by_torch(magnitude, n, len(waveform))),
            (f"Griffin-Lim {n}", "ours", lambda n=n: ours_gl(n)),
        ]
    for stationary in (True, False):
        what = f"noise reduction, {'' if stationary else 'non-'}stationary"
        method = "stationary" if stationary else "non_stationary"
        tasks += [
            (
                what,
                "noisereduce, its defaults",
                lambda s=stationary: noisereduce.reduce_noise(y=waveform, sr=RATE_HZ, stationary=s),
            ),
            (what, "ours", lambda m=method: denoise(waveform, RATE_HZ, DenoiseConfig(method=m))),
        ]
    rows: list[list[str | float | int]] = []
    reference_s = 0.0
    for what, who, function in tasks:
        seconds = fastest(function, chosen.repeats, time.process_time)
        if not rows or rows[-1][0] != what:
            reference_s = seconds
        quality = f"{convergence_db(function(), magnitude):.1f} dB" if "Griffin" in what else ""
        rows.append([what, who, 1000 * seconds, reference_s / seconds, quality])
    print(machine())
    print(table(["task", "route", "CPU ms a clip", "times as fast as the first", "distance"], rows))


if __name__ == "__main__":
    main()
