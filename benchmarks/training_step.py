"""Training: seconds a clip of one step and of one prediction, for every experiment of a configuration.

    python -m benchmarks.training_step config.yaml --experiments frame_sequence frame_relation

Features are random: only shapes decide the time. FLOP/s are counted over the forward and backward
pass by PyTorch's own counter, and set beside a large matrix product on the same device.
"""

import argparse
from pathlib import Path

from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import machine, matmul_flops, table
from foley import config as configuration
from foley.cli.calibration import step_seconds
from foley.training.experiment import use_threads


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", type=Path, nargs="*", default=[Path("config.yaml")])
    parser.add_argument("--experiments", nargs="+", default=["frame_sequence", "frame_relation"])
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 24])
    chosen = parser.parse_args()
    config = configuration.read(*(chosen.config or [Path("config.yaml")]))
    use_threads(config.threads_per_job)
    roof = matmul_flops("float32", device=config.device, n_threads=config.threads_per_job)
    rows: list[list[str | float | int]] = []
    for name in chosen.experiments:
        for n_clips in chosen.batch:
            counter = FlopCounterMode(display=False)
            step_s, prediction_s = step_seconds(config, config.experiments[name], n_clips)
            with counter:
                step_seconds(config, config.experiments[name], n_clips, warm=False)
            # Counted are a step and a prediction, which is a third of a step.
            flops = counter.get_total_flops() / (1 + 1 / 3) / n_clips
            rows.append(
                [name, n_clips, 1000 * step_s, 1000 * prediction_s, flops / 1e9, flops / step_s / roof]
            )
    print(machine())
    header = ["experiment", "clips a batch", "step, ms a clip", "prediction, ms a clip", "GFLOP a clip"]
    print(table([*header, "share of the roofline"], rows))


if __name__ == "__main__":
    main()
