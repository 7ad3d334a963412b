"""V2RA-GAN's tables: measured cells measured, the others say why not, the printed numbers as printed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from foley.errors import ConfigError, StoreError
from foley.metrics.evaluate import MetricRow
from foley.metrics.osg import grade
from foley.report.config import ReportConfig
from foley.report.measured import Measured
from foley.report.tables import NEEDS_LISTENERS, NOT_CONFIGURED, Cell, read_paper
from foley.report.v2ra import (
    NEEDS_FILMS,
    NEEDS_RECORDINGS,
    PAPER_PATH,
    ROWS,
    SEE_BENCHMARKS,
    TABLES,
    make_tables,
)

ROOT = Path(__file__).parents[2]
DEFAULTS: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
REPORT = {
    "rows": {
        "v2ra_table5": {"Ground truth & Ours": "full"},
        "v2ra_table6": {"Our method": "full", "Ground truth": "recorded"},
        "v2ra_table7": {"Full system": "full", "L1 + LS loss function": "full", "LS loss function": "ls"},
        "v2ra_table8": {
            "Firework / original result": "full",
            "Firework / after de-noising": "denoised",
        },
        "v2ra_text": {"Nearest-neighbour retrieval": "full"},
    },
}
GRADES = {"full": 1.0, "ls": 2.0, "denoised": 3.0, "recorded": 0.0}


def row(experiment: str, metric: str, part: str, value: float) -> MetricRow:
    return MetricRow(
        experiment=experiment, metric=metric, part=part, seed=0, n=8, value=value, unit="u", note=""
    )


def measured() -> Measured:
    rows = []
    for name, number in GRADES.items():
        rows += [row(name, "odg", "", -number)]
        rows += [
            row(name, "osg", part, number * factor) for part, factor in (("", 10), ("mms", 1), ("msf", 2))
        ]
        rows += [
            row(name, "osg", part, number * factor) for part, factor in (("rms", 3), ("class/gunshot", 10))
        ]
    rows += [row("full", "nearest", part, value) for part, value in (("", 0.7), ("test_set", 0.25))]
    rows += [row("full", "nearest", "test_set/chance", 0.125)]
    return Measured(rows, "metrics.tsv")


def cells(report: dict[str, Any] = REPORT) -> dict[str, dict[tuple[str, str], Cell]]:
    tables = make_tables(measured(), ReportConfig(**report))
    assert sorted(table.name for table in tables) == sorted(TABLES)
    return {table.name: {(cell.row, cell.column): cell for cell in table.cells} for table in tables}


def test_every_printed_number_is_in_its_table() -> None:
    found = cells()
    counts = {}
    for name, values in read_paper(PAPER_PATH).items():
        counts[name] = len(values)
        assert len(found[name]) == len(values)
        for one in values:
            assert found[name][one.row, one.column].paper == one.value, (name, one)
    assert counts == {
        "v2ra_table5": 4,
        "v2ra_table6": 15,
        "v2ra_table7": 55,
        "v2ra_table8": 42,
        "v2ra_table9": 12,
        "v2ra_text": 3,
    }


def test_the_printed_grades_add_up_or_say_that_they_do_not() -> None:
    paper = read_paper(PAPER_PATH)
    wrong = {}
    for name in ("v2ra_table6", "v2ra_table7"):
        printed = {(one.row, one.column): one for one in paper[name]}
        for audio in ROWS[name]:
            parts = [printed[audio, part].value for part in ("MMS", "MSF", "RMS")]
            sum_of_parts, one = float(grade(parts)), printed[audio, "OSG"]
            if one.note:
                wrong[audio] = round(sum_of_parts, 4)
                assert f"gives {sum_of_parts:.4f}" in one.note
            else:
                assert one.value == pytest.approx(sum_of_parts, abs=5e-4)
    assert wrong == {
        "+ skip connections for the generator": 2.6522,
        "- audio filter (the last layer of the generator)": 17.7731,
        "+ random crop": 10.8816,
        "LS loss function": 31.3432,
    }


def test_measured_grades_go_to_their_columns() -> None:
    found = cells()
    values = [found["v2ra_table7"]["LS loss function", column].ours.value for column in ("ODG", "MMS", "MSF")]
    assert values == [-2, 2, 4]
    assert found["v2ra_table7"]["LS loss function", "RMS"].ours.value == 6
    assert found["v2ra_table7"]["LS loss function", "OSG"].ours.value == 20
    assert found["v2ra_table7"]["CE loss function", "OSG"].ours.note == NOT_CONFIGURED
    assert found["v2ra_table6"]["Ground truth", "OSG"].ours.value == 0
    assert found["v2ra_table6"]["[14]", "OSG"].ours.note == NOT_CONFIGURED
    assert found["v2ra_table8"]["Firework", "original result, OSG"].ours.value == 10
    assert found["v2ra_table8"]["Firework", "after de-noising, ODG"].ours.value == -3
    assert found["v2ra_table8"]["Firework", "after peak-match, ODG"].ours.note == NOT_CONFIGURED
    assert found["v2ra_table8"]["Bird", "original result, OSG"].ours.note == NOT_CONFIGURED


def test_what_cannot_be_measured_says_why() -> None:
    found = cells()
    assert {cell.ours.note for cell in found["v2ra_table9"].values()} == {NEEDS_LISTENERS}
    fifth = {audio: cell.ours for (audio, _), cell in found["v2ra_table5"].items()}
    assert fifth["Ground truth & [2]"].note == NEEDS_RECORDINGS
    assert fifth["Figure 6(a) middle & Figure 6(b) middle"].note == NEEDS_RECORDINGS
    assert fifth["Figure 6(a) bottom & Figure 6(b) bottom"].note == NEEDS_FILMS
    assert fifth["Ground truth & Ours"].value == 10
    assert found["v2ra_text"]["Generation", "seconds for a second of sound"].ours.note == SEE_BENCHMARKS


def test_retrieval_is_the_papers_among_test_recordings() -> None:
    found = cells()["v2ra_text"]
    assert found["Nearest-neighbour retrieval", "class found (%)"].ours.value == 25
    assert found["Nearest-neighbour retrieval", "by chance (%)"].ours.value == 12.5


def test_the_class_that_stands_for_a_category_is_named() -> None:
    captions = {table.name: table.caption for table in make_tables(measured(), ReportConfig(**REPORT))}
    assert captions["v2ra_table8"].endswith("Class here: Firework: gunshot.")
    assert "Our method: gunshot" in captions["v2ra_table6"]
    assert "Class here" not in captions["v2ra_table9"]
    without = make_tables(Measured([], "metrics.tsv"), ReportConfig())
    assert not any("Class here" in table.caption for table in without)


def test_a_misspelt_row_and_a_missing_metric_are_errors() -> None:
    with pytest.raises(ConfigError, match="Full sytem"):
        cells({"rows": {"v2ra_table7": {"Full sytem": "full"}}})
    with pytest.raises(StoreError, match="'other' has no metric 'odg'"):
        cells({"rows": {"v2ra_table7": {"Full system": "other"}}})


def test_the_default_configuration_fills_all_of_table_7_and_shares_models_in_table_8() -> None:
    rows, experiments = DEFAULTS["report"]["rows"], DEFAULTS["experiments"]
    assert set(rows["v2ra_table7"]) == set(ROWS["v2ra_table7"])
    # The full system and L1 + LS are one; every other row is a model of its own.
    assert len(set(rows["v2ra_table7"].values())) == 10
    for category in ("Dog", "Firework"):
        original = rows["v2ra_table8"][f"{category} / original result"]
        for how in ("after de-noising", "after peak-match"):
            assert experiments[rows["v2ra_table8"][f"{category} / {how}"]]["trained_as"] == original
