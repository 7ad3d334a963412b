"""``foley plan``: clips, jobs, time and disk of a run, before it starts.

Times are those of jobs that ran on this machine (Snakemake's benchmark files), scaled by the number
of clips. Without an earlier run there is nothing measured here, and the plan says so instead of
guessing.
"""

import csv
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from foley import config as configuration
from foley import registry
from foley.errors import ConfigError
from foley.store.manifests import Source, read_rows
from foley.store.shards import shard_names

_BYTES_FLOAT16, _BYTES_FLOAT32 = 2, 4


@dataclass(frozen=True)
class Plan:
    """What a run will be.

    Parameters
    ----------
    n_recordings, n_clips : int
        Recordings asked for, and clips expected of them.
    n_jobs : dict of str to int
        Jobs of each rule.
    kept_bytes, temporary_bytes : int
        Disk for what stays, and the most that is there for a while (pixels of the shards at work).
    """

    n_recordings: int
    n_clips: int
    n_jobs: dict[str, int]
    kept_bytes: int
    temporary_bytes: int


def feature_names(config: configuration.Config) -> list[str]:
    """Visual feature caches that the experiments need, sorted."""
    return sorted({name for entry in config.experiments.values() for name in entry.visual})


def make_plan(
    config: configuration.Config, *, n_recordings: int, clips_per_recording: float, cores: int
) -> Plan:
    """Count jobs and bytes.

    Parameters
    ----------
    config : Config
    n_recordings : int
    clips_per_recording : float
        Mean number of clips that are cut from a recording.
    cores : int
        Jobs that work side by side.
    """
    n_clips = round(n_recordings * clips_per_recording)
    visual = feature_names(config)
    interpolated = {name.split("/")[1] for name in visual}
    stacked = {name.split("/")[1] for name in visual if name.endswith("/spacetime")}
    representations = {entry.representation for entry in config.experiments.values()}
    n_runs = sum(len(entry.seeds) for entry in config.experiments.values())
    n_metrics = sum(
        len(entry.seeds) * len(entry.metrics or config.metrics) for entry in config.experiments.values()
    )
    streamed = config.picture.stream
    jobs = {
        "build_sources": 1,
        "download_media": config.shards,
        "check_media": config.shards,
        "find_duplicates": 1,
        "write_check_page": 1,
        "collect_recordings": 1,
        "split_dataset": 1,
        "denoise_audio": config.shards,
        "cut_clips": config.shards,
        "interpolate_frames": 0 if streamed else config.shards * len(interpolated),
        "make_spacetime_images": 0 if streamed else config.shards * len(stacked),
        "extract_visual_features": 0 if streamed else config.shards * len(visual),
        "stream_visual_features": config.shards * len(interpolated) if streamed else 0,
        "extract_audio_features": config.shards * len(representations),
        "average_class_spectrograms": len(representations),
        "train_sound_classifier": 1,
        "train_model": n_runs,
        "synthesize_audio": n_runs,
        "compute_judgements": n_runs,
        "score_metric": n_metrics,
        "collect_metrics": 1,
        "tabulate": 1,
        "plot_figure": len(config.report.figures),
        "write_report": 1,
    }
    frames = {name: item.fps * config.clips.duration_s for name, item in config.interpolations.items()}
    audio = config.clips.duration_s * config.clips.sample_rate_hz * _BYTES_FLOAT32
    kept = n_clips * audio
    for name in visual:
        backbone, interpolation, _ = name.split("/")
        entry = config.backbones[backbone]
        dim = registry.load("backbones", entry.network).DIM
        kept += n_clips * frames[interpolation] / entry.every * dim * _BYTES_FLOAT16
    test_clips = n_clips * config.split.test_fraction
    kept += n_runs * test_clips * audio
    stored = {name: frames[name] / config.interpolations[name].every for name in interpolated}
    images = {name: frames[name] / config.spacetime.every for name in stacked}
    pictures = max((stored[name] + images.get(name, 0) for name in interpolated), default=0)
    at_work = min(cores, config.shards) * n_clips / config.shards
    temporary = 0 if streamed else at_work * pictures * config.picture.size_px**2 * 3
    return Plan(
        n_recordings, n_clips, {key: n for key, n in jobs.items() if n}, round(kept), round(temporary)
    )


def measured_seconds(benchmarks: Path) -> dict[str, float]:
    """Median wall seconds of each rule's jobs, from Snakemake's benchmark files."""
    found: dict[str, list[float]] = {}
    for path in sorted(benchmarks.glob("*/**/*.tsv")):
        with path.open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                found.setdefault(path.relative_to(benchmarks).parts[0], []).append(float(row["s"]))
    return {rule: statistics.median(seconds) for rule, seconds in found.items()}


def _sources(config: configuration.Config) -> int | None:
    path = Path("results") / config.dataset / "sources.tsv"
    return len(read_rows(path, Source)) if path.is_file() else None


def _listed(config: configuration.Config) -> int:
    """Ask the data set's module how many recordings it would list."""
    entry = config.datasets[config.dataset]
    module = registry.load("datasets", entry.kind)
    settings = module.Settings.model_validate(entry.settings)
    return len(
        module.list_sources(settings, n_shards=config.shards, data_dir=config.data_dir, seed=config.seed)
    )


def _clips_per_recording(config: configuration.Config) -> tuple[float, str]:
    folder = Path("results") / config.dataset / "clips"
    files = [folder / f"{shard}.tsv" for shard in shard_names(config.shards)]
    if all(path.is_file() for path in files):
        ids: list[str] = []
        for path in files:
            with path.open(encoding="utf-8") as stream:
                ids.extend(row["recording_id"] for row in csv.DictReader(stream, delimiter="\t"))
        if ids:
            return len(ids) / len(Counter(ids)), "measured in the last run"
    return 1.0, "assumed: one a recording"


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def print_plan(paths: list[Path], *, recordings: int | None, cores: int, benchmarks: Path) -> None:
    """Print the plan of a configuration.

    Parameters
    ----------
    paths : list of Path
        Configuration file and overlays.
    recordings : int or None
        Number of recordings; found out when left out.
    cores : int
    benchmarks : Path
        Folder of measured job times.

    Raises
    ------
    ConfigError
        If the configuration does not fit.
    """
    if not paths:
        raise ConfigError("give a configuration file, for example config.yaml")
    config = configuration.read(*paths)
    console = Console()
    n_recordings = recordings or _sources(config) or _listed(config)
    per_recording, basis = _clips_per_recording(config)
    plan = make_plan(config, n_recordings=n_recordings, clips_per_recording=per_recording, cores=cores)
    seconds = measured_seconds(benchmarks)
    table = Table("rule", "jobs", "seconds a job", title=f"data set {config.dataset}")
    total_s = 0.0
    unknown = []
    for rule, n_jobs in plan.n_jobs.items():
        if rule in seconds:
            total_s += n_jobs * seconds[rule]
        else:
            unknown.append(rule)
        table.add_row(rule, str(n_jobs), f"{seconds[rule]:.1f}" if rule in seconds else "not measured")
    console.print(table)
    console.print(
        f"recordings {plan.n_recordings}, clips {plan.n_clips} ({basis}), jobs {sum(plan.n_jobs.values())}"
    )
    console.print(f"disk: {_size(plan.kept_bytes)} kept, {_size(plan.temporary_bytes)} for a while at most")
    if seconds:
        hours = total_s / 3600
        console.print(
            f"time: about {hours:.1f} job-hours, as measured in {benchmarks} with shards of that run's size; "
            f"{len(unknown)} short rules not measured"
        )
    else:
        console.print(f"time: nothing measured yet in {benchmarks}; run `make smoke` or the default first")
