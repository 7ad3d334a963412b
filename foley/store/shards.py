"""HDF5 shards: one file a shard, one group a clip.

A shard's file attributes say how it was made (config JSON, code digest, producer versions); its
groups hold what was made. A clip that failed upstream is absent, never zeros.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from foley.errors import StoreError
from foley.store.files import atomic_path

Arrays = Mapping[str, NDArray[Any]]


def shard_of(item_id: str, n_shards: int) -> str:
    """Name of the shard that an item belongs to, by a stable hash of its id.

    Examples
    --------
    >>> shard_of("procedural_break_0007", 8) == shard_of("procedural_break_0007", 8)
    True
    >>> len(shard_of("a", 8))
    3
    """
    number = int.from_bytes(hashlib.sha256(item_id.encode()).digest()[:8], "big")
    return f"{number % n_shards:03d}"


def shard_names(n_shards: int) -> list[str]:
    """All shard names: ``["000", "001", ...]``."""
    return [f"{index:03d}" for index in range(n_shards)]


class ShardWriter:
    """Write a shard item by item, and survive a kill without redoing finished items.

    Items go one file each to a folder ``<name>.partial-<digest>`` beside the target, where the
    digest covers `attributes`; :meth:`close` gathers them. A new writer with the same attributes
    continues where the killed one stopped (see :meth:`done`); with other attributes it starts
    afresh.

    Parameters
    ----------
    path : str or Path
        The shard file to make.
    attributes : mapping of str to JSON-like
        How the shard is made: config, code digest, input digests. Stored as file attributes.
    """

    def __init__(self, path: str | Path, attributes: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self._attributes = {
            key: json.dumps(value, sort_keys=True, default=str) for key, value in attributes.items()
        }
        digest = hashlib.sha256(json.dumps(self._attributes, sort_keys=True).encode()).hexdigest()[:12]
        self._partial = self.path.with_name(f"{self.path.stem}.partial-{digest}")
        for stale in self.path.parent.glob(f"{self.path.stem}.partial-*"):
            if stale != self._partial:
                shutil.rmtree(stale)
        self._partial.mkdir(parents=True, exist_ok=True)

    def _item_path(self, item_id: str) -> Path:
        return self._partial / f"{item_id}.h5"

    def done(self, item_id: str) -> bool:
        """True when this run, or an earlier one that was killed, finished this item."""
        return self._item_path(item_id).exists()

    def write(self, item_id: str, arrays: Arrays, attributes: Mapping[str, Any] | None = None) -> None:
        """Store one item's arrays and JSON-like attributes; the item is whole or absent."""
        with atomic_path(self._item_path(item_id)) as temporary, h5py.File(temporary, "w") as file:
            group = file.create_group(item_id)
            for name in sorted(arrays):
                group.create_dataset(name, data=np.asarray(arrays[name]), track_times=False)
            for key, value in sorted((attributes or {}).items()):
                group.attrs[key] = json.dumps(value, sort_keys=True)

    def close(self) -> None:
        """Gather the items, sorted, into the final file and rename it into place."""
        with atomic_path(self.path) as temporary, h5py.File(temporary, "w") as final:
            for key, value in sorted(self._attributes.items()):
                final.attrs[key] = value
            for item_path in sorted(self._partial.glob("*.h5")):
                if ".part-" in item_path.name:
                    continue  # left by a kill in the middle of this item
                with h5py.File(item_path, "r") as item:
                    for name in item:
                        item.copy(name, final)
        shutil.rmtree(self._partial)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()


class ShardReader:
    """Read a shard; opens the file for each read, so many readers can share it.

    Parameters
    ----------
    path : str or Path
        A finished shard.

    Raises
    ------
    StoreError
        If the file is missing or is not HDF5.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._open() as file:
            self.items: list[str] = sorted(file)
            self.attributes: dict[str, Any] = {key: json.loads(value) for key, value in file.attrs.items()}

    def _open(self) -> h5py.File:
        try:
            return h5py.File(self.path, "r")
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be read as a shard ({error}); delete it and run again"
            ) from error

    def __contains__(self, item_id: str) -> bool:
        return item_id in self.items

    def read(self, item_id: str, name: str, window: slice = slice(None)) -> NDArray[Any]:
        """Read one array of one item, or a `window` of its first axis."""
        with self._open() as file:
            try:
                return np.asarray(file[item_id][name][window])
            except KeyError as error:
                raise StoreError(f"{self.path}: has no {item_id}/{name}") from error

    def item_attributes(self, item_id: str) -> dict[str, Any]:
        """Read the attributes of one item."""
        with self._open() as file:
            if item_id not in file:
                raise StoreError(f"{self.path}: has no {item_id}")
            attrs = file[item_id].attrs
            return {key: json.loads(value) for key, value in attrs.items()}

    def names(self, item_id: str) -> list[str]:
        """Names of an item's arrays."""
        with self._open() as file:
            return sorted(file[item_id])


class ShardSet:
    """Several shards read as one: finds the shard that holds an item.

    Parameters
    ----------
    paths : list of path
        Finished shards; no item may be in two of them.
    """

    def __init__(self, paths: list[str] | list[Path]) -> None:
        self._where: dict[str, ShardReader] = {}
        for path in paths:
            reader = ShardReader(path)
            for item in reader.items:
                if item in self._where:
                    raise StoreError(f"{item} is in two shards: {self._where[item].path} and {path}")
                self._where[item] = reader

    @property
    def items(self) -> list[str]:
        """All item ids, sorted."""
        return sorted(self._where)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self.items)

    def reader(self, item_id: str) -> ShardReader:
        """The shard that holds an item; StoreError when none does."""
        if item_id not in self._where:
            raise StoreError(f"no shard holds {item_id}")
        return self._where[item_id]

    def read(self, item_id: str, name: str, window: slice = slice(None)) -> NDArray[Any]:
        """Read one array of one item."""
        return self.reader(item_id).read(item_id, name, window)

    def item_attributes(self, item_id: str) -> dict[str, Any]:
        """Read the attributes of one item."""
        return self.reader(item_id).item_attributes(item_id)
