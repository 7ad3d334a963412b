"""Tables I to VIII of REGNET (Chen et al. 2020), its text experiments, and our vocoders.

What people judged is not computed: those cells say so, and beside them stand objective numbers of
ours, in columns that say ``objective``.
"""

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
    look_up_beside,
    read_paper,
    unheard,
)

PAPER_PATH = Path(__file__).with_name("regnet_paper.tsv")

_MIXED = ("Dog-gauss", "Dog-fireworks")
_VARIANTS = ("Ours-woREG", "Ours-VS", "Ours")
_SHARES = {"Sound-Missing": "missing", "Sound-Redundant": "redundant", "Sound-Mismatched": "mismatched"}
"""The paper's criteria, and the parts of the metric ``alignment`` that stand beside them."""

ROWS: dict[str, tuple[str, ...]] = {
    "regnet_table1": ("Baseline", "Ours", "Real sound"),
    "regnet_table3": (
        *(f"{data} / {variant}" for data in ("Dog", *_MIXED) for variant in _VARIANTS),
        "Mean sound",
    ),
    "regnet_table5": ("Regularizer", "Baby-fireworks", "Dog-fireworks", "Dog-gauss", "Baby-gauss"),
    "regnet_table6": ("Dog-gauss", "Dog-fireworks", "Dog-drum"),
    "regnet_table7": ("Ours",),
    "regnet_table8": ("S860D8", "S860D1024", "S32D32", "S860D32"),
    "regnet_text": ("Ours", "Ours-woGAN", "Detect and play"),
    "regnet_vocoders": ("Recorded sound", "Griffin-Lim", "HiFi-GAN", "WaveNet"),
}
"""For each table what ``report.rows`` may name: rows, columns, or ``<row> / <column>``."""

TABLES = ("regnet_table2", *ROWS)
"""Table II may also name classes: the experiment that was trained on this class alone."""

_HUNDREDTHS = "x 1e-2"
_OBJECTIVE = (
    "Columns called objective are ours and not the paper's: shares of the clips' events without a matching "
    "onset (missing) and of the onsets without an event (redundant), within the metric's window, and of "
    "clips in which a sound classifier hears another class (mismatched). More is worse; they do not compare "
    "with what listeners said."
)
_L2 = "Mean squared difference of log-mel spectrograms in [0, 1], test clips, times 100."


def make_tables(measured: Measured, report: ReportConfig) -> list[Table]:
    """Make the paper's eight tables, one of its text experiments, and one of vocoders.

    Parameters
    ----------
    measured : Measured
        Metrics of all runs.
    report : ReportConfig
        Which experiment stands in which row, and what the paper's classes are here.

    Returns
    -------
    list of Table
        ``regnet_table1`` to ``regnet_table8``, ``regnet_text``, ``regnet_vocoders``.

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
        _preference_table(measured, report, paper["regnet_table1"]),
        _real_or_fake_table(measured, report, paper["regnet_table2"]),
        _regulariser_table(measured, report, paper["regnet_table3"]),
        _listeners_on_mixtures_table(measured, report, paper["regnet_table4"]),
        _similarity_table(measured, report, paper["regnet_table5"]),
        _alone_table(measured, report, paper["regnet_table6"]),
        _mix_in_table(measured, report, paper["regnet_table7"]),
        _capacity_table(measured, report, paper["regnet_table8"]),
        _text_table(measured, report, paper["regnet_text"]),
        _vocoder_table(measured, report),
    ]


def _called(report: ReportConfig) -> str:
    """What the paper's classes and mixtures are here, as a sentence."""
    if not report.names:
        return ""
    pairs = ", ".join(f"{theirs} is {ours}" for theirs, ours in report.names.items())
    return f" Here {pairs}."


def _share(measured: Measured, experiment: str | None, part: str = "") -> Value:
    """A share of the metric ``alignment`` in percent."""
    return look_up_beside(measured, experiment, "alignment", part).times(100, "%")


def _share_cells(measured: Measured, experiment: str | None, row: str) -> list[Cell]:
    """The three objective shares of one experiment, beside each other."""
    return [
        Cell(row, f"{criterion.removeprefix('Sound-')}, objective (%)", _share(measured, experiment, part))
        for criterion, part in _SHARES.items()
    ]


def _preference_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "regnet_table1"
    cells = [unheard(one) for one in paper]
    for criterion, part in _SHARES.items():
        for system in ROWS[name]:
            experiment = experiment_of(report, name, system)
            ours = _share(measured, experiment, part)
            cells.append(Cell(criterion, f"{system}, objective (%)", ours))
    return Table(
        name,
        "REGNET Table I: alignment",
        "Ours and baseline, which is Visual2Sound (percent): share of people who prefer a system over the "
        "other. " + _OBJECTIVE,
        tuple(cells),
        "Criterion",
        decimals=2,
    )


def _real_or_fake_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "regnet_table2"
    rows = report.rows.get(name, {})
    systems = ("Real sound", "Ours")
    own = {row: experiment for row, experiment in rows.items() if row not in systems}

    def heard(system: str, label: str | None) -> Value:
        experiment = own.get(label or "") if system == "Ours" else None
        experiment = experiment or rows.get(system)
        part = "class_average" if label is None else f"class/{label}"
        return look_up_beside(measured, experiment, "retrieval", part).times(100, "%")

    cells = [unheard(one) for one in paper]
    start = "class/"
    scored = [one for one in rows.values() if measured.has(one, "retrieval")]
    parts = {part for one in scored for part in measured.parts(one, "retrieval") if part.startswith(start)}
    labels = sorted(part.removeprefix(start) for part in parts)
    for label in [None, *labels]:
        row = "Average" if label is None else label
        cells += [Cell(row, f"{system}, objective (%)", heard(system, label)) for system in systems]
    return Table(
        name,
        "REGNET Table II: real or fake",
        "Share of people who take a video for real. Beside it, for the classes of this data set: share of "
        "clips in which a sound classifier, trained on recorded sound, hears the clip's class. It is "
        "objective and ours, and says nothing about how real a sound is.",
        tuple(cells),
        "Class",
    )


def _regulariser_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "regnet_table3"
    printed = {(one.row, one.column): one for one in paper}
    cells = []
    for row in ("Dog", *_MIXED):
        for column in _VARIANTS:
            theirs = printed.get((row, column))
            experiment = experiment_of(report, name, f"{row} / {column}")
            if theirs is None and experiment is None:
                continue
            ours = look_up(measured, experiment, "l2").times(100, _HUNDREDTHS)
            cells.append(Cell(row, column, ours, *((theirs.value, theirs.note) if theirs else ())))
        pair = [experiment_of(report, name, f"{row} / {column}") for column in ("Ours", "Ours-woREG")]
        if pair[0] is not None and pair[1] is not None:
            gain = measured.difference(pair[0], pair[1], "l2").times(100, _HUNDREDTHS)
            cells.append(Cell(row, "Ours minus Ours-woREG", gain))
        mean = experiment_of(report, name, "Mean sound")
        if mean is not None:
            cells.append(Cell(row, "Mean sound", look_up(measured, mean, "l2").times(100, _HUNDREDTHS)))
    return Table(
        name,
        "REGNET Table III: distance to the clean sound after learning from mixed sound (x 1e-2)",
        f"{_L2} The clean sound is the truth, mixed sound is what was learned. Row Dog, learned from clean "
        "sound, and columns Mean sound (the mean clean training clip, which looks at no picture) and Ours "
        "minus Ours-woREG (mean over runs of the same seed; below 0 the regularizer helps) are ours."
        + _called(report),
        tuple(cells),
        "Training data",
    )


def _listeners_on_mixtures_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    cells = [unheard(one) for one in paper]
    for one in paper:
        experiment = experiment_of(report, "regnet_table3", f"{one.row} / {one.column}")
        cells.append(Cell(one.row, f"{one.column}, misaligned, objective (%)", _share(measured, experiment)))
    return Table(
        "regnet_table4",
        "REGNET Table IV: real or fake, with and without audio forwarding regularizer",
        "Share of people who take a video for real. Misaligned: mean of the shares missing, redundant and "
        f"mismatched. {_OBJECTIVE}{_called(report)}",
        tuple(cells),
        "Training data",
    )


def _similarity_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "regnet_table5"
    asked = experiment_of(report, name, "Regularizer")
    cells = []
    for one in paper:
        other = experiment_of(report, name, one.column)
        experiment = asked if other is not None else None
        ours = look_up(measured, experiment, "regulariser", f"similarity/{other}")
        cells.append(Cell(one.row, one.column, ours, one.value, one.note))
    return Table(
        name,
        "REGNET Table V: cosine similarity of regularizer outputs",
        "Output for test sounds of the row's data by the regularizer trained on it, against outputs for "
        "each column's test sounds by the regularizer trained on those; mean over all pairs of different "
        "clips. Columns with fireworks share the background. Regularizers that were trained apart have no "
        "axes in common except through equal first weights, which these runs have." + _called(report),
        tuple(cells),
        "Data",
    )


def _alone_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "regnet_table6"
    parts = {"Dog (relevant sound)": "alone/clean", "Background (irrelevant sound)": "alone/background"}
    cells = []
    for one in paper:
        experiment = experiment_of(report, name, one.row)
        ours = look_up(measured, experiment, "regulariser", parts[one.column]).times(100, _HUNDREDTHS)
        cells.append(Cell(one.row, one.column, ours, one.value, one.note))
    return Table(
        name,
        "REGNET Table VI: what is made of the regularizer's output alone (x 1e-2)",
        f"{_L2} The visual feature is zero, the regularizer hears the mixed sound; distance to its two "
        f"parts.{_called(report)}",
        tuple(cells),
        "Input data",
    )


def _mix_in_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "regnet_table7"
    vectors = {"Zero vector": "zero", "Regularizer output": "forwarded"}
    cells = []
    for one in paper:
        mixture = report.names.get(one.row)
        experiment = experiment_of(report, name, "Ours") if mixture is not None else None
        part = f"mix_in/{mixture}/{vectors[one.column]}"
        ours = look_up(measured, experiment, "regulariser", part).times(100, _HUNDREDTHS)
        cells.append(Cell(one.row, one.column, ours, one.value, one.note))
    return Table(
        name,
        "REGNET Table VII: distance to the background when it is fed to the regularizer (x 1e-2)",
        f"{_L2} A model trained on clean sound makes the test clips' sound twice, with the zero vector and "
        f"with its regularizer's output for the mixed sound; distance to what was mixed in.{_called(report)}",
        tuple(cells),
        "Background sound",
    )


def _capacity_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "regnet_table8"
    cells = []
    for one in paper:
        if one.column != "L2 distance":
            cells.append(unheard(one))
            continue
        experiment = experiment_of(report, name, one.row)
        ours = look_up(measured, experiment, "l2").times(100, _HUNDREDTHS)
        cells.append(Cell(one.row, one.column, ours, one.value, one.note))
    for row in ROWS[name]:
        cells += _share_cells(measured, experiment_of(report, name, row), row)
    return Table(
        name,
        "REGNET Table VIII: capacity of the audio forwarding regularizer",
        f"{_L2} S: spectrogram frames of one sample of the regularizer's output, D: its width; learned from "
        f"Dog-gauss. {_OBJECTIVE}{_called(report)}",
        tuple(cells),
        "Variant",
        descriptions={
            "S860D8": "narrow",
            "S860D1024": "wide",
            "S32D32": "wide",
            "S860D32": "REGNET",
        },
    )


def _text_table(measured: Measured, report: ReportConfig, paper: list[PaperValue]) -> Table:
    name = "regnet_text"
    cells = [unheard(one) for one in paper]
    for row in ROWS[name]:
        experiment = experiment_of(report, name, row)
        distance = look_up_beside(measured, experiment, "l2").times(100, _HUNDREDTHS)
        cells += [Cell(row, "L2 distance, objective", distance), *_share_cells(measured, experiment, row)]
    return Table(
        name,
        "REGNET, sections V-E and V-I: without GAN, and detect and play",
        f"Share of people who take a video for real. {_L2} {_OBJECTIVE}{_called(report)}",
        tuple(cells),
        "System",
    )


def _vocoder_table(measured: Measured, report: ReportConfig) -> Table:
    name = "regnet_vocoders"
    columns = {
        "Sound retrieval accuracy (%)": ("retrieval", "class_average", 100.0, "%"),
        "F1 of onsets, 50 ms": ("sync", "f1_50ms", 1.0, "proportion"),
        "Difference of loudness curves (x 1e-2)": ("envelope", "", 100.0, _HUNDREDTHS),
        "L2 distance, analysed again (x 1e-2)": ("l2", "sound", 100.0, _HUNDREDTHS),
    }
    cells = []
    for row in ROWS[name]:
        experiment = experiment_of(report, name, row)
        for column, (metric, part, factor, unit) in columns.items():
            ours = look_up_beside(measured, experiment, metric, part).times(factor, unit)
            cells.append(Cell(row, column, ours))
    return Table(
        name,
        "Vocoders: sound made from the spectrograms of recorded test clips",
        "Copy synthesis: what a vocoder loses when the spectrogram is right. REGNET's own is a WaveNet; the "
        "paper prints no number for it. The first row is the recorded sound itself.",
        tuple(cells),
        "Vocoder",
    )
