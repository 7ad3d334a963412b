"""Which recordings are usable, and which split each belongs to."""

import heapq
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from foley.errors import FoleyError
from foley.seeds import derive_seed
from foley.store.manifests import (
    Duplicate,
    Failure,
    Leak,
    Recording,
    Split,
    iterate_rows,
    write_rows,
)

logger = logging.getLogger(__name__)


class SplitConfig(BaseModel):
    """How recordings without a published split are divided, and what leaks are worth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test_fraction: float = Field(0.2, gt=0, lt=1, description="share of each class that is tested on")
    leakage: Literal["report", "drop", "error"] = Field(
        "drop",
        description="a recording published for training that is also tested on, as a copy or by its group: "
        "keep it and report it, drop it from training, or stop",
    )


@dataclass(frozen=True, slots=True)
class _Item:
    """What of a recording decides its split: manifests of millions must fit."""

    recording_id: str
    label: str
    group: str
    published: str


def collect_recordings(
    *,
    recordings_paths: Sequence[str],
    failures_paths: Sequence[str],
    duplicates_path: str,
    max_missing_fraction: float,
    recordings_path: str,
    failures_path: str,
) -> None:
    """Gather the shards' tables and refuse a data set that lost too much.

    A recording whose file is the same, to the byte, as another's becomes a failure with the reason
    ``duplicate``: the same film in two splits would leak.

    Parameters
    ----------
    recordings_paths, failures_paths : sequence of str
        Tables of the shards, each sorted by recording.
    duplicates_path : str
        Copies among them.
    max_missing_fraction : float
        Largest share of recordings, in [0, 1], that may be missing; duplicates do not count.
    recordings_path, failures_path : str
        Tables to write, sorted by recording.

    Raises
    ------
    FoleyError
        If too many are missing, or none is left; counts the reasons.
    """
    like = {
        row.recording_id: row.like for row in iterate_rows(duplicates_path, Duplicate) if row.kind == "exact"
    }
    copies: list[Failure] = []
    n_usable = 0
    for row in _merged(recordings_paths):
        n_usable += 1
        if row.recording_id in like:
            copies.append(_copy(row, like[row.recording_id]))
    counts: Counter[str] = Counter()
    shards = [iterate_rows(path, Failure) for path in failures_paths]
    merged = heapq.merge(*shards, copies, key=lambda row: row.recording_id)
    write_rows(failures_path, Failure, _counted(merged, counts))
    n_missing = counts.total() - len(copies)
    n_asked = n_usable + n_missing
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    logger.info(
        "%d of %d recordings are usable; %s", n_usable - len(copies), n_asked, reasons or "no failure"
    )
    if not n_usable:
        raise FoleyError(
            f"no recording is usable ({reasons or 'the data set lists none'}); see {failures_path}"
        )
    if n_missing > max_missing_fraction * n_asked:
        raise FoleyError(
            f"{n_missing} of {n_asked} recordings cannot be used ({reasons}), more than max_missing_fraction "
            f"{max_missing_fraction} allows; mend what {failures_path} lists, or raise the limit"
        )
    kept = (row for row in _merged(recordings_paths) if row.recording_id not in like)
    write_rows(recordings_path, Recording, kept)


def _merged(paths: Sequence[str]) -> Iterator[Recording]:
    shards = [iterate_rows(path, Recording) for path in paths]
    return heapq.merge(*shards, key=lambda row: row.recording_id)


def _counted(rows: Iterable[Failure], counts: Counter[str]) -> Iterator[Failure]:
    for row in rows:
        counts[row.reason] += 1
        yield row


def _copy(row: Recording, like: str) -> Failure:
    return Failure(
        recording_id=row.recording_id,
        label=row.label,
        path=row.path,
        stage="collect_recordings",
        reason="duplicate",
        detail=f"the same file as {like}",
    )


def split_dataset(
    *,
    recordings_path: str,
    duplicates_path: str,
    config: SplitConfig,
    seed: int,
    splits_path: str,
    leakage_path: str,
) -> None:
    """Write the split of every recording, and what leaks; see :func:`assign_splits`.

    Parameters
    ----------
    recordings_path : str
        Usable recordings.
    duplicates_path : str
        Copies among them.
    config : SplitConfig
    seed : int
    splits_path, leakage_path : str
        Tables to write. A recording that was dropped is in the second only.
    """
    near = [
        (row.recording_id, row.like)
        for row in iterate_rows(duplicates_path, Duplicate)
        if row.kind != "exact"
    ]
    splits, leaks = assign_splits(iterate_rows(recordings_path, Recording), near, config, seed)
    write_rows(splits_path, Split, splits)
    write_rows(leakage_path, Leak, leaks)
    counts = Counter((row.label, row.split) for row in splits)
    for (label, split), count in sorted(counts.items()):
        logger.info("%s: %d in %s", label, count, split)
    if leaks:
        logger.warning("%d recordings of training are also tested on; see %s", len(leaks), Path(leakage_path))


def assign_splits(
    recordings: Iterable[Recording],
    near: Iterable[tuple[str, str]],
    config: SplitConfig,
    seed: int,
) -> tuple[list[Split], list[Leak]]:
    """Divide recordings into ``train`` and ``test``.

    What was recorded together stays together: recordings of one group, near copies, and what is
    linked through them. A published split is kept, and what is linked to it follows it, to ``test``
    where both are. The others are divided within each class, in an order that depends on the seed
    and the name of what belongs together only: adding recordings moves few of the others, and a
    class with at least two such sets has both splits.

    Parameters
    ----------
    recordings : iterable of Recording
    near : iterable of (str, str)
        Recordings that are copies of each other.
    config : SplitConfig
    seed : int

    Returns
    -------
    splits : list of Split
        Sorted by recording.
    leaks : list of Leak
        Recordings published for training that are linked to one published for testing; these are not
        in `splits` where ``config.leakage`` drops them. The test split always stays as published, so
        that scores compare with those of others.

    Raises
    ------
    FoleyError
        If a published split is neither ``train`` nor ``test``, or one leaks and ``config.leakage`` is
        ``error``.
    """
    items = sorted(
        (_Item(row.recording_id, row.label, row.group, row.split) for row in recordings),
        key=lambda item: item.recording_id,
    )
    for item in items:
        if item.published not in ("", "train", "test"):
            raise FoleyError(
                f"{item.recording_id}: published split {item.published!r} is neither train nor test"
            )
    links = list(near)
    sets = _belonging_together(items, links)
    published = {
        name: "test" if any(item.published == "test" for item in members) else "train"
        for name, members in sets.items()
        if any(item.published for item in members)
    }
    leaks = _leaks([sets[name] for name, split in published.items() if split == "test"], links, config)
    dropped = {leak.recording_id for leak in leaks if leak.action == "dropped"}
    drawn = _draw({name: members for name, members in sets.items() if name not in published}, config, seed)
    chosen: dict[str, tuple[str, str]] = {}
    for name, members in sets.items():
        for item in members:
            if item.published:
                chosen[item.recording_id] = (item.published, "published")
            elif name in published:
                chosen[item.recording_id] = (published[name], "its group is published there")
            else:
                chosen[item.recording_id] = ("test" if name in drawn else "train", f"seed {seed}")
    splits = [
        Split(
            recording_id=item.recording_id,
            label=item.label,
            split=chosen[item.recording_id][0],
            why=chosen[item.recording_id][1],
        )
        for item in items
        if item.recording_id not in dropped
    ]
    return splits, leaks


def _belonging_together(items: Sequence[_Item], near: Sequence[tuple[str, str]]) -> dict[str, list[_Item]]:
    """Gather what may not be parted, by a name that few additions change."""
    # Groups and recordings have names of two kinds, so that a group may be called as a recording is.
    keys = {
        item.recording_id: ("g" + item.group) if item.group else ("r" + item.recording_id) for item in items
    }
    links = ((keys[one], keys[other]) for one, other in near if one in keys and other in keys)
    root = joined(keys.values(), links)
    sets: dict[str, list[_Item]] = defaultdict(list)
    for item in items:
        sets[root[keys[item.recording_id]]].append(item)
    return sets


def joined(names: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name the set that each name belongs to when linked names belong together.

    Parameters
    ----------
    names : iterable of str
    links : iterable of (str, str)
        Links to names that are not among `names` do not count.

    Returns
    -------
    dict of str to str
        Each name to the smallest name of its set.

    Examples
    --------
    >>> joined("abcd", [("d", "b"), ("x", "a")])
    {'a': 'a', 'b': 'b', 'c': 'c', 'd': 'b'}
    """
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for one, other in links:
        if one in parent and other in parent:
            low, high = sorted((root(one), root(other)))
            parent[high] = low
    return {name: root(name) for name in parent}


def _leaks(
    tested: Sequence[Sequence[_Item]], near: Sequence[tuple[str, str]], config: SplitConfig
) -> list[Leak]:
    """Find what is published for training in sets of which something is published for testing."""
    copies: dict[str, set[str]] = defaultdict(set)
    for one, other in near:
        copies[one].add(other)
        copies[other].add(one)
    leaks = []
    for members in tested:
        test = {item.recording_id for item in members if item.published == "test"}
        for item in members:
            if item.published == "train":
                direct = copies[item.recording_id] & test
                leaks.append(
                    Leak(
                        recording_id=item.recording_id,
                        label=item.label,
                        like=min(direct or test),
                        kind="copy" if direct else "group",
                        action="dropped" if config.leakage == "drop" else "reported",
                    )
                )
    leaks.sort(key=lambda leak: leak.recording_id)
    if leaks and config.leakage == "error":
        raise FoleyError(
            f"{len(leaks)} recordings are in both published splits, for example {leaks[0].recording_id} "
            f"(train) and {leaks[0].like} (test); correct the list, or set split.leakage to drop or report"
        )
    return leaks


def _draw(sets: dict[str, list[_Item]], config: SplitConfig, seed: int) -> set[str]:
    """Choose the sets that are tested on, class by class; a set is of the class most of it has."""
    by_label: dict[str, list[str]] = defaultdict(list)
    for name, members in sets.items():
        by_label[Counter(item.label for item in members).most_common(1)[0][0]].append(name)
    drawn: set[str] = set()
    for label, names in by_label.items():
        ordered = sorted(names, key=lambda name: (derive_seed(seed, "split", label, name[1:]), name))
        drawn |= _test_sets({name: len(sets[name]) for name in ordered}, config.test_fraction)
    return drawn


def _test_sets(sizes: dict[str, int], fraction: float) -> set[str]:
    """Take sets in order while that brings the test split nearer to its share; at least one of two."""
    if len(sizes) < 2:
        return set()
    wanted, taken = fraction * sum(sizes.values()), 0
    found: set[str] = set()
    for name, size in sizes.items():
        if abs(taken + size - wanted) < abs(taken - wanted) and len(found) < len(sizes) - 1:
            found.add(name)
            taken += size
    return found or {min(sizes, key=lambda name: sizes[name])}
