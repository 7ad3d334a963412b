"""Manifests: tab-separated tables with a checked contract, one header line, UTF-8.

A value never holds a tab or a line break: hostile file names are percent-encoded by
:func:`encode_path` before they enter a table.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foley.errors import ManifestError
from foley.store.files import atomic_path


class Row(BaseModel):
    """A row of a manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(Row):
    """A recording that was asked for (``sources.tsv``)."""

    recording_id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$")
    label: str
    shard: str
    origin: str  # procedural | local | url
    location: str  # encoded local path, address, or generator arguments
    start_s: float | None = None
    end_s: float | None = None
    group: str = ""  # recordings of one group never fall into two splits
    split: str = ""  # published split, where there is one
    licence: str = ""


class Medium(Row):
    """A raw file that was fetched or made, or the reason why not (``media/<shard>.tsv``)."""

    recording_id: str
    label: str
    shard: str
    group: str
    split: str
    path: str  # encoded; relative to data_dir, or absolute for local data sets
    sha256: str
    status: str  # ok or a reason code
    detail: str = ""


class Recording(Row):
    """A checked raw file (``recordings.tsv``)."""

    recording_id: str
    label: str
    shard: str
    group: str
    split: str
    path: str
    sha256: str
    duration_s: float
    fps: float
    variable_frame_rate: bool
    width_px: int
    height_px: int
    sample_rate_hz: int
    n_channels: int
    status: str
    detail: str = ""


class Failure(Row):
    """Something that cannot be used, and why (``failures.tsv``)."""

    recording_id: str
    label: str
    path: str
    stage: str
    reason: str
    detail: str


class Event(Row):
    """Something that sounds at one instant of a recording or a clip (``events.tsv``)."""

    clip_id: str
    time_s: float
    kind: str
    material: str
    source: str  # annotated | generated | detected
    force: float = 1.0


class Clip(Row):
    """A clip cut from a recording (``clips/<shard>.tsv``)."""

    clip_id: str
    recording_id: str
    label: str
    shard: str
    group: str
    split: str
    path: str
    start_s: float
    duration_s: float
    fps: float


class Split(Row):
    """Which split a recording is in, and why (``splits.tsv``)."""

    recording_id: str
    label: str
    split: str  # train | test
    why: str


RowT = TypeVar("RowT", bound=Row)


def encode_path(path: str | Path) -> str:
    """Percent-encode what a table cannot hold (tabs, line breaks, quotes, undecodable bytes)."""
    return quote(str(path).encode("utf-8", "surrogateescape"), safe="/:@!$&()*+,;=~ -._")


def decode_path(text: str) -> Path:
    """Undo :func:`encode_path`."""
    return Path(unquote(text, errors="surrogateescape"))


def write_rows(path: str | Path, kind: type[RowT], rows: Iterable[RowT]) -> None:
    """Write rows atomically; the header is there even when there is no row."""
    names = list(kind.model_fields)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(
            stream, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None
        )
        writer.writerow(names)
        for number, row in enumerate(rows, start=2):
            values = ["" if value is None else str(value) for value in row.model_dump().values()]
            if any(ord(char) < 32 for value in values for char in value):
                raise ManifestError(f"{path}: row {number} holds a control character: {values}")
            writer.writerow(values)


def read_rows(path: str | Path, kind: type[RowT]) -> list[RowT]:
    """Read and check a manifest.

    Raises
    ------
    ManifestError
        If the file is missing, a column is missing or unknown, or a value breaks the contract;
        names file, row and column.
    """
    path = Path(path)
    if not path.is_file():
        raise ManifestError(f"{path}: manifest is missing")
    names = list(kind.model_fields)
    rows: list[RowT] = []
    with path.open(encoding="utf-8", newline="") as stream:
        lines = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        header = next(lines, [])
        if header != names:
            raise ManifestError(f"{path}: columns are {header}, expected {names}")
        for number, values in enumerate(lines, start=2):
            if len(values) != len(names):
                raise ManifestError(f"{path}: row {number} has {len(values)} values, expected {len(names)}")
            rows.append(_checked(path, number, kind, dict(zip(names, values, strict=True))))
    return rows


def _checked(path: Path, number: int, kind: type[RowT], values: Mapping[str, Any]) -> RowT:
    optional = {name for name, field in kind.model_fields.items() if field.default is None}
    cleaned = {key: None if value == "" and key in optional else value for key, value in values.items()}
    try:
        return kind.model_validate(cleaned)
    except ValidationError as error:
        first = error.errors()[0]
        column = ".".join(map(str, first["loc"]))
        raise ManifestError(
            f"{path}: row {number}, column {column}: {first['msg']} (got {first['input']!r})"
        ) from error
