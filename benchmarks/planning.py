"""Workflow: how long planning takes, and a run that has nothing to do.

    python -m benchmarks.planning                      # the paper-size plan, 27,800 clips
    python -m benchmarks.planning --finished DIRECTORY --overlay configs/smoke.yaml

CPU-seconds are those of the whole command, imports and all, the second time it is asked: the first
time it also checks the configuration and reads every source.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import cpu_seconds, machine, table

ROOT = Path(__file__).parents[1]


def ask(directory: Path, overlay: Path, *words: str) -> tuple[float, float, str]:
    """Run Snakemake once; gives CPU-seconds, seconds on the clock and what it printed."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(directory), "--workflow-profile", str(ROOT / "profiles/default")]
    command += ["--configfile", str(overlay), "--cores", "2", *words]
    cpu_s, wall_s = cpu_seconds(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return cpu_seconds() - cpu_s, time.perf_counter() - wall_s, done.stdout + done.stderr


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--overlay", type=Path, default=ROOT / "configs/paper.yaml")
    parser.add_argument("--finished", type=Path, help="folder of a finished run with this overlay")
    chosen = parser.parse_args()
    rows: list[list[str | float | int]] = []
    with TemporaryDirectory() as folder:
        directory = chosen.finished or Path(folder)
        for turn in ("first time", "again"):
            words = [] if chosen.finished else ["-n", "--quiet", "all"]
            cpu_s, wall_s, text = ask(directory, chosen.overlay.resolve(), *words)
            if chosen.finished and "Nothing to be done" not in text:
                raise SystemExit(f"{directory}: the run is not finished\n{text[-2000:]}")
            jobs = re.search(r"^total\s+(\d+)", text, re.MULTILINE)
            what = "nothing to do" if chosen.finished else "dry run"
            rows.append([f"{what}, {turn}", int(jobs[1]) if jobs else 0, cpu_s, wall_s])
    print(machine())
    print(table([f"{chosen.overlay.name}", "jobs", "CPU s", "s on the clock"], rows))


if __name__ == "__main__":
    main()
