"""Flow of a clip: which pictures, which numbers, what is stored."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from foley.errors import FoleyError, MediaError
from foley.preprocess.flow_config import FlowConfig
from foley.preprocess.optical_flow import (
    compute_shard,
    estimate_flows,
    flow_clip,
    from_bytes,
    grey_frames,
    to_bytes,
)
from foley.store.shards import ShardReader, ShardWriter
from tests.films import level, make_film

SMALL = {"width_px": 64, "height_px": 48}
ROUTES = {
    "torch": FlowConfig(**SMALL),
    "opencv": FlowConfig(engine="opencv", **SMALL),
    "dis": FlowConfig(method="dis", **SMALL),
}


def moving(n: int, right_px: int, down_px: int) -> np.ndarray:
    """Pictures (n, 48, 64) of a texture that moves by whole pixels."""
    rough = np.random.default_rng(0).standard_normal((48 + 60, 64 + 60)).astype(np.float32)
    smooth = cv2.GaussianBlur(rough, (0, 0), 2)
    canvas = np.rint((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    return np.stack([canvas[30 - k * down_px :, 30 - k * right_px :][:48, :64] for k in range(n)])


def test_eight_bits_hold_the_flow_to_half_a_step() -> None:
    flow = np.linspace(-25, 25, 1001, dtype=np.float32)
    back = from_bytes(to_bytes(flow, 20.0), 20.0)
    inside = np.abs(flow) <= 20
    assert np.abs(back - flow)[inside].max() <= 0.5 * 40 / 255 + 1e-5
    assert back[0] == -20
    assert back[-1] == 20
    assert to_bytes(np.zeros(1), 20.0)[0] == 128


def test_eight_bits_are_those_that_opencv_writes_for_the_papers_code() -> None:
    flow = np.random.default_rng(0).uniform(-30, 30, (20, 30)).astype(np.float32)
    mapped = (np.clip(flow, -20, 20) + 20) * (255 / 40)
    _, png = cv2.imencode(".png", cv2.convertScaleAbs(mapped))
    assert np.array_equal(to_bytes(flow, 20.0), cv2.imdecode(png, cv2.IMREAD_GRAYSCALE))


@pytest.mark.parametrize("config", ROUTES.values(), ids=ROUTES.keys())
def test_every_route_finds_the_motion(config: FlowConfig) -> None:
    frames = moving(4, 2, -1)
    flows = np.concatenate(list(estimate_flows(frames, config)))
    assert flows.shape == (3, 2, 48, 64)
    middle = np.median(flows[:, :, 10:-10, 10:-10], axis=(2, 3))
    np.testing.assert_allclose(middle, [[2, -1]] * 3, atol=0.15)
    stored = flow_clip(frames, config)
    assert stored.dtype == np.uint8
    assert np.array_equal(stored, to_bytes(flows, 20.0))


def test_pictures_go_by_their_times(tmp_path: Path) -> None:
    times_s = np.array([0.0, 0.1, 0.2, 0.6, 0.7, 0.8, 1.5])
    film = make_film(tmp_path / "a.mp4", times_s)
    config = FlowConfig(fps=10, **SMALL)
    frames = grey_frames(film, start_s=0.1, duration_s=1.2, config=config)
    assert frames.shape == (12, 48, 64)
    shown = np.searchsorted(times_s, 0.1 + np.arange(12) / 10 + 1e-4, side="right") - 1
    expected = [level(int(index)) for index in shown]
    np.testing.assert_allclose(np.median(frames, axis=(1, 2)), expected, atol=4)
    with pytest.raises(MediaError, match="move the window"):
        grey_frames(film, start_s=-2.0, duration_s=1.0, config=config)


def test_one_picture_is_refused() -> None:
    with pytest.raises(FoleyError, match="two pictures"):
        flow_clip(moving(1, 0, 0), FlowConfig())


def test_a_shard_holds_the_flow_of_every_clip_that_decodes(tmp_path: Path) -> None:
    make_film(tmp_path / "film.mp4", np.arange(30) / 25)
    with ShardWriter(tmp_path / "clips.h5", {}) as clips:
        for name in ("film", "gone"):
            attributes = {"path": f"{name}.mp4", "start_s": 0.0, "duration_s": 1.0, "label": "dog"}
            clips.write(name, {"audio": np.zeros(4, dtype=np.float32)}, attributes)
    config = FlowConfig(fps=5, **SMALL)
    paths = {"clips_path": tmp_path / "clips.h5", "flow_path": tmp_path / "flow.h5"}
    compute_shard(data_dir=tmp_path, config=config, **paths)
    shard = ShardReader(tmp_path / "flow.h5")
    assert shard.items == ["film"]
    assert shard.read("film", "flow").shape == (4, 2, 48, 64)
    np.testing.assert_allclose(shard.read("film", "timestamps_s"), [0.0, 0.2, 0.4, 0.6])
    assert shard.item_attributes("film")["label"] == "dog"
    assert shard.attributes["config"]["fps"] == 5
