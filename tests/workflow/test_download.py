"""Real yt-dlp against a real server on loopback: every outcome has its reason, and no byte comes twice."""

import time
from pathlib import Path

import pytest

from foley.datasets.download import DownloadConfig, fetch_sources
from foley.datasets.ledger import Entry, ledger_path, read_entry
from foley.errors import FoleyError
from foley.provenance import file_sha256
from foley.store.manifests import Medium, Source
from tests.loopback import Loopback, Page

QUICK = DownloadConfig(n_retries=1, backoff_s=0.01, timeout_s=10.0, min_free_bytes=0, max_backoff_s=5.0)


def source(
    server: Loopback, path: str, *, start_s: float | None = None, end_s: float | None = None
) -> Source:
    name = path.strip("/").split(".")[0]
    return Source(
        recording_id=name,
        label="hit",
        shard="000",
        origin="url",
        location=server.url(path),
        start_s=start_s,
        end_s=end_s,
    )


def fetch(rows: list[Source], data_dir: Path, config: DownloadConfig = QUICK) -> dict[str, Medium]:
    media = fetch_sources(rows, config, data_dir=data_dir, folder="web", seed=0)
    assert [row.recording_id for row in media] == [row.recording_id for row in rows]
    return {row.recording_id: row for row in media}


def ledger(data_dir: Path, name: str) -> Entry:
    entry = read_entry(ledger_path(data_dir / "web/hit", name))
    assert entry is not None
    return entry


def test_a_file_comes_byte_for_byte_and_once(server: Loopback, film: bytes, tmp_path: Path) -> None:
    server.pages["/good.mp4"] = Page(film)
    rows = [source(server, "/good.mp4")]
    row = fetch(rows, tmp_path)["good"]
    assert (row.status, row.path) == ("ok", "web/hit/good.mp4")
    assert (tmp_path / row.path).read_bytes() == film
    entry = ledger(tmp_path, "good")
    assert (entry.n_bytes, entry.n_attempts, entry.url) == (len(film), 1, server.url("/good.mp4"))
    assert entry.sha256 == row.sha256 == file_sha256(tmp_path / row.path)
    server.asked.clear()
    assert fetch(rows, tmp_path)["good"] == row
    assert server.asked == []
    (tmp_path / row.path).write_bytes(film[:-1])
    assert fetch(rows, tmp_path)["good"] == row
    assert (tmp_path / row.path).read_bytes() == film
    assert sorted(path.name for path in (tmp_path / "web/hit").iterdir()) == ["good.json", "good.mp4"]


def test_every_outcome_has_its_reason(server: Loopback, film: bytes, tmp_path: Path) -> None:
    always = 99
    server.pages |= {
        "/good.mp4": Page(film),
        "/moved.mp4": Page(location="/good.mp4"),
        "/noranges.mp4": Page(film, ranges=False),
        "/forbidden.mp4": Page(instead=[(403, {})] * always),
        "/gone.mp4": Page(instead=[(410, {})] * always),
        "/legal.mp4": Page(instead=[(451, {})] * always),
        "/broken.mp4": Page(instead=[(500, {})] * always),
        "/busy.mp4": Page(instead=[(429, {})] * always),
        "/login.mp4": Page(instead=[(401, {})] * always),
        "/cut.mp4": Page(film, cut_after=1000, ranges=False),
        "/overstated.mp4": Page(film, declared_length=len(film) + 40),
        "/understated.mp4": Page(film, declared_length=len(film) // 2, ranges=False),
        "/embed.mp4": Page(b'<html><video src="/good.mp4"></video></html>', content_type="text/html"),
        "/page.mp4": Page(b"<html><body>no film here</body></html>", content_type="text/html"),
        "/text.mp4": Page(b"this is no film\n" * 999),
        "/empty.mp4": Page(b""),
        "/loop.mp4": Page(location="/loop.mp4"),
        "/tofile.mp4": Page(location="file:///etc/passwd"),
        "/toftp.mp4": Page(location="ftp://127.0.0.1/x.mp4"),
    }
    expected = {
        "good": "ok",
        "moved": "ok",
        "noranges": "ok",
        "embed": "ok",
        "missing": "unavailable",
        "forbidden": "forbidden",
        "gone": "removed",
        "legal": "region",
        "broken": "network",
        "busy": "rate_limit",
        "login": "private",
        "cut": "network",
        "overstated": "network",
        "understated": "decode_error",
        "page": "unavailable",
        "text": "not_media",
        "empty": "network",
        "loop": "network",
        "tofile": "unsafe_url",
        "toftp": "unsafe_url",
    }
    media = fetch([source(server, f"/{name}.mp4") for name in expected], tmp_path)
    assert {name: row.status for name, row in media.items()} == expected
    assert all(bool(row.detail) == (row.status != "ok") for row in media.values())
    for name, status in expected.items():
        assert ledger(tmp_path, name).status == status
    for name in ("good", "moved", "noranges", "embed"):
        assert (tmp_path / media[name].path).read_bytes() == film


def body_starts(server: Loopback, path: str) -> list[int | None]:
    """First byte of each range that was asked of a page; None for a whole body."""
    return [row.first_byte for row in server.requests(path)]


@pytest.mark.parametrize("n_retries", [0, 1], ids=["next run", "same run"])
def test_bytes_of_a_part_file_do_not_come_again(
    server: Loopback, film: bytes, tmp_path: Path, n_retries: int
) -> None:
    # The first body that goes so far is that of the download: yt-dlp's look at an address leaves early.
    server.pages["/long.mp4"] = Page(film, cut_after=1_000_000, n_faults=1)
    rows = [source(server, "/long.mp4")]
    config = QUICK.model_copy(update={"n_retries": n_retries})
    row = fetch(rows, tmp_path, config)["long"]
    if n_retries == 0:
        assert row.status == "network"
        part = tmp_path / "web/.parts/hit/long/whole/media.mp4.part"
        assert part.read_bytes() == film[: part.stat().st_size]
        assert part.stat().st_size > 500_000
        row = fetch(rows, tmp_path, config)["long"]
    assert row.status == "ok"
    assert (tmp_path / row.path).read_bytes() == film
    continued = [first for first in body_starts(server, "/long.mp4") if first]
    assert len(continued) == 1
    assert 500_000 < continued[0] <= 1_000_000
    assert ledger(tmp_path, "long").n_attempts == 2
    assert not (tmp_path / "web/.parts/hit/long").exists()


def test_a_part_file_of_another_version_is_thrown_away(server: Loopback, film: bytes, tmp_path: Path) -> None:
    page = Page(film, cut_after=1_000_000, n_faults=1)
    server.pages["/long.mp4"] = page
    rows = [source(server, "/long.mp4")]
    once = QUICK.model_copy(update={"n_retries": 0})
    assert fetch(rows, tmp_path, once)["long"].status == "network"
    page.content, page.etag = film[:300_000] + b"x" * 9 + film[300_009:], '"second"'
    row = fetch(rows, tmp_path)["long"]
    assert row.status == "ok"
    assert (tmp_path / row.path).read_bytes() == page.content


def test_a_server_that_answers_another_range_is_not_believed(
    server: Loopback, film: bytes, tmp_path: Path
) -> None:
    page = Page(film, cut_after=1_000_000, n_faults=1)
    server.pages["/long.mp4"] = page
    once = QUICK.model_copy(update={"n_retries": 0})
    rows = [source(server, "/long.mp4")]
    assert fetch(rows, tmp_path, once)["long"].status == "network"
    page.shift = 7
    assert "another range" in fetch(rows, tmp_path, once)["long"].detail
    page.shift = 0
    row = fetch(rows, tmp_path)["long"]
    assert (tmp_path / row.path).read_bytes() == film


def test_only_what_may_have_changed_is_asked_again(server: Loopback, film: bytes, tmp_path: Path) -> None:
    server.pages |= {
        "/good.mp4": Page(film),
        "/busy.mp4": Page(film, instead=[(503, {})] * 2),
        "/secret.mp4": Page(film, instead=[(403, {})]),
    }
    rows = [source(server, f"/{name}.mp4") for name in ("good", "busy", "secret", "missing")]
    first = fetch(rows, tmp_path, QUICK)
    assert [row.status for row in first.values()] == ["ok", "network", "forbidden", "unavailable"]
    server.asked.clear()
    second = fetch(rows, tmp_path, QUICK)
    assert {row.path for row in server.asked} == {"/busy.mp4"}
    assert [row.status for row in second.values()] == ["ok", "ok", "forbidden", "unavailable"]
    server.asked.clear()
    elsewhere = [rows[3].model_copy(update={"location": server.url("/good.mp4")})]
    assert fetch(elsewhere, tmp_path)["missing"].status == "ok"  # the list was mended: asked again


def test_retry_after_is_honoured(server: Loopback, film: bytes, tmp_path: Path) -> None:
    server.pages["/soon.mp4"] = Page(film, instead=[(429, {"Retry-After": "1"})])
    began_s = time.monotonic()
    assert fetch([source(server, "/soon.mp4")], tmp_path)["soon"].status == "ok"
    assert time.monotonic() - began_s >= 1.0
    server.pages |= {
        f"/late{index}.mp4": Page(film, instead=[(429, {"Retry-After": "3600"})]) for index in "ab"
    }
    config = QUICK.model_copy(update={"n_workers": 1})
    media = fetch([source(server, f"/late{index}.mp4") for index in "ab"], tmp_path, config)
    assert [row.status for row in media.values()] == ["rate_limit", "rate_limit"]
    # Longer than max_backoff_s: left for a later run, and the server is not asked for anything else.
    assert len([row for row in server.asked if row.path.startswith("/late")]) == 1
    assert sorted(ledger(tmp_path, name).n_attempts for name in media) == [0, 1]


def test_the_workers_work_side_by_side(server: Loopback, film: bytes, tmp_path: Path) -> None:
    names = [f"n{index}" for index in range(6)]
    server.pages |= {f"/{name}.mp4": Page(film, stall_after=1_000_000, n_faults=1) for name in names}
    config = QUICK.model_copy(update={"n_workers": 3, "timeout_s": 2.0, "n_retries": 3})
    media = fetch([source(server, f"/{name}.mp4") for name in names], tmp_path, config)
    assert {row.status for row in media.values()} == {"ok"}
    assert server.most_active > 1


def test_a_server_that_drips_or_falls_silent_is_left(server: Loopback, film: bytes, tmp_path: Path) -> None:
    server.pages |= {"/drips.mp4": Page(film, drip=True), "/stalls.mp4": Page(film, stall_after=1000)}
    config = QUICK.model_copy(update={"timeout_s": 1.0, "n_retries": 0})
    media = fetch([source(server, f"/{name}.mp4") for name in ("drips", "stalls")], tmp_path, config)
    assert {row.status for row in media.values()} == {"network"}
    assert ledger(tmp_path, "stalls").status == "network"


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x.mp4", "rtmp://127.0.0.1/x/y"])
def test_a_page_cannot_lead_to_another_scheme(server: Loopback, tmp_path: Path, address: str) -> None:
    page = f'<html><video src="{address}"></video></html>'
    server.pages["/page.html"] = Page(page.encode(), content_type="text/html")
    for start_s in (None, 1.0):
        row = source(server, "/page.html", start_s=start_s, end_s=start_s and 2.0)
        medium = fetch([row], tmp_path / str(start_s))["page"]
        assert medium.status in ("unsafe_url", "unavailable"), medium.detail


def test_a_page_that_never_ends_is_left(server: Loopback, tmp_path: Path) -> None:
    start = b"<html><body>no film here, but "
    server.pages |= {
        "/slow.html": Page(start + b"more " * 1000, content_type="text/html", drip=True),
        "/vast.html": Page(start + b"more " * 4_000_000, content_type="text/html"),
    }
    config = QUICK.model_copy(update={"timeout_s": 0.3, "n_retries": 0})
    assert fetch([source(server, "/slow.html")], tmp_path, config)["slow"].status == "network"
    assert fetch([source(server, "/vast.html")], tmp_path)["vast"].status == "too_large"


def test_a_server_that_loses_its_ranges_sends_the_file_anew(
    server: Loopback, film: bytes, tmp_path: Path
) -> None:
    page = Page(film, cut_after=1_000_000, n_faults=1)
    server.pages["/long.mp4"] = page
    rows = [source(server, "/long.mp4")]
    once = QUICK.model_copy(update={"n_retries": 0})
    assert fetch(rows, tmp_path, once)["long"].status == "network"
    page.ranges = False
    row = fetch(rows, tmp_path, once)["long"]
    assert row.status == "ok"
    assert (tmp_path / row.path).read_bytes() == film


def test_a_file_that_is_too_large_is_refused(server: Loopback, film: bytes, tmp_path: Path) -> None:
    server.pages["/large.mp4"] = Page(film)
    config = QUICK.model_copy(update={"max_bytes_per_item": 100_000})
    assert fetch([source(server, "/large.mp4")], tmp_path, config)["large"].status == "too_large"
    assert not (tmp_path / "web/.parts/hit/large").exists()


def test_cookies_are_sent_and_their_file_is_left_alone(server: Loopback, film: bytes, tmp_path: Path) -> None:
    server.pages["/mine.mp4"] = Page(film, cookie="who=me")
    rows = [source(server, "/mine.mp4")]
    assert fetch(rows, tmp_path / "without")["mine"].status == "forbidden"
    cookies = tmp_path / "cookies.txt"
    cookies.write_text(
        "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t4000000000\twho\tme\n", encoding="utf-8"
    )
    before = cookies.read_bytes()
    config = QUICK.model_copy(update={"cookies_file": str(cookies)})
    assert fetch(rows, tmp_path / "with", config)["mine"].status == "ok"
    assert cookies.read_bytes() == before
    cookies.write_text("who=me", encoding="utf-8")
    with pytest.raises(FoleyError, match=r"cookies\.txt: is no Netscape cookie file"):
        fetch(rows, tmp_path / "again", config)


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "data:text/plain,x",
        "ftp://127.0.0.1/x.mp4",
        "ytsearch:dogs",
        "--exec=touch x",
        "-o/tmp/x",
        "/etc/passwd",
        "http://",
        "http://[::1",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/a#__youtubedl_smuggle=%7B%22to_generic%22%3A1%7D",
        "",
    ],
)
def test_an_unsafe_address_is_refused(tmp_path: Path, address: str) -> None:
    row = Source(recording_id="x", label="hit", shard="000", origin="url", location=address)
    assert fetch([row], tmp_path)["x"].status == "unsafe_url"
    assert not list(tmp_path.rglob("*.mp4"))


@pytest.mark.parametrize(
    ("recording_id", "label"),
    [
        ("..", "hit"),
        (".hidden", "hit"),
        ("x" * 300, "hit"),
        ("x", ".."),
        ("x", "../out"),
        ("x", "/tmp"),
        ("x", ""),
    ],
)
def test_names_that_leave_the_folder_are_refused(
    server: Loopback, film: bytes, tmp_path: Path, recording_id: str, label: str
) -> None:
    server.pages["/good.mp4"] = Page(film)
    row = Source(
        recording_id=recording_id, label=label, shard="000", origin="url", location=server.url("/good.mp4")
    )
    assert fetch([row], tmp_path / "data")[recording_id].status == "unsafe_path"
    assert server.asked == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(5.0, 5.0), (5.0, 2.0), (-3.0, None), (float("nan"), 2.0), (1.0, float("inf"))]
)
def test_a_section_that_holds_nothing_is_refused(
    server: Loopback, film: bytes, tmp_path: Path, start_s: float, end_s: float | None
) -> None:
    server.pages["/good.mp4"] = Page(film)
    row = source(server, "/good.mp4", start_s=start_s, end_s=end_s)
    assert fetch([row], tmp_path)["good"].status == "too_short"
    assert server.asked == []


def test_names_that_look_like_options_and_templates_are_only_names(
    server: Loopback, film: bytes, tmp_path: Path
) -> None:
    evil = {"Content-Disposition": 'attachment; filename="../../../evil.sh"'}
    server.pages["/-f%20%25(title)s.mp4"] = Page(film, headers=evil)
    data_dir = tmp_path / "$HOME ~ %(id)s 'q'"
    row = Source(
        recording_id="-rf",
        label="-x",
        shard="000",
        origin="url",
        location=server.url("/-f%20%25(title)s.mp4"),
    )
    for order in (row, row.model_copy(update={"recording_id": "-cut", "start_s": 1.0, "end_s": 3.0})):
        medium = fetch([order], data_dir)[order.recording_id]
        assert (medium.status, medium.detail) == ("ok", "")
    files = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["-cut.json", "-cut.mp4", "-rf.json", "-rf.mp4"]


def test_a_playlist_cannot_read_files_of_this_machine(server: Loopback, film: bytes, tmp_path: Path) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(film)
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:8\n#EXTINF:8,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    for name, kind in (("list.m3u8", "application/x-mpegurl"), ("list.mp4", "video/mp4")):
        server.pages[f"/{name}"] = Page(text.encode(), content_type=kind)
        for start_s in (None, 1.0):
            row = source(server, f"/{name}", start_s=start_s, end_s=start_s and 3.0)
            medium = fetch([row], tmp_path / f"data{start_s}")[row.recording_id]
            assert medium.status in ("unsafe_url", "not_media", "network", "unavailable")
            assert medium.path == ""
