"""What the interpolation benchmark measures with, on a film small enough to measure in a moment."""

import cv2
import numpy as np
import pytest

from benchmarks import interpolation as bench
from foley.preprocess.interpolation import InterpolationConfig
from tests.reference.test_interpolation import write_film

SIZE_PX = 64


def moving(n_frames, width=80, height=64):
    ground = np.random.default_rng(0).integers(0, 256, (height, width + 2 * n_frames, 3), dtype=np.uint8)
    ground = cv2.GaussianBlur(ground, (0, 0), 3)
    return np.stack([ground[:, 2 * k : 2 * k + width] for k in range(n_frames)])


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    write_film(folder / "long.mp4", moving(33), 10)
    write_film(folder / "short.mp4", moving(5), 10)
    (folder / "broken.mp4").write_bytes(b"no film")
    (found,) = bench.find_clips(folder)
    assert found.path.name == "long.mp4"
    assert found.start_s == pytest.approx(0.15, abs=0.01)
    return found


def test_both_ways_make_570_pictures_and_cost_something(clip):
    (row,) = bench.cost_rows([clip], SIZE_PX)
    assert row[:4] == [0, "80x64", 570, 570]
    assert all(float(value) > 0 for value in row[4:])


def test_quality_tells_methods_apart(clip):
    ((_, n_frames, motion, *values),) = bench.quality_rows([clip], SIZE_PX)
    minterpolate, repeat, blend, flow = values[:4]
    assert n_frames == 30
    assert motion > 1
    assert repeat < blend < flow
    assert repeat < minterpolate
    assert all(0 < value <= 1 for value in values[4:])


def test_pictures_that_were_kept_come_back_in_their_places(clip):
    planes = bench.decode(clip)
    doubled = bench.rebuild_at_source_size(planes[::2])
    np.testing.assert_array_equal(doubled[::2], planes[::2])
    pictures = bench.small(planes, SIZE_PX)
    doubled = bench.rebuild(pictures[::2], InterpolationConfig(method="flow"))
    np.testing.assert_array_equal(doubled[::2], pictures[::2])


def test_measures_of_likeness():
    pictures = moving(3, 64)
    assert bench.psnr_db(pictures[0], pictures[0]) == bench.SAME_DB
    assert bench.ssim(pictures[0], pictures[0]) == pytest.approx(1)
    off = np.clip(pictures[0].astype(int) + 10, 0, 255).astype(np.uint8)
    assert bench.psnr_db(pictures[0], off) == pytest.approx(20 * np.log10(25.5), abs=0.2)
    assert bench.ssim(pictures[0], pictures[2]) < bench.ssim(pictures[0], pictures[1]) < 0.99
    truth = np.stack([pictures[0]] * 4)
    made = truth.copy()
    made[0] = made[2] = made[3] = 0  # kept pictures and the last dropped one are not looked at
    assert bench.quality(truth, made) == (bench.SAME_DB, pytest.approx(1))


def test_spread_takes_the_first_and_the_last():
    assert bench.spread(list(range(10)), 4) == [0, 3, 6, 9]
    assert bench.spread(list(range(2)), 4) == [0, 1]
