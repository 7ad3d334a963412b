"""Any folder of ``class/*.mp4`` as a data set; the files stay where they are."""

import hashlib
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from foley.errors import FoleyError
from foley.media.ffmpeg import shown
from foley.media.reasons import OK, Reason
from foley.provenance import file_sha256
from foley.store.manifests import Event, Medium, Source, decode_path, encode_path
from foley.store.shards import shard_of


class Settings(BaseModel):
    """Which folder, and what in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="folder with one folder a class; relative to where the run starts")
    classes: tuple[str, ...] | dict[str, str] = Field(
        (), description="folders to take, or a mapping from folder to label; empty takes every folder"
    )
    extensions: tuple[str, ...] = Field(
        (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".ts"), description="endings of films"
    )
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

    Parameters
    ----------
    settings : Settings
    n_shards : int
    data_dir, seed
        Not looked at: the files stay where they are, and all are listed.

    Returns
    -------
    list of Source

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
        files = sorted(path for path in place.iterdir() if path.suffix.lower() in settings.extensions)
        if not files:
            raise FoleyError(f"{shown(place)}: holds no file ending in {', '.join(settings.extensions)}")
        for path in files[: settings.most_per_class]:
            recording_id = _safe_id(label, folder, path.name)
            sources.append(
                Source(
                    recording_id=recording_id,
                    label=_slug(label),
                    shard=shard_of(recording_id, n_shards),
                    origin="local",
                    location=encode_path(path),
                    group=_group(settings.group_pattern, path.name),
                    licence=settings.licence,
                )
            )
    return sources


def fetch(
    settings: Settings, sources: list[Source], *, data_dir: Path, seed: int
) -> tuple[list[Medium], list[Event]]:
    """Find the files of one shard; nothing is copied, and no event is known.

    Parameters
    ----------
    settings : Settings
    sources : list of Source
    data_dir, seed
        Not looked at.

    Returns
    -------
    media : list of Medium
        A file that is missing, or a link that leaves the folder, has a reason in place of ``ok``.
    events : list of Event
        Empty.
    """
    root = Path(settings.path).expanduser().resolve()
    return [_medium(source, root) for source in sources], []


def _medium(source: Source, root: Path) -> Medium:
    path = decode_path(source.location)
    status, detail, sha256 = OK, "", ""
    if not path.is_file():
        status, detail = Reason.MISSING_FILE, "the file is no longer there"
    elif not path.resolve().is_relative_to(root):
        status, detail = Reason.UNSAFE_PATH, "a link that leads out of the data folder; copy the file into it"
    else:
        sha256 = file_sha256(path)
    return Medium(
        recording_id=source.recording_id,
        label=source.label,
        shard=source.shard,
        group=source.group,
        split=source.split,
        path=source.location,
        sha256=sha256,
        status=str(status),
        detail=detail,
    )


def _folders(root: Path) -> str:
    return ", ".join(shown(path.name) for path in sorted(root.iterdir()) if path.is_dir()) or "none"


def _slug(text: str) -> str:
    """Make a label of a folder's name; names with nothing that a label may hold stay distinct."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or f"class_{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _safe_id(label: str, folder: str, name: str) -> str:
    """Name a recording so that any file name is safe and no two collide."""
    stem = re.sub(r"[^A-Za-z0-9]+", "_", name.rsplit(".", 1)[0]).strip("_")[:40] or "film"
    return f"{_slug(label)}_{stem}_{_digest(f'{folder}/{name}')}"


def _group(pattern: str, name: str) -> str:
    if not pattern:
        return ""
    found = re.search(pattern, name)
    return encode_path(found.group(0)) if found else ""
