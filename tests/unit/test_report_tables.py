"""Tables: nothing invented, nothing silently missing, equal bytes for equal metrics."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from foley.errors import ConfigError, StoreError
from foley.metrics.evaluate import MetricRow
from foley.report.autofoley import PAPER_PATH, ROWS
from foley.report.measured import Measured
from foley.report.tables import (
    NEEDS_LISTENERS,
    NOT_CONFIGURED,
    Cell,
    Table,
    Value,
    grid,
    read_paper,
    tabulate,
    to_html,
    to_latex,
    to_markdown,
)
from foley.store.manifests import write_rows

LABELS = ("break", "horse")
REPORT: dict[str, Any] = {
    "figures": [],
    "rows": {
        "autofoley_table1": {"Model 1": "one", "Model 2": "two"},
        "autofoley_table2": {
            "POCAN (ResNet + spectrogram + GHD dataset)": "one",
            "Recorded sound": "recorded",
        },
        "autofoley_table3": {
            "AutoFoley (Frame-Sequence Network)": "one",
            "AutoFoley (Real sound tracks)": "recorded",
        },
        "autofoley_table4": {"Model 1": "one", "Model 2": "two"},
        "autofoley_table5": {"Frame Sequence Network": "one", "Ablation Model 2": "bare"},
    },
    "stand_ins": {"ResNet-50": "EfficientNet-Lite0"},
}


def row(experiment: str, metric: str, part: str = "", value: float | None = 0.5, **over: Any) -> MetricRow:
    given = {"seed": 0, "n": 24, "ci_low": 0.4, "ci_high": 0.6, "unit": "proportion", **over}
    return MetricRow(experiment=experiment, metric=metric, part=part, value=value, **given)


def rows_of(experiment: str, value: float, seed: int = 0) -> list[MetricRow]:
    return [
        row(experiment, "accuracy", value=value, seed=seed),
        row(experiment, "accuracy", "train", value=0.99, seed=seed),
        row(experiment, "accuracy", "test", value=value, seed=seed),
        row(experiment, "accuracy", "test/class_average", value=value + 0.01, seed=seed),
        row(experiment, "log_loss", value=0.7, unit="nats", seed=seed),
        row(experiment, "log_loss", "train", value=0.1, unit="nats", seed=seed),
        row(experiment, "log_loss", "test", value=0.7, unit="nats", seed=seed),
        row(experiment, "retrieval", value=value - 0.1, seed=seed),
        row(experiment, "retrieval", "class_average", value=value - 0.1, seed=seed),
        row(experiment, "correlation", value=0.8, seed=seed),
        *(
            row(experiment, "correlation", f"{reading}{part}", value=0.8, seed=seed)
            for reading in ("envelope_peak", "envelope_lag0", "waveform_peak", "waveform_lag0")
            for part in ("", *(f"/class/{label}" for label in LABELS))
        ),
    ]


def all_rows() -> list[MetricRow]:
    silent = {"value": None, "ci_low": None, "ci_high": None, "note": "this system predicts no class"}
    return [
        *rows_of("one", 0.7, 0),
        *rows_of("one", 0.8, 1),
        *rows_of("two", 0.6),
        row("bare", "accuracy", value=0.3),
        row("bare", "accuracy", "test/class_average", value=0.3),
        row("recorded", "accuracy", **silent),
        row("recorded", "retrieval", value=0.95),
        row("recorded", "retrieval", "class_average", value=0.95),
        row("one", "sync", value=0.6, note="event times: generated"),
        row("one", "sync", "missing", value=3, unit="count", ci_low=None, ci_high=None),
        row("one", "sync", "f1_50ms", value=0.6),
        row("one", "sync", "class/break", value=0.6),
        row("one", "sync", "difference", value=0.4),
        row("one", "sync", "difference/f1_50ms", value=0.4),
        row("one", "sync", "shuffled", value=0.2),
        row("one", "sync", "shuffled/f1_50ms", value=0.2),
    ]


def made(folder: Path, rows: list[MetricRow], report: dict[str, Any]) -> Path:
    write_rows(folder / "metrics.tsv", MetricRow, rows)
    facts = []
    for experiment, seed in sorted({(one.experiment, one.seed) for one in rows}):
        path = folder / experiment / f"seed{seed}" / "model.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"experiment": experiment}))
        facts.append(str(path))
    tabulate(
        metrics_path=folder / "metrics.tsv",
        facts_paths=facts,
        report=report,
        scale_note="112 px\npictures",
        tables_dir=folder / "tables",
    )
    return folder / "tables"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tables"), all_rows(), REPORT)


def cells(tables: Path, name: str) -> dict[tuple[str, str], dict[str, str]]:
    lines = (tables / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    body = [line for line in lines if not line.startswith("#")]
    return {
        (one["row"], one["column"]): one
        for one in csv.DictReader(body, delimiter="\t", quoting=csv.QUOTE_NONE)
    }


def test_every_table_comes_in_every_format(tables: Path) -> None:
    names = {f"autofoley_table{number}" for number in range(1, 10)} | {"autofoley_sync"}
    names |= {f"regnet_table{number}" for number in range(1, 9)} | {"regnet_text", "regnet_vocoders"}
    names |= {f"v2ra_table{number}" for number in range(5, 10)} | {"v2ra_text"}
    names |= {f"foleygan_table{number}" for number in range(1, 5)} | {"foleygan_sync"}
    names |= {"visual2sound_table1", "visual2sound_table2", "visual2sound_text"}
    assert {path.name for path in tables.iterdir()} == {
        f"{name}.{ending}" for name in names for ending in ("tsv", "md", "html", "tex")
    }


def test_every_table_carries_scale_and_stand_ins(tables: Path) -> None:
    for path in tables.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "Scale: 112 px pictures" in text, path
        assert "EfficientNet-Lite0 for ResNet-50" in text, path


def test_ours_is_the_mean_over_seeds_beside_the_paper(tables: Path) -> None:
    found = cells(tables, "autofoley_table5")["Frame Sequence Network", "Average Accuracy (%)"]
    assert float(found["ours"]) == pytest.approx(76)
    # Student's t with one degree of freedom, in closed form; a proportion stays below 100 %.
    half = math.tan(math.pi * 0.475) * 5
    assert (float(found["ci_low"]), float(found["ci_high"])) == (pytest.approx(76 - half, abs=0.01), 100)
    assert (found["n"], found["seeds"], found["paper"], found["unit"]) == ("24", "2", "65.79", "%")


def test_one_seed_keeps_the_interval_of_the_metric(tables: Path) -> None:
    found = cells(tables, "autofoley_table4")["Accuracy", "Test Model 2"]
    assert (found["ours"], found["ci_low"], found["ci_high"], found["seeds"]) == ("0.6", "0.4", "0.6", "1")
    assert found["paper"] == "0.806"


def test_a_cell_without_a_number_says_why(tables: Path) -> None:
    assert {one["note"].split("; ")[0] for one in cells(tables, "autofoley_table8").values()} == {
        NEEDS_LISTENERS
    }
    assert all(one["note"] == NOT_CONFIGURED for one in cells(tables, "autofoley_table6").values())
    first = cells(tables, "autofoley_table1")
    assert first["Rain", "Model 1"]["note"] == "no test clip of this class"
    for name in [*ROWS, "autofoley_table2", "autofoley_table8", "autofoley_table9", "autofoley_sync"]:
        for one in cells(tables, name).values():
            assert one["ours"] or one["note"], one


def test_compared_systems_stand_beside_the_quoted_numbers(tables: Path) -> None:
    found = cells(tables, "autofoley_table2")
    row, column = "POCAN (ResNet + spectrogram + GHD dataset)", "Avg. Acc."
    assert float(found[row, column]["ours"]) == pytest.approx(65)
    assert found[row, column]["paper"] == "36.32"
    assert float(found[row, "Class seen (%)"]["ours"]) == pytest.approx(76)
    assert found[row, "Sync F1"]["ours"] == "0.6"
    assert found["Recorded sound", column]["ours"] == "95"
    assert found["Recorded sound", column]["paper"] == ""
    assert found["Zhou et al. (Flow method + VEGAS dataset)", column]["note"].startswith(NOT_CONFIGURED)


def test_an_experiment_that_is_not_scored_for_a_side_column_says_so(tables: Path) -> None:
    found = cells(tables, "autofoley_table5")["Ablation Model 2", "Sound retrieval accuracy (%)"]
    assert (found["ours"], found["note"]) == ("", NOT_CONFIGURED)


def test_sync_stands_beside_its_control(tables: Path) -> None:
    found = cells(tables, "autofoley_sync")
    assert (found["one", "f1_50ms"]["ours"], found["one (shuffled)", "f1_50ms"]["ours"]) == ("0.6", "0.2")
    assert found["two", "f1_50ms"]["note"] == NOT_CONFIGURED
    assert found["one (difference)", "f1_50ms"]["ours"] == "0.4"
    assert found["one", "f1_50ms"]["note"] == "event times: generated"
    assert ("one (difference)", "missing") not in found
    assert not any("class" in column for _, column in found)
    assert list(dict.fromkeys(column for _, column in found)) == ["f1_50ms", "missing"]
    assert "| 3 |" in (tables / "autofoley_sync.md").read_text(encoding="utf-8")


def test_equal_metrics_give_equal_bytes(tables: Path, tmp_path: Path) -> None:
    again = made(tmp_path, list(all_rows()), REPORT)
    for path in sorted(tables.iterdir()):
        assert path.read_bytes() == (again / path.name).read_bytes()


def test_a_missing_metric_of_a_configured_experiment_is_named(tmp_path: Path) -> None:
    rows = [one for one in all_rows() if (one.experiment, one.metric) != ("two", "log_loss")]
    with pytest.raises(StoreError, match=r"experiment 'two' has no metric 'log_loss'"):
        made(tmp_path, rows, REPORT)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"autofoley_table55": {}}, "no table is called 'autofoley_table55'"),
        ({"autofoley_table5": {"Ablation Model 9": "one"}}, "no row is called 'Ablation Model 9'"),
        ({"autofoley_table5": {"Ablation Model 1": "none"}}, "experiment 'none' was not run"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, rows: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(tmp_path, all_rows(), {**REPORT, "rows": rows})


def test_a_class_that_the_paper_lacks_gets_its_own_row(tmp_path: Path) -> None:
    found = cells(
        made(tmp_path, [*all_rows(), row("one", "correlation", "envelope_peak/class/drums")], REPORT),
        "autofoley_table1",
    )
    assert found["drums", "Model 1"]["ours"] == "0.5"
    assert found["drums", "Model 1"]["paper"] == ""
    assert [label for label, column in found if column == "Model 1"][11:14] == [
        "Waterfall",
        "drums",
        "Average",
    ]


def test_the_papers_numbers_are_complete() -> None:
    paper = read_paper(PAPER_PATH)
    counts = {name: len(values) for name, values in paper.items()}
    assert counts == dict(
        zip(
            (f"autofoley_table{number}" for number in range(1, 10)),
            (26, 3, 3, 8, 5, 5, 4, 52, 52),
            strict=True,
        )
    )
    for name, expected in ROWS.items():
        printed = {one.row for one in paper[name]} | {one.column.split(" ", 1)[-1] for one in paper[name]}
        assert set(expected) <= printed | {one.column for one in paper[name]}


def test_printed_averages_are_means_except_the_misprint() -> None:
    paper = read_paper(PAPER_PATH)
    off = []
    for name in ("autofoley_table1", "autofoley_table8", "autofoley_table9"):
        for column in dict.fromkeys(one.column for one in paper[name]):
            values = [one for one in paper[name] if one.column == column]
            mean = sum(one.value for one in values[:-1]) / 12
            if abs(mean - values[-1].value) > 0.0101:
                off.append((name, column, round(mean, 2), values[-1].note))
    assert off == [
        ("autofoley_table9", "Query 4 Method 1", 56.86, "as printed; the column's mean is 56.86"),
    ]


def test_formats_escape_what_they_must() -> None:
    table = Table("x", "A & <b>", "50 % | all", (Cell("r_1", "a|b", Value(1.0, 0.5, 2.0, 3, 1)),))
    assert "a\\|b" in to_markdown(table, [])
    assert "A &amp; &lt;b&gt;" in to_html(table, [])
    latex = to_latex(table, ["5 %"])
    assert r"A \& <b>. 50 \% | all" in latex
    assert r"r\_1 & 1.00 [0.50, 2.00] & 3 &  \\" in latex


def test_a_part_that_some_seeds_lack_is_told() -> None:
    rows = [row("a", "sync", value=1.0), row("a", "sync", value=None, seed=1, note="no event")]
    found = Measured(rows, "metrics.tsv").get("a", "sync")
    assert found.value == 1.0
    assert "1 of 2 seeds" in found.note
    with pytest.raises(StoreError, match="has no part 'f1'"):
        Measured(rows, "metrics.tsv").get("a", "sync", "f1")


def test_a_note_that_a_whole_row_shares_is_given_once() -> None:
    cells = (
        Cell("a", "x", Value(-0.001, n=3, n_seeds=1), note="both"),
        Cell("a", "y", Value(1.0, n=5, n_seeds=1, note="only y"), note="both"),
    )
    assert grid(Table("t", "T", "", cells))[1] == ["a", "0.00", "1.00", "3–5", "both; y: only y"]
