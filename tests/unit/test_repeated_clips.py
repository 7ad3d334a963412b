"""Recordings shorter than a clip, played again until it is full: picture, sound and events in step."""

from pathlib import Path

import numpy as np
import pytest

from foley.media.video import read_frames
from foley.preprocess.clipping import ClipConfig, cut_shard
from foley.preprocess.interpolation import InterpolationConfig, clip_frames
from foley.preprocess.optical_flow import FlowConfig, grey_frames
from foley.store.manifests import Clip, Event, Recording, Split, read_rows, write_rows
from foley.store.shards import ShardReader, ShardWriter
from tests.films import hits, level, make_film

RATE_HZ = 8_000
LENGTHS_S = {"short": 4.0, "odd": 2.92, "long": 10.4}
HITS_S = [0.5, 1.6, 2.7]


def shown(times_s: np.ndarray, length_s: float) -> list[int]:
    """Grey level of the picture on the screen at some times of a film of 25 pictures a second."""
    return [level(int(index)) for index in np.floor(np.mod(times_s, length_s) * 25 + 1e-4)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 10 s from films of 4, 2.92 and 10.4 s; only the events of the second are not known."""
    out = tmp_path_factory.mktemp("repeated")
    rows = []
    with ShardWriter(out / "denoised.h5", {}) as denoised:
        for name, length_s in LENGTHS_S.items():
            make_film(out / f"{name}.mp4", np.arange(round(25 * length_s)) / 25)
            denoised.write(name, {"audio": hits(HITS_S, length_s, RATE_HZ)})
            rows.append(
                Recording(
                    recording_id=name,
                    label="dog",
                    shard="000",
                    group="",
                    split="train",
                    path=f"{name}.mp4",
                    sha256="",
                    duration_s=length_s,
                    fps=25.0,
                    variable_frame_rate=False,
                    width_px=64,
                    height_px=48,
                    sample_rate_hz=RATE_HZ,
                    n_channels=1,
                    status="ok",
                    events_known=name != "odd",
                )
            )
    write_rows(out / "recordings.tsv", Recording, rows)
    splits = [Split(recording_id=name, label="dog", split="train", why="") for name in LENGTHS_S]
    write_rows(out / "splits.tsv", Split, splits)
    events = [
        Event(clip_id=name, time_s=time_s, kind="hit", material="", source="annotated")
        for name in ("short", "long")
        for time_s in HITS_S
    ]
    write_rows(out / "events.tsv", Event, events)
    cut(out, ClipConfig(duration_s=10.0, hop_s=10.0, repeat=True, sample_rate_hz=RATE_HZ), out)
    return out


def cut(folder: Path, config: ClipConfig, out: Path) -> None:
    cut_shard(
        recordings_path=folder / "recordings.tsv",
        splits_path=folder / "splits.tsv",
        denoised_path=folder / "denoised.h5",
        events_path=folder / "events.tsv",
        data_dir=folder,
        config=config,
        clips_path=out / "clips.h5",
        rows_path=out / "clips.tsv",
        clip_events_path=out / "clips.events.tsv",
    )


def events_of(made: Path, name: str) -> list[float]:
    rows = read_rows(made / "clips.events.tsv", Event)
    return [row.time_s for row in rows if row.clip_id == f"{name}_00"]


def test_only_recordings_that_are_too_short_are_repeated(made: Path) -> None:
    rows = read_rows(made / "clips.tsv", Clip)
    assert {row.recording_id: row.period_s for row in rows} == {"short": 4.0, "odd": 2.92, "long": None}
    assert all(row.duration_s == 10.0 and row.start_s == 0.0 for row in rows)
    assert ShardReader(made / "clips.h5").read("long_00", "audio").shape == (10 * RATE_HZ,)


@pytest.mark.parametrize("name", ["short", "odd"])
def test_the_picture_shown_is_that_of_the_time_in_the_film(made: Path, name: str) -> None:
    clip = ShardReader(made / "clips.h5").item_attributes(f"{name}_00")
    times_s = np.arange(215) / 21.5
    expected = shown(times_s, LENGTHS_S[name])
    frames = clip_frames(
        clip, data_dir=made, size_px=16, config=InterpolationConfig(method="repeat", fps=21.5)
    )
    np.testing.assert_allclose(np.median(frames, axis=(1, 2, 3)), expected, atol=4)
    config = FlowConfig(width_px=32, height_px=24)
    grey = grey_frames(
        made / f"{name}.mp4", start_s=0.0, duration_s=10.0, config=config, period_s=clip["period_s"]
    )
    np.testing.assert_allclose(np.median(grey, axis=(1, 2)), expected, atol=4)


def test_a_window_may_begin_and_end_anywhere(made: Path) -> None:
    """Also where the picture on the screen at its start is the last of a round."""
    frames, times_s = read_frames(
        made / "odd.mp4", start_s=5.825, end_s=6.0, size_px=8, with_previous=True, period_s=2.92
    )
    np.testing.assert_allclose(times_s, [5.8, 5.84, 5.88, 5.92, 5.96], atol=1e-4)
    np.testing.assert_allclose(np.median(frames, axis=(1, 2, 3)), shown(times_s, 2.92), atol=4)


@pytest.mark.parametrize("name", ["short", "odd"])
def test_every_round_sounds_the_same_to_the_sample(made: Path, name: str) -> None:
    sound = ShardReader(made / "clips.h5").read(f"{name}_00", "audio")
    one = hits(HITS_S, LENGTHS_S[name], RATE_HZ)
    assert sound.shape == (10 * RATE_HZ,)
    for first in range(0, len(sound), len(one)):
        np.testing.assert_array_equal(sound[first : first + len(one)], one[: len(sound) - first])


def test_picture_times_go_on_through_every_round(made: Path) -> None:
    times_s = ShardReader(made / "clips.h5").read("odd_00", "frame_times_s")
    np.testing.assert_allclose(times_s, np.arange(250) / 25, atol=1e-4)


def test_events_happen_again(made: Path) -> None:
    assert events_of(made, "short") == [0.5, 1.6, 2.7, 4.5, 5.6, 6.7, 8.5, 9.6]
    assert events_of(made, "long") == HITS_S
    heard = np.array(events_of(made, "odd"))
    in_one_round = heard[heard < 2.92]
    assert len(in_one_round) == len(HITS_S)
    expected = np.concatenate([in_one_round + 2.92 * number for number in range(4)])
    np.testing.assert_allclose(heard, expected[expected < 10], atol=1e-5)


def test_without_it_short_recordings_give_no_clip(made: Path, tmp_path: Path) -> None:
    cut(made, ClipConfig(duration_s=10.0, hop_s=10.0, sample_rate_hz=RATE_HZ), tmp_path)
    assert [row.recording_id for row in read_rows(tmp_path / "clips.tsv", Clip)] == ["long"]
