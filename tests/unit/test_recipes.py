"""Every recipe on a few lines of its published list format, and on what a user may have wrong."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from foley.datasets import afd, audioset, greatest_hits, vas, vegas, youtube8m
from foley.datasets.acquire import build_sources
from foley.datasets.download import DownloadConfig
from foley.errors import FoleyError
from foley.store.manifests import Event, Medium, Source, decode_path, read_rows
from tests.loopback import Page, serving

ONTOLOGY = [
    {"id": "/m/0k4j", "name": "Car", "child_ids": ["/t/dd00134"], "restrictions": []},
    {"id": "/t/dd00134", "name": "Car passing by", "child_ids": []},
    {"id": "/m/06mb1", "name": "Rain", "child_ids": ["/m/07r10fb"]},
    {"id": "/m/07r10fb", "name": "Raindrop", "child_ids": []},
    {"id": "/m/04rlf", "name": "Music", "child_ids": []},
    {"id": "/m/03v3yw", "name": "Keys jangling", "child_ids": []},
]
BALANCED = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=6, num_segs=6, num_unique_labels=5, num_positive_labels=9
# YTID, start_seconds, end_seconds, positive_labels
-0RWZT-miFs, 420.000, 430.000, "/m/03v3yw,/m/0k4j"
--PJHxphWEs, 30.000, 40.000, "/t/dd00134"
--ZhevVpy1s, 50.000, 60.000, "/m/012xff"
--aE2O5G5WE, 0.000, 10.000, "/m/07r10fb,/m/04rlf"
--aO5cdqSAg, 30.000, 40.000, "/m/06mb1,/m/0k4j"
_bE3O5G5WE_, 12.500, 22.500, "/m/06mb1"
"""
EVAL = """# Segments csv created Sun Mar  5 10:54:25 2017
# num_ytids=1, num_segs=1, num_unique_labels=1, num_positive_labels=1
# YTID, start_seconds, end_seconds, positive_labels
zzzzzzzzzzz, 30.000, 40.000, "/m/06mb1"
"""
CLASS_LABELS = """index,mid,display_name
0,/m/0k4j,"Car"
1,/m/06mb1,"Rain"
2,/t/dd00134,"Car passing by"
"""
VOCABULARY = """Index,TrainVideoCount,KnowledgeGraphId,Name,WikiUrl,Vertical1,Vertical2,Vertical3,Wiki
0,378135,/m/0k4j,Car,https://en.wikipedia.org/wiki/Car,Autos & Vehicles,,,"A car, or automobile, has wheels."
5,33320,/m/03k3r,Horse,https://en.wikipedia.org/wiki/Horse,Pets & Animals,,,A hoofed mammal
9,59236,/m/02hnl,Drums,,Arts & Entertainment,,,
8,57517,/m/026t6,Drums,,Arts & Entertainment,,,
"""


def films(root: Path, *names: str) -> Path:
    """Files that look like films to whoever reads their names only."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"film {name}")
    return root


def listed(recipe: Any, data_dir: Path, **values: Any) -> list[Source]:
    settings = recipe.Settings.model_validate(values)
    return list(recipe.list_sources(settings, n_shards=3, data_dir=data_dir, seed=0))


def fetched(
    recipe: Any, sources: list[Source], data_dir: Path, **values: Any
) -> tuple[list[Medium], list[Event]]:
    media, events = recipe.fetch(recipe.Settings.model_validate(values), sources, data_dir=data_dir, seed=0)
    return media, events


def stems(sources: list[Source], split: str) -> list[str]:
    return [decode_path(row.location).stem for row in sources if row.split == split]


# --- vegas ---------------------------------------------------------------------------------------


def test_vegas_takes_the_films_of_each_class_and_draws_its_test_split(tmp_path: Path) -> None:
    names = [f"{label}/videos/video_{n:05d}.mp4" for label in ("dog", "drum") for n in range(10)]
    films(tmp_path / "vegas/VEGAS/data", *names, "dog/audios/video_00000.wav", "dog/video_info.csv")
    rows = listed(vegas, tmp_path, classes=["dog", "drum"], n_test=4)
    assert len(rows) == len({row.recording_id for row in rows}) == 20
    for label in ("dog", "drum"):
        assert sorted(row.split for row in rows if row.label == label) == ["test"] * 4 + ["train"] * 6
    settings = vegas.Settings(classes=("dog",), n_test=4)
    other = vegas.list_sources(settings, n_shards=3, data_dir=tmp_path, seed=1)
    assert stems(other, "test") != stems([row for row in rows if row.label == "dog"], "test")
    media, events = fetched(vegas, rows, tmp_path)
    assert {row.status for row in media} == {"ok"}
    assert events == []


def test_vegas_leaves_a_small_class_to_the_common_split(tmp_path: Path) -> None:
    films(tmp_path / "vegas", *(f"dog/videos/video_{n:05d}.mp4" for n in range(3)))
    assert {row.split for row in listed(vegas, tmp_path, classes=["dog"])} == {""}
    assert {row.split for row in listed(vegas, tmp_path, classes=["dog"], n_test=None)} == {""}


def test_vegas_is_unpacked_from_its_archive(tmp_path: Path) -> None:
    (tmp_path / "vegas").mkdir()
    with zipfile.ZipFile(tmp_path / "vegas/VEGAS.zip", "w") as packed:
        packed.writestr("VEGAS/data/dog/videos/video_00000.mp4", b"film")
    (row,) = listed(vegas, tmp_path, classes=["dog"])
    assert decode_path(row.location).read_bytes() == b"film"


def test_vegas_that_is_missing_says_what_and_whom_to_ask(tmp_path: Path) -> None:
    with pytest.raises(FoleyError, match="baby_cry/videos") as wrong:
        listed(vegas, tmp_path)
    for part in ("there is no", str(tmp_path / "vegas"), "VEGAS.zip", "ask the authors", "settings.classes"):
        assert part in str(wrong.value)


# --- vas -----------------------------------------------------------------------------------------


def vas_films(root: Path, label: str, n_films: int) -> None:
    films(root / "vas/VAS/videos", *(f"{label}/video_{n:05d}.mp4" for n in range(n_films)))


def test_vas_splits_by_the_number_as_released_and_as_printed(tmp_path: Path) -> None:
    vas_films(tmp_path, "dog", 130)
    vas_films(tmp_path, "gun", 130)
    released = listed(vas, tmp_path, classes=["dog", "gun"])
    dog = [row for row in released if row.label == "dog"]
    gun = [row for row in released if row.label == "gun"]
    assert stems(dog, "train") == ["video_00000", "video_00001"]
    assert len(stems(dog, "test")) == 128
    assert stems(gun, "test") == [f"video_{n:05d}" for n in range(66, 130)]
    paper = listed(vas, tmp_path, classes=["gun"], split="paper")
    assert len(stems(paper, "test")) == 128
    assert {row.split for row in listed(vas, tmp_path, classes=["gun"], split="seeded")} == {""}


def test_vas_sorts_numbers_as_numbers(tmp_path: Path) -> None:
    paths = [Path(f"x/video_{n}.mp4") for n in (9, 10, 100, 2)]
    assert [(path.stem, split) for path, split in vas.split_by_number(paths, 2)] == [
        ("video_2", "train"),
        ("video_9", "train"),
        ("video_10", "test"),
        ("video_100", "test"),
    ]


def test_vas_can_be_cut_short_in_each_split(tmp_path: Path) -> None:
    vas_films(tmp_path, "hammer", 70)
    rows = listed(vas, tmp_path, classes=["hammer"], most_per_class=2)
    assert stems(rows, "train") == ["video_00000", "video_00001"]
    assert stems(rows, "test") == ["video_00006", "video_00007"]


def test_vas_warns_when_a_class_is_not_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    vas_films(tmp_path, "hammer", 70)
    listed(vas, tmp_path, classes=["hammer"])
    assert "holds 70 films, the published lists 383" in caplog.text


@pytest.mark.parametrize("form", ["regnet", "specvqgan"])
def test_vas_reads_both_forms_of_published_lists(
    tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    vas_films(tmp_path, "dog", 4)
    lists = tmp_path / "vas/filelists"
    lists.mkdir()
    if form == "regnet":
        (lists / "dog_train.txt").write_text("video_00002\nvideo_00000\n\n")
        (lists / "dog_test.txt").write_text("video_00001\nvideo_00009\n")
        where = {}
    else:
        (lists / "vas_train.txt").write_text("baby/video_00001\ndog/video_00002\ndog/video_00000\n")
        (lists / "vas_valid.txt").write_text("dog/video_00001\ndog/video_00009\nsneeze/video_00000\n")
        where = {"lists": "filelists"}
    rows = listed(vas, tmp_path, classes=["dog"], split="lists", **where)
    assert stems(rows, "train") == ["video_00002", "video_00000"]
    assert stems(rows, "test") == ["video_00001", "video_00009"]
    media, _ = fetched(vas, rows, tmp_path)
    assert [row.status for row in media] == ["ok", "ok", "ok", "missing_file"]  # nothing listed is lost
    assert "1 films are in no list" in caplog.text


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("video_1\n", "video_1\n", "is in the training list too"),
        ("video_1\n", "", "names no film of the class dog"),
        ("../../etc/passwd\n", "video_1\n", "is no film name"),
    ],
)
def test_vas_refuses_wrong_lists(tmp_path: Path, train: str, test: str, message: str) -> None:
    vas_films(tmp_path, "dog", 2)
    (tmp_path / "vas/dog_train.txt").write_text(train)
    (tmp_path / "vas/dog_test.txt").write_text(test)
    with pytest.raises(FoleyError, match=message):
        listed(vas, tmp_path, classes=["dog"], split="lists")


def test_vas_says_what_is_missing_or_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(FoleyError, match=r"videos/dog/\*\.mp4.*VAS\.zip.*regnet"):
        listed(vas, tmp_path)
    vas_films(tmp_path, "dog", 128)
    with pytest.raises(FoleyError, match="holds 128 films, and the rule tests on the last 128"):
        listed(vas, tmp_path, classes=["dog"])
    with pytest.raises(FoleyError, match=r"dog_train\.txt.*set split: released"):
        listed(vas, tmp_path, classes=["dog"], split="lists")
    films(tmp_path / "vas/VAS/videos", "dog/odd.mp4")
    with pytest.raises(FoleyError, match=r"odd\.mp4: its name ends in no number"):
        listed(vas, tmp_path, classes=["dog"])
    films(tmp_path / "vas/VAS/videos", "cat/video_1.mp4")
    with pytest.raises(FoleyError, match="'cat' is no class of VAS"):
        listed(vas, tmp_path, classes=["cat"])


# --- greatest_hits -------------------------------------------------------------------------------

TIMES = "0.833 wood hit static\n1.920417 None None None\n  2.5\tplastic-bag scratch deform\n"


def hits_folder(tmp_path: Path) -> Path:
    return films(
        tmp_path / "greatest_hits/vis-data-256",
        "2015-02-16-16-49-06_denoised.mp4",
        "2015-02-16-16-49-06_mic.mp4",
        "2015-09-23-15-20-31-256_mic.mp4",
        "2015-09-23-15-20-31-595_denoised.mp4",
        "2015-09-23-15-20-31-595_denoised_trim_to_2s.mp4",
    )


def test_times_become_annotated_events(tmp_path: Path) -> None:
    (tmp_path / "a_times.txt").write_text(TIMES)
    events = greatest_hits.read_times(tmp_path / "a_times.txt", "r")
    assert [(e.time_s, e.material, e.kind, e.reaction) for e in events] == [
        (0.833, "wood", "hit", "static"),
        (1.920417, "", "unknown", ""),
        (2.5, "plastic-bag", "scratch", "deform"),
    ]
    assert {(e.clip_id, e.source) for e in events} == {("r", "annotated")}


@pytest.mark.parametrize("line", ["wood hit static 1.0", "1.0 wood hit", "-1 wood hit static", "nan", "\x07"])
def test_a_wrong_line_of_times_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "a_times.txt").write_text(f"0.5 wood hit static\n{line}\n")
    with pytest.raises(FoleyError, match=r"a_times\.txt: line 2"):
        greatest_hits.read_times(tmp_path / "a_times.txt", "r")


def test_greatest_hits_takes_one_film_of_a_pair(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = hits_folder(tmp_path)
    denoised = listed(greatest_hits, tmp_path, split="seeded")
    assert [decode_path(row.location).name for row in denoised] == [
        "2015-02-16-16-49-06_denoised.mp4",
        "2015-09-23-15-20-31-256_mic.mp4",
        "2015-09-23-15-20-31-595_denoised.mp4",
    ]
    assert [row.group for row in denoised] == ["2015-02-16-16-49-06"] + 2 * ["2015-09-23-15-20-31"]
    assert "1 films are not named like recordings" in caplog.text
    raw = listed(greatest_hits, tmp_path, split="seeded", sound="mic", group_by="day")
    assert decode_path(raw[0].location) == folder / "2015-02-16-16-49-06_mic.mp4"
    assert [row.group for row in raw] == ["2015-02-16", "2015-09-23", "2015-09-23"]
    assert [row.recording_id for row in raw] == [row.recording_id for row in denoised]


def test_greatest_hits_knows_which_recordings_are_annotated(tmp_path: Path) -> None:
    folder = hits_folder(tmp_path)
    (folder / "2015-02-16-16-49-06_times.txt").write_text(TIMES + "3.0 wood hit static\n")
    (folder / "2015-09-23-15-20-31-595_times.txt").write_text("soon wood hit static\n")
    rows = listed(greatest_hits, tmp_path, split="seeded")
    assert [row.label for row in rows] == ["wood", "unlabelled", "unlabelled"]
    media, events = fetched(greatest_hits, rows, tmp_path)
    assert [row.status for row in media] == ["ok", "ok", "bad_annotation"]
    assert [row.events_known for row in media] == [True, False, False]
    assert "line 1" in media[2].detail
    assert len(events) == 4
    assert {event.clip_id for event in events} == {rows[0].recording_id}
    plain = listed(greatest_hits, tmp_path, split="seeded", label_by="none")
    assert {row.label for row in plain} == {"greatest_hits"}


def test_greatest_hits_keeps_the_published_split_and_ungroups_torn_sessions(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = hits_folder(tmp_path)
    with pytest.raises(FoleyError, match=r"train\.txt.*set split: seeded"):
        listed(greatest_hits, tmp_path)
    (folder / "train.txt").write_text("2015-02-16-16-49-06\n2015-09-23-15-20-31-256\n")
    (folder / "test.txt").write_text("2015-09-23-15-20-31-595\n2015-10-06-18-02-12-1\n")
    rows = listed(greatest_hits, tmp_path)
    assert [(row.split, row.group) for row in rows] == [
        ("train", "2015-02-16-16-49-06"),
        ("train", ""),
        ("test", ""),
        ("test", "2015-10-06-18-02-12"),
    ]
    assert "parts of 1 of 3 sessions" in caplog.text
    media, _ = fetched(greatest_hits, rows, tmp_path)
    assert [row.status for row in media] == ["ok", "ok", "ok", "missing_file"]


def test_greatest_hits_does_not_read_annotations_elsewhere(tmp_path: Path) -> None:
    folder = hits_folder(tmp_path)
    (tmp_path / "outside.txt").write_text("1.0 wood hit static\n")
    (folder / "2015-02-16-16-49-06_times.txt").symlink_to(tmp_path / "outside.txt")
    rows = listed(greatest_hits, tmp_path, split="seeded", most_recordings=1)
    media, events = fetched(greatest_hits, rows, tmp_path)
    assert [row.status for row in media] == ["bad_annotation"]
    assert events == []


def test_greatest_hits_in_two_sizes_asks_which(tmp_path: Path) -> None:
    hits_folder(tmp_path)
    films(tmp_path / "greatest_hits/vis-data", "2015-02-16-16-49-06_denoised.mp4")
    with pytest.raises(FoleyError, match="the same recording is"):
        listed(greatest_hits, tmp_path, split="seeded")
    path = str(tmp_path / "greatest_hits/vis-data")
    assert len(listed(greatest_hits, tmp_path, split="seeded", path=path)) == 1


def test_greatest_hits_without_films_says_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(FoleyError, match=r"vis-data\.zip.*andrewowens\.com/vis"):
        listed(greatest_hits, tmp_path)


# --- audioset ------------------------------------------------------------------------------------


def audioset_lists(tmp_path: Path) -> Path:
    root = tmp_path / "audioset"
    root.mkdir()
    (root / "balanced_train_segments.csv").write_text(BALANCED)
    (root / "eval_segments.csv").write_text(EVAL)
    (root / "ontology.json").write_text(json.dumps(ONTOLOGY))
    return root


CLASSES = {"Car": ["Car"], "rain": ["rain"]}


def test_audioset_takes_classes_and_what_is_below_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    audioset_lists(tmp_path)
    rows = listed(audioset, tmp_path, classes=CLASSES)
    assert [(row.recording_id, row.start_s, row.end_s, row.split) for row in rows] == [
        ("car_-0RWZT-miFs_420000", 420.0, 430.0, "train"),
        ("car_--PJHxphWEs_30000", 30.0, 40.0, "train"),
        ("rain_--aE2O5G5WE_0", 0.0, 10.0, "train"),
        ("rain__bE3O5G5WE__12500", 12.5, 22.5, "train"),
        ("rain_zzzzzzzzzzz_30000", 30.0, 40.0, "test"),
    ]
    assert rows[0].location == "https://www.youtube.com/watch?v=-0RWZT-miFs"
    assert rows[0].group == "-0RWZT-miFs"
    assert "1 with two wanted labels" in caplog.text


def test_audioset_settings_choose_segments(tmp_path: Path) -> None:
    root = audioset_lists(tmp_path)

    def ids(**values: Any) -> list[str]:
        return [row.group for row in listed(audioset, tmp_path, classes=CLASSES, **values)]

    assert "--aO5cdqSAg" in ids(multi_label="first")
    assert "--aE2O5G5WE" not in ids(exclude=["Music"])
    assert ids(lists=["eval"]) == ["zzzzzzzzzzz"]
    assert ids(most_per_class=1) == ["-0RWZT-miFs", "--aE2O5G5WE", "zzzzzzzzzzz"]
    assert ids(with_children=False) == ["-0RWZT-miFs", "_bE3O5G5WE_", "zzzzzzzzzzz"]
    (root / "ontology.json").unlink()
    (root / "class_labels_indices.csv").write_text(CLASS_LABELS)
    assert ids(with_children=False) == ["-0RWZT-miFs", "_bE3O5G5WE_", "zzzzzzzzzzz"]
    with pytest.raises(FoleyError, match=r"ontology\.json.*with_children: false"):
        ids()


def test_a_class_named_itself_keeps_its_own_label(tmp_path: Path) -> None:
    audioset_lists(tmp_path)
    rows = listed(audioset, tmp_path, classes={"car": ["Car"], "pass": ["Car passing by"]})
    assert [(row.label, row.group) for row in rows] == [
        ("car", "-0RWZT-miFs"),
        ("pass", "--PJHxphWEs"),
        ("car", "--aO5cdqSAg"),
    ]
    with pytest.raises(FoleyError, match="'Car' would belong to"):
        listed(audioset, tmp_path, classes={"a": ["Car"], "b": ["/m/0k4j"]})
    with pytest.raises(FoleyError, match=r"no class is called 'Karr'; near it are 'Car'"):
        listed(audioset, tmp_path, classes={"car": ["Karr"]})


def test_every_default_class_of_audioset_is_a_distinct_label() -> None:
    assert list(audioset.AFD_CLASSES) == list(afd.CLASSES)
    names = [name for of in audioset.AFD_CLASSES.values() for name in of]
    assert len(set(names)) == len(names)


def test_audioset_names_the_list_that_is_missing(tmp_path: Path) -> None:
    root = audioset_lists(tmp_path)
    (root / "eval_segments.csv").unlink()
    with pytest.raises(FoleyError, match=r"eval_segments\.csv.*research\.google\.com/audioset"):
        listed(audioset, tmp_path, classes=CLASSES)
    with pytest.raises(FoleyError, match=r"unbalanced_train_segments\.csv"):
        listed(audioset, tmp_path, classes=CLASSES, lists=["unbalanced_train"])


def test_audioset_goes_through_the_manifest(tmp_path: Path) -> None:
    audioset_lists(tmp_path)
    build_sources(
        kind="audioset",
        settings={"classes": CLASSES},
        n_shards=2,
        data_dir=str(tmp_path),
        seed=0,
        sources_path=str(tmp_path / "sources.tsv"),
    )
    assert len(read_rows(tmp_path / "sources.tsv", Source)) == 5


# --- youtube8m -----------------------------------------------------------------------------------


def youtube8m_lists(tmp_path: Path) -> Path:
    root = tmp_path / "youtube8m"
    (root / "v").mkdir(parents=True)
    (root / "vocabulary.csv").write_text(VOCABULARY)
    (root / "v/0k4j.js").write_text('p("0k4j",["nXSc","aaaa","bbbb"]);')
    (root / "v/03k3r.js").write_text('p("03k3r",["cccc","bbbb","dQw4w9WgXcQ"]);')
    return root


def test_youtube8m_lists_films_by_class(tmp_path: Path) -> None:
    youtube8m_lists(tmp_path)
    rows = listed(youtube8m, tmp_path, classes={"car": ["Car"], "horse": ["5"]})
    assert [(row.recording_id, row.label, row.split) for row in rows] == [
        ("car_aaaa_30000", "car", ""),
        ("horse_cccc_30000", "horse", ""),
        ("horse_dQw4w9WgXcQ_30000", "horse", ""),
        ("car_nXSc_30000", "car", ""),
    ]  # bbbb is of both
    assert rows[2].location.endswith("watch?v=dQw4w9WgXcQ")
    assert rows[3].location == "https://storage.googleapis.com/data.yt8m.org/2/j/i/nX/nXSc.js"
    first = listed(
        youtube8m, tmp_path, classes={"car": ["Car"], "horse": ["Horse"]}, multi_label="first", section_s=None
    )
    assert ("car_bbbb", None) in [(row.recording_id, row.start_s) for row in first]
    assert {
        row.group for row in listed(youtube8m, tmp_path, classes={"car": ["Car"]}, exclude=["Horse"])
    } == {
        "aaaa",
        "nXSc",
    }


def test_youtube8m_takes_segments_in_place_of_lists(tmp_path: Path) -> None:
    root = youtube8m_lists(tmp_path)
    (root / "mine.csv").write_text(
        '# id, start, end, labels\nnXSc, 15.0, 20.0, "0,9"\naaaa, 0, 5, /m/03k3r\n'
    )
    rows = listed(youtube8m, tmp_path, classes={"car": ["Car"], "horse": ["Horse"]}, segments="mine.csv")
    assert [(row.recording_id, row.end_s) for row in rows] == [
        ("car_nXSc_15000", 20.0),
        ("horse_aaaa_0", 5.0),
    ]
    with pytest.raises(FoleyError, match=r"no\.csv"):
        listed(youtube8m, tmp_path, classes={"car": ["Car"]}, segments="no.csv")


def test_youtube8m_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FoleyError, match=r"vocabulary\.csv.*research\.google\.com/youtube8m"):
        listed(youtube8m, tmp_path)
    root = youtube8m_lists(tmp_path)
    with pytest.raises(FoleyError, match=r"v/02hnl\.js.*'Drums'.*data\.yt8m\.org/2/j/v/02hnl\.js"):
        listed(youtube8m, tmp_path, classes={"drum": ["/m/02hnl"]})
    (root / "v/0k4j.js").write_text('p("03k3r",["aaaa"]);')
    with pytest.raises(FoleyError, match="lists the class '03k3r'"):
        listed(youtube8m, tmp_path, classes={"car": ["Car"]})
    (root / "v/0k4j.js").write_text("<?xml version='1.0'?><Error/>")
    with pytest.raises(FoleyError, match=r"0k4j\.js: is not of the published form"):
        listed(youtube8m, tmp_path, classes={"car": ["Car"]})
    (root / "vocabulary.csv").write_text(VOCABULARY.replace("/m/0k4j", "/m/../../0k4j"))
    with pytest.raises(FoleyError, match=r"'/m/\.\./\.\./0k4j' is no class id"):
        listed(youtube8m, tmp_path, classes={"car": ["Car"]})
    with pytest.raises(ValidationError, match="is no section"):
        youtube8m.Settings(section_s=(5.0, 5.0))


def test_youtube8m_unmasks_films_once_and_says_which_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = youtube8m_lists(tmp_path)
    (root / "v/0k4j.js").write_text('p("0k4j",["nXSc","gone","slow","lies","dQw4w9WgXcQ"]);')
    asked: list[list[Source]] = []

    def fake(sources: Any, config: DownloadConfig, *, data_dir: Path, folder: str, seed: int) -> list[Medium]:
        asked.append(list(sources))
        return [youtube8m.medium_of(row, f"{folder}/x.mp4", "ok", "") for row in asked[-1]]

    monkeypatch.setattr(youtube8m, "fetch_sources", fake)
    with serving() as server:
        server.pages["/i/nX/nXSc.js"] = Page(b'i("nXSc","0sf943sWZls");', instead=[(503, {})])
        server.pages["/i/li/lies.js"] = Page(b'i("other","0sf943sWZls");')
        server.pages["/i/sl/slow.js"] = Page(b"", instead=[(429, {})] * 9)
        values: dict[str, Any] = {
            "classes": {"car": ["Car"]},
            "lookup_address": server.url("/i"),
            "download": {"n_retries": 1, "backoff_s": 0.0, "n_workers": 2},
        }
        rows = listed(youtube8m, tmp_path, **values)
        media, events = fetched(youtube8m, rows, tmp_path, **values)
        assert events == []
        assert [row.recording_id for row in media] == [row.recording_id for row in rows]
        assert {row.recording_id.split("_")[1]: row.status for row in media} == {
            "nXSc": "ok",
            "dQw4w9WgXcQ": "ok",
            "gone": "removed",
            "slow": "rate_limit",
            "lies": "unavailable",
        }
        assert sorted(row.location for row in asked[0]) == [
            "https://www.youtube.com/watch?v=0sf943sWZls",
            "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        ]
        assert (root / "i/nX/nXSc.js").read_text() == 'i("nXSc","0sf943sWZls");'
        n_asked = len(server.requests("/i/nX/nXSc.js"))
        fetched(youtube8m, rows, tmp_path, **values)
        assert len(server.requests("/i/nX/nXSc.js")) == n_asked == 2


# --- afd -----------------------------------------------------------------------------------------

LIST = """url\tlabel\tstart_s\tend_s\tsplit\tgroup
https://example.org/a.mp4\tChopping\t1.5\t6\ttrain\tkitchen
https://example.org/a.mp4\tcutting\t\t\t\t
https://www.youtube.com/watch?v=aaaaaaaaaaa&t=3\tRain\t0\t5\ttest\t
"""


def test_afd_takes_folders_and_a_list(tmp_path: Path) -> None:
    root = films(tmp_path / "afd", "Chopping/a.mp4", "rain/b.MP4", "footsteps/c.mov")
    (root / "films.tsv").write_text(LIST)
    classes = {"cutting": ["cutting", "chopping"], "rain": ["rain"], "footstep": ["footstep", "footsteps"]}
    rows = listed(afd, tmp_path, classes=classes, licence="mine")
    assert [(row.label, row.origin, row.start_s, row.end_s, row.split) for row in rows] == [
        ("cutting", "local", None, None, ""),
        ("cutting", "url", 1.5, 6.0, "train"),
        ("cutting", "url", None, None, ""),
        ("rain", "local", None, None, ""),
        ("rain", "url", 0.0, 5.0, "test"),
        ("footstep", "local", None, None, ""),
    ]
    assert rows[1].group == "kitchen"
    assert rows[2].group == rows[2].recording_id.removeprefix("cutting_")
    assert len({row.recording_id for row in rows}) == 6
    assert {row.licence for row in rows} == {"mine"}


def test_afd_fetches_what_is_listed_and_finds_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = films(tmp_path / "afd", "cutting/a.mp4")
    (root / "films.csv").write_text("url,label\nhttps://example.org/a.mp4,cutting\n")

    def fake(sources: Any, config: DownloadConfig, *, data_dir: Path, folder: str, seed: int) -> list[Medium]:
        return [youtube8m.medium_of(row, f"{folder}/a.mp4", "network", "") for row in sources]

    monkeypatch.setattr(afd, "fetch_sources", fake)
    rows = listed(afd, tmp_path, classes={"cutting": ["cutting"]})
    media, _ = fetched(afd, rows, tmp_path)
    assert [(row.status, row.recording_id) for row in media] == [
        ("ok", rows[0].recording_id),
        ("network", rows[1].recording_id),
    ]
    again = listed(afd, tmp_path, classes={"cutting": ["cutting"]})  # what was fetched is not listed as local
    assert again == rows


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("file:///etc/passwd,rain", "no http or https address"),
        ("https://,rain", "no http or https address"),
        ("-rf,rain", "no http or https address"),
        ("https://a.b/c d,rain", "no http or https address"),
        ("https://a.b/c,dog", "'dog' is no class"),
        ("https://a.b/c", "line 2: 1 cells"),
    ],
)
def test_afd_names_the_wrong_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "l.csv").write_text(f"url,label\n{line}\n")
    with pytest.raises(FoleyError, match=message) as wrong:
        listed(afd, tmp_path, path=str(tmp_path), films="l.csv", classes={"rain": ["rain"]})
    assert "l.csv" in str(wrong.value)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("5,5,", "before it begins"),
        ("x,,", "no number of seconds"),
        ("-1,,", "no number"),
        (",,valid", "split"),
    ],
)
def test_afd_names_the_wrong_cell(tmp_path: Path, cells: str, message: str) -> None:
    (tmp_path / "l.csv").write_text(f"url,label,start_s,end_s,split\nhttps://a.b/c,rain,{cells}\n")
    with pytest.raises(FoleyError, match=rf"line 2.*{message}"):
        listed(afd, tmp_path, path=str(tmp_path), films="l.csv", classes={"rain": ["rain"]})


def test_afd_names_the_class_that_is_missing(tmp_path: Path) -> None:
    films(tmp_path / "afd", "break/a.mp4")
    with pytest.raises(FoleyError, match=r"car/\*\.mp4.*never published.*settings\.classes"):
        listed(afd, tmp_path)
    with pytest.raises(FoleyError, match=r"mine\.tsv"):
        listed(afd, tmp_path, films="mine.tsv")
