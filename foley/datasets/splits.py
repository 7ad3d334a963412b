"""Which recordings are usable, and which split each belongs to."""

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from foley.errors import FoleyError
from foley.seeds import derive_seed
from foley.store.manifests import Failure, Recording, Split, read_rows, write_rows

logger = logging.getLogger(__name__)


class SplitConfig(BaseModel):
    """How recordings without a published split are divided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test_fraction: float = Field(0.2, gt=0, lt=1, description="share of each class that is tested on")


def collect_recordings(
    *,
    recordings_paths: Sequence[str],
    failures_paths: Sequence[str],
    max_missing_fraction: float,
    recordings_path: str,
    failures_path: str,
) -> None:
    """Gather the shards' tables and refuse a data set that lost too much.

    A recording whose file is the same, to the byte, as one before it (by id) becomes a failure with
    the reason ``duplicate``: the same film in two splits would leak.

    Parameters
    ----------
    recordings_paths, failures_paths : sequence of str
        Tables of the shards.
    max_missing_fraction : float
        Largest share of recordings, in [0, 1], that may be missing; duplicates do not count.
    recordings_path, failures_path : str
        Tables to write, sorted by recording.

    Raises
    ------
    FoleyError
        If too many are missing, or none is left; counts the reasons.
    """
    recordings = [row for path in recordings_paths for row in read_rows(path, Recording)]
    failures = [row for path in failures_paths for row in read_rows(path, Failure)]
    n_missing, n_asked = len(failures), len(failures) + len(recordings)
    kept: list[Recording] = []
    first_with: dict[str, str] = {}
    for row in sorted(recordings, key=lambda row: row.recording_id):
        if row.sha256 in first_with:
            detail = f"the same file as {first_with[row.sha256]}"
            failures.append(_failure(row, "duplicate", detail))
        else:
            first_with[row.sha256] = row.recording_id
            kept.append(row)
    write_rows(failures_path, Failure, sorted(failures, key=lambda row: row.recording_id))
    reasons = ", ".join(
        f"{reason} {count}" for reason, count in Counter(f.reason for f in failures).most_common()
    )
    logger.info("%d of %d recordings are usable; %s", len(kept), n_asked, reasons or "no failure")
    if not kept:
        raise FoleyError(
            f"no recording is usable ({reasons or 'the data set lists none'}); see {failures_path}"
        )
    if n_missing > max_missing_fraction * n_asked:
        raise FoleyError(
            f"{n_missing} of {n_asked} recordings cannot be used ({reasons}), more than max_missing_fraction "
            f"{max_missing_fraction} allows; mend what {failures_path} lists, or raise the limit"
        )
    write_rows(recordings_path, Recording, kept)


def _failure(row: Recording, reason: str, detail: str) -> Failure:
    return Failure(
        recording_id=row.recording_id,
        label=row.label,
        path=row.path,
        stage="collect_recordings",
        reason=reason,
        detail=detail,
    )


def split_dataset(*, recordings_path: str, config: SplitConfig, seed: int, splits_path: str) -> None:
    """Write the split of every recording; see :func:`assign_splits`.

    Parameters
    ----------
    recordings_path : str
        Usable recordings.
    config : SplitConfig
    seed : int
    splits_path : str
        Table to write.
    """
    write_rows(splits_path, Split, assign_splits(read_rows(recordings_path, Recording), config, seed))


def assign_splits(recordings: Sequence[Recording], config: SplitConfig, seed: int) -> list[Split]:
    """Divide recordings into ``train`` and ``test``.

    A published split is kept. The others are divided within each class, whole groups at a time (a
    group is what was recorded together; without one, each recording is its own), in an order that
    depends on the seed and the group's name only: adding recordings moves few of the others, and a
    class with at least two groups has both splits.

    Parameters
    ----------
    recordings : sequence of Recording
    config : SplitConfig
    seed : int

    Returns
    -------
    list of Split
        Sorted by recording.

    Raises
    ------
    FoleyError
        If a published split is neither ``train`` nor ``test``, or puts a group into both.
    """
    chosen: dict[str, tuple[str, str]] = {}
    where: dict[str, str] = {}
    for row in recordings:
        if not row.split:
            continue
        if row.split not in ("train", "test"):
            raise FoleyError(f"{row.recording_id}: published split {row.split!r} is neither train nor test")
        if row.group and where.setdefault(row.group, row.split) != row.split:
            raise FoleyError(
                f"group {row.group!r} is in both published splits, for example {row.recording_id}"
            )
        chosen[row.recording_id] = (row.split, "published")
    open_groups: dict[str, list[Recording]] = defaultdict(list)
    for row in recordings:
        if row.recording_id in chosen:
            continue
        if row.group in where:
            chosen[row.recording_id] = (where[row.group], "its group is published there")
        else:
            open_groups[row.group or row.recording_id].append(row)
    by_label: dict[str, list[str]] = defaultdict(list)
    for group, rows in open_groups.items():
        by_label[Counter(row.label for row in rows).most_common(1)[0][0]].append(group)
    for label, groups in by_label.items():
        ordered = sorted(groups, key=lambda group: (derive_seed(seed, "split", label, group), group))
        for_test = _test_groups({group: len(open_groups[group]) for group in ordered}, config.test_fraction)
        for group in ordered:
            for row in open_groups[group]:
                chosen[row.recording_id] = ("test" if group in for_test else "train", f"seed {seed}")
    return [
        Split(
            recording_id=row.recording_id,
            label=row.label,
            split=chosen[row.recording_id][0],
            why=chosen[row.recording_id][1],
        )
        for row in sorted(recordings, key=lambda row: row.recording_id)
    ]


def _test_groups(sizes: dict[str, int], fraction: float) -> set[str]:
    """Take groups in order while that brings the test split nearer to its share; at least one of two."""
    if len(sizes) < 2:
        return set()
    wanted, taken = fraction * sum(sizes.values()), 0
    found: set[str] = set()
    for group, size in sizes.items():
        if abs(taken + size - wanted) < abs(taken - wanted) and len(found) < len(sizes) - 1:
            found.add(group)
            taken += size
    return found or {min(sizes, key=lambda group: sizes[group])}
