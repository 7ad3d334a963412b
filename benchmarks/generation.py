"""Systems that make samples straight from pictures: how long a second of sound takes.

    python -m benchmarks.generation
    python -m benchmarks.generation --device cuda --system v2ra --seconds 1 10

Systems have their own default settings, which are the papers' sizes. Weights are random, which
changes no time. The time is that from visual features to samples: looking at the pictures comes on
top, and is measured by ``benchmarks.picture_path``.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.measure import fastest, machine, table
from foley.models.base import Batch, DataSpec, System
from foley.training.checkpoint import build_system


def spec_of(seconds: float, *, sample_rate_hz: int, visual_hz: float, dim: int) -> DataSpec:
    """Shapes of one visual feature and of sound, `seconds` long; the representation has one bin."""
    return DataSpec(
        classes=("sound",),
        visual_dims=(dim,),
        n_visual_steps=(round(seconds * visual_hz),),
        visual_hz=(visual_hz,),
        n_bins=1,
        n_audio_frames=1,
        sample_rate_hz=sample_rate_hz,
        duration_s=seconds,
    )


def generation_seconds(system: System, repeats: int, device: str) -> float:
    """Time one prediction of one clip.

    Parameters
    ----------
    system : System
        Makes waveforms; in evaluation mode, on `device`.
    repeats : int
        The shortest of as many counts, after one that warms up.
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    float
        CPU-seconds, or seconds on the clock with a GPU.

    Raises
    ------
    SystemExit
        If the system makes no waveform.
    """
    spec = system.spec
    features = np.random.default_rng(0).random((1, spec.n_visual_steps[0], spec.visual_dims[0]))
    batch = Batch(
        visual=(torch.from_numpy(features.astype(np.float32)).to(device),),
        labels=torch.zeros(1, dtype=torch.long, device=device),
    )
    generator = torch.Generator(device).manual_seed(0)

    @torch.no_grad()
    def predict() -> torch.Tensor | None:
        made = system.predict(batch, generator).waveform
        if device == "cuda":
            torch.cuda.synchronize()
        return made

    made = predict()
    if made is None:
        raise SystemExit("this system makes no waveform by itself")
    if made.shape != (1, spec.n_samples):
        raise SystemExit(f"{tuple(made.shape)} samples in place of {spec.n_samples}")
    clock: Callable[[], float] = time.process_time if device == "cpu" else time.perf_counter
    return fastest(predict, repeats, clock)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--system", default="v2ra", help="entry of systems in foley/registry.py")
    parser.add_argument("--model", default="{}", help="settings of the system's Config, as JSON")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--seconds", type=float, nargs="+", default=[1.0, 10.0], help="lengths of the clip")
    parser.add_argument("--sample-rate-hz", type=int, default=44_100)
    parser.add_argument("--visual-hz", type=float, default=30.0)
    parser.add_argument("--dim", type=int, default=4096, help="numbers of a picture; VGG19's fc6 has 4096")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    settings: dict[str, Any] = json.loads(chosen.model)
    rows: list[list[str | float | int]] = []
    for seconds in chosen.seconds:
        spec = spec_of(
            seconds, sample_rate_hz=chosen.sample_rate_hz, visual_hz=chosen.visual_hz, dim=chosen.dim
        )
        system = build_system(chosen.system, settings, spec, torch.zeros(1, 1, 1), 0).to(chosen.device).eval()
        taken = generation_seconds(system, chosen.repeats, chosen.device)
        rows.append([chosen.system, seconds, taken, taken / seconds, seconds / taken])
    unit = "CPU-seconds" if chosen.device == "cpu" else "seconds"
    print(f"{machine()}; {chosen.device}, one thread of the CPU")
    header = ["system", "clip (s)", unit, f"{unit} for a second of sound", "times as fast as it sounds"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
