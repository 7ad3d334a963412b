"""Training of one experiment with one seed."""

import json
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import foley
from foley import registry
from foley.features.representations.levels import Levels
from foley.models.base import System
from foley.provenance import code_digest, config_digest, environment, git_state
from foley.seeds import derive_seed
from foley.store.files import atomic_path, locked, write_json
from foley.store.shards import ShardReader
from foley.training.checkpoint import build_system, save_weights, spec_as_json
from foley.training.config import TrainingConfig
from foley.training.examples import Examples, read_examples
from foley.training.loop import train
from foley.training.setup import prepare_process
from foley.training.team import Team, in_processes

logger = logging.getLogger(__name__)

_BATCH = 64


def use_threads(n_threads: int) -> None:
    """Fix the number of threads, and ask torch for the same bits every time."""
    torch.set_num_threads(n_threads)
    # As use_deterministic_algorithms(True, warn_only=True), which would first load torch.compile: seconds.
    torch.set_deterministic_debug_mode("warn")
    # Nothing here reads what it did not write.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def train_experiment(
    *,
    experiment: str,
    config: dict[str, Any],
    seed: int,
    base_seed: int,
    visual_paths: Sequence[str],
    audio_paths: Sequence[str],
    clips_paths: Sequence[str] = (),
    rows_paths: Sequence[str],
    averages_path: str,
    model_path: str,
    facts_path: str,
    curve_path: str,
    n_threads: int,
    device: str,
    pipeline: dict[str, Any],
) -> None:
    """Train, and write ``model.safetensors``, ``model.json`` and ``curve.jsonl``.

    Parameters
    ----------
    experiment : str
        Name, for the record.
    config : dict
        What :meth:`foley.training.config.ExperimentConfig.trained_by` gives.
    seed, base_seed : int
        Seed of this run, and of the configuration.
    visual_paths, audio_paths, rows_paths : sequence of str
        See :func:`foley.training.examples.read_examples`.
    clips_paths : sequence of str
        Shards of clips, for systems that learn from waveforms; not read for others.
    averages_path : str
        Class averages of clean sound, whatever is learned.
    model_path, facts_path, curve_path : str
        Files to write.
    n_threads : int
        Threads; fixed, because their number changes the last bits.
    device : str
        ``cpu`` or ``cuda``.
    pipeline : dict
        Settings of the stages that made the features; kept in ``model.json`` so that the model can be
        used on a film without the configuration.
    """
    started = time.monotonic()
    training = TrainingConfig(**config["training"])
    use_threads(n_threads if training.processes == 1 else 1)  # forked processes inherit no threads
    prepare_process()
    kind = registry.load("systems", config["system"]).System
    if not kind.learns_waveforms(config["model"]):
        clips_paths = ()
    examples = read_examples(
        rows_paths=rows_paths,
        visual=config["visual"],
        visual_paths=visual_paths,
        audio_paths=audio_paths,
        clips_paths=clips_paths,
        labels=config["labels"],
    )
    if examples.target is None:
        raise ValueError("training needs the audio features' shards")
    _, n_bins, n_frames = examples.target.shape
    sample_rate_hz = int(
        ShardReader(audio_paths[0]).item_attributes(_first_item(audio_paths))["sample_rate_hz"]
    )
    spec = examples.spec(
        n_bins=n_bins,
        n_audio_frames=n_frames,
        sample_rate_hz=sample_rate_hz,
        levels=_levels(pipeline["representation"]) if kind.needs_levels(config["model"]) else None,
    )
    averages = ShardReader(averages_path)
    stacked = np.stack([averages.read(label, "average") for label in examples.classes])
    run_seed = derive_seed(base_seed, experiment, seed)
    start_seed = derive_seed(base_seed, "start", seed) if training.shared_start else run_seed
    system = build_system(config["system"], config["model"], spec, torch.from_numpy(stacked), start_seed)
    indices = examples.where("train")
    features = tuple(values[indices] for values in examples.visual)
    system.prepare(features)
    dice = torch.Generator().manual_seed(derive_seed(run_seed, "study"))
    system.study(examples.target[indices], torch.from_numpy(examples.labels[indices]), dice)
    if examples.waveform is not None:
        system.listen(features, examples.waveform[indices])
    with locked(model_path):  # a killed run may have left this very training at work
        digest = _state_digest(config, run_seed, [*visual_paths, *audio_paths, *clips_paths])
        state_dir = Path(model_path).parent / f"state-{digest}"
        for stale in Path(model_path).parent.glob("state-*"):
            if stale != state_dir:
                shutil.rmtree(stale)
        curve: list[dict[str, Any]] = []
        if system.trained:

            def together(team: Team, own_device: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
                use_threads(n_threads)
                lines = train(
                    system.to(own_device),
                    examples,
                    training,
                    seed=run_seed,
                    device=own_device,
                    state_dir=state_dir,
                    score=lambda trained: class_scores(trained, examples, own_device),
                    team=team,
                )
                # As arrays: tensors would be handed over by a process that may have ended by then.
                return lines, {name: value.cpu().numpy() for name, value in system.state_dict().items()}

            curve, weights = in_processes(training.processes, device, together)
            system.cpu().load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        system.to(device).eval()
        with torch.no_grad():
            system.conclude(batch for _, batch in examples.batches(indices, _BATCH, device))
        save_weights(system, model_path)
        with atomic_path(curve_path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in curve), encoding="utf-8")
        facts = {
            "experiment": experiment,
            "seed": seed,
            "config": config,
            "spec": spec_as_json(spec),
            "n_parameters": system.n_parameters(),
            "n_train_clips": len(indices),
            "n_test_clips": len(examples.where("test")),
            "last_epoch": curve[-1] if curve else {},
            "pipeline": pipeline,
            "run": {
                "seconds": round(time.monotonic() - started, 1),
                "device": device,
                "environment": environment(),
                "git": git_state(Path(foley.__file__).parents[1]),
            },
        }
        write_json(facts_path, facts)
        shutil.rmtree(state_dir, ignore_errors=True)


def _levels(representation: dict[str, Any]) -> Levels | None:
    from foley.features.audio import RepresentationConfig, levels  # a quarter of a second

    return levels(RepresentationConfig(**representation))


def _first_item(paths: Sequence[str]) -> str:
    return next(item for path in paths for item in ShardReader(path).items)


def class_scores(system: System, examples: Examples, device: str) -> dict[str, float]:
    """Accuracy on both splits, for the training curve; empty for systems without a class output."""
    if not system.classifies:
        return {}
    system.eval()
    generator = torch.Generator(device).manual_seed(0)
    scores = {}
    for split in ("train", "test"):
        n_right = n_all = 0
        with torch.no_grad():
            for _, batch in examples.batches(examples.where(split), _BATCH, device):
                probabilities = system.predict(batch, generator).probabilities
                if probabilities is None:
                    return {}
                n_right += int((probabilities.argmax(dim=1) == batch.labels).sum())
                n_all += len(batch.labels)
        if n_all:
            scores[f"{split}_accuracy"] = n_right / n_all
    return scores


def _state_digest(config: dict[str, Any], run_seed: int, paths: Sequence[str]) -> str:
    """Digest of all that a resumed training must share with the killed one."""
    root = Path(foley.__file__).parents[1]
    code = code_digest([__name__, registry.module_name("systems", config["system"])], root)
    data = [(path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns) for path in paths]
    return config_digest([config, run_seed, code, data])
