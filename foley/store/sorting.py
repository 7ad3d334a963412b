"""Sorting more rows than memory holds."""

import heapq
import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from foley.store.manifests import RowT, iterate_rows, write_rows


def sorted_rows(
    rows: Iterable[RowT],
    kind: type[RowT],
    key: Callable[[RowT], str],
    *,
    folder: Path,
    n_in_memory: int = 50_000,
) -> Iterator[RowT]:
    """Sort rows; what does not fit in memory waits in files.

    Parameters
    ----------
    rows : iterable of Row
    kind : type
        What a row is.
    key : callable
        What to sort by.
    folder : Path
        For the files: made, used by nobody else, and removed at the end.
    n_in_memory : int
        Rows that are held in memory at one time.

    Yields
    ------
    Row
        In the order of their keys; equal ones in the order they came.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        remaining = iter(rows)
        chunks: list[Iterable[RowT]] = []
        while batch := sorted(itertools.islice(remaining, n_in_memory), key=key):
            if len(batch) < n_in_memory:
                chunks.append(batch)  # the last one: it fits
                break
            path = folder / f"{len(chunks)}.tsv"
            write_rows(path, kind, batch)
            chunks.append(iterate_rows(path, kind))
        yield from heapq.merge(*chunks, key=key)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
