"""What checking measures, what it refuses, and what it remembers."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from foley.datasets.check import CheckConfig, check_file, check_media
from foley.datasets.findings import Finding, Judgement, JudgementCache, iterate_details
from foley.errors import StoreError
from foley.media.reasons import Reason, cure
from foley.provenance import file_sha256
from foley.store.manifests import Failure, Medium, Recording, read_rows, write_rows
from tests.films import hits, make_film, picture

CONFIG = CheckConfig(min_duration_s=1.0)
TIMES_S = np.arange(30) / 25
SOUND = hits([0.2, 0.7], 1.2)


def codes(judgement: Judgement) -> dict[str, bool]:
    return {str(finding.code): finding.fatal for finding in judgement.findings}


def test_a_good_file_has_facts_pictures_and_fingerprints_and_nothing_odd(tmp_path: Path) -> None:
    judgement = check_file(make_film(tmp_path / "a.mp4", TIMES_S, SOUND), CONFIG)
    assert judgement.findings == ()
    assert judgement.failure is None
    assert judgement.remarks == ""
    assert judgement.facts is not None
    assert judgement.facts.n_frames == judgement.measured["n_pictures"] == 30
    assert judgement.strip.startswith(b"\xff\xd8")
    assert len(judgement.picture_print) == 3
    assert len(judgement.sound_print) > 25
    back = Judgement.from_json(json.loads(json.dumps(judgement.to_json())))
    assert back.to_json() == judgement.to_json()
    np.testing.assert_array_equal(back.sound_print, judgement.sound_print)


def test_a_remark_can_be_made_a_reason(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mkv", TIMES_S, SOUND, sound_start_s=0.3)
    assert codes(check_file(path, CONFIG)) == {"sound_offset": False}
    strict = check_file(path, CONFIG.model_copy(update={"refuse": (Reason.SOUND_OFFSET,)}))
    assert codes(strict) == {"sound_offset": True}
    assert strict.failure is not None
    assert strict.failure.code == Reason.SOUND_OFFSET


def test_what_cannot_be_used_for_two_reasons_says_both_and_still_shows_pictures(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", TIMES_S[:20], 0 * SOUND[: round(0.8 * 44_100)])
    judgement = check_file(path, CONFIG)
    assert codes(judgement) == {"too_short": True, "silent": True}
    assert judgement.failure is not None
    assert judgement.failure.code == Reason.TOO_SHORT
    assert judgement.strip


def test_a_picture_that_stops_moving_is_remarked(tmp_path: Path) -> None:
    def paint(index: int) -> NDArray[np.uint8]:
        return picture(min(index, 5))

    path = make_film(tmp_path / "a.mp4", TIMES_S, SOUND, paint=paint)
    judgement = check_file(path, CONFIG.model_copy(update={"max_frozen_s": 0.5}))
    assert codes(judgement) == {"frozen": False}
    assert judgement.measured["frozen_s"] == pytest.approx(1.16 - 0.2, abs=0.02)


@pytest.mark.parametrize(("times", "fatal"), [(1.02, None), (3.0, False), (200.0, True)])
def test_clipping_is_remarked_and_ruin_refused(tmp_path: Path, times: float, fatal: bool | None) -> None:
    rng = np.random.default_rng(0)
    loud = 0.3 * rng.standard_normal(len(SOUND))
    clipped = np.clip(times * loud / np.abs(loud).max(), -1, 1).astype(np.float32)
    path = make_film(tmp_path / "a.mkv", TIMES_S, clipped, audio_codec="pcm_s16le")
    assert codes(check_file(path, CONFIG)).get("clipped") is fatal


def test_a_file_damaged_in_the_middle_never_passes_as_whole(tmp_path: Path) -> None:
    path = make_film(tmp_path / "a.mp4", np.arange(100) / 25, hits([0.5], 4.0))
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + len(data) // 3] = bytes(len(data) // 3)
    path.write_bytes(data)
    found = codes(check_file(path, CONFIG))
    assert {"decode_error", "damaged_pictures"} & found.keys()


def test_every_code_has_a_cure() -> None:
    assert all(cure(reason) for reason in Reason)


def medium(path: Path, name: str = "a", **values: str) -> Medium:
    row = {"sha256": file_sha256(path), "status": "ok", **values}
    return Medium(recording_id=name, label="rain", shard="000", group="", split="", path=path.name, **row)


def run(
    folder: Path, media: list[Medium], config: CheckConfig = CONFIG, code: str = "v1"
) -> tuple[list[Recording], list[Failure]]:
    write_rows(folder / "media.tsv", Medium, media)
    check_media(
        media_path=str(folder / "media.tsv"),
        data_dir=str(folder),
        config=config,
        code=code,
        recordings_path=str(folder / "recordings.tsv"),
        failures_path=str(folder / "failures.tsv"),
        details_path=str(folder / "checks/000.jsonl"),
        evidence_path=str(folder / "checks/000.h5"),
    )
    return read_rows(folder / "recordings.tsv", Recording), read_rows(folder / "failures.tsv", Failure)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were decoded."""
    from foley.datasets import check

    names: list[str] = []
    real = check.iterate_pictures

    def noted(path: Path) -> object:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(check, "iterate_pictures", noted)
    return names


def test_only_what_was_never_judged_this_way_is_decoded(tmp_path: Path, decoded: list[str]) -> None:
    films = [
        make_film(tmp_path / f"{name}.mp4", TIMES_S, SOUND * level) for name, level in (("a", 1), ("b", 0.5))
    ]
    media = [medium(path, path.stem) for path in films]
    run(tmp_path, media[:1])
    first = run(tmp_path, media)
    assert decoded == ["a.mp4", "b.mp4"]
    assert run(tmp_path, media) == first
    assert decoded == ["a.mp4", "b.mp4"]
    run(tmp_path, media, code="v2")
    assert decoded == ["a.mp4", "b.mp4"] * 2
    run(tmp_path, media, config=CheckConfig(min_duration_s=0.5), code="v2")
    assert decoded == ["a.mp4", "b.mp4"] * 3


def test_a_killed_check_goes_on_where_it_stopped(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    films = [
        make_film(tmp_path / f"{name}.mp4", TIMES_S, SOUND * level) for name, level in (("a", 1), ("b", 0.5))
    ]
    media = [medium(path, path.stem) for path in films]
    cache = tmp_path / "checks/000.cache.jsonl"
    whole = run(tmp_path, media)
    lines = cache.read_bytes().splitlines(keepends=True)
    kept = next(line for line in lines if media[0].sha256.encode() in line)
    cache.write_bytes(kept + b'{"digest": "torn')
    decoded.clear()
    assert run(tmp_path, media) == whole
    assert decoded == ["b.mp4"]
    assert sorted(cache.read_bytes().splitlines(keepends=True)) == sorted(lines)


def test_a_torn_line_hides_no_line_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    JudgementCache(path, "d").add("one", Judgement(measured={"peak": 1.0}))
    with path.open("ab") as stream:
        stream.write(b'{"digest": "d", "sha2')
    JudgementCache(path, "d").add("two", Judgement(measured={"peak": 2.0}))
    cache = JudgementCache(path, "d")
    assert [cache.get(name).measured["peak"] for name in ("one", "two")] == [1.0, 2.0]  # type: ignore[union-attr]
    assert cache.get("three") is None
    assert JudgementCache(path, "other").get("one") is None
    cache.keep_only(["two", "three"])
    assert JudgementCache(path, "d").get("one") is None
    assert JudgementCache(path, "d").get("two") is not None


def test_a_file_that_changed_or_vanished_since_it_was_acquired_is_refused(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", TIMES_S, SOUND)
    rows = [medium(film, "a"), medium(film, "b", sha256="0" * 64), medium(film, "c")]
    rows[2] = rows[2].model_copy(update={"path": "gone.mp4"})
    recordings, failures = run(tmp_path, rows)
    assert [row.recording_id for row in recordings] == ["a"]
    assert [(row.recording_id, row.reason) for row in failures] == [("b", "changed"), ("c", "missing_file")]


def test_what_was_not_fetched_keeps_its_reason_and_stage(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", TIMES_S, SOUND)
    _, failures = run(tmp_path, [medium(film, "a", status="private", detail="sign in", sha256="")])
    assert [(row.stage, row.reason, row.detail) for row in failures] == [
        ("download_media", "private", "sign in")
    ]


def test_details_are_one_line_a_file_and_say_when_they_are_broken(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", TIMES_S, SOUND)
    run(tmp_path, [medium(film)])
    path = tmp_path / "checks/000.jsonl"
    (file,) = iterate_details(path)
    assert file.facts is not None
    assert (file.status, file.facts["video_codec"]) == ("ok", "h264")
    assert file.findings == ()
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(StoreError, match=r"000\.jsonl: line 2"):
        list(iterate_details(path))
    with pytest.raises(StoreError, match="is missing"):
        list(iterate_details(tmp_path / "no.jsonl"))


def test_findings_sort_fatal_first() -> None:
    judgement = Judgement(findings=(Finding(Reason.STILL, "x"), Finding(Reason.ROTATED, "y", fatal=False)))
    assert judgement.remarks == "rotated: y"
