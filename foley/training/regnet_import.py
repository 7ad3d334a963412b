"""What REGNET's authors made, as what we would have made: models and features from their files.

Features are put where the stages put theirs. The workflow takes a file that is there and newer than what
it is made from, so that the stages which would make it do not run.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import foley
from foley.errors import ConfigError, MediaError, StoreError
from foley.media.reasons import Reason
from foley.models.base import DataSpec
from foley.models.regnet_files import read_checkpoint, read_features, read_mel, settings_of
from foley.provenance import code_digest, file_sha256
from foley.store.files import write_json
from foley.store.manifests import Clip, decode_path, read_rows
from foley.store.shards import ShardReader, write_shard
from foley.training.checkpoint import build_system, save_weights, spec_as_json

logger = logging.getLogger(__name__)


def import_model(
    checkpoints: Sequence[Path],
    model_dir: Path,
    *,
    experiment: str,
    config: dict[str, Any],
    spec: DataSpec,
    pipeline: dict[str, Any],
) -> int:
    """Write the authors' checkpoints as a trained model of ours.

    Parameters
    ----------
    checkpoints : sequence of Path
        ``checkpoint_%06d_netG``, and ``..._netD`` where it is to be trained on.
    model_dir : Path
        Folder for ``model.safetensors`` and ``model.json``.
    experiment : str
        Name of the experiment that the model stands for.
    config : dict
        What decides that experiment's model; its ``model`` settings are replaced by what the tensors
        say of themselves.
    spec : DataSpec
        Shapes of what the model sees and makes.
    pipeline : dict
        Settings of the stages before it (see :meth:`foley.config.Config.pipeline`).

    Returns
    -------
    int
        Number of parameters.

    Raises
    ------
    ConfigError
        If the experiment is none of REGNET.
    StoreError
        If a file is missing or damaged, is no checkpoint of REGNET, or does not fit the shapes.
    """
    if config["system"] != "regnet":
        raise ConfigError(f"experiments.{experiment}: is of system {config['system']}, not regnet")
    tensors = {name: value for path in checkpoints for name, value in read_checkpoint(path).items()}
    found = settings_of(tensors, n_visual=sum(spec.visual_dims), n_bins=spec.n_bins)
    settings = {**config["model"], **found}
    averages = torch.zeros(len(spec.classes), spec.n_bins, spec.n_audio_frames)
    system = build_system("regnet", settings, spec, averages, seed=0)
    try:
        system.load_state_dict({"averages": averages, **tensors})
    except RuntimeError as error:
        names = ", ".join(map(str, checkpoints))
        raise StoreError(f"{names}: does not fit experiments.{experiment}: {error}") from error
    save_weights(system, model_dir / "model.safetensors")
    facts = {
        "experiment": experiment,
        "config": {**config, "model": settings},
        "spec": spec_as_json(spec),
        "n_parameters": system.n_parameters(),
        "pipeline": pipeline,
        "imported": {path.name: file_sha256(path) for path in checkpoints},
    }
    write_json(model_dir / "model.json", facts)
    return system.n_parameters()


def import_features(
    *,
    rows_path: Path,
    find: Callable[[Clip], Path],
    n_steps: int,
    fps: float,
    features_path: Path,
) -> int:
    """Write the authors' pickled features of the clips of one shard as ours.

    Parameters
    ----------
    rows_path : Path
        Table of clips.
    find : callable
        From a clip to its pickle; see :func:`authors_file`.
    n_steps : int
        Steps of a clip. Theirs are one fewer, since their extraction loses a picture; they are filled
        up with zeros as their loader does.
    fps : float
        Steps a second.
    features_path : Path
        Shard to write, as :func:`foley.features.visual.extract_shard` does: item ``features
        (n_steps, dim)`` float16, ``timestamps_s (n_steps,)``, ``frame_index (n_steps,)``. Clips without
        a pickle are left out, with a warning in the log.

    Returns
    -------
    int
        Number of clips in the shard.

    Raises
    ------
    StoreError
        If a pickle is damaged or holds anything but a table of numbers.
    """
    index = np.arange(n_steps, dtype=np.int64)

    def make(path: Path) -> dict[str, NDArray[Any]]:
        features = _filled(path, read_features(path), n_steps).astype(np.float16)
        return {"features": features, "timestamps_s": index / fps, "frame_index": index}

    return _import(rows_path, find, make, features_path, {})


def import_mels(
    *, rows_path: Path, find: Callable[[Clip], Path], n_frames: int, sample_rate_hz: int, features_path: Path
) -> int:
    """Write the authors' spectrograms of the clips of one shard as ours.

    Parameters
    ----------
    rows_path, find : as for :func:`import_features`
    n_frames : int
        Frames of a clip; shorter ones are filled up with zeros, which is silence.
    sample_rate_hz : int
        Of the sound they were made from.
    features_path : Path
        Shard to write, as :func:`foley.features.audio.extract_shard` does: item ``features (n_mels,
        n_frames)`` float32, attribute ``sample_rate_hz``.

    Returns
    -------
    int
        Number of clips in the shard.

    Raises
    ------
    StoreError
        If a file is damaged or holds anything but a table of numbers.
    """

    def make(path: Path) -> dict[str, NDArray[Any]]:
        return {"features": _filled(path, read_mel(path).T, n_frames).T}

    return _import(rows_path, find, make, features_path, {"sample_rate_hz": sample_rate_hz})


def authors_file(clip: Clip, folder: Path, pattern: str) -> Path:
    """Where the authors' scripts put what they made of a clip's film.

    Parameters
    ----------
    clip : Clip
    folder : Path
        Their ``data/features``: below it lies a folder a class.
    pattern : str
        For example ``feature_rgb_bninception_dim1024_21.5fps/{film}.pkl``.

    Returns
    -------
    Path

    Raises
    ------
    MediaError
        ``missing_file`` if it is not there.
    """
    path = folder / clip.label / pattern.format(film=decode_path(clip.path).stem)
    if not path.is_file():
        raise MediaError(Reason.MISSING_FILE, f"{path}: is not there")
    return path


def _filled(path: Path, table: NDArray[np.float32], n_rows: int) -> NDArray[np.float32]:
    """Fill a table up with rows of zeros."""
    if len(table) > n_rows:
        raise StoreError(f"{path}: has {len(table)} steps, a clip of this configuration {n_rows}")
    return np.pad(table, ((0, n_rows - len(table)), (0, 0)))


def _import(
    rows_path: Path,
    find: Callable[[Clip], Path],
    make: Callable[[Path], dict[str, NDArray[Any]]],
    features_path: Path,
    more: dict[str, Any],
) -> int:
    clips = {row.clip_id: row for row in read_rows(rows_path, Clip)}
    attributes = {
        "imported": "from files of REGNET's authors",
        "rows_sha256": file_sha256(rows_path),
        "code": code_digest([__name__], Path(foley.__file__).parents[1]),
    }

    def item(clip_id: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        clip = clips[clip_id]
        return make(find(clip)), {**clip.model_dump(), **more}

    features_path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(features_path, attributes, clips, item)
    return len(ShardReader(features_path).items)
