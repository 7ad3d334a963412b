"""Any file whatsoever is either a manifest or refused with its place; nothing else happens."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from foley.errors import ManifestError
from foley.store.manifests import Event, Split, iterate_rows, read_rows, write_rows

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
HEADER = "\t".join(Event.model_fields).encode()
FIELDS = st.text(
    st.characters(exclude_characters="\n", exclude_categories=("Cs",)), max_size=12
) | st.sampled_from(["0.5", "nan", "1e999", "-1", "", "hit", "\t", "\r", "\x00", "\ufeff"])


@QUICK
@given(st.lists(st.lists(FIELDS, max_size=7).map("\t".join), max_size=4), st.booleans())
@example(["a\t0.5\thit\twood\tannotated\t1.0"], True)
def test_a_table_is_read_whole_or_refused_with_its_row(tmp_path: Path, lines: list[str], ends: bool) -> None:
    path = tmp_path / "events.tsv"
    text = b"\n".join([HEADER, *(line.encode() for line in lines)])
    path.write_bytes(text + b"\n" if ends else text)
    try:
        rows = read_rows(path, Event)
    except ManifestError:
        with pytest.raises(ManifestError, match=re.escape(str(path)) + ".*row"):
            read_rows(path, Event)
        return
    assert len(rows) == len(lines) - (not ends and bool(lines) and lines[-1] == "")
    write_rows(path, Event, rows)
    again = read_rows(path, Event)
    assert [row.model_dump_json() for row in again] == [row.model_dump_json() for row in rows]


@QUICK
@given(st.binary(max_size=200))
def test_bytes_that_are_no_table_are_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "splits.tsv"
    path.write_bytes(raw)
    with pytest.raises(ManifestError, match=re.escape(str(path))):
        list(iterate_rows(path, Split))


def test_rows_are_read_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "splits.tsv"
    write_rows(path, Split, [Split(recording_id=f"r{n}", label="a", split="train", why="") for n in range(3)])
    path.write_text(path.read_text() + "broken\n")
    rows = iterate_rows(path, Split)
    assert [next(rows).recording_id for _ in range(3)] == ["r0", "r1", "r2"]
