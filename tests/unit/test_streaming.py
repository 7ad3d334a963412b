"""The streamed route: the numbers of the files, in order, a few clips ahead, in bounded memory."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from foley.features import streaming
from foley.features.streaming import FeatureJob, PictureSource, extract_streamed_together
from foley.features.visual import BackboneConfig, extract_shard
from foley.preprocess.interpolation import InterpolationConfig, interpolate_shard
from foley.preprocess.spacetime import SpacetimeConfig, make_shard
from foley.store.shards import ShardReader, ShardWriter
from tests.conftest import ROOT
from tests.films import make_film

INTERPOLATION = InterpolationConfig(fps=60)
SPACETIME = SpacetimeConfig(step=2, every=3)
LITE = BackboneConfig(network="efficientnet_lite0", input_px=32, every=6, batch_size=4, engine="torch")
FIRST = BackboneConfig(network="efficientnet_lite0", input_px=48, first_frame=True, engine="torch")


def write_clips(folder, clips):
    with ShardWriter(folder / "clips.h5", {}) as shard:
        for clip_id, (name, start_s, duration_s) in clips.items():
            clip = {"path": name, "start_s": start_s, "duration_s": duration_s, "label": "clock"}
            shard.write(clip_id, {"audio": np.zeros(3)}, clip)


@pytest.fixture
def films(tmp_path):
    """Two films, one of them of variable rate, and a shard of clips of both."""
    make_film(tmp_path / "steady.mp4", [k / 25 for k in range(30)])
    make_film(tmp_path / "uneven.mp4", [0.0, 0.02, 0.11, 0.13, 0.3, 0.34, 0.5, 0.52, 0.7, 0.9])
    write_clips(
        tmp_path,
        {
            "a_00": ("steady.mp4", 0.0, 0.5),
            "a_01": ("steady.mp4", 0.31, 0.5),
            "b_00": ("uneven.mp4", 0.0, 0.4),
            "b_01": ("uneven.mp4", 0.1, 0.5),
        },
    )
    return tmp_path


def source(folder, **changes):
    arguments = {
        "clips_path": folder / "clips.h5",
        "data_dir": folder,
        "interpolation": INTERPOLATION,
        "spacetime": SPACETIME,
        "size_px": 48,
    }
    return PictureSource(**arguments | changes)


def jobs(folder, prefix):
    return [
        FeatureJob(LITE, "frames", folder / f"{prefix}_frames.h5"),
        FeatureJob(LITE, "spacetime", folder / f"{prefix}_spacetime.h5"),
        FeatureJob(FIRST, "frames", folder / f"{prefix}_first.h5"),
    ]


def through_files(folder):
    """Stage by stage, with a file after each."""
    interpolate_shard(
        clips_path=folder / "clips.h5",
        data_dir=folder,
        config=INTERPOLATION,
        size_px=48,
        frames_path=folder / "frames.h5",
    )
    make_shard(frames_path=folder / "frames.h5", config=SPACETIME, images_path=folder / "images.h5")
    for job in jobs(folder, "files"):
        images = folder / ("frames.h5" if job.kind == "frames" else "images.h5")
        extract_shard(images_path=images, kind=job.kind, config=job.config, features_path=job.features_path)


@pytest.mark.parametrize("n_threads", [1, 4])
def test_streaming_and_stage_by_stage_give_the_same_features(films, n_threads):
    through_files(films)
    extract_streamed_together(source(films), jobs(films, "streamed"), n_threads=n_threads)
    for staged, streamed in zip(jobs(films, "files"), jobs(films, "streamed"), strict=True):
        expected, found = ShardReader(staged.features_path), ShardReader(streamed.features_path)
        assert found.items == expected.items == ["a_00", "a_01", "b_00", "b_01"]
        for clip_id in found.items:
            assert found.item_attributes(clip_id) == expected.item_attributes(clip_id)
            for name in ("timestamps_s", "frame_index"):
                np.testing.assert_array_equal(found.read(clip_id, name), expected.read(clip_id, name))
            made, wanted = (
                reader.read(clip_id, "features").astype(np.float64) for reader in (found, expected)
            )
            assert np.linalg.norm(made - wanted) <= 1e-3 * np.linalg.norm(wanted)
            if n_threads == 1:
                np.testing.assert_array_equal(made, wanted)


def test_no_picture_is_stored(films):
    extract_streamed_together(source(films), jobs(films, "streamed"))
    left = {path.name for path in films.iterdir()}
    made = {"streamed_frames.h5", "streamed_spacetime.h5", "streamed_first.h5"}
    assert left == {"steady.mp4", "uneven.mp4", "clips.h5"} | made


@pytest.mark.parametrize("n_threads", [1, 4])
def test_a_film_that_no_longer_decodes_is_left_out_with_a_warning(films, n_threads, caplog):
    (films / "uneven.mp4").write_bytes(b"no film")
    with caplog.at_level(logging.WARNING):
        extract_streamed_together(source(films), jobs(films, "streamed"), n_threads=n_threads)
    assert ShardReader(films / "streamed_frames.h5").items == ["a_00", "a_01"]
    assert sorted(record.args[0] for record in caplog.records) == ["b_00", "b_01"]


def test_a_killed_run_goes_on_where_it_stopped(films, monkeypatch):
    look, seen = streaming._look, []

    def interrupted(item, **rest):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(item[0])
        return look(item, **rest)

    monkeypatch.setattr(streaming, "_look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract_streamed_together(source(films), jobs(films, "streamed"))
    monkeypatch.setattr(streaming, "_look", lambda item, **rest: seen.append(item[0]) or look(item, **rest))
    extract_streamed_together(source(films), jobs(films, "streamed"))
    assert seen == ["a_00", "a_01", "b_00", "b_01"]
    monkeypatch.undo()
    extract_streamed_together(source(films), jobs(films, "whole"))
    for one, other in zip(jobs(films, "streamed"), jobs(films, "whole"), strict=True):
        assert one.features_path.read_bytes() == other.features_path.read_bytes()


def test_workers_are_a_few_items_ahead_and_keep_the_order():
    started, lock = [], threading.Lock()

    def work(item):
        with lock:
            started.append(item)
        time.sleep(0.002 * (item % 3))
        return -item

    for taken, result in enumerate(streaming._ahead(work, range(40), 3)):
        assert result == -taken
        assert len(started) <= taken + 1 + 3, "more clips in memory than workers"
    assert sorted(started) == list(range(40))


def test_an_error_of_a_worker_reaches_the_caller():
    def work(item):
        if item == 5:
            raise ValueError("five")
        return item

    with pytest.raises(ValueError, match="five"):
        list(streaming._ahead(work, range(20), 3))


def test_a_gpu_gets_all_threads_for_pictures_and_one_thread_none():
    assert streaming._n_workers(1, "cpu") == 0
    assert streaming._n_workers(8, "cpu") == 4
    assert streaming._n_workers(8, "cuda") == 8


PEAK = """
import sys
from pathlib import Path
from foley.features.streaming import FeatureJob, PictureSource, extract_streamed_together
from foley.features.visual import BackboneConfig
from foley.preprocess.interpolation import InterpolationConfig
from foley.preprocess.spacetime import SpacetimeConfig
folder, n_threads = Path(sys.argv[1]), int(sys.argv[2])
lite = BackboneConfig(network="efficientnet_lite0", input_px=32, every=20, batch_size=1)
made = InterpolationConfig(method="blend", fps=200), SpacetimeConfig(every=5)
source = PictureSource(folder / "clips.h5", folder, *made, 160)
extract_streamed_together(source, [FeatureJob(lite, "spacetime", folder / "out.h5")], n_threads=n_threads)
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
"""


def peak_kib(folder, n_clips, n_threads):
    folder.mkdir()
    make_film(folder / "film.mp4", [k / 10 for k in range(8)])
    write_clips(folder, {f"a_{k:03d}": ("film.mp4", 0.05, 0.2) for k in range(n_clips)})
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(folder), str(n_threads)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(ShardReader(folder / "out.h5").items) == n_clips
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's peak memory")
def test_memory_does_not_grow_with_the_shard(tmp_path):
    few, many = peak_kib(tmp_path / "few", 16, 2), peak_kib(tmp_path / "many", 256, 2)
    assert many <= 1.2 * few, f"256 clips peak at {many / 1024:.0f} MiB, 16 at {few / 1024:.0f} MiB"
