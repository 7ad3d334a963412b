"""Visual2Sound's tables: measured cells measured, human cells left open, nothing of the paper lost."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from foley.errors import ConfigError, StoreError
from foley.metrics.evaluate import MetricRow
from foley.report.config import ReportConfig
from foley.report.measured import Measured
from foley.report.tables import NEEDS_LISTENERS, NOT_CONFIGURED, Cell, read_paper
from foley.report.visual2sound import PAPER_PATH, ROWS, TABLES, make_tables

ROOT = Path(__file__).parents[2]
DEFAULTS: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
PRINTED = read_paper(PAPER_PATH)
REPORT = {
    "names": {"Dog": "footstep", "Drum": "clock"},
    "rows": {
        "visual2sound_table1": {"Frame": "frame", "Flow": "flow"},
        "visual2sound_table2": {"Flow": "flow", "Real": "recorded"},
        "visual2sound_text": {"multi-category model": "flow", "Dog / single-category model": "steps"},
    },
}


def row(experiment: str, metric: str, part: str = "", value: float | None = 0.5) -> MetricRow:
    return MetricRow(experiment=experiment, metric=metric, part=part, seed=0, n=8, value=value, unit="u")


def measured() -> Measured:
    rows = [
        *(row(one, "cross_entropy", part, 2.0) for one in ("frame", "flow") for part in ("", "train")),
        *(row(one, "cross_entropy", "test", 3.0) for one in ("frame", "flow")),
        row("flow", "cross_entropy", "test/class/footstep", 2.5),
        row("steps", "cross_entropy", "", 1.5),
        row("steps", "cross_entropy", "test/class/footstep", 1.5),
        *(row("flow", "retrieval", part, 0.25) for part in ("", "class_average", "class/clock")),
        row("flow", "retrieval", "class/footstep", 0.5),
        *(row("recorded", "retrieval", part, 1.0) for part in ("", "class_average", "class/clock")),
        row("recorded", "retrieval", "class/footstep", 0.5),
        row("recorded", "retrieval", "class/rain", 0.0),
    ]
    return Measured(rows, "metrics.tsv")


def cells(report: dict[str, Any] = REPORT) -> dict[str, dict[tuple[str, str], Cell]]:
    tables = make_tables(measured(), ReportConfig(**report))
    assert tuple(table.name for table in tables) == TABLES
    return {table.name: {(cell.row, cell.column): cell for cell in table.cells} for table in tables}


def test_every_printed_number_is_in_its_table() -> None:
    found = cells()
    for name, values in PRINTED.items():
        for one in values:
            column = f"{one.column} (nats)" if name == "visual2sound_table1" else one.column
            assert found[name][one.row, column].paper == one.value, (name, one)
    assert [len(values) for values in PRINTED.values()] == [6, 44, 8]


@pytest.mark.parametrize(
    ("column", "printed", "mean"),
    [("Frame", 68.69, 69.19), ("Seq", 72.63, 72.63), ("Flow", 73.36, 73.36), ("Real", 91.43, 91.43)],
)
def test_printed_averages_are_means_but_for_one_that_is_noted(
    column: str, printed: float, mean: float
) -> None:
    values = {one.row: one for one in PRINTED["visual2sound_table2"] if one.column == column}
    average = values.pop("Average")
    assert average.value == printed
    assert sum(one.value for one in values.values()) / 10 == pytest.approx(mean, abs=0.006)
    assert ("69.19" in average.note) == (printed != mean)


def test_losses_stand_in_nats_beside_the_papers_and_in_bits_alone() -> None:
    found = cells()["visual2sound_table1"]
    nats, bits = found["Testing", "Flow (nats)"], found["Testing", "Flow (bits)"]
    assert (nats.ours.value, nats.ours.unit, nats.paper) == (3.0, "nats", 2.6839)
    assert bits.ours.value == pytest.approx(4.328, abs=1e-3)
    assert (bits.ours.unit, bits.paper) == ("bits", None)
    assert found["Training", "Frame (nats)"].ours.value == 2.0
    assert found["Training", "Seq (nats)"].ours.note == NOT_CONFIGURED


def test_what_people_judged_is_left_open_and_ours_stands_beside_it() -> None:
    found = cells()["visual2sound_table2"]
    human = found["Dog", "Flow"]
    assert (human.ours.value, human.ours.note, human.paper) == (None, NEEDS_LISTENERS, 62.24)
    heard = "heard right, objective (%)"
    assert found["footstep", f"Flow, {heard}"].ours.value == pytest.approx(50)
    assert found["Average", f"Flow, {heard}"].ours.value == pytest.approx(25)
    assert found["Average", f"Real, {heard}"].ours.value == pytest.approx(75), "of the made classes only"
    assert found["clock", f"Seq, {heard}"].ours.note == NOT_CONFIGURED
    assert not any(row_name == "rain" for row_name, _ in found)


def test_the_additional_experiments_are_compared_class_by_class() -> None:
    found = cells()["visual2sound_text"]
    assert found["Dog / multi-category model", "Cross-entropy (nats)"].ours.value == 2.5
    assert found["Dog / single-category model", "Cross-entropy (nats)"].ours.value == 1.5
    assert found["Drum / single-category model", "Cross-entropy (nats)"].ours.note == NOT_CONFIGURED
    assert (
        found["Drum / multi-category model", "Cross-entropy (nats)"].ours.note
        == "it does not make this class"
    )
    assert found["Dog / upper bound of Owens et al.", "Taken for real (%)"].ours.note == NEEDS_LISTENERS
    assert "Greatest Hits" in found["Greatest Hits / Owens et al.", "Preferred to real (%)"].notes


def test_without_experiments_every_cell_says_so() -> None:
    for name, table in cells({}).items():
        for cell in table.values():
            assert cell.ours.value is None, name
            assert cell.ours.note in (NOT_CONFIGURED, NEEDS_LISTENERS)


def test_rows_that_no_table_has_and_experiments_without_likelihood_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"visual2sound_table1: no row is called 'Flw'"):
        cells({"rows": {"visual2sound_table1": {"Flw": "flow"}}})
    with pytest.raises(StoreError, match="'recorded' has no metric 'cross_entropy'"):
        cells({"rows": {"visual2sound_table1": {"Flow": "recorded"}}})


def test_the_default_configuration_fills_the_tables() -> None:
    rows = DEFAULTS["report"]["rows"]
    for table in ("visual2sound_table1", "visual2sound_table2"):
        assert set(rows[table]) == set(ROWS[table])
    named = {one for table in TABLES for one in rows[table].values()}
    assert named <= set(DEFAULTS["experiments"])
