"""What the plan foretells from measured speeds, and what it says when it knows nothing."""

from pathlib import Path
from typing import Any

import pytest

from foley import config as configuration
from foley import registry
from foley.cli.calibration import Speeds, loadable, read_speeds, speeds_digest, step_seconds
from foley.cli.planning import cost_stages, foretold_seconds, make_plan, print_plan
from foley.errors import StoreError
from foley.store.files import write_json
from tests.conftest import ROOT

CONFIG = configuration.read(ROOT / "config.yaml")
PAPER = configuration.read(ROOT / "config.yaml", ROOT / "configs/paper.yaml")


def speeds(config: configuration.Config) -> Speeds:
    """A machine on which every unit of work takes a round number of seconds."""
    return Speeds(
        of=speeds_digest(config),
        start_s=dict.fromkeys(("light", "score", "draw", "predict", "train"), 1.0),
        recording_s=2.0,
        check_s=0.5,
        decode_s=0.25,
        interpolation_s={"flow": 0.75, "repeat": 0.75},
        flow_s={"dis": 0.5},
        network_s=dict.fromkeys(config.backbones, 0.01),
        load_s=dict.fromkeys(config.backbones, 3.0),
        spacetime_s=0.1,
        representation_s=dict.fromkeys(config.representations, 0.01),
        inverse_s=dict.fromkeys(config.representations, 0.1),
        training_s=dict.fromkeys(config.experiments, 0.002),
        prediction_s=dict.fromkeys(config.experiments, 0.001),
        classifier_s=0.003,
    )


N_CLIPS = 800
N_IN_SHARD = N_CLIPS / CONFIG.shards


def planned(config: configuration.Config, n_clips: int = N_CLIPS) -> dict[str, float]:
    plan = make_plan(config, n_recordings=n_clips, clips_per_recording=1.0, cores=2)
    return foretold_seconds(config, plan, speeds(config))


def test_seconds_are_units_times_speed() -> None:
    seconds = planned(CONFIG)
    assert seconds["download_media"] == 1 + N_IN_SHARD * 2.0
    assert seconds["check_media"] == 1 + N_IN_SHARD * 0.5
    assert seconds["interpolate_frames"] == 1 + N_IN_SHARD * (0.25 + 0.75)
    assert seconds["make_spacetime_images"] == pytest.approx(1 + N_IN_SHARD * 0.1)
    n_train = N_CLIPS * (1 - CONFIG.split.test_fraction)
    classifier_s = CONFIG.sound_classifier.epochs * n_train * 0.003
    assert seconds["train_sound_classifier"] == pytest.approx(1 + classifier_s)
    assert seconds["build_sources"] == 1


def test_every_planned_rule_is_foretold_and_grows_with_the_clips() -> None:
    few, many = planned(CONFIG), planned(CONFIG, 2 * N_CLIPS)
    plan = make_plan(CONFIG, n_recordings=N_CLIPS, clips_per_recording=1.0, cores=2)
    assert set(few) == set(plan.n_jobs) - {"train_vocoder"}
    for rule in ("extract_visual_features", "train_model", "synthesize_audio", "extract_audio_features"):
        assert few[rule] < many[rule] < 2 * few[rule]


def test_pictures_that_are_streamed_are_counted_once() -> None:
    seconds = planned(PAPER, 27_800)
    assert "interpolate_frames" not in seconds
    n_clips = 27_800 / PAPER.shards
    assert seconds["stream_visual_features"] > n_clips * (0.25 + 0.75 + 570 * 0.01)


def looking_at(*features: str) -> configuration.Config:
    """The default run with one experiment, which looks at these features."""
    entry = CONFIG.experiments["frame_relation"].model_copy(update={"visual": features})
    return CONFIG.model_copy(update={"experiments": {"frame_relation": entry}})


def test_optical_flow_is_counted_apart_from_pictures() -> None:
    config = looking_at("lite0/flow/frames", "grid/dis/flow")
    plan = make_plan(config, n_recordings=N_CLIPS, clips_per_recording=1.0, cores=2)
    assert plan.n_jobs["compute_flow"] == plan.n_jobs["extract_flow_features"] == config.shards
    assert plan.n_jobs["interpolate_frames"] == plan.n_jobs["extract_visual_features"] == config.shards
    assert plan.n_jobs["collect_features"] == 3
    seconds = planned(config)
    assert seconds["compute_flow"] == 1 + N_IN_SHARD * 0.5
    assert seconds["extract_flow_features"] == pytest.approx(1 + 3 + N_IN_SHARD * 64 * 0.01)
    without = make_plan(
        looking_at("lite0/flow/frames"), n_recordings=N_CLIPS, clips_per_recording=1.0, cores=2
    )
    assert "compute_flow" not in without.n_jobs
    assert plan.kept_bytes - without.kept_bytes == N_CLIPS * 64 * 48 * 2
    alone = make_plan(looking_at("grid/dis/flow"), n_recordings=N_CLIPS, clips_per_recording=1.0, cores=2)
    flow = config.flows["dis"]
    assert alone.temporary_bytes == 2 * N_IN_SHARD * 63 * flow.width_px * flow.height_px * 2


def test_what_comes_over_a_network_is_not_foretold() -> None:
    entry = CONFIG.datasets["procedural"].model_copy(update={"kind": "folder"})
    config = CONFIG.model_copy(update={"datasets": {"procedural": entry}})
    plan = make_plan(config, n_recordings=10, clips_per_recording=1.0, cores=2)
    assert "download_media" not in foretold_seconds(config, plan, speeds(config))


def test_speeds_are_recalled_for_the_same_configuration_only(tmp_path: Path) -> None:
    path = tmp_path / "speeds.json"
    assert read_speeds(path, CONFIG) is None
    write_json(path, speeds(CONFIG).model_dump())
    assert read_speeds(path, CONFIG) == speeds(CONFIG)
    assert read_speeds(path, PAPER) is None
    path.write_text("{}")
    with pytest.raises(StoreError, match=r"speeds\.json.*measure again"):
        read_speeds(path, CONFIG)


def test_an_earlier_run_counts_before_what_speeds_foretell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "benchmarks/check_media/procedural"
    folder.mkdir(parents=True)
    (folder / "000.tsv").write_text("s\tcpu_time\n9.0\t12.0\n")
    (folder / "001.tsv").write_text("s\tcpu_time\n4.0\t\n")
    write_json(tmp_path / "speeds.json", speeds(CONFIG).model_dump())
    print_plan(
        [ROOT / "config.yaml"],
        recordings=N_CLIPS,
        cores=2,
        benchmarks=tmp_path / "benchmarks",
        speeds_path=tmp_path / "speeds.json",
    )
    lines = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines() if "│" in line}
    assert "8.0" in lines["check_media"]
    assert "earlier run" in lines["check_media"]
    assert f"{1 + N_IN_SHARD * 2.0:.1f}" in lines["download_media"]
    assert "speed" in lines["download_media"]


def test_nothing_known_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(
        [ROOT / "config.yaml"],
        recordings=10,
        cores=2,
        benchmarks=tmp_path,
        speeds_path=tmp_path / "speeds.json",
    )
    assert "foley plan --measure" in capsys.readouterr().out


def test_an_experiment_that_looks_at_flow_can_take_a_step() -> None:
    config = looking_at("lite0_all/native/frames", "grid/dis/flow")
    entry = config.experiments["frame_relation"]
    assert min(step_seconds(config, entry, n_clips=2)) > 0


@pytest.mark.parametrize("name", CONFIG.experiments)
def test_every_experiment_of_the_default_run_can_take_a_step(name: str) -> None:
    step_s, prediction_s = step_seconds(CONFIG, CONFIG.experiments[name], n_clips=2)
    learns = registry.load("systems", CONFIG.experiments[name].system).System.trained
    assert (step_s > 0) == (prediction_s > 0) == learns


@pytest.mark.parametrize(
    ("name", "part"), [("foleygan", "generator"), ("gansynth", "resolutions")], ids=["foleygan", "gansynth"]
)
def test_a_step_is_that_of_the_last_phase(name: str, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = CONFIG.experiments[name]
    system = registry.load("systems", entry.system).System
    step, told = system.step, []

    def telling(self: Any, *given: Any) -> dict[str, float]:
        told.append(step(self, *given))
        return dict(told[-1])

    monkeypatch.setattr(system, "step", telling)
    step_seconds(CONFIG, entry, n_clips=2)
    assert all(part in parts for parts in told)
    if name == "gansynth":
        assert {parts[part] for parts in told} == {entry.model["n_resolutions"]}


def test_a_network_whose_weights_are_not_here_is_timed_with_any(tmp_path: Path) -> None:
    resnet = PAPER.backbones["lite0"]
    assert resnet.weights == "weights/resnet50-0676ba61.pth"
    assert loadable(resnet).weights == "random"
    (tmp_path / "here.pth").touch()
    here = resnet.model_copy(update={"weights": str(tmp_path / "here.pth")})
    assert loadable(here) == here
    packaged = CONFIG.backbones["lite0"]
    assert loadable(packaged) == packaged


def test_stages_add_up_to_the_whole() -> None:
    plan = make_plan(PAPER, n_recordings=27_800, clips_per_recording=1.0, cores=2)
    assert sum(plan.n_jobs.values()) < 5_000
    seconds = foretold_seconds(PAPER, plan, speeds(PAPER))
    stages = {stage.name: stage for stage in cost_stages(PAPER, plan, seconds)}
    assert sum(stage.n_jobs for stage in stages.values()) == sum(plan.n_jobs.values())
    known_s = sum(plan.n_jobs[rule] * seconds[rule] for rule in seconds)
    hours = sum(stage.cpu_hours + stage.gpu_hours for stage in stages.values())
    assert hours == pytest.approx(known_s / 3600)
    assert stages["picture"].gpu_hours > 0
    assert stages["prepare"].gpu_hours == 0
    assert stages["train"].memory_mb > 100_000, "all features of all clips are held in memory"
    assert not stages["train"].complete, "vocoders are not foretold"


def test_without_a_gpu_all_hours_are_those_of_processors() -> None:
    plan = make_plan(CONFIG, n_recordings=N_CLIPS, clips_per_recording=1.0, cores=2)
    assert all(stage.gpu_hours == 0 for stage in cost_stages(CONFIG, plan, planned(CONFIG)))
