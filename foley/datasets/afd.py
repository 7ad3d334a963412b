"""AutoFoley's twelve classes, from your own folders, from a list of web addresses, or from both."""

import hashlib
import math
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from foley.datasets.download import DownloadConfig, fetch_sources
from foley.datasets.films import (
    class_folder,
    data_root,
    list_films,
    local_medium,
    local_source,
    slug,
)
from foley.datasets.info import DatasetInfo, NeededFile, missing
from foley.datasets.segments import read_table, web_source
from foley.errors import FoleyError
from foley.media.ffmpeg import shown
from foley.store.manifests import Event, Medium, Source

CLASSES: dict[str, tuple[str, ...]] = {
    "break": ("break", "breaking"),
    "car": ("car",),
    "clock": ("clock",),
    "cutting": ("cutting", "chopping"),
    "fire": ("fire",),
    "footstep": ("footstep", "footsteps"),
    "gunshot": ("gunshot",),
    "horse": ("horse",),
    "rain": ("rain",),
    "thunder": ("thunder",),
    "typing": ("typing",),
    "waterfall": ("waterfall",),
}
"""Label to what its folder, or its rows in the list, may be called."""
_ASK = "the set was never published: record, collect or list your own"
_FOLDERS = NeededFile(
    tuple(f"{wrapper}{name}/*.mp4" for names in CLASSES.values() for name in names for wrapper in ("", "*/")),
    "one folder a class with films in it",
    _ASK,
    optional=True,
)
_LIST = NeededFile(
    ("films.tsv", "films.csv"),
    "list of addresses: columns url and label, and if you like start_s, end_s, split, group",
    _ASK,
    optional=True,
)

INFO = DatasetInfo(
    title="AFD (Automatic Foley Dataset), your own copy",
    summary="The 12 classes of AutoFoley and FoleyGAN: folders of films, and a list of web addresses.",
    citation=(
        "Ghose and Prevost, AutoFoley, IEEE Transactions on Multimedia 2020; FoleyGAN for the larger version"
    ),
    licence="never published; yours is what you collected",
    home_page="",
    counts="AutoFoley (IV-A): 1000 films of 5 s on average; FoleyGAN (V-A): 27,800 films of 3 s",
    split="none is published; both papers take 80 % to train and 20 % to test: here by seed, or column split",
    files=(_FOLDERS, _LIST),
    notes=("One of the two is needed: folders, or a list; with both, the films of both are taken.",),
)


class Settings(BaseModel):
    """Which classes, where the films are, and how to fetch the listed ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field("", description="folder of the classes and the list; empty takes <data_dir>/afd")
    classes: dict[str, tuple[str, ...]] = Field(
        CLASSES, min_length=1, description="label to names of its folder and in the list; any case"
    )
    films: str = Field(
        "", description="list of addresses below path; empty takes films.tsv or films.csv where there is one"
    )
    licence: str = Field("", description="licence of the films, for the manifest")
    most_per_class: int | None = Field(None, ge=1, description="take at most this many films of a class")
    download: DownloadConfig = Field(DownloadConfig(), description="how to fetch the listed films")


def list_sources(settings: Settings, *, n_shards: int, data_dir: Path, seed: int) -> list[Source]:
    """List the films of the folders, then those of the list.

    Raises
    ------
    FoleyError
        If a class has neither a folder nor a row of the list, or a row is wrong.
    """
    root = data_root(settings.path, data_dir, "afd")
    path = _list_path(settings, root)
    listed = read_list(path, settings, n_shards) if path else []
    sources = []
    for label, names in settings.classes.items():
        folder = class_folder(root, [*names, *(name.capitalize() for name in names)])
        films = list_films(folder) if folder else []
        own = [local_source(film, label, n_shards=n_shards, licence=settings.licence) for film in films]
        own += [source for source in listed if source.label == slug(label)]
        if not own:
            patterns = (f"{names[0]}/*.mp4", *(f"{label} in {name}" for name in _LIST.patterns))
            needed = NeededFile(patterns, f"films of the class {label}", _ASK)
            raise missing(root, needed, "leave the class out of settings.classes")
        sources += own[: settings.most_per_class]
    return sources


def _list_path(settings: Settings, root: Path) -> Path | None:
    if settings.films:
        if not (root / settings.films).is_file():
            raise missing(root, NeededFile((settings.films,), _LIST.what, _ASK))
        return root / settings.films
    return _LIST.find(root)


def read_list(path: Path, settings: Settings, n_shards: int) -> list[Source]:
    """Read a list of web addresses.

    Parameters
    ----------
    path : Path
        ``.tsv`` or ``.csv`` with a header: ``url`` and ``label``; ``start_s``, ``end_s``, ``split``
        (train or test) and ``group`` if they are there. Rows of one address are one group.
    settings : Settings
        Its classes decide which labels there are; rows of other labels are wrong.
    n_shards : int

    Returns
    -------
    list of Source
        In the order of the list.

    Raises
    ------
    FoleyError
        If a column is missing or a cell is wrong; names file, line and cell.
    """
    labels = {name.lower(): slug(label) for label, names in settings.classes.items() for name in names}
    labels |= {label.lower(): slug(label) for label in settings.classes}
    sources = []
    for number, row in read_table(path, ("url", "label")):
        where = f"{shown(path)}: line {number}"
        address, label = row["url"], labels.get(row["label"].lower())
        if label is None:
            raise FoleyError(
                f"{where}: {row['label']!r} is no class of settings.classes ({', '.join(settings.classes)})"
            )
        if not is_web_address(address):
            raise FoleyError(f"{where}: {address!r} is no http or https address; correct it")
        start_s, end_s = (_seconds(row.get(name, ""), f"{where}: {name}") for name in ("start_s", "end_s"))
        if end_s is not None and end_s <= (start_s or 0.0):
            raise FoleyError(f"{where}: ends at {end_s} s, before it begins; correct it")
        if row.get("split", "") not in ("", "train", "test"):
            raise FoleyError(f"{where}: split {row['split']!r} is neither train nor test; correct it")
        film = hashlib.sha256(address.encode()).hexdigest()[:12]
        sources.append(
            web_source(
                label,
                film,
                start_s,
                end_s,
                address=address,
                n_shards=n_shards,
                group=slug(row["group"]) if row.get("group") else "",
                split=row.get("split", ""),
                licence=settings.licence,
            )
        )
    return sources


def is_web_address(text: str) -> bool:
    """Tell whether a text is an http or https address that a table can hold."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable() and " " not in text
    )


def _seconds(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise FoleyError(f"{where}: {text!r} is no number of seconds; correct it")
    return value


def fetch(
    settings: Settings, sources: list[Source], *, data_dir: Path, seed: int
) -> tuple[list[Medium], list[Event]]:
    """Find the local films of one shard and download the listed ones; no event is known.

    Downloads go to ``afd_web/<label>`` in the folder of raw media, apart from your own folders. See
    :mod:`foley.datasets` for the contract.
    """
    root = data_root(settings.path, data_dir, "afd")
    listed = [source for source in sources if source.origin == "url"]
    fetched = iter(
        fetch_sources(listed, settings.download, data_dir=data_dir, folder="afd_web", seed=seed)
        if listed
        else ()
    )
    return [next(fetched) if s.origin == "url" else local_medium(s, root) for s in sources], []
