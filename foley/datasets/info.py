"""What a person must know about a data set before using it: source, licence, files, split."""

from dataclasses import dataclass, field
from pathlib import Path

from foley.errors import FoleyError
from foley.media.ffmpeg import shown


@dataclass(frozen=True)
class NeededFile:
    """A file or folder that a data set is made from.

    Parameters
    ----------
    patterns : tuple of str
        Glob patterns below the data set's folder; one match of one of them is enough.
    what : str
        What it holds.
    where : str
        Where it can be had or asked for.
    optional : bool
        True when a data set can do without it, by its settings.
    """

    patterns: tuple[str, ...]
    what: str
    where: str
    optional: bool = False

    def find(self, root: Path) -> Path | None:
        """First match below `root`, in the order of the patterns; None when there is none."""
        if not root.is_dir():
            return None
        return next((path for pattern in self.patterns for path in root.glob(pattern)), None)


@dataclass(frozen=True)
class DatasetInfo:
    """A data set in words; every fact names where it was read.

    Parameters
    ----------
    title, summary : str
    citation : str
        Who to cite.
    licence : str
        Licence of the lists and of the films, as far as it is known.
    home_page : str
        Address; it may be gone.
    counts : str
        Expected counts and where they were read.
    split : str
        Where the split comes from.
    files : tuple of NeededFile
        What a user must have.
    notes : tuple of str
        What else one should know.
    """

    title: str
    summary: str
    citation: str
    licence: str
    home_page: str
    counts: str
    split: str
    files: tuple[NeededFile, ...] = field(default=())
    notes: tuple[str, ...] = ()


def missing(root: Path, needed: NeededFile, cure: str = "") -> FoleyError:
    """Make the error that names what is missing, and where it can be asked for.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    needed : NeededFile
        What was looked for.
    cure : str
        Another way out, for example a setting.

    Returns
    -------
    FoleyError
        To be raised.
    """
    return FoleyError(
        f"{shown(root)}: there is no {' or '.join(needed.patterns)} in it: {needed.what}. Where to ask for "
        f"it: {needed.where}. Put it there, or set datasets.<name>.settings.path to the folder that holds it"
        + (f", or {cure}" if cure else "")
    )
