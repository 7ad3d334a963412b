"""What an experiment on mixed sound is made from, as the workflow plans it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import run_snakemake

pytestmark = pytest.mark.slow

OVERLAY = {
    "shards": 2,
    "mixtures": {"hiss": {"kind": "noise", "std": 0.01}},
    "experiments": {
        "mixed": {"based_on": "frame_relation", "mixture": "hiss"},
        "playing": {
            "title": "plays hits",
            "system": "detect_and_play",
            "visual": ["grid/dis/flow"],
            "representation": "stft",
        },
    },
}


def test_mixed_sound_is_learned_and_clean_sound_judges(
    workflow_copy: Callable[[], Path], tmp_path: Path
) -> None:
    workflow, overlay = workflow_copy(), tmp_path / "mixed.yaml"
    overlay.write_text(yaml.safe_dump(OVERLAY), encoding="utf-8")
    targets = [f"results/procedural/experiments/{name}/seed0/metrics" for name in ("mixed", "playing")]
    text = run_snakemake(workflow, tmp_path, "-n", "--configfile", str(overlay), "--", *targets)
    planned = dict(
        re.findall(
            r"^rule \w+:\n +input: (.+)\n +output: results/procedural/(\S+?)(?:,|$)", text, re.MULTILINE
        )
    )
    made_from = {made: set(read.split(", ")) for read, made in planned.items()}
    folder = "results/procedural"
    learned = made_from["experiments/mixed/seed0/model.safetensors"]
    assert f"{folder}/features/mixed/hiss/stft.h5" in learned
    assert f"{folder}/averages/stft.h5" in learned
    assert not learned & {f"{folder}/features/audio/stft.h5", f"{folder}/clips.h5"}
    assert made_from["averages/stft.h5"] == {f"{folder}/features/audio/stft.h5", f"{folder}/clips.tsv"}
    assert made_from["features/mixed/hiss/stft/001.h5"] == {f"{folder}/mixtures/hiss/001.h5"}
    assert f"{folder}/clips/001.h5" in made_from["mixtures/hiss/001.h5"]
    assert f"{folder}/clips.h5" in made_from["experiments/mixed/seed0/metrics"]
    assert f"{folder}/clips.h5" in made_from["experiments/playing/seed0/model.safetensors"]
    assert f"{folder}/features/mixed" not in " ".join(
        made_from["experiments/playing/seed0/model.safetensors"]
    )
