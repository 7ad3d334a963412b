"""The page of checking: what was found in a data set's files, what to do about it, how they look."""

import base64
import html
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from foley.datasets.findings import CheckedFile, iterate_details, read_evidence
from foley.media.reasons import OK, cure
from foley.report.markup import page_start, table
from foley.store.files import atomic_path
from foley.store.manifests import Duplicate, iterate_rows

N_SHOWN = 400
"""Files that a page shows; the tables above count all of them."""
_N_COPIES = 200


def write_check_page(
    *,
    details_paths: Sequence[str],
    evidence_paths: Sequence[str],
    duplicates_path: str,
    title: str,
    page_path: str,
    n_shown: int = N_SHOWN,
) -> None:
    """Write one page that needs nothing else: counts, cures, copies, and the odd files with pictures.

    Parameters
    ----------
    details_paths, evidence_paths : sequence of str
        What checking wrote, shard by shard.
    duplicates_path : str
        Which recordings are copies of others.
    title : str
        Name of the data set.
    page_path : str
        Page to write; the same inputs give the same bytes.
    n_shown : int
        Files that are shown: what cannot be used first, then what has remarks, then the others.
    """
    tally = _Tally()
    kept: list[tuple[int, str, CheckedFile]] = []
    for path in details_paths:
        for file in iterate_details(path):
            tally.add(file)
            kept.append((_urgency(file), file.recording_id, file))
        kept = sorted(kept, key=lambda entry: entry[:2])[:n_shown]
    files = [file for _, _, file in kept]
    strips = _strips(evidence_paths, {file.recording_id for file in files})
    parts = [
        page_start(f"Checked: {title}"),
        f"<p>{tally.n_files:,} files, {tally.n_usable:,} can be used ({tally.usable_s / 3600:.1f} h), "
        f"{tally.n_files - tally.n_usable:,} cannot.</p>",
        '<nav><a href="#findings">What was found</a> <a href="#classes">Classes</a> '
        '<a href="#copies">Copies</a> <a href="#files">Files</a></nav>',
        f'<h2 id="findings">What was found</h2>{tally.findings_table()}',
        f'<h2 id="classes">Classes</h2>{tally.classes_table()}',
        f'<h2 id="copies">Copies</h2>{_copies(duplicates_path)}',
        f'<h2 id="files">Files</h2><p>{_shown_text(len(files), tally.n_files)} The worst come first.</p>',
        *(_card(file, strips.get(file.recording_id, b"")) for file in files),
        "</body></html>\n",
    ]
    with atomic_path(page_path) as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")


class _Tally:
    """Counts over all files, none of which is kept."""

    def __init__(self) -> None:
        self.n_files = self.n_usable = 0
        self.usable_s = 0.0
        self._fatal: Counter[str] = Counter()
        self._remarks: Counter[str] = Counter()
        self._classes: dict[str, Counter[str]] = {}

    def add(self, file: CheckedFile) -> None:
        usable = file.status == OK
        codes = {(str(finding.code), finding.fatal) for finding in file.findings}
        of_class = self._classes.setdefault(file.label, Counter())
        self.n_files += 1
        self.n_usable += usable
        of_class["usable" if usable else "left out"] += 1
        if usable and file.facts is not None:
            self.usable_s += file.facts["duration_s"]
            of_class["s"] += round(file.facts["duration_s"])
        if usable and codes:
            of_class["with remarks"] += 1
        if not usable:
            self._fatal[file.status] += 1  # the first reason decides; the others are on the card
        self._remarks.update(code for code, fatal in codes if not fatal)

    def findings_table(self) -> str:
        """One line a code, most frequent first."""
        lines = [
            (code, str(count), kind, cure(code))
            for kind, counts in (("left out", self._fatal), ("remark", self._remarks))
            for code, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
        ]
        return table(("code", "files", "", "what to do"), lines) if lines else "<p>Nothing odd.</p>"

    def classes_table(self) -> str:
        """One line a class."""
        columns = ("usable", "with remarks", "left out")
        lines = [
            (label, *(str(counts[name]) for name in columns), f"{counts['s'] / 60:.1f}")
            for label, counts in sorted(self._classes.items())
        ]
        return table(("class", *columns, "usable minutes"), lines)


def _urgency(file: CheckedFile) -> int:
    if file.status != OK:
        return 0
    return 1 if file.findings else 2


def _strips(evidence_paths: Sequence[str], wanted: set[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in evidence_paths:
        ids, strips = read_evidence(path, "strip")
        found |= {name: strips[index].tobytes() for index, name in enumerate(ids) if name in wanted}
    return found


def _copies(path: str | Path) -> str:
    counts: Counter[str] = Counter()
    lines: list[tuple[str, ...]] = []
    for row in iterate_rows(path, Duplicate):
        counts[row.kind] += 1
        if len(lines) < _N_COPIES:
            lines.append((row.recording_id, row.like, row.kind, f"{row.similarity:.3f}"))
    if not counts:
        return "<p>No file is a copy of another.</p>"
    text = (
        f"<p>{counts['exact']:,} files are equal to another to the byte and are left out. {counts['near']:,} "
        f"pairs are near copies (encoded anew, scaled or trimmed), {counts['sound']:,} pairs have the same "
        "sound under different pictures; no such pair falls into two splits. "
        f"{_shown_text(len(lines), counts.total())}</p>"
    )
    return text + table(("recording", "is like", "copy", "similarity"), lines)


def _shown_text(n_shown: int, n_all: int) -> str:
    if n_shown == n_all:
        return f"All {n_all:,} are shown."
    return f"{n_shown:,} of {n_all:,} are shown; the tables above count all."


def _card(file: CheckedFile, strip: bytes) -> str:
    lines = [
        f"<strong>{html.escape(file.recording_id)}</strong> ({html.escape(file.label)}), "
        f"{html.escape(file.status)}",
        f'<span class="note">{html.escape(file.path)}</span>',
    ]
    if file.facts is not None and file.facts["has_video"]:
        facts = file.facts
        lines.append(
            f"{facts['duration_s']:.2f} s, {facts['width_px']} x {facts['height_px']} pixels, "
            f"{facts['fps']:.2f} pictures a second ({html.escape(facts['video_codec'])}), "
            f"{facts['sample_rate_hz']} Hz {html.escape(facts['channel_layout'])}"
        )
    for finding in file.findings:
        mark = "left out" if finding.fatal else "remark"
        lines.append(
            f"{mark}: {html.escape(str(finding.code))}, {html.escape(finding.detail)}; "
            f"{html.escape(cure(finding.code))}"
        )
    picture = ""
    if strip:
        data = base64.b64encode(strip).decode("ascii")
        picture = f'<img alt="beginning, middle and end" src="data:image/jpeg;base64,{data}"><br>'
    return f'<section id="{html.escape(file.recording_id)}">{picture}{"<br>".join(lines)}</section>'
