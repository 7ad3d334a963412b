"""Kills, two runs on one folder, full disks: nothing half is accepted, nothing finished comes again."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yt_dlp.downloader.common

from foley.datasets import fetching
from foley.datasets.download import DownloadConfig, fetch_sources
from foley.datasets.ledger import ledger_path, read_entry, write_entry
from foley.errors import FoleyError
from foley.store.manifests import Medium, Source
from tests.loopback import Loopback, Page

ROOT = Path(__file__).parents[2]
QUICK = DownloadConfig(n_retries=0, backoff_s=0.01, timeout_s=20.0, min_free_bytes=0)
PROGRAM = """
import json, sys
from pathlib import Path
from foley.datasets.download import DownloadConfig, fetch_sources
from foley.store.manifests import Source
rows = [Source.model_validate(row) for row in json.loads(sys.argv[1])]
config = DownloadConfig(n_retries=0, backoff_s=0.01, timeout_s=60, min_free_bytes=0)
media = fetch_sources(rows, config, data_dir=Path(sys.argv[2]), folder="web", seed=0)
print(json.dumps([row.model_dump() for row in media]))
"""


def sources(server: Loopback, *names: str) -> list[Source]:
    return [
        Source(recording_id=name, label="hit", shard="000", origin="url", location=server.url(f"/{name}.mp4"))
        for name in names
    ]


def fetch(rows: list[Source], data_dir: Path, config: DownloadConfig = QUICK) -> list[Medium]:
    return fetch_sources(rows, config, data_dir=data_dir, folder="web", seed=0)


def start(rows: list[Source], data_dir: Path) -> subprocess.Popen[str]:
    """Fetch in another process."""
    arguments = [json.dumps([row.model_dump() for row in rows]), str(data_dir)]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )


def wait_for(happened: Any) -> None:
    for _ in range(1200):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("did not happen in a minute")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_download_is_continued(
    server: Loopback, film: bytes, tmp_path: Path, number: signal.Signals
) -> None:
    server.pages["/done.mp4"] = Page(film)
    fetch(sources(server, "done"), tmp_path)
    server.pages["/long.mp4"] = Page(film, stall_after=1_000_000, n_faults=1)
    rows = sources(server, "done", "long")
    part = tmp_path / "web/.parts/hit/long/whole/media.mp4.part"
    with start(rows, tmp_path) as process:
        wait_for(lambda: part.exists() and part.stat().st_size > 500_000)
        process.send_signal(number)
    size = part.stat().st_size
    assert part.read_bytes() == film[:size]
    assert not (tmp_path / "web/hit/long.json").exists()
    server.asked.clear()
    assert [row.status for row in fetch(rows, tmp_path)] == ["ok", "ok"]
    assert (tmp_path / "web/hit/long.mp4").read_bytes() == film
    assert server.requests("/done.mp4") == []
    assert [row.first_byte for row in server.requests("/long.mp4")] == [None, size]
    assert not list((tmp_path / "web/.parts").rglob("*.lock"))


def test_two_runs_on_one_folder_fetch_everything_once(server: Loopback, film: bytes, tmp_path: Path) -> None:
    names = [f"n{index}" for index in range(6)]
    server.pages |= {f"/{name}.mp4": Page(film) for name in names}
    rows = sources(server, *names)
    running = [start(rows, tmp_path), start(rows[::-1], tmp_path)]
    found = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    assert {row["status"] for media in found for row in media} == {"ok"}
    assert sorted(found[0], key=str) == sorted(found[1], key=str)
    for name in names:
        assert (tmp_path / f"web/hit/{name}.mp4").read_bytes() == film
        assert len(server.requests(f"/{name}.mp4")) == 2  # yt-dlp's look, and the body
    assert [path for path in (tmp_path / "web/.parts").rglob("*") if path.is_file()] == []


def test_a_kill_between_ledger_and_file_costs_nothing(server: Loopback, film: bytes, tmp_path: Path) -> None:
    server.pages["/good.mp4"] = Page(film)
    rows = sources(server, "good")
    first = fetch(rows, tmp_path)
    work = tmp_path / "web/.parts/hit/good"
    work.mkdir(parents=True)
    (tmp_path / "web/hit/good.mp4").rename(work / "good.mp4")
    server.asked.clear()
    assert fetch(rows, tmp_path) == first
    assert server.asked == []
    assert (tmp_path / "web/hit/good.mp4").read_bytes() == film


def test_a_vanished_file_and_a_damaged_ledger_are_fetched_again(
    server: Loopback, film: bytes, tmp_path: Path
) -> None:
    server.pages |= {"/a.mp4": Page(film), "/b.mp4": Page(film), "/c.mp4": Page(film)}
    rows = sources(server, "a", "b", "c")
    first = fetch(rows, tmp_path)
    (tmp_path / "web/hit/a.mp4").unlink()
    (tmp_path / "web/hit/b.json").write_text("{half", encoding="utf-8")
    server.asked.clear()
    assert fetch(rows, tmp_path) == first
    assert {row.path for row in server.asked} == {"/a.mp4", "/b.mp4"}


def test_other_shards_fetch_nothing_again(server: Loopback, film: bytes, tmp_path: Path) -> None:
    server.pages["/a.mp4"] = Page(film)
    rows = sources(server, "a")
    fetch(rows, tmp_path)
    server.asked.clear()
    moved = [row.model_copy(update={"shard": "017"}) for row in rows]
    assert [(row.status, row.shard) for row in fetch(moved, tmp_path)] == [("ok", "017")]
    assert server.asked == []


def test_no_room_is_said_before_the_start(
    server: Loopback, film: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages |= {"/a.mp4": Page(film), "/b.mp4": Page(film)}
    rows = sources(server, "a", "b")
    fetch(rows[:1], tmp_path)
    server.asked.clear()
    room = SimpleNamespace(n_bytes=len(film) + 999)
    monkeypatch.setattr(fetching, "free_bytes", lambda _: room.n_bytes)
    config = QUICK.model_copy(update={"min_free_bytes": 1000})
    # What is there already tells how much the next one will take.
    with pytest.raises(FoleyError, match=r"web: the disk is full .*set data_dir .*what is finished is kept"):
        fetch(rows, tmp_path, config)
    assert server.asked == []
    room.n_bytes += 1
    assert [row.status for row in fetch(rows, tmp_path, config)] == ["ok", "ok"]
    fixed = config.model_copy(update={"expected_bytes_per_item": 10**9})
    assert [row.status for row in fetch(rows, tmp_path, fixed)] == ["ok", "ok"]  # nothing is to come
    with pytest.raises(FoleyError, match="2 recordings of about 1000000000 bytes"):
        fetch(rows, tmp_path / "elsewhere", fixed)


def test_a_disk_that_fills_up_stops_the_run_and_keeps_what_is_done(
    server: Loopback, film: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages |= {f"/{name}.mp4": Page(film) for name in "abc"}
    rows = sources(server, *"abc")
    fetch(rows[:1], tmp_path)
    opened = yt_dlp.downloader.common.sanitize_open

    class FullDisk:
        def __init__(self, stream: Any) -> None:
            self._stream = stream
            self.locked = True

        def write(self, block: bytes) -> int:
            if self._stream.tell() > 300_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return int(self._stream.write(block))

        def close(self) -> None:
            self._stream.close()

    def open_full(name: str, mode: str) -> tuple[Any, str]:
        stream, name = opened(name, mode)
        return FullDisk(stream), name

    with monkeypatch.context() as patch:
        patch.setattr(yt_dlp.downloader.common, "sanitize_open", open_full)
        with pytest.raises(FoleyError, match=r"web: the disk is full .*No space left"):
            fetch(rows, tmp_path)
    assert not list((tmp_path / "web/.parts").rglob("*.lock"))
    server.asked.clear()
    assert [row.status for row in fetch(rows, tmp_path)] == ["ok"] * 3
    assert all((tmp_path / f"web/hit/{name}.mp4").read_bytes() == film for name in "abc")
    assert server.requests("/a.mp4") == []


def test_a_folder_that_cannot_be_written_to_is_named(server: Loopback, film: bytes, tmp_path: Path) -> None:
    server.pages["/a.mp4"] = Page(film)
    (tmp_path / "web").mkdir()
    (tmp_path / "web/.parts").write_text("in the way", encoding="utf-8")
    with pytest.raises(FoleyError, match=r"web/.*cannot be written"):
        fetch(sources(server, "a"), tmp_path)


def test_progress_counts_what_happened(
    server: Loopback, film: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.pages |= {"/a.mp4": Page(film), "/b.mp4": Page(film)}
    fetch(sources(server, "a"), tmp_path)
    caplog.clear()
    with caplog.at_level("INFO", "foley"):
        fetch(sources(server, "a", "b", "missing"), tmp_path)
    assert "3 recordings asked for: 1 are there, 0 cannot be had, 2 to fetch" in caplog.messages
    assert f"1 done, 1 failed, 0 left; {len(film)} bytes, " in caplog.messages[-1]


def test_a_ledger_of_another_state_is_no_proof(server: Loopback, film: bytes, tmp_path: Path) -> None:
    server.pages["/a.mp4"] = Page(film)
    rows = sources(server, "a")
    fetch(rows, tmp_path)
    path = ledger_path(tmp_path / "web/hit", "a")
    entry = read_entry(path)
    assert entry is not None
    write_entry(path, entry.model_copy(update={"file": "../../outside.mp4"}))
    (tmp_path / "outside.mp4").write_bytes(film)
    assert fetch(rows, tmp_path)[0].path == "web/hit/a.mp4"
