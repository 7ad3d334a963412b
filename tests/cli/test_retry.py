"""``foley retry`` forgets chosen failures and marks their shards, and touches nothing else."""

import sys
from pathlib import Path

import pytest
import yaml

from foley.cli.main import main
from foley.datasets.ledger import Entry, ledger_path, write_entry
from foley.store.manifests import Medium, write_rows

ROOT = Path(__file__).parents[2]
FAILED = {"a": ("000", "network"), "b": ("001", "private"), "c": ("001", "ok"), "d": ("002", "rate_limit")}


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a data set was asked for: tables of three shards, a ledger for each recording."""
    entry = {"kind": "folder", "settings": {"path": "films"}}
    overlay = {"dataset": "web", "data_dir": "data", "datasets": {"web": entry}}
    (tmp_path / "web.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    media = tmp_path / "results/web/media"
    for shard in ("000", "001", "002"):
        rows = [
            Medium(
                recording_id=name,
                label="hit",
                shard=at,
                group="",
                split="",
                path="",
                sha256="",
                status=status,
            )
            for name, (at, status) in FAILED.items()
            if at == shard
        ]
        write_rows(media / f"{shard}.tsv", Medium, rows)
        (media / f"{shard}.events.tsv").write_text("no table of media\n", encoding="utf-8")
    for name, (_, status) in FAILED.items():
        path = ledger_path(tmp_path / "data/web/hit", name)
        ledger = Entry(
            recording_id=name,
            url="http://host",
            start_s=None,
            end_s=None,
            status=status,
            n_attempts=1,
            when="",
        )
        write_entry(path, ledger)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def retry(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    configs = ["--config", str(ROOT / "config.yaml"), "--config", "web.yaml"]
    monkeypatch.setattr(sys, "argv", ["foley", "retry", *configs, *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def left(folder: Path) -> tuple[list[str], list[str]]:
    ledgers = sorted(path.stem for path in (folder / "data/web/hit").iterdir())
    notes = sorted(path.stem for path in (folder / "results/web/media").glob("*.again"))
    return ledgers, notes


def test_network_and_rate_limit_are_what_is_retried(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retry(monkeypatch) == 0
    assert left(run_folder) == (["b", "c"], ["000", "002"])
    assert "2 recordings of 2 shards" in capsys.readouterr().out
    assert len(list((run_folder / "results/web/media").glob("*.tsv"))) == 6


def test_chosen_reasons_only(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retry(monkeypatch, "--dataset", "web", "--reasons", "private, region") == 0
    assert left(run_folder) == (["a", "c", "d"], ["001"])
    assert "ask the owner for access" in capsys.readouterr().out
    first = (run_folder / "results/web/media/001.again").read_text(encoding="utf-8")
    assert retry(monkeypatch, "--reasons", "private") == 0
    # Snakemake takes a note with the same words for no news.
    assert (run_folder / "results/web/media/001.again").read_text(encoding="utf-8") != first


def test_nothing_to_retry_is_said(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retry(monkeypatch, "--reasons", "removed") == 0
    assert "Nothing failed for removed" in capsys.readouterr().out
    assert left(run_folder) == (["a", "b", "c", "d"], [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--reasons", "netwrk"), "no reason is called 'netwrk'; there are age_restricted,"),
        (("--reasons", "ok"), "no reason is called 'ok'"),
        (("--dataset", "wbe"), "no data set is called 'wbe'; there are"),
        (("--results", "elsewhere"), "run the workflow for the data set web first"),
    ],
)
def test_a_mistake_is_named(
    run_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    assert retry(monkeypatch, *words) == 1
    assert message in capsys.readouterr().err
    assert left(run_folder) == (["a", "b", "c", "d"], [])
