"""FoleyGAN's tables: measured cells measured, what is absent says why, nothing of the paper lost."""

from typing import Any

import pytest

from foley.errors import ConfigError
from foley.metrics.evaluate import MetricRow
from foley.report.config import ReportConfig
from foley.report.foleygan import PAPER_PATH, ROWS, TABLES, make_tables
from foley.report.measured import Measured
from foley.report.tables import NEEDS_LISTENERS, NOT_CONFIGURED, Cell, read_paper

REPORT: dict[str, Any] = {
    "rows": {
        "foleygan_table1": {"FoleyGAN": "guided", "Real Data": "recorded"},
        "foleygan_table2": {"Embedded data": "guided"},
        "foleygan_table3": {"LMS": "guided"},
        "foleygan_sync": {"FoleyGAN": "guided", "FoleyGAN without visual guidance": "blind"},
    }
}


def row(experiment: str, metric: str, part: str = "", value: float = 0.5) -> MetricRow:
    return MetricRow(
        experiment=experiment,
        metric=metric,
        part=part,
        seed=0,
        n=8,
        value=value,
        unit="u",
        note="",
        ci_low=value - 0.1,
        ci_high=value + 0.1,
    )


def measured() -> Measured:
    timed = ("median_error_ms", "f1_25ms", "f1_50ms", "f1_100ms", "difference")
    rows = [
        *(row(one, "sync", part, 0.4) for one in ("guided", "blind") for part in ("", *timed)),
        *(
            row(one, "shift", part, value)
            for one, value in (("guided", 0.6), ("blind", -0.9))
            for part in ("", "follows", "stays", "envelope")
        ),
        *(row("guided", metric, "", value) for metric, value in (("inception_score", 3.0), ("fid", 70.0))),
        row("guided", "ndb", "", 12.0),
        row("guided", "ndb", "class/cutting", 0.14),
        row("guided", "ndb", "class_average", 0.18),
        *(row(one, "retrieval", "", 0.6) for one in ("guided", "blind", "recorded")),
        *(row(one, "retrieval", "class_average", 0.75) for one in ("guided", "blind", "recorded")),
    ]
    return Measured(rows, "metrics.tsv")


def cells(report: dict[str, Any] = REPORT) -> dict[str, dict[tuple[str, str], Cell]]:
    tables = make_tables(measured(), ReportConfig(**report))
    assert sorted(table.name for table in tables) == sorted(TABLES)
    return {table.name: {(cell.row, cell.column): cell for cell in table.cells} for table in tables}


def test_every_printed_number_is_in_its_table():
    found = cells()
    printed = read_paper(PAPER_PATH)
    for name, values in printed.items():
        for value in values:
            assert found[name][value.row, value.column].paper == value.value
    sizes = {"foleygan_table1": 32, "foleygan_table2": 16, "foleygan_table3": 65, "foleygan_table4": 26}
    assert {name: len(values) for name, values in printed.items()} == sizes


def test_the_printed_averages_are_those_of_the_printed_classes():
    for name, tolerance in (("foleygan_table3", 0.006), ("foleygan_table4", 0.05)):
        values = read_paper(PAPER_PATH)[name]
        for column in {value.column for value in values}:
            rows = {value.row: value.value for value in values if value.column == column}
            average = rows.pop("Average")
            assert sum(rows.values()) / 12 == pytest.approx(average, abs=tolerance)


def test_measured_cells_come_from_their_metrics():
    found = cells()
    first = found["foleygan_table1"]
    assert first["FoleyGAN", "IS"].ours.value == 3.0
    assert first["FoleyGAN", "FID"].ours.value == 70.0
    assert first["FoleyGAN", "NDB"].ours.value == 12.0
    accuracy = first["FoleyGAN", "Average accuracy (%)"].ours
    assert (accuracy.value, accuracy.unit, accuracy.n) == (75.0, "%", 8)
    assert accuracy.low == pytest.approx(65)
    third = found["foleygan_table3"]
    assert third["Chopping", "LMS"].ours.value == pytest.approx(7.0)
    assert third["Average", "LMS"].ours.value == pytest.approx(9.0)
    timing = found["foleygan_sync"]
    assert timing["FoleyGAN", "Shift response"].ours.value == 0.6
    assert timing["FoleyGAN without visual guidance", "Shift response"].ours.value == -0.9
    assert timing["FoleyGAN", "F1, 25 ms"].ours.value == 0.4
    assert timing["FoleyGAN", "Average accuracy (%)"].ours.value == 75.0


def test_absent_cells_say_why():
    found = cells()
    assert found["foleygan_table1"]["WaveGAN", "IS"].notes == NOT_CONFIGURED
    assert found["foleygan_table1"]["Real Data", "IS"].notes == "not scored by inception_score"
    second = found["foleygan_table2"]
    assert second["AFD", "IS"].ours.note == "needs AFD"
    assert second["YouTube8M Subset", "FID"].notes == "needs YouTube8M"
    assert second["AudioSet Subset", "NDB"].notes == "needs AudioSet"
    assert second["Embedded data", "IS"].ours.value == 3.0
    assert second["AFD", "NDB"].note == "Table I prints 18.47 for the same row"
    assert found["foleygan_table3"]["Break", "LMS"].notes == "no clips of this class"
    assert found["foleygan_table3"]["Break", "STFT"].notes == NOT_CONFIGURED
    assert {cell.notes for cell in found["foleygan_table4"].values()} == {NEEDS_LISTENERS}
    assert all(cell.ours.value is None for cell in found["foleygan_table4"].values())


def test_systems_without_an_experiment_are_left_out_of_the_table_of_timing():
    rows = {name for name, _ in cells()["foleygan_sync"]}
    assert rows == {"FoleyGAN", "FoleyGAN without visual guidance"}
    more = cells({"rows": {"foleygan_sync": dict.fromkeys(ROWS["foleygan_sync"], "guided")}})
    assert {name for name, _ in more["foleygan_sync"]} == set(ROWS["foleygan_sync"])


def test_an_unknown_row_is_refused():
    with pytest.raises(ConfigError, match=r"foleygan_table1.*no row is called 'MelGAN'"):
        cells({"rows": {"foleygan_table1": {"MelGAN": "guided"}}})
