"""What a job needs of the machine it runs on: memory, time, disk; foretold from the configuration.

A job that asks for too little is ended by a cluster, so that these are wide, and each retry asks for as much
again. The constants of memory are peaks that Snakemake's benchmark files named for the smoke configuration
(an image network 483 MB, rendering 212 MB, other stages at most 134 MB), rounded up to more than twice that;
training is assumed to take what image networks take, and what grows with the data is counted. Times are
limits, not forecasts: those come from ``foley plan``.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from foley import registry
from foley.config import Config
from foley.features.visual import feature_frames
from foley.preprocess.interpolation import target_times

_MB = 1e6
_AROUND_MB = 400
"""Two Snakemake processes stand around a job of a cluster and count against its memory."""
_LIGHT_MB, _NETWORK_MB = 500, 1500
"""Peak memory of a job apart from what grows with the data: without and with a network."""
_CLIPS_IN_SHARD = 64
"""Assumed where it is not known how many recordings a data set lists."""
_SHORT_MIN, _SHARD_MIN, _LONG_MIN = 20, 60, 360
_LONG = ("train_sound_classifier", "train_vocoder", "train_model", "stream_visual_features", "download_media")
_SHORT = (
    "find_duplicates",
    "write_check_page",
    "average_class_spectrograms",
    "compute_judgements",
    "compute_reference",
    "probe_model",
    "plot_figure",
)
NETWORKS = (
    "train_sound_classifier",
    "train_vocoder",
    "train_model",
    "stream_visual_features",
    "extract_visual_features",
    "compute_flow",
    "extract_flow_features",
    "synthesize_audio",
    "compute_judgements",
    "compute_reference",
    "probe_model",
)
"""Rules that use a GPU where there is one."""
_OF_SHARDS = (
    "check_media",
    "denoise_audio",
    "cut_clips",
    "mix_sounds",
    "interpolate_frames",
    "make_spacetime_images",
    "extract_visual_features",
    "compute_flow",
    "extract_flow_features",
    "extract_audio_features",
    "extract_mixed_features",
    "synthesize_audio",
)


@dataclass(frozen=True)
class Feature:
    """A visual feature that experiments look at.

    Parameters
    ----------
    name, backbone : str
    source : str
        Interpolation, or flow where `of_flow`.
    kind : str
        ``frames``, ``spacetime`` or ``flow``.
    n_pictures, n_steps : int
        Pictures of a clip at the source's rate, and how many of them have a feature.
    """

    name: str
    backbone: str
    source: str
    kind: str
    n_pictures: int
    n_steps: int

    @property
    def of_flow(self) -> bool:
        """True where it looks at optical flow."""
        return self.kind == "flow"


def visual_features(config: Config, names: Iterable[str]) -> list[Feature]:
    """Tell what visual features are made of, in the order of their names."""
    features = []
    for name in names:
        backbone, source, kind = name.split("/")
        made = config.flows[source] if kind == "flow" else config.interpolations[source]
        n_pictures = len(target_times(config.clips.duration_s, made.fps))
        n_steps = len(feature_frames(n_pictures, config.backbones[backbone]))
        features.append(Feature(name, backbone, source, kind, n_pictures, n_steps))
    return features


def wanted_features(config: Config) -> list[Feature]:
    """Visual features that the experiments look at, each once, sorted by name."""
    return visual_features(
        config, sorted({name for entry in config.experiments.values() for name in entry.visual})
    )


def expected_clips(config: Config) -> int:
    """Number of clips, as far as the configuration tells; else 64 a shard."""
    entry = config.datasets[config.dataset]
    if entry.kind != "procedural":
        return _CLIPS_IN_SHARD * config.shards
    film = registry.load("datasets", entry.kind).Settings.model_validate(entry.settings)
    n_recordings: int = film.recordings_per_class * len(film.classes)
    return round(n_recordings * clips_of_film(config, film.min_duration_s, film.max_duration_s))


def clips_of_film(config: Config, min_duration_s: float, max_duration_s: float) -> float:
    """Clips of a rendered recording of mean length, at least one."""
    length_s = (min_duration_s + max_duration_s) / 2
    return max(1.0, 1 + (length_s - config.clips.duration_s) // config.clips.hop_s)


def foretell_needs(config: Config) -> dict[str, dict[str, int]]:
    """Say what each rule's jobs ask for at their first attempt.

    Parameters
    ----------
    config : Config

    Returns
    -------
    dict of str to dict
        By rule: ``mem_mb``, ``runtime`` (minutes), ``disk_mb``.
    """
    n_clips = expected_clips(config)
    n_in_shard = -(-n_clips // config.shards)
    sound_mb = config.clips.duration_s * config.clips.sample_rate_hz * 4 / _MB
    learned_mb = max((_clip_mb(config, name) for name in config.experiments), default=0.0)
    pixels_mb = max(
        (picture_bytes(config, feature) / _MB for feature in wanted_features(config)), default=0.0
    )
    grows_mb = {
        "train_model": n_clips * learned_mb,
        "synthesize_audio": n_clips * learned_mb,
        "probe_model": n_clips * learned_mb,
        "train_sound_classifier": n_clips * sound_mb,
        "train_vocoder": n_clips * sound_mb,
        "compute_judgements": n_clips * config.split.test_fraction * sound_mb,
        "compute_reference": n_clips * sound_mb,
    }
    needs = {}
    for rule in (*_LONG, *_SHORT, *_OF_SHARDS):
        minutes = _LONG_MIN if rule in _LONG else _SHORT_MIN if rule in _SHORT else _SHARD_MIN
        base_mb = _NETWORK_MB if rule in NETWORKS else _LIGHT_MB
        disk_mb = n_in_shard * (sound_mb + pixels_mb) if rule in (*_OF_SHARDS, *_LONG) else 0.0
        needs[rule] = {
            "mem_mb": round(_AROUND_MB + base_mb + grows_mb.get(rule, 0.0)),
            "runtime": minutes,
            "disk_mb": round(1000 + 2 * disk_mb),
        }
    return needs


def _clip_mb(config: Config, experiment: str) -> float:
    """Memory of what one clip of an experiment is learned from."""
    entry = config.experiments[experiment]
    kind = config.representations[entry.representation]
    n_bytes: float = kind.settings.n_bins * kind.settings.n_steps * 4
    for feature in visual_features(config, entry.visual):
        dim = registry.load("backbones", config.backbones[feature.backbone].network).DIM
        n_bytes += feature.n_steps * dim * 2
    if registry.load("systems", entry.system).System.needs_waveform:
        n_bytes += round(config.clips.duration_s * config.clips.sample_rate_hz) * 4
    return n_bytes / _MB


def picture_bytes(config: Config, feature: Feature) -> float:
    """Bytes of what a clip's feature is made of, where that is stored for a while."""
    if feature.of_flow:
        flow = config.flows[feature.source]
        return (feature.n_pictures - 1) * flow.width_px * flow.height_px * 2
    if config.picture.stream:
        return 0
    n_stored = feature.n_pictures / config.interpolations[feature.source].every
    if feature.kind == "spacetime":
        n_stored += feature.n_pictures / config.spacetime.every
    return n_stored * config.picture.size_px**2 * 3
