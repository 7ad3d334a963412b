"""Tables I to IX of AutoFoley (Ghose and Prevost), and how well its sounds keep time."""

from pathlib import Path

from foley.report.config import ReportConfig
from foley.report.measured import Measured, Value
from foley.report.tables import (
    NEEDS_LISTENERS,
    NEEDS_SYSTEMS,
    NOT_CONFIGURED,
    Cell,
    PaperValue,
    Table,
    check_rows,
    read_paper,
)

PAPER_PATH = Path(__file__).with_name("autofoley_paper.tsv")

_MODELS = ("Model 1", "Model 2")
_ABLATIONS = tuple(f"Ablation Model {number}" for number in range(1, 5))

ROWS: dict[str, tuple[str, ...]] = {
    "autofoley_table1": _MODELS,
    "autofoley_table3": (
        "AutoFoley (Frame-Sequence Network)",
        "AutoFoley (Frame-Relation Network)",
        "AutoFoley (Real sound tracks)",
    ),
    "autofoley_table4": _MODELS,
    "autofoley_table5": (*_ABLATIONS, "Frame Sequence Network"),
    "autofoley_table6": (*_ABLATIONS, "Frame Relation Network"),
    "autofoley_table7": ("Ablation Model 1", "Ablation Model 2", "Proposed Model 1", "Proposed Model 2"),
}
"""For each table what ``report.rows`` may name: rows, or columns where rows are classes."""

TABLES = tuple(ROWS)

DESCRIPTIONS: dict[str, tuple[str, ...]] = {
    "autofoley_table5": (
        "Raw frames (no SP) + VGG19 + simple LSTM",
        "Raw frames (no SP) + ResNet-50 + simple LSTM",
        "SP + VGG19 + simple LSTM",
        "SP + VGG19 + FS-LSTM",
        "SP + ResNet-50 + FS-LSTM",
    ),
    "autofoley_table6": (
        "TRN (4 frame relations) + VGG19",
        "TRN (4 frame relations) + ResNet-50",
        "TRN (8 frame relations) + VGG19",
        "TRN (16 frame relations) + ResNet-50",
        "TRN (8 frame relations) + ResNet-50",
    ),
    "autofoley_table7": (
        "Frame Sequence Network, replicated frames",
        "Frame Relation Network, replicated frames",
        "Frame Sequence Network, interpolated frames",
        "Frame Relation Network, interpolated frames",
    ),
}

_READING = (
    "Maximum over all lags of the normalised cross-correlation of loudness curves, averaged over the clips "
    "of a class and then over classes. The paper does not say what it correlated; two waveforms of the same "
    "rain cannot reach its values, loudness curves can. Curves of unlike clips correlate too, so this says "
    "little about timing: see the sync table."
)
_ACCURACY_CAPTION = (
    "Class predicted from the picture, test recordings, mean over the classes. The paper prints 65.79 and "
    "63.40 here and, for the same two models, in its Table III for sound retrieval, while its Table IV says "
    "0.834 and 0.806; both quantities are therefore given."
)
_ABSENT_CLASS = "no test clip of this class"
_OWN_CLASS = "class of this data set, not of the paper"


def make_tables(measured: Measured, report: ReportConfig) -> list[Table]:
    """Make the nine tables of the paper and the sync table.

    Parameters
    ----------
    measured : Measured
        Metrics of all runs.
    report : ReportConfig
        Which experiment stands in which row.

    Returns
    -------
    list of Table
        ``autofoley_table1`` to ``autofoley_table9``, ``autofoley_sync``.

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
        _correlation_table(measured, report, paper["autofoley_table1"]),
        _existing_models_table(paper["autofoley_table2"]),
        _retrieval_table(measured, report, paper["autofoley_table3"]),
        _loss_table(measured, report, paper["autofoley_table4"]),
        *(
            _ablation_table(number, measured, report, paper[f"autofoley_table{number}"])
            for number in (5, 6, 7)
        ),
        *(_listeners_table(number, paper[f"autofoley_table{number}"]) for number in (8, 9)),
        sync_table(measured),
    ]


def _experiment(report: ReportConfig, table: str, row: str) -> str | None:
    return report.rows.get(table, {}).get(row)


def _look_up(
    measured: Measured, experiment: str | None, metric: str, part: str = "", *, absent: str | None = None
) -> Value:
    if experiment is None:
        return Value(note=NOT_CONFIGURED)
    return measured.get(experiment, metric, part, absent=absent)


def _correlation_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "autofoley_table1"
    experiments = {column: _experiment(report, name, column) for column in _MODELS}
    cells = []
    for printed in paper:
        part = "" if printed.row == "Average" else f"class/{printed.row.lower()}"
        ours = _look_up(measured, experiments[printed.column], "correlation", part, absent=_ABSENT_CLASS)
        cells.append(Cell(printed.row, printed.column, ours, printed.value, printed.note))
    known = {printed.row.lower() for printed in paper}
    ran = [experiment for experiment in experiments.values() if experiment is not None]
    parts = dict.fromkeys(part for one in ran for part in measured.parts(one, "correlation"))
    labels = [part.removeprefix("class/") for part in parts if part.startswith("class/")]
    own = [
        Cell(
            label,
            column,
            _look_up(measured, one, "correlation", f"class/{label}", absent=_ABSENT_CLASS),
            note=_OWN_CLASS,
        )
        for label in sorted(set(labels) - known)
        for column, one in experiments.items()
    ]
    return Table(
        name,
        "AutoFoley Table I: sound quality matrix analysis",
        _READING,
        (
            *(cell for cell in cells if cell.row != "Average"),
            *own,
            *(cell for cell in cells if cell.row == "Average"),
        ),
        "Sound class",
    )


def _existing_models_table(paper: list[PaperValue]) -> Table:
    return Table(
        "autofoley_table2",
        "AutoFoley Table II: top 1 sound class prediction accuracy of existing models (%)",
        "Numbers that the paper quotes; they come from other data sets and do not compare with Table III.",
        tuple(Cell(one.row, one.column, Value(note=NEEDS_SYSTEMS), one.value, one.note) for one in paper),
        "Existing model",
    )


def _retrieval_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "autofoley_table3"
    cells = []
    for printed in paper:
        experiment = _experiment(report, name, printed.row)
        ours = _look_up(measured, experiment, "retrieval", "class_average").times(100, "%")
        cells.append(Cell(printed.row, printed.column, ours, printed.value, printed.note))
    return Table(
        name,
        "AutoFoley Table III: top 1 sound class prediction accuracy of the proposed models (%)",
        "Sound retrieval: a classifier trained on the recorded sounds of the training clips judges the sounds "
        "made for the test clips; mean over the classes. The last row is the same classifier on recorded sounds.",
        tuple(cells),
        "Proposed model",
    )


def _loss_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "autofoley_table4"
    cells = []
    for printed in paper:
        split, model = printed.column.split(" ", 1)
        metric = "log_loss" if printed.row == "Log Loss" else "accuracy"
        ours = _look_up(measured, _experiment(report, name, model), metric, split.lower())
        cells.append(Cell(printed.row, printed.column, ours, printed.value, printed.note))
    return Table(
        name,
        "AutoFoley Table IV: loss and accuracy",
        "Class predicted from the picture: mean negative log-probability of the true class (nats) and share "
        "of clips classified rightly, over all clips of a split.",
        tuple(cells),
        "Average",
        decimals=3,
    )


_ABLATION_TITLES = {
    5: "AutoFoley Table V: ablations of the Frame-Sequence Network (%)",
    6: "AutoFoley Table VI: ablations of the Frame-Relation Network (%)",
    7: "AutoFoley Table VII: effect of the interpolation technique (%)",
}


def _ablation_table(number: int, measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = f"autofoley_table{number}"
    cells = []
    for printed in paper:
        experiment = _experiment(report, name, printed.row)
        ours = _look_up(measured, experiment, "accuracy", "test/class_average").times(100, "%")
        cells.append(Cell(printed.row, printed.column, ours, printed.value, printed.note))
        if experiment is not None and not measured.has(experiment, "retrieval"):
            heard = Value(note=NOT_CONFIGURED)
        else:
            heard = _look_up(measured, experiment, "retrieval", "class_average").times(100, "%")
        cells.append(Cell(printed.row, "Sound retrieval accuracy (%)", heard))
    return Table(
        name,
        _ABLATION_TITLES[number],
        _ACCURACY_CAPTION,
        tuple(cells),
        "Model",
        descriptions=dict(zip(ROWS[name], DESCRIPTIONS[name], strict=True)),
    )


_QUERIES = {
    8: "Query 1: share that took the generated sound for the original; query 2: most suitable sample.",
    9: "Query 3: sample with less noise; query 4: most synchronised sample.",
}


def _listeners_table(number: int, paper: list[PaperValue]) -> Table:
    return Table(
        f"autofoley_table{number}",
        f"AutoFoley Table {'VIII' if number == 8 else 'IX'}: human evaluation, selection percentage",
        f"{_QUERIES[number]} A survey needs people; no number can be computed in its place.",
        tuple(Cell(one.row, one.column, Value(note=NEEDS_LISTENERS), one.value, one.note) for one in paper),
        "Class",
    )


_CONTROL = "shuffled"
"""Part of the sync metric that holds the same numbers for sounds of other clips."""
_SYNC_CAPTION = (
    "Onsets heard in the generated sound against the clip's event times, matched one to one. The row "
    "`shuffled` scores the same sounds against other clips: what is not clearly better than it keeps no time."
)


def sync_table(measured: Measured) -> Table:
    """Sync of every experiment's sounds beside the control in which sounds go to other clips.

    Parameters
    ----------
    measured : Measured
        Metrics of all runs.

    Returns
    -------
    Table
        Two rows an experiment (its own and ``shuffled``), one column a part of the metric that is not
        of a single class.
    """
    scored = [one for one in measured.experiments if measured.has(one, "sync")]
    paths = dict.fromkeys(
        part
        for one in scored
        for part in measured.parts(one, "sync")
        if "class" not in part.split("/") and part.split("/")[0] != _CONTROL
    )
    cells = [
        Cell(
            experiment + (f" ({_CONTROL})" if control else ""),
            path or "headline",
            measured.get(experiment, "sync", "/".join(filter(None, [control, path])), absent="not computed"),
        )
        for experiment in scored
        for control in ("", _CONTROL)
        for path in paths
    ]
    unscored = [
        Cell(experiment, next(iter(paths), "headline") or "headline", Value(note=NOT_CONFIGURED))
        for experiment in measured.experiments
        if experiment not in scored
    ]
    return Table(
        "autofoley_sync",
        "Sync of the generated sounds, test recordings",
        _SYNC_CAPTION,
        (*cells, *unscored),
        "Experiment",
        decimals=3,
    )
