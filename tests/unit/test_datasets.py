"""Parts of acquisition: folder settings, the ledger, splits, clips, de-noising."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from foley.datasets import acquire, folder
from foley.datasets.check import CheckConfig, judge_medium
from foley.datasets.findings import Finding, Judgement, JudgementCache
from foley.datasets.procedural import recipe
from foley.datasets.procedural.config import ProceduralConfig
from foley.datasets.splits import SplitConfig, assign_splits
from foley.errors import ConfigError, FoleyError
from foley.media.reasons import Reason
from foley.preprocess.clipping import ClipConfig, clip_starts, events_in_clip
from foley.preprocess.denoise import DenoiseConfig, denoise
from foley.store.manifests import Event, Medium, Recording, Source, read_rows
from tests.films import hits, lag_s


def recording(name: str, label: str = "rain", **values: str) -> Recording:
    row = {"group": "", "split": "", "sha256": name, **values}
    return Recording(
        recording_id=name,
        label=label,
        shard="000",
        path=f"{name}.mp4",
        duration_s=5.0,
        fps=25.0,
        variable_frame_rate=False,
        width_px=64,
        height_px=48,
        sample_rate_hz=44_100,
        n_channels=1,
        status="ok",
        **row,
    )


@pytest.fixture
def films(tmp_path: Path) -> Path:
    for name in (
        "rain/b.mp4",
        "rain/a.mp4",
        "rain2/a.mp4",
        "rain/2015-02-21-17-16_x.MOV",
        "雨/a.mp4",
        "風/a.mp4",
    ):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "films"


def listed(films: Path, **settings: object) -> list[Source]:
    chosen = folder.Settings.model_validate({"path": str(films), **settings})
    return folder.list_sources(chosen, n_shards=4, data_dir=films, seed=0)


def test_every_folder_is_a_class_of_its_own(films: Path) -> None:
    rows = listed(films)
    assert len(rows) == len({row.recording_id for row in rows}) == 6
    assert len({row.label for row in rows}) == 4  # two labels have no letter that a label may hold


def test_folders_can_share_a_label(films: Path) -> None:
    rows = listed(films, classes={"rain": "Rain", "rain2": "Rain"})
    assert {row.label for row in rows} == {"rain"}
    assert len({row.recording_id for row in rows}) == 4


def test_ids_do_not_depend_on_what_else_is_there(films: Path) -> None:
    assert {row.recording_id for row in listed(films, classes=["rain"])} <= {
        row.recording_id for row in listed(films)
    }


def test_files_of_a_class_can_be_limited_and_grouped(films: Path) -> None:
    rows = listed(films, classes=["rain"], group_pattern=r"^[\d-]+", most_per_class=1)
    assert [row.group for row in rows] == ["2015-02-21-17-16"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ["snow"]}, "no such class folder; there are rain"),
        ({"classes": ["../films/rain", "../.."]}, "no such class folder"),
        ({"path": "absent"}, "no such folder"),
        ({"extensions": [".avi"]}, "holds no file ending in .avi"),
    ],
)
def test_a_wrong_folder_is_named(films: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(FoleyError, match=message):
        listed(films, **settings)


def test_a_bad_pattern_is_refused(films: Path) -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        folder.Settings(path=str(films), group_pattern="(")


def test_a_file_that_disappears_is_a_row_of_the_ledger(films: Path) -> None:
    rows = listed(films, classes=["rain2"])
    (films / "rain2/a.mp4").unlink()
    media, events = folder.fetch(folder.Settings(path=str(films)), rows, data_dir=films, seed=0)
    assert [row.status for row in media] == ["missing_file"]
    assert events == []


def test_a_data_set_may_not_name_a_recording_twice(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = listed(films) * 2
    monkeypatch.setattr(folder, "list_sources", lambda *_, **__: twice)
    with pytest.raises(FoleyError, match="listed 2 times"):
        acquire.build_sources(
            kind="folder",
            settings={"path": str(films)},
            n_shards=1,
            data_dir=str(tmp_path),
            seed=0,
            sources_path=str(tmp_path / "sources.tsv"),
        )


def test_an_unexpected_error_in_one_file_ends_in_the_ledger(films: Path) -> None:
    medium = Medium(
        recording_id="a",
        label="rain",
        shard="000",
        group="",
        split="",
        path="rain2/a.mp4",
        sha256="",
        status="ok",
    )

    def breaks(path: Path, config: CheckConfig) -> Judgement:
        raise RuntimeError("odd\nfile\x07")

    cache = JudgementCache(films / "cache.jsonl", "digest")
    judgement = judge_medium(medium, films, CheckConfig(), cache, breaks)
    assert judgement.failure == Finding(Reason.DECODE_ERROR, "RuntimeError: odd\nfile\x07")
    assert not (films / "cache.jsonl").exists()  # another run may know better


def test_a_published_split_is_kept_and_draws_its_group_along() -> None:
    rows = [recording("a", split="test", group="g"), recording("b", group="g"), recording("c", split="train")]
    rows += [recording(name) for name in "defghijklm"]
    splits = {
        row.recording_id: row.split for row in assign_splits(rows, [], SplitConfig(test_fraction=0.2), 0)[0]
    }
    assert splits["a"] == splits["b"] == "test"
    assert splits["c"] == "train"
    assert sum(splits[name] == "test" for name in "defghijklm") == 2


def test_a_published_split_that_leaks_is_refused() -> None:
    rows = [recording("a", split="test", group="g"), recording("b", split="train", group="g")]
    with pytest.raises(FoleyError, match="both published splits"):
        assign_splits(rows, [], SplitConfig(leakage="error"), 0)
    with pytest.raises(FoleyError, match="neither train nor test"):
        assign_splits([recording("a", split="valid")], [], SplitConfig(), 0)


def test_another_seed_gives_another_split() -> None:
    rows = [recording(f"r{number}") for number in range(30)]
    first, second = (
        [row.split for row in assign_splits(rows, [], SplitConfig(test_fraction=0.4), seed)[0]]
        for seed in (0, 1)
    )
    assert first != second


def test_clips_start_where_a_whole_clip_fits() -> None:
    assert clip_starts(6.0, ClipConfig()) == [0.0, 3.0]
    assert clip_starts(5.999, ClipConfig()) == [0.0]
    assert clip_starts(6.0, ClipConfig(hop_s=1.5)) == [0.0, 1.5, 3.0]
    assert clip_starts(30.0, ClipConfig(most_per_recording=2)) == [0.0, 3.0]


def test_events_move_to_clip_time_and_the_end_is_open() -> None:
    events = [
        Event(clip_id="r", time_s=time_s, kind="hit", material="", source="annotated")
        for time_s in (2.999, 3.0, 4.5, 6.0)
    ]
    inside = events_in_clip(events, "r_01", 3.0, 3.0)
    assert [(row.clip_id, row.time_s) for row in inside] == [("r_01", 0.0), ("r_01", 1.5)]


@pytest.mark.parametrize("method", ["stationary", "non_stationary"])
def test_denoising_lowers_hiss_and_moves_no_hit(method: str) -> None:
    clean = hits([0.5, 1.4, 2.3], 3.0)
    hiss = 0.02 * np.random.default_rng(5).standard_normal(len(clean)).astype(np.float32)
    cleaned = denoise(clean + hiss, 44_100, DenoiseConfig(method=method, strength=0.9))
    quiet = slice(round(0.9 * 44_100), round(1.3 * 44_100))
    assert cleaned.shape == clean.shape
    assert cleaned.dtype == np.float32
    assert np.std(cleaned[quiet]) < 0.6 * np.std((clean + hiss)[quiet])
    assert abs(lag_s(cleaned, clean, 44_100)) < 1e-4


def test_no_denoising_changes_nothing_and_silence_stays() -> None:
    clean = hits([0.5], 1.0)
    np.testing.assert_array_equal(denoise(clean, 44_100, DenoiseConfig()), clean)
    silence = np.zeros(44_100, dtype=np.float32)
    np.testing.assert_array_equal(denoise(silence, 44_100, DenoiseConfig(method="stationary")), silence)


def test_procedural_recordings_are_rendered_once_and_carry_their_truth(tmp_path: Path) -> None:
    settings = ProceduralConfig(
        classes=("typing",),
        recordings_per_class=2,
        held_out_fraction=0.5,
        min_duration_s=4.0,
        max_duration_s=4.0,
    )
    sources = recipe.list_sources(settings, n_shards=1, data_dir=tmp_path, seed=0)
    assert sorted(row.split for row in sources) == ["test", "train"]
    chosen = sources[:1]
    media, events = recipe.fetch(settings, chosen, data_dir=tmp_path, seed=0)
    assert [row.status for row in media] == ["ok"]
    assert {row.source for row in events} == {"generated"}
    assert {row.clip_id for row in events} == {chosen[0].recording_id}
    film = tmp_path / media[0].path
    before = film.stat().st_mtime_ns
    again, _ = recipe.fetch(settings, chosen, data_dir=tmp_path, seed=0)
    assert again == media
    assert film.stat().st_mtime_ns == before
    film.write_bytes(film.read_bytes()[:1000])
    mended, _ = recipe.fetch(settings, chosen, data_dir=tmp_path, seed=0)
    assert mended == media


def test_download_media_writes_both_tables(films: Path, tmp_path: Path) -> None:
    common = {"kind": "folder", "settings": {"path": str(films)}, "data_dir": str(tmp_path), "seed": 0}
    acquire.build_sources(**common, n_shards=2, sources_path=str(tmp_path / "sources.tsv"))
    found = []
    for shard in ("000", "001"):
        acquire.download_media(
            **common,
            sources_path=str(tmp_path / "sources.tsv"),
            shard=shard,
            media_path=str(tmp_path / f"{shard}.tsv"),
            events_path=str(tmp_path / f"{shard}.events.tsv"),
        )
        found += read_rows(tmp_path / f"{shard}.tsv", Medium)
        assert read_rows(tmp_path / f"{shard}.events.tsv", Event) == []
    assert len(found) == 6


def test_a_changed_sound_bank_lists_its_recordings_anew(tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    (bank / "clock").mkdir(parents=True)
    (bank / "clock" / "tick.wav").write_bytes(b"one")
    settings = recipe.Settings(classes=("clock",), recordings_per_class=2, sound_bank=bank)

    def locations() -> list[str]:
        listed = recipe.list_sources(settings, n_shards=1, data_dir=tmp_path, seed=0)
        return [row.location for row in listed]

    before = locations()
    assert before == locations()
    (bank / "clock" / "tick.wav").write_bytes(b"two")
    assert not set(before) & set(locations())


def test_a_sound_bank_without_a_class_stops_the_listing(tmp_path: Path) -> None:
    settings = recipe.Settings(classes=("clock",), recordings_per_class=2, sound_bank=tmp_path)
    with pytest.raises(ConfigError, match="clock"):
        recipe.list_sources(settings, n_shards=1, data_dir=tmp_path, seed=0)
