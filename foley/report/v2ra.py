"""Tables 5 to 9 of V2RA-GAN (Liu, Li and Cheng), and two numbers of its text.

What people judged, and what needs films or recordings that are not to be had, says so.
"""

from collections.abc import Sequence
from pathlib import Path

from foley.report.config import ReportConfig
from foley.report.measured import Measured, Value
from foley.report.tables import (
    Cell,
    PaperValue,
    Table,
    check_rows,
    experiment_of,
    look_up,
    read_paper,
    unheard,
)

PAPER_PATH = Path(__file__).with_name("v2ra_paper.tsv")

NEEDS_RECORDINGS = "needs recordings of [2]"
NEEDS_FILMS = "needs the films of Figure 6"
SEE_BENCHMARKS = "depends on the machine: see docs/benchmarks.md"

_COLUMNS = {
    "ODG": ("odg", ""),
    "MMS": ("osg", "mms"),
    "MSF": ("osg", "msf"),
    "RMS": ("osg", "rms"),
    "OSG": ("osg", ""),
}
"""Metric and part behind each column of grades."""

_CATEGORIES = ("Bird", "Dog", "Firework", "Cloth", "Wood", "Gravel", "Plastic")
_TREATMENTS = ("original result", "after de-noising", "after peak-match")

ROWS: dict[str, tuple[str, ...]] = {
    "v2ra_table5": ("Ground truth & Ours",),
    "v2ra_table6": ("[14]", "Our method", "Ground truth"),
    "v2ra_table7": (
        "Full system",
        "+ z as input",
        "+ skip connections for the generator",
        "- audio filter (the last layer of the generator)",
        "+ random crop",
        "L1 + LS loss function",
        "L1 + CE loss function",
        "LS loss function",
        "L1 loss function",
        "CE loss function",
        "ground truth",
    ),
    "v2ra_table8": tuple(f"{category} / {how}" for category in _CATEGORIES for how in _TREATMENTS),
    "v2ra_text": ("Nearest-neighbour retrieval",),
}
"""For each table what ``report.rows`` may name; Table 9 holds what people said only."""

TABLES = (*ROWS, "v2ra_table9")

_GRADES = (
    "ODG: objective difference grade (PEAQ basic) of the sound that was made against the recorded sound, "
    "both at 48 kHz, from 0 (imperceptible) to -4 (very annoying); a sound against itself has 0.21. What the "
    "paper compared with is not stated."
)
_DISTANCES = (
    "OSG = 0.57 MMS + 0.52 MSF + 0.45 RMS, distances of made and recorded sound in the maximum of the "
    "modulation spectrum, mean spectral flux and RMS of sounds scaled to a peak of 1; 0 for the same sound. "
    "The paper does not define the three, so that absolute values need not compare."
)


def make_tables(measured: Measured, report: ReportConfig) -> list[Table]:
    """Make the paper's five tables of results, and one of what its text reports.

    Parameters
    ----------
    measured : Measured
        Metrics of all runs.
    report : ReportConfig
        Which experiment stands in which row.

    Returns
    -------
    list of Table
        ``v2ra_table5`` to ``v2ra_table9``, ``v2ra_text``.

    Raises
    ------
    ConfigError
        If ``report.rows`` names a row that a table does not have.
    StoreError
        If a named experiment lacks the metric that its table shows.
    """
    check_rows(report, ROWS)
    paper = read_paper(PAPER_PATH)
    return [
        _physics_table(measured, report, paper["v2ra_table5"]),
        _grades_table(
            measured,
            report,
            paper["v2ra_table6"],
            name="v2ra_table6",
            title="V2RA-GAN Table 6: beside Zhou et al. [14]",
            row_title="Audio",
        ),
        _grades_table(
            measured,
            report,
            paper["v2ra_table7"],
            name="v2ra_table7",
            title="V2RA-GAN Table 7: network architecture evaluation",
            row_title="Experiment",
        ),
        _optimisation_table(measured, report, paper["v2ra_table8"]),
        _listeners_table(paper["v2ra_table9"]),
        _text_table(measured, report, paper["v2ra_text"]),
    ]


def _physics_table(measured: Measured, report: ReportConfig, paper: Sequence[PaperValue]) -> Table:
    name = "v2ra_table5"
    cells = []
    for one in paper:
        if one.row in ROWS[name]:
            ours = look_up(measured, experiment_of(report, name, one.row), "osg")
        else:
            ours = Value(note=NEEDS_FILMS if "bottom" in one.row else NEEDS_RECORDINGS)
        cells.append(Cell(one.row, one.column, ours, one.value, one.note))
    called = _called(measured, {"Ours": experiment_of(report, name, ROWS[name][0])})
    return Table(
        name,
        "V2RA-GAN Table 5: beside the physics-based sounds of Ren et al. [2]",
        "The first two rows lay the sounds of two wooden scenes beside each other, the others a sound and "
        f"its recording. {_DISTANCES}{called}",
        tuple(cells),
        "Audio",
        decimals=4,
    )


def _grades_table(
    measured: Measured,
    report: ReportConfig,
    paper: Sequence[PaperValue],
    *,
    name: str,
    title: str,
    row_title: str,
) -> Table:
    cells = []
    for one in paper:
        ours = look_up(measured, experiment_of(report, name, one.row), *_COLUMNS[one.column])
        cells.append(Cell(one.row, one.column, ours, one.value, one.note))
    shown = {row: experiment_of(report, name, row) for row in ROWS[name][:2]}
    caption = f"{_GRADES} {_DISTANCES}{_called(measured, shown)}"
    return Table(name, title, caption, tuple(cells), row_title, decimals=4)


def _optimisation_table(measured: Measured, report: ReportConfig, paper: Sequence[PaperValue]) -> Table:
    name = "v2ra_table8"
    cells = []
    for one in paper:
        treatment, grade = one.column.rsplit(", ", 1)
        experiment = experiment_of(report, name, f"{one.row} / {treatment}")
        ours = look_up(measured, experiment, *_COLUMNS[grade])
        cells.append(Cell(one.row, one.column, ours, one.value, one.note))
    shown = {row: experiment_of(report, name, f"{row} / {_TREATMENTS[0]}") for row in _CATEGORIES}
    return Table(
        name,
        "V2RA-GAN Table 8: audio optimization schemes",
        "Each scheme alone, on the same sound. De-noising: block thresholding of time and frequency. "
        "Peak-match: stretches of recordings at the peaks of what was made; the paper takes them from "
        f"Adobe's sound effects. {_GRADES} {_DISTANCES}{_called(measured, shown)}",
        tuple(cells),
        "Category",
        decimals=4,
    )


def _listeners_table(paper: Sequence[PaperValue]) -> Table:
    return Table(
        "v2ra_table9",
        "V2RA-GAN Table 9: what people said beside previous work",
        "Mean of scores from 1 (very bad) to 5 (very good): Owens et al. [12] on gravel, wood, cloth and "
        "plastic, Zhou et al. [14] on dogs and fireworks.",
        tuple(unheard(one) for one in paper),
        "Method",
    )


def _text_table(measured: Measured, report: ReportConfig, paper: Sequence[PaperValue]) -> Table:
    parts = {"class found (%)": "test_set", "by chance (%)": "test_set/chance"}
    cells = []
    for one in paper:
        ours = Value(note=SEE_BENCHMARKS)
        if one.column in parts:
            experiment = experiment_of(report, "v2ra_text", one.row)
            ours = look_up(measured, experiment, "nearest", parts[one.column]).times(100, "%")
        cells.append(Cell(one.row, one.column, ours, one.value, one.note))
    return Table(
        "v2ra_text",
        "V2RA-GAN, sections 4.2 and 4.3.3: nearest-neighbour retrieval, and time",
        "Share of test clips for whose sound the most similar recording of the test set is of the clip's "
        "class, beside what a recording drawn at random would give. Time: on one GPU in the paper.",
        tuple(cells),
        "What",
    )


def _called(measured: Measured, experiments: dict[str, str | None]) -> str:
    """Which class of this data set stands behind a row, as a sentence; empty where there is no one class."""
    start = "class/"
    found = {}
    for row, experiment in experiments.items():
        if experiment is None or not measured.has(experiment, "osg"):
            continue
        parts = measured.parts(experiment, "osg")
        labels = [part.removeprefix(start) for part in parts if part.startswith(start)]
        if len(labels) == 1:
            found[row] = labels[0]
    if not found:
        return ""
    pairs = ", ".join(f"{row}: {label}" for row, label in found.items())
    return f" Class here: {pairs}."
