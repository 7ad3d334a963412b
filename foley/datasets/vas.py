"""VAS: the eight classes of REGNET, with its split by the number in the file name or by list."""

import logging
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from foley.datasets.archives import unpack_all
from foley.datasets.films import (
    by_lists,
    data_root,
    list_films,
    local_medium,
    local_source,
    needed_class_folder,
    published_split,
    read_names,
)
from foley.datasets.info import DatasetInfo, NeededFile, missing
from foley.errors import FoleyError
from foley.media.ffmpeg import shown
from foley.store.manifests import Event, Medium, Source

logger = logging.getLogger(__name__)

N_TEST_RELEASED = {
    "dog": 128,
    "fireworks": 128,
    "baby": 128,
    "drum": 128,
    "gun": 64,
    "sneeze": 64,
    "cough": 64,
    "hammer": 64,
}
"""Films of each class that the released code tests on: the last ones by the number in their name."""
N_FILMS = {
    "dog": 2785,
    "fireworks": 3115,
    "baby": 2061,
    "drum": 2606,
    "gun": 866,
    "sneeze": 346,
    "cough": 379,
    "hammer": 383,
}
"""Films of each class, by SpecVQGAN's lists."""
N_TEST_PAPER = 128
_PAGE = "https://github.com/PeihaoChen/regnet"
_ASK = f"{_PAGE} (section Download Datasets)"
_ARCHIVES = ("VAS*", "vas*")
_FILES = NeededFile(
    ("VAS*.zip", "VAS*.tar*", "vas*.zip", "videos/*/*.mp4", "*/videos/*/*.mp4", "*/*/videos/*/*.mp4"),
    "the archive VAS.zip, or its folders videos/<class>/video_00000.mp4",
    _ASK,
)
_LISTS = NeededFile(
    ("*_test.txt", "vas_valid.txt", "filelists/*_test.txt"),
    "published lists (for split: lists): <class>_train.txt and <class>_test.txt, or vas_train.txt and "
    "vas_valid.txt",
    f"{_PAGE} (filelists, dog only) or https://github.com/v-iashin/SpecVQGAN (data)",
    optional=True,
)

INFO = DatasetInfo(
    title="VAS (Visually Aligned Sound)",
    summary="Eight classes of films whose sound belongs to what is seen: four of VEGAS, four of AudioSet.",
    citation="Chen et al., Generating Visually Aligned Sound from Videos, IEEE TIP 2020",
    licence="none stated (the repository has none); the films belong to those who uploaded them to YouTube",
    home_page=_PAGE,
    counts=(
        "12,541 films by SpecVQGAN's lists: train 11,773 (baby 1933, cough 315, dog 2657, drum 2478, "
        "fireworks 2987, gun 802, hammer 319, sneeze 282), test 768; the paper says 1626 a class"
    ),
    split=(
        "REGNET's code: films sorted by the number that ends their name, the last 128 of dog, fireworks, "
        "baby and drum and the last 64 of gun, sneeze, cough and hammer test (split: released); its paper "
        "says 128 for every class (split: paper)"
    ),
    files=(_FILES, _LISTS),
    notes=("No list says which AudioSet film a clip was cut from (regnet#10), so clips cannot be grouped.",),
)


class Settings(BaseModel):
    """Which classes of VAS, and which split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field("", description="folder of the archive or its films; empty takes <data_dir>/vas")
    classes: tuple[str, ...] = Field(
        tuple(N_TEST_RELEASED), min_length=1, description="class folders to take"
    )
    split: Literal["released", "paper", "lists", "seeded"] = Field(
        "released", description="the released code's rule, the paper's, published lists, or by seed"
    )
    lists: str = Field("", description="folder of the published lists below path; empty looks in path")
    most_per_class: int | None = Field(
        None, ge=1, description="take at most this many films of a class and split"
    )


def list_sources(settings: Settings, *, n_shards: int, data_dir: Path, seed: int) -> list[Source]:
    """List the films of every class with their split; an archive is unpacked first.

    What a published list names and the disk has not is listed too, and becomes ``missing_file``.

    Raises
    ------
    FoleyError
        If the films of a class or a list are missing, an archive is refused, or the rule does not
        fit: a name without a number, or a class of no more films than are tested on.
    """
    root = data_root(settings.path, data_dir, "vas")
    unpack_all(root, _ARCHIVES)
    sources = []
    for label in settings.classes:
        folder = needed_class_folder(root, label, (f"videos/{label}/*.mp4", "VAS.zip"), _ASK)
        taken = {"train": 0, "test": 0, "": 0}
        for film, split in _splits(folder, label, settings, root):
            taken[split] += 1
            if settings.most_per_class is None or taken[split] <= settings.most_per_class:
                sources.append(
                    local_source(film, label, n_shards=n_shards, split=split, licence=INFO.licence)
                )
    return sources


def _splits(folder: Path, label: str, settings: Settings, root: Path) -> list[tuple[Path, str]]:
    films = list_films(folder)
    if settings.split == "seeded":
        return [(film, "") for film in films]
    if settings.split == "lists":
        split_of = read_lists(_list_folder(root, settings.lists), label)
        return [(film, split) for _, film, split in by_lists({f.stem: f for f in films}, split_of, folder)]
    n_test = N_TEST_PAPER if settings.split == "paper" else N_TEST_RELEASED.get(label)
    if n_test is None:
        raise FoleyError(f"{label!r} is no class of VAS ({', '.join(N_TEST_RELEASED)}); set split: seeded")
    if len(films) != N_FILMS.get(label):
        logger.warning(
            "%s: holds %d films, the published lists %s: a split by the last ones is not the published one",
            shown(folder),
            len(films),
            N_FILMS.get(label, "none"),
        )
    return split_by_number(films, n_test)


def _list_folder(root: Path, configured: str) -> Path:
    if configured:
        return root / configured
    found = _LISTS.find(root)
    return found.parent if found else root


def split_by_number(films: list[Path], n_test: int) -> list[tuple[Path, str]]:
    """REGNET's rule: sort by the number that ends the name; the last ones test.

    Parameters
    ----------
    films : list of Path
    n_test : int

    Returns
    -------
    list of (Path, str)
        In the order of the numbers.

    Raises
    ------
    FoleyError
        If a name does not end in a number, or nothing would be left to train on.

    Examples
    --------
    >>> films = [Path(f"video_{number:05d}.mp4") for number in (2, 10, 1)]
    >>> [(film.stem, split) for film, split in split_by_number(films, 1)]
    [('video_00001', 'train'), ('video_00002', 'train'), ('video_00010', 'test')]
    """
    ordered = sorted(films, key=lambda film: (_number(film), film.name))
    n_train = len(ordered) - n_test
    if n_train < 1:
        raise FoleyError(
            f"{shown(films[0].parent)}: holds {len(films)} films, and the rule tests on the last {n_test}; "
            "get the whole class, or set split: seeded"
        )
    return [(film, "train" if place < n_train else "test") for place, film in enumerate(ordered)]


def _number(film: Path) -> int:
    found = re.search(r"([0-9]+)$", film.stem)
    if found is None:
        raise FoleyError(
            f"{shown(film)}: its name ends in no number, so REGNET's split cannot be made; remove the file, "
            "or set split: lists or seeded"
        )
    return int(found[1])


def read_lists(folder: Path, label: str) -> dict[str, str]:
    """Read the published lists of a class: one film a line, without its ending.

    REGNET's ``<class>_train.txt`` and ``<class>_test.txt`` hold ``video_00001``; SpecVQGAN's
    ``vas_train.txt`` and ``vas_valid.txt`` hold ``dog/video_00001`` for every class.

    Parameters
    ----------
    folder : Path
    label : str

    Returns
    -------
    dict of str to str
        Film name without ending to ``train`` or ``test``, in the order of the lists.

    Raises
    ------
    FoleyError
        If neither pair is there, a list names no film of the class, a line is no film name, or a
        film is in both lists.
    """
    own = (folder / f"{label}_train.txt", folder / f"{label}_test.txt")
    shared = (folder / "vas_train.txt", folder / "vas_valid.txt")
    use_shared = any(path.is_file() for path in shared) and not any(path.is_file() for path in own)
    pair, prefix = (shared, f"{label}/") if use_shared else (own, "")
    lists = []
    for path in pair:
        if not path.is_file():
            needed = NeededFile((path.name,), f"a published list of the class {label}", _LISTS.where)
            raise missing(folder, needed, "set split: released")
        names = [name.removeprefix(prefix) for name in read_names(path) if name.startswith(prefix)]
        if not names:
            raise FoleyError(f"{shown(path)}: names no film of the class {label}; get the whole list")
        lists.append(names)
    return published_split(lists[0], lists[1], pair[1])


def fetch(
    settings: Settings, sources: list[Source], *, data_dir: Path, seed: int
) -> tuple[list[Medium], list[Event]]:
    """Find the files of one shard; no event is known. See :mod:`foley.datasets` for the contract."""
    root = data_root(settings.path, data_dir, "vas")
    return [local_medium(source, root) for source in sources], []
