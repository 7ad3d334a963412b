"""Scores of a run: read from its shards, written as JSON, gathered in one table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foley import registry
from foley.errors import ConfigError, ManifestError, StoreError
from foley.features.audio import RepresentationConfig, represent
from foley.metrics.evaluate import MetricRow, collect_metrics, load_items, read_score, score_run
from foley.store.manifests import Clip, Event, read_rows, write_rows
from foley.store.shards import ShardWriter

CLASSES = ["clock", "rain"]
RATE_HZ = 8000


def clip_row(name: str, label: str, split: str) -> Clip:
    return Clip(
        clip_id=name,
        recording_id=name[:2],
        label=label,
        shard="000",
        group="",
        split=split,
        path=f"{name}.mp4",
        start_s=0,
        duration_s=1,
        fps=25,
    )


ROWS = [
    clip_row("c0_00", "clock", "test"),
    clip_row("c1_00", "clock", "train"),
    clip_row("r0_00", "rain", "test"),
]


REPRESENTATION = RepresentationConfig(kind="stft", sample_rate_hz=RATE_HZ, duration_s=1, n_frames=20)


def write_run(
    folder: Path,
    *,
    leave_out: str = "",
    judged: list[str] | None = None,
    classes: list[str] = CLASSES,
    labels: list[str] = CLASSES,
) -> dict[str, Any]:
    """A run over three clips whose sounds are the recorded ones, guessed as the first class throughout.

    Its spectrograms are the recorded sounds', and 0.1 too much.
    """
    generator = np.random.default_rng(0)
    waves = {row.clip_id: generator.standard_normal(RATE_HZ).astype(np.float32) * 0.1 for row in ROWS}
    paths = {name: folder / f"{name}.h5" for name in ("sound", "judgements", "clips")}
    sure = np.array([0.75, 0.25], dtype=np.float32)
    guess = sure[: len(classes)] / sure[: len(classes)].sum()
    with ShardWriter(paths["clips"], {}) as shard:
        for row in ROWS:
            shard.write(row.clip_id, {"audio": waves[row.clip_id]}, {"sample_rate_hz": RATE_HZ})
    about = {"classes": classes, "labels": labels, "representation": REPRESENTATION.model_dump()}
    with ShardWriter(paths["sound"], about) as shard:
        for row in ROWS:
            if row.label in labels and row.clip_id != leave_out:
                arrays = {"probabilities": guess}
                if row.split == "test":
                    arrays["waveform"] = waves[row.clip_id]
                    arrays["spectrogram"] = represent(waves[row.clip_id], REPRESENTATION) + 0.1
                shard.write(row.clip_id, arrays, {"sample_rate_hz": RATE_HZ})
    with ShardWriter(paths["judgements"], {"classes": CLASSES}) as shard:
        for clip_id in judged if judged is not None else ["c0_00", "r0_00"]:
            shard.write(clip_id, {"probabilities": sure})
    write_rows(folder / "000.tsv", Clip, ROWS)
    event = Event(clip_id="c0_00", time_s=0.5, kind="tick", material="", source="generated")
    write_rows(folder / "000.events.tsv", Event, [event, event.model_copy(update={"time_s": 0.25})])
    return {
        "sound_path": paths["sound"],
        "judgements_path": paths["judgements"],
        "clips_paths": [str(paths["clips"])],
        "rows_paths": [str(folder / "000.tsv")],
        "events_paths": [str(folder / "000.events.tsv")],
    }


def test_items_hold_what_the_files_say(tmp_path: Path) -> None:
    items = {item.clip_id: item for item in load_items(**write_run(tmp_path))}
    assert sorted(items) == ["c0_00", "c1_00", "r0_00"]
    first = items["c0_00"]
    assert first.events_s.tolist() == [0.25, 0.5]
    assert (first.events_source, first.recording_id, first.classes) == ("generated", "c0", ("clock", "rain"))
    np.testing.assert_array_equal(first.generated, first.recorded)
    assert items["c1_00"].judgement is None
    with pytest.raises(StoreError, match="c1_00: has no generated waveform"):
        _ = items["c1_00"].generated


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("accuracy", 0.5),
        ("retrieval", 0.5),
        ("log_loss", (np.log(4 / 3) + np.log(4)) / 2),
        ("confusion", 0.5),
        ("envelope", 0.0),
        ("correlation", 1.0),
        ("l2", 0.01),
    ],
)
def test_every_metric_scores_a_run(tmp_path: Path, metric: str, value: float) -> None:
    run = write_run(tmp_path)
    score_run(settings={metric: {}}, seed=0, metrics_folder=tmp_path / "m", **run)
    assert read_score(tmp_path / f"m/{metric}.json").value == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    "metric",
    ["accuracy", "log_loss", "confusion", "envelope", "correlation", "l2", "sync", "odg", "osg", "nearest"],
)
def test_what_no_metric_asks_the_sound_classifier_need_not_be_there(tmp_path: Path, metric: str) -> None:
    assert "judgements" not in getattr(registry.load("metrics", metric), "NEEDS", ())
    run = write_run(tmp_path)
    score_run(settings={metric: {}}, seed=0, metrics_folder=tmp_path / "judged", **run)
    del run["judgements_path"]
    score_run(settings={metric: {}}, seed=0, metrics_folder=tmp_path / "not", **run)
    assert (tmp_path / f"judged/{metric}.json").read_bytes() == (tmp_path / f"not/{metric}.json").read_bytes()


def test_a_metric_that_asks_for_what_was_not_heard_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    del run["judgements_path"]
    (first, *_) = load_items(**run)
    assert first.judgement is None
    with pytest.raises(StoreError, match="name judgements in the NEEDS"):
        first.heard("embedding")


def test_every_item_knows_all_recordings_also_of_classes_that_were_not_made(tmp_path: Path) -> None:
    (only,) = load_items(**write_run(tmp_path, classes=["rain"], labels=["rain"], judged=["r0_00"]))
    assert [(one.clip_id, one.label, one.split) for one in only.recordings] == [
        ("c0_00", "clock", "test"),
        ("c1_00", "clock", "train"),
        ("r0_00", "rain", "test"),
    ]
    waveform, rate_hz = only.recordings[2].load()
    assert rate_hz == RATE_HZ
    np.testing.assert_array_equal(waveform, only.recorded)


@pytest.mark.parametrize(("metric", "part"), [("odg", "mov/ehs"), ("osg", "mms"), ("nearest", "test_set")])
def test_the_metrics_of_v2ra_score_a_run(tmp_path: Path, metric: str, part: str) -> None:
    score_run(settings={metric: {}}, seed=0, metrics_folder=tmp_path / "m", **write_run(tmp_path))
    found = read_score(tmp_path / f"m/{metric}.json")
    assert found.value is not None
    assert part in found.parts


def test_a_run_is_scored_the_same_twice(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    for name in ("one", "two"):
        score_run(settings={"sync": {}}, seed=3, metrics_folder=tmp_path / name, **run)
    assert (tmp_path / "one/sync.json").read_bytes() == (tmp_path / "two/sync.json").read_bytes()


def test_a_missing_test_clip_is_an_error(tmp_path: Path) -> None:
    run = write_run(tmp_path, leave_out="r0_00")
    with pytest.raises(StoreError, match="1 test clips are missing, first r0_00"):
        score_run(settings={"accuracy": {}}, seed=0, metrics_folder=tmp_path / "m", **run)
    assert not (tmp_path / "m").exists()


def test_a_run_of_some_classes_lacks_nothing_of_the_others(tmp_path: Path) -> None:
    run = write_run(tmp_path, classes=["rain"], labels=["rain"], judged=["r0_00"])
    (only,) = load_items(**run)
    assert (only.clip_id, only.classes) == ("r0_00", ("clock", "rain"))
    np.testing.assert_array_equal(only.probabilities, [0.0, 1.0])
    for metric in ("accuracy", "log_loss", "confusion", "retrieval", "l2"):
        score_run(settings={metric: {}}, seed=0, metrics_folder=tmp_path / "m", **run)
        found = read_score(tmp_path / f"m/{metric}.json")
        assert found.n == 1
        assert not [path for path, part in found.walk() if part.value is None and path.endswith("/rain")]
    run = write_run(tmp_path / "less", classes=["rain"], labels=["rain"], leave_out="r0_00")
    with pytest.raises(StoreError, match="1 test clips are missing, first r0_00"):
        load_items(**run)


def test_classes_in_another_order_keep_their_probabilities(tmp_path: Path) -> None:
    items = load_items(**write_run(tmp_path, classes=["rain", "clock"]))
    for item in items:
        np.testing.assert_array_equal(item.probabilities, np.array([0.25, 0.75], dtype=np.float32))


def test_a_class_that_the_classifier_does_not_know_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="predicts wind, which is none of clock, rain"):
        load_items(**write_run(tmp_path, classes=["rain", "wind"]))


def test_a_missing_judgement_is_an_error(tmp_path: Path) -> None:
    run = write_run(tmp_path, judged=["c0_00"])
    with pytest.raises(StoreError, match="have no judgement, first r0_00"):
        score_run(settings={"retrieval": {}}, seed=0, metrics_folder=tmp_path / "m", **run)


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    with pytest.raises(ConfigError, match=r"(?s)metrics.sync.*window_ms"):
        score_run(settings={"sync": {"window_ms": 50}}, seed=0, metrics_folder=tmp_path / "m", **run)


def test_the_table_holds_every_part_of_every_run(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    paths = [
        tmp_path / "experiments" / name / f"seed{seed}" / "metrics" for name in ("b", "a") for seed in (1, 0)
    ]
    for path in paths:
        score_run(settings={"accuracy": {}}, seed=0, metrics_folder=path, **run)
    collect_metrics(folders=paths, table_path=tmp_path / "metrics.tsv")
    rows = read_rows(tmp_path / "metrics.tsv", MetricRow)
    whole = [(row.experiment, row.seed) for row in rows if not row.part]
    assert whole == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    found = {row.part: row for row in rows if (row.experiment, row.seed) == ("a", 0)}
    assert found["test/class/rain"].value == 0
    assert found["train/class_average"].value == 1
    assert found[""].unit == "proportion"
    again = tmp_path / "again.tsv"
    collect_metrics(folders=paths[::-1], table_path=again)
    assert again.read_bytes() == (tmp_path / "metrics.tsv").read_bytes()


def test_a_path_outside_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="is not <experiment>"):
        collect_metrics(
            folders=[], probe_paths=[tmp_path / "accuracy.json"], table_path=tmp_path / "metrics.tsv"
        )


def test_a_damaged_score_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a" / "seed0" / "metrics" / "sync.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    with pytest.raises(StoreError, match=r"sync.json: is not a score"):
        collect_metrics(folders=[path.parent], table_path=tmp_path / "metrics.tsv")
