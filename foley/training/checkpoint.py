"""Trained models on disk: tensors in safetensors, everything else in JSON. Never a pickle.

And the states from which a killed training goes on, which live only as long as it does.
"""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from foley import registry
from foley.errors import StoreError
from foley.features.representations.levels import Levels
from foley.models.base import DataSpec, System
from foley.store.files import atomic_path, locked, read_json

logger = logging.getLogger(__name__)

Stateful = nn.Module | torch.optim.Optimizer


def build_system(
    name: str, settings: dict[str, Any], spec: DataSpec, averages: torch.Tensor, seed: int
) -> System:
    """Make an untrained system.

    Parameters
    ----------
    name : str
        Entry of ``systems`` in the registry.
    settings : dict
        For its ``Config``.
    spec : DataSpec
    averages : Tensor, (n_classes, n_bins, n_audio_frames)
    seed : int
        Decides the weights.
    """
    module = registry.load("systems", name)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    system: System = module.System(module.Config.model_validate(settings), spec, averages, generator)
    return system


def spec_as_json(spec: DataSpec) -> dict[str, Any]:
    """Give a DataSpec as JSON-like values; what it does not say is left out."""
    return {key: value for key, value in asdict(spec).items() if value is not None}


def spec_from_json(values: dict[str, Any]) -> DataSpec:
    """Undo :func:`spec_as_json`."""
    read = _with_tuples(values)
    if "levels" in read:
        read["levels"] = Levels(**read["levels"])
    return DataSpec(**read)


def _with_tuples(value: Any) -> Any:
    """Undo what JSON does to tuples."""
    if isinstance(value, dict):
        return {key: _with_tuples(entry) for key, entry in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def save_weights(module: nn.Module, path: str | Path) -> None:
    """Write a module's tensors, atomically."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)


def load_system(model_path: str | Path, facts_path: str | Path, device: str) -> tuple[System, dict[str, Any]]:
    """Load a trained system for prediction.

    Parameters
    ----------
    model_path, facts_path : path
        ``model.safetensors`` and ``model.json``.
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    system : System
        In evaluation mode.
    facts : dict
        Content of ``model.json``.

    Raises
    ------
    StoreError
        If a file is missing or damaged, or the two do not belong together.
    """
    for path in (model_path, facts_path):
        if not Path(path).is_file():
            raise StoreError(f"{path}: there is no such file; train the model first (make tables)")
    facts = read_json(facts_path)
    spec = spec_from_json(facts["spec"])
    averages = torch.zeros(len(spec.classes), spec.n_bins, spec.n_audio_frames)
    system = build_system(facts["config"]["system"], facts["config"]["model"], spec, averages, seed=0)
    try:
        system.load_state_dict(load_file(model_path))
    except (RuntimeError, SafetensorError, OSError) as error:
        raise StoreError(
            f"{model_path}: does not fit {facts_path}: {error}; train the model again"
        ) from error
    return system.to(device).eval(), facts


@contextmanager
def state_folder(model_path: str | Path, digest: str) -> Iterator[Path]:
    """Give the folder for the states of one training; it goes when the block ends well.

    Whoever trains the same model waits until the block has ended; states of other trainings of it go.

    Parameters
    ----------
    model_path : path
        The model to be written in the block.
    digest : str
        Tells apart what may not resume from one another: configuration, code, data.

    Yields
    ------
    Path
        A folder beside the model, not made yet.
    """
    beside = Path(model_path).parent
    with locked(model_path):  # a killed run may have left this very training at work
        folder = beside / f"state-{digest}"
        for stale in beside.glob("state-*"):
            if stale != folder:
                shutil.rmtree(stale)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def save_state(
    folder: Path, parts: Mapping[str, Stateful], curve: list[dict[str, Any]], **more: dict[str, Any]
) -> None:
    """Keep where a training stands: the ``state_dict`` of each part, the curve so far, and `more`."""
    kept = {name: part.state_dict() for name, part in parts.items()}
    with atomic_path(folder / "state.pt") as temporary:
        torch.save({**kept, **more, "curve": json.dumps(curve)}, temporary)


def load_state(folder: Path, device: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read what :func:`save_state` wrote; nothing and an empty curve where that is missing or damaged."""
    path = folder / "state.pt"
    if not path.is_file():
        return {}, []
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, OSError, ValueError, EOFError, UnpicklingError) as error:
        logger.warning("%s: is damaged (%s); training starts from the beginning", path, error)
        return {}, []
    curve: list[dict[str, Any]] = json.loads(state.pop("curve"))
    return state, curve
