"""Manifests: tab-separated tables with a checked contract, one header line, UTF-8.

A value never holds a tab or a line break: hostile file names are percent-encoded by
:func:`encode_path` before they enter a table.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar
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
    events_known: bool = False  # the data set says where every event is; otherwise they are detected


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
    events_known: bool = False


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
    reaction: str = ""  # what the thing that was hit did, where it was annotated


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
    period_s: float | None = None  # the recording is played from its start again after so many seconds


class Split(Row):
    """Which split a recording is in, and why (``splits.tsv``)."""

    recording_id: str
    label: str
    split: str  # train | test
    why: str


class Duplicate(Row):
    """A recording that is a copy of another (``duplicates.tsv``)."""

    recording_id: str
    like: str  # the other one
    kind: str  # exact: to the byte; near: encoded anew, scaled, trimmed; sound: under another picture
    similarity: float  # share of the sound's fingerprint that agrees


class Leak(Row):
    """A recording published for training that is also in the published test split (``leakage.tsv``)."""

    recording_id: str
    label: str
    like: str  # recording of the test split
    kind: str  # copy: of that one; group: of the same group, or a copy of such a one
    action: str  # dropped | reported


RowT = TypeVar("RowT", bound=Row)

_CONTROL = re.compile(r"[\x00-\x1f]")


def encode_path(path: str | Path) -> str:
    """Percent-encode what a table cannot hold (tabs, line breaks, quotes, undecodable bytes)."""
    return quote(str(path).encode("utf-8", "surrogateescape"), safe="/:@!$&()*+,;=~ -._")


def decode_path(text: str) -> Path:
    """Undo :func:`encode_path`."""
    return Path(unquote(text, errors="surrogateescape"))


def write_rows(path: str | Path, kind: type[RowT], rows: Iterable[RowT]) -> None:
    """Write rows atomically, one at a time; the header is there even when there is no row.

    Raises
    ------
    ManifestError
        If a value holds a tab, a line break or another control character.
    """
    names = list(kind.model_fields)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("\t".join(names) + "\n")
        for number, row in enumerate(rows, start=2):
            values = ["" if (value := getattr(row, name)) is None else str(value) for name in names]
            if any(map(_CONTROL.search, values)):
                raise ManifestError(f"{path}: row {number} holds a control character: {values}")
            stream.write("\t".join(values) + "\n")


def read_rows(path: str | Path, kind: type[RowT]) -> list[RowT]:
    """Read and check a whole manifest; see :func:`iterate_rows`, which needs less memory."""
    return list(iterate_rows(path, kind))


def iterate_rows(path: str | Path, kind: type[RowT], *, where: Mapping[str, str] = {}) -> Iterator[RowT]:
    """Read and check a manifest row by row, in memory that does not depend on its length.

    Parameters
    ----------
    path : str or Path
    kind : type
        What a row is.
    where : mapping of str to str
        Column to text: rows that hold another text there are passed over, fast, their values unchecked.

    Yields
    ------
    Row
        Of `kind`, in the order of the file.

    Raises
    ------
    ManifestError
        If the file is missing or is not UTF-8, a column is missing or unknown, or a value breaks the
        contract; names file, row and column.
    """
    path = Path(path)
    if not path.is_file():
        raise ManifestError(f"{path}: manifest is missing")
    names = list(kind.model_fields)
    optional = [field.default is None for field in kind.model_fields.values()]
    wanted = [(names.index(name), text) for name, text in where.items()]
    number = 1
    with path.open(encoding="utf-8", newline="\n") as stream:
        try:
            header = stream.readline().rstrip("\r\n").split("\t")
            if header != names:
                raise ManifestError(f"{path}: columns are {header}, expected {names}")
            for number, line in enumerate(stream, start=2):
                values = line.rstrip("\r\n").split("\t")
                if len(values) != len(names):
                    raise ManifestError(
                        f"{path}: row {number} has {len(values)} values, expected {len(names)}"
                    )
                if any(values[index] != text for index, text in wanted):
                    continue
                if any(map(_CONTROL.search, values)):
                    raise ManifestError(f"{path}: row {number} holds a control character: {values}")
                yield kind.model_validate(
                    {
                        name: None if may_lack and value == "" else value
                        for name, value, may_lack in zip(names, values, optional, strict=True)
                    }
                )
        except UnicodeDecodeError as error:
            raise ManifestError(
                f"{path}: near row {number + 1}: is not UTF-8 text; write it again"
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            column = ".".join(map(str, first["loc"]))
            raise ManifestError(
                f"{path}: row {number}, column {column}: {first['msg']} (got {first['input']!r})"
            ) from error
