"""The streamed route in the workflow: one job a shard, no pixel files, the same features."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foley.store.shards import ShardReader
from tests.conftest import run_snakemake

pytestmark = pytest.mark.slow

FEATURES = [
    f"results/procedural/features/visual/lite0/flow/{kind}/000.h5" for kind in ("frames", "spacetime")
]


def read(directory: Path) -> dict[tuple[str, str], np.ndarray]:
    shards = {path: ShardReader(directory / path) for path in FEATURES}
    found = {
        (path, clip_id): shard.read(clip_id, "features")
        for path, shard in shards.items()
        for clip_id in shard.items
    }
    assert found
    return found


def test_one_streamed_job_makes_what_the_stages_make(
    workflow_copy: Callable[[], Path], tmp_path: Path
) -> None:
    workflow, directory = workflow_copy(), tmp_path / "run"
    streamed = tmp_path / "streamed.yaml"
    streamed.write_text("picture: {stream: true}\n", encoding="utf-8")
    smoke = str(workflow / "configs/smoke.yaml")
    run_snakemake(workflow, directory, "--cores", "2", "--configfile", smoke, "--", *FEATURES)
    by_stages = read(directory)
    for path in FEATURES:
        (directory / path).unlink()
    both = ("--configfile", smoke, str(streamed))
    planned = run_snakemake(workflow, directory, "-n", *both, "--", *FEATURES)
    assert "stream_visual_features_flow" in planned
    for rule in ("interpolate_frames", "make_spacetime_images", "extract_visual_features"):
        assert rule not in planned
    run_snakemake(workflow, directory, "--cores", "2", *both, "--", *FEATURES)
    for key, features in read(directory).items():
        np.testing.assert_allclose(features, by_stages[key], rtol=1e-3, atol=1e-6)
    assert not list((directory / "results/procedural").glob("frames/**/*.h5"))
    assert "Nothing to be done" in run_snakemake(workflow, directory, "-n", *both, "--", *FEATURES)
