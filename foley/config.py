"""The configuration: one definition, composed of the classes that live beside what they configure.

Imported by the Snakefile and the command line only: no stage depends on it, so that an edit of one
block reruns only what that block configures.
"""

import re
from collections.abc import Mapping
from copy import deepcopy
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from foley import registry
from foley.datasets.check import CheckConfig
from foley.datasets.duplicates import DuplicateConfig
from foley.datasets.splits import SplitConfig
from foley.errors import ConfigError
from foley.features.audio import RepresentationConfig
from foley.features.recipe import recipe_settings
from foley.features.visual import BackboneConfig, frames_looked_at, network_module
from foley.models.vocoders.config import VocoderConfig
from foley.preprocess.clipping import ClipConfig
from foley.preprocess.denoise import DenoiseConfig
from foley.preprocess.flow_config import FlowConfig
from foley.preprocess.interpolation import InterpolationConfig, kept_frames, target_times
from foley.preprocess.mixing import MixtureConfig
from foley.preprocess.spacetime import SpacetimeConfig
from foley.report.config import ReportConfig
from foley.synthesis.config import GRIFFIN_LIM
from foley.training.config import ExperimentConfig
from foley.training.sound_classifier_config import SoundClassifierConfig

_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_NAMED = (
    "datasets",
    "interpolations",
    "flows",
    "backbones",
    "representations",
    "mixtures",
    "vocoders",
    "experiments",
    "metrics",
)
"""Blocks whose entries have names."""


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetConfig(_Block):
    """Where recordings come from."""

    kind: str
    """Data set module: an entry of ``datasets`` in ``foley/registry.py``."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of that module; checked by its own ``Settings`` class."""
    max_missing_fraction: float = Field(default=0.1, ge=0, le=1)
    """The run stops when more than this share of the recordings cannot be used."""


class PictureConfig(_Block):
    """How frames are stored between the picture stages."""

    size_px: int = Field(default=224, ge=32)
    """Side of the square frames."""
    stream: bool = False
    """Go from clip to features without pixel files (large data sets); same numbers."""


class Config(_Block):
    """All of ``config.yaml``."""

    seed: int = 0
    shards: int = Field(default=8, ge=1, le=999)
    threads_per_job: int = Field(default=1, ge=1)
    """Threads of one job; fixed, because the number of threads changes the last bits of a sum."""
    fork_jobs: bool = True
    """On this machine, start jobs from a process that has loaded what they need; same numbers."""
    device: Literal["cpu", "cuda"] = "cpu"
    ask_for_gpu: bool | None = None
    """Ask the cluster for a GPU for jobs that can use one; by default where `device` is cuda."""
    data_dir: str = "data"
    collected: Literal["links", "copies"] = "links"
    """What stands for the clips and features of all shards: links to the shards' files, or copies of what is
    in them, for storage where a job gets its inputs alone (S3)."""
    scale_note: str = ""
    """Printed under every table: at what scale its numbers were made."""
    dataset: str
    datasets: dict[str, DatasetConfig]
    check: CheckConfig = CheckConfig()
    duplicates: DuplicateConfig = DuplicateConfig()
    split: SplitConfig = SplitConfig()
    denoise: DenoiseConfig = DenoiseConfig()
    clips: ClipConfig = ClipConfig()
    picture: PictureConfig = PictureConfig()
    interpolations: dict[str, InterpolationConfig]
    flows: dict[str, FlowConfig] = Field(default_factory=dict)
    """Optical flow; made only where something asks for it."""
    spacetime: SpacetimeConfig = SpacetimeConfig()
    backbones: dict[str, BackboneConfig]
    representations: dict[str, RepresentationConfig]
    mixtures: dict[str, MixtureConfig] = Field(default_factory=dict)
    """Sound that the picture does not show, laid over the clips' own; made only where it is learned."""
    vocoders: dict[str, VocoderConfig] = Field(default_factory=dict)
    """Networks from spectrograms to sound; trained only where an experiment asks for them."""
    sound_classifier: SoundClassifierConfig
    experiments: dict[str, ExperimentConfig]
    only: tuple[str, ...] = ()
    """Patterns of names (``regnet_*``): other experiments, and rows of tables with them, are left out."""
    metrics: dict[str, dict[str, Any]]
    report: ReportConfig

    @model_validator(mode="after")
    def _names_fit(self) -> "Config":
        for block in _NAMED:
            for name in getattr(self, block):
                if not _NAME.match(name):
                    raise ValueError(f"{block}.{name}: a name holds lower-case letters, digits and _ only")
        if self.dataset not in self.datasets:
            raise ValueError(f"dataset: {self.dataset!r} is not one of datasets ({', '.join(self.datasets)})")
        for name, vocoder in self.vocoders.items():
            self._vocoder_fits(name, vocoder)
        for name, experiment in self.experiments.items():
            self._experiment_fits(name, experiment)
        return self

    def _vocoder_fits(self, name: str, vocoder: VocoderConfig) -> None:
        where = f"vocoders.{name}"
        if name == GRIFFIN_LIM:
            raise ValueError(f"{where}: this name stands for the algorithm; choose another")
        known = self.representations.get(vocoder.representation)
        if known is None or known.kind != "mel":
            raise ValueError(
                f"{where}.representation: {vocoder.representation!r} is no representation of kind mel"
            )
        _check(f"{where}.model", "vocoders", vocoder.kind, "Config", vocoder.model)
        model = registry.load("vocoders", vocoder.kind).Config.model_validate(vocoder.model)
        wanted = known.model_dump()
        for key in ("n_mels", "hop_length"):
            if getattr(model, key) != wanted[key]:
                raise ValueError(
                    f"{where}.model: its {key} is {getattr(model, key)} (hop_length is the product of "
                    f"upsampling), representations.{vocoder.representation} has {wanted[key]}"
                )

    def _synthesis_fits(self, where: str, experiment: ExperimentConfig) -> None:
        """Refuse a vocoder that is not there or was trained on another recipe."""
        name = experiment.synthesis.vocoder
        if name == GRIFFIN_LIM:
            return
        if name not in self.vocoders:
            known = ", ".join([GRIFFIN_LIM, *self.vocoders])
            raise ValueError(f"{where}.synthesis.vocoder: no vocoder is called {name!r}; there are {known}")
        learned, heard = (
            recipe_settings(self.representations[one])
            for one in (experiment.representation, self.vocoders[name].representation)
        )
        if learned != heard:
            raise ValueError(
                f"{where}.synthesis.vocoder: {name} is trained on {self.vocoders[name].representation}, "
                f"which is another recipe than {experiment.representation}"
            )

    def _experiment_fits(self, name: str, experiment: ExperimentConfig) -> None:
        where = f"experiments.{name}"
        if experiment.representation not in self.representations:
            raise ValueError(
                f"{where}.representation: no representation is called {experiment.representation!r}"
            )
        self._lender_fits(where, experiment)
        self._mixture_fits(where, experiment)
        self._synthesis_fits(where, experiment)
        self._probes_fit(where, experiment)
        for metric in experiment.metrics:
            if metric not in self.metrics:
                raise ValueError(f"{where}.metrics: {metric!r} is not configured under metrics")
        for feature in experiment.visual:
            self._feature_fits(where, feature)

    def _feature_fits(self, where: str, feature: str) -> None:
        """Refuse a visual feature whose parts are not there or do not go together."""
        backbone, source, kind = [*feature.split("/"), "", ""][:3]
        of_flow = kind == "flow"
        if (
            feature.count("/") != 2
            or backbone not in self.backbones
            or source not in (self.flows if of_flow else self.interpolations)
            or kind not in ("frames", "spacetime", "flow")
        ):
            raise ValueError(
                f"{where}.visual: {feature!r} is not <backbone>/<interpolation>/<frames|spacetime> or "
                "<backbone>/<flow>/flow of configured names"
            )
        try:
            network_module(self.backbones[backbone].network, of_flow=of_flow)
        except ConfigError as error:
            raise ValueError(f"{where}.visual: {feature!r}: {error}") from error
        if of_flow and len(target_times(self.clips.duration_s, self.flows[source].fps)) < 2:
            raise ValueError(
                f"{where}.visual: {feature!r} has fewer than two pictures; raise flows.{source}.fps"
            )
        if not of_flow and not self.picture.stream:
            self._pictures_are_stored(where, backbone, source, kind)

    def _probes_fit(self, where: str, experiment: ExperimentConfig) -> None:
        """Refuse probes of what is not there, or cannot be laid beside this experiment."""
        probes = experiment.probes
        if probes.asked and experiment.system != "regnet":
            raise ValueError(f"{where}.probes: they ask REGNET's regulariser; {experiment.system} has none")
        if probes.alone and experiment.mixture is None:
            raise ValueError(f"{where}.probes.alone: needs a mixture, whose parts are told apart")
        for name in probes.mix_in:
            if name not in self.mixtures:
                raise ValueError(f"{where}.probes.mix_in: no mixture is called {name!r}")
            for label in experiment.labels:
                if not self.mixtures[name].covers(label):
                    raise ValueError(
                        f"{where}.probes.mix_in: mixtures.{name} is not laid over clips of {label!r}"
                    )
        for name in probes.compare:
            other = self.experiments.get(name)
            if other is None:
                raise ValueError(f"{where}.probes.compare: no experiment is called {name!r}")
            same = ("system", "visual", "representation")
            if any(getattr(other, key) != getattr(experiment, key) for key in same):
                raise ValueError(f"{where}.probes.compare: {name} differs in {', '.join(same)}")

    def _lender_fits(self, where: str, experiment: ExperimentConfig) -> None:
        """Refuse a model that would not be the one which the experiment describes."""
        name = experiment.trained_as
        if name is None:
            return
        other = self.experiments.get(name)
        if other is None or other.trained_as is not None:
            raise ValueError(f"{where}.trained_as: no experiment that trains a model is called {name!r}")
        if other.trained_by() != experiment.trained_by() or not set(experiment.seeds) <= set(other.seeds):
            raise ValueError(
                f"{where}.trained_as: {name} learns something else, or has other seeds; start from it with "
                f"based_on: {name}, and change only title, synthesis, probes and metrics"
            )

    def _mixture_fits(self, where: str, experiment: ExperimentConfig) -> None:
        """Refuse an experiment on mixed sound that would be asked about classes it never heard."""
        name = experiment.mixture
        if name is None:
            return
        if name not in self.mixtures:
            known = ", ".join(self.mixtures) or "none"
            raise ValueError(f"{where}.mixture: no mixture is called {name!r}; there are {known}")
        mixture = self.mixtures[name]
        if not experiment.labels and (mixture.label or mixture.over):
            raise ValueError(
                f"{where}.labels: name the classes to learn, mixtures.{name} does not cover all of them"
            )
        for label in experiment.labels:
            if not mixture.covers(label):
                raise ValueError(f"{where}.labels: mixtures.{name} is not laid over clips of {label!r}")

    def _pictures_are_stored(self, where: str, backbone: str, interpolation: str, kind: str) -> None:
        """Refuse a feature of pictures that the interpolation's files leave out."""
        made = self.interpolations[interpolation]
        n_frames = len(target_times(self.clips.duration_s, made.fps))
        wanted = frames_looked_at(n_frames, kind, self.backbones[backbone], self.spacetime)
        missing = np.setdiff1d(wanted, kept_frames(n_frames, made))
        if missing.size:
            block = (
                f"backbones.{backbone}.every" if kind == "frames" else "spacetime.every and spacetime.step"
            )
            raise ValueError(
                f"{where}.visual: {backbone}/{interpolation}/{kind} looks at picture {missing[0]}, which "
                f"interpolations.{interpolation}.every: {made.every} leaves out; make it a divisor of {block}"
            )

    @model_validator(mode="after")
    def _registered_settings_are_valid(self) -> "Config":
        """Let each named module check its own block, so that a misspelt key stops the run here."""
        for name, dataset in self.datasets.items():
            _check(f"datasets.{name}.settings", "datasets", dataset.kind, "Settings", dataset.settings)
        for name, settings in self.metrics.items():
            _check(f"metrics.{name}", "metrics", name, "Config", settings)
        for name, experiment in self.experiments.items():
            _check(f"experiments.{name}.model", "systems", experiment.system, "Config", experiment.model)
        return self

    def pipeline(self, experiment: str) -> dict[str, Any]:
        """Settings of the stages that make what an experiment sees and learns, as JSON-like values."""
        entry = self.experiments[experiment]
        parts = [name.split("/") for name in entry.visual]
        seen = {source for _, source, kind in parts if kind != "flow"}
        moved = {source for _, source, kind in parts if kind == "flow"}
        return {
            "clip_duration_s": self.clips.duration_s,
            "size_px": self.picture.size_px,
            "spacetime": self.spacetime.model_dump(mode="json"),
            "backbones": {b: self.backbones[b].model_dump(mode="json") for b, _, _ in parts},
            "interpolations": {i: self.interpolations[i].model_dump(mode="json") for i in sorted(seen)},
            "flows": {f: self.flows[f].model_dump(mode="json") for f in sorted(moved)},
            "representation": self.representations[entry.representation].model_dump(mode="json"),
            "synthesis": entry.synthesis.model_dump(mode="json"),
        }


def _check(where: str, kind: str, name: str, class_name: str, settings: Mapping[str, Any]) -> None:
    try:
        getattr(registry.load(kind, name), class_name).model_validate(settings)
    except ConfigError as error:
        raise ValueError(f"{where}: {error}") from error
    except ValidationError as error:
        raise ValueError(f"{where}: {_explained(error)}") from error


def _explained(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "there is no such key (misspelt?)"
        lines.append(f"{key}: {message}" if key else message)
    return "; ".join(lines)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `over` on `base`: mappings merge key by key, everything else is replaced.

    Examples
    --------
    >>> merge({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    merged = dict(deepcopy(base))
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = deepcopy(value)
    return merged


def _inherited(experiments: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve ``based_on`` between experiments."""

    def resolve(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
        if name in seen:
            raise ConfigError(f"experiments: based_on runs in a circle: {' -> '.join((*seen, name))}")
        if not isinstance(experiments.get(name), Mapping):
            raise ConfigError(
                f"experiments.{seen[-1] if seen else name}: based_on names {name!r}, which is not there"
            )
        own = dict(experiments[name])
        base = own.pop("based_on", None)
        return own if base is None else merge(resolve(base, (*seen, name)), own)

    return {name: resolve(name, ()) for name in experiments}


def _without_removed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the named entries, and tables or their rows, that an overlay sets to null: so it removes them."""
    kept = dict(values)
    for block in _NAMED:
        if isinstance(kept.get(block), Mapping):
            kept[block] = {name: entry for name, entry in kept[block].items() if entry is not None}
    report = kept.get("report")
    if isinstance(report, Mapping) and isinstance(report.get("rows"), Mapping):
        rows = {
            table: {row: name for row, name in entries.items() if name is not None}
            for table, entries in report["rows"].items()
            if entries is not None
        }
        kept["report"] = {**report, "rows": rows}
    return kept


def _only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out experiments that no pattern of ``only`` fits, and the rows of tables that name them."""
    kept = dict(values)
    patterns, experiments = values.get("only") or (), values.get("experiments")
    if not patterns or isinstance(patterns, str) or not isinstance(experiments, Mapping):
        return kept  # what is wrong with it is said where all of it is checked
    for pattern in patterns:
        if not any(fnmatchcase(name, str(pattern)) for name in experiments):
            raise ConfigError(f"only: no experiment is called {pattern!r}; patterns hold * and ?")
    chosen = {name for name in experiments if any(fnmatchcase(name, str(one)) for one in patterns)}
    kept["experiments"] = {name: entry for name, entry in experiments.items() if name in chosen}
    report = dict(values.get("report") or {})
    report["rows"] = {
        table: {row: name for row, name in rows.items() if name in chosen}
        for table, rows in (report.get("rows") or {}).items()
    }
    return kept | {"report": report}


def parse(values: Mapping[str, Any]) -> Config:
    """Check a configuration and fill in every default.

    Parameters
    ----------
    values : mapping
        Content of ``config.yaml``, overlays already merged.

    Raises
    ------
    ConfigError
        If a key is unknown or a value does not fit; names every such key.
    """
    resolved = _without_removed(values)
    if isinstance(resolved.get("experiments"), Mapping):
        resolved["experiments"] = _inherited(resolved["experiments"])
    resolved = _only(resolved)
    try:
        return Config.model_validate(resolved)
    except ValidationError as error:
        raise ConfigError(f"configuration: {_explained(error)}") from None


def read(*paths: str | Path) -> Config:
    """Read a configuration file and the overlays that follow it.

    Raises
    ------
    ConfigError
        If a file is missing, is not YAML, or does not fit; names file and key.
    """
    values: dict[str, Any] = {}
    for path in paths:
        try:
            loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ConfigError(f"{path}: no such configuration file") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: is not YAML: {error}") from error
        if not isinstance(loaded, Mapping):
            raise ConfigError(f"{path}: holds no keys")
        values = merge(values, loaded)
    return parse(values)
