"""Sections, manifests: ranges are asked for, or cut here where a server or container has none."""

from pathlib import Path

import numpy as np
import pytest

from foley.datasets.download import DownloadConfig, fetch_sources
from foley.media.ffmpeg import probe
from foley.media.video import read_frames
from foley.store.manifests import Medium, Source
from tests.films import hits, level, make_film
from tests.loopback import Loopback, Page

QUICK = DownloadConfig(n_retries=0, backoff_s=0.01, timeout_s=10.0, min_free_bytes=0)
START_S, END_S, DURATION_S = 13.28, 16.28, 40.0


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Films of 40 s whose every picture says when it is, with 20 s between key frames."""
    folder = tmp_path_factory.mktemp("films")
    times_s = np.arange(round(DURATION_S * 25)) / 25
    sound = hits([0.5 + index for index in range(39)], DURATION_S)
    options: dict[str, dict[str, object]] = {
        "end.mp4": {},
        "begin.mp4": {"options": {"movflags": "faststart"}},
        "matroska.mkv": {"audio_codec": "pcm_s16le"},
    }
    return {
        name: make_film(folder / name, times_s, sound, **chosen).read_bytes()  # type: ignore[arg-type]
        for name, chosen in options.items()
    }


def fetch(
    server: Loopback, path: str, data_dir: Path, start_s: float | None, end_s: float | None, **options: object
) -> Medium:
    row = Source(
        recording_id="cut",
        label="hit",
        shard="000",
        origin="url",
        location=server.url(path),
        start_s=start_s,
        end_s=end_s,
    )
    config = QUICK.model_copy(update=options)
    return fetch_sources([row], config, data_dir=data_dir, folder="web", seed=0)[0]


def assert_begins_at(path: Path, start_s: float) -> None:
    frames, _ = read_frames(path, start_s=0.0, end_s=0.1, size_px=8)
    assert abs(float(frames[0, 4:, 4:].mean()) - level(round(start_s * 25))) < 6


@pytest.mark.parametrize("name", ["end.mp4", "begin.mp4", "matroska.mkv"])
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_section_is_exact_whatever_the_server_can_do(
    server: Loopback, films: dict[str, bytes], tmp_path: Path, name: str, ranges: bool
) -> None:
    kind = "video/x-matroska" if name.endswith("mkv") else "video/mp4"
    server.pages["/film"] = Page(films[name], ranges=ranges, content_type=kind)
    row = fetch(server, "/film", tmp_path, START_S, END_S)
    assert (row.status, row.detail) == ("ok", "")
    facts = probe(tmp_path / row.path)
    assert facts.duration_s == pytest.approx(END_S - START_S, abs=0.05)
    assert facts.audio_duration_s == pytest.approx(END_S - START_S, abs=0.1)
    assert abs(facts.audio_start_s) < 0.06
    assert_begins_at(tmp_path / row.path, START_S)


def test_a_section_of_a_server_with_ranges_costs_no_whole_file(
    server: Loopback, films: dict[str, bytes], tmp_path: Path
) -> None:
    server.pages["/film.mp4"] = Page(films["begin.mp4"])
    assert fetch(server, "/film.mp4", tmp_path, 30.0, 33.0).status == "ok"
    # One look by yt-dlp; ffmpeg reads the index, then jumps into the file.
    assert [row.first_byte for row in server.asked][:2] == [None, 0]
    assert all(row.first_byte for row in server.asked[2:])


@pytest.mark.parametrize("whole_files", [False, True], ids=["sections", "whole files"])
def test_the_end_of_a_recording_ends_its_section(
    server: Loopback, films: dict[str, bytes], tmp_path: Path, whole_files: bool
) -> None:
    server.pages["/film.mp4"] = Page(films["begin.mp4"])
    row = fetch(server, "/film.mp4", tmp_path, 38.0, 48.0, whole_files=whole_files)
    assert row.status == "ok"
    assert probe(tmp_path / row.path).duration_s == pytest.approx(2.0, abs=0.05)
    row = fetch(server, "/film.mp4", tmp_path / "open", 38.0, None, whole_files=whole_files)
    assert probe(tmp_path / "open" / row.path).duration_s == pytest.approx(2.0, abs=0.05)
    row = fetch(server, "/film.mp4", tmp_path / "begin", None, 1.0, whole_files=whole_files)
    assert probe(tmp_path / "begin" / row.path).duration_s == pytest.approx(1.0, abs=0.05)
    row = fetch(server, "/film.mp4", tmp_path / "late", 50.0, 60.0, whole_files=whole_files)
    assert row.status == "too_short"
    assert "ends after 40.00 s" in row.detail


def test_a_failed_section_has_the_reason_of_the_whole_file(
    server: Loopback, films: dict[str, bytes], tmp_path: Path
) -> None:
    server.pages |= {
        "/stalls.mp4": Page(films["begin.mp4"], stall_after=1000),
        "/busy.mp4": Page(instead=[(429, {})] * 9),
        "/text.mp4": Page(b"this is no film\n" * 999),
    }
    found = {
        name: fetch(server, f"/{name}.mp4", tmp_path / name, 1.0, 2.0).status
        for name in ("busy", "text", "missing")
    }
    row = fetch(server, "/stalls.mp4", tmp_path / "stalls", 1.0, 2.0, timeout_s=0.5)
    assert row.status == "network"
    assert found == {
        "busy": "rate_limit",
        "text": "not_media",
        "missing": "unavailable",
    }


def test_another_section_of_the_same_recording_is_another_order(
    server: Loopback, films: dict[str, bytes], tmp_path: Path
) -> None:
    server.pages["/film.mp4"] = Page(films["begin.mp4"])
    first = fetch(server, "/film.mp4", tmp_path, 1.0, 2.0)
    server.asked.clear()
    assert fetch(server, "/film.mp4", tmp_path, 1.0, 2.0) == first
    assert server.asked == []
    second = fetch(server, "/film.mp4", tmp_path, 1.0, 4.0)
    assert second.sha256 != first.sha256
    assert probe(tmp_path / second.path).duration_s == pytest.approx(3.0, abs=0.05)


MANIFEST = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT40S">
<Period>
<AdaptationSet mimeType="video/mp4"><Representation id="v" bandwidth="9000" width="64" height="48"
 codecs="avc1.64000a"><BaseURL>picture.mp4</BaseURL></Representation></AdaptationSet>
<AdaptationSet mimeType="audio/mp4"><Representation id="a" bandwidth="9000" codecs="mp4a.40.2">
<BaseURL>sound.m4a</BaseURL></Representation></AdaptationSet>
</Period></MPD>"""


@pytest.mark.parametrize(("start_s", "end_s"), [(None, None), (START_S, END_S)], ids=["whole", "section"])
def test_picture_and_sound_of_a_manifest_are_put_together(
    server: Loopback, tmp_path: Path, start_s: float | None, end_s: float | None
) -> None:
    sound = hits([0.5 + index for index in range(39)], DURATION_S)
    begin = {"movflags": "faststart"}
    picture = make_film(tmp_path / "picture.mp4", np.arange(1000) / 25, None, options=begin)
    make_film(tmp_path / "sound.mp4", None, sound, options=begin)
    server.pages |= {
        "/film.mpd": Page(MANIFEST.encode(), content_type="application/dash+xml"),
        "/picture.mp4": Page(picture.read_bytes()),
        "/sound.m4a": Page((tmp_path / "sound.mp4").read_bytes(), content_type="audio/mp4"),
    }
    row = fetch(server, "/film.mpd", tmp_path, start_s, end_s)
    assert (row.status, row.detail) == ("ok", "")
    facts = probe(tmp_path / row.path)
    assert facts.has_audio
    assert facts.duration_s == pytest.approx(DURATION_S if end_s is None else END_S - START_S, abs=0.05)
    assert abs(facts.audio_duration_s - facts.duration_s) < 0.1
    assert_begins_at(tmp_path / row.path, start_s or 0.0)
    left = sorted(path.name for path in (tmp_path / "web").rglob("*") if path.is_file())
    assert left == ["cut.json", "cut.mp4"]


def test_a_playlist_of_pieces_is_whole_or_not_there(
    server: Loopback, films: dict[str, bytes], tmp_path: Path
) -> None:
    film = make_film(tmp_path / "film.ts", np.arange(200) / 25, hits([0.5], 8.0)).read_bytes()
    middle = len(film) // 188 // 2 * 188
    lines = [
        "#EXTM3U",
        "#EXT-X-TARGETDURATION:4",
        "#EXTINF:4,",
        "a.ts",
        "#EXTINF:4,",
        "b.ts",
        "#EXT-X-ENDLIST",
    ]
    server.pages |= {
        "/film.m3u8": Page("\n".join(lines).encode(), content_type="application/x-mpegurl"),
        "/a.ts": Page(film[:middle], content_type="video/mp2t"),
    }
    row = fetch(server, "/film.m3u8", tmp_path, None, None)
    assert row.status in ("network", "unavailable")
    server.pages["/b.ts"] = Page(film[middle:], content_type="video/mp2t")
    server.asked.clear()
    row = fetch(server, "/film.m3u8", tmp_path / "again", None, None)
    assert row.status == "ok"
    assert probe(tmp_path / "again" / row.path).duration_s == pytest.approx(8.0, abs=0.1)
