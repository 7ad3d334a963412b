"""Files in the layout of REGNET's authors: features, spectrograms, checkpoints.

For people who have them: the layout is that of github.com/PeihaoChen/regnet
(``extract_feature.py``, ``extract_mel_spectrogram.py``, ``model.py``). Features are pickled arrays,
and a pickle can run anything when it is loaded; here nothing but a numeric array comes out of one.
Checkpoints hold the networks' tensors under the names ``optimizer_netG`` and ``optimizer_netD``.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foley.errors import StoreError
from foley.store.files import atomic_path

_SAFE = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}
"""All that a pickled numeric array names; a pickle that names anything else is refused."""

# Theirs to ours; the layers between convolutions have no tensors.
_GENERATOR_NAMES = (
    (r"encoder\.convolutions\.(\d+)\.0\.conv\.", lambda n: f"encoder.convolutions.{4 * n}."),
    (r"encoder\.convolutions\.(\d+)\.1\.", lambda n: f"encoder.convolutions.{4 * n + 1}."),
    (r"encoder\.BiLSTM\.", lambda _: "encoder.recurrent."),
    (r"encoder\.BiLSTM_proj\.", lambda _: "encoder.projection."),
    (r"auxiliary\.BiLSTM\.", lambda _: "regulariser.recurrent."),
    (r"auxiliary\.BiLSTM_proj\.", lambda _: "regulariser.projection."),
    (r"auxiliary\.conv\.(\d+)\.", lambda n: f"regulariser.convolutions.{n}."),
    (r"decoder\.model\.(\d+)\.", lambda n: f"generator.draft.{n}."),
    (r"postnet\.convolutions\.(\d+)\.0\.conv\.", lambda n: f"generator.detail.{3 * n}."),
    (r"postnet\.convolutions\.(\d+)\.1\.", lambda n: f"generator.detail.{3 * n + 1}."),
)
_DISCRIMINATOR_NAMES = (
    (r"feature_conv\.(\d+)\.", lambda n: f"discriminator.visual.{n}."),
    (r"mel_conv\.", lambda _: "discriminator.sound."),
    (r"down_sampling\.(\d+)\.", lambda n: f"discriminator.patches.{n}."),
)


class _ArraysOnly(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, path: Path) -> None:
        super().__init__(stream)
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _SAFE:
            raise StoreError(f"{self.path}: its pickle names {module}.{name}, which no array needs; refused")
        return super().find_class(module, name)


def read_features(path: str | Path) -> NDArray[np.float32]:
    """Read a pickled feature array without running what else a pickle may hold.

    Parameters
    ----------
    path : path
        ``<id>.pkl``.

    Returns
    -------
    ndarray of float32, shape (n_steps, dim)

    Raises
    ------
    StoreError
        If the file is missing, is no pickle, names anything but an array, or holds another shape.
    """
    path = Path(path)
    if not path.is_file():
        raise StoreError(f"{path}: there is no such file")
    with path.open("rb") as stream:
        try:
            value = _ArraysOnly(stream, path).load()
        except StoreError:
            raise
        except Exception as error:  # a damaged pickle may raise anything
            raise StoreError(f"{path}: is not a pickled array ({type(error).__name__}: {error})") from error
    return _as_table(path, value, "features")


def write_features(path: str | Path, features: NDArray[Any]) -> None:
    """Write features, (n_steps, dim), as the authors' code reads them."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(pickle.dumps(_as_table(Path(path), features, "features"), protocol=4))


def read_mel(path: str | Path) -> NDArray[np.float32]:
    """Read a spectrogram, float32 (n_mels, n_frames) in [0, 1], from ``<id>_mel.npy``.

    Raises
    ------
    StoreError
        If the file is missing, no array, or of another shape.
    """
    path = Path(path)
    try:
        value = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{path}: cannot be read as an array: {error}") from error
    return _as_table(path, value, "a spectrogram")


def write_mel(path: str | Path, mel: NDArray[Any]) -> None:
    """Write a spectrogram, (n_mels, n_frames), as the authors' code reads it."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, _as_table(Path(path), mel, "a spectrogram"), allow_pickle=False)


def _as_table(path: Path, value: Any, what: str) -> NDArray[np.float32]:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or value.ndim != 2:
        kind = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise StoreError(f"{path}: holds {kind}, not {what}: a 2-dimensional array of numbers")
    return np.ascontiguousarray(value, dtype=np.float32)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read ``checkpoint_%06d_netG`` or ``..._netD`` as tensors of :class:`foley.models.regnet.System`.

    Parameters
    ----------
    path : path
        Which of the two it is, is read from what it holds.

    Returns
    -------
    dict of str to Tensor
        Under the names of our networks; give both files' tensors to ``load_state_dict``.

    Raises
    ------
    StoreError
        If the file is missing, damaged, holds more than tensors and numbers, or tensors with names
        that REGNET does not have.
    """
    path = Path(path)
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise StoreError(f"{path}: cannot be read as a checkpoint of tensors: {error}") from error
    for key, names in (("optimizer_netG", _GENERATOR_NAMES), ("optimizer_netD", _DISCRIMINATOR_NAMES)):
        if isinstance(held, Mapping) and key in held:
            return {_ours(path, name, names): value for name, value in held[key].items()}
    raise StoreError(f"{path}: holds neither optimizer_netG nor optimizer_netD; give a checkpoint of REGNET")


def _ours(path: Path, name: str, names: tuple[tuple[str, Any], ...]) -> str:
    bare = name.removeprefix("module.")
    for pattern, renamed in names:
        if found := re.match(pattern, bare):
            return str(renamed(int(found.group(1)) if found.groups() else 0)) + bare[found.end() :]
    raise StoreError(f"{path}: has a tensor {name}, which REGNET does not have")


def settings_of(tensors: Mapping[str, Tensor], *, n_visual: int, n_bins: int) -> dict[str, Any]:
    """Find the settings of :class:`foley.models.regnet.Config` that tensors were made with.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        What :func:`read_checkpoint` gives for the generator, and for the discriminator if there is one.
    n_visual : int
        Numbers a step that the encoder sees beside noise: 2048 for the authors' features.
    n_bins : int
        Bins of the spectrogram.

    Returns
    -------
    dict of str to JSON-like
        What the tensors cannot tell is left out: it has no part in making sound.

    Raises
    ------
    StoreError
        If tensors are missing, or the model was made for fewer visual numbers.
    """

    def size(name: str, axis: int) -> int:
        if name not in tensors:
            raise StoreError(f"the checkpoint has no tensor {name}; give the generator's (netG) first")
        return int(tensors[name].shape[axis])

    n_units = size("encoder.recurrent.weight_hh_l0", 1)
    n_seen = size("encoder.convolutions.0.weight", 1)
    if n_seen < n_visual:
        raise StoreError(f"the model sees {n_seen} numbers a step, the features have {n_visual}")
    settings: dict[str, Any] = {
        "n_noise": n_seen - n_visual,
        "n_encoded": size("encoder.convolutions.0.weight", 0),
        "n_units": n_units,
        "n_generated": size("generator.draft.0.weight", 1),
        "projections": "encoder.projection.weight" in tensors,
        "regulariser": "none",
        "adversarial": "discriminator.sound.weight" in tensors,
    }
    n_forwarded = size("generator.draft.0.weight", 0) - 2 * n_units
    if n_forwarded:
        if "regulariser.convolutions.0.weight" in tensors:
            n_heard, dim, bottleneck = (
                size("regulariser.convolutions.0.weight", 1),
                n_forwarded,
                "convolution",
            )
        else:
            n_heard, dim = (size(f"regulariser.recurrent.weight_{part}_l0", 1) for part in ("ih", "hh"))
            bottleneck = "last" if n_forwarded == dim else "sampled"
        settings["regulariser"] = "sound" if n_heard == n_bins else "sound_and_vision"
        settings |= {"bottleneck": bottleneck, "bottleneck_dim": dim}
    if settings["adversarial"]:
        settings["n_seen"] = size("discriminator.visual.0.weight", 1)
        settings["n_judged"] = [size(f"discriminator.patches.{layer}.weight", 0) for layer in (0, 2, 5)]
    return settings
