"""Visual features: what an image network makes of every picture of a clip.

Pictures are the interpolated frames or the space-time images. They are read from a shard
(:func:`extract_shard`) or made on the way from the raw film (:mod:`foley.features.streaming`); the
numbers are the same. Some networks look at maps of optical flow (:func:`extract_flow_shard`).

This module imports torch only when a network is built, so that reading a configuration stays quick.
"""

import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

import foley
from foley import registry
from foley.errors import ConfigError, StoreError
from foley.features.engines import Precision, Run
from foley.preprocess.spacetime import SpacetimeConfig, frames_needed
from foley.provenance import code_digest, file_sha256
from foley.store.shards import ShardReader, write_shard

logger = logging.getLogger(__name__)

Kind = Literal["frames", "spacetime"]
Picture = NDArray[np.uint8]


class BackboneConfig(BaseModel):
    """An image network and how it is run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str = Field(description="an entry of backbones in foley/registry.py")
    weights: str | None = Field(None, description='path; null: the packaged file; "random": none')
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{16,64}$",
        description="digest of the weights file, or its first 16 digits or more; needed with a path",
    )
    input_px: int = Field(224, ge=32, description="pictures are resized to squares of this side")
    every: int = Field(1, ge=1, description="a feature for frames 0, every, 2 * every, ...")
    first_frame: bool = Field(False, description="only the clip's first picture (AutoFoley's f(I_1))")
    batch_size: int | Literal["auto"] = Field(
        8,
        description="pictures that go through the network together; auto measures what is fastest, which may "
        "differ from run to run, and with it the last bits",
    )
    engine: Literal["auto", "torch", "torch_compile", "openvino"] = Field(
        "auto", description="auto is openvino where it is installed and the device is the CPU, else torch"
    )
    precision: Precision | Literal["auto"] = Field(
        "float32",
        description="auto is half precision where the hardware has it (a cosine of 0.9999 to float32); "
        "int8 is for openvino and changes features",
    )
    seed: int = Field(0, ge=0, description='of weights: "random"')

    @field_validator("batch_size")
    @classmethod
    def _batch_holds_a_picture(cls, value: int | str) -> int | str:
        if value != "auto" and int(value) < 1:
            raise ValueError("at least 1, or auto")
        return value


@dataclass(frozen=True)
class Backbone:
    """A network that is ready to run.

    Parameters
    ----------
    dim : int
        Length of a feature.
    engine : str
        ``torch``, ``torch_compile`` or ``openvino``.
    precision : str
        What it computes in.
    weights_sha256 : str
        Digest of the weights file, or ``random``.
    input_px, batch_size : int
        Side of the pictures it takes, and how many at a time.
    run : callable
        From uint8 (batch_size, input_px, input_px, n_channels) to float32 (batch_size, dim); 3 channels
        are RGB, 2 are optical flow.
    """

    dim: int
    engine: str
    precision: str
    weights_sha256: str
    input_px: int
    batch_size: int
    run: Run

    def __call__(self, pictures: Picture) -> NDArray[np.float16]:
        """Features of pictures.

        Parameters
        ----------
        pictures : ndarray of uint8, shape (m, height, width, n_channels)
            RGB, space-time images or maps of optical flow, any size.

        Returns
        -------
        ndarray of float16, shape (m, dim)
        """
        resized = resize_pictures(pictures, self.input_px)
        features = np.empty((len(resized), self.dim), dtype=np.float16)
        for start in range(0, len(resized), self.batch_size):
            part = resized[start : start + self.batch_size]
            n_shown = len(part)
            if n_shown < self.batch_size:
                # Full batches only: the graph is compiled for one shape, and sums do not depend on it.
                part = np.concatenate([part, np.repeat(part[-1:], self.batch_size - n_shown, axis=0)])
            features[start : start + n_shown] = self.run(part)[:n_shown]
        return features


def resize_pictures(pictures: Picture, size_px: int) -> Picture:
    """Squeeze pictures to squares; those that have the size already are given back.

    Parameters
    ----------
    pictures : ndarray of uint8, shape (m, height, width, n_channels)
    size_px : int

    Returns
    -------
    ndarray of uint8, shape (m, size_px, size_px, n_channels)
    """
    height, width = pictures.shape[1:3]
    if (height, width) == (size_px, size_px):
        return np.ascontiguousarray(pictures)
    method = cv2.INTER_AREA if min(height, width) >= size_px else cv2.INTER_LINEAR
    resized = [cv2.resize(picture, (size_px, size_px), interpolation=method) for picture in pictures]
    return np.stack(resized).astype(np.uint8, copy=False)


def network_module(network: str, *, of_flow: bool) -> ModuleType:
    """Module of a network, which must be one that looks at pictures, or at optical flow.

    Parameters
    ----------
    network : str
        Entry of ``backbones`` in the registry.
    of_flow : bool

    Raises
    ------
    ConfigError
        If there is no such network, or it cannot look at that.
    """
    module = registry.load("backbones", network)
    if of_flow and not hasattr(module, "build_for_flow"):
        raise ConfigError(f"network {network} does not look at optical flow; use flow_grid or bninception")
    if not of_flow and not hasattr(module, "build"):
        raise ConfigError(f"network {network} looks at optical flow only; use <backbone>/<flow>/flow")
    return module


def load_backbone(
    config: BackboneConfig, device: str = "cpu", *, n_threads: int = 1, bound_px: float | None = None
) -> Backbone:
    """Build a network, load and check its weights, and prepare the engine.

    Parameters
    ----------
    config : BackboneConfig
        Network, weights and engine.
    device : str
        ``cpu``, ``cuda`` (a GPU that no other job of Foley works on) or ``cuda:<index>``.
    n_threads : int
        Threads on the CPU. With torch this holds for the whole process.
    bound_px : float or None
        For a network that looks at optical flow: the motion that its maps store as 255 (see
        :func:`foley.preprocess.optical_flow.to_bytes`). Without, it looks at pictures.

    Returns
    -------
    Backbone

    Raises
    ------
    ConfigError
        If weights are missing or wrong, the network does not look at such pictures, the engine is not
        installed, or it cannot run on `device` or in the precision.
    """
    from foley.features.engines import batching, by_torch
    from foley.features.engines.devices import device_for_job

    module = network_module(config.network, of_flow=bound_px is not None)
    engine = _engine(config, device)
    place = device_for_job(device)
    network = module.build(config) if bound_px is None else module.build_for_flow(config, bound_px)
    n_channels = 3 if bound_px is None else 2
    if engine == "openvino":
        from foley.features.engines import by_openvino

        precision = by_openvino.best_precision() if config.precision == "auto" else config.precision
        with_batch = by_openvino.prepare(
            network,
            side_px=config.input_px,
            n_channels=n_channels,
            precision=precision,
            n_threads=n_threads,
        )
    else:
        precision = by_torch.best_precision(place) if config.precision == "auto" else config.precision
        with_batch = by_torch.prepare(
            network,
            side_px=config.input_px,
            n_channels=n_channels,
            precision=precision,
            device=place,
            n_threads=n_threads,
            compiled=engine == "torch_compile",
        )
    if config.first_frame:
        batch_size = 1  # a clip has one such picture: a larger batch would be padding
    elif config.batch_size == "auto":
        shape = (config.input_px, config.input_px, n_channels)
        most = batching.largest_batch(network, shape, place)
        batch_size = batching.find_batch_size(batching.speed_of(with_batch, shape), most)
        logger.info("%s on %s: batches of %d", config.network, place, batch_size)
    else:
        batch_size = config.batch_size
    return Backbone(
        dim=module.DIM,
        engine=engine,
        precision=precision,
        weights_sha256=weights_digest(config),
        input_px=config.input_px,
        batch_size=batch_size,
        run=with_batch(batch_size),
    )


def weights_digest(config: BackboneConfig) -> str:
    """SHA-256 of the (checked) weights file, or ``random``."""
    if config.weights == "random":
        return "random"
    return config.sha256 or str(registry.load("backbones", config.network).WEIGHTS.sha256)


def _engine(config: BackboneConfig, device: str) -> Literal["torch", "torch_compile", "openvino"]:
    installed = importlib.util.find_spec("openvino") is not None
    if config.engine == "auto":
        return "openvino" if installed and device == "cpu" else "torch"
    if config.engine == "openvino" and not installed:
        raise ConfigError("engine openvino is not installed: pip install 'foley[fast]', or set engine: torch")
    if config.engine == "openvino" and device != "cpu":
        raise ConfigError(f"engine openvino runs on the CPU, not on {device}; set engine: torch")
    return config.engine


def feature_frames(n_frames: int, config: BackboneConfig) -> NDArray[np.int64]:
    """Frames that a feature is made for: ``0, every, 2 * every, ...``, or the first only."""
    return np.arange(0, 1 if config.first_frame else n_frames, config.every, dtype=np.int64)


def frames_looked_at(
    n_frames: int, kind: str, config: BackboneConfig, spacetime: SpacetimeConfig
) -> NDArray[np.int64]:
    """Interpolated frames of a clip that a network needs for pictures of one kind, ascending."""
    return feature_frames(n_frames, config) if kind == "frames" else frames_needed(n_frames, spacetime)


def rows_wanted(
    path: str | Path, clip_id: str, frame_index: NDArray[np.int64], config: BackboneConfig
) -> NDArray[Any]:
    """Rows of a clip's pictures that hold the frames the network wants.

    Parameters
    ----------
    path : path
        Of the shard, for the error.
    clip_id : str
    frame_index : ndarray of int64, shape (n,)
        Frame that each picture stands for, ascending.
    config : BackboneConfig

    Returns
    -------
    ndarray of int64, shape (m,)

    Raises
    ------
    StoreError
        If one of them has no picture.
    """
    wanted = feature_frames(int(frame_index[-1]) + 1, config)
    rows = np.searchsorted(frame_index, wanted)
    if not np.array_equal(frame_index[np.minimum(rows, len(frame_index) - 1)], wanted):
        raise StoreError(
            f"{path}: {clip_id} has no picture for every {config.every}th frame; "
            "make the backbone's every a multiple of spacetime.every, or of interpolations.<name>.every"
        )
    return rows


def shard_attributes(
    kind: Kind | Literal["flow"],
    config: BackboneConfig,
    backbone: Backbone,
    pictures: dict[str, Any],
    module: str,
) -> dict[str, Any]:
    """How a feature shard is made: by the code of `module`, from pictures made as `pictures` says."""
    root = Path(foley.__file__).parents[1]
    return {
        "config": config.model_dump(mode="json"),
        "kind": kind,
        "dim": backbone.dim,
        "engine": backbone.engine,
        "precision": backbone.precision,
        "batch_size": backbone.batch_size,
        "weights_sha256": backbone.weights_sha256,
        "pictures": pictures,
        "code": code_digest([module, registry.module_name("backbones", config.network)], root),
    }


def extract_shard(
    *,
    images_path: str | Path,
    kind: Kind,
    config: BackboneConfig,
    features_path: str | Path,
    n_threads: int = 1,
    device: str = "cpu",
) -> None:
    """Compute the features of every clip of a shard of pictures.

    Parameters
    ----------
    images_path : path
        Shard of interpolated frames or space-time images, as `kind` says.
    kind : str
        ``frames`` or ``spacetime``.
    config : BackboneConfig
        Network and which frames.
    features_path : path
        Shard to write: item ``features (m, dim)`` float16, ``timestamps_s (m,)`` float64,
        ``frame_index (m,)`` int64, and the clip's attributes.
    n_threads : int
        Threads on the CPU.
    device : str
        ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        See :func:`load_backbone`.
    StoreError
        If the shard lacks a picture that the configuration asks for.
    """
    reader = ShardReader(images_path)
    backbone = load_backbone(config, device, n_threads=n_threads)
    name = "frames" if kind == "frames" else "images"
    pictures = {"made_with": reader.attributes, "sha256": file_sha256(images_path)}

    def make(clip_id: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        frame_index = reader.read(clip_id, "frame_index")
        rows = rows_wanted(images_path, clip_id, frame_index, config)
        arrays: dict[str, NDArray[Any]] = {
            "features": backbone(reader.read(clip_id, name)[rows]),
            "timestamps_s": reader.read(clip_id, "timestamps_s")[rows],
            "frame_index": frame_index[rows],
        }
        return arrays, reader.item_attributes(clip_id)

    attributes = shard_attributes(kind, config, backbone, pictures, __name__)
    write_shard(features_path, attributes, reader.items, make)
    logger.info("%s: %d clips, engine %s", features_path, len(reader.items), backbone.engine)


def flow_features(
    maps: NDArray[np.uint8], config: BackboneConfig, backbone: Backbone
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Features of a clip's optical flow, one for each of its pictures.

    Parameters
    ----------
    maps : ndarray of uint8, shape (n - 1, 2, height, width)
        Flow from each of n pictures to the next.
    config : BackboneConfig
        Which of the pictures.
    backbone : Backbone
        Looks at flow.

    Returns
    -------
    features : ndarray of float16, shape (m, dim)
        From the last picture nothing moves on: its feature is zero, as REGNET's loader fills it up.
    frame_index : ndarray of int64, shape (m,)
        Pictures that they stand for.
    """
    frame_index = feature_frames(len(maps) + 1, config)
    features = np.zeros((len(frame_index), backbone.dim), dtype=np.float16)
    moving = frame_index[frame_index < len(maps)]
    features[: len(moving)] = backbone(maps[moving].transpose(0, 2, 3, 1))
    return features, frame_index


def extract_flow_shard(
    *,
    flow_path: str | Path,
    config: BackboneConfig,
    features_path: str | Path,
    n_threads: int = 1,
    device: str = "cpu",
) -> None:
    """Compute the features of every clip of a shard of optical flow.

    Parameters
    ----------
    flow_path : path
        Shard of :func:`foley.preprocess.optical_flow.compute_shard`.
    config, features_path, n_threads, device
        As for :func:`extract_shard`; there are as many features as of pictures of the flow's rate.

    Raises
    ------
    ConfigError
        See :func:`load_backbone`.
    """
    reader = ShardReader(flow_path)
    made_as = reader.attributes["config"]
    backbone = load_backbone(config, device, n_threads=n_threads, bound_px=made_as["bound_px"])

    def make(clip_id: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        features, frame_index = flow_features(reader.read(clip_id, "flow"), config, backbone)
        arrays: dict[str, NDArray[Any]] = {
            "features": features,
            "timestamps_s": frame_index / made_as["fps"],
            "frame_index": frame_index,
        }
        return arrays, reader.item_attributes(clip_id)

    pictures = {"made_with": reader.attributes, "sha256": file_sha256(flow_path)}
    attributes = shard_attributes("flow", config, backbone, pictures, __name__)
    write_shard(features_path, attributes, reader.items, make)
    logger.info("%s: %d clips, engine %s", features_path, len(reader.items), backbone.engine)
