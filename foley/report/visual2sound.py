"""Tables 1 and 2 of Visual2Sound (Zhou et al. 2018), and the experiments of its section 4.4.

What people judged is not computed: those cells say so, and beside them stand objective numbers of
ours, in columns that say ``objective``.
"""

from pathlib import Path

from foley.metrics.cross_entropy import BITS
from foley.report.config import ReportConfig
from foley.report.measured import Measured, Value
from foley.report.tables import (
    NOT_CONFIGURED,
    Cell,
    PaperValue,
    Table,
    check_rows,
    experiment_of,
    look_up,
    look_up_beside,
    read_paper,
    unheard,
)

PAPER_PATH = Path(__file__).with_name("visual2sound_paper.tsv")

_METHODS = ("Frame", "Seq", "Flow")
_MULTI, _SINGLE, _BOUND = "multi-category model", "single-category model", "upper bound of Owens et al."
_CLASSES = ("Dog", "Drum")

ROWS: dict[str, tuple[str, ...]] = {
    "visual2sound_table1": _METHODS,
    "visual2sound_table2": (*_METHODS, "Real"),
    "visual2sound_text": (_MULTI, *(f"{one} / {_SINGLE}" for one in _CLASSES), _BOUND),
}
"""For each table what ``report.rows`` may name: columns, or rows. What stands in "multi-category model"
and in "upper bound of Owens et al." is asked for each class."""

TABLES = tuple(ROWS)

_HEARD = "heard right, objective (%)"
_NOT_MADE = "it does not make this class"
_OBJECTIVE = (
    "Columns called objective are ours and not the paper's: share of clips in which a sound classifier, "
    "trained on recorded sound, hears the clip's class. It says nothing about how real a sound is."
)
_LIKELIHOOD = (
    "Mean negative log-likelihood of the recorded samples, each told in one of 256 levels. It depends on the "
    "sample rate and on how clips are scaled before, and compares within this table only."
)


def make_tables(measured: Measured, report: ReportConfig) -> list[Table]:
    """Make both tables and one of the additional experiments.

    Parameters
    ----------
    measured : Measured
        Metrics of all runs.
    report : ReportConfig
        Which experiment stands in which row, and what the paper's classes are here.

    Returns
    -------
    list of Table
        ``visual2sound_table1``, ``visual2sound_table2``, ``visual2sound_text``.

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
        _loss_table(measured, report, paper["visual2sound_table1"]),
        _real_or_fake_table(measured, report, paper["visual2sound_table2"]),
        _text_table(measured, report, paper["visual2sound_text"]),
    ]


def _loss_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "visual2sound_table1"
    splits = {"Training": "train", "Testing": "test"}
    cells = []
    for factor, unit in ((1.0, "nats"), (BITS, "bits")):
        for one in paper:
            experiment = experiment_of(report, name, one.column)
            ours = look_up(measured, experiment, "cross_entropy", splits[one.row]).times(factor, unit)
            printed = (one.value, one.note) if unit == "nats" else ()
            cells.append(Cell(one.row, f"{one.column} ({unit})", ours, *printed))
    return Table(
        name,
        "Visual2Sound Table 1: average cross-entropy",
        f"{_LIKELIHOOD} The paper names no unit; its numbers stand beside ours in nats (2.60 nats are 3.75 "
        "bits). They are means over ten models of one class each, ours are of one model of all its classes.",
        tuple(cells),
        "Split",
        decimals=4,
    )


def _real_or_fake_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "visual2sound_table2"
    rows = report.rows.get(name, {})
    start = "class/"
    made = [
        {part for part in measured.parts(rows[one], "retrieval") if part.startswith(start)}
        for one in _METHODS
        if one in rows and measured.has(rows[one], "retrieval")
    ]
    labels = sorted(part.removeprefix(start) for part in set().union(*made))
    cells = [unheard(one) for one in paper]
    for label in [None, *labels]:
        for system in (*_METHODS, "Real"):
            experiment = rows.get(system)
            part = "class_average" if label is None else f"{start}{label}"
            if label is None and system == "Real":
                heard = _mean_over(measured, experiment, labels)
            else:
                heard = look_up_beside(measured, experiment, "retrieval", part)
            cells.append(Cell(label or "Average", f"{system}, {_HEARD}", heard.times(100, "%")))
    return Table(
        name,
        "Visual2Sound Table 2: real or fake",
        f"Share of people who take a video for real. {_OBJECTIVE}",
        tuple(cells),
        "Class",
    )


def _mean_over(measured: Measured, experiment: str | None, labels: list[str]) -> Value:
    """Mean over the classes that the models make, where the experiment has more; without an interval."""
    if experiment is None or not labels or not measured.has(experiment, "retrieval"):
        return Value(note=NOT_CONFIGURED)
    values = [measured.get(experiment, "retrieval", f"class/{label}") for label in labels]
    known = [one.value for one in values if one.value is not None]
    n = sum(one.n or 0 for one in values)
    return Value(sum(known) / len(known), n=n, n_seeds=values[0].n_seeds, unit=values[0].unit)


def _text_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "visual2sound_text"
    cells = [unheard(one) for one in paper]
    for theirs in _CLASSES:
        label = report.names.get(theirs)
        for row in (_MULTI, _SINGLE, _BOUND):
            key = f"{theirs} / {row}" if row == _SINGLE else row
            experiment = experiment_of(report, name, key) if label is not None else None
            for column, metric, part, factor, unit in (
                (_HEARD.capitalize(), "retrieval", f"class/{label}", 100.0, "%"),
                ("Onset F1, objective", "sync", f"class/{label}", 1.0, "proportion"),
                ("Cross-entropy (nats)", "cross_entropy", f"test/class/{label}", 1.0, "nats"),
            ):
                value = look_up_beside(measured, experiment, metric, part, absent=_NOT_MADE)
                cells.append(Cell(f"{theirs} / {row}", column, value.times(factor, unit)))
    called = ", ".join(f"{one} is {report.names[one]}" for one in _CLASSES if one in report.names)
    return Table(
        name,
        "Visual2Sound, section 4.4: several categories in one model, and Owens et al.'s retrieval",
        "Share of people who take a video for real, or prefer the made sound to the real one (last rows). "
        "The upper bound is given the cochleagram of the true sound and plays the nearest training sound, in "
        f"stretches. {_OBJECTIVE}{f' Here {called}.' if called else ''}",
        tuple(cells),
        "Experiment",
        decimals=3,
    )
