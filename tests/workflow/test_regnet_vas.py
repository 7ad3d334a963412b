"""REGNET at its own size on VAS: the configuration fits, and a folder of films is all that it asks for."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from foley import config as configuration
from foley.cli.calibration import data_spec
from foley.cli.planning import print_plan
from foley.datasets.vas import N_TEST_RELEASED
from foley.models import regnet
from tests.conftest import ROOT, run_snakemake

FILES = (ROOT / "config.yaml", ROOT / "configs/regnet_vas.yaml")
CONFIG = configuration.read(*FILES)
REGNETS = {name: one for name, one in CONFIG.experiments.items() if one.system == "regnet"}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Overlay for a folder with three films a class, of which nothing but the names is looked at."""
    for label in N_TEST_RELEASED:
        folder = tmp_path / "data/vas/videos" / label
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / f"video_{number:05d}.mp4").touch()
    overlay = tmp_path / "tiny.yaml"
    datasets = {"vas": {"settings": {"split": "seeded"}}}
    overlay.write_text(yaml.safe_dump({"shards": 2, "device": "cpu", "datasets": datasets}))
    return overlay


def test_every_class_is_learned_alone_at_the_released_size() -> None:
    assert all(len(one.labels) == 1 for one in REGNETS.values())
    assert {one.labels[0] for one in REGNETS.values()} == set(N_TEST_RELEASED)
    entry = CONFIG.experiments["regnet_dog"]
    spec = data_spec(CONFIG, entry, ("dog",))
    assert spec.visual_dims == (1024, 1024)
    assert spec.n_visual_steps == (215, 215)
    assert (spec.n_bins, spec.n_audio_frames, spec.sample_rate_hz) == (80, 860, 22_050)
    assert regnet.Config.model_validate(entry.model) == regnet.Config()


def test_the_papers_profile_takes_one_key() -> None:
    over = {"experiments": {"regnet_dog": {"model": {"profile": "paper"}}}}
    values: dict[str, object] = {}
    for path in FILES:
        values = configuration.merge(values, yaml.safe_load(path.read_text(encoding="utf-8")))
    changed = configuration.parse(configuration.merge(values, over))
    for name, one in REGNETS.items():
        before, after = one.model, changed.experiments[name].model
        assert after == {**before, "profile": "paper"}
    model = regnet.Config.model_validate(changed.experiments["regnet_dog"].model)
    assert (model.n_noise, model.bottleneck, model.adversarial_weight) == (0, "sampled", 10_000.0)


def test_it_plans(tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tiny.parent)
    print_plan(
        [*FILES, tiny],
        recordings=None,
        cores=2,
        benchmarks=tiny.parent / "none",
        speeds_path=tiny.parent / "none.json",
    )
    assert "recordings 24, clips 24" in " ".join(capsys.readouterr().out.split())


def test_the_workflow_plans(tiny: Path, workflow_copy: Callable[[], Path]) -> None:
    arguments = ("-n", "--configfile", str(ROOT / "configs/regnet_vas.yaml"), str(tiny))
    text = run_snakemake(workflow_copy(), tiny.parent, *arguments)
    words = [line.split() for line in text.splitlines()]
    jobs = {line[0]: line[1] for line in words if len(line) == 2 and line[1].isdigit()}
    assert int(jobs["train_model"]) == sum(len(one.seeds) for one in CONFIG.experiments.values())
    assert int(jobs["compute_flow"]) == 2
    assert int(jobs["probe_model"]) == 4
