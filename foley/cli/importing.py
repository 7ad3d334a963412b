"""``foley import-regnet`` and ``import-regnet-features``: files of REGNET's authors into the workflow."""

from functools import partial
from pathlib import Path

from rich.console import Console

from foley import config as configuration
from foley.cli.calibration import data_spec
from foley.config import Config
from foley.errors import ConfigError, FoleyError
from foley.needs import visual_features
from foley.store.shards import shard_names
from foley.training.config import ExperimentConfig
from foley.training.regnet_import import authors_file, import_features, import_mels, import_model

_FOLDERS = {
    "frames": "feature_rgb_bninception_dim1024_21.5fps/{film}.pkl",
    "flow": "feature_flow_bninception_dim1024_21.5fps/{film}.pkl",
}
_MELS = "melspec_10s_22050hz/{film}_mel.npy"


def import_checkpoints(checkpoints: list[Path], model: Path, *, experiment: str, configs: list[Path]) -> None:
    """Write checkpoints of REGNET's authors as a trained model, and say what it is.

    Parameters
    ----------
    checkpoints : list of Path
        The generator's, and the discriminator's if there is one.
    model : Path
        Folder to write.
    experiment : str
        Experiment of the configuration that says how the model sees a film.
    configs : list of Path
        ``config.yaml`` and overlays.

    Raises
    ------
    FoleyError
        If there is no such experiment, or the files do not fit it.
    """
    config = configuration.read(*configs)
    entry = _experiment(config, experiment)
    n_parameters = import_model(
        checkpoints,
        model,
        experiment=experiment,
        config=entry.trained_by(),
        spec=data_spec(config, entry, entry.labels or ("",)),
        pipeline=config.pipeline(experiment),
    )
    Console(soft_wrap=True).print(
        f"{model}: {n_parameters:,} parameters; it sees films as experiments.{experiment} does. "
        f"foley dub FILM -o OUT --model {model}",
        markup=False,
        highlight=False,
    )


def import_feature_files(folder: Path, *, experiment: str, configs: list[Path], results: Path) -> None:
    """Put features and spectrograms of REGNET's authors where the workflow looks for its own.

    Parameters
    ----------
    folder : Path
        Their ``data/features``: a folder a class, below it one for each kind of file.
    experiment : str
        Experiment of the configuration whose features they stand for.
    configs : list of Path
        ``config.yaml`` and overlays.
    results : Path
        Folder of results, where the clips have been cut.

    Raises
    ------
    FoleyError
        If there is no such experiment, no table of clips, or no file for any clip.
    """
    config = configuration.read(*configs)
    entry = _experiment(config, experiment)
    root = results / config.dataset
    target = config.representations[entry.representation].settings
    counts: dict[str, int] = {}
    for shard in shard_names(config.shards):
        rows_path = root / "clips" / f"{shard}.tsv"
        if not rows_path.is_file():
            raise FoleyError(
                f"{rows_path}: there is no such table of clips; run the workflow as far as "
                "`--until collect_clips` first"
            )
        for feature in visual_features(config, entry.visual):
            if feature.kind not in _FOLDERS:
                raise ConfigError(f"experiments.{experiment}.visual: REGNET's authors made no {feature.kind}")
            path = root / "features/visual" / feature.name / f"{shard}.h5"
            n_clips = import_features(
                rows_path=rows_path,
                find=partial(authors_file, folder=folder, pattern=_FOLDERS[feature.kind]),
                n_steps=feature.n_steps,
                fps=feature.n_steps / config.clips.duration_s,
                features_path=path,
            )
            counts[feature.name] = counts.get(feature.name, 0) + n_clips
        n_clips = import_mels(
            rows_path=rows_path,
            find=partial(authors_file, folder=folder, pattern=_MELS),
            n_frames=target.n_steps,
            sample_rate_hz=target.sample_rate_hz,
            features_path=root / "features/audio" / entry.representation / f"{shard}.h5",
        )
        counts[entry.representation] = counts.get(entry.representation, 0) + n_clips
    if lacking := [name for name, count in counts.items() if not count]:
        raise FoleyError(f"{folder}: holds no file of any clip for {', '.join(lacking)}")
    console = Console(soft_wrap=True, highlight=False)
    for name, count in counts.items():
        console.print(f"{name}: {count} clips", markup=False)


def _experiment(config: Config, name: str) -> ExperimentConfig:
    if name not in config.experiments:
        known = ", ".join(key for key, one in config.experiments.items() if one.system == "regnet")
        raise ConfigError(f"no experiment is called {name!r}; of REGNET there are {known or 'none'}")
    return config.experiments[name]
