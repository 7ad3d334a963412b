"""Real yt-dlp against a real server on loopback: every outcome has its reason, and no byte comes twice."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foley.datasets.download import DownloadConfig, fetch_sources
from foley.datasets.ledger import Entry, ledger_path, read_entry
from foley.errors import FoleyError
from foley.media.ffmpeg import probe
from foley.provenance import file_sha256
from foley.store.manifests import Medium, Source
from tests.films import hits, make_film
from tests.loopback import Loopback, Page, serving

QUICK = DownloadConfig(n_retries=1, backoff_s=0.01, timeout_s=2.0, min_free_bytes=0, max_backoff_s=5.0)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A film of 8 s, its index at the end, of some 350 kB."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    noise = 0.2 * np.random.default_rng(1).standard_normal(8 * 44_100).astype(np.float32)
    make_film(path, np.arange(200) / 25, noise + hits([0.5 + i for i in range(7)], 8.0))
    return path.read_bytes()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serving() as loopback:
        yield loopback


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
        "/stalls.mp4": Page(film, stall_after=1000),
        "/cut.mp4": Page(film, cut_after=1000, ranges=False),
        "/overstated.mp4": Page(film, declared_length=len(film) + 40),
        "/understated.mp4": Page(film, declared_length=len(film) // 2, ranges=False),
        "/page.mp4": Page(b"<html><body>no film here</body></html>", content_type="text/html"),
        "/text.mp4": Page(b"this is no film\n" * 999),
        "/empty.mp4": Page(b""),
        "/loop.mp4": Page(location="/loop.mp4"),
        "/tofile.mp4": Page(location="file:///etc/passwd"),
        "/toftp.mp4": Page(location="ftp://127.0.0.1/x.mp4"),
    }
    config = QUICK.model_copy(update={"timeout_s": 0.7, "n_workers": 4})
    expected = {
        "good": "ok",
        "moved": "ok",
        "noranges": "ok",
        "missing": "unavailable",
        "forbidden": "forbidden",
        "gone": "removed",
        "legal": "region",
        "broken": "network",
        "busy": "rate_limit",
        "login": "private",
        "stalls": "network",
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
    media = fetch([source(server, f"/{name}.mp4") for name in expected], tmp_path, config)
    assert {name: row.status for name, row in media.items()} == expected
    assert all(bool(row.detail) == (row.status != "ok") for row in media.values())
    for name, status in expected.items():
        assert ledger(tmp_path, name).status == status
    for name in ("good", "moved", "noranges"):
        assert (tmp_path / media[name].path).read_bytes() == film
