"""Shards survive kills and repeat to the byte; manifests check themselves."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foley.errors import ManifestError, StoreError
from foley.store.manifests import Event, decode_path, encode_path, read_rows, write_rows
from foley.store.shards import ShardReader, ShardSet, ShardWriter, shard_names, shard_of


def test_two_writings_are_equal_to_the_byte(tmp_path: Path) -> None:
    for name, order in (("one", "ab"), ("two", "ba")):
        with ShardWriter(tmp_path / f"{name}.h5", {"config": {"x": 1}}) as writer:
            for item in order:
                writer.write(item, {"features": np.full(3, ord(item))}, {"label": item})
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_a_killed_writer_keeps_its_items(tmp_path: Path) -> None:
    target = tmp_path / "x.h5"
    killed = ShardWriter(target, {"config": 1})
    killed.write("a", {"features": np.ones(2)})
    assert not target.exists()
    with ShardWriter(target, {"config": 1}) as again:
        assert again.done("a")
        assert not again.done("b")
        again.write("b", {"features": np.zeros(2)})
    assert ShardReader(target).items == ["a", "b"]
    assert list(tmp_path.iterdir()) == [target]


def test_other_settings_start_afresh(tmp_path: Path) -> None:
    ShardWriter(tmp_path / "x.h5", {"config": 1}).write("a", {"features": np.ones(2)})
    assert not ShardWriter(tmp_path / "x.h5", {"config": 2}).done("a")


def test_an_item_killed_half_way_is_not_there(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path / "x.h5", {})
    writer.write("a", {"features": np.ones(2)})
    (tmp_path / "x.partial-0").mkdir()
    partial = next(path for path in tmp_path.glob("x.partial-*") if any(path.iterdir()))
    (partial / "b.part-1.h5").write_bytes(b"half")
    writer.close()
    assert ShardReader(tmp_path / "x.h5").items == ["a"]


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
        ("\tgenerated", "", r"row 2 has 5 values"),
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
