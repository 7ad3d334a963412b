"""HDF5 shards: one file a shard, one group a clip.

A shard's file attributes say how it was made (config JSON, code digest, producer versions); its
groups hold what was made. A clip that failed upstream is absent, never zeros.
"""

import hashlib
import io
import json
import logging
import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from foley.errors import MediaError, StoreError
from foley.store.files import atomic_path, locked, storing

logger = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]

_ITEM_ID = re.compile(r"[^/\x00-\x1f\x7f\ud800-\udfff]+")
_MOST_ID_BYTES = 200
_ITEM_FILE = re.compile(r"(.+)\.([0-9a-f]{8})\.h5")


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

    Used with ``with``. Items go one file each to a folder ``<name>.partial-<digest>`` beside the
    target, where the digest covers `attributes`; the end of the block gathers them. A new writer with
    the same attributes continues where a killed or failed one stopped (see :meth:`done`); with other
    attributes it starts afresh. A second writer of the same target waits for the first to end.

    Parameters
    ----------
    path : str or Path
        The shard file to make.
    attributes : mapping of str to JSON-like
        How the shard is made: config, code digest, input digests. Stored as file attributes.
    durable : bool
        Wait until the shard is on the disk. For what is deleted as soon as it was used, that takes longer
        than it is worth; after a loss of power it may be damaged, which its reader says.

    Raises
    ------
    DiskFullError, StoreError
        When the block is entered, at a write or at the end, if the system refuses to write there. What
        was written before is kept.
    """

    def __init__(self, path: str | Path, attributes: Mapping[str, Any], *, durable: bool = True) -> None:
        self.path = Path(path)
        self._durable = durable
        self._attributes = {
            key: json.dumps(value, sort_keys=True, default=str) for key, value in attributes.items()
        }
        digest = hashlib.sha256(json.dumps(self._attributes, sort_keys=True).encode()).hexdigest()[:12]
        self._partial = self.path.with_name(f"{self.path.stem}.partial-{digest}")
        self._items: dict[str, Path] = {}
        self._right = ExitStack()

    def __enter__(self) -> Self:
        self._right.enter_context(locked(self.path))
        try:
            self._clear_up()
            with storing(self.path, self._partial):
                self._partial.mkdir(exist_ok=True)
            self._items = dict(filter(None, map(_checked_item, self._partial.iterdir())))
        except BaseException:
            self._right.close()
            raise
        if self._items:
            logger.info("%s: %d items of an earlier run are kept", self.path, len(self._items))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._right:
            if kind is None:
                self._gather()

    def _clear_up(self) -> None:
        """Remove what dead writers left: the right to this target is ours alone."""
        for entry in list(self.path.parent.iterdir()):
            if entry.name.startswith(f"{self.path.stem}.partial-") and entry != self._partial:
                shutil.rmtree(entry)
            elif entry.name.startswith(f"{self.path.stem}.part-") and entry.suffix == self.path.suffix:
                entry.unlink()

    def done(self, item_id: str) -> bool:
        """True when this run, or an earlier one that was killed, finished this item."""
        return item_id in self._items

    def write(self, item_id: str, arrays: Arrays, attributes: Mapping[str, Any] | None = None) -> None:
        """Store one item's arrays and JSON-like attributes; the item is whole or absent.

        Raises
        ------
        StoreError
            If the id cannot name a file and a group: empty, dots only, long, with a slash or a control
            character.
        DiskFullError
            If there is no room.
        """
        is_safe = _ITEM_ID.fullmatch(item_id) and item_id.strip(".")
        if not is_safe or len(item_id.encode()) > _MOST_ID_BYTES:
            raise StoreError(
                f"{self.path}: {item_id!r} cannot name an item; use up to {_MOST_ID_BYTES} bytes without "
                "slashes and control characters"
            )
        image = io.BytesIO()
        with h5py.File(image, "w") as file:
            group = file.create_group(item_id)
            for name in sorted(arrays):
                group.create_dataset(name, data=np.asarray(arrays[name]), track_times=False)
            for key, value in sorted((attributes or {}).items()):
                group.attrs[key] = json.dumps(value, sort_keys=True)
        content = image.getbuffer()
        path = self._partial / f"{item_id}.{zlib.crc32(content):08x}.h5"
        # Not durable, for speed: the sum in its name tells if a loss of power left it half.
        with atomic_path(path, durable=False) as temporary:
            temporary.write_bytes(content)
        if (before := self._items.get(item_id, path)) != path:
            before.unlink()
        self._items[item_id] = path
        logger.info("%s: item %s written", self.path, item_id)

    def _gather(self) -> None:
        """Copy the items, sorted, into the final file and rename it into place."""
        with atomic_hdf5(self.path, durable=self._durable) as final:
            for key, value in sorted(self._attributes.items()):
                final.attrs[key] = value
            for name, path in sorted(self._items.items()):
                with h5py.File(path, "r") as item:
                    item.copy(name, final)
        logger.info("%s: %d items gathered", self.path, len(self._items))
        shutil.rmtree(self._partial)


def write_shard(
    path: str | Path,
    attributes: Mapping[str, Any],
    item_ids: Iterable[str],
    make: Callable[[str], tuple[Arrays, Mapping[str, Any]]],
    *,
    durable: bool = True,
) -> None:
    """Write a shard of what `make` gives for each item; finished items of an earlier run are kept.

    Parameters
    ----------
    path, attributes, durable
        As for :class:`ShardWriter`.
    item_ids : iterable of str
    make : callable
        From an item's id to its arrays and attributes. An item that raises MediaError is left out,
        with a warning in the log; any other error ends the writing.
    """
    with ShardWriter(path, attributes, durable=durable) as shard:
        for item_id in item_ids:
            if shard.done(item_id):
                continue
            try:
                arrays, about = make(item_id)
            except MediaError as error:
                logger.warning("%s left out: %s", item_id, error)
                continue
            shard.write(item_id, arrays, about)


def _checked_item(path: Path) -> tuple[str, Path] | None:
    """Item id of a file that an earlier writer finished; any other file is removed."""
    found = _ITEM_FILE.fullmatch(path.name)
    with path.open("rb") as stream:
        if found and _crc32(stream) == int(found[2], 16):
            return found[1], path
    if found:
        logger.warning("%s: is damaged and is made again", path)
    path.unlink()
    return None


def _crc32(stream: BinaryIO) -> int:
    total = 0
    while part := stream.read(1 << 20):
        total = zlib.crc32(part, total)
    return total


class _Sink(io.FileIO):
    """A file that remembers its first error and swallows what comes after it.

    HDF5 that is told of a full disk prints pages and ends the process with a segmentation fault; it
    must believe that all is well until it has closed the file.
    """

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        n_written = 0
        while self.error is None and n_written < len(view):
            try:
                n_written += super().write(view[n_written:])
            except OSError as error:
                self.error = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


@contextmanager
def atomic_hdf5(target: str | Path, *, durable: bool = True) -> Iterator[h5py.File]:
    """Make an HDF5 file that is whole or absent; see :func:`foley.store.files.atomic_path`.

    Parameters
    ----------
    target : str or Path
    durable : bool
        Survive a loss of power too.

    Yields
    ------
    h5py.File
        To be filled.

    Raises
    ------
    DiskFullError, StoreError
        At the end of the block, where plain HDF5 would end the process.
    """
    with atomic_path(target, durable=durable) as temporary, _Sink(temporary, "w+b") as sink:
        try:
            with h5py.File(sink, "w") as file:
                yield file
        finally:
            if sink.error is not None:
                raise sink.error


class ShardReader:
    """Read a shard; opens the file for each read, so many readers can share it.

    Parameters
    ----------
    path : str or Path
        A finished shard.
    keep_open : bool
        Leave the file open as long as this reader is there: many small reads take half the time.

    Raises
    ------
    StoreError
        If the file is missing or is not HDF5.
    """

    def __init__(self, path: str | Path, *, keep_open: bool = False) -> None:
        self.path = Path(path)
        self._kept = self._opened() if keep_open else None
        with self._open() as file:
            self.items: list[str] = sorted(file)
            self.attributes: dict[str, Any] = {key: json.loads(value) for key, value in file.attrs.items()}
        self._held = frozenset(self.items)

    def _open(self) -> AbstractContextManager[h5py.File]:
        return self._opened() if self._kept is None else nullcontext(self._kept)

    def _opened(self) -> h5py.File:
        try:
            return h5py.File(self.path, "r")
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be read as a shard ({error}); delete it and run again"
            ) from error

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._held

    def read(self, item_id: str, name: str, window: slice = slice(None)) -> NDArray[Any]:
        """Read one array of one item, or a `window` of its first axis."""
        with self._open() as file:
            try:
                return np.asarray(file[item_id][name][window])
            except KeyError as error:
                raise StoreError(f"{self.path}: has no {item_id}/{name}") from error
            except OSError as error:
                raise StoreError(
                    f"{self.path}: {item_id}/{name} is damaged ({error}); delete it and run again"
                ) from error

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
    keep_open : bool
        As for :class:`ShardReader`.
    """

    def __init__(self, paths: list[str] | list[Path], *, keep_open: bool = False) -> None:
        self._where: dict[str, ShardReader] = {}
        for path in paths:
            reader = ShardReader(path, keep_open=keep_open)
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
