"""``foley plan``: clips, jobs, time and disk of a run, before it starts.

Times are those of jobs that ran on this machine (Snakemake's benchmark files); where none ran, they
are foretold from measured speeds (:mod:`foley.cli.calibration`). Where nothing was measured the plan
says so instead of guessing.
"""

import csv
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from foley import config as configuration
from foley import registry
from foley.cli.calibration import Speeds, measure_speeds, read_speeds
from foley.errors import ConfigError
from foley.needs import (
    NETWORKS,
    Feature,
    clips_of_film,
    foretell_needs,
    picture_bytes,
    wanted_features,
)
from foley.report.costs import mean_cpu_s, read_job_times
from foley.store.manifests import Source, read_rows
from foley.store.shards import shard_names
from foley.training.config import ExperimentConfig

_BYTES_FLOAT16, _BYTES_FLOAT32 = 2, 4
_ORCHESTRATION_S = 0.015
"""Snakemake's own CPU time for a job: planning (4 ms), choosing, starting, noting down."""


_STAGES = {
    "acquire": (
        *("build_sources", "download_media", "check_media", "find_duplicates", "write_check_page"),
        *("collect_recordings", "split_dataset"),
    ),
    "prepare": ("denoise_audio", "cut_clips", "collect_clips", "mix_sounds"),
    "picture": (
        *("interpolate_frames", "make_spacetime_images", "extract_visual_features"),
        *("stream_visual_features", "compute_flow", "extract_flow_features"),
    ),
    "sound": ("extract_audio_features", "extract_mixed_features", "collect_features"),
    "train": (
        *("average_class_spectrograms", "train_sound_classifier", "train_vocoder"),
        *("train_model", "reuse_model"),
    ),
    "make": ("synthesize_audio", "compute_judgements", "compute_reference", "probe_model"),
    "judge": ("score_run", "collect_metrics", "tabulate", "plot_figure", "write_report", "write_crate"),
}


@dataclass(frozen=True)
class Stage:
    """What a stage of the workflow costs.

    Parameters
    ----------
    name : str
    n_jobs : int
    cpu_hours, gpu_hours : float
        Of the rules whose seconds are known; on a GPU, hours that it is held.
    memory_mb : int
        The most that a job asks for; 0 where all its rules are content with what is asked for any job.
    complete : bool
        False where the seconds of a rule are not known.
    """

    name: str
    n_jobs: int
    cpu_hours: float
    gpu_hours: float
    memory_mb: int
    complete: bool


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
    visual = wanted_features(config)
    pictured = [feature for feature in visual if not feature.of_flow]
    interpolated = {feature.source for feature in pictured}
    stacked = {feature.source for feature in pictured if feature.kind == "spacetime"}
    flows = {feature.source for feature in visual if feature.of_flow}
    mixed = {
        (name, entry.representation) for entry in config.experiments.values() for name in _mixtures(entry)
    }
    vocoders = {entry.synthesis.vocoder for entry in config.experiments.values()}
    representations = {entry.representation for entry in config.experiments.values()}
    n_runs = sum(len(entry.seeds) for entry in config.experiments.values())
    n_lent = sum(len(entry.seeds) for entry in config.experiments.values() if entry.trained_as)
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
        "extract_visual_features": 0 if streamed else config.shards * len(pictured),
        "stream_visual_features": config.shards * len(interpolated) if streamed else 0,
        "compute_flow": config.shards * len(flows),
        "extract_flow_features": config.shards * (len(visual) - len(pictured)),
        "mix_sounds": config.shards * len({name for name, _ in mixed}),
        "extract_mixed_features": config.shards * len(mixed),
        "extract_audio_features": config.shards * len(representations),
        "collect_clips": 1,
        "collect_features": len(visual) + len(representations) + len(mixed),
        "average_class_spectrograms": len(representations),
        "train_sound_classifier": 1,
        "train_vocoder": len({name for name in vocoders if name in config.vocoders}),
        "train_model": n_runs - n_lent,
        "reuse_model": n_lent,
        "synthesize_audio": n_runs,
        "compute_judgements": sum(
            len(entry.seeds) for entry in config.experiments.values() if "judgements" in _needs(config, entry)
        ),
        "compute_reference": int(
            any("reference" in _needs(config, entry) for entry in config.experiments.values())
        ),
        "score_run": n_runs,
        "probe_model": sum(len(entry.seeds) for entry in config.experiments.values() if entry.probes.asked),
        "collect_metrics": 1,
        "tabulate": 1,
        "plot_figure": len(config.report.figures),
        "write_report": 1,
        "write_crate": 1,
    }
    audio = config.clips.duration_s * config.clips.sample_rate_hz * _BYTES_FLOAT32
    kept = n_clips * audio
    for feature in visual:
        dim = registry.load("backbones", config.backbones[feature.backbone].network).DIM
        kept += n_clips * feature.n_steps * dim * _BYTES_FLOAT16
    test_clips = n_clips * config.split.test_fraction
    kept += n_runs * test_clips * audio
    at_work = min(cores, config.shards) * n_clips / config.shards
    temporary = at_work * max((picture_bytes(config, feature) for feature in visual), default=0)
    return Plan(
        n_recordings, n_clips, {key: n for key, n in jobs.items() if n}, round(kept), round(temporary)
    )


def _needs(config: configuration.Config, entry: ExperimentConfig) -> set[str]:
    """What the metrics of an experiment want of the clips beside the sound."""
    modules = [registry.load("metrics", name) for name in entry.metrics or config.metrics]
    return {needed for module in modules for needed in getattr(module, "NEEDS", ())}


def _mixtures(entry: ExperimentConfig) -> list[str]:
    """Mixtures that an experiment learns or probes."""
    return [*entry.probes.mix_in, *([] if entry.mixture is None else [entry.mixture])]


def foretold_seconds(config: configuration.Config, plan: Plan, speeds: Speeds) -> dict[str, float]:
    """Seconds of each rule's jobs (their mean), from what was measured of this machine's speed.

    Parameters
    ----------
    config : Config
    plan : Plan
    speeds : Speeds

    Returns
    -------
    dict of str to float
        By rule. Downloads are left out unless the data set is procedural: a network cannot be
        foretold.
    """
    n_recordings, n_clips = plan.n_recordings / config.shards, plan.n_clips / config.shards
    n_test = plan.n_clips * config.split.test_fraction
    n_train = plan.n_clips - n_test
    runs = [(name, entry) for name, entry in config.experiments.items() for _ in entry.seeds]
    features = wanted_features(config)

    def looks_s(seen: list[Feature]) -> list[float]:
        return [feature.n_steps * speeds.network_s[feature.backbone] for feature in seen]

    def loads_s(seen: list[Feature]) -> list[float]:
        return [predict_s + speeds.load_s[feature.backbone] for feature in seen]

    light_s, predict_s = speeds.start_s["light"], speeds.start_s["predict"]
    pictured = [feature for feature in features if not feature.of_flow]
    moving = [feature for feature in features if feature.of_flow]
    makes = [speeds.decode_s + seconds for seconds in speeds.interpolation_s.values()]
    stacks = [speeds.spacetime_s for feature in pictured if feature.kind == "spacetime"]
    streams = sum(makes) + sum(looks_s(pictured)) + sum(stacks)
    trains = [
        speeds.training_s[name] * _share(config, entry) * n_train * entry.training.epochs
        for name, entry in runs
    ]
    sounds = [
        _share(config, entry)
        * (speeds.prediction_s[name] * plan.n_clips + speeds.inverse_s[entry.representation] * n_test)
        for name, entry in runs
    ]
    judging_s = speeds.classifier_s * n_test / 3  # forwards only
    represented_s = _mean(list(speeds.representation_s.values()))
    jobs = {
        "download_media": light_s + n_recordings * speeds.recording_s,
        "check_media": light_s + n_recordings * speeds.check_s,
        "interpolate_frames": light_s + n_clips * _mean(makes),
        "make_spacetime_images": light_s + n_clips * speeds.spacetime_s,
        "extract_visual_features": _mean(loads_s(pictured)) + n_clips * _mean(looks_s(pictured)),
        "stream_visual_features": (sum(loads_s(pictured)) + n_clips * streams) / max(1, len(makes)),
        "compute_flow": light_s + n_clips * _mean(list(speeds.flow_s.values())),
        "extract_flow_features": _mean(loads_s(moving)) + n_clips * _mean(looks_s(moving)),
        "extract_audio_features": light_s + n_clips * represented_s,
        "extract_mixed_features": light_s + 2 * n_clips * represented_s,
        "train_sound_classifier": speeds.start_s["train"]
        + config.sound_classifier.epochs * n_train * speeds.classifier_s,
        "train_vocoder": float("nan"),  # not timed: it depends on the kind, sizes and steps
        "train_model": speeds.start_s["train"] + _mean(trains),
        "synthesize_audio": predict_s + _mean(sounds),
        "compute_judgements": predict_s + judging_s,
        "compute_reference": predict_s + speeds.classifier_s * plan.n_clips / 3,
        "score_run": speeds.start_s["score"],
        **dict.fromkeys(("tabulate", "plot_figure", "write_report"), speeds.start_s["draw"]),
    }
    if config.datasets[config.dataset].kind != "procedural":
        jobs["download_media"] = float("nan")
    return {rule: jobs.get(rule, light_s) for rule in plan.n_jobs if not math.isnan(jobs.get(rule, 0.0))}


def cost_stages(config: configuration.Config, plan: Plan, seconds: Mapping[str, float]) -> list[Stage]:
    """Add up what each stage costs.

    Parameters
    ----------
    config : Config
    plan : Plan
    seconds : mapping of str to float
        Seconds of a rule's jobs; rules that are left out are not known.
    """
    needs = foretell_needs(config)
    on_gpu = NETWORKS if config.device == "cuda" else ()
    stages = []
    listed = {rule for rules in _STAGES.values() for rule in rules}
    others = tuple(rule for rule in plan.n_jobs if rule not in listed)
    for name, rules in (_STAGES | ({"other": others} if others else {})).items():
        present = [rule for rule in rules if rule in plan.n_jobs]
        hours = {rule: plan.n_jobs[rule] * seconds[rule] / 3600 for rule in present if rule in seconds}
        stages.append(
            Stage(
                name=name,
                n_jobs=sum(plan.n_jobs[rule] for rule in present),
                cpu_hours=sum(hours[rule] for rule in hours if rule not in on_gpu),
                gpu_hours=sum(hours[rule] for rule in hours if rule in on_gpu),
                memory_mb=max((needs[rule]["mem_mb"] for rule in present if rule in needs), default=0),
                complete=len(hours) == len(present),
            )
        )
    return stages


def _share(config: configuration.Config, entry: ExperimentConfig) -> float:
    """Share of the clips that an experiment learns, where it is known how many classes there are."""
    dataset = config.datasets[config.dataset]
    if not entry.labels or dataset.kind != "procedural":
        return 1.0
    return len(entry.labels) / len(
        registry.load("datasets", dataset.kind).Settings(**dataset.settings).classes
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _sources(config: configuration.Config) -> int | None:
    path = Path("results") / config.dataset / "sources.tsv"
    return len(read_rows(path, Source)) if path.is_file() else None


def _listed(config: configuration.Config) -> int:
    """Ask the data set's module how many recordings it would list."""
    entry = config.datasets[config.dataset]
    module = registry.load("datasets", entry.kind)
    settings = module.Settings.model_validate(entry.settings)
    data_dir = Path(config.data_dir)
    listed = module.list_sources(settings, n_shards=config.shards, data_dir=data_dir, seed=config.seed)
    return sum(1 for _ in listed)


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
    entry = config.datasets[config.dataset]
    if entry.kind != "procedural":
        return 1.0, "assumed: one a recording"
    rendered = registry.load("datasets", entry.kind).Settings.model_validate(entry.settings)
    return clips_of_film(config, rendered.min_duration_s, rendered.max_duration_s), (
        "from the mean length of recordings"
    )


def _size(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def print_plan(
    paths: list[Path],
    *,
    recordings: int | None,
    cores: int,
    benchmarks: Path,
    speeds_path: Path,
    measure: bool = False,
) -> None:
    """Print the plan of a configuration.

    Parameters
    ----------
    paths : list of Path
        Configuration file and overlays.
    recordings : int or None
        Number of recordings; found out when left out.
    cores : int
    benchmarks : Path
        Folder of measured job times; they count before what speeds foretell.
    speeds_path : Path
        File that holds, or is to hold, the measured speeds of this machine.
    measure : bool
        Measure them now.

    Raises
    ------
    ConfigError
        If the configuration does not fit.
    StoreError
        If the file of speeds is damaged.
    """
    if not paths:
        raise ConfigError("give a configuration file, for example config.yaml")
    config = configuration.read(*paths)
    console = Console()
    n_recordings = recordings or _sources(config) or _listed(config)
    per_recording, basis = _clips_per_recording(config)
    plan = make_plan(config, n_recordings=n_recordings, clips_per_recording=per_recording, cores=cores)
    if measure:
        with Console(stderr=True).status("Measuring this machine"):
            speeds: Speeds | None = measure_speeds(config, speeds_path)
    else:
        speeds = read_speeds(speeds_path, config)
    foretold = foretold_seconds(config, plan, speeds) if speeds else {}
    taken = mean_cpu_s(read_job_times(benchmarks))
    measured = {rule: s for rule, s in taken.items() if rule in plan.n_jobs}
    seconds = foretold | measured
    table = Table("rule", "jobs", "CPU s a job", "from", title=f"data set {config.dataset}")
    for rule, n_jobs in plan.n_jobs.items():
        source = "earlier run" if rule in measured else "speed" if rule in foretold else "not known"
        table.add_row(rule, str(n_jobs), f"{seconds[rule]:.1f}" if rule in seconds else "", source)
    console.print(table)
    costs = Table("stage", "jobs", "CPU hours", "GPU hours", "memory of a job", title="stages")
    for stage in cost_stages(config, plan, seconds):
        beyond = "" if stage.complete else " + ?"
        costs.add_row(
            stage.name,
            str(stage.n_jobs),
            f"{stage.cpu_hours:.2f}{beyond}",
            f"{stage.gpu_hours:.2f}{beyond}" if config.device == "cuda" else "",
            _size(stage.memory_mb * 1e6) if stage.memory_mb else "",
        )
    console.print(costs)
    n_jobs = sum(plan.n_jobs.values())
    console.print(f"recordings {plan.n_recordings}, clips {plan.n_clips} ({basis}), jobs {n_jobs}")
    console.print(f"disk: {_size(plan.kept_bytes)} kept, {_size(plan.temporary_bytes)} for a while at most")
    if not seconds:
        console.print("time: nothing is known of this machine yet; `foley plan --measure` takes a minute")
        return
    total_s = sum(plan.n_jobs[rule] * seconds[rule] for rule in seconds)
    console.print(
        f"time: about {_duration(total_s)} of CPU, {_duration(total_s / cores)} on {cores} cores; "
        f"{len(plan.n_jobs) - len(seconds)} rules not known. Jobs of an earlier run count as they were, with "
        "shards of that run's size"
    )
    orchestration_s = _ORCHESTRATION_S * n_jobs
    console.print(f"orchestration: {_duration(orchestration_s)}, {orchestration_s / total_s:.2%} of it")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
