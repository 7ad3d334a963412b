"""What holds for any names and any table."""

import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foley.datasets.films import safe_id
from foley.store.manifests import Failure, Source, decode_path, encode_path, read_rows, write_rows

BYTES = st.binary(min_size=1, max_size=30).filter(lambda raw: b"\x00" not in raw and b"/" not in raw)
TEXTS = st.text(
    st.characters(exclude_characters="/\x00", exclude_categories=("Cs",)), min_size=1, max_size=30
)
NAMES = (BYTES.map(os.fsdecode) | TEXTS).filter(lambda name: name not in (".", ".."))
"""What a file can be called: any bytes but two."""
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(st.binary(min_size=1, max_size=30).filter(lambda raw: b"\x00" not in raw))
def test_any_bytes_of_a_path_survive_a_table(raw: bytes) -> None:
    path = Path(raw.decode("utf-8", "surrogateescape"))
    text = encode_path(path)
    assert text.isprintable()
    assert text.isascii()
    assert decode_path(text) == path


@QUICK
@given(
    names=st.lists(NAMES, max_size=6), numbers=st.lists(st.none() | st.floats(0, 1e6), min_size=6, max_size=6)
)
def test_a_manifest_reads_back_what_was_written(
    tmp_path: Path, names: list[str], numbers: list[float | None]
) -> None:
    rows = [
        Source(
            recording_id=f"r{number}",
            label="rain",
            shard="000",
            origin="local",
            location=encode_path(name),
            start_s=numbers[number],
        )
        for number, name in enumerate(names)
    ]
    write_rows(tmp_path / "sources.tsv", Source, rows)
    assert read_rows(tmp_path / "sources.tsv", Source) == rows


@QUICK
@given(detail=st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc")), max_size=60))
def test_any_printed_detail_survives_the_ledger(tmp_path: Path, detail: str) -> None:
    row = Failure(recording_id="a", label="b", path="c", stage="d", reason="e", detail=detail)
    write_rows(tmp_path / "failures.tsv", Failure, [row])
    assert read_rows(tmp_path / "failures.tsv", Failure) == [row]


@QUICK
@given(st.lists(st.tuples(NAMES, NAMES), unique=True, min_size=2, max_size=8))
def test_ids_are_safe_and_distinct(places: list[tuple[str, str]]) -> None:
    ids = [safe_id("Some label", folder, name) for folder, name in places]
    assert len(set(ids)) == len(ids)
    for recording_id in ids:
        Source(recording_id=recording_id, label="a", shard="000", origin="local", location="a")
