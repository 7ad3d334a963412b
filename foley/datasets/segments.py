"""Published lists of labelled segments of web films, and the class names they use.

A list of segments is a CSV of AudioSet's form: comment lines that begin with ``#``, then a video id,
a start, an end, and a quoted list of class ids. AudioSet's page says so (research.google.com/
audioset/download.html). Lists hold millions of rows, so they are read one row at a time.
"""

import csv
import difflib
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from foley.errors import FoleyError
from foley.media.ffmpeg import shown
from foley.store.manifests import Source
from foley.store.shards import shard_of

logger = logging.getLogger(__name__)

_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{2,64}")


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a web film, with the ids of the classes that were heard in it.

    Parameters
    ----------
    video_id : str
        YouTube's id: letters, digits, ``-`` and ``_``.
    start_s, end_s : float
        In the film's time; the end is later than the start.
    labels : tuple of str
        Class ids, for example ``/m/0k4j``.
    """

    video_id: str
    start_s: float
    end_s: float
    labels: tuple[str, ...]


def iterate_segments(path: Path) -> Iterator[Segment]:
    """Read a segment CSV row by row, in memory that does not depend on its length.

    Parameters
    ----------
    path : Path

    Yields
    ------
    Segment
        In the order of the file.

    Raises
    ------
    FoleyError
        If a row is not of the published form; names file, line and what is wrong.
    """
    for number, row in _rows(path):
        yield _segment(f"{shown(path)}: line {number}", row)


def _segment(where: str, row: list[str]) -> Segment:
    if len(row) < 4:
        raise FoleyError(
            f"{where}: {len(row)} columns where video id, start, end and labels should be; "
            "fetch the list again"
        )
    video_id = row[0]
    if not is_video_id(video_id):
        raise FoleyError(f"{where}: {video_id!r} is no video id; correct the line")
    try:
        start_s, end_s = float(row[1]), float(row[2])
    except ValueError:
        raise FoleyError(f"{where}: start {row[1]!r} or end {row[2]!r} is no number of seconds") from None
    if not (math.isfinite(end_s) and 0 <= start_s < end_s):
        raise FoleyError(f"{where}: from {start_s} s to {end_s} s is no segment; correct the line")
    labels = tuple(label for cell in row[3:] for part in cell.split(",") if (label := part.strip()))
    if not labels:
        raise FoleyError(f"{where}: no label; correct the line")
    return Segment(video_id, start_s, end_s, labels)


def _rows(path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped cells of every row; comments and empty lines are left out."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            for raw in reader:
                row = [cell.strip() for cell in raw]
                if any(row) and not row[0].startswith("#"):
                    yield reader.line_num, row
        except (csv.Error, UnicodeDecodeError) as error:
            raise FoleyError(
                f"{shown(path)}: near line {reader.line_num}: is not a table of UTF-8 text ({error}); "
                "correct it or fetch it again"
            ) from error


def read_table(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Read a small CSV or TSV with a header line.

    Parameters
    ----------
    path : Path
        Ends in ``.tsv`` for tabs; anything else has commas.
    columns : sequence of str
        Columns that must be there; others are kept too.

    Returns
    -------
    list of (int, dict of str to str)
        Line number and cells by column, stripped.

    Raises
    ------
    FoleyError
        If a column is missing or a line has another number of cells; names file and line.
    """
    rows = _rows(path, "\t" if path.suffix.lower() == ".tsv" else ",")
    _, header = next(rows, (0, []))
    if lacking := [name for name in columns if name not in header]:
        raise FoleyError(
            f"{shown(path)}: its first line has no column {', '.join(lacking)}; there are "
            f"{', '.join(header) or 'none'}"
        )
    found = []
    for number, row in rows:
        if len(row) != len(header):
            raise FoleyError(f"{shown(path)}: line {number}: {len(row)} cells, the header has {len(header)}")
        found.append((number, dict(zip(header, row, strict=True))))
    return found


def is_video_id(text: str) -> bool:
    """Tell whether a text can be a video id, and so be part of an address and a file name."""
    return _VIDEO_ID.fullmatch(text) is not None


def youtube_address(video_id: str) -> str:
    """Address of a YouTube film."""
    return f"https://www.youtube.com/watch?v={video_id}"


@dataclass(frozen=True)
class ClassNames:
    """Class ids and what they are called.

    Parameters
    ----------
    path : Path
        File they were read from, for messages.
    names : dict of str to str
        Id to display name.
    children : dict of str to tuple of str
        Id to the ids directly below it; empty where the file has no hierarchy.
    also : dict of str to str
        Other spelling (a number) to id.
    """

    path: Path
    names: dict[str, str]
    children: dict[str, tuple[str, ...]] = field(default_factory=dict)
    also: dict[str, str] = field(default_factory=dict)

    def ids(self, name: str) -> list[str]:
        """Ids of a class by its id, number or name (in any case).

        Raises
        ------
        FoleyError
            If there is none; names the nearest.
        """
        if name in self.names:
            return [name]
        if name in self.also:
            return [self.also[name]]
        found = [key for key, value in self.names.items() if value.lower() == name.lower()]
        if not found:
            near = difflib.get_close_matches(name, self.names.values(), n=3, cutoff=0.5)
            raise FoleyError(
                f"{shown(self.path)}: no class is called {name!r}"
                + (f"; near it are {', '.join(map(repr, near))}" if near else "")
            )
        return found

    def below(self, key: str) -> set[str]:
        """Ids of a class and of everything below it."""
        found, todo = {key}, [key]
        while todo:
            for child in self.children.get(todo.pop(), ()):
                if child not in found:
                    found.add(child)
                    todo.append(child)
        return found

    def wanted(self, classes: Mapping[str, Sequence[str]], *, with_children: bool) -> dict[str, str]:
        """Label of every class id that a subset takes.

        Parameters
        ----------
        classes : mapping of str to sequence of str
            Label to the names of its classes.
        with_children : bool
            Take what lies below a class too; a class that is named itself keeps its own label.

        Returns
        -------
        dict of str to str
            Id, and other spellings of it, to label.

        Raises
        ------
        FoleyError
            If a name is unknown, or a class would have two labels.
        """
        named = _labelled(
            {label: {key for name in names for key in self.ids(name)} for label, names in classes.items()},
            self,
        )
        if not with_children:
            return self._spelt(named)
        below = _labelled(
            {
                label: {
                    key
                    for top, of in named.items()
                    if of == label
                    for key in self.below(top)
                    if key not in named
                }
                for label in classes
            },
            self,
        )
        return self._spelt({**below, **named})

    def unwanted(self, names: Sequence[str], *, with_children: bool) -> set[str]:
        """Ids, in every spelling, of the classes that rule a segment out."""
        tops = {key for name in names for key in self.ids(name)}
        keys = {key for top in tops for key in self.below(top)} if with_children else tops
        return set(self._spelt(dict.fromkeys(keys, "")))

    def _spelt(self, labels: dict[str, str]) -> dict[str, str]:
        return {**labels, **{other: labels[key] for other, key in self.also.items() if key in labels}}


def _labelled(keys_of: Mapping[str, set[str]], names: ClassNames) -> dict[str, str]:
    found: dict[str, str] = {}
    for label, keys in keys_of.items():
        for key in sorted(keys):
            if found.setdefault(key, label) != label:
                raise FoleyError(
                    f"settings.classes: {names.names[key]!r} would belong to {found[key]!r} and to "
                    f"{label!r}; name it under one of them"
                )
    return found


def read_ontology(path: Path) -> ClassNames:
    """Read AudioSet's ``ontology.json``: a list of classes with ``id``, ``name`` and ``child_ids``.

    Raises
    ------
    FoleyError
        If it is not that.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        names = {str(entry["id"]): str(entry["name"]) for entry in entries}
        children = {str(entry["id"]): tuple(map(str, entry.get("child_ids", ()))) for entry in entries}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise FoleyError(
            f"{shown(path)}: is not AudioSet's ontology ({type(error).__name__}: {error}); fetch it again"
        ) from error
    return ClassNames(path, names, children)


def read_class_labels(path: Path) -> ClassNames:
    """Read AudioSet's ``class_labels_indices.csv``: ``index,mid,display_name``; no hierarchy.

    Raises
    ------
    FoleyError
        If a column is missing.
    """
    names, _ = _names_and_numbers(path, "index", "mid", "display_name")
    return ClassNames(path, names)


def read_vocabulary(path: Path) -> ClassNames:
    """Read YouTube-8M's ``vocabulary.csv``: ``Index``, ``KnowledgeGraphId`` and ``Name`` are used.

    Raises
    ------
    FoleyError
        If a column is missing.
    """
    names, numbers = _names_and_numbers(path, "Index", "KnowledgeGraphId", "Name")
    return ClassNames(path, names, also=numbers)


def _names_and_numbers(path: Path, number: str, key: str, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Id to name, and number to id, of a table with columns of these names."""
    rows = [row for _, row in read_table(path, (number, key, name))]
    return {row[key]: row[name] for row in rows}, {row[number]: row[key] for row in rows}


@dataclass
class Subset:
    """Pick the segments of some classes, and count what was left out and why.

    Parameters
    ----------
    wanted : mapping of str to str
        Class id to label.
    unwanted : set of str
        Class ids that rule a segment out.
    multi_label : str
        What to do with a segment of two wanted labels: ``skip``, or ``first`` in the order of the
        settings.
    order : sequence of str
        Labels in that order.
    most_per_class : int or None
        Take at most this many of a label and split.
    """

    wanted: Mapping[str, str]
    unwanted: set[str]
    multi_label: Literal["skip", "first"]
    order: Sequence[str]
    most_per_class: int | None
    counts: Counter[str] = field(default_factory=Counter)

    def label(self, labels: Sequence[str], split: str) -> str | None:
        """Label of a segment with these class ids; None when it is left out."""
        self.counts["read"] += 1
        found = {self.wanted[key] for key in labels if key in self.wanted}
        if not found:
            return None
        if not self.unwanted.isdisjoint(labels):
            self.counts["with an excluded class"] += 1
            return None
        if len(found) > 1 and self.multi_label == "skip":
            self.counts["with two wanted labels"] += 1
            return None
        label = min(found, key=self.order.index)
        if self.most_per_class is not None and self.counts[f"{label} {split}"] >= self.most_per_class:
            self.counts["beyond most_per_class"] += 1
            return None
        self.counts[f"{label} {split}"] += 1
        return label

    def summary(self) -> str:
        """What was taken and what was left out, in one line."""
        return ", ".join(f"{count} {what}" for what, count in self.counts.items())


def web_source(
    label: str,
    film: str,
    start_s: float | None,
    end_s: float | None,
    *,
    address: str,
    n_shards: int,
    group: str = "",
    split: str,
    licence: str,
) -> Source:
    """Describe a part of a web film as a row of ``sources.tsv``.

    Parameters
    ----------
    label : str
        Already safe.
    film : str
        Names the recording, for example YouTube's id.
    start_s, end_s : float or None
        The part of it; None begins at its start and ends at its end.
    address : str
        Where to fetch it.
    n_shards : int
    group : str
        By default the film: two parts of it never fall into two splits.
    split, licence : str

    Returns
    -------
    Source
    """
    part = "" if start_s is None and end_s is None else f"_{round(1000 * (start_s or 0.0))}"
    recording_id = f"{label}_{film}{part}"
    return Source(
        recording_id=recording_id,
        label=label,
        shard=shard_of(recording_id, n_shards),
        origin="url",
        location=address,
        start_s=start_s,
        end_s=end_s,
        group=group or film,
        split=split,
        licence=licence,
    )
