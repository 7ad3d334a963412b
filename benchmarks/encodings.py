"""How much of a sound each sound encoding keeps: the table of docs/encodings.md.

Run as ``python -m benchmarks.encodings``.
"""

import time
from collections.abc import Callable

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from foley.features.audio import RepresentationConfig, represent
from foley.synthesis.config import SynthesisConfig
from foley.synthesis.generate import to_waveform

Wave = NDArray[np.float32]
SMALL = {"duration_s": 3.0, "sample_rate_hz": 11_000, "n_fft": 512, "hop_length": 256, "n_frames": 128}
CQT = {"lowest_hz": 60.0, "bins_per_octave": 10}
SIZES: dict[str, dict[str, dict[str, object]]] = {
    "512 x 512 at 44 kHz": {kind: {} for kind in ("gan_stft", "gan_cqt", "gan_ms", "gan_lms", "gan_mfcc")},
    "64 x 128 at 11 kHz": {
        kind: {**SMALL, "channel_bins": 64, **(CQT if kind == "gan_cqt" else {})}
        for kind in ("gan_stft", "gan_cqt", "gan_ms", "gan_lms", "gan_mfcc")
    },
    "1024 x 128 at 16 kHz": {"if_mel": {}, "if_mel, complex": {"projection": "complex"}},
    "128 x 128 at 11 kHz": {
        "if_mel": {**SMALL, "channel_bins": 128},
        "if_mel, complex": {**SMALL, "channel_bins": 128, "projection": "complex"},
    },
}


def hits(n_samples: int, rate_hz: int) -> Wave:
    """Four decaying knocks, half tone, half noise."""
    rng = np.random.default_rng(0)
    t_s = np.arange(n_samples) / rate_hz
    sound = np.zeros(n_samples)
    for number, start_s in enumerate((0.3, 0.9, 1.4, 2.2)):
        since = t_s - start_s
        struck = np.sin(2 * np.pi * (400 + 200 * number) * since) + 0.5 * rng.standard_normal(n_samples)
        sound += (since >= 0) * np.exp(-np.maximum(since, 0) / 0.06) * struck * 0.4
    return sound.astype(np.float32)


def noise(n_samples: int, rate_hz: int) -> Wave:
    """White noise; the rate does not matter."""
    return 0.1 * np.random.default_rng(1).standard_normal(n_samples).astype(np.float32)


def snr_db(wanted: Wave, made: Wave) -> float:
    """Signal-to-noise ratio of a waveform."""
    return float(10 * np.log10(np.square(wanted).sum() / np.square(wanted - made).sum()))


def distance_db(wanted: Wave, made: Wave) -> float:
    """Mean distance of STFT levels where the wanted sound is within 60 dB of its loudest."""
    first, second = (np.abs(librosa.stft(one, n_fft=1024)) for one in (wanted, made))
    heard = first > first.max() * 1e-3
    return float(np.abs(20 * np.log10(np.maximum(second, 1e-5) / np.maximum(first, 1e-5)))[heard].mean())


def there_and_back(
    config: RepresentationConfig, n_iterations: int, make: Callable[[int, int], Wave]
) -> tuple[float, float, float, float]:
    """Signal-to-noise ratio and distance in dB, seconds there and seconds back."""
    settings, synthesis = config.settings, SynthesisConfig(n_iterations=n_iterations)
    sound = make(settings.n_samples, settings.sample_rate_hz)
    to_waveform(represent(sound, config), config, synthesis, np.random.default_rng(0))  # what is cached
    started = time.process_time()
    features = represent(sound, config)
    between = time.process_time()
    made = to_waveform(features, config, synthesis, np.random.default_rng(0))
    ended = time.process_time()
    return snr_db(sound, made), distance_db(sound, made), between - started, ended - between


def main() -> None:
    """Print the table as Markdown."""
    torch.set_num_threads(1)
    print("| size | kind | hits, phase | noise, phase | hits, no phase | noise, no phase | there | back |")
    print("|---|---|---|---|---|---|---|---|")
    for size, kinds in SIZES.items():
        for name, settings in kinds.items():
            kind = name.split(",")[0]
            cells = []
            for n_channels, n_iterations in ((2, 0), (1, 16)):
                if kind == "if_mel" and n_channels == 1:
                    cells += ["", ""]
                    continue
                config = RepresentationConfig(kind=kind, n_channels=n_channels, **settings)
                for make in (hits, noise):
                    snr, distance, there_s, back_s = there_and_back(config, n_iterations, make)
                    cells.append(f"{snr:.1f} / {distance:.1f}" if n_channels == 2 else f"{distance:.1f}")
            cells += [f"{1000 * there_s:.0f} ms", f"{1000 * back_s:.0f} ms"]
            print(f"| {size} | `{name}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
