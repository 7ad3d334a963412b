"""Unpacking of archives that may be hostile or half there.

An archive is judged whole before a byte of it is written: a member that would leave the folder, a
link or a device, two members of one name, or an archive that swells beyond its limits is refused
with the member's name. Members are then written one by one, each whole or absent, so that a killed
run continues where it stopped.
"""

import logging
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from foley.errors import DiskFullError, FoleyError
from foley.media.ffmpeg import shown
from foley.store.files import free_bytes, locked, read_json, storing, write_json

logger = logging.getLogger(__name__)

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_MARKER = ".unpacked.json"
_PARTIAL = ".unpacking"
_BLOCK_BYTES = 1 << 20
_HARMLESS_BYTES = 100_000_000
"""Below this, no ratio is a bomb: small tables shrink a hundredfold."""
_LONGEST_NAME_BYTES = 255
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, NotImplementedError)


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may grow to.

    Parameters
    ----------
    max_bytes : int
        Of all members together.
    max_files : int
    max_ratio : float
        Unpacked bytes for each byte of the archive; films hardly shrink, so theirs is near 1.
    """

    max_bytes: int = 2_000_000_000_000
    max_files: int = 2_000_000
    max_ratio: float = 100.0


@dataclass(frozen=True)
class _Member:
    name: str
    path: PurePosixPath
    n_bytes: int


def member_path(name: str) -> PurePosixPath:
    r"""Where a member goes, relative to the folder that is unpacked into.

    Parameters
    ----------
    name : str
        Name in the archive; ``\`` counts as ``/``.

    Returns
    -------
    PurePosixPath
        Never absolute, never with ``..``.

    Raises
    ------
    ValueError
        If the name would leave the folder, is empty, is too long for a file system, or is one of
        those that unpacking itself uses.

    Examples
    --------
    >>> member_path("VAS/./videos/dog/video_00001.mp4")
    PurePosixPath('VAS/videos/dog/video_00001.mp4')
    """
    plain = name.replace("\\", "/")
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain):
        raise ValueError("is an absolute path")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if not parts or "\x00" in name:
        raise ValueError("is no file name")
    if ".." in parts:
        raise ValueError("leads out of the folder")
    if parts[0] in (_MARKER, _PARTIAL):
        raise ValueError("is a name that unpacking itself uses")
    if any(len(part.encode("utf-8", "surrogateescape")) > _LONGEST_NAME_BYTES for part in parts):
        raise ValueError("is longer than a file system allows")
    return PurePosixPath(*parts)


def unpack_all(root: Path, patterns: tuple[str, ...], limits: ArchiveLimits = ArchiveLimits()) -> None:
    """Unpack the archives that lie directly in a folder, each into a folder of its own beside it.

    Parameters
    ----------
    root : Path
        Folder of a data set; need not exist.
    patterns : tuple of str
        Glob patterns of names; what does not end like an archive is left alone.
    limits : ArchiveLimits

    Raises
    ------
    FoleyError
        What :func:`unpack` raises.
    """
    if not root.is_dir():
        return
    found = {path for pattern in patterns for path in root.glob(pattern) if path.name.endswith(ENDINGS)}
    for archive in sorted(found):
        ending = max((e for e in ENDINGS if archive.name.endswith(e)), key=len)
        unpack(archive, root / archive.name.removesuffix(ending), limits)


def unpack(archive: Path, folder: Path, limits: ArchiveLimits = ArchiveLimits()) -> int:
    """Unpack a zip or tar archive; what is there already is kept, what is done is not done again.

    Parameters
    ----------
    archive : Path
        Zip, or tar with any compression that Python reads.
    folder : Path
        Where its members go; made if needed. Two processes at once take turns.
    limits : ArchiveLimits

    Returns
    -------
    int
        Number of files of the archive; resource forks of macOS (``._name``) do not count.

    Raises
    ------
    FoleyError
        If the archive is hostile, damaged or locked by a password; names archive, member and cure.
        Nothing of an archive that is refused is written.
    DiskFullError, StoreError
        If it does not fit on the disk, or the folder cannot be written to.
    """
    if not archive.is_file():
        raise FoleyError(f"{shown(archive)}: no such archive; put it there")
    about = archive.stat()
    facts = {"archive": archive.name, "n_bytes": about.st_size, "mtime_ns": about.st_mtime_ns}
    with locked(folder):
        if (folder / _MARKER).is_file():
            done = read_json(folder / _MARKER)
            if {key: done.get(key) for key in facts} == facts:
                return int(done["n_files"])
        with _blamed(archive):
            members = _judged(archive, limits)
            todo = [m for m in members if not _is_there(folder / m.path, m.n_bytes)]
            _check_space(archive, folder, sum(member.n_bytes for member in todo))
            logger.info("%s: %d of %d files to unpack", shown(archive), len(todo), len(members))
            wanted = {member.name: member for member in todo}
            for name, stream in _streams(archive, set(wanted)):
                _write_member(wanted[name], stream, folder, archive)
        os.sync()  # the marker must not survive a loss of power that the files do not
        write_json(folder / _MARKER, {**facts, "n_files": len(members)})
    return len(members)


@contextmanager
def _blamed(archive: Path) -> Iterator[None]:
    """Turn what the readers raise about a damaged archive into an error that says what to do."""
    try:
        yield
    except _DAMAGE as error:
        raise FoleyError(f"{shown(archive)}: is damaged ({error}); fetch it again") from error
    except OSError as error:
        if error.errno is None:  # gzip and bz2 say so of damaged data
            raise FoleyError(f"{shown(archive)}: is damaged ({error}); fetch it again") from error
        raise


def _refused(archive: Path, name: str, why: str) -> FoleyError:
    return FoleyError(
        f"{shown(archive)}: member {name!r} {why}: the archive is refused; fetch it from its authors"
    )


def _judged(archive: Path, limits: ArchiveLimits) -> list[_Member]:
    """List the members that will be written, or refuse the archive."""
    members: list[_Member] = []
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    n_bytes, archive_bytes = 0, archive.stat().st_size
    for name, kind, size in _entries(archive):
        if kind == "odd":
            raise _refused(archive, name, "is neither a file nor a folder (a link or a device)")
        if kind == "locked":
            raise FoleyError(f"{shown(archive)}: is locked by a password; unpack it by hand")
        try:
            path = member_path(name)
        except ValueError as error:
            if kind == "folder" and PurePosixPath(name) == PurePosixPath():
                continue
            raise _refused(archive, name, str(error)) from None
        if kind == "folder":
            folders.update((path, *path.parents))
            continue
        if path in files:
            raise _refused(archive, name, "is there twice")
        files.add(path)
        folders.update(path.parents)
        n_bytes += size
        if len(files) > limits.max_files:
            raise _refused(archive, name, f"is one too many: more than {limits.max_files} files")
        swollen = n_bytes > _HARMLESS_BYTES and n_bytes > limits.max_ratio * archive_bytes
        if size < 0 or n_bytes > limits.max_bytes or swollen:
            raise _refused(
                archive, name, f"makes {n_bytes / 1e9:.1f} GB of an archive of {archive_bytes / 1e9:.3f} GB"
            )
        if not path.name.startswith("._"):
            members.append(_Member(name, path, size))
    if clash := sorted(files & folders):
        raise _refused(archive, str(clash[0]), "is both a file and a folder")
    return members


def _entries(archive: Path) -> Iterator[tuple[str, str, int]]:
    """Name, kind (file, folder, odd, locked) and size in bytes of every member."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                form = stat.S_IFMT(info.external_attr >> 16)
                kind = "folder" if info.is_dir() else "file"
                if form not in (0, stat.S_IFREG, stat.S_IFDIR):
                    kind = "odd"
                elif info.flag_bits & 1:
                    kind = "locked"
                yield info.filename, kind, info.file_size
        return
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            kind = "folder" if member.isdir() else "file" if member.isreg() else "odd"
            yield member.name, kind, member.size


def _streams(archive: Path, names: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Content of the named members, in the order of the archive."""
    if not names:
        return
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if info.filename in names:
                    with packed.open(info) as stream:
                        yield info.filename, stream
        return
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            if member.name in names and (content := tar.extractfile(member)) is not None:
                with content:
                    yield member.name, content


def _is_there(path: Path, n_bytes: int) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size == n_bytes


def _check_space(archive: Path, folder: Path, n_bytes: int) -> None:
    free = free_bytes(folder)
    if n_bytes > free:
        raise DiskFullError(
            f"{shown(archive)}: unpacking needs {n_bytes / 1e9:.1f} GB, and {shown(folder)} has "
            f"{free / 1e9:.1f} GB; free some space and run again"
        )


def _write_member(member: _Member, stream: IO[bytes], folder: Path, archive: Path) -> None:
    """Write one member beside its place and rename it there."""
    target, partial = folder / member.path, folder / _PARTIAL
    with storing(target, partial):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise _refused(archive, member.name, "would be written through a link that leaves the folder")
        partial.unlink(missing_ok=True)  # never write through a link
        try:
            _copy(member, stream, partial, archive)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


def _copy(member: _Member, stream: IO[bytes], path: Path, archive: Path) -> None:
    n_bytes = 0
    with path.open("xb") as out:
        while block := stream.read(_BLOCK_BYTES):
            n_bytes += len(block)
            if n_bytes > member.n_bytes:
                raise _refused(archive, member.name, "holds more than it says")
            out.write(block)
    if n_bytes != member.n_bytes:
        raise FoleyError(f"{shown(archive)}: member {member.name!r} is cut off; fetch the archive again")
