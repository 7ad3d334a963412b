"""What jobs took: read from Snakemake's benchmark files, added up by rule."""

import csv
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_LEAST_SHARE = 0.005
"""Rules that took less are added up in one line."""


@dataclass(frozen=True)
class JobTime:
    """Seconds of one job: of processors, and on the clock."""

    cpu_s: float
    clock_s: float


def read_job_times(benchmarks_dir: str | Path) -> dict[str, list[JobTime]]:
    """Times of all jobs that have a benchmark file, by rule.

    Processors' seconds of a job that was too short for Snakemake to look at are those on the clock.

    Parameters
    ----------
    benchmarks_dir : path
        ``results/benchmarks``: a folder a rule.
    """
    folder = Path(benchmarks_dir)
    found: dict[str, list[JobTime]] = {}
    for path in sorted(folder.glob("*/**/*.tsv")):
        with path.open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                found.setdefault(path.relative_to(folder).parts[0], []).append(_job_time(row))
    return found


def _job_time(row: Mapping[str, str]) -> JobTime:
    clock_s = float(row["s"])
    try:
        cpu_s = float(row["cpu_time"])
    except (KeyError, ValueError):
        cpu_s = 0.0
    return JobTime(cpu_s=cpu_s or clock_s, clock_s=clock_s)


def mean_cpu_s(times: Mapping[str, list[JobTime]]) -> dict[str, float]:
    """Mean processor seconds of a rule's jobs."""
    return {rule: statistics.mean(job.cpu_s for job in jobs) for rule, jobs in times.items()}


def costs_text(times: Mapping[str, list[JobTime]]) -> str:
    """Markdown table: each rule's jobs, processor seconds and share of all, dearest first; empty for none."""
    sums = {rule: sum(job.cpu_s for job in jobs) for rule, jobs in times.items()}
    total_s = sum(sums.values())
    if total_s <= 0:
        return ""
    shown = sorted(
        (rule for rule in sums if sums[rule] >= _LEAST_SHARE * total_s), key=lambda rule: -sums[rule]
    )
    rest = [rule for rule in sums if rule not in shown]
    rows = [(rule, len(times[rule]), sums[rule]) for rule in shown]
    if rest:
        rows.append((f"{len(rest)} others", sum(len(times[r]) for r in rest), sum(sums[r] for r in rest)))
    rows.append(("all", sum(map(len, times.values())), total_s))
    lines = [f"| {name} | {n} | {cpu_s:.0f} | {100 * cpu_s / total_s:.0f} % |" for name, n, cpu_s in rows]
    return "\n".join(["| rule | jobs | CPU-seconds | share |", "| --- | ---: | ---: | ---: |", *lines])
