"""Any folder of ``class/*.mp4`` as a data set; the files stay where they are."""

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from foley.datasets.films import ENDINGS, list_films, local_medium, local_source
from foley.datasets.info import DatasetInfo, NeededFile
from foley.errors import FoleyError
from foley.media.ffmpeg import shown
from foley.store.manifests import Event, Medium, Source, encode_path

INFO = DatasetInfo(
    title="Any folder of films",
    summary="One folder a class, films in it; the files stay where they are.",
    citation="none: cite where the films come from",
    licence="that of the films; `licence` in the settings goes into the manifest",
    home_page="",
    counts="what is in the folder",
    split="by seed, whole groups at a time (`group_pattern`), stratified by class",
    files=(NeededFile(("*/*.*",), "one folder a class with films in it", "your own disk"),),
)


class Settings(BaseModel):
    """Which folder, and what in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="folder with one folder a class; relative to where the run starts")
    classes: tuple[str, ...] | dict[str, str] = Field(
        (), description="folders to take, or a mapping from folder to label; empty takes every folder"
    )
    extensions: tuple[str, ...] = Field(ENDINGS, description="endings of films")
    group_pattern: str = Field(
        "", description="regular expression; what it matches in a file name groups recordings for the split"
    )
    licence: str = Field("", description="licence of the material, for the manifest")
    most_per_class: int | None = Field(None, ge=1, description="take at most this many files of a class")

    @field_validator("group_pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        return value

    def labels(self, root: Path) -> dict[str, str]:
        """Folder name to label; the folders that are there when none is configured."""
        if isinstance(self.classes, dict):
            return dict(self.classes)
        if self.classes:
            return {name: name for name in self.classes}
        return {path.name: path.name for path in sorted(root.iterdir()) if path.is_dir()}


def list_sources(settings: Settings, *, n_shards: int, data_dir: Path, seed: int) -> list[Source]:
    """List the films of every class folder, in the order of their names.

    Raises
    ------
    FoleyError
        If the folder or a class folder is missing, or a class holds no film.
    """
    root = Path(settings.path).expanduser().resolve()
    if not root.is_dir():
        raise FoleyError(f"{shown(root)}: no such folder; correct datasets.<name>.settings.path")
    sources = []
    for folder, label in settings.labels(root).items():
        place = root / folder
        if not place.is_dir() or not place.resolve().is_relative_to(root):
            raise FoleyError(f"{shown(place)}: no such class folder; there are {_folders(root)}")
        films = list_films(place, settings.extensions)
        if not films:
            raise FoleyError(f"{shown(place)}: holds no file ending in {', '.join(settings.extensions)}")
        sources += [
            local_source(
                path,
                label,
                n_shards=n_shards,
                group=_group(settings.group_pattern, path.name),
                licence=settings.licence,
            )
            for path in films[: settings.most_per_class]
        ]
    return sources


def fetch(
    settings: Settings, sources: list[Source], *, data_dir: Path, seed: int
) -> tuple[list[Medium], list[Event]]:
    """Find the files of one shard; no event is known. See :mod:`foley.datasets` for the contract."""
    root = Path(settings.path).expanduser().resolve()
    return [local_medium(source, root) for source in sources], []


def _folders(root: Path) -> str:
    return ", ".join(shown(path.name) for path in sorted(root.iterdir()) if path.is_dir()) or "none"


def _group(pattern: str, name: str) -> str:
    if not pattern:
        return ""
    found = re.search(pattern, name)
    return encode_path(found.group(0)) if found else ""
