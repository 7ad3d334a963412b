"""A file is whole or absent; what the system says against writing becomes an error with a cure."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from foley.errors import DiskFullError, FoleyError, MediaError, StoreError
from foley.store.files import atomic_path, free_bytes, locked, read_json, remove_leftovers, write_json
from foley.store.runs import begin_run
from foley.store.shards import ShardReader, ShardWriter


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text("new" * (1 // 0))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    "name",
    ["-y 'a' \"b\"\n.wav", "é" * 120 + ".txt", os.fsdecode(b"\xff\xfe.txt"), "x" * 251 + ".txt", "[a]*.h5"],
)
def test_any_name_can_be_written(tmp_path: Path, name: str) -> None:
    with atomic_path(tmp_path / name) as temporary:
        str(temporary).encode()  # ffmpeg takes text only
        assert temporary.suffix == Path(name).suffix
        temporary.write_text("content")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_of_many_writers_of_one_file_one_wins_whole(tmp_path: Path) -> None:
    contents = [str(number) * 50_000 for number in range(8)]
    start = threading.Barrier(len(contents))

    def write(content: str) -> None:
        start.wait()
        for _ in range(5):
            with atomic_path(tmp_path / "x.txt", durable=False) as temporary:
                temporary.write_text(content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "x.txt").read_text() in contents
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
        MediaError(
            "decode_error", "x.mp4: ffmpeg failed (av_interleaved_write_frame(): No space left on device)"
        ),
    ],
)
def test_no_room_is_told_from_everything_else(tmp_path: Path, error: Exception) -> None:
    folder = tmp_path / "deep"
    said = r"deep: no room to write x\.h5 .*make room there, then run"
    with pytest.raises(DiskFullError, match=said), atomic_path(folder / "x.h5"):
        raise error
    with pytest.raises(DiskFullError), atomic_path(folder / "x.h5"):
        raise ValueError("cannot write") from error


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "x.txt"):
        (tmp_path / "input.txt").read_text()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"file/x\.json: cannot be written \(.*\); .*choose another folder"):
        write_json(tmp_path / "file/x.json", 1)
    with pytest.raises(StoreError, match=r"folder: cannot be written"):
        write_json(tmp_path / "folder", 1)


def test_a_damaged_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1')
    with pytest.raises(StoreError, match=r"x\.json: is damaged"):
        read_json(tmp_path / "x.json")
    write_json(tmp_path / "x.json", {"a": 1})
    assert read_json(tmp_path / "x.json") == {"a": 1}


@contextmanager
def no_room() -> Iterator[None]:
    """No file may grow beyond 100 kB: the kernel says so in the middle of a write, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def make_shard(target: Path, items: str, size: int) -> list[str]:
    """Write what is not there yet; give the items that were."""
    with ShardWriter(target, {}) as writer:
        kept = [name for name in items if writer.done(name)]
        for name in sorted(set(items) - set(kept)):
            writer.write(name, {"features": np.random.default_rng(0).random(size)})
    return kept


def test_a_shard_that_finds_no_room_keeps_its_items_and_ends_well_later(tmp_path: Path) -> None:
    target = tmp_path / "x.h5"
    with no_room():
        for items, size in (("abcdef", 3_000), ("abcdefg", 90_000)):  # the whole is too long, then an item
            with pytest.raises(DiskFullError, match="no room to write"):
                make_shard(target, items, size)
            assert not target.exists()
            assert not list(tmp_path.rglob("*.part-*"))
    assert make_shard(target, "abcdefg", 3_000) == list("abcdef")
    assert ShardReader(target).items == list("abcdefg")
    np.testing.assert_array_equal(
        ShardReader(target).read("f", "features"), np.random.default_rng(0).random(3_000)
    )


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_leftovers_of_the_dead_are_removed_and_of_the_living_kept(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "deep/x.h5") as temporary:
        own = temporary.name
        temporary.touch()
        dead = own.replace(f"-{os.getpid()}-", f"-{dead_process()}-")
        elsewhere = dead.replace(own.split("-")[1], "00000000")
        for name in (dead, elsewhere, "x.part", "y.part-1.h5"):
            (temporary.parent / name).touch()
        assert remove_leftovers(tmp_path) == 1
        left = {path.name for path in temporary.parent.iterdir()}
    assert left == {own, elsewhere, "x.part", "y.part-1.h5"}
    assert remove_leftovers(tmp_path / "nothing here") == 0


def test_the_right_to_a_file_is_given_one_at_a_time(tmp_path: Path) -> None:
    inside, most = [0], [0]
    guard = threading.Lock()

    def work() -> None:
        for _ in range(20):
            with locked(tmp_path / "x.h5"):
                with guard:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with guard:
                    inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert not list(tmp_path.iterdir())


CLAIM = """
import sys
from foley.store.runs import begin_run
begin_run(sys.argv[1], [])
print("claimed", flush=True)
sys.stdin.read()
"""


def test_a_folder_has_one_run_at_a_time_and_a_kill_frees_it(tmp_path: Path) -> None:
    lock = tmp_path / ".snakemake/foley.lock"
    command = [sys.executable, "-c", CLAIM, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "claimed\n"
        with pytest.raises(FoleyError, match=f"another run is at work .*process {first.pid} on .*wait until"):
            begin_run(lock, [])
        first.kill()
    done = subprocess.run(command, input="", capture_output=True, text=True)
    assert done.stdout == "claimed\n"


def test_a_run_does_not_begin_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foley.store.runs.free_bytes", lambda folder: 5_000_000)
    with pytest.raises(DiskFullError, match=r"results: only 5\.0 MB are free .*make room there"):
        begin_run(tmp_path / "lock", [tmp_path / "results"])
    assert not list(tmp_path.iterdir())


def test_a_run_that_ends_on_a_full_disk_says_so_last(tmp_path: Path) -> None:
    code = (
        "import sys; from foley.store import runs\n"
        "runs.begin_run(sys.argv[1] + '/lock', [sys.argv[1]])\n"
        "runs.free_bytes = lambda folder: free\n"
    )
    for free, said in ((0, f"{tmp_path}: only 0.0 MB are free"), (1 << 40, "")):
        command = [sys.executable, "-c", code.replace(" free\n", f" {free}\n"), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.stderr.startswith(said)
        assert bool(done.stderr) == bool(said)


def test_room_is_known_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a/b/c") > 0
