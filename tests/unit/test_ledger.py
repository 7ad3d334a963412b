"""The ledger of downloads: what counts as settled, and what is no ledger."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foley.datasets.ledger import Entry, forget, is_settled, ledger_path, read_entry, write_entry

ENTRY = Entry(
    recording_id="a",
    url="http://host/a",
    start_s=1.5,
    end_s=None,
    status="ok",
    file="a.mp4",
    n_bytes=3,
    n_attempts=2,
    when="2026-01-01T00:00:00+00:00",
)
ASKED = ("http://host/a", 1.5, None)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_a_ledger_reads_as_it_was_written(tmp_path: Path) -> None:
    path = ledger_path(tmp_path, "a")
    write_entry(path, ENTRY)
    assert read_entry(path) == ENTRY
    assert read_entry(ledger_path(tmp_path, "b")) is None


@QUICK
@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_what_is_no_ledger_counts_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert read_entry(path) is None


@pytest.mark.parametrize(
    ("change", "content", "settled"),
    [
        ({}, b"abc", True),
        ({}, b"abcd", False),
        ({}, None, False),
        ({"status": "network", "file": ""}, None, False),
        ({"status": "rate_limit", "file": ""}, None, False),
        ({"status": "private", "file": ""}, None, True),
        ({"url": "http://host/b"}, b"abc", False),
        ({"start_s": 2.0}, b"abc", False),
        ({"end_s": 9.0}, b"abc", False),
    ],
)
def test_only_what_is_whole_or_hopeless_is_settled(
    tmp_path: Path, change: dict[str, object], content: bytes | None, settled: bool
) -> None:
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    assert is_settled(ENTRY.model_copy(update=change), ASKED, tmp_path) is settled
    assert not is_settled(None, ASKED, tmp_path)


def test_only_chosen_failures_of_that_recording_are_forgotten(tmp_path: Path) -> None:
    failed = ENTRY.model_copy(update={"status": "network", "file": ""})
    path = ledger_path(tmp_path / "web/hit", "a")
    write_entry(path, failed)
    write_entry(ledger_path(tmp_path / "web/rain", "a"), failed)
    assert forget(tmp_path, "hit", "a", ["private"]) == 0
    assert forget(tmp_path, "hit", "b", ["network"]) == 0
    assert forget(tmp_path, "hit", "a", ["network", "private"]) == 1
    assert not path.exists()
    assert ledger_path(tmp_path / "web/rain", "a").exists()
    assert forget(tmp_path / "missing", "hit", "a", ["network"]) == 0
