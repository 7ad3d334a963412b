"""Shards behind one index, tables in one table."""

from pathlib import Path

import numpy as np
import pytest

from foley.errors import ManifestError, StoreError
from foley.store.collect import join_shards, join_tables
from foley.store.manifests import Event, read_rows, write_rows
from foley.store.shards import ShardReader, ShardSet, ShardWriter


def write_shard(path: Path, values: dict[str, int], made_by: str = "here") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with ShardWriter(path, {"code": made_by}) as shard:
        for item, value in values.items():
            shard.write(item, {"numbers": np.full(4, value)}, {"label": item.upper()})
    return path


def test_an_index_reads_like_one_shard(tmp_path: Path) -> None:
    paths = [
        write_shard(tmp_path / "a/b/000.h5", {"p": 1, "q": 2}),
        write_shard(tmp_path / "a/b/001.h5", {"o": 3}),
        write_shard(tmp_path / "a/b/002.h5", {}),
    ]
    join_shards(paths, tmp_path / "a/b.h5")
    moved = (tmp_path / "a").rename(tmp_path / "elsewhere")
    for reader in (ShardReader(moved / "b.h5"), ShardSet([moved / "b.h5"])):
        assert reader.items == ["o", "p", "q"]
        assert reader.read("q", "numbers", slice(2)).tolist() == [2, 2]
        assert reader.item_attributes("o") == {"label": "O"}
    assert (moved / "b.h5").stat().st_size < 10_000


def test_copies_need_no_shard(tmp_path: Path) -> None:
    paths = [
        write_shard(tmp_path / "a/b/000.h5", {"p": 1, "q": 2}),
        write_shard(tmp_path / "a/b/001.h5", {"o": 3}),
    ]
    join_shards(paths, tmp_path / "a/b.h5")
    linked = ShardReader(tmp_path / "a/b.h5")
    join_shards(paths, tmp_path / "whole.h5", copies=True)
    for path in paths:
        path.unlink()
    whole = ShardReader(tmp_path / "whole.h5")
    assert whole.items == linked.items == ["o", "p", "q"]
    assert whole.read("q", "numbers").tolist() == [2, 2, 2, 2]
    assert whole.item_attributes("o") == {"label": "O"}
    made = [[shard["made"] for shard in reader.attributes["shards"].values()] for reader in (whole, linked)]
    assert made[0] == made[1]


def test_an_index_tells_how_its_shards_were_made(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "b/000.h5", {"p": 1})
    join_shards([path], tmp_path / "b.h5")
    first = (tmp_path / "b.h5").read_bytes()
    join_shards([path], tmp_path / "b.h5")
    assert (tmp_path / "b.h5").read_bytes() == first
    write_shard(path, {"p": 1}, made_by="otherwise")
    join_shards([path], tmp_path / "b.h5")
    assert (tmp_path / "b.h5").read_bytes() != first


def test_an_item_in_two_shards_is_refused(tmp_path: Path) -> None:
    paths = [write_shard(tmp_path / f"b/{name}.h5", {"p": 1}) for name in ("000", "001")]
    with pytest.raises(StoreError, match=r"p is in two shards: b/000\.h5 and b/001\.h5"):
        join_shards(paths, tmp_path / "b.h5")
    assert not (tmp_path / "b.h5").exists()


def test_a_shard_that_went_away_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "b/000.h5", {"p": 1})
    join_shards([path], tmp_path / "b.h5")
    path.unlink()
    with pytest.raises(StoreError, match="p"):
        ShardReader(tmp_path / "b.h5").read("p", "numbers")


def test_tables_become_one(tmp_path: Path) -> None:
    rows = [Event(clip_id=f"c{k}", time_s=k, kind="hit", material="", source="detected") for k in range(3)]
    write_rows(tmp_path / "0.tsv", Event, rows[:2])
    write_rows(tmp_path / "1.tsv", Event, [])
    write_rows(tmp_path / "2.tsv", Event, rows[2:])
    join_tables([tmp_path / f"{k}.tsv" for k in range(3)], Event, tmp_path / "all.tsv")
    assert read_rows(tmp_path / "all.tsv", Event) == rows
    (tmp_path / "1.tsv").write_text("clip_id\n")
    with pytest.raises(ManifestError, match=r"1\.tsv: has other columns"):
        join_tables([tmp_path / "1.tsv"], Event, tmp_path / "all.tsv")
    with pytest.raises(ManifestError, match="missing"):
        join_tables([tmp_path / "3.tsv"], Event, tmp_path / "all.tsv")
