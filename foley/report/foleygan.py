"""Tables I to IV of FoleyGAN (Ghose and Prevost), and whether its sounds follow the picture.

What people judged is not computed: those cells say so. Data sets that are not at hand are named. The
last table is ours: the paper has no objective number of timing.
"""

from pathlib import Path

from foley.report.config import ReportConfig
from foley.report.measured import Measured, Value
from foley.report.tables import (
    NOT_CONFIGURED,
    Cell,
    PaperValue,
    Table,
    check_rows,
    experiment_of,
    read_paper,
    unheard,
)

PAPER_PATH = Path(__file__).with_name("foleygan_paper.tsv")

_SYSTEMS = (
    "Real Data",
    "FoleyGAN",
    "FoleyGAN without visual guidance",
    "AutoFoley (Frame Sequence Network)",
    "AutoFoley (Frame Relation Network)",
    "GANSYNTH (IF-Mel + H)",
    "SpecGAN",
    "WaveGAN",
)
_ACTION_SEEN = "FoleyGAN, discriminator sees the action"
_AS_PREDICTED = "AutoFoley (Frame Sequence Network), contrast 1"
_TIMED = (*_SYSTEMS[:3], _ACTION_SEEN, _SYSTEMS[3], _AS_PREDICTED, *_SYSTEMS[4:])
_EMBEDDED = "Embedded data"

ROWS: dict[str, tuple[str, ...]] = {
    "foleygan_table1": _SYSTEMS,
    "foleygan_table2": ("Real Data", "AFD", "YouTube8M Subset", "AudioSet Subset", _EMBEDDED),
    "foleygan_table3": ("STFT", "CQT", "MS", "MFCC", "LMS"),
    "foleygan_sync": _TIMED,
}
"""For each table what ``report.rows`` may name: rows, or the columns of Table III."""

TABLES = (*ROWS, "foleygan_table4")

_NEEDS = {"AFD": "needs AFD", "YouTube8M Subset": "needs YouTube8M", "AudioSet Subset": "needs AudioSet"}
_CALLED = {"Chopping": "cutting"}
"""The paper renames AutoFoley's class Cutting."""

_QUALITY = {
    "IS": ("inception_score", "", 1.0, ""),
    "FID": ("fid", "", 1.0, ""),
    "NDB": ("ndb", "", 1.0, ""),
    "Average accuracy (%)": ("retrieval", "class_average", 100.0, "%"),
}
"""Columns of Tables I and II: metric, part, factor and unit."""

_TIMING = {
    "Signed onset error (ms)": ("sync", "median_error_ms", 1.0, ""),
    "F1, 25 ms": ("sync", "f1_25ms", 1.0, ""),
    "F1, 50 ms": ("sync", "f1_50ms", 1.0, ""),
    "F1, 100 ms": ("sync", "f1_100ms", 1.0, ""),
    "F1, 50 ms, above other clips": ("sync", "difference", 1.0, ""),
    "Shift response": ("shift", "", 1.0, ""),
    "Onsets that follow (F1)": ("shift", "follows", 1.0, ""),
    "Onsets that stay (F1)": ("shift", "stays", 1.0, ""),
    "Loudness that follows": ("shift", "envelope", 1.0, ""),
}
_CLASSIFIER = (
    "IS and FID on the project's own classifier of recorded sound, NDB on log spectrograms; accuracy is "
    "that classifier's, mean of the classes."
)


def make_tables(measured: Measured, report: ReportConfig) -> list[Table]:
    """Make the paper's four tables, and one of timing.

    Parameters
    ----------
    measured : Measured
        Metrics of all runs.
    report : ReportConfig
        Which experiment stands in which row, and what the paper's classes are here.

    Returns
    -------
    list of Table
        ``foleygan_table1`` to ``foleygan_table4``, ``foleygan_sync``.

    Raises
    ------
    ConfigError
        If ``report.rows`` names a row that a table does not have.
    StoreError
        If a metric lacks a part that its table shows.
    """
    check_rows(report, ROWS)
    paper = read_paper(PAPER_PATH)
    return [
        _systems_table(measured, report, paper["foleygan_table1"]),
        _data_table(measured, report, paper["foleygan_table2"]),
        _encodings_table(measured, report, paper["foleygan_table3"]),
        _listeners_table(paper["foleygan_table4"]),
        _timing_table(measured, report),
    ]


def _value(
    measured: Measured,
    experiment: str | None,
    asked: tuple[str, str, float, str],
    absent: str,
    *,
    no_part: str | None = None,
) -> Value:
    """A number of an experiment; what it was not scored by is said to be left out."""
    metric, part, factor, unit = asked
    if experiment is None:
        return Value(note=absent)
    if not measured.has(experiment, metric):
        return Value(note=f"not scored by {metric}")
    found = measured.get(experiment, metric, part, absent=no_part)
    return found.times(factor, unit) if unit else found


def _quality_cells(
    measured: Measured, experiment: str | None, row: str, printed: dict[str, PaperValue], absent: str
) -> list[Cell]:
    cells = []
    for column, asked in _QUALITY.items():
        theirs = printed.get(column)
        ours = _value(measured, experiment, asked, absent)
        cells.append(Cell(row, column, ours, *((theirs.value, theirs.note) if theirs else ())))
    return cells


def _by_row(paper: list[PaperValue]) -> dict[str, dict[str, PaperValue]]:
    rows: dict[str, dict[str, PaperValue]] = {}
    for one in paper:
        rows.setdefault(one.row, {})[one.column] = one
    return rows


def _systems_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "foleygan_table1"
    cells = []
    for row, printed in _by_row(paper).items():
        experiment = experiment_of(report, name, row)
        cells += _quality_cells(measured, experiment, row, printed, NOT_CONFIGURED)
    return Table(
        name,
        "FoleyGAN Table I: generated samples of sound generating models",
        f"{_CLASSIFIER} Real Data: recorded test clips.",
        tuple(cells),
        "Samples",
    )


def _data_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "foleygan_table2"
    printed = _by_row(paper)
    cells = []
    for row in ROWS[name]:
        experiment = experiment_of(report, name, row)
        absent = _NEEDS.get(row, NOT_CONFIGURED)
        cells += _quality_cells(measured, experiment, row, printed.get(row, {}), absent)
    return Table(
        name,
        "FoleyGAN Table II: FoleyGAN on several data sets",
        f"{_CLASSIFIER} The embedded clips are ours; Real Data are recorded test clips of the first data set "
        "that is at hand.",
        tuple(cells),
        "Data set",
    )


def _encodings_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "foleygan_table3"
    cells = []
    for one in paper:
        experiment = experiment_of(report, name, one.column)
        label = report.names.get(one.row) or _CALLED.get(one.row, one.row.lower())
        part = "class_average" if one.row == "Average" else f"class/{label}"
        asked = ("ndb", part, 50.0, "bins of 50")
        ours = _value(measured, experiment, asked, NOT_CONFIGURED, no_part="no clips of this class")
        cells.append(Cell(one.row, one.column, ours, one.value, one.note))
    return Table(
        name,
        "FoleyGAN Table III: statistically different bins by class and sound encoding (NDB)",
        "Of 50 bins of log spectrograms, those in which generated and recorded clips of the class differ. "
        "Ours is the share of bins, times 50; few clips have fewer bins. Each column is FoleyGAN trained on "
        "another encoding.",
        tuple(cells),
        "Class",
    )


def _listeners_table(paper: list[PaperValue]) -> Table:
    cells = [unheard(one) for one in paper]
    return Table(
        "foleygan_table4",
        "FoleyGAN Table IV: what people said",
        "Points out of 10, mean of 100 people.",
        tuple(cells),
        "Class",
        decimals=1,
    )


def _timing_table(measured: Measured, report: ReportConfig) -> Table:
    name = "foleygan_sync"
    always = {"FoleyGAN", "FoleyGAN without visual guidance"}
    cells = []
    for row in _TIMED:
        experiment = experiment_of(report, name, row)
        if experiment is None and row not in always:
            continue
        for column, asked in {**_TIMING, **_QUALITY}.items():
            cells.append(Cell(row, column, _value(measured, experiment, asked, NOT_CONFIGURED)))
    return Table(
        name,
        "FoleyGAN: do the sounds follow the picture?",
        "Onsets against the true times of events; positive errors are late. Shift response: the picture is "
        "shown 500 ms later and nothing else is changed; F1 of the new onsets against the old ones moved by "
        "as much (follow), minus against the old ones as they were (stay): 1 where all move, -1 where none "
        "does. Loudness: the same of the correlation of loudness curves. The paper has no such number.",
        tuple(cells),
        "Samples",
    )
