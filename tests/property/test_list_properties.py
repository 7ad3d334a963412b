"""What holds for any list, whoever wrote it: read as it was meant, or refused with its place."""

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from foley.datasets import afd, greatest_hits, segments, vas, youtube8m
from foley.datasets.films import published_split, read_names
from foley.errors import FoleyError
from foley.store.manifests import Event, Source, read_rows, write_rows

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VIDEO_IDS = st.text("abzAZ09-_", min_size=11, max_size=11)
MIDS = st.sampled_from(["/m/0k4j", "/m/06mb1", "/t/dd00134", "/m/04rlf", "/m/05x_td"])
TIMES_S = st.integers(0, 600_000).map(lambda ms: ms / 1000)
JUNK = st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
LINES = st.lists(
    st.lists(
        st.sampled_from(["a", "0", "-1", "1e999", "nan", '"', ",", "\t", "#", "é", "\x00", "/m/0k4j"]),
        max_size=8,
    ).map("".join),
    max_size=6,
).map(lambda lines: "\n".join(lines).encode())


@QUICK
@given(
    st.lists(
        st.tuples(VIDEO_IDS, TIMES_S, st.integers(1, 30_000), st.lists(MIDS, min_size=1, max_size=4)),
        max_size=8,
    ),
    st.booleans(),
)
def test_segments_are_read_as_published(
    tmp_path: Path, drawn: list[tuple[str, float, int, list[str]]], with_mark: bool
) -> None:
    lines = [
        "# Segments csv created",
        "# num_ytids=1, num_segs=1",
        "# YTID, start_seconds, end_seconds, positive_labels",
    ]
    lines += [
        f'{ytid}, {start_s:.3f}, {start_s + ms / 1000:.3f}, "{",".join(of)}"'
        for ytid, start_s, ms, of in drawn
    ]
    text = "\n".join(lines) + "\n"
    (tmp_path / "s.csv").write_text(text, encoding="utf-8-sig" if with_mark else "utf-8")
    read = list(segments.iterate_segments(tmp_path / "s.csv"))
    assert [(row.video_id, row.labels) for row in read] == [(ytid, tuple(of)) for ytid, _, _, of in drawn]
    for row, (_, start_s, ms, _) in zip(read, drawn, strict=True):
        assert row.start_s == pytest.approx(start_s, abs=1e-6)
        assert row.end_s == pytest.approx(start_s + ms / 1000, abs=1e-6)


def test_a_long_list_of_segments_needs_no_memory(tmp_path: Path) -> None:
    """Peak memory does not grow with the list: here of 10,000 rows."""

    def peak(n_rows: int) -> int:
        with (tmp_path / "s.csv").open("w") as stream:
            stream.write("# a\n# b\n# c\n")
            for number in range(n_rows):
                stream.write(f'{number:011d}, 30.000, 40.000, "/m/0k4j,/m/06mb1"\n')
        tracemalloc.start()
        assert sum(1 for _ in segments.iterate_segments(tmp_path / "s.csv")) == n_rows
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(1_000), peak(10_000)
    assert many < few + 50_000


PARSERS: dict[str, Callable[[Path], object]] = {
    "segments.csv": lambda path: list(segments.iterate_segments(path)),
    "ontology.json": segments.read_ontology,
    "class_labels_indices.csv": segments.read_class_labels,
    "vocabulary.csv": segments.read_vocabulary,
    "0k4j.js": youtube8m.read_class_list,
    "a_times.txt": lambda path: greatest_hits.read_times(path, "r"),
    "train.txt": read_names,
    "films.tsv": lambda path: afd.read_list(path, afd.Settings(), 3),
    "films.csv": lambda path: afd.read_list(path, afd.Settings(), 3),
}


@pytest.mark.parametrize("name", PARSERS)
@QUICK
@given(content=JUNK | LINES)
@example(content=b"")
@example(content=b'"')
@example(content=b"\xff\xfe")
@example(content=b"[" * 5000)
@example(content=b"x" * 200_000)
@example(content=b'{"id": 1}')
@example(content=b'[{"id": "/m/1", "name": "a", "child_ids": 3}]')
@example(content=b'p("a",["b", 3]);')
@example(content=b"url\tlabel\nhttp://[::1\train\n")
def test_no_parser_fails_but_with_our_error(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    said = name
    try:
        PARSERS[name](path)
    except FoleyError as error:
        said = str(error)
    assert name in said


@pytest.mark.parametrize("name", ["segments.csv", "films.csv", "a_times.txt", "0k4j.js"])
@QUICK
@given(cells=st.lists(st.text(max_size=8), min_size=1, max_size=6))
def test_what_a_parser_accepts_fits_into_a_manifest(tmp_path: Path, name: str, cells: list[str]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if name == "films.csv":
        writer.writerow(["url", "label", "start_s"])
        writer.writerow([f"https://example.org/{cells[0]}", "rain", cells[-1]])
    elif name == "a_times.txt":
        out.write("1.0 " + " ".join(cells))
    elif name == "0k4j.js":
        out.write(f"p({json.dumps('0k4j')},{json.dumps(cells)});")
    else:
        writer.writerow([cells[0], 1.0, 2.0, *cells[1:], "/m/0k4j"])
    path = tmp_path / name
    path.write_text(out.getvalue(), encoding="utf-8", errors="surrogatepass")
    try:
        found = PARSERS[name](path)
    except FoleyError:
        return
    if name == "films.csv":
        write_rows(tmp_path / "m.tsv", Source, found)  # type: ignore[type-var]
        assert read_rows(tmp_path / "m.tsv", Source) == found
    elif name == "a_times.txt":
        write_rows(tmp_path / "m.tsv", Event, found)  # type: ignore[type-var]
        assert read_rows(tmp_path / "m.tsv", Event) == found
    elif name == "0k4j.js":
        assert all(segments.is_video_id(video_id) for video_id in found[1])  # type: ignore[index]
    else:
        for row in found:  # type: ignore[attr-defined]
            source = segments.web_source(
                "rain",
                row.video_id,
                row.start_s,
                row.end_s,
                address=segments.youtube_address(row.video_id),
                n_shards=3,
                split="",
                licence="",
            )
            write_rows(tmp_path / "m.tsv", Source, [source])
            assert read_rows(tmp_path / "m.tsv", Source) == [source]


@QUICK
@given(
    st.lists(
        st.tuples(
            TIMES_S,
            st.sampled_from(["wood", "None", "plastic-bag"]),
            st.sampled_from(["hit", "scratch", "None"]),
            st.sampled_from(["static", "deform", "None"]),
        ),
        max_size=8,
    ),
    st.sampled_from([" ", "\t", "  "]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_times_are_read_as_written(
    tmp_path: Path, drawn: list[tuple[float, str, str, str]], gap: str, end: str
) -> None:
    text = "".join(gap.join(map(str, row)) + end for row in drawn)
    (tmp_path / "a_times.txt").write_text(text, newline="")
    events = greatest_hits.read_times(tmp_path / "a_times.txt", "r")
    expected = [
        (time_s, "unknown" if action == "None" else action, material.replace("None", ""))
        for time_s, material, action, _ in sorted(drawn, key=lambda row: row[0])
    ]
    assert [(event.time_s, event.kind, event.material) for event in events] == expected


@QUICK
@given(
    st.lists(st.text("abc0_-", min_size=1, max_size=6), unique=True),
    st.lists(st.text("abc0_-", min_size=1, max_size=6), unique=True),
)
def test_published_lists_are_kept_or_found_to_overlap(train: list[str], test: list[str]) -> None:
    try:
        split_of = published_split(train, test, Path("test.txt"))
    except FoleyError:
        assert set(train) & set(test)
        return
    assert split_of == {**dict.fromkeys(train, "train"), **dict.fromkeys(test, "test")}
    assert list(split_of) == train + test


@QUICK
@given(st.lists(st.integers(0, 10**7), unique=True, min_size=2, max_size=40), st.data())
def test_the_last_numbers_test(numbers: list[int], data: st.DataObject) -> None:
    n_test = data.draw(st.integers(1, len(numbers) - 1))
    rows = vas.split_by_number([Path(f"video_{number:05d}.mp4") for number in numbers], n_test)
    tests = [int(path.stem.removeprefix("video_")) for path, split in rows if split == "test"]
    assert tests == sorted(numbers)[-n_test:]


@QUICK
@given(st.text("abcXYZ019_-", min_size=4, max_size=4), st.text("abcXYZ019_-", min_size=11, max_size=11))
def test_lookups_are_read_as_published(masked: str, video_id: str) -> None:
    assert youtube8m.read_lookup(f'i("{masked}","{video_id}");', masked) == video_id
    assert youtube8m.read_lookup(f'i("{masked}","{video_id}");', "0000") in (None, video_id)
    assert youtube8m.read_lookup(f'i("{masked}","{video_id}/x");', masked) is None


@QUICK
@given(st.text(max_size=60))
def test_no_text_is_a_lookup_by_chance(text: str) -> None:
    found = youtube8m.read_lookup(text, "nXSc")
    assert found is None or segments.is_video_id(found)


@QUICK
@given(st.dictionaries(MIDS, st.lists(MIDS, max_size=4), max_size=5), MIDS)
def test_what_is_below_a_class_is_found_even_in_a_circle(tree: dict[str, list[str]], top: str) -> None:
    names = segments.ClassNames(Path("o"), {}, {key: tuple(of) for key, of in tree.items()})
    below = names.below(top)
    assert top in below
    for key in below:
        assert set(tree.get(key, [])) <= below
