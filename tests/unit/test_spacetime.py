"""Space-time images on arrays whose result can be read off."""

import numpy as np
import pytest

from foley.errors import FoleyError, StoreError
from foley.preprocess.spacetime import SpacetimeConfig, frames_needed, make_images, make_shard
from foley.store.shards import ShardReader, ShardWriter


def ramp(n):
    """Grey frame k has the value 10 k everywhere."""
    return np.repeat(np.arange(n, dtype=np.uint8) * 10, 4 * 4 * 3).reshape(n, 4, 4, 3)


@pytest.mark.parametrize(
    ("step", "every", "expected"),
    [
        (1, 1, [(0, 0, 10), (0, 10, 20), (10, 20, 30), (20, 30, 40), (30, 40, 40)]),
        (2, 1, [(0, 0, 20), (0, 10, 30), (0, 20, 40), (10, 30, 40), (20, 40, 40)]),
        (1, 3, [(0, 0, 10), (20, 30, 40)]),
        (9, 4, [(0, 0, 40), (0, 40, 40)]),
    ],
)
def test_channels_are_previous_current_next_with_repeated_ends(step, every, expected):
    images = make_images(ramp(5), SpacetimeConfig(step=step, every=every))
    assert images.shape == (len(expected), 4, 4, 3)
    np.testing.assert_array_equal(images[:, 1, 2], expected)


def test_grey_is_rec_601_luma():
    red = np.zeros((1, 2, 2, 3), np.uint8)
    red[..., 0] = 255
    assert make_images(red, SpacetimeConfig())[0, 0, 0].tolist() == [76, 76, 76]


def test_only_needed_frames_are_looked_at():
    config = SpacetimeConfig(step=1, every=6)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    needed = frames_needed(20, config)
    assert needed.tolist() == [0, 1, 5, 6, 7, 11, 12, 13, 17, 18, 19]
    emptied = np.zeros_like(frames)
    emptied[needed] = frames[needed]
    np.testing.assert_array_equal(make_images(emptied, config), make_images(frames, config))


@pytest.mark.parametrize(("step", "every"), [(6, 6), (3, 6), (9, 3), (12, 30)])
def test_stored_neighbours_are_found_by_frame_index(step, every):
    config = SpacetimeConfig(step=step, every=every)
    frames = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
    held = np.append(np.arange(0, 49, 3), 49)
    np.testing.assert_array_equal(make_images(frames[held], config, held), make_images(frames, config))


def test_a_neighbour_that_is_not_stored_is_named(tmp_path):
    held = np.array([0, 3, 6])
    with pytest.raises(FoleyError, match=r"frame 1, which is not stored.*every a divisor"):
        make_images(ramp(7)[held], SpacetimeConfig(step=1, every=3), held)
    with ShardWriter(tmp_path / "frames.h5", {}) as shard:
        arrays = {"frames": ramp(7)[held], "timestamps_s": held / 190, "frame_index": held}
        shard.write("a_00", arrays, {})
    with pytest.raises(StoreError, match=r"frames\.h5: a_00: .*frame 1"):
        make_shard(
            frames_path=tmp_path / "frames.h5",
            config=SpacetimeConfig(every=3),
            images_path=tmp_path / "images.h5",
        )


def test_refuses_what_is_not_rgb():
    with pytest.raises(FoleyError, match="RGB"):
        make_images(np.zeros((5, 4, 4), np.uint8), SpacetimeConfig())


def test_shard_keeps_times_and_attributes(tmp_path):
    with ShardWriter(tmp_path / "frames.h5", {"size_px": 4}) as shard:
        arrays = {"frames": ramp(7), "timestamps_s": np.arange(7) / 190, "frame_index": np.arange(7)}
        shard.write("a_00", arrays, {"label": "clock"})
    config = SpacetimeConfig(every=3)
    make_shard(frames_path=tmp_path / "frames.h5", config=config, images_path=tmp_path / "images.h5")
    images = ShardReader(tmp_path / "images.h5")
    assert images.read("a_00", "frame_index").tolist() == [0, 3, 6]
    np.testing.assert_allclose(images.read("a_00", "timestamps_s"), [0, 3 / 190, 6 / 190])
    np.testing.assert_array_equal(images.read("a_00", "images"), make_images(ramp(7), config))
    assert images.item_attributes("a_00") == {"label": "clock"}
