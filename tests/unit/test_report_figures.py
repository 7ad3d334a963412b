"""Figures and pages from a small fake run: drawn, deterministic, self-contained."""

import json
import re
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from foley.errors import ConfigError, StoreError
from foley.metrics.evaluate import MetricRow, collect_metrics
from foley.report.config import ReportConfig
from foley.report.figures import FIGURES, RunPaths, plot_figure, spectrogram_db
from foley.report.gan_figures import rainbowgram
from foley.report.page import read_provenance, write_report
from foley.report.results_doc import copy_image, write_results_page
from foley.report.run_paths import read_curve
from foley.store.files import write_json
from foley.store.manifests import Clip, Event, Failure, read_rows, write_rows
from foley.store.shards import ShardWriter

RATE_HZ, DURATION_S, LABELS = 8000, 1.0, ("horse", "rain")
EXPERIMENTS = {"one": [0], "two": [0]}
REPORT: dict[str, Any] = {
    "figures": list(FIGURES),
    "rows": {
        "autofoley_table4": {"Model 1": "one", "Model 2": "two"},
        "autofoley_table5": {"Frame Sequence Network": "one"},
        "foleygan_table1": {"Real Data": "one", "FoleyGAN": "two"},
    },
    "stand_ins": {},
}


def write_film(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for index in range(12):
            picture = np.full((64, 64, 3), 20 * index, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def part(value: float | None, **over: Any) -> dict[str, Any]:
    whole = {"value": value, "n": 4, "unit": "proportion", "ci_low": None, "ci_high": None, "note": ""}
    return {**whole, "data": {}, "parts": {}, **over}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``results`` and ``data`` of a finished run with two classes and two experiments."""
    root = tmp_path_factory.mktemp("project")
    dataset = root / "results/toy"
    generator = np.random.default_rng(0)
    waves = {f"{label}_00": generator.normal(0, 0.1, RATE_HZ).astype(np.float32) for label in LABELS}
    clips = [
        Clip(clip_id=f"{label}_00", recording_id=label, label=label, shard="000", group="", split="test",
             path=f"raw/{label}.mp4", start_s=0.0, duration_s=DURATION_S, fps=10.0)
        for label in LABELS
    ]  # fmt: skip
    write_film(root / "data/raw/horse.mp4")
    (root / "data/raw/rain.mp4").write_text("no film at all")
    write_rows(dataset / "clips/000.tsv", Clip, clips)
    events = [Event(clip_id="horse_00", time_s=0.5, kind="hit", material="", source="generated")]
    write_rows(dataset / "clips/000.events.tsv", Event, events)
    with ShardWriter(dataset / "clips/000.h5", {}) as shard:
        for name, wave in waves.items():
            shard.write(name, {"audio": wave}, {"sample_rate_hz": RATE_HZ})
    for experiment in EXPERIMENTS:
        run = dataset / "experiments" / experiment / "seed0"
        with ShardWriter(run / "sound.h5", {"classes": LABELS}) as shard:
            for name, wave in waves.items():
                shard.write(name, {"waveform": wave[::-1].copy()}, {"sample_rate_hz": RATE_HZ})
        curve = [{"epoch": epoch, "loss": 1 / epoch, "wall_s": 3.0} for epoch in (1, 2, 3)]
        (run / "curve.jsonl").write_text("".join(json.dumps(line) + "\n" for line in curve))
        write_json(run / "model.json", {"n_parameters": 1234})
        errors = {"errors_ms": {"horse": [3.0, -4.0]}, "shuffled_errors_ms": [99.0]}
        sync = part(0.5, data=errors, parts={"shuffled": part(0.1)})
        scores = {
            "accuracy": part(0.5, parts={"test": part(0.5, parts={"class_average": part(0.5)})}),
            "confusion": part(0.5, data={"classes": list(LABELS), "counts": [[2, 0], [1, 1]]}),
            "sync": sync,
        }
        for name, score in scores.items():
            write_json(run / f"metrics/{name}.json", {"metric": name, "settings": {}, "score": score})
    metrics = sorted(dataset.glob("experiments/*/seed0/metrics"))
    collect_metrics(folders=metrics, table_path=dataset / "metrics.tsv")
    return root


def draw(project: Path, figure: str, out_path: Path) -> bytes:
    plot_figure(
        figure=figure,
        results_dir=project / "results",
        data_dir=project / "data",
        dataset="toy",
        experiments=EXPERIMENTS,
        report=REPORT,
        out_path=out_path,
    )
    return out_path.read_bytes()


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_drawn_the_same_every_time_without_a_date(
    project: Path, figure: str, tmp_path: Path
) -> None:
    first, second = draw(project, figure, tmp_path / "a.png"), draw(project, figure, tmp_path / "b.png")
    assert first == second
    assert not re.search(rb"tEXt|iTXt|tIME", first)
    picture = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[0] >= 120
    assert picture.std() > 1


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_of_a_run_that_lacks_everything_says_so(figure: str, tmp_path: Path) -> None:
    write_rows(tmp_path / "results/toy/metrics.tsv", MetricRow, [])
    paths = RunPaths(tmp_path / "results", tmp_path, "toy", {"one": [0]})
    drawn = FIGURES[figure](paths)
    assert any(text.get_text() for axes in drawn.axes for text in axes.texts)


def test_an_unknown_figure_is_named(project: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no figure is called 'fig99'"):
        draw(project, "fig99", tmp_path / "x.png")


def test_the_contact_sheet_shows_the_frame_at_the_event_and_names_what_cannot_be_read(project: Path) -> None:
    paths = RunPaths(project / "results", project / "data", "toy", EXPERIMENTS)
    axes = FIGURES["contact_sheet"](paths).axes
    shown = [one.get_images()[0].get_array() for one in axes if one.get_images()]
    assert [one.get_title() for one in axes if one.get_images()] == ["0.10 s", "0.50 s", "0.90 s"]
    assert [round(float(np.mean(one)) / 20) for one in shown] == [1, 5, 9]
    texts = [text.get_text() for one in axes for text in one.texts]
    assert {"horse", "rain"} < set(texts)
    assert len(texts) == 3


def test_the_spectrogram_puts_a_full_scale_sine_at_zero_db_in_its_bin() -> None:
    wave = np.sin(2 * np.pi * 32 / 512 * np.arange(8192))
    db = spectrogram_db(wave)
    assert np.all(db.argmax(axis=0) == 32)
    assert db.max() == pytest.approx(0, abs=0.05)
    assert spectrogram_db(np.zeros(10)).max() == -90


def test_metrics_are_collected_with_all_parts_and_sorted(project: Path) -> None:
    rows = read_rows(project / "results/toy/metrics.tsv", MetricRow)
    found = [(row.experiment, row.seed, row.metric, row.part) for row in rows]
    assert found[:3] == [
        ("one", 0, "accuracy", ""),
        ("one", 0, "accuracy", "test"),
        ("one", 0, "accuracy", "test/class_average"),
    ]
    assert ("two", 0, "sync", "shuffled") in found


@pytest.fixture
def finished(project: Path) -> Path:
    results = project / "results"
    (results / "tables").mkdir(exist_ok=True)
    (results / "tables/autofoley_table1.html").write_text("<section>first table</section>")
    (results / "tables/autofoley_table1.md").write_text("### First table\n")
    for figure in ("contact_sheet", "fig14"):
        draw(project, figure, results / f"figures/{figure}.png")
    failure = Failure(
        recording_id="r1", label="rain", path="x", stage="check", reason="no_audio", detail="<x>"
    )
    write_rows(results / "toy/failures.tsv", Failure, [failure])
    bench = results / "benchmarks/train_model/a.tsv"
    bench.parent.mkdir(parents=True, exist_ok=True)
    bench.write_text("s\th:m:s\n3600.0\t1:00:00\n")
    write_report(
        tables_dir=results / "tables",
        figures=[results / "figures/contact_sheet.png", results / "figures/fig14.png"],
        facts_paths=sorted(results.glob("toy/experiments/*/seed0/model.json")),
        failures_path=results / "toy/failures.tsv",
        config={
            "scale_note": "tiny </script> scale",
            "dataset": "toy",
            "seed": 7,
            "experiments": {"one": {}},
        },
        environment={"cpus": 2, "versions": {"numpy": "2"}},
        report_path=results / "report.html",
    )
    return results


def test_the_report_needs_nothing_from_outside(finished: Path) -> None:
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("data:image/png;base64,") == 2
    for expected in ("first table", "no_audio", "&lt;x&gt;", "1,234", "tiny &lt;/script&gt; scale"):
        assert expected in page
    known = read_provenance(finished / "report.html")
    assert (known["scale"], known["seed"]) == ("tiny </script> scale", 7)


def test_the_results_page_tells_when_where_and_at_what_scale(finished: Path, tmp_path: Path) -> None:
    write_results_page(results_dir=finished, docs_dir=tmp_path)
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    known = read_provenance(finished / "report.html")
    for expected in (
        known["date"],
        "2 cores",
        "tiny </script> scale",
        "### First table",
        "make tables",
        "1.00 h",
    ):
        assert expected in text
    images = re.findall(r"\]\((images/\S+)\)", text)
    assert images == ["images/contact_sheet.png", "images/fig14.png"]
    assert all((tmp_path / image).stat().st_size < 300_000 for image in images)


def test_an_unfinished_run_has_no_results_page(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="finish a run first"):
        write_results_page(results_dir=tmp_path, docs_dir=tmp_path)


def test_a_large_picture_is_made_small_enough_and_stays_the_same_picture(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 255, 400, dtype=np.uint8), (400, 1))
    noise = np.random.default_rng(0).integers(0, 20, (400, 400, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), np.minimum(ramp[..., None] // 2 + noise, 255).astype(np.uint8))
    copy_image(tmp_path / "large.png", tmp_path / "small.png", max_bytes=60_000)
    assert (tmp_path / "small.png").stat().st_size < 60_000
    small = cv2.imread(str(tmp_path / "small.png"))
    wide = cv2.resize(small, (400, 400)).astype(float)
    assert abs(wide - cv2.imread(str(tmp_path / "large.png"))).mean() < 12


def test_a_rainbowgram_colours_a_steady_tone_evenly_and_leaves_silence_black() -> None:
    time_s = np.arange(22_050) / 22_050
    note_hz = 65.4 * 2**3
    picture = rainbowgram(np.sin(2 * np.pi * note_hz * time_s), 22_050)
    row = picture[72, 20:-20]  # 24 notes an octave, three octaves up
    assert row.min(axis=1).max() < 0.1  # a pure colour
    assert row.max(axis=1).min() > 0.95
    assert row.std(axis=0).max() < 0.05
    rush = rainbowgram(np.random.default_rng(0).standard_normal(22_050), 22_050)
    assert rush[72].std(axis=0).max() > 0.2
    assert not rainbowgram(np.zeros(22_050), 22_050).any()


def test_the_figures_of_generators_show_the_rows_of_the_table(project: Path) -> None:
    paths = RunPaths(
        project / "results", project / "data", "toy", EXPERIMENTS, ReportConfig.model_validate(REPORT)
    )
    titles = {
        name: [axes.get_title() for axes in FIGURES[name](paths).axes if axes.get_title()]
        for name in ("rainbowgrams", "gan_losses", "sample_sheet")
    }
    assert titles["rainbowgrams"] == ["recorded", "FoleyGAN"]
    assert titles["gan_losses"] == ["FoleyGAN"]
    assert titles["sample_sheet"] == ["recorded", "FoleyGAN"]
    (losses,) = FIGURES["gan_losses"](paths).axes
    assert losses.lines[0].get_ydata().tolist() == [1, 1 / 2, 1 / 3]


def test_what_is_logged_late_is_drawn_late(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_text('{"epoch": 0, "class": 2.0}\n{"epoch": 1, "generator": 1.5, "made": true}\n')
    assert read_curve(path) == {
        "epoch": ([1, 2], [0.0, 1.0]),
        "class": ([1], [2.0]),
        "generator": ([2], [1.5]),
    }
