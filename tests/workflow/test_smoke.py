"""The whole workflow on a handful of clips: it ends, repeats to the byte, survives a kill, reruns little."""

import os
import re
import shutil
import signal
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from foley.store.shards import ShardReader
from tests.conftest import run_snakemake, snakemake

pytestmark = pytest.mark.slow

PICTURE = {"interpolate_frames", "make_spacetime_images", "extract_visual_features"}
SOUND = {"denoise_audio", "cut_clips", "extract_audio_features", "average_class_spectrograms"}
LEARN = {"train_model"}
MAKE = {"synthesize_audio", "compute_judgements"}
JUDGE = {"score_run", "collect_metrics", "tabulate", "plot_figure", "write_report"}


@dataclass(frozen=True)
class Smoke:
    """A finished run: the workflow's copy, the folder it ran in."""

    workflow: Path
    directory: Path

    def arguments(self, *overlays: Path) -> list[str]:
        return ["--configfile", str(self.workflow / "configs/smoke.yaml"), *map(str, overlays)]

    def planned(self) -> set[str]:
        """Rules that a dry run lists."""
        text = run_snakemake(self.workflow, self.directory, "-n", *self.arguments())
        if "Nothing to be done" in text:
            return set()
        return set(re.findall(r"^(?:local)?rule (\w+):", text, re.MULTILINE)) - {"all"}


def tables(directory: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in sorted((directory / "results/tables").iterdir())}
    assert found
    return found


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory, workflow_copy: Callable[[], Path]) -> Smoke:
    """One uninterrupted run."""
    finished = Smoke(workflow_copy(), tmp_path_factory.mktemp("smoke"))
    run_snakemake(finished.workflow, finished.directory, "--cores", "2", *finished.arguments())
    return finished


def test_it_ends_with_every_table_figure_and_report(smoke: Smoke) -> None:
    results = smoke.directory / "results"
    for number in range(1, 10):
        for ending in ("tsv", "md", "html", "tex"):
            assert (results / f"tables/autofoley_table{number}.{ending}").stat().st_size > 0
    assert list((results / "figures").glob("*.png"))
    assert (results / "report.html").stat().st_size > 10_000


def test_a_second_run_has_nothing_to_do(smoke: Smoke) -> None:
    assert smoke.planned() == set()


def test_snakemakes_report_holds_every_table_and_figure(smoke: Smoke, tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    run_snakemake(smoke.workflow, smoke.directory, "all", "--report", str(path), *smoke.arguments())
    with zipfile.ZipFile(path) as report:
        held = {report.read(name) for name in report.namelist()}
        page = report.read("report/report.html")
    results = smoke.directory / "results"
    shown = [
        *(results / "tables").glob("*.html"),
        *(results / "figures").glob("*.png"),
        results / "report.html",
    ]
    assert not [path for path in shown if path.read_bytes() not in held]
    assert not re.search(rb"<(?:script|link|img)[^>]+(?:src|href)=[\"']https?:", page)


def test_optical_flow_is_made_when_it_is_asked_for_and_not_before(smoke: Smoke) -> None:
    target = "results/procedural/flow/tvl1/000.h5"
    path = smoke.directory / target
    assert not path.exists()
    run_snakemake(smoke.workflow, smoke.directory, "--cores", "2", *smoke.arguments(), "--", target)
    flow, clips = ShardReader(path), ShardReader(smoke.directory / "results/procedural/clips/000.h5")
    assert flow.items == clips.items
    maps = flow.read(flow.items[0], "flow")
    assert maps.shape == (14, 2, 48, 64)
    assert maps.dtype == np.uint8
    assert np.ptp(maps) > 0
    assert smoke.planned() == set()


def test_no_pixels_are_kept(smoke: Smoke) -> None:
    for kind in ("frames", "spacetime"):
        assert not list((smoke.directory / "results/procedural" / kind).rglob("*.h5"))


def test_a_killed_and_resumed_run_gives_the_same_tables_to_the_byte(smoke: Smoke, tmp_path: Path) -> None:
    """Of a few systems, of every way of learning: all of them would take twice as long."""
    few = tmp_path / "few.yaml"
    few.write_text("only: [recorded, frame_sequence, regnet, v2ra, v2ra_denoised]\n", encoding="utf-8")
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(smoke.directory, undisturbed, symlinks=True)
    again = Smoke(smoke.workflow, tmp_path / "killed")
    process = snakemake(again.workflow, again.directory, "--cores", "2", *again.arguments(few))
    features = again.directory / "results/procedural/features/visual"
    while process.poll() is None and not list(features.rglob("*.h5")):
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (again.directory / "results/tables").exists()
    finished = {path: path.stat().st_mtime_ns for path in again.directory.glob("results/*/clips/*.h5")}
    run_snakemake(again.workflow, again.directory, "--cores", "2", *again.arguments(few))
    assert finished
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in finished.items()), (
        "finished work was redone"
    )
    # The undisturbed run has more systems; its tables of these few are made of what it has.
    run_snakemake(smoke.workflow, undisturbed, "--cores", "2", *smoke.arguments(few), "--", "results/tables")
    assert tables(again.directory) == tables(undisturbed)


def test_jobs_that_load_everything_anew_give_the_same_tables_to_the_byte(
    smoke: Smoke, tmp_path: Path
) -> None:
    few = tmp_path / "few.yaml"
    few.write_text("only: [recorded, frame_sequence]\n", encoding="utf-8")
    forked = tmp_path / "forked"
    shutil.copytree(smoke.directory, forked, symlinks=True)
    run_snakemake(smoke.workflow, forked, "--cores", "2", *smoke.arguments(few), "--", "results/tables")
    anew = Smoke(smoke.workflow, tmp_path / "anew")
    few.write_text("fork_jobs: false\n" + few.read_text(encoding="utf-8"), encoding="utf-8")
    run_snakemake(anew.workflow, anew.directory, "--cores", "2", *anew.arguments(few), "--", "results/tables")
    assert tables(anew.directory) == tables(forked)


def test_benchmark_files_say_what_a_job_took(smoke: Smoke) -> None:
    found = list((smoke.directory / "results/benchmarks/train_model").rglob("*.tsv"))
    assert found
    for path in found:
        head, values = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
        row = dict(zip(head, values, strict=True))
        assert 0 < float(row["cpu_time"]) < 2 * float(row["s"])
        assert 100 < float(row["max_rss"]) < 4000


EDITS = {
    "interpolation": (
        "foley/preprocess/interpolation.py",
        PICTURE | LEARN | MAKE | JUDGE,
        SOUND | {"train_sound_classifier", "download_media", "check_media"},
    ),
    "griffin_lim": (
        "foley/synthesis/griffin_lim.py",
        MAKE | JUDGE,
        PICTURE | SOUND | LEARN | {"train_sound_classifier"},
    ),
}


def edited(text: str) -> str:
    """Change what one function of a module does: an extra statement at its start."""
    match = re.search(r'^def \w+\((?:.|\n)*?\) -> [^\n]*:\n    (?:r?"""(?:.|\n)*?"""\n)?', text, re.MULTILINE)
    assert match
    return text[: match.end()] + "    edited = 1\n    del edited\n" + text[match.end() :]


@pytest.mark.parametrize("name", EDITS)
def test_editing_a_function_lists_what_depends_on_it_and_nothing_else(smoke: Smoke, name: str) -> None:
    path, listed, unlisted = EDITS[name]
    module = smoke.workflow / path
    original = module.read_text(encoding="utf-8")
    try:
        module.write_text(edited(original), encoding="utf-8")
        planned = smoke.planned()
    finally:
        module.write_text(original, encoding="utf-8")
    assert listed <= planned
    assert not planned & unlisted
    assert smoke.planned() == set()


@pytest.mark.parametrize("name", EDITS)
def test_editing_a_docstring_lists_nothing(smoke: Smoke, name: str) -> None:
    module = smoke.workflow / EDITS[name][0]
    original = module.read_text(encoding="utf-8")
    try:
        module.write_text(original.replace('"""', '"""Edited. ', 1) + "\n# a comment\n", encoding="utf-8")
        assert smoke.planned() == set()
    finally:
        module.write_text(original, encoding="utf-8")


def test_a_changed_setting_reruns_what_it_configures(smoke: Smoke) -> None:
    overlay = smoke.workflow / "configs/smoke.yaml"
    original = overlay.read_text(encoding="utf-8")
    try:
        overlay.write_text(original + "\ncheck:\n  min_duration_s: 3.1\n", encoding="utf-8")
        planned = smoke.planned()
    finally:
        overlay.write_text(original, encoding="utf-8")
    assert "check_media" in planned
    assert "download_media" not in planned
