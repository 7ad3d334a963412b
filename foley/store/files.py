"""Atomic writing: a file is either whole or absent, whoever is killed and whatever fills up."""

import errno
import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from foley.errors import DiskFullError, StoreError

logger = logging.getLogger(__name__)

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_ROOM_TEXTS = tuple(os.strerror(number) for number in _NO_ROOM)
"""What libraries say that lose the error's number on the way (safetensors, the ffmpeg program)."""
_FULL_BYTES = 1 << 20
"""Some libraries (PyTorch, libsndfile) do not even say why they failed: so little room explains it."""
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})
_MOST_STEM_BYTES = 100
_TEMPORARY = re.compile(r".*\.part-([0-9a-f]{8})-(\d+)-\d+(?:\.[^.]*)?", re.DOTALL)


@contextmanager
def atomic_path(target: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it onto `target` when the block ends well.

    The temporary name keeps the target's ending, which tools look at, and no other thread on any
    machine has it: of two that write one target at once the later one wins, whole. When the block
    raises, the temporary file is removed and `target` stays as it was.

    Parameters
    ----------
    target : str or Path
        File to make; its folder is made.
    durable : bool
        Wait until the content is on the disk before renaming, so that a loss of power cannot leave an
        empty or half file either.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    DiskFullError
        If there is no room.
    StoreError
        If the system refuses to write there.
    """
    target = Path(target)
    temporary = _temporary_beside(target)
    try:
        with storing(target, temporary):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            if durable:
                with temporary.open("rb") as stream:
                    os.fsync(stream.fileno())
            temporary.replace(target)
    finally:
        with suppress(OSError):  # the error that matters is on its way
            temporary.unlink(missing_ok=True)


def _temporary_beside(target: Path) -> Path:
    stem = os.fsencode(target.stem)
    if len(stem) > _MOST_STEM_BYTES:  # the added part must not make a long name too long
        stem = stem[:_MOST_STEM_BYTES] + hashlib.sha256(stem).hexdigest()[:8].encode()
    # Bytes that are no text are dropped: ffmpeg takes text only.
    text = stem.decode("utf-8", "ignore")
    return target.with_name(f"{text}.part-{_host()}-{os.getpid()}-{threading.get_native_id()}{target.suffix}")


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


@contextmanager
def storing(target: str | Path, *own: Path) -> Iterator[None]:
    """Turn what the system says against writing `target` into an error that a person can act on.

    Parameters
    ----------
    target : str or Path
        File that the block makes.
    own : Path
        Further files that only this block writes. Errors about any other file pass as they are.

    Raises
    ------
    DiskFullError, StoreError
        As :func:`atomic_path`.
    """
    target = Path(target)
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        if _lacks_room(error, target.parent):
            free = free_bytes(target.parent) / 1e6
            raise DiskFullError(
                f"{target.parent.absolute()}: no room to write {target.name} ({free:.1f} MB free); make room "
                "there, then run the same command again: what is finished is kept"
            ) from error
        if isinstance(error, OSError) and _about(error, {target, *target.parents, *own}):
            raise StoreError(
                f"{target}: cannot be written ({error.strerror}); correct the folder's rights or choose "
                "another folder, then run the same command again"
            ) from error
        raise


def _lacks_room(error: BaseException, folder: Path) -> bool:
    link: BaseException | None = error
    while link is not None:
        if getattr(link, "errno", None) in _NO_ROOM or any(text in str(link) for text in _NO_ROOM_TEXTS):
            return True
        link = link.__cause__ or link.__context__
    return free_bytes(folder) < _FULL_BYTES


def _about(error: OSError, paths: set[Path]) -> bool:
    names = (error.filename, error.filename2)
    return any(isinstance(name, str | bytes | Path) and Path(os.fsdecode(name)) in paths for name in names)


def free_bytes(folder: str | Path) -> int:
    """Room on the disk that holds a folder, in bytes; the folder need not be there yet."""
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


@contextmanager
def locked(target: str | Path) -> Iterator[None]:
    """Hold the sole right to write `target`; wait while another process or thread has it.

    The system gives the right back when its holder dies, however it dies. Where the file system knows
    no locks, a warning is logged and nobody is kept out.

    Parameters
    ----------
    target : str or Path
        File or folder; ``.<name>.lock`` stands beside it while the right is held.

    Raises
    ------
    DiskFullError, StoreError
        If the lock file cannot be made.
    """
    target = Path(target)
    path = target.with_name(f".{target.name}.lock")
    with storing(target, path):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _take(path)
    try:
        yield
    finally:
        with suppress(OSError):
            # Removed while it is held: who waits on the old file finds out that it is gone.
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _take(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if not try_lock(descriptor):
            logger.warning("%s is held by another process; waiting until it ends", path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process alone; False when another has it.

    Where the file system knows no locks, a warning is logged and the answer is True.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logger.warning("this file system has no locks: start only one run at a time in this folder")
    return True


def remove_leftovers(folder: str | Path) -> int:
    """Remove the temporary files that dead processes of this machine left under a folder.

    Parameters
    ----------
    folder : str or Path
        Looked through with all it holds; need not be there.

    Returns
    -------
    int
        How many were removed.
    """
    n_removed = 0
    for place, _, names in os.walk(folder):
        for name in names:
            found = _TEMPORARY.fullmatch(name)
            if found and found[1] == _host() and not _lives(int(found[2])):
                with suppress(OSError):
                    Path(place, name).unlink()
                    n_removed += 1
    return n_removed


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as sorted, indented JSON, atomically. NaN is refused."""
    with atomic_path(path) as temporary:
        text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    StoreError
        If the file is damaged.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise StoreError(f"{path}: is damaged ({error}); delete it and run again") from error
