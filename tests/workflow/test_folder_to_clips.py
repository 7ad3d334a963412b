"""A folder with every kind of bad file: each ends in the ledger, the good ones become clips."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from foley.datasets.acquire import build_sources, download_media
from foley.datasets.check import CheckConfig, check_media
from foley.datasets.duplicates import DuplicateConfig, find_duplicates
from foley.datasets.splits import SplitConfig, collect_recordings, split_dataset
from foley.errors import FoleyError
from foley.media.video import read_frames
from foley.preprocess.clipping import ClipConfig, cut_shard
from foley.preprocess.denoise import DenoiseConfig, denoise_shard
from foley.store.manifests import (
    Clip,
    Event,
    Failure,
    Recording,
    Source,
    Split,
    decode_path,
    read_rows,
)
from foley.store.shards import ShardReader
from tests.films import hits, lag_s, make_film

TIMES_S = np.arange(63) / 25
SOUND = hits([0.5, 1.6, 2.2], 2.52)
REASONS = {
    "cut": "decode_error",
    "text": "not_media",
    "mute": "no_audio",
    "empty": "empty_file",
    "blind": "no_video",
    "silent": "silent",
    "still": "still",
    "short": "too_short",
    "leaves": "unsafe_path",
    "twin": "duplicate",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of films: four good ones with awkward names, and one bad file of every kind."""
    root = tmp_path_factory.mktemp("films") / "my films"
    hit, rain = root / "Hits & more", root / "雨"
    hit.mkdir(parents=True)
    rain.mkdir()
    make_film(hit / "-a 'quoted'\n.mp4", TIMES_S, SOUND)
    make_film(hit / "plain.mkv", TIMES_S, SOUND[::-1].copy(), audio_codec="pcm_s16le")
    make_film(rain / "odd.mov", TIMES_S, np.stack([SOUND, 0 * SOUND], axis=1), width=66, height=50)
    make_film(rain / "half.mp4", TIMES_S, SOUND[: round(0.9 * 44_100)])
    content = (hit / "plain.mkv").read_bytes()
    whole = make_film(root / "whole.mp4", TIMES_S, SOUND).read_bytes()
    (root / "whole.mp4").unlink()
    (hit / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (hit / "text.mp4").write_text("this is no film\n" * 99)
    (hit / "empty.mp4").touch()
    (hit / "twin.mkv").write_bytes(content)
    make_film(hit / "mute.mp4", TIMES_S, None)
    make_film(hit / "blind.mp4", None, SOUND)
    make_film(hit / "silent.mp4", TIMES_S, 0 * SOUND)
    make_film(hit / "still.mp4", TIMES_S, SOUND, still=True)
    make_film(hit / "short.mp4", TIMES_S[:20], SOUND[: 20 * 1764])
    (hit / "notes.txt").write_text("no film, and not asked for")
    outside = root.parent / "outside.mp4"
    shutil.copy(hit / "-a 'quoted'\n.mp4", outside)
    (hit / "leaves.mp4").symlink_to(outside)
    return root


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything from the list of sources to clips, in one shard."""
    out = tmp_path_factory.mktemp("results")
    common = {"kind": "folder", "settings": {"path": str(folder)}, "data_dir": str(out), "seed": 0}
    build_sources(**common, n_shards=1, sources_path=str(out / "sources.tsv"))
    download_media(
        **common,
        sources_path=str(out / "sources.tsv"),
        shard="000",
        media_path=str(out / "media.tsv"),
        events_path=str(out / "events.tsv"),
    )
    check_media(
        media_path=str(out / "media.tsv"),
        data_dir=str(out),
        config=CheckConfig(min_duration_s=1.0),
        recordings_path=str(out / "recordings/000.tsv"),
        failures_path=str(out / "failures/000.tsv"),
        code="",
        details_path=str(out / "checks/000.jsonl"),
        evidence_path=str(out / "checks/000.h5"),
    )
    find_duplicates(
        recordings_paths=[str(out / "recordings/000.tsv")],
        evidence_paths=[str(out / "checks/000.h5")],
        config=DuplicateConfig(),
        duplicates_path=str(out / "duplicates.tsv"),
    )
    collect_recordings(
        recordings_paths=[str(out / "recordings/000.tsv")],
        failures_paths=[str(out / "failures/000.tsv")],
        duplicates_path=str(out / "duplicates.tsv"),
        max_missing_fraction=0.9,
        recordings_path=str(out / "recordings.tsv"),
        failures_path=str(out / "failures.tsv"),
    )
    split_dataset(
        recordings_path=str(out / "recordings.tsv"),
        duplicates_path=str(out / "duplicates.tsv"),
        config=SplitConfig(test_fraction=0.5),
        seed=0,
        splits_path=str(out / "splits.tsv"),
        leakage_path=str(out / "leakage.tsv"),
    )
    denoise_shard(
        recordings_path=out / "recordings/000.tsv",
        data_dir=out,
        sample_rate_hz=22_050,
        config=DenoiseConfig(),
        denoised_path=out / "denoised.h5",
    )
    cut_shard(
        recordings_path=out / "recordings/000.tsv",
        splits_path=out / "splits.tsv",
        denoised_path=out / "denoised.h5",
        events_path=out / "events.tsv",
        data_dir=out,
        config=ClipConfig(duration_s=1.0, hop_s=1.0, sample_rate_hz=22_050),
        clips_path=out / "clips.h5",
        rows_path=out / "clips.tsv",
        clip_events_path=out / "clips.events.tsv",
    )
    return out


def stem(path: str) -> str:
    return decode_path(path).name.split(".")[0]


def test_every_bad_file_is_in_the_ledger_with_its_reason(made: Path) -> None:
    failures = read_rows(made / "failures.tsv", Failure)
    assert {stem(row.path): row.reason for row in failures} == REASONS
    assert all(row.detail for row in failures)


def test_good_files_come_through_whatever_their_names(made: Path) -> None:
    recordings = read_rows(made / "recordings.tsv", Recording)
    assert sorted(stem(row.path) for row in recordings) == ["-a 'quoted'\n", "half", "odd", "plain"]
    assert len({row.label for row in recordings}) == 2
    half = next(row for row in recordings if stem(row.path) == "half")
    assert "sound ends" in half.detail
    labels = {row.label for row in read_rows(made / "splits.tsv", Split)}
    assert all(
        {row.split for row in read_rows(made / "splits.tsv", Split) if row.label == label}
        == {"train", "test"}
        for label in labels
    )


def test_clips_hold_sound_and_the_times_of_their_pictures(made: Path) -> None:
    clips = {row.clip_id: row for row in read_rows(made / "clips.tsv", Clip)}
    shard = ShardReader(made / "clips.h5")
    assert shard.items == sorted(clips)
    by_film: dict[str, list[Clip]] = {}
    for row in clips.values():
        by_film.setdefault(stem(row.path), []).append(row)
    # 2.52 s hold two clips of 1 s; the film whose sound ends early has one clip with sound.
    assert {name: len(rows) for name, rows in by_film.items()} == {
        "-a 'quoted'\n": 2,
        "half": 1,
        "odd": 2,
        "plain": 2,
    }
    whole = SOUND[::2]
    for row in by_film["-a 'quoted'\n"]:
        audio = shard.read(row.clip_id, "audio")
        assert audio.shape == (22_050,)
        assert audio.dtype == np.float32
        first = round(row.start_s * 22_050)
        assert abs(lag_s(audio, whole[first : first + 22_050], 22_050)) < 1e-3
        times_s = shard.read(row.clip_id, "frame_times_s")
        _, read_s = read_frames(
            decode_path(row.path), start_s=row.start_s, end_s=row.start_s + 1.0, size_px=8
        )
        np.testing.assert_allclose(times_s, read_s - row.start_s, atol=1e-9)
        assert len(times_s) == 25
        assert shard.item_attributes(row.clip_id)["split"] == row.split


def test_hits_without_annotation_are_detected_in_clip_time(made: Path) -> None:
    clips = read_rows(made / "clips.tsv", Clip)
    second = next(row for row in clips if stem(row.path).startswith("-a") and row.start_s == 1.0)
    events = [row for row in read_rows(made / "clips.events.tsv", Event) if row.clip_id == second.clip_id]
    assert {row.source for row in events} == {"detected"}
    assert any(abs(row.time_s - 0.6) < 0.01 for row in events)


def test_a_second_run_gives_the_same_bytes(made: Path) -> None:
    before = (made / "clips.h5").read_bytes()
    cut_shard(
        recordings_path=made / "recordings/000.tsv",
        splits_path=made / "splits.tsv",
        denoised_path=made / "denoised.h5",
        events_path=made / "events.tsv",
        data_dir=made,
        config=ClipConfig(duration_s=1.0, hop_s=1.0, sample_rate_hz=22_050),
        clips_path=made / "clips.h5",
        rows_path=made / "clips.tsv",
        clip_events_path=made / "clips.events.tsv",
    )
    assert (made / "clips.h5").read_bytes() == before


def test_too_many_losses_stop_the_run_and_say_why(made: Path, tmp_path: Path) -> None:
    with pytest.raises(FoleyError, match=r"9 of 14 recordings cannot be used.*max_missing_fraction"):
        collect_recordings(
            recordings_paths=[str(made / "recordings/000.tsv")],
            failures_paths=[str(made / "failures/000.tsv")],
            duplicates_path=str(made / "duplicates.tsv"),
            max_missing_fraction=0.5,
            recordings_path=str(tmp_path / "recordings.tsv"),
            failures_path=str(tmp_path / "failures.tsv"),
        )
    assert len(read_rows(tmp_path / "failures.tsv", Failure)) == 10
    assert not (tmp_path / "recordings.tsv").exists()


def test_sources_are_listed_in_the_same_order_with_distinct_ids(made: Path) -> None:
    ids = [row.recording_id for row in read_rows(made / "sources.tsv", Source)]
    assert ids == sorted(set(ids))
    assert len(ids) == 14
