"""Features of optical flow: what the grid measures, which steps there are, who may look at flow."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from foley import registry
from foley.errors import ConfigError
from foley.features.backbones.flow_grid import DIM
from foley.features.visual import BackboneConfig, extract_flow_shard, load_backbone
from foley.preprocess.flow_config import FlowConfig
from foley.preprocess.optical_flow import compute_shard, to_bytes
from foley.store.shards import ShardReader, ShardWriter
from tests.films import make_film

GRID = BackboneConfig(network="flow_grid", input_px=64, batch_size=4, engine="torch")
BOUND_PX = 20.0
STEP_PX = 2 * BOUND_PX / 255
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is optional"
)


def maps_of(flow: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Stored maps (1, h, w, 2) of one flow (2, h, w)."""
    return to_bytes(flow, BOUND_PX)[None].transpose(0, 2, 3, 1)


def looked_at(flow: NDArray[np.float64], config: BackboneConfig = GRID) -> NDArray[np.float16]:
    """Motion to the right, motion down and speed of the 4 x 4 cells, (3, 4, 4)."""
    return load_backbone(config, bound_px=BOUND_PX)(maps_of(flow)).reshape(3, 4, 4)


def test_no_motion_is_zero() -> None:
    assert not looked_at(np.zeros((2, 64, 64))).any()


def test_motion_is_in_pixels_and_in_its_cell() -> None:
    flow = np.zeros((2, 64, 64))
    flow[0, 16:32, 48:] = 3.0  # second row of cells, last column
    flow[1, 16:32, 48:] = -4.0
    right, down, speed = looked_at(flow)
    for cells, expected in ((right, 3.0), (down, -4.0), (speed, 5.0)):
        assert cells[1, 3] == pytest.approx(expected, abs=STEP_PX)
        cells[1, 3] = 0
        assert not cells.any()


def test_parts_that_move_apart_have_speed_but_no_mean_motion() -> None:
    flow = np.zeros((2, 64, 64))
    flow[0, :, ::2], flow[0, :, 1::2] = 6.0, -6.0
    right, _, speed = looked_at(flow)
    assert np.abs(right).max() < STEP_PX
    assert speed.min() > 6.0 - STEP_PX


def test_motion_is_that_of_the_maps_whatever_size_they_are_looked_at() -> None:
    flow = np.stack([np.full((48, 80), 2.5), np.full((48, 80), -1.0)])
    right, down, _ = looked_at(flow)
    np.testing.assert_allclose(right, 2.5, atol=STEP_PX)
    np.testing.assert_allclose(down, -1.0, atol=STEP_PX)


@needs_openvino
@pytest.mark.parametrize("network", ["flow_grid", "bninception"])
def test_engines_agree_on_flow(network: str) -> None:
    flow = np.random.default_rng(0).normal(0, 5, (2, 64, 64))
    settings = {"network": network, "weights": "random", "input_px": 64, "batch_size": 1}
    by = [
        load_backbone(BackboneConfig(**settings, engine=engine), bound_px=BOUND_PX)
        for engine in ("torch", "openvino")
    ]
    one, other = (backbone(maps_of(flow)).astype(np.float64) for backbone in by)
    assert one.shape == (1, registry.load("backbones", network).DIM)
    np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3 * np.abs(one).max())


def test_a_batch_is_found_for_flow_too() -> None:
    backbone = load_backbone(GRID.model_copy(update={"batch_size": "auto"}), bound_px=BOUND_PX)
    assert backbone.batch_size >= 1
    assert backbone(maps_of(np.zeros((2, 64, 64)))).shape == (1, DIM)


def test_networks_refuse_what_they_cannot_look_at() -> None:
    with pytest.raises(ConfigError, match="efficientnet_lite0 does not look at optical flow; use flow_grid"):
        load_backbone(BackboneConfig(network="efficientnet_lite0"), bound_px=BOUND_PX)
    with pytest.raises(ConfigError, match="flow_grid looks at optical flow only"):
        load_backbone(GRID)


def sliding(index: int) -> NDArray[np.uint8]:
    """A texture that moves 2 pixels to the right a picture."""
    rough = np.random.default_rng(0).integers(0, 256, (12, 40), dtype=np.uint8)
    wide = rough.repeat(4, 0).repeat(4, 1)
    return np.roll(wide, 2 * index, axis=1)[:, 32:96, None].repeat(3, 2)


@pytest.mark.parametrize(("every", "first_frame"), [(1, False), (3, False), (1, True)])
def test_features_have_the_steps_of_pictures_at_the_flows_rate(
    tmp_path: Path, every: int, first_frame: bool
) -> None:
    make_film(tmp_path / "film.mp4", np.arange(40) / 20, paint=sliding)
    with ShardWriter(tmp_path / "clips.h5", {}) as clips:
        clip = {"path": "film.mp4", "start_s": 0.2, "duration_s": 1.0, "label": "clock"}
        clips.write("a", {"audio": np.zeros(4, dtype=np.float32)}, clip)
    flow = FlowConfig(method="dis", fps=10, width_px=64, height_px=48)
    paths = {"clips_path": tmp_path / "clips.h5", "flow_path": tmp_path / "flow.h5"}
    compute_shard(data_dir=tmp_path, config=flow, **paths)
    config = GRID.model_copy(update={"every": every, "first_frame": first_frame})
    extract_flow_shard(flow_path=tmp_path / "flow.h5", config=config, features_path=tmp_path / "features.h5")
    shard = ShardReader(tmp_path / "features.h5")
    index = np.arange(0, 1 if first_frame else 10, every)
    assert shard.read("a", "frame_index").tolist() == index.tolist()
    np.testing.assert_allclose(shard.read("a", "timestamps_s"), index / 10)
    features = shard.read("a", "features")
    assert (features.dtype, features.shape) == (np.float16, (len(index), DIM))
    moving = index < 9
    assert not features[~moving].any(), "after the last picture there is no flow"
    right = features[moving].reshape(-1, 3, 4, 4)[:, 0, 1:3, 1:3]
    np.testing.assert_allclose(np.median(right, axis=(1, 2)), 4.0, atol=0.6)
    assert shard.item_attributes("a")["label"] == "clock"
    assert shard.attributes["kind"] == "flow"
    assert shard.attributes["pictures"]["made_with"]["config"]["fps"] == 10
