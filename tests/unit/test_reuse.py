"""One trained model under two experiments: the same bytes, another way from model to sound."""

from pathlib import Path

import pytest
import yaml

from foley import config as configuration
from foley.errors import ConfigError
from foley.store.files import read_json, write_json
from foley.training.reuse import reuse_model

ROOT = Path(__file__).parents[2]


def test_a_model_is_copied_and_its_sound_treated_differently(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "curve.jsonl").write_text("{}\n")
    facts = {"experiment": "lender", "seed": 0, "pipeline": {"synthesis": {"denoise": "none"}}}
    write_json(tmp_path / "model.json", facts)
    taken = {"synthesis": {"denoise": "block_threshold"}}
    reuse_model(
        model_path=tmp_path / "model.safetensors",
        facts_path=tmp_path / "model.json",
        curve_path=tmp_path / "curve.jsonl",
        pipeline=taken,
        out_model_path=tmp_path / "own/model.safetensors",
        out_facts_path=tmp_path / "own/model.json",
        out_curve_path=tmp_path / "own/curve.jsonl",
    )
    assert (tmp_path / "own/model.safetensors").read_bytes() == b"weights"
    assert (tmp_path / "own/curve.jsonl").read_text() == "{}\n"
    # The trained experiment's name stays: from it the random numbers of prediction come.
    assert read_json(tmp_path / "own/model.json") == {**facts, "pipeline": taken}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trained_as": "nobody"}, "no experiment that trains a model is called 'nobody'"),
        ({"trained_as": "v2ra_denoised"}, "no experiment that trains a model"),
        ({"trained_as": "v2ra_ls"}, "v2ra_ls learns something else"),
        ({"trained_as": "v2ra", "seeds": [0, 1]}, "has other seeds"),
        ({"trained_as": "v2ra", "training": {"epochs": 9}}, "v2ra learns something else"),
    ],
)
def test_a_model_that_is_not_the_described_one_is_refused(changes: dict[str, object], message: str) -> None:
    values = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    taker = {"experiments": {"taker": {"based_on": "v2ra", "title": "Taker", **changes}}}
    with pytest.raises(ConfigError, match=message):
        configuration.parse(configuration.merge(values, taker))
