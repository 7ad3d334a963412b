"""Shards survive kills and repeat to the byte; manifests check themselves."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foley.errors import ManifestError, StoreError
from foley.store.manifests import Event, decode_path, encode_path, read_rows, write_rows
from foley.store.shards import ShardReader, ShardSet, ShardWriter, shard_names, shard_of, write_shard


def test_two_writings_are_equal_to_the_byte(tmp_path: Path) -> None:
    for name, order in (("one", "ab"), ("two", "ba")):
        with ShardWriter(tmp_path / f"{name}.h5", {"config": {"x": 1}}) as writer:
            for item in order:
                writer.write(item, {"features": np.full(3, ord(item))}, {"label": item})
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


class Killed(BaseException):
    """Stands for a kill: nothing in the library catches it."""


def write(target: Path, attributes: dict, items: dict[str, float], end: BaseException | None = None) -> None:
    """Write items of a shard; raise `end` inside the block."""
    with ShardWriter(target, attributes) as writer:
        for name, value in items.items():
            writer.write(name, {"features": np.full(3, value)})
        if end is not None:
            raise end


def leave(target: Path, attributes: dict, items: dict[str, float]) -> Path:
    """Write items of a shard and be killed before its end; give the folder that is left."""
    with pytest.raises(Killed):
        write(target, attributes, items, Killed())
    (partial,) = target.parent.glob(f"{target.stem}.partial-*")
    return partial


def test_a_killed_writer_keeps_its_items(tmp_path: Path) -> None:
    target = tmp_path / "x.h5"
    leave(target, {"config": 1}, {"a": 1})
    assert not target.exists()
    with ShardWriter(target, {"config": 1}) as again:
        assert again.done("a")
        assert not again.done("b")
        again.write("b", {"features": np.zeros(2)})
    assert ShardReader(target).items == ["a", "b"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_continued_shard_has_the_bytes_of_one_that_was_not_killed(tmp_path: Path) -> None:
    leave(tmp_path / "killed.h5", {}, {"b": 2, "d": 4})
    for name in ("killed", "whole"):
        with ShardWriter(tmp_path / f"{name}.h5", {}) as writer:
            for item, value in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
                if not writer.done(item):
                    writer.write(item, {"features": np.full(3, value)})
    assert (tmp_path / "killed.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_other_settings_start_afresh(tmp_path: Path) -> None:
    leave(tmp_path / "x.h5", {"config": 1}, {"a": 1})
    with ShardWriter(tmp_path / "x.h5", {"config": 2}) as writer:
        assert not writer.done("a")


@pytest.mark.parametrize("damage", ["cut", "zeros", "empty", "other bytes"])
def test_a_damaged_item_is_made_again(tmp_path: Path, damage: str) -> None:
    partial = leave(tmp_path / "x.h5", {}, {"a": 1, "b": 2})
    item = next(path for path in partial.iterdir() if path.name.startswith("a."))
    content = item.read_bytes()
    broken = {
        "cut": content[: len(content) // 2],
        "zeros": content[:-512] + bytes(512),
        "empty": b"",
        "other bytes": content[:-3] + b"xyz",
    }
    item.write_bytes(broken[damage])
    with ShardWriter(tmp_path / "x.h5", {}) as writer:
        assert not writer.done("a")
        assert writer.done("b")
        writer.write("a", {"features": np.full(3, 1.0)})
    assert ShardReader(tmp_path / "x.h5").items == ["a", "b"]


def test_an_item_killed_half_way_is_not_there(tmp_path: Path) -> None:
    partial = leave(tmp_path / "x.h5", {}, {"a": 1})
    (partial / "b.0123abcd.part-0123abcd-1-1.h5").write_bytes(b"half")
    with ShardWriter(tmp_path / "x.h5", {}) as writer:
        assert not writer.done("b")
    assert ShardReader(tmp_path / "x.h5").items == ["a"]


def test_an_item_written_twice_has_its_later_content(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "x.h5", {}) as writer:
        writer.write("a", {"features": np.zeros(2)})
        writer.write("a", {"features": np.ones(2)})
    np.testing.assert_array_equal(ShardReader(tmp_path / "x.h5").read("a", "features"), [1, 1])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a\nb", "a\0b", "x" * 201, "\ud800"])
def test_an_item_that_cannot_be_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="cannot name an item"), ShardWriter(tmp_path / "x.h5", {}) as writer:
        writer.write(name, {})
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} <= {"x"}


@pytest.mark.parametrize("name", ["-0jRP", "Dog, barking", "雨", ".hidden", "a.h5", "x" * 200])
def test_any_other_item_name_is_kept(tmp_path: Path, name: str) -> None:
    leave(tmp_path / "x.h5", {}, {name: 1})
    with ShardWriter(tmp_path / "x.h5", {}) as writer:
        assert writer.done(name)
    assert ShardReader(tmp_path / "x.h5").items == [name]


def test_a_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    target, entered, states = tmp_path / "x.h5", threading.Event(), []

    def write() -> None:
        entered.set()
        with ShardWriter(target, {}) as second:
            states.append(target.exists())
            second.write("b", {"features": np.ones(1)})

    with ShardWriter(target, {}) as first:
        thread = threading.Thread(target=write)
        thread.start()
        entered.wait()
        first.write("a", {"features": np.ones(1)})
    thread.join()
    assert states == [True], "the second entered before the first had ended"
    assert ShardReader(target).items == ["b"]
    assert list(tmp_path.iterdir()) == [target]


def test_the_right_to_write_ends_with_the_process_that_has_it(tmp_path: Path) -> None:
    target = tmp_path / "x.h5"
    code = (
        "import os, signal, sys; import numpy as np; from foley.store.shards import ShardWriter\n"
        "with ShardWriter(sys.argv[1], {}) as writer:\n"
        "    writer.write('a', {'features': np.ones(1)})\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(target)]).returncode == -signal.SIGKILL
    with ShardWriter(target, {}) as writer:
        assert writer.done("a")
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_fails_leaves_no_shard(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), ShardWriter(tmp_path / "x.h5", {}) as writer:
        writer.write("a", {"features": np.ones(2) * (1 // 0)})
    assert not (tmp_path / "x.h5").exists()


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_text("not HDF5")
    with pytest.raises(StoreError, match=r"x\.h5"):
        ShardReader(tmp_path / "x.h5")


def test_no_item_may_be_in_two_shards(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with ShardWriter(tmp_path / f"{name}.h5", {}) as writer:
            writer.write("a", {"features": np.ones(2)})
    with pytest.raises(StoreError, match="two shards"):
        ShardSet([tmp_path / "one.h5", tmp_path / "two.h5"])


def test_windows_attributes_and_missing_items(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "x.h5", {"config": {"n": 3}}) as writer:
        writer.write("a", {"features": np.arange(10)}, {"label": "car"})
    shards = ShardSet([tmp_path / "x.h5"])
    np.testing.assert_array_equal(shards.read("a", "features", slice(2, 4)), [2, 3])
    assert shards.item_attributes("a") == {"label": "car"}
    assert shards.reader("a").attributes == {"config": {"n": 3}}
    with pytest.raises(StoreError, match="no shard holds b"):
        shards.read("b", "features")
    with pytest.raises(StoreError, match="a/nothing"):
        shards.read("a", "nothing")


@given(st.text(min_size=1), st.integers(1, 999))
def test_a_shard_name_is_stable_and_known(item: str, n_shards: int) -> None:
    assert shard_of(item, n_shards) in shard_names(n_shards)
    assert shard_of(item, n_shards) == shard_of(item, n_shards)


EVENT = Event(clip_id="a_00", time_s=0.5, kind="strike", material="wood", source="generated")


def test_rows_come_back(tmp_path: Path) -> None:
    write_rows(tmp_path / "events.tsv", Event, [EVENT])
    assert read_rows(tmp_path / "events.tsv", Event) == [EVENT]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.5", "soon", r"row 2, column time_s"),
        ("time_s", "time", r"columns are"),
        ("\tgenerated", "", r"row 2 has \d values, expected \d"),
    ],
)
def test_a_broken_manifest_says_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "events.tsv"
    write_rows(path, Event, [EVENT])
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ManifestError, match=message):
        read_rows(path, Event)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"events\.tsv: manifest is missing"):
        read_rows(tmp_path / "events.tsv", Event)


@given(st.text(st.characters(exclude_characters="\0"), min_size=1))
def test_any_path_survives_a_table(name: str) -> None:
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return
    text = encode_path(name)
    assert not any(ord(char) < 32 for char in text)
    assert decode_path(text) == Path(name)


def test_a_reader_that_keeps_its_file_open_reads_the_same(tmp_path: Path) -> None:
    write_shard(
        tmp_path / "a.h5", {"how": 1}, ["x", "y"], lambda item: ({"v": np.full(3, ord(item))}, {"is": item})
    )
    reader, shards = (
        ShardReader(tmp_path / "a.h5", keep_open=True),
        ShardSet([tmp_path / "a.h5"], keep_open=True),
    )
    (tmp_path / "a.h5").rename(tmp_path / "moved.h5")  # only who has it open still finds it
    for held in (reader, shards):
        assert held.read("y", "v").tolist() == [ord("y")] * 3
        assert held.item_attributes("x") == {"is": "x"}
    assert reader.names("x") == ["v"]
    with pytest.raises(StoreError, match="has no x/w"):
        reader.read("x", "w")
