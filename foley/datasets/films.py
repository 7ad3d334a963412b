"""Films on this disk: how they are listed, named and handed on. Every local data set uses it."""

import glob
import hashlib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from foley.datasets.info import NeededFile, missing
from foley.errors import FoleyError
from foley.media.ffmpeg import shown
from foley.media.reasons import OK, Reason
from foley.provenance import file_sha256
from foley.store.manifests import Medium, Source, decode_path, encode_path
from foley.store.shards import shard_of

logger = logging.getLogger(__name__)

ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".ts")
"""Endings of the files that count as films."""
_PLACES = ("{name}/videos", "videos/{name}", "{name}")
_WRAPPERS = ("", "*/", "*/*/", "*/*/*/")


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
        Links are listed too, also broken ones: :func:`local_medium` judges them.
    """
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in endings)


def class_folder(root: Path, names: Iterable[str]) -> Path | None:
    """Find the folder of a class, however deep its archive has put it.

    Looked for are ``<name>/videos``, ``videos/<name>`` and ``<name>``, directly in `root` and up to
    three folders below it; the first that holds a film wins.

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


def needed_class_folder(root: Path, label: str, patterns: tuple[str, ...], where: str) -> Path:
    """Find the folder of a class that a data set cannot do without.

    Parameters
    ----------
    root : Path
    label : str
        What the class's folder is called.
    patterns : tuple of str
        What a user would put below `root`, for the message.
    where : str
        Where it can be asked for.

    Returns
    -------
    Path
        As :func:`class_folder`.

    Raises
    ------
    FoleyError
        If there is none.
    """
    folder = class_folder(root, [label])
    if folder is None:
        needed = NeededFile(patterns, f"films of the class {label}", where)
        raise missing(root, needed, "leave the class out of settings.classes")
    return folder


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


def read_names(path: Path) -> list[str]:
    """Read a list of one name a line; empty lines are left out.

    Raises
    ------
    FoleyError
        If it is not UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FoleyError(f"{shown(path)}: is not UTF-8 text ({error}); fetch the list again") from error
    return [line.strip() for line in lines if line.strip()]


def published_split(train: Iterable[str], test: Iterable[str], where: Path) -> dict[str, str]:
    """Split of every name of two published lists.

    Parameters
    ----------
    train, test : iterable of str
        Names of films without their ending.
    where : Path
        The test list, for the message.

    Returns
    -------
    dict of str to str
        Name to ``train`` or ``test``, in the order of the lists.

    Raises
    ------
    FoleyError
        If a name could leave a folder, or both lists have it.
    """
    split_of = dict.fromkeys(train, "train")
    for name in test:
        if split_of.setdefault(name, "test") != "test":
            raise FoleyError(f"{shown(where)}: {name!r} is in the training list too; correct one of them")
    if odd := [name for name in split_of if "/" in name or not name.isprintable()]:
        raise FoleyError(f"{shown(where)} or its training list: {odd[0]!r} is no film name; correct the line")
    return split_of


def by_lists(
    there: Mapping[str, Path], split_of: Mapping[str, str], folder: Path, ending: str = ".mp4"
) -> list[tuple[str, Path, str]]:
    """Put published lists and the films of a folder together.

    Parameters
    ----------
    there : mapping of str to Path
        Name to film.
    split_of : mapping of str to str
        What the lists say.
    folder : Path
        Where a film should be that is not there.
    ending : str
        How its name would end.

    Returns
    -------
    list of (str, Path, str)
        Name, file and split of everything the lists name, also of what is not there: it becomes
        ``missing_file``. Films in no list are left out, with a warning.
    """
    if n_left := len(there.keys() - split_of.keys()):
        logger.warning("%s: %d films are in no list and are left out", shown(folder), n_left)
    return [(name, there.get(name, folder / (name + ending)), split) for name, split in split_of.items()]
