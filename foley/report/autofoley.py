"""Tables I to IX of AutoFoley (Ghose and Prevost), and how well its sounds keep time."""

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
    look_up,
    look_up_beside,
    read_paper,
    unheard,
)

PAPER_PATH = Path(__file__).with_name("autofoley_paper.tsv")

_MODELS = ("Model 1", "Model 2")
_ABLATIONS = tuple(f"Ablation Model {number}" for number in range(1, 5))

ROWS: dict[str, tuple[str, ...]] = {
    "autofoley_table1": _MODELS,
    "autofoley_table2": (
        "Owens et al. (ResNet + spectrogram + GHD dataset)",
        "POCAN (ResNet + spectrogram + GHD dataset)",
        "Zhou et al. (Flow method + VEGAS dataset)",
    ),
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

OWN_ROWS: dict[str, tuple[str, ...]] = {
    "autofoley_table2": (
        "Owens et al., example-based",
        "Retrieval by true sound (bound)",
        "Recorded sound",
    )
}
"""Rows that the paper does not have, and that ``report.rows`` may name too."""

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

_READING = "envelope_peak"
"""Part of the correlation metric that Table I is read as."""
_OTHER_READINGS = {
    "envelope_lag0": "loudness curves without lag",
    "waveform_peak": "waveforms, best lag",
    "waveform_lag0": "waveforms without lag",
}
_READING_CAPTION = (
    "Maximum over all lags of the normalised cross-correlation of loudness curves, averaged over the clips "
    "of a class and then over classes. The paper does not say what it correlated; two waveforms of the same "
    "rain cannot reach its values, loudness curves can; other readings are given last. Unlike clips "
    "have like curves too, so this says little about timing: see the sync table."
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
    check_rows(report, {name: (*rows, *OWN_ROWS.get(name, ())) for name, rows in ROWS.items()})
    paper = read_paper(PAPER_PATH)
    return [
        _correlation_table(measured, report, paper["autofoley_table1"]),
        _existing_models_table(measured, report, paper["autofoley_table2"]),
        _retrieval_table(measured, report, paper["autofoley_table3"]),
        _loss_table(measured, report, paper["autofoley_table4"]),
        *(
            _ablation_table(number, measured, report, paper[f"autofoley_table{number}"])
            for number in (5, 6, 7)
        ),
        *(_listeners_table(number, paper[f"autofoley_table{number}"]) for number in (8, 9)),
        sync_table(measured),
    ]


def _correlation_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "autofoley_table1"
    experiments = {column: experiment_of(report, name, column) for column in _MODELS}

    def reading_of(column: str, part: str, absent: str | None = None) -> Value:
        return look_up(measured, experiments[column], "correlation", part, absent=absent)

    cells = []
    for one in paper:
        part = _READING if one.row == "Average" else f"{_READING}/class/{one.row.lower()}"
        absent = None if one.row == "Average" else _ABSENT_CLASS
        cells.append(Cell(one.row, one.column, reading_of(one.column, part, absent), one.value, one.note))
    known = {one.row.lower() for one in paper}
    ran = [experiment for experiment in experiments.values() if experiment is not None]
    parts = dict.fromkeys(part for one in ran for part in measured.parts(one, "correlation"))
    start = f"{_READING}/class/"
    labels = {part.removeprefix(start) for part in parts if part.startswith(start)}
    own = [
        Cell(label, column, reading_of(column, start + label, _ABSENT_CLASS), note=_OWN_CLASS)
        for label in sorted(labels - known)
        for column in _MODELS
    ]
    others = [
        Cell(f"Average, {title}", column, reading_of(column, reading))
        for reading, title in _OTHER_READINGS.items()
        for column in _MODELS
    ]
    printed = [cell for cell in cells if cell.row != "Average"]
    average = [cell for cell in cells if cell.row == "Average"]
    return Table(
        name,
        "AutoFoley Table I: sound quality matrix analysis",
        _READING_CAPTION,
        (*printed, *own, *average, *others),
        "Sound class",
    )


_EXISTING_CAPTION = (
    "The paper quotes numbers of other papers, from other data sets, which do not compare with its "
    "Table III. Ours are these systems trained on the data set of all tables here: share of generated sounds "
    "in which the sound classifier of Table III hears the right class, mean over the classes. Both learn "
    "cochleagrams. Rows without a printed number are ours: the other way to sound of Owens et al., and what "
    "retrieval reaches when it is given the true sound."
)
_BESIDE = {
    "Class seen (%)": ("accuracy", "test/class_average", 100.0, "%"),
    "Sync F1": ("sync", "", 1.0, "proportion"),
    "Loudness correlation": ("correlation", _READING, 1.0, "correlation"),
}
"""What stands beside the sound retrieval accuracy of Table II: metric, part, factor, unit."""


def _existing_models_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "autofoley_table2"
    printed = {one.row: one for one in paper}
    column = paper[0].column
    cells = []
    for row in (*ROWS[name], *OWN_ROWS[name]):
        experiment = experiment_of(report, name, row)
        ours = look_up(measured, experiment, "retrieval", "class_average").times(100, "%")
        quoted = printed.get(row)
        value, note = (quoted.value, quoted.note) if quoted else (None, "")
        cells.append(Cell(row, column, ours, value, note))
        for title, (metric, part, factor, unit) in _BESIDE.items():
            cells.append(
                Cell(row, title, look_up_beside(measured, experiment, metric, part).times(factor, unit))
            )
    return Table(
        name,
        "AutoFoley Table II: top 1 sound class prediction accuracy of existing models (%)",
        _EXISTING_CAPTION,
        tuple(cells),
        "Existing model",
    )


def _retrieval_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "autofoley_table3"
    cells = []
    for printed in paper:
        experiment = experiment_of(report, name, printed.row)
        ours = look_up(measured, experiment, "retrieval", "class_average").times(100, "%")
        cells.append(Cell(printed.row, printed.column, ours, printed.value, printed.note))
    return Table(
        name,
        "AutoFoley Table III: top 1 sound class prediction accuracy of the proposed models (%)",
        "Sound retrieval: a classifier trained on the recorded sounds of the training clips judges the "
        "sounds made for the test clips; mean over the classes. The last row is the same classifier on "
        "recorded sounds.",
        tuple(cells),
        "Proposed model",
    )


def _loss_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "autofoley_table4"
    cells = []
    for printed in paper:
        split, model = printed.column.split(" ", 1)
        metric = "log_loss" if printed.row == "Log Loss" else "accuracy"
        ours = look_up(measured, experiment_of(report, name, model), metric, split.lower())
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
        experiment = experiment_of(report, name, printed.row)
        ours = look_up(measured, experiment, "accuracy", "test/class_average").times(100, "%")
        cells.append(Cell(printed.row, printed.column, ours, printed.value, printed.note))
        heard = look_up_beside(measured, experiment, "retrieval", "class_average").times(100, "%")
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
        tuple(unheard(one) for one in paper),
        "Class",
    )


_SYNC_ROWS = {"": "", "shuffled": " (shuffled)", "difference": " (difference)"}
"""Parts of the sync metric that hold the same numbers again, and how their rows are called."""
_SYNC_ORDER = ("f1", "median_abs_error", "median_error", "precision", "recall", "events", "onsets", "missing")
_SYNC_CAPTION = (
    "Onsets heard in the generated sound against the clip's event times, matched one to one, impact classes "
    "only. The row `shuffled` scores the same sounds against the events of other clips of the same class; "
    "what is not clearly better than it keeps no time. `difference`: ours minus shuffled. Missing and "
    "redundant events are counted at the headline window; signed error: late is positive."
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
        For every experiment its own row, ``shuffled`` and ``difference``, one column a part of the
        metric that is not of a single class; one row that says so where it was not scored.
    """
    scored = [one for one in measured.experiments if measured.has(one, "sync")]
    columns = dict.fromkeys(
        part for one in scored for part in measured.parts(one, "sync") if part and "/" not in part
    )
    columns = {column: None for column in sorted(columns, key=_sync_place) if column not in _SYNC_ROWS}
    columns = columns or {"value": None}
    cells: list[Cell] = []
    for experiment in measured.experiments:
        if experiment not in scored:
            cells.append(Cell(experiment, next(iter(columns)), Value(note=NOT_CONFIGURED)))
            continue
        for row, ending in _SYNC_ROWS.items():
            cells += _sync_row(measured, experiment, row, experiment + ending, list(columns))
    return Table(
        "autofoley_sync",
        "Sync of the generated sounds, test recordings",
        _SYNC_CAPTION,
        tuple(cells),
        "Experiment",
        decimals=3,
    )


def _sync_place(column: str) -> tuple[int, int]:
    """Sort key: by quantity, then by window."""
    window = "".join(filter(str.isdigit, column.split("_")[-1]))
    places = [place for place, name in enumerate(_SYNC_ORDER) if column.startswith(name)]
    return places[0] if places else len(_SYNC_ORDER), int(window or 0)


def _sync_row(measured: Measured, experiment: str, row: str, title: str, columns: list[str]) -> list[Cell]:
    whole = measured.get(experiment, "sync", row, absent="not computed")
    paths = {column: "/".join(filter(None, [row, column])) for column in columns}
    known = set(measured.parts(experiment, "sync"))
    if not any(path in known for path in paths.values()):
        return [Cell(title, columns[0], Value(note=whole.note or "not computed"))]
    return [
        Cell(title, column, measured.get(experiment, "sync", path), note="" if row else whole.note)
        for column, path in paths.items()
        if path in known
    ]
