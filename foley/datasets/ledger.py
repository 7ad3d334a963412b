"""The ledger of downloads: beside every recording, a small file that says how asking for it ended.

``<label>/<recording_id>.json`` lies beside ``<label>/<recording_id>.<ending>``, whatever the number of
shards, so that a run knows what is there, and what need not be asked for again.
"""

from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foley.errors import StoreError
from foley.media.reasons import OK, Reason
from foley.store.files import read_json, write_json

TRANSIENT = frozenset({Reason.NETWORK, Reason.RATE_LIMIT})
"""Reasons that may be gone by the next run: these recordings are asked for again."""


class Entry(BaseModel):
    """How asking for one recording ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording_id: str
    url: str
    start_s: float | None
    end_s: float | None
    status: str
    """``ok`` or a reason code."""
    detail: str = ""
    file: str = Field("", pattern=r"^[^/]*$")
    """Name of the file beside the ledger."""
    sha256: str = ""
    n_bytes: int = 0
    n_attempts: int
    """Of all runs together."""
    when: str
    """UTC, ISO 8601."""


def ledger_path(place: Path, recording_id: str) -> Path:
    """Path of a recording's ledger in the folder `place` of its label."""
    return place / f"{recording_id}.json"


def read_entry(path: Path) -> Entry | None:
    """Read a ledger; None when there is none, or none that can be read."""
    try:
        return Entry.model_validate(read_json(path))
    except (OSError, StoreError, ValidationError):
        return None


def write_entry(path: Path, entry: Entry) -> None:
    """Write a ledger, atomically."""
    write_json(path, entry.model_dump())


def is_there(entry: Entry, place: Path) -> bool:
    """True when the file that a ledger speaks of is in the folder, with the size it had."""
    path = place / entry.file
    return entry.status == OK and path.is_file() and path.stat().st_size == entry.n_bytes


def is_settled(entry: Entry | None, asked: tuple[str, float | None, float | None], place: Path) -> bool:
    """True when nothing has to be fetched: the recording is there, or cannot be had.

    Parameters
    ----------
    entry : Entry or None
        What the ledger says.
    asked : tuple of str, float or None, float or None
        Address, start and end in seconds that are asked for now; a ledger about another address or
        section does not count.
    place : Path
        Folder of the label.
    """
    if entry is None or (entry.url, entry.start_s, entry.end_s) != asked:
        return False
    return is_there(entry, place) if entry.status == OK else entry.status not in TRANSIENT


def forget(data_dir: Path, label: str, recording_id: str, reasons: Collection[str]) -> int:
    """Remove the ledgers of one recording that failed for one of the reasons.

    Parameters
    ----------
    data_dir : Path
        Folder of raw media; every data set's folder in it is looked at.
    label, recording_id : str
    reasons : collection of str

    Returns
    -------
    int
        How many were removed; 0 when its data set keeps no ledger.
    """
    n_removed = 0
    for place in sorted(data_dir.glob("*/")):
        path = ledger_path(place / label, recording_id)
        entry = read_entry(path)
        if entry is not None and entry.recording_id == recording_id and entry.status in reasons:
            path.unlink()
            n_removed += 1
    return n_removed
