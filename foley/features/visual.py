"""Visual features: what an image network makes of every picture of a clip.

Pictures are the interpolated frames or the space-time images. They are read from a shard
(:func:`extract_shard`) or made on the way from the raw film (:func:`extract_streamed`,
:func:`extract_streamed_together`); the numbers are the same. This module imports torch only when a
network is built, so that reading a configuration stays quick.
"""

import importlib.util
import logging
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

import foley
from foley import registry
from foley.errors import ConfigError, MediaError, StoreError
from foley.preprocess.interpolation import InterpolationConfig, clip_frames, target_times
from foley.preprocess.spacetime import SpacetimeConfig, frames_needed, image_frames, make_images
from foley.provenance import code_digest, file_sha256
from foley.store.shards import ShardReader, ShardWriter

logger = logging.getLogger(__name__)

Kind = Literal["frames", "spacetime"]
Picture = NDArray[np.uint8]


class BackboneConfig(BaseModel):
    """An image network and how it is run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: str = Field(description="an entry of backbones in foley/registry.py")
    weights: str | None = Field(None, description='path; null: the packaged file; "random": none')
    sha256: str | None = Field(None, description="digest of the weights file; needed with a path")
    input_px: int = Field(224, ge=32, description="pictures are resized to squares of this side")
    every: int = Field(1, ge=1, description="a feature for frames 0, every, 2 * every, ...")
    first_frame: bool = Field(False, description="only the clip's first picture (AutoFoley's f(I_1))")
    batch_size: int = Field(8, ge=1, description="pictures that go through the network together")
    engine: Literal["auto", "torch", "openvino"] = Field(
        "auto", description="auto is openvino where it is installed and the device is the CPU"
    )
    precision: Literal["float32", "auto"] = Field(
        "float32", description="auto lets OpenVINO compute in bfloat16 where the CPU is faster at it"
    )
    seed: int = Field(0, ge=0, description='of weights: "random"')


@dataclass(frozen=True)
class Backbone:
    """A network that is ready to run.

    Parameters
    ----------
    dim : int
        Length of a feature.
    engine : str
        ``torch`` or ``openvino``.
    weights_sha256 : str
        Digest of the weights file, or ``random``.
    input_px, batch_size : int
        As configured.
    run : callable
        From uint8 RGB (batch_size, input_px, input_px, 3) to float32 (batch_size, dim).
    """

    dim: int
    engine: str
    weights_sha256: str
    input_px: int
    batch_size: int
    run: Callable[[Picture], NDArray[np.float32]]

    def __call__(self, pictures: Picture) -> NDArray[np.float16]:
        """Features of pictures.

        Parameters
        ----------
        pictures : ndarray of uint8, shape (m, height, width, 3)
            RGB or space-time images, any size.

        Returns
        -------
        ndarray of float16, shape (m, dim)
        """
        resized = _resized(pictures, self.input_px)
        features = np.empty((len(resized), self.dim), dtype=np.float16)
        for start in range(0, len(resized), self.batch_size):
            part = resized[start : start + self.batch_size]
            # Full batches only: the graph is compiled for one shape, and sums do not depend on it.
            padded = np.concatenate([part, np.repeat(part[-1:], self.batch_size - len(part), axis=0)])
            features[start : start + len(part)] = self.run(padded)[: len(part)]
        return features


def _resized(pictures: Picture, size_px: int) -> Picture:
    height, width = pictures.shape[1:3]
    if (height, width) == (size_px, size_px):
        return np.ascontiguousarray(pictures)
    method = cv2.INTER_AREA if min(height, width) >= size_px else cv2.INTER_LINEAR
    resized = [cv2.resize(picture, (size_px, size_px), interpolation=method) for picture in pictures]
    return np.stack(resized).astype(np.uint8, copy=False)


def load_backbone(config: BackboneConfig, device: str = "cpu", *, n_threads: int = 1) -> Backbone:
    """Build a network, load and check its weights, and prepare the engine.

    Parameters
    ----------
    config : BackboneConfig
        Network, weights and engine.
    device : str
        ``cpu`` or ``cuda``.
    n_threads : int
        Threads on the CPU. With torch this holds for the whole process.

    Returns
    -------
    Backbone

    Raises
    ------
    ConfigError
        If weights are missing or wrong, the engine is not installed, or it cannot run on `device`.
    """
    import torch

    module = registry.load("backbones", config.network)
    engine = _engine(config, device)
    network = module.build(config)
    with torch.inference_mode():
        if engine == "openvino":
            run = _openvino_runner(network, config, n_threads)
        else:
            torch.set_num_threads(n_threads)
            run = _torch_runner(network, device)
    return Backbone(module.DIM, engine, weights_digest(config), config.input_px, config.batch_size, run)


def weights_digest(config: BackboneConfig) -> str:
    """SHA-256 of the (checked) weights file, or ``random``."""
    if config.weights == "random":
        return "random"
    return config.sha256 or str(registry.load("backbones", config.network).WEIGHTS.sha256)


def _engine(config: BackboneConfig, device: str) -> Literal["torch", "openvino"]:
    installed = importlib.util.find_spec("openvino") is not None
    if config.engine == "auto":
        return "openvino" if installed and device == "cpu" else "torch"
    if config.engine == "openvino" and not installed:
        raise ConfigError("engine openvino is not installed: pip install 'foley[fast]', or set engine: torch")
    if config.engine == "openvino" and device != "cpu":
        raise ConfigError(f"engine openvino runs on the CPU, not on {device}; set engine: torch")
    return config.engine


def _torch_runner(network: Any, device: str) -> Callable[[Picture], NDArray[np.float32]]:
    import torch

    network = network.to(device=device, memory_format=torch.channels_last)

    def run(pictures: Picture) -> NDArray[np.float32]:
        with torch.inference_mode():
            features = network(torch.from_numpy(pictures).to(device))
            return np.asarray(features.float().cpu().numpy())

    return run


def _openvino_runner(
    network: Any, config: BackboneConfig, n_threads: int
) -> Callable[[Picture], NDArray[np.float32]]:
    import openvino
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    # The steps of openvino.convert_model, without its usage reports over the network.
    side = config.input_px
    one = torch.zeros((1, side, side, 3), dtype=torch.uint8)  # tracing runs it, so it is kept small
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit", DeprecationWarning)  # how OpenVINO traces
        decoder = TorchScriptPythonDecoder(network, example_input=(one,))
    frontend = FrontEndManager().load_by_framework("pytorch")
    graph = frontend.convert(frontend.load(decoder))
    graph.inputs[0].get_node().set_element_type(openvino.Type.u8)
    graph.reshape((config.batch_size, side, side, 3))
    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": n_threads, "NUM_STREAMS": 1}
    if config.precision == "float32":
        options["INFERENCE_PRECISION_HINT"] = "f32"
    request = openvino.Core().compile_model(graph, "CPU", options).create_infer_request()

    def run(pictures: Picture) -> NDArray[np.float32]:
        return np.array(request.infer([pictures])[0])

    return run


def feature_frames(n_frames: int, config: BackboneConfig) -> NDArray[np.int64]:
    """Frames that a feature is made for: ``0, every, 2 * every, ...``, or the first only."""
    return np.arange(0, 1 if config.first_frame else n_frames, config.every, dtype=np.int64)


def _rows(
    path: str | Path, clip_id: str, frame_index: NDArray[np.int64], config: BackboneConfig
) -> NDArray[Any]:
    """Rows of a picture shard that hold the frames the network wants."""
    wanted = feature_frames(int(frame_index[-1]) + 1, config)
    rows = np.searchsorted(frame_index, wanted)
    if not np.array_equal(frame_index[np.minimum(rows, len(frame_index) - 1)], wanted):
        raise StoreError(
            f"{path}: {clip_id} has no picture for every {config.every}th frame; "
            "make the backbone's every a multiple of spacetime.every, or of interpolations.<name>.every"
        )
    return rows


def _attributes(
    kind: Kind, config: BackboneConfig, backbone: Backbone, pictures: dict[str, Any]
) -> dict[str, Any]:
    root = Path(foley.__file__).parents[1]
    return {
        "config": config.model_dump(mode="json"),
        "kind": kind,
        "dim": backbone.dim,
        "engine": backbone.engine,
        "weights_sha256": backbone.weights_sha256,
        "pictures": pictures,
        "code": code_digest([__name__, registry.module_name("backbones", config.network)], root),
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
    with ShardWriter(features_path, _attributes(kind, config, backbone, pictures)) as shard:
        for clip_id in reader.items:
            if shard.done(clip_id):
                continue
            frame_index = reader.read(clip_id, "frame_index")
            rows = _rows(images_path, clip_id, frame_index, config)
            arrays: dict[str, NDArray[Any]] = {
                "features": backbone(reader.read(clip_id, name)[rows]),
                "timestamps_s": reader.read(clip_id, "timestamps_s")[rows],
                "frame_index": frame_index[rows],
            }
            shard.write(clip_id, arrays, reader.item_attributes(clip_id))
    logger.info("%s: %d clips, engine %s", features_path, len(reader.items), backbone.engine)


@dataclass(frozen=True)
class FeatureJob:
    """One feature shard to make: which network, of which pictures, into which file."""

    config: BackboneConfig
    kind: Kind
    features_path: str | Path


def extract_streamed(
    *,
    clips_path: str | Path,
    data_dir: str | Path,
    kind: Kind,
    interpolation: InterpolationConfig,
    spacetime: SpacetimeConfig,
    size_px: int,
    config: BackboneConfig,
    features_path: str | Path,
    n_threads: int = 1,
    device: str = "cpu",
) -> None:
    """Compute the features of every clip of a shard straight from the raw films.

    The numbers are those of :func:`extract_shard` on the pixel shards, without the pixel files.

    Parameters
    ----------
    clips_path : path
        Shard of clips: attributes ``path``, ``start_s``, ``duration_s``.
    data_dir : path
        Folder that relative raw paths start from.
    kind : str
        ``frames`` or ``spacetime``.
    interpolation : InterpolationConfig
        How pictures between pictures are made.
    spacetime : SpacetimeConfig
        How they are stacked; used by kind ``spacetime``.
    size_px : int
        Side of the interpolated pictures.
    config, features_path, n_threads, device
        As for :func:`extract_shard`.

    Raises
    ------
    ConfigError, StoreError
        As :func:`extract_shard`.
    """
    extract_streamed_together(
        clips_path=clips_path,
        data_dir=data_dir,
        interpolation=interpolation,
        spacetime=spacetime,
        size_px=size_px,
        jobs=[FeatureJob(config, kind, features_path)],
        n_threads=n_threads,
        device=device,
    )


def extract_streamed_together(
    *,
    clips_path: str | Path,
    data_dir: str | Path,
    interpolation: InterpolationConfig,
    spacetime: SpacetimeConfig,
    size_px: int,
    jobs: Sequence[FeatureJob],
    n_threads: int = 1,
    device: str = "cpu",
) -> None:
    """Compute several feature shards while decoding and interpolating each film once.

    Parameters
    ----------
    jobs : sequence of FeatureJob
        What to make; each file is the one that :func:`extract_streamed` would write.
    clips_path, data_dir, interpolation, spacetime, size_px, n_threads, device
        As for :func:`extract_streamed`.

    Raises
    ------
    ConfigError, StoreError
        As :func:`extract_shard`.
    """
    clips = ShardReader(clips_path)
    pictures = {
        "interpolation": interpolation.model_dump(mode="json"),
        "spacetime": spacetime.model_dump(mode="json"),
        "size_px": size_px,
        "clips_sha256": file_sha256(clips_path),
    }
    backbones = [load_backbone(job.config, device, n_threads=n_threads) for job in jobs]
    with ExitStack() as stack:
        shards = [
            stack.enter_context(
                ShardWriter(job.features_path, _attributes(job.kind, job.config, backbone, pictures))
            )
            for job, backbone in zip(jobs, backbones, strict=True)
        ]
        for clip_id in clips.items:
            todo = [i for i, shard in enumerate(shards) if not shard.done(clip_id)]
            if not todo:
                continue
            clip = clips.item_attributes(clip_id)
            times_s = target_times(clip["duration_s"], interpolation.fps)
            wanted = np.unique(np.concatenate([_looked_at(jobs[i], len(times_s), spacetime) for i in todo]))
            try:
                frames = clip_frames(
                    clip, data_dir=data_dir, size_px=size_px, config=interpolation, wanted=wanted
                )
            except MediaError as error:
                logger.warning("%s left out: %s", clip_id, error)
                continue
            for i in todo:
                shown, index = _shown(frames, jobs[i].kind, spacetime)
                rows = _rows(clips_path, clip_id, index, jobs[i].config)
                arrays: dict[str, NDArray[Any]] = {
                    "features": backbones[i](shown[rows]),
                    "timestamps_s": times_s[index[rows]],
                    "frame_index": index[rows],
                }
                shards[i].write(clip_id, arrays, clip)
    for job, backbone in zip(jobs, backbones, strict=True):
        logger.info("%s: %d clips, engine %s", job.features_path, len(clips.items), backbone.engine)


def _looked_at(job: FeatureJob, n_frames: int, spacetime: SpacetimeConfig) -> NDArray[np.int64]:
    """Interpolated frames that a job needs."""
    if job.kind == "frames":
        return feature_frames(n_frames, job.config)
    return frames_needed(n_frames, spacetime)


def _shown(frames: Picture, kind: Kind, spacetime: SpacetimeConfig) -> tuple[Picture, NDArray[np.int64]]:
    """Pictures of a kind, and the frames they stand for."""
    if kind == "frames":
        return frames, np.arange(len(frames), dtype=np.int64)
    return make_images(frames, spacetime), image_frames(len(frames), spacetime)
