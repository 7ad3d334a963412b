"""What checking found in a file, and how it is kept: for people, for pages, for the next run."""

import base64
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from foley.datasets.fingerprints import PicturePrint, SoundPrint
from foley.errors import StoreError
from foley.media.ffmpeg import MediaFacts
from foley.media.reasons import OK, Reason
from foley.store.files import atomic_path, storing
from foley.store.shards import atomic_hdf5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finding:
    """Something odd about a file.

    Parameters
    ----------
    code : Reason
    detail : str
        Half a sentence with the measured numbers.
    fatal : bool
        True when the file cannot be used because of it; else it is a remark.
    """

    code: Reason
    detail: str
    fatal: bool = True


@dataclass(frozen=True)
class Judgement:
    """All that one pass over a file gave.

    Parameters
    ----------
    findings : tuple of Finding
        Fatal ones first.
    facts : MediaFacts or None
        What is in it; None when it cannot be opened.
    measured : mapping of str to float
        Peak, shares of clipped sound and black pictures, and the like; units in the names.
    strip : bytes
        JPEG with three pictures side by side; empty without picture.
    picture_print : ndarray of uint64, shape (n_words,)
    sound_print : ndarray of uint16, shape (n_words,)
        See :mod:`foley.datasets.fingerprints`.
    """

    findings: tuple[Finding, ...] = ()
    facts: MediaFacts | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    strip: bytes = b""
    picture_print: PicturePrint = field(default_factory=lambda: np.zeros(0, np.uint64))
    sound_print: SoundPrint = field(default_factory=lambda: np.zeros(0, np.uint16))

    @property
    def failure(self) -> Finding | None:
        """Why the file cannot be used; None when it can."""
        return next((finding for finding in self.findings if finding.fatal), None)

    @property
    def remarks(self) -> str:
        """Everything that is odd without being fatal, in one line."""
        return "; ".join(f"{item.code}: {item.detail}" for item in self.findings if not item.fatal)

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON-like values; arrays and bytes as text."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "facts": None if self.facts is None else asdict(self.facts),
            "measured": dict(self.measured),
            "strip": _text(self.strip),
            "picture_print": _text(self.picture_print.astype("<u8").tobytes()),
            "sound_print": _text(self.sound_print.astype("<u2").tobytes()),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Undo :meth:`to_json`; KeyError, TypeError or ValueError for anything else."""
        return cls(
            findings=tuple(
                Finding(Reason(item["code"]), str(item["detail"]), bool(item["fatal"]))
                for item in value["findings"]
            ),
            facts=None if value["facts"] is None else MediaFacts(**value["facts"]),
            measured=dict(value["measured"]),
            strip=base64.b64decode(value["strip"], validate=True),
            picture_print=np.frombuffer(base64.b64decode(value["picture_print"]), "<u8").astype(np.uint64),
            sound_print=np.frombuffer(base64.b64decode(value["sound_print"]), "<u2").astype(np.uint16),
        )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


class JudgementCache:
    """Judgements of earlier runs, so that no file is decoded twice for the same question.

    One line of JSON a file, appended as soon as a file is judged. A kill can tear the last line:
    lines that cannot be read are passed over. A line counts only under the digest it was written
    with, which covers the settings and the code of checking.

    Parameters
    ----------
    path : Path
        File to read and to append to; it need not exist.
    digest : str
    """

    def __init__(self, path: Path, digest: str) -> None:
        self._path, self._digest = path, digest
        self._where: dict[str, int] = {}  # sha256 to where its line begins: judgements are large
        if path.is_file():
            with path.open("rb") as stream:
                at = 0
                for line in stream:
                    self._remember(line, at)
                    at += len(line)

    def _remember(self, line: bytes, at: int) -> None:
        try:
            value = json.loads(line)
            if value["digest"] == self._digest:
                Judgement.from_json(value["judgement"])
                self._where[str(value["sha256"])] = at
        except (ValueError, KeyError, TypeError):
            logger.debug("%s: passed over a line that cannot be read", self._path)

    def _line(self, sha256: str) -> bytes:
        with self._path.open("rb") as stream:
            stream.seek(self._where[sha256])
            return stream.readline()

    def get(self, sha256: str) -> Judgement | None:
        """The judgement of a file with this content, or None."""
        if sha256 not in self._where:
            return None
        return Judgement.from_json(json.loads(self._line(sha256))["judgement"])

    def add(self, sha256: str, judgement: Judgement) -> None:
        """Keep a judgement, at once."""
        value = {"digest": self._digest, "sha256": sha256, "judgement": judgement.to_json()}
        with storing(self._path):
            self._append(sha256, json.dumps(value).encode() + b"\n")

    def _append(self, sha256: str, line: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab+") as stream:
            at = stream.seek(0, os.SEEK_END)
            if at:
                stream.seek(at - 1)
                if stream.read(1) != b"\n":  # a kill tore the last line
                    at += stream.write(b"\n")
            stream.write(line)
        self._where[sha256] = at

    def keep_only(self, digests: Iterable[str]) -> None:
        """Forget all but the files with these digests, and what other settings had judged."""
        with atomic_path(self._path) as temporary, temporary.open("wb") as stream:
            where = {}
            for sha256 in sorted(set(digests) & self._where.keys()):
                where[sha256] = stream.tell()
                stream.write(self._line(sha256))
        self._where = where


@dataclass(frozen=True)
class CheckedFile:
    """One line of ``checks/<shard>.jsonl``: a file and what was found in it."""

    recording_id: str
    label: str
    path: str
    sha256: str
    status: str
    findings: tuple[Finding, ...]
    facts: Mapping[str, Any] | None
    measured: Mapping[str, float]

    @classmethod
    def of(cls, recording_id: str, label: str, path: str, sha256: str, judgement: Judgement) -> Self:
        """Describe a judged file."""
        failure = judgement.failure
        return cls(
            recording_id=recording_id,
            label=label,
            path=path,
            sha256=sha256,
            status=OK if failure is None else str(failure.code),
            findings=judgement.findings,
            facts=None if judgement.facts is None else asdict(judgement.facts),
            measured=dict(judgement.measured),
        )


def write_details(path: str | Path, files: Iterable[CheckedFile]) -> None:
    """Write one line of JSON a file, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for file in files:
            stream.write(json.dumps(asdict(file), sort_keys=True, ensure_ascii=True) + "\n")


def iterate_details(path: str | Path) -> Iterator[CheckedFile]:
    """Read what :func:`write_details` wrote, a file at a time.

    Raises
    ------
    StoreError
        If the file is missing or a line is not one of ours.
    """
    try:
        with Path(path).open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    value = json.loads(line)
                    findings = tuple(
                        Finding(Reason(item["code"]), item["detail"], item["fatal"])
                        for item in value.pop("findings")
                    )
                    yield CheckedFile(findings=findings, **value)
                except (ValueError, KeyError, TypeError) as error:
                    raise StoreError(f"{path}: line {number} is not a checked file; check again") from error
    except FileNotFoundError as error:
        raise StoreError(f"{path}: is missing; run the rule check_media") from error


_COLUMNS = {"strip": np.uint8, "picture_print": np.uint64, "sound_print": np.uint16}


def write_evidence(path: str | Path, judgements: Mapping[str, Judgement]) -> None:
    """Write picture strips and fingerprints of a shard, atomically and the same bytes each time.

    Each kind is one long array with the place where each recording's part ends: a shard of
    thousands of files is read in milliseconds.

    Parameters
    ----------
    path : path
        HDF5 file to make.
    judgements : mapping of str to Judgement
        By recording id; stored in this order.
    """
    parts: dict[str, list[NDArray[Any]]] = {
        "strip": [np.frombuffer(item.strip, np.uint8) for item in judgements.values()],
        "picture_print": [item.picture_print for item in judgements.values()],
        "sound_print": [item.sound_print for item in judgements.values()],
    }
    with atomic_hdf5(path) as file:
        ids = np.array([name.encode("ascii") for name in judgements], dtype=np.bytes_)
        file.create_dataset("recording_id", data=ids, track_times=False)
        for name, kind in _COLUMNS.items():
            ends = np.cumsum([len(part) for part in parts[name]], dtype=np.int64)
            whole = np.concatenate([np.zeros(0, kind), *parts[name]]).astype(kind)
            file.create_dataset(f"{name}_ends", data=ends, track_times=False)
            file.create_dataset(name, data=whole, track_times=False)


@dataclass(frozen=True)
class Ragged:
    """Arrays of different lengths, end to end.

    Parameters
    ----------
    values : ndarray, shape (n_values,)
    ends : ndarray of int64, shape (n,)
        Where each array ends.
    """

    values: NDArray[Any]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> NDArray[Any]:
        first = int(self.ends[index - 1]) if index else 0
        part: NDArray[Any] = self.values[first : int(self.ends[index])]
        return part

    def at(self, places: NDArray[np.int64], owners: NDArray[np.int64]) -> NDArray[Any]:
        """Values at places among all values; 0 where a place is outside its owner's array."""
        inside = places < self.ends[owners]
        inside &= places >= np.where(owners > 0, self.ends[owners - 1], 0)
        found: NDArray[Any] = np.where(inside, self.values[np.where(inside, places, 0)], 0)
        return found

    def chosen(self, indices: Sequence[int]) -> "Ragged":
        """Some of the arrays, in the order of `indices`."""
        lengths = np.diff(self.ends, prepend=0)[np.asarray(indices, dtype=np.int64)]
        empty = np.zeros(0, self.values.dtype)
        return Ragged(np.concatenate([empty, *(self[index] for index in indices)]), np.cumsum(lengths))

    @classmethod
    def joined(cls, parts: Iterable["Ragged"]) -> "Ragged":
        """Lay several of them end to end."""
        found = list(parts)
        starts = np.cumsum([0, *(len(part.values) for part in found)])
        return cls(
            np.concatenate([part.values for part in found]),
            np.concatenate([part.ends + start for part, start in zip(found, starts, strict=False)]),
        )


def read_evidence(path: str | Path, kind: str) -> tuple[list[str], Ragged]:
    """Read one kind of evidence of a shard.

    Parameters
    ----------
    path : path
    kind : {"strip", "picture_print", "sound_print"}

    Returns
    -------
    recording_ids : list of str
    arrays : Ragged
        One array a recording.

    Raises
    ------
    StoreError
        If the file is missing or is not one of ours.
    """
    try:
        with h5py.File(path, "r") as file:
            ids = [name.decode("ascii") for name in file["recording_id"][:]]
            return ids, Ragged(file[kind][:], file[f"{kind}_ends"][:])
    except (OSError, KeyError) as error:
        raise StoreError(f"{path}: holds no evidence of checking ({error}); check again") from error
