"""Probes of the regulariser: what they compute, from files to the numbers of Tables V to VII."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foley.errors import ConfigError
from foley.metrics.base import Item, MetricConfig
from foley.metrics.evaluate import read_score
from foley.models.base import DataSpec
from foley.seeds import derive_seed
from foley.store.files import write_json
from foley.store.manifests import Clip, write_rows
from foley.store.shards import ShardWriter
from foley.synthesis.probes import cosines, probe_model, similarity_score, squared_distances
from foley.training.checkpoint import build_system, load_system, save_weights, spec_as_json
from tests.learnable import clip_row

N_STEPS, N_BINS = 8, 5
SETTINGS: dict[str, Any] = {
    "n_noise": 2,
    "n_encoded": 8,
    "n_units": 4,
    "n_generated": 8,
    "n_seen": 4,
    "n_judged": (4, 4, 4),
    "bottleneck_dim": 3,
}
SPEC = DataSpec(("bang",), (6,), (N_STEPS,), (20.0,), N_BINS, 4 * N_STEPS, 8000, 0.64)
CLIPS = [("bang_0_00", "train"), ("bang_1_00", "test"), ("bang_1_01", "test"), ("bang_2_00", "test")]


def items(*names: str) -> list[Item]:
    return [Item(name, "bang", "test", recording_id=name.rsplit("_", 1)[0]) for name in names]


def array(name: str, clip_id: str, *shape: int) -> np.ndarray:
    seed = derive_seed(0, name, clip_id)
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def write_run(folder: Path, experiment: str, *, mixture: str | None, **settings: object) -> tuple[str, str]:
    """A model that nobody trained; gives its two files."""
    model = SETTINGS | settings
    averages = torch.zeros(1, N_BINS, 4 * N_STEPS)
    system = build_system("regnet", model, SPEC, averages, seed=derive_seed(0, experiment))
    run = folder / experiment / "seed0"
    run.mkdir(parents=True)
    save_weights(system, run / "model.safetensors")
    config = {"system": "regnet", "model": model, "visual": ["v"], "labels": ["bang"], "mixture": mixture}
    facts = {"experiment": experiment, "config": config, "spec": spec_as_json(SPEC)}
    write_json(run / "model.json", facts)
    return str(run / "model.safetensors"), str(run / "model.json")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """Features of four clips, three of them test clips, clean and under two mixtures."""
    rows = [clip_row(clip_id, "bang", split, "000") for clip_id, split in CLIPS]
    write_rows(tmp_path / "clips.tsv", Clip, rows)
    with ShardWriter(tmp_path / "visual.h5", {}) as shard:
        for clip_id, _ in CLIPS:
            features = array("visual", clip_id, N_STEPS, 6).astype(np.float16)
            shard.write(clip_id, {"features": features, "timestamps_s": np.arange(N_STEPS) * 0.05})
    for name in ("clean", "noise", "rain"):
        with ShardWriter(tmp_path / f"{name}.h5", {}) as shard:
            for clip_id, _ in CLIPS:
                arrays = {"features": array(name, clip_id, N_BINS, 4 * N_STEPS)}
                arrays["background"] = array(f"{name}, background", clip_id, N_BINS, 4 * N_STEPS)
                shard.write(clip_id, arrays)
    return {
        "rows_path": str(tmp_path / "clips.tsv"),
        "visual_paths": [str(tmp_path / "visual.h5")],
        "audio_path": str(tmp_path / "clean.h5"),
        "mixed_paths": {name: str(tmp_path / f"{name}.h5") for name in ("noise", "rain")},
        "n_threads": 1,
        "device": "cpu",
        "seed": 0,
        "base_seed": 0,
        "metric_path": str(tmp_path / "regulariser.json"),
    }


def test_a_cosine_knows_direction_and_not_length() -> None:
    found = cosines(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[5.0, 0.0], [0.0, -2.0]]))
    np.testing.assert_allclose(found, [[1, 0], [2**-0.5, -(2**-0.5)]], atol=1e-12)
    assert cosines(np.zeros((1, 2)), np.ones((1, 2))).tolist() == [[0.0]]


def test_similarity_leaves_a_clip_and_itself_out() -> None:
    names = ("bang_1_00", "bang_2_00", "bang_3_00")
    outputs = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = similarity_score(outputs, items(*names), outputs, items(*names), MetricConfig(), 0)
    assert found.n == 6
    assert found.value == pytest.approx(2 / 6)
    assert found.ci_low is not None
    assert found.ci_low < 2 / 6 < found.ci_high
    apart = similarity_score(outputs, items(*names), outputs, items("x_0", "y_0", "z_0"), MetricConfig(), 0)
    assert (apart.n, apart.value) == (9, pytest.approx(5 / 9))


def test_a_single_clip_has_no_pair() -> None:
    found = similarity_score(np.ones((1, 2)), items("a_0"), np.ones((1, 2)), items("a_0"), MetricConfig(), 0)
    assert (found.value, found.note) == (None, "no pair of different clips")


def test_distances_are_means_of_squares() -> None:
    assert squared_distances(np.zeros((2, 1, 2)), np.array([[[1, 3]], [[0, 2]]])).tolist() == [5.0, 2.0]


def test_probes_measure_what_they_say(tmp_path: Path, files: dict[str, Any]) -> None:
    model, facts = write_run(tmp_path, "own", mixture="noise")
    other = write_run(tmp_path, "other", mixture="rain")
    config = {"alone": True, "mix_in": ["rain"], "compare": ["own", "other"]}
    probe_model(config=config, model_path=model, facts_path=facts, others=[(model, facts), other], **files)
    parts = read_score(files["metric_path"]).parts
    assert set(parts) == {
        "alone/clean",
        "alone/background",
        "mix_in/rain/zero",
        "mix_in/rain/forwarded",
        "similarity/own",
        "similarity/other",
    }

    system: Any = load_system(model, facts, "cpu")[0]
    tested = [clip_id for clip_id, split in CLIPS if split == "test"]

    def stacked(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([array(name, one, N_BINS, 4 * N_STEPS) for one in tested]))

    seed = derive_seed(0, "probe", "own", 0)
    with torch.no_grad():
        forwarded = system.forwarded(torch.zeros(3, N_STEPS, 6), stacked("noise"))
        zero = torch.zeros(3, N_STEPS, 6)
        made = system.generate(zero, forwarded, torch.Generator().manual_seed(seed))[0].clamp(0, 1)
    for part, name in (("alone/clean", "clean"), ("alone/background", "noise, background")):
        assert parts[part].value == pytest.approx(float((made - stacked(name)).square().mean()), rel=1e-5)
        assert parts[part].n == 3
    assert parts["mix_in/rain/zero"].value != parts["mix_in/rain/forwarded"].value
    assert (parts["similarity/own"].n, parts["similarity/other"].n) == (6, 6)


def test_probes_are_the_same_twice(tmp_path: Path, files: dict[str, Any]) -> None:
    model, facts = write_run(tmp_path, "own", mixture=None)
    for name in ("one", "two"):
        given = files | {"metric_path": str(tmp_path / name)}
        probe_model(config={"mix_in": ["noise"]}, model_path=model, facts_path=facts, others=[], **given)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_model_without_regulariser_cannot_be_asked(tmp_path: Path, files: dict[str, Any]) -> None:
    model, facts = write_run(tmp_path, "own", mixture="noise", regulariser="none")
    with pytest.raises(ConfigError, match="no audio forwarding regulariser"):
        probe_model(config={"alone": True}, model_path=model, facts_path=facts, others=[], **files)
