"""REGNET's tables: measured cells measured, human cells left open, nothing of the paper lost."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from foley.errors import ConfigError, StoreError
from foley.metrics.evaluate import MetricRow
from foley.report.config import ReportConfig
from foley.report.measured import Measured
from foley.report.regnet import PAPER_PATH, ROWS, TABLES, make_tables
from foley.report.tables import NEEDS_LISTENERS, NOT_CONFIGURED, Cell, read_paper

ROOT = Path(__file__).parents[2]
DEFAULTS: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
REPORT = {
    "names": {"Dog": "footstep", "Fireworks": "gunshot", "Gaussian": "gauss"},
    "rows": {
        "regnet_table1": {"Ours": "all", "Real sound": "recorded"},
        "regnet_table2": {"Ours": "all", "Real sound": "recorded", "horse": "horses"},
        "regnet_table3": {"Dog-gauss / Ours": "gauss", "Dog / Ours": "clean", "Mean sound": "mean"},
        "regnet_table5": {"Regularizer": "shot", "Dog-gauss": "gauss"},
        "regnet_table6": {"Dog-gauss": "gauss"},
        "regnet_table7": {"Ours": "clean"},
        "regnet_table8": {"S860D32": "gauss"},
        "regnet_text": {"Ours": "clean"},
    },
}


def row(experiment: str, metric: str, part: str = "", value: float | None = 0.5, seed: int = 0) -> MetricRow:
    return MetricRow(
        experiment=experiment, metric=metric, part=part, seed=seed, n=8, value=value, unit="u", note=""
    )


def measured() -> Measured:
    rows = [
        row("all", "retrieval", value=0.5),
        row("all", "retrieval", "class_average", 0.6),
        row("all", "retrieval", "class/footstep", 0.7),
        row("all", "retrieval", "class/horse", 0.1),
        row("horses", "retrieval"),
        row("horses", "retrieval", "class/horse", 0.9),
        row("recorded", "retrieval", value=1.0),
        row("recorded", "retrieval", "class_average", 1.0),
        row("recorded", "retrieval", "class/footstep", 1.0),
        row("recorded", "retrieval", "class/horse", 1.0),
        *(row(one, "l2", value=0.02) for one in ("clean", "mean")),
        *(row("gauss", "l2", value=value, seed=seed) for seed, value in enumerate((0.01, 0.02, 0.03))),
        *(
            row(one, "alignment", part, value)
            for one in ("all", "recorded", "clean", "gauss")
            for part, value in (("", 0.2), ("missing", 0.3), ("redundant", 0.2), ("mismatched", 0.1))
        ),
        row("shot", "regulariser", value=None),
        row("shot", "regulariser", "similarity/gauss", 0.25),
        row("gauss", "regulariser", value=None),
        row("gauss", "regulariser", "alone/clean", 0.04),
        row("gauss", "regulariser", "alone/background", 0.01),
        row("clean", "regulariser", value=None),
        row("clean", "regulariser", "mix_in/gauss/zero", 0.05),
        row("clean", "regulariser", "mix_in/gauss/forwarded", 0.03),
        row("clean", "regulariser", "mix_in/gunshot/zero", 0.06),
        row("clean", "regulariser", "mix_in/gunshot/forwarded", 0.02),
    ]
    return Measured(rows, "metrics.tsv")


def cells(report: dict[str, Any] = REPORT) -> dict[str, dict[tuple[str, str], Cell]]:
    tables = make_tables(measured(), ReportConfig(**report))
    assert {table.name for table in tables} == {*TABLES, "regnet_table4"}
    return {table.name: {(cell.row, cell.column): cell for cell in table.cells} for table in tables}


def test_every_printed_number_is_in_its_table() -> None:
    found = cells()
    for name, values in read_paper(PAPER_PATH).items():
        for one in values:
            assert found[name][one.row, one.column].paper == one.value, (name, one)


@pytest.mark.parametrize(
    ("table", "count", "mean", "column"),
    [("regnet_table2", 18, 68.12, "Ours"), ("regnet_table4", 6, None, ""), ("regnet_table8", 20, None, "")],
)
def test_printed_numbers_are_as_many_as_the_paper_has(
    table: str, count: int, mean: float | None, column: str
) -> None:
    values = read_paper(PAPER_PATH)[table]
    assert len(values) == count
    if mean is not None:
        classes = [one.value for one in values if one.column == column and one.row != "Average"]
        assert sum(classes) / len(classes) == pytest.approx(mean, abs=0.005)


def test_differences_that_the_text_quotes_are_those_of_the_numbers() -> None:
    values = {(one.row, one.column): one.value for one in read_paper(PAPER_PATH)["regnet_table1"]}
    for row_name, gain in (("Sound-Missing", 21.24), ("Sound-Redundant", 18.66), ("Sound-Mismatched", 13.54)):
        assert values[row_name, "Ours"] - values[row_name, "Baseline"] == pytest.approx(gain)
    fooled = {(one.row, one.column): one.value for one in read_paper(PAPER_PATH)["regnet_table4"]}
    for row_name, gain in (("Dog", 2.34), ("Dog-gauss", 9.4), ("Dog-fireworks", 5.1)):
        assert fooled[row_name, "Ours"] - fooled[row_name, "Ours-woREG"] == pytest.approx(gain)


def test_what_people_judged_is_left_open_and_ours_stands_beside_it() -> None:
    found = cells()
    human = found["regnet_table1"]["Sound-Missing", "Ours"]
    assert (human.ours.value, human.ours.note, human.paper) == (None, NEEDS_LISTENERS, 60.62)
    beside = found["regnet_table1"]["Sound-Missing", "Ours, objective (%)"]
    assert (beside.ours.value, beside.paper) == (pytest.approx(30), None)
    assert found["regnet_table1"]["Sound-Missing", "Baseline, objective (%)"].ours.note == NOT_CONFIGURED
    assert found["regnet_table4"]["Dog-gauss", "Ours"].ours.note == NEEDS_LISTENERS
    assert found["regnet_table4"]["Dog-gauss", "Ours, misaligned, objective (%)"].ours.value == pytest.approx(
        20
    )
    for column in ("Real-or-fake (%)", "Sound-Missing (1-5)"):
        assert found["regnet_table8"]["S860D32", column].ours.note == NEEDS_LISTENERS


def test_a_class_may_have_an_experiment_of_its_own() -> None:
    found = cells()["regnet_table2"]
    assert found["footstep", "Ours, objective (%)"].ours.value == pytest.approx(70)
    assert found["horse", "Ours, objective (%)"].ours.value == pytest.approx(90)
    assert found["Average", "Ours, objective (%)"].ours.value == pytest.approx(60)


def test_distances_are_hundredths_with_an_interval_over_seeds() -> None:
    found = cells()
    ours = found["regnet_table3"]["Dog-gauss", "Ours"].ours
    half = 4.30265 / 3**0.5  # Student's t, two degrees of freedom; the seeds' standard deviation is 1
    assert (ours.value, ours.n_seeds) == (pytest.approx(2), 3)
    assert (ours.low, ours.high) == (pytest.approx(2 - half, abs=1e-4), pytest.approx(2 + half, abs=1e-4))
    assert found["regnet_table3"]["Dog-gauss", "Mean sound"].ours.value == pytest.approx(2)
    assert found["regnet_table3"]["Dog", "Ours"].paper is None
    assert ("Dog", "Ours-VS") not in found["regnet_table3"]
    assert found["regnet_table3"]["Dog-gauss", "Ours-VS"].ours.note == NOT_CONFIGURED
    assert found["regnet_table8"]["S860D32", "L2 distance"].ours.value == pytest.approx(2)


def test_the_regulariser_s_gain_is_paired_by_seed() -> None:
    plain = [row("plain", "l2", value=value, seed=seed) for seed, value in enumerate((0.02, 0.03, 0.05))]
    ours = [row("ours", "l2", value=value, seed=seed) for seed, value in enumerate((0.01, 0.03, 0.02))]
    gain = Measured([*plain, *ours], "metrics.tsv").difference("ours", "plain", "l2")
    half = 4.30265 * (7 / 3) ** 0.5 / 3**0.5 / 100
    assert (gain.value, gain.n_seeds, gain.n) == (pytest.approx(-0.04 / 3), 3, 8)
    assert (gain.low, gain.high) == (
        pytest.approx(-0.04 / 3 - half, abs=1e-6),
        pytest.approx(-0.04 / 3 + half, abs=1e-6),
    )
    alone = Measured([*plain[:1], *ours[1:]], "metrics.tsv").difference("ours", "plain", "l2")
    assert (alone.value, alone.note) == (None, "needs two seeds that both experiments have")


def test_probes_fill_tables_five_to_seven() -> None:
    found = cells()
    assert found["regnet_table5"]["Dog-fireworks", "Dog-gauss"].ours.value == 0.25
    assert found["regnet_table5"]["Dog-fireworks", "Baby-gauss"].ours.note == NOT_CONFIGURED
    assert found["regnet_table6"]["Dog-gauss", "Dog (relevant sound)"].ours.value == pytest.approx(4)
    assert found["regnet_table6"]["Dog-gauss", "Background (irrelevant sound)"].ours.value == pytest.approx(1)
    assert found["regnet_table7"]["Gaussian", "Zero vector"].ours.value == pytest.approx(5)
    assert found["regnet_table7"]["Fireworks", "Regularizer output"].ours.value == pytest.approx(2)
    assert found["regnet_table7"]["Drum", "Zero vector"].ours.note == NOT_CONFIGURED


def test_without_experiments_every_cell_says_so() -> None:
    for name, table in cells({}).items():
        for cell in table.values():
            assert cell.ours.value is None, name
            assert cell.ours.note in (NOT_CONFIGURED, NEEDS_LISTENERS)


def test_a_row_that_no_table_has_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"regnet_table8: no row is called 'S860D33'"):
        cells({"rows": {"regnet_table8": {"S860D33": "gauss"}}})


def test_an_experiment_without_distances_is_refused() -> None:
    with pytest.raises(StoreError, match="'all' has no metric 'l2'"):
        cells({"rows": {"regnet_table8": {"S860D8": "all"}}})


def test_the_default_configuration_fills_every_row_that_is_ours() -> None:
    rows = DEFAULTS["report"]["rows"]
    for table in ("regnet_table5", "regnet_table6", "regnet_table7", "regnet_table8", "regnet_text"):
        assert set(rows[table]) == set(ROWS[table])
    for experiments in (rows[table] for table in rows if table.startswith("regnet")):
        assert set(experiments.values()) <= set(DEFAULTS["experiments"])
    for variant in ("Ours-woREG", "Ours-VS", "Ours"):
        for data in ("Dog-gauss", "Dog-fireworks"):
            assert DEFAULTS["experiments"][rows["regnet_table3"][f"{data} / {variant}"]]["seeds"] == [0, 1, 2]
