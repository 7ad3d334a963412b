"""Lists of any length pass through acquisition row by row."""

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from foley import registry
from foley.datasets import acquire
from foley.errors import FoleyError
from foley.store.manifests import Event, ManifestError, Medium, Source, iterate_rows, read_rows, write_rows
from foley.store.shards import shard_of
from foley.store.sorting import sorted_rows


class Settings(BaseModel):
    """Of a data set that is a list of names."""

    names: list[str]


def source(name: str, n_shards: int = 4) -> Source:
    return Source(
        recording_id=name,
        label="hit",
        shard=shard_of(name, n_shards),
        origin="url",
        location=f"http://host/{name}",
        start_s=1.5,
    )


def list_sources(settings: Settings, *, n_shards: int, data_dir: Path, seed: int) -> Iterator[Source]:
    yield from (source(name, n_shards) for name in settings.names)


def fetch(
    settings: Settings, sources: list[Source], *, data_dir: Path, seed: int
) -> tuple[list[Medium], list[Event]]:
    rows = [
        Medium(
            **row.model_dump(include={"recording_id", "label", "shard", "group", "split"}),
            path="",
            sha256="",
            status="ok",
        )
        for row in sources
    ]
    return rows, []


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registered data set that gives its rows one by one."""
    module = SimpleNamespace(Settings=Settings, list_sources=list_sources, fetch=fetch)
    monkeypatch.setattr(registry, "load", lambda kind, name: module)


def build(names: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "results/sources.tsv"
    acquire.build_sources(
        kind="lists",
        settings={"names": names},
        n_shards=4,
        data_dir=str(tmp_path),
        seed=0,
        sources_path=str(path),
    )
    return path


@pytest.mark.usefixtures("lists")
def test_sources_that_come_one_by_one_are_sorted_and_each_shard_finds_its_own(tmp_path: Path) -> None:
    names = [f"n{number:03d}" for number in range(200)]
    shuffled = random.Random(0).sample(names, len(names))
    path = build(shuffled, tmp_path)
    assert [row.recording_id for row in read_rows(path, Source)] == names
    assert [entry.name for entry in path.parent.iterdir()] == ["sources.tsv"]
    found = []
    for shard in ("000", "001", "002", "003"):
        acquire.download_media(
            sources_path=str(path),
            shard=shard,
            kind="lists",
            settings={"names": names},
            data_dir=str(tmp_path),
            seed=0,
            media_path=str(tmp_path / f"{shard}.tsv"),
            events_path=str(tmp_path / f"{shard}.events.tsv"),
        )
        rows = read_rows(tmp_path / f"{shard}.tsv", Medium)
        assert {row.shard for row in rows} == {shard}
        found += [row.recording_id for row in rows]
    assert sorted(found) == names


@pytest.mark.usefixtures("lists")
def test_an_id_that_comes_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(FoleyError, match="data set lists: b is listed 3 times"):
        build(["b", "a", "b", "c", "b"], tmp_path)
    assert not (tmp_path / "results/sources.tsv").exists()


@pytest.mark.parametrize("n_in_memory", [1, 3, 7, 50])
def test_sorting_with_little_memory_gives_the_same_order(tmp_path: Path, n_in_memory: int) -> None:
    names = random.Random(1).choices([f"n{number}" for number in range(12)], k=21)
    rows = [source(name).model_copy(update={"group": str(index)}) for index, name in enumerate(names)]
    folder = tmp_path / "sorting"
    ordered = sorted_rows(
        iter(rows), Source, lambda row: row.recording_id, folder=folder, n_in_memory=n_in_memory
    )
    assert list(ordered) == sorted(rows, key=lambda row: row.recording_id)
    assert not folder.exists()


def test_rows_of_a_shard_are_picked_and_checked_others_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "sources.tsv"
    rows = [source(f"n{number}") for number in range(20)]
    write_rows(path, Source, rows)
    picked = list(iterate_rows(path, Source, where={"shard": "002"}))
    assert picked == [row for row in rows if row.shard == "002"]
    path.write_text(path.read_text(encoding="utf-8") + "half\ta row\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="row 22 has 2 values"):
        list(iterate_rows(path, Source, where={"shard": "002"}))
