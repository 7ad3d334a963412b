"""What jobs took, from benchmark files."""

from pathlib import Path

import pytest

from foley.report.costs import costs_text, mean_cpu_s, read_job_times


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Benchmark files as Snakemake and the fork server write them: of a long, a short and a tiny rule."""
    for name, text in {
        "train_model/d/net/0": "9.0\t12.0",
        "train_model/d/net/1": "4.0\tNA",
        "check_media/d/000": "5.0\t4.0",
        "tabulate/all": "0.02\t0.01",
        "collect_metrics/all": "0.02\t-",
    }.items():
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tcpu_time\n{text}\n", encoding="utf-8")
    return tmp_path


def test_a_job_that_was_not_looked_at_took_what_the_clock_says(folder: Path) -> None:
    means = mean_cpu_s(read_job_times(folder))
    assert means == {"train_model": 8.0, "check_media": 4.0, "tabulate": 0.01, "collect_metrics": 0.02}


def test_shares_are_of_all_jobs_and_small_rules_are_added_up(folder: Path) -> None:
    assert costs_text(read_job_times(folder)).splitlines()[2:] == [
        "| train_model | 2 | 16 | 80 % |",
        "| check_media | 1 | 4 | 20 % |",
        "| 2 others | 2 | 0 | 0 % |",
        "| all | 5 | 20 | 100 % |",
    ]


def test_no_job_is_no_table(tmp_path: Path) -> None:
    assert costs_text(read_job_times(tmp_path)) == ""
