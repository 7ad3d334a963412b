"""One file that stands for all shards of a data set.

A job that needs every shard names one file instead of hundreds: with 256 shards the workflow has
thousands of jobs either way, but a hundred times fewer edges to think about.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import h5py

from foley.errors import ManifestError, StoreError
from foley.store.files import atomic_path
from foley.store.manifests import Row
from foley.store.shards import ShardReader, atomic_hdf5


def join_shards(shard_paths: Sequence[str | Path], index_path: str | Path, *, copies: bool = False) -> None:
    """Write a file through which all items of several shards are read as if they lay in one.

    Parameters
    ----------
    shard_paths : sequence of path
        Finished shards; no item may be in two of them.
    index_path : path
        File to write; :class:`~foley.store.shards.ShardReader` reads it like any shard. Its attribute
        ``shards`` holds the size of each, and the digest of how it was made.
    copies : bool
        Copy the items, so that the file is whole by itself, wherever it goes. Otherwise it holds links:
        the shards must stay where they are, as seen from it.

    Raises
    ------
    StoreError
        If a shard is missing or damaged, or an item is in two of them.
    """
    index_path = Path(index_path)
    places: dict[str, str] = {}
    shards = {}
    for path in map(Path, shard_paths):
        reader = ShardReader(path)
        place = os.path.relpath(path, index_path.parent)
        made = json.dumps(reader.attributes, sort_keys=True).encode()
        shards[place] = {"bytes": path.stat().st_size, "made": hashlib.sha256(made).hexdigest()[:16]}
        for item in reader.items:
            if item in places:
                raise StoreError(f"{item} is in two shards: {places[item]} and {place}")
            places[item] = place
    with atomic_hdf5(index_path) as index:
        index.attrs["shards"] = json.dumps(shards, sort_keys=True)
        if copies:
            for place in shards:
                with h5py.File(index_path.parent / place, "r") as shard:
                    for item in shard:
                        shard.copy(item, index)
        else:
            for item, place in sorted(places.items()):
                index[item] = h5py.ExternalLink(place, f"/{item}")


def join_tables(paths: Sequence[str | Path], kind: type[Row], table_path: str | Path) -> None:
    """Write the rows of several tables into one, in the order of the tables.

    Parameters
    ----------
    paths : sequence of path
        Manifests of one kind.
    kind : type
        What a row is; only the header is checked, whoever reads the table checks its rows.
    table_path : path
        Table to write.

    Raises
    ------
    ManifestError
        If a table is missing or has other columns.
    """
    header = "\t".join(kind.model_fields) + "\n"
    with atomic_path(table_path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as table:
        table.write(header)
        for path in map(Path, paths):
            if not path.is_file():
                raise ManifestError(f"{path}: manifest is missing")
            with path.open(encoding="utf-8", newline="\n") as stream:
                if stream.readline() != header:
                    raise ManifestError(f"{path}: has other columns than {header.rstrip()}")
                table.writelines(stream)
