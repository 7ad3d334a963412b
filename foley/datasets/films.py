"""Films on this disk: how they are listed, named and handed on. Every local data set uses it."""

import glob
import hashlib
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from foley.errors import FoleyError
from foley.media.reasons import OK, Reason
from foley.provenance import file_sha256
from foley.store.manifests import Medium, Source, decode_path, encode_path
from foley.store.shards import shard_of

logger = logging.getLogger(__name__)

ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".ts")
"""Endings of the files that count as films."""
_PLACES = ("{name}/videos", "videos/{name}", "{name}")
_WRAPPERS = ("", "*/", "*/*/")


def list_films(folder: Path, endings: Sequence[str] = ENDINGS) -> list[Path]:
    """List the films that lie directly in a folder, in the order of their names.

    Parameters
    ----------
    folder : Path
    endings : sequence of str
        Lower-case endings with their dot.

    Returns
    -------
    list of Path
        Links are listed too, also broken ones: :func:`local_medium` judges them. Half-written files
        of Foley's own (``*.part-*``) and resource forks of macOS (``._*``) are not.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in endings and ".part-" not in path.name and not path.name.startswith("._")
    )


def class_folder(root: Path, names: Iterable[str]) -> Path | None:
    """Find the folder of a class, however deep its archive has put it.

    Looked for are ``<name>/videos``, ``videos/<name>`` and ``<name>``, directly in `root` and up to
    two folders below it; the first that holds a film wins.

    Parameters
    ----------
    root : Path
    names : iterable of str
        What the class's folder may be called.

    Returns
    -------
    Path or None
    """
    names = list(names)
    for wrapper in _WRAPPERS:
        for place in _PLACES:
            for name in names:
                for found in sorted(root.glob(wrapper + place.format(name=glob.escape(name)))):
                    if found.is_dir() and list_films(found):
                        return found
    return None


def local_source(
    path: Path,
    label: str,
    *,
    n_shards: int,
    recording_id: str = "",
    group: str = "",
    split: str = "",
    licence: str = "",
) -> Source:
    """Describe a film of this disk as a row of ``sources.tsv``.

    Parameters
    ----------
    path : Path
        Absolute.
    label : str
        Any text; made safe by :func:`slug`.
    n_shards : int
    recording_id : str
        By default made of label, folder and file name; see :func:`safe_id`.
    group, split, licence : str

    Returns
    -------
    Source
    """
    recording_id = recording_id or safe_id(label, path.parent.name, path.name)
    return Source(
        recording_id=recording_id,
        label=slug(label),
        shard=shard_of(recording_id, n_shards),
        origin="local",
        location=encode_path(path),
        group=group,
        split=split,
        licence=licence,
    )


def local_medium(source: Source, root: Path, *, events_known: bool = False) -> Medium:
    """Find the file of a local source; nothing is copied.

    Parameters
    ----------
    source : Source
    root : Path
        Resolved folder of the data set.
    events_known : bool
        True when the data set says where every event of it is.

    Returns
    -------
    Medium
        ``missing_file`` for a file that is gone, ``unsafe_path`` for one outside `root`.
    """
    path = decode_path(source.location)
    status, detail, sha256 = OK, "", ""
    if not path.is_file():
        status, detail = Reason.MISSING_FILE, "the file is not there"
    elif not path.resolve().is_relative_to(root):
        status, detail = Reason.UNSAFE_PATH, "a link that leads out of the data folder; copy the file into it"
    else:
        sha256 = file_sha256(path)
    return medium_of(source, source.location, status, detail, sha256, events_known=events_known)


def medium_of(
    source: Source, path: str, status: str, detail: str, sha256: str = "", *, events_known: bool = False
) -> Medium:
    """Make the ledger's row of a source."""
    return Medium(
        recording_id=source.recording_id,
        label=source.label,
        shard=source.shard,
        group=source.group,
        split=source.split,
        path=path,
        sha256=sha256,
        status=str(status),
        detail=" ".join(detail.split()),
        events_known=events_known,
    )


def slug(text: str) -> str:
    """Make a label of any text; texts with nothing that a label may hold stay distinct.

    Examples
    --------
    >>> slug("Walk, footsteps")
    'walk_footsteps'
    """
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or f"class_{_digest(text)}"


def safe_id(label: str, folder: str, name: str) -> str:
    """Name a recording so that any file name is safe and no two collide."""
    stem = re.sub(r"[^A-Za-z0-9]+", "_", name.rsplit(".", 1)[0]).strip("_")[:40] or "film"
    return f"{slug(label)}_{stem}_{_digest(f'{folder}/{name}')}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def data_root(path: str, data_dir: Path, name: str) -> Path:
    """Folder of a data set: what the settings say, or its place in the folder of raw media.

    Parameters
    ----------
    path : str
        The setting; relative to where the run starts. Empty takes ``data_dir/name``.
    data_dir : Path
    name : str

    Returns
    -------
    Path
        Resolved; it need not exist.
    """
    return (Path(path).expanduser() if path else data_dir / name).resolve()


def split_by_list(names: Sequence[str], where: str, tests: set[str], trains: set[str]) -> dict[str, str]:
    """Split of every name by two published lists.

    Parameters
    ----------
    names : sequence of str
        What is on the disk.
    where : str
        For the messages.
    tests, trains : set of str
        What the lists name.

    Returns
    -------
    dict of str to str
        Name to ``train`` or ``test``; a name that no list has is left out, with a warning.

    Raises
    ------
    FoleyError
        If both lists name the same recording.
    """
    if both := sorted(tests & trains):
        raise FoleyError(f"{where}: {both[0]!r} is in the training and in the test list; correct one of them")
    found = {name: "test" if name in tests else "train" for name in names if name in tests or name in trains}
    if n_left := len(names) - len(found):
        logger.warning("%s: %d films are in no list and are left out", where, n_left)
    return found
