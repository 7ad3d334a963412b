"""Interpolation of pictures whose in-between pictures are known exactly."""

import cv2
import numpy as np
import pytest

from foley.errors import FoleyError
from foley.preprocess import flow
from foley.preprocess.interpolation import (
    InterpolationConfig,
    interpolate_clip,
    interpolate_shard,
    target_times,
)
from foley.store.shards import ShardReader, ShardWriter

SIZE_PX = 96


def scene(time_s, size_px=SIZE_PX):
    """A textured disc that moves on a curve over a fixed texture: a picture of any instant."""
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float64)
    ground = 110 + 25 * np.sin(x / 7) * np.cos(y / 9)
    centre_x, centre_y = centre(time_s)
    inside = 1 / (1 + np.exp((np.hypot(x - centre_x, y - centre_y) - 13) / 0.7))
    disc = 200 + 35 * np.cos((x - centre_x) / 2.5) * np.cos((y - centre_y) / 2.5)
    grey = ground * (1 - inside) + disc * inside
    return np.clip(np.rint(grey[..., None] * [1.0, 0.9, 0.8]), 0, 255).astype(np.uint8)


def centre(time_s):
    return 28 + 90 * time_s, 48 + 20 * np.sin(5 * time_s)


def film(times_s):
    return np.stack([scene(time_s) for time_s in times_s])


def psnr_db(a, b):
    return 10 * np.log10(255**2 / max(np.mean((a.astype(float) - b.astype(float)) ** 2), 1e-6))


def made_with(method, frames, times_s, duration_s=0.4, fps=190.0, **settings):
    config = InterpolationConfig(method=method, fps=fps, **settings)
    return interpolate_clip(frames, times_s, duration_s=duration_s, config=config)


def test_flow_beats_blend_beats_repeat_and_is_as_good_as_minterpolate():
    times_s = np.arange(13) / 25
    frames, truth = film(times_s), film(target_times(0.4, 190))
    quality = {
        method: np.mean(
            [psnr_db(a, b) for a, b in zip(made_with(method, frames, times_s), truth, strict=True)]
        )
        for method in ("repeat", "blend", "flow", "minterpolate")
    }
    assert quality["flow"] > quality["blend"] + 5
    assert quality["flow"] > quality["repeat"] + 5
    assert quality["flow"] > quality["minterpolate"] - 0.5
    assert quality["minterpolate"] > quality["repeat"]


@pytest.mark.parametrize("method", ["flow", "blend", "repeat", "minterpolate"])
def test_number_of_pictures_is_exact(method):
    times_s = np.arange(30) / 29.97
    frames = film(times_s)
    assert made_with(method, frames, times_s, duration_s=1.0).shape == (190, SIZE_PX, SIZE_PX, 3)
    assert len(made_with(method, frames, times_s, duration_s=0.7, fps=31.5)) == 22


@pytest.mark.parametrize(
    "times_s", [np.arange(13) / 25, np.array([0, 0.03, 0.09, 0.11, 0.2, 0.24, 0.3, 0.34, 0.4])]
)
def test_flow_lands_the_disc_where_it_is_at_that_time_even_at_a_variable_rate(times_s):
    made = made_with("flow", film(times_s), times_s)
    for index in range(0, 76, 5):
        bright = np.maximum(made[index][..., 0].astype(float) - 150, 0)
        y, x = np.mgrid[0:SIZE_PX, 0:SIZE_PX]
        found = (bright * x).sum() / bright.sum(), (bright * y).sum() / bright.sum()
        # Between pictures motion is taken as straight, which the curve is not quite.
        assert np.hypot(*np.subtract(found, centre(index / 190))) < 0.8


def test_source_pictures_come_through_unchanged():
    times_s = np.arange(11) / 25
    frames = film(times_s)
    for method in ("flow", "blend", "repeat"):
        made = made_with(method, frames, times_s, duration_s=0.4, fps=100.0)
        np.testing.assert_array_equal(made[::4], frames[:10])


def test_clock_starts_at_the_clip_not_at_the_first_picture():
    times_s = np.arange(12) / 25 - 0.013
    made = made_with("repeat", film(times_s), times_s, fps=100.0)
    expected = np.searchsorted(times_s, np.arange(40) / 100 + 1e-9, side="right") - 1
    np.testing.assert_array_equal(made, film(times_s)[expected])


def test_late_first_picture_is_shown_early_and_the_last_is_held():
    times_s = np.array([0.1, 0.14])
    frames = film(times_s)
    made = made_with("flow", frames, times_s, fps=50.0)
    np.testing.assert_array_equal(made[:6], np.repeat(frames[:1], 6, axis=0))
    np.testing.assert_array_equal(made[7:], np.repeat(frames[1:], 13, axis=0))


def test_nothing_is_mixed_across_a_cut():
    rng = np.random.default_rng(0)
    other = cv2.GaussianBlur(rng.integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8), (0, 0), 3)
    frames, times_s = np.stack([scene(0.1), other]), np.array([0.0, 0.04])
    made = made_with("flow", frames, times_s, duration_s=0.04, fps=1000.0)
    np.testing.assert_array_equal(made[:20], np.repeat(frames[:1], 20, axis=0))
    np.testing.assert_array_equal(made[21:], np.repeat(frames[1:], 19, axis=0))


def test_still_pictures_are_blended():
    first = scene(0.1)
    second = np.clip(first.astype(int) + np.random.default_rng(0).integers(-1, 2, first.shape), 0, 255)
    frames, times_s = np.stack([first, second.astype(np.uint8)]), np.array([0.0, 0.04])
    settings = {"duration_s": 0.04, "fps": 200.0, "still_level": 2.0}
    np.testing.assert_array_equal(
        made_with("flow", frames, times_s, **settings), made_with("blend", frames, times_s, **settings)
    )


def test_a_long_gap_holds_the_picture_as_a_player_does():
    times_s = np.array([0.0, 0.3, 0.34])
    frames = film(times_s)
    for method in ("flow", "blend"):
        made = made_with(method, frames, times_s, duration_s=0.3, fps=100.0)
        np.testing.assert_array_equal(made, np.repeat(frames[:1], 30, axis=0))


def test_wanted_pictures_are_the_same_ones():
    times_s = np.arange(13) / 25
    frames = film(times_s)
    config = InterpolationConfig()
    everything = interpolate_clip(frames, times_s, duration_s=0.4, config=config)
    wanted = np.array([0, 5, 6, 7, 30, 75])
    some = interpolate_clip(frames, times_s, duration_s=0.4, config=config, wanted=wanted)
    np.testing.assert_array_equal(some[wanted], everything[wanted])
    assert some.shape == everything.shape


def test_hidden_and_uncovered_ground_is_taken_from_the_picture_that_shows_it():
    sources = flow.Source(scene(0.10)), flow.Source(scene(0.16))
    pair = flow.estimate(*sources, preset="ultrafast", still_level=0.5, cut_correlation=0.3)
    truth, made = scene(0.13), flow.between(pair, 0.5)
    assert pair.relation == "moving"
    assert psnr_db(made, truth) > psnr_db(flow.blend(scene(0.10), scene(0.16), 0.5), truth) + 8


def test_what_stands_still_stays_sharp_beside_what_moves():
    first, second = scene(0.10, size_px=176), scene(0.16, size_px=176)
    subtitle = 255 * (np.random.default_rng(0).random((20, 100, 1)) < 0.5)
    for picture in (first, second):
        picture[140:160, 40:140] = subtitle
    sources = flow.Source(first), flow.Source(second)
    pair = flow.estimate(*sources, preset="ultrafast", still_level=0.5, cut_correlation=0.3)
    made = flow.between(pair, 0.5)
    assert pair.relation == "moving"
    np.testing.assert_array_equal(made[140:160, 40:140], first[140:160, 40:140])


@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (64, 31), (161, 160), (225, 301)])
def test_any_size_is_carried_by_its_motion(shape):
    height, width = shape
    noise = np.random.default_rng(0).integers(0, 256, (height, width + 4, 3), dtype=np.uint8)
    wide = cv2.GaussianBlur(noise, (0, 0), 2)
    first, truth, second = (np.ascontiguousarray(wide[:, k : k + width]) for k in (0, 1, 2))
    sources = flow.Source(first), flow.Source(second)
    pair = flow.estimate(*sources, preset="ultrafast", still_level=0.5, cut_correlation=0.3)
    assert psnr_db(flow.between(pair, 0.5), truth) > psnr_db(flow.blend(first, second, 0.5), truth) + 3


def test_flow_does_not_depend_on_opencvs_threads():
    times_s = np.arange(5) / 25
    frames = film(times_s)
    before = cv2.getNumThreads()
    results = []
    try:
        for n_threads in (1, 2):
            cv2.setNumThreads(n_threads)
            results.append(made_with("flow", frames, times_s, duration_s=0.1))
            assert cv2.getNumThreads() == n_threads
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(*results)


def test_batches_on_an_accelerator_give_the_same_pictures():
    rng = np.random.default_rng(0)
    other = cv2.GaussianBlur(rng.integers(0, 256, (176, 176, 3), dtype=np.uint8), (0, 0), 3)
    frames = np.stack([*(scene(0.06 * k, size_px=176) for k in range(5)), other, other])
    times_s = 0.06 * np.arange(7)
    arguments = {"duration_s": 0.42, "config": InterpolationConfig(fps=100.0)}
    made = [
        interpolate_clip(frames, times_s, **arguments, device=device).astype(int)
        for device in ("cpu", "cpu:0")  # PyTorch takes the second name for the same processor
    ]
    difference = np.abs(made[0] - made[1])
    assert difference.mean() < 0.05
    assert (difference <= 1).mean() > 0.995


@pytest.mark.parametrize("times_s", [[], [0.0], [0.1, 0.1], [0.2, 0.1]])
def test_pictures_and_times_must_fit(times_s):
    with pytest.raises(FoleyError, match="strictly increasing"):
        interpolate_clip(
            film([0.0, 0.1])[: 2 if times_s else 0],
            np.array(times_s),
            duration_s=0.2,
            config=InterpolationConfig(),
        )


def write_film(path, frames, fps):
    """Write a lossless-enough film with OpenCV's own encoder."""
    import imageio_ffmpeg

    height, width = frames.shape[1:3]
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, codec="libx264", output_params=["-crf", "4"], macro_block_size=1
    )
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()


def test_shard_goes_by_the_clips_window_and_leaves_out_what_does_not_decode(tmp_path):
    write_film(tmp_path / "film.mp4", film(np.arange(30) / 25), 25)
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    clip = {"path": "film.mp4", "start_s": 0.2, "duration_s": 0.4, "label": "clock"}
    with ShardWriter(tmp_path / "clips.h5", {}) as shard:
        shard.write("a_00", {"audio": np.zeros(3)}, clip)
        shard.write("b_00", {"audio": np.zeros(3)}, clip | {"path": "broken.mp4"})
    arguments = {"clips_path": tmp_path / "clips.h5", "data_dir": tmp_path, "size_px": SIZE_PX}
    frames_path = tmp_path / "frames.h5"
    interpolate_shard(**arguments, config=InterpolationConfig(), frames_path=frames_path)
    made = ShardReader(frames_path)
    assert made.items == ["a_00"]
    assert made.item_attributes("a_00") == clip
    assert made.read("a_00", "frame_index").tolist() == list(range(76))
    np.testing.assert_allclose(made.read("a_00", "timestamps_s"), np.arange(76) / 190)
    truth = film(0.2 + np.arange(76) / 190)
    frames = made.read("a_00", "frames")
    some_path = tmp_path / "some.h5"
    interpolate_shard(**arguments, config=InterpolationConfig(every=6), frames_path=some_path)
    some = ShardReader(some_path)
    kept = [*range(0, 75, 6), 75]
    assert some.read("a_00", "frame_index").tolist() == kept
    np.testing.assert_allclose(some.read("a_00", "timestamps_s"), np.array(kept) / 190)
    np.testing.assert_array_equal(some.read("a_00", "frames"), frames[kept])
    assert min(psnr_db(a, b) for a, b in zip(frames, truth, strict=True)) > 24
