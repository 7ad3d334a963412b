"""What holds for any grouping, any copies and any published split."""

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from foley.datasets.splits import SplitConfig, assign_splits
from foley.store.manifests import Recording
from tests.unit.test_datasets import recording

QUICK = settings(max_examples=60, deadline=None)

GROUPED = st.lists(
    st.tuples(st.sampled_from(["rain", "fire", "car"]), st.integers(0, 12)), min_size=1, max_size=60
)


@QUICK
@given(GROUPED, st.floats(0.05, 0.9), st.integers(0, 5))
def test_splits_are_whole_groups_stratified_and_stable(
    drawn: list[tuple[str, int]], fraction: float, seed: int
) -> None:
    # Group 0 stands for "no group"; groups are per class here, as those of one recording session.
    rows = [
        recording(f"r{number:03d}", label, group=f"{label}{group}" if group else "")
        for number, (label, group) in enumerate(drawn)
    ]
    config = SplitConfig(test_fraction=fraction)
    splits, leaks = assign_splits(rows, [], config, seed)
    assert leaks == []
    assert splits == assign_splits(rows[::-1], [], config, seed)[0]
    of = {row.recording_id: row.split for row in splits}
    assert sorted(of) == sorted(row.recording_id for row in rows)
    sizes: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        group = row.group or row.recording_id
        sizes[row.label][group] += 1
        assert of[row.recording_id] == next(
            of[other.recording_id] for other in rows if (other.group or other.recording_id) == group
        )
    for label, groups in sizes.items():
        members = [of[row.recording_id] for row in rows if row.label == label]
        if len(groups) > 1:
            assert set(members) == {"train", "test"}
            largest = max(groups.values())
            assert abs(members.count("test") - fraction * len(members)) <= largest
        else:
            assert set(members) == {"train"}


@QUICK
@given(st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=2, max_size=20), st.integers(0, 5))
def test_a_group_over_several_classes_stays_whole(groups: list[str], seed: int) -> None:
    rows = [
        recording(f"r{number:02d}", ("rain", "fire")[number % 2], group=group)
        for number, group in enumerate(groups)
    ]
    of = {row.recording_id: row.split for row in assign_splits(rows, [], SplitConfig(), seed)[0]}
    for group in ("a", "b", "c"):
        assert len({of[row.recording_id] for row in rows if row.group == group}) <= 1


PUBLISHED = st.lists(
    st.tuples(
        st.sampled_from(["rain", "fire"]),
        st.sampled_from("abcd") | st.just(""),
        st.sampled_from(["", "train", "test"]),
    ),
    min_size=1,
    max_size=30,
)
COPIES = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=12)


def drawn_rows(drawn: list[tuple[str, str, str]]) -> list[Recording]:
    return [
        recording(f"r{number:02d}", label, group=group, split=split)
        for number, (label, group, split) in enumerate(drawn)
    ]


def linked_sets(rows: list[Recording], near: list[tuple[str, str]]) -> list[set[str]]:
    """What belongs together, by the slowest way there is."""
    sets = [{row.recording_id} for row in rows]
    links = near + [
        (one.recording_id, other.recording_id)
        for one in rows
        for other in rows
        if one.group and one.group == other.group
    ]
    for one, other in links:
        touched = [members for members in sets if one in members or other in members]
        if len(touched) > 1:
            sets = [members for members in sets if members not in touched] + [set().union(*touched)]
    return sets


@QUICK
@given(PUBLISHED, COPIES, st.integers(0, 3))
def test_nothing_that_belongs_together_is_in_two_splits(
    drawn: list[tuple[str, str, str]], copies: list[tuple[int, int]], seed: int
) -> None:
    rows = drawn_rows(drawn)
    names = {row.recording_id for row in rows}
    near = [(f"r{one:02d}", f"r{other:02d}") for one, other in copies]
    near = [pair for pair in near if set(pair) <= names]
    splits, leaks = assign_splits(rows, near, SplitConfig(), seed)
    of = {row.recording_id: row.split for row in splits}
    for members in linked_sets(rows, near):
        assert len({of[name] for name in members if name in of}) <= 1
    published = {row.recording_id: row.split for row in rows if row.split}
    assert all(of.get(name) == "test" for name, split in published.items() if split == "test")
    dropped = names - of.keys()
    assert dropped == {leak.recording_id for leak in leaks}
    assert all(published[name] == "train" for name in dropped)
    assert all(of[leak.like] == "test" for leak in leaks)
    # Reporting names the same ones, and leaves the published lists as they are.
    kept, reported = assign_splits(rows, near, SplitConfig(leakage="report"), seed)
    assert [leak.recording_id for leak in reported] == [leak.recording_id for leak in leaks]
    kept_in = {row.recording_id: row.split for row in kept}
    assert all(kept_in[name] == split for name, split in published.items())


@QUICK
@given(st.integers(20, 80), st.integers(0, 20))
def test_a_few_more_recordings_move_few_of_the_others(n_recordings: int, seed: int) -> None:
    rows = [recording(f"r{number:03d}") for number in range(n_recordings)]
    more = [*rows, recording("new_a"), recording("new_b")]
    before = {row.recording_id: row.split for row in assign_splits(rows, [], SplitConfig(), seed)[0]}
    after = {row.recording_id: row.split for row in assign_splits(more, [], SplitConfig(), seed)[0]}
    assert sum(before[name] != after[name] for name in before) <= 3
