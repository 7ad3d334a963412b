"""Tables: ours beside the paper's, each with its uncertainty, written in four formats.

A cell is measured or says why it is not. Nothing in a table depends on the date or on the machine's
name, so equal metrics give equal bytes.
"""

import csv
import html
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foley.errors import ConfigError
from foley.registry import REGISTRY
from foley.report.config import ReportConfig
from foley.report.measured import Measured, Value, read_facts
from foley.store.files import atomic_path

NEEDS_LISTENERS = "needs listeners"
NOT_CONFIGURED = "not in this configuration"

TSV_COLUMNS = ("row", "column", "ours", "ci_low", "ci_high", "n", "seeds", "unit", "paper", "note")


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Parameters
    ----------
    row, column : str
        Titles of its row and column.
    ours : Value
        What we measured; without a value its note says why.
    paper : float or None
        What the paper prints.
    note : str
        What a reader must know beside the note of `ours`.
    """

    row: str
    column: str
    ours: Value
    paper: float | None = None
    note: str = ""

    @property
    def notes(self) -> str:
        """Both notes, joined."""
        return "; ".join(filter(None, dict.fromkeys([self.ours.note, self.note])))


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    name : str
        File name without ending.
    title, caption : str
        Heading, and what the numbers are.
    cells : tuple of Cell
        Row by row.
    row_title : str
        Heading of the first column.
    decimals : int
        Decimals in the readable formats; TSV keeps six significant digits.
    descriptions : mapping of str to str
        A text for each row, where the paper has such a column.
    """

    name: str
    title: str
    caption: str
    cells: tuple[Cell, ...]
    row_title: str = "Row"
    decimals: int = 2
    descriptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[str]:
        """Titles of the rows, in order."""
        return list(dict.fromkeys(cell.row for cell in self.cells))

    @property
    def columns(self) -> list[str]:
        """Titles of the columns, in order."""
        return list(dict.fromkeys(cell.column for cell in self.cells))


@dataclass(frozen=True)
class PaperValue:
    """One printed number; `value` is in `unit`."""

    row: str
    column: str
    value: float
    unit: str
    note: str


Maker = Callable[[Measured, ReportConfig], list[Table]]
"""What a table module exposes as ``make_tables``."""


def read_paper(path: Path) -> dict[str, list[PaperValue]]:
    """Read a paper's printed numbers.

    Parameters
    ----------
    path : Path
        TSV with columns ``table row column value unit note``.

    Returns
    -------
    dict of str to list of PaperValue
        Table name to its numbers, in printed order.
    """
    found: dict[str, list[PaperValue]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            value = PaperValue(line["row"], line["column"], float(line["value"]), line["unit"], line["note"])
            found.setdefault(line["table"], []).append(value)
    return found


def check_rows(report: ReportConfig, known: Mapping[str, Iterable[str]]) -> None:
    """Refuse rows that a table does not have.

    Raises
    ------
    ConfigError
        Names the table and what it has.
    """
    for table, rows in report.rows.items():
        if table in known and (unknown := sorted(set(rows) - set(known[table]))):
            raise ConfigError(
                f"report.rows.{table}: no row is called {unknown[0]!r}; there are {', '.join(known[table])}"
            )


def experiment_of(report: ReportConfig, table: str, row: str) -> str | None:
    """Experiment that stands in a row of a table; ``None`` where none is configured."""
    return report.rows.get(table, {}).get(row)


def look_up(
    measured: Measured, experiment: str | None, metric: str, part: str = "", *, absent: str | None = None
) -> Value:
    """Number of the experiment of a row; see :meth:`Measured.get`. Without experiment it says so."""
    if experiment is None:
        return Value(note=NOT_CONFIGURED)
    return measured.get(experiment, metric, part, absent=absent)


def look_up_beside(
    measured: Measured, experiment: str | None, metric: str, part: str = "", *, absent: str | None = None
) -> Value:
    """As :func:`look_up`, but a metric that the experiment was not scored by is said to be left out."""
    if experiment is None or not measured.has(experiment, metric):
        return Value(note=NOT_CONFIGURED)
    return measured.get(experiment, metric, part, absent=absent)


def unheard(printed: PaperValue) -> Cell:
    """Make a cell that only people can fill."""
    return Cell(printed.row, printed.column, Value(note=NEEDS_LISTENERS), printed.value, printed.note)


def footnotes(table: Table, scale_note: str, stand_ins: Mapping[str, str]) -> list[str]:
    """Lines under a table: how to read brackets, the scale, the stand-ins."""
    counts = {cell.ours.n_seeds for cell in table.cells if cell.ours.n_seeds}
    lines = []
    if 1 in counts:
        lines.append("Ours, one seed: brackets are the metric's confidence interval (95 % by default).")
    if many := sorted(counts - {1}):
        told = " or ".join(map(str, many))
        lines.append(
            f"Ours, mean of {told} seeds: brackets are the 95 % confidence interval of that mean over seeds "
            "(Student's t); the test clips are the same for all."
        )
    if scale_note:
        lines.append(f"Scale: {' '.join(scale_note.split())}")
    if stand_ins:
        pairs = "; ".join(f"{mine} for {theirs}" for theirs, mine in sorted(stand_ins.items()))
        lines.append(f"Stand-ins: {pairs}.")
    return lines


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


_DECIMALS = {"ms": 1, "count": 0}
"""Decimals that go with a unit, whatever the rest of the table has."""


def _readable(value: Value, decimals: int) -> str:
    if value.value is None:
        return "–"
    decimals = _DECIMALS.get(value.unit, decimals)
    # Adding zero turns -0.0 into 0.0.
    text = f"{round(value.value, decimals) + 0.0:.{decimals}f}"
    if value.low is None or value.high is None:
        return text
    low, high = (f"{round(end, decimals) + 0.0:.{decimals}f}" for end in (value.low, value.high))
    return f"{text} [{low}, {high}]"


def to_tsv(table: Table, notes: Sequence[str]) -> str:
    """One line a cell; lines that start with ``#`` hold title, caption and footnotes."""
    lines = [f"# {line}" for line in (table.title, table.caption, *notes) if line]
    lines.append("\t".join(TSV_COLUMNS))
    for cell in table.cells:
        ours = cell.ours
        values = [cell.row, cell.column, _number(ours.value), _number(ours.low), _number(ours.high)]
        values += ["" if ours.n is None else str(ours.n), str(ours.n_seeds or ""), ours.unit]
        lines.append("\t".join([*values, _number(cell.paper), cell.notes]))
    return "\n".join(lines) + "\n"


def grid(table: Table) -> list[list[str]]:
    """Lay a table out for reading.

    Returns
    -------
    list of list of str
        Header first. Each column is two where the paper prints any of its numbers (ours, paper);
        ``n`` (least and greatest) and ``note`` come last. Notes that all cells of a row share are given once.
    """
    cells = {(cell.row, cell.column): cell for cell in table.cells}
    printed = {cell.column for cell in table.cells if cell.paper is not None}
    header = [table.row_title, *(["Description"] if table.descriptions else [])]
    for column in table.columns:
        header += [f"{column}: ours", f"{column}: paper"] if column in printed else [column]
    lines = [[*header, "n", "note"]]
    for row in table.rows:
        line = [row, *([table.descriptions.get(row, "")] if table.descriptions else [])]
        present = [cells[row, column] for column in table.columns if (row, column) in cells]
        for column in table.columns:
            cell = cells.get((row, column))
            line.append(_readable(cell.ours, table.decimals) if cell else "")
            if column in printed:
                line.append("" if cell is None or cell.paper is None else f"{cell.paper:.{table.decimals}f}")
        lines.append([*line, _counts(present), _row_note(present)])
    return lines


def _counts(cells: Sequence[Cell]) -> str:
    counts = sorted({cell.ours.n for cell in cells if cell.ours.n is not None})
    return "–".join(dict.fromkeys(map(str, counts[:1] + counts[-1:])))


def _row_note(cells: Sequence[Cell]) -> str:
    """Join a row's notes; a note of some cells only names their columns."""
    by_note: dict[str, list[str]] = {}
    for cell in cells:
        for note in filter(None, dict.fromkeys([cell.ours.note, cell.note])):
            by_note.setdefault(note, []).append(cell.column)
    whole = len(cells)
    return "; ".join(
        note if len(columns) == whole else f"{', '.join(columns)}: {note}"
        for note, columns in by_note.items()
    )


def to_markdown(table: Table, notes: Sequence[str]) -> str:
    """Heading, caption, pipe table and footnotes."""

    def row(values: Iterable[str]) -> str:
        return "| " + " | ".join(value.replace("|", "\\|") for value in values) + " |"

    header, *lines = grid(table)
    n_text = 2 if table.descriptions else 1
    rule = "|" + "|".join([*[" --- "] * n_text, *[" ---: "] * (len(header) - 1 - n_text), " --- "]) + "|"
    body = "\n".join([row(header), rule, *map(row, lines)])
    foot = "\n".join(f"*{note}*  " for note in notes).rstrip()
    return f"### {table.title}\n\n{table.caption}\n\n{body}\n\n{foot}\n"


def to_html(table: Table, notes: Sequence[str]) -> str:
    """A ``<section>`` without styles of its own, to be put into a page."""

    def row(values: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values) + "</tr>"

    header, *lines = grid(table)
    return "\n".join(
        [
            f'<section id="{html.escape(table.name)}">',
            f"<h3>{html.escape(table.title)}</h3>",
            f"<p>{html.escape(table.caption)}</p>",
            "<table>",
            f"<thead>{row(header, 'th')}</thead>",
            "<tbody>",
            *(row(line, "td") for line in lines),
            "</tbody>",
            "</table>",
            *(f'<p class="note">{html.escape(note)}</p>' for note in notes),
            "</section>",
            "",
        ]
    )


_LATEX = {
    "\\": r"\textbackslash{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "±": r"$\pm$",
    "≤": r"$\le$",
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in text)


def to_latex(table: Table, notes: Sequence[str]) -> str:
    """A floating ``table`` that needs the package booktabs."""

    def row(values: Iterable[str]) -> str:
        return "    " + " & ".join(map(_latex, values)) + r" \\"

    header, *lines = grid(table)
    n_text = 2 if table.descriptions else 1
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{_latex(table.title)}. {_latex(table.caption)}}}",
            f"  \\label{{tab:{table.name}}}",
            f"  \\begin{{tabular}}{{{'l' * n_text}{'r' * (len(header) - 1 - n_text)}l}}",
            r"    \toprule",
            row(header),
            r"    \midrule",
            *map(row, lines),
            r"    \bottomrule",
            r"  \end{tabular}",
            *(f"  \\par\\footnotesize {_latex(note)}" for note in notes),
            r"\end{table}",
            "",
        ]
    )


WRITERS: dict[str, Callable[[Table, Sequence[str]], str]] = {
    "tsv": to_tsv,
    "md": to_markdown,
    "html": to_html,
    "tex": to_latex,
}


def write_table(
    table: Table, *, scale_note: str, stand_ins: Mapping[str, str], tables_dir: str | Path
) -> list[Path]:
    """Write one table in every format; returns the paths."""
    notes = footnotes(table, scale_note, stand_ins)
    paths = []
    for ending, write in WRITERS.items():
        path = Path(tables_dir) / f"{table.name}.{ending}"
        with atomic_path(path) as temporary:
            temporary.write_text(write(table, notes), encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def tabulate(
    *,
    metrics_path: str | Path,
    facts_paths: Sequence[str | Path],
    report: Mapping[str, Any],
    scale_note: str,
    tables_dir: str | Path,
) -> None:
    """Write every table of every registered table module.

    Parameters
    ----------
    metrics_path : path
        ``metrics.tsv`` of all runs.
    facts_paths : sequence of path
        ``model.json`` of all runs.
    report : mapping
        Fields of :class:`foley.report.config.ReportConfig`.
    scale_note : str
        At what scale the numbers were made; printed under every table.
    tables_dir : path
        Folder to fill.

    Raises
    ------
    ConfigError
        If a configured row is unknown, or its experiment was not run.
    StoreError
        If a configured experiment lacks a metric that its table shows.
    """
    config = ReportConfig(**report)
    measured = Measured.read(metrics_path)
    ran = {experiment for experiment, _ in read_facts(facts_paths)}
    modules = [importlib.import_module(name) for name in REGISTRY["tables"].values()]
    known = {name for module in modules for name in module.TABLES}
    for name, rows in config.rows.items():
        if name not in known:
            raise ConfigError(
                f"report.rows: no table is called {name!r}; there are {', '.join(sorted(known))}"
            )
        for row, experiment in rows.items():
            if experiment not in ran:
                raise ConfigError(
                    f"report.rows.{name}.{row}: experiment {experiment!r} was not run; "
                    f"there are {', '.join(sorted(ran))}"
                )
    Path(tables_dir).mkdir(parents=True, exist_ok=True)
    for module in modules:
        make_tables: Maker = module.make_tables
        for table in make_tables(measured, config):
            write_table(table, scale_note=scale_note, stand_ins=config.stand_ins, tables_dir=tables_dir)
