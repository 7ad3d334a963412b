"""How fast this machine is at what a configuration asks for: measured in tens of seconds.

Every stage that costs much is run once on a little of its real work: a rendered film or two, one clip,
a few pictures, one step of training. On a CPU seconds are CPU-seconds of one thread, so that other
work on the machine falsifies little; on a GPU they are seconds of the clock.
"""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import foley
from foley import config as configuration
from foley import registry
from foley.errors import FoleyError, StoreError
from foley.features.backbones.base import RANDOM
from foley.features.visual import BackboneConfig, frames_looked_at
from foley.forking import LOADED, ForkServer
from foley.needs import Feature, visual_features, wanted_features
from foley.preprocess.interpolation import target_times
from foley.provenance import config_digest, environment
from foley.store.files import read_json, write_json
from foley.training.config import ExperimentConfig

if TYPE_CHECKING:
    from foley.models.base import DataSpec

_MOST_BATCH = 32
"""Clips in the step that is timed: more would take gigabytes and tell no more."""
_FEW_CLIPS = 2
"""Clips in a step that would take long with more: a network of the paper's size on a CPU."""
_LONG_S = 3.0
"""What takes as long as this is not done again to time it better."""
_SHORT_S = 1.5
"""What takes less with a few clips is timed with a batch of them."""
_MOST_FLOW = 4
"""Pictures between which flow is timed: TV-L1 takes a second for each."""
_STARTS = {
    "light": "import foley.preprocess.interpolation as module",
    "score": "import foley.metrics.sync as module",
    "draw": "import foley.report.figures as module",
    "predict": "import foley.synthesis.generate as module",
    "train": "import torch, foley.training.experiment as module; "
    "torch.optim.AdamW([torch.zeros(1, requires_grad=True)]).step()",
}
"""What jobs of each kind do before they do anything."""


class Speeds(BaseModel):
    """Seconds that a unit of work takes; dictionaries are by the name in the configuration.

    Parameters
    ----------
    of : str
        Digest of the machine and of the configuration that was measured.
    start_s : dict
        Start of a job by its kind: ``light``, ``score``, ``draw``, ``predict``, ``train``.
    recording_s : float
        Rendering of a procedural recording.
    check_s, decode_s : float
        Checking of a recording; decoding of a clip's pictures at their stored size.
    interpolation_s, flow_s, network_s, load_s : dict
        A clip's pictures by the interpolation; its optical flow, decoding included, by the flow; one
        picture through the network; loading it.
    spacetime_s : float
        A clip's space-time images.
    representation_s, inverse_s : dict
        One clip's sound to features, and back by Griffin-Lim.
    training_s, prediction_s : dict
        One clip in one epoch, and one clip's prediction, by the name of the experiment.
    classifier_s : float
        One clip in one epoch of the sound classifier.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str
    start_s: dict[str, float]
    recording_s: float
    check_s: float
    decode_s: float
    interpolation_s: dict[str, float]
    flow_s: dict[str, float] = Field(default_factory=dict)
    network_s: dict[str, float]
    load_s: dict[str, float]
    spacetime_s: float
    representation_s: dict[str, float]
    inverse_s: dict[str, float]
    training_s: dict[str, float]
    prediction_s: dict[str, float]
    classifier_s: float


def speeds_digest(config: configuration.Config) -> str:
    """Digest of what decides speed: this machine, its packages, and the configuration's blocks."""
    values = config.model_dump(mode="json", exclude={"report", "metrics", "data_dir", "seed", "shards"})
    return config_digest([values, environment()])


def read_speeds(path: str | Path, config: configuration.Config) -> Speeds | None:
    """Read what was measured; ``None`` when nothing was, or for another machine or configuration.

    Raises
    ------
    StoreError
        If the file is damaged.
    """
    if not Path(path).is_file():
        return None
    try:
        speeds = Speeds.model_validate(read_json(path))
    except (ValueError, ValidationError) as error:
        raise StoreError(f"{path}: cannot be read as measured speeds; delete it and measure again") from error
    return speeds if speeds.of == speeds_digest(config) else None


def measure_speeds(config: configuration.Config, path: str | Path) -> Speeds:
    """Measure this machine for a configuration, and write the result.

    Parameters
    ----------
    config : Config
    path : path
        JSON file to write.
    """
    with TemporaryDirectory(prefix="foley-") as folder:
        measured: dict[str, Any] = _pictures(config, Path(folder))
    measured |= _sounds(config)
    measured |= _learning(config)
    measured["start_s"] = _starts_s(forked=config.fork_jobs)
    speeds = Speeds(of=speeds_digest(config), **measured)
    write_json(path, speeds.model_dump())
    return speeds


def _seconds(device: str, function: Callable[[], Any], *, warm: bool = True) -> float:
    """Seconds of one run, after one that warms up; of the first, where that takes long."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    taken_s = 0.0
    for _ in range(1 + warm):
        start_s = clock()
        function()
        taken_s = clock() - start_s
        if taken_s > _LONG_S:
            break
    return taken_s


def _starts_s(*, forked: bool) -> dict[str, float]:
    """CPU-seconds of a process that loads a module and digests its code, as every stage does, by its kind."""
    root = str(Path(foley.__file__).parents[1])
    digest = f"from foley.provenance import code_digest; code_digest([module.__name__], Path({root!r}))"
    taken_s = {}
    with ForkServer(LOADED if forked else (), os.environ) as server, TemporaryDirectory() as folder:
        for kind, code in _STARTS.items():
            script = Path(folder) / f"{kind}.py"
            script.write_text(f"from pathlib import Path\n{code}\n{digest}\n", encoding="utf-8")
            ended = server.run(script, os.environ)
            if ended.status:
                raise FoleyError(f"{kind}: loading what such a job needs ended with status {ended.status}")
            taken_s[kind] = ended.cpu_s
    return taken_s


def _pictures(config: configuration.Config, folder: Path) -> dict[str, Any]:
    """Time what a film goes through."""
    from foley.datasets.check import check_file
    from foley.datasets.procedural.make import list_recordings, make_recording
    from foley.features.visual import load_backbone
    from foley.preprocess.interpolation import interpolate_clip, read_clip
    from foley.preprocess.optical_flow import flow_clip, grey_frames
    from foley.preprocess.spacetime import make_images

    entry = config.datasets[config.dataset]
    settings = registry.load("datasets", "procedural").Settings
    film = settings.model_validate(entry.settings if entry.kind == "procedural" else {})
    rows = list_recordings(film)
    chosen = rows[:: max(1, len(rows) // 2)][:2]
    rendering_s = [_seconds("cpu", partial(make_recording, *row, film, folder), warm=False) for row in chosen]
    path = next(folder.glob("*.mp4"))
    duration_s = config.clips.duration_s
    found: dict[str, Any] = {
        "recording_s": sum(rendering_s) / len(rendering_s),
        "check_s": _seconds("cpu", lambda: check_file(path, config.check)),
        "interpolation_s": {},
        "flow_s": {},
        "network_s": {},
        "load_s": {},
        "decode_s": 0.0,
        "spacetime_s": 0.0,
    }
    wanted = wanted_features(config)
    size_px = config.picture.size_px
    for name in sorted({feature.source for feature in wanted if not feature.of_flow}):
        made = config.interpolations[name]
        read = partial(read_clip, path=path, start_s=0.0, duration_s=duration_s, size_px=size_px, config=made)
        found["decode_s"] = _seconds("cpu", read)
        interpolate = partial(
            interpolate_clip,
            *read(),
            duration_s=duration_s,
            config=made,
            wanted=_looked_at(config, [feature for feature in wanted if feature.source == name]),
        )
        found["interpolation_s"][name] = _seconds("cpu", interpolate)
        found["spacetime_s"] = _seconds("cpu", partial(make_images, interpolate(), config.spacetime))
    for name in sorted({feature.source for feature in wanted if feature.of_flow}):
        flow = config.flows[name]
        seconds = _seconds("cpu", partial(grey_frames, path, start_s=0.0, duration_s=duration_s, config=flow))
        frames = grey_frames(path, start_s=0.0, duration_s=duration_s, config=flow)[:_MOST_FLOW]
        pair_s = _seconds(config.device, partial(flow_clip, frames, flow, config.device)) / (len(frames) - 1)
        n_pairs = len(target_times(duration_s, flow.fps)) - 1
        found["flow_s"][name] = seconds + n_pairs * pair_s
    for feature in {feature.backbone: feature for feature in wanted}.values():
        name = feature.backbone
        bound_px = config.flows[feature.source].bound_px if feature.of_flow else None
        start_s = time.process_time()
        network = load_backbone(loadable(config.backbones[name]), config.device, bound_px=bound_px)
        found["load_s"][name] = time.process_time() - start_s
        shape = (network.batch_size, size_px, size_px, 2 if feature.of_flow else 3)
        noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        batch_s = _seconds(config.device, partial(network, noise))
        found["network_s"][name] = batch_s / len(noise)
    return found


def loadable(backbone: BackboneConfig) -> BackboneConfig:
    """The same network, with any weights where the file is not here yet: its speed is the same."""
    if backbone.weights in (None, RANDOM) or Path(backbone.weights).is_file():
        return backbone
    return backbone.model_copy(update={"weights": RANDOM, "sha256": None})


def _looked_at(config: configuration.Config, features: list[Feature]) -> Any:
    """Pictures of a clip that any of the features of one interpolation looks at."""
    looked_at = [
        frames_looked_at(
            feature.n_pictures, feature.kind, config.backbones[feature.backbone], config.spacetime
        )
        for feature in features
        if not feature.of_flow
    ]
    return np.unique(np.concatenate(looked_at))


def _sounds(config: configuration.Config) -> dict[str, Any]:
    """Time what a clip's sound goes through."""
    from foley.features.audio import represent
    from foley.synthesis.config import SynthesisConfig
    from foley.synthesis.generate import to_waveform

    generator = np.random.default_rng(0)
    there: dict[str, float] = {}
    back: dict[str, float] = {}
    for name in sorted({entry.representation for entry in config.experiments.values()}):
        kind = config.representations[name]
        sound = 0.1 * generator.standard_normal(kind.settings.n_samples).astype(np.float32)
        there[name] = _seconds("cpu", partial(represent, sound, kind))
        features = represent(sound, kind)
        synthesis = next(
            (e.synthesis for e in config.experiments.values() if e.representation == name), SynthesisConfig()
        )
        back[name] = _seconds("cpu", partial(to_waveform, features, kind, synthesis, generator))
    return {"representation_s": there, "inverse_s": back}


def _learning(config: configuration.Config) -> dict[str, Any]:
    """Time one step of training, and one prediction, of every experiment."""
    from foley.training.experiment import use_threads

    use_threads(config.threads_per_job)
    training: dict[str, float] = {}
    prediction: dict[str, float] = {}
    timed: dict[str, tuple[float, float]] = {}
    for name, entry in config.experiments.items():
        # Rows that differ in what they learn from, not in size, take the same time.
        spec = data_spec(config, entry, ())
        alike = config_digest(
            [entry.system, entry.model, entry.training.batch_size, asdict(replace(spec, levels=None))]
        )
        if alike not in timed:
            step_s, prediction_s = step_seconds(config, entry, _FEW_CLIPS)
            n_clips = min(entry.training.batch_size, _MOST_BATCH)
            # What goes step by step through time takes much the same for many clips as for few: a few tell
            # how long a clip takes only where it takes long.
            if max(step_s, prediction_s) * _FEW_CLIPS < _SHORT_S:
                step_s, prediction_s = step_seconds(config, entry, n_clips)
            timed[alike] = step_s, prediction_s
        training[name], prediction[name] = timed[alike]
    return {
        "training_s": training,
        "prediction_s": prediction,
        "classifier_s": _classifier_step_s(config),
    }


def data_spec(config: configuration.Config, entry: ExperimentConfig, classes: tuple[str, ...]) -> "DataSpec":
    """Shapes of what an experiment's system sees and makes, without a clip at hand."""
    from foley.features.audio import levels, represent
    from foley.models.base import DataSpec

    kind = config.representations[entry.representation]
    system = registry.load("systems", entry.system).System
    n_bins, n_audio_frames = represent(np.zeros(kind.settings.n_samples, np.float32), kind).shape
    seen = visual_features(config, entry.visual)
    networks = [config.backbones[feature.backbone].network for feature in seen]
    return DataSpec(
        classes=classes,
        visual_dims=tuple(registry.load("backbones", network).DIM for network in networks),
        n_visual_steps=tuple(feature.n_steps for feature in seen),
        visual_hz=tuple(feature.n_steps / config.clips.duration_s for feature in seen),
        n_bins=n_bins,
        n_audio_frames=n_audio_frames,
        sample_rate_hz=kind.settings.sample_rate_hz,
        duration_s=config.clips.duration_s,
        levels=levels(kind) if system.needs_levels(entry.model) else None,
    )


def step_seconds(
    config: configuration.Config, entry: ExperimentConfig, n_clips: int, *, warm: bool = True
) -> tuple[float, float]:
    """Time one training step and one prediction of an experiment's system on random clips.

    Parameters
    ----------
    config : Config
    entry : ExperimentConfig
        One of its experiments.
    n_clips : int
        Clips in the step.
    warm : bool
        Take one of each before, unless that takes long.

    Returns
    -------
    step_s, prediction_s : float
        Seconds a clip; 0 for a system that learns nothing. Where training has phases, those of the last.
    """
    import torch

    from foley.models.base import Batch
    from foley.training.checkpoint import build_system

    if not registry.load("systems", entry.system).System.trained:
        return 0.0, 0.0
    spec = data_spec(config, entry, ("a", "b"))
    target = (spec.n_bins, spec.n_audio_frames)
    generator = np.random.default_rng(0)
    features = tuple(
        generator.standard_normal((n_clips, n, dim), np.float32).astype(np.float16)
        for n, dim in zip(spec.n_visual_steps, spec.visual_dims, strict=True)
    )
    system = build_system(entry.system, entry.model, spec, torch.rand(2, *target), seed=0)
    system.prepare(features)
    seen = torch.rand(n_clips, *target)
    system.study(seen.numpy(), torch.arange(n_clips) % 2, torch.Generator().manual_seed(0))
    waveforms: Any = None
    if system.learns_waveforms(entry.model):
        waveforms = 0.1 * generator.standard_normal((n_clips, spec.n_samples), np.float32)
        system.listen(features, waveforms)
        waveforms = torch.from_numpy(waveforms).to(config.device)
    system.to(config.device)
    batch = Batch(
        visual=tuple(torch.from_numpy(part).to(config.device, torch.float32) for part in features),
        labels=torch.arange(n_clips, device=config.device) % 2,
        target=torch.rand(n_clips, *target, device=config.device),
        waveform=waveforms,
    )
    optimisers = system.optimisers(entry.training.lr, entry.training.weight_decay)
    dice = torch.Generator(config.device).manual_seed(0)

    def step() -> None:
        system.step(batch, optimisers, dice, entry.training.clip_norm)
        _wait(config.device)

    def predict() -> None:
        with torch.no_grad():
            system.predict(batch, dice)
        _wait(config.device)

    system.go_to_last_phase()
    system.train()
    step_s = _seconds(config.device, step, warm=warm) / n_clips
    system.eval()
    return step_s, _seconds(config.device, predict, warm=warm) / n_clips


def _classifier_step_s(config: configuration.Config) -> float:
    """Seconds a clip of one training step of the sound classifier."""
    import torch

    from foley.models.layers.sound_net import SoundNet

    settings = config.sound_classifier
    network = SoundNet(2, settings.n_mels, settings.width).to(config.device)
    n_clips = min(settings.batch_size, _MOST_BATCH)
    n_frames = round(settings.crop_s / settings.hop_s)
    heard = torch.rand(n_clips, settings.n_mels, n_frames, device=config.device)

    def step() -> None:
        torch.autograd.backward(network(heard).square().sum())
        _wait(config.device)

    return _seconds(config.device, step) / n_clips


def _wait(device: str) -> None:
    if device != "cpu":
        import torch

        torch.cuda.synchronize()
