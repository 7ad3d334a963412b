"""Leaks between published splits, and copies in drawn ones."""

from pathlib import Path

import pytest

from foley.datasets.splits import SplitConfig, assign_splits, split_dataset
from foley.errors import FoleyError
from foley.store.manifests import Duplicate, Leak, Recording, Split, read_rows, write_rows
from tests.unit.test_datasets import recording

ROWS = [
    recording("a", split="train", group="film1"),
    recording("b", split="test", group="film1"),
    recording("c", split="train"),
    recording("d", split="test"),
    recording("e", split="train"),
    recording("f", split="train"),
]
NEAR = [("c", "d"), ("c", "f")]
LEAKS = [("a", "b", "group"), ("c", "d", "copy"), ("f", "d", "group")]


@pytest.mark.parametrize(("leakage", "kept"), [("drop", "bde"), ("report", "abcdef")])
def test_leaks_are_named_and_dropped_from_training_or_kept(leakage: str, kept: str) -> None:
    splits, leaks = assign_splits(ROWS, NEAR, SplitConfig.model_validate({"leakage": leakage}), 0)
    assert [(leak.recording_id, leak.like, leak.kind) for leak in leaks] == LEAKS
    assert {leak.action for leak in leaks} == {"dropped" if leakage == "drop" else "reported"}
    assert "".join(row.recording_id for row in splits) == kept
    assert all(row.why == "published" for row in splits)


def test_a_leak_can_stop_the_run() -> None:
    with pytest.raises(FoleyError, match=r"3 recordings .* a \(train\) and b \(test\)"):
        assign_splits(ROWS, NEAR, SplitConfig(leakage="error"), 0)


def test_copies_follow_each_other_into_one_split() -> None:
    rows = [recording(f"r{number:02d}") for number in range(40)]
    near = [(f"r{number:02d}", f"r{number + 20:02d}") for number in range(20)]
    of = {row.recording_id: row.split for row in assign_splits(rows, near, SplitConfig(), 0)[0]}
    assert all(of[one] == of[other] for one, other in near)
    assert sum(split == "test" for split in of.values()) == 8


def test_a_group_named_like_a_recording_is_not_that_recording() -> None:
    rows = [recording("a", split="test"), recording("b", split="train", group="a")]
    splits, leaks = assign_splits(rows, [], SplitConfig(), 0)
    assert leaks == []
    assert [row.split for row in splits] == ["test", "train"]


def test_the_tables_are_written(tmp_path: Path) -> None:
    write_rows(tmp_path / "recordings.tsv", Recording, ROWS)
    kinds = ("near", "sound")
    rows = [
        Duplicate(recording_id=one, like=other, kind=kind, similarity=0.9)
        for (one, other), kind in zip(NEAR, kinds, strict=True)
    ]
    write_rows(tmp_path / "duplicates.tsv", Duplicate, rows)
    split_dataset(
        recordings_path=str(tmp_path / "recordings.tsv"),
        duplicates_path=str(tmp_path / "duplicates.tsv"),
        config=SplitConfig(),
        seed=0,
        splits_path=str(tmp_path / "splits.tsv"),
        leakage_path=str(tmp_path / "leakage.tsv"),
    )
    leaks = read_rows(tmp_path / "leakage.tsv", Leak)
    assert [(leak.recording_id, leak.like, leak.kind) for leak in leaks] == LEAKS
    assert [row.recording_id for row in read_rows(tmp_path / "splits.tsv", Split)] == ["b", "d", "e"]
