"""SampleRNN: how quickly sound is drawn, sample by sample, cached and without a cache.

    python -m benchmarks.samplernn
    python -m benchmarks.samplernn --device cuda

Weights are random, which changes no time. A few hundred samples tell what a second takes; several
clips at once cost little more than one. Without a cache every sample would need the whole clip before
it: the last rows are what teacher forcing takes for as many samples at once.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.measure import fastest, machine, table
from foley.models.samplernn import SampleRNN, SampleRNNConfig, draw

SIZES = {
    "embedded (64 units), 5504 Hz": (SampleRNNConfig(n_units=64, n_embedded=16), 5504.0),
    "paper (1024 units), 15,974.4 Hz": (SampleRNNConfig(), 15974.4),
}


def drawing_seconds(network: SampleRNN, n_clips: int, n_samples: int, device: str, repeats: int) -> float:
    """Seconds to draw `n_samples` samples of each of `n_clips` clips."""
    generator = torch.Generator(device).manual_seed(0)
    return _fastest(
        lambda: draw(network, network.start(n_clips), n_samples, generator), torch.device(device), repeats
    )


def forced_seconds(network: SampleRNN, n_clips: int, n_samples: int, device: str, repeats: int) -> float:
    """Seconds for the likelihood of as many recorded samples, of all at once."""
    shape = (n_clips, network.n_context + n_samples)
    levels = torch.randint(network.config.n_levels, shape, device=device)
    return _fastest(lambda: network.nats(levels, network.start(n_clips)), torch.device(device), repeats)


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
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32], help="clips at once")
    parser.add_argument("--samples", type=int, default=256, help="drawn of each clip")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows: list[list[str | float | int]] = []
    for name, (config, rate_hz) in SIZES.items():
        network = SampleRNN(config).to(chosen.device).eval()
        for what, seconds in (("drawn", drawing_seconds), ("likelihood", forced_seconds)):
            for n_clips in chosen.batch:
                took = seconds(network, n_clips, chosen.samples, chosen.device, chosen.repeats)
                per_s = n_clips * chosen.samples / took
                rows.append([name, what, n_clips, per_s, per_s / rate_hz])
    print(f"{machine()}; {chosen.device}, one thread of the CPU")
    print(table(["size", "what", "clips at once", "samples a second", "times as fast as it sounds"], rows))


if __name__ == "__main__":
    main()
