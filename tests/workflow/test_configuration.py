"""A wrong configuration stops the run before it plans, and names the key."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from foley import config as configuration
from foley.errors import ConfigError
from tests.conftest import ROOT, snakemake

VALUES = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


def with_change(*path: str, value: object) -> dict:
    over: object = value
    for key in reversed(path):
        over = {key: over}
    return configuration.merge(VALUES, over)


@pytest.mark.parametrize("name", ["smoke", "paper", "regnet_classes", "regnet_vas", "seeds3", "foleygan"])
def test_every_overlay_fits(name: str) -> None:
    configuration.read(ROOT / "config.yaml", ROOT / f"configs/{name}.yaml")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("sede",), 1, "sede: there is no such key"),
        (("clips", "duratoin_s"), 3, r"clips\.duratoin_s: there is no such key"),
        (("dataset",), "vegaz", "dataset: 'vegaz' is not one of"),
        (("datasets", "procedural", "settings", "recordings_per_clas"), 3, "recordings_per_clas"),
        (("experiments", "frame_sequence", "visual"), ["resnet/flow/spacetime"], "frame_sequence.visual"),
        (("experiments", "frame_sequence", "visual"), ["lite0/grid/flow"], r"<backbone>/<flow>/flow of conf"),
        (
            ("experiments", "frame_sequence", "visual"),
            ["lite0/dis/flow"],
            "lite0 does not look at optical flow",
        ),
        (("experiments", "frame_sequence", "visual"), ["grid/flow/frames"], "looks at optical flow only"),
        (("experiments", "frame_sequence", "model", "hiden"), 3, "hiden: there is no such key"),
        (("experiments", "frame_sequence", "system"), "fram_sequence", "no systems entry is called"),
        (
            ("experiments", "frame_sequence", "mixture"),
            "gaus",
            "no mixture is called 'gaus'.*gauss",
        ),
        (("mixtures", "gauss", "sdt"), 0.1, r"mixtures\.gauss\.sdt: there is no such key"),
        (
            ("mixtures", "gauss", "level_db"),
            None,
            r"mixtures\.gauss: a mixture of kind noise needs either std or level_db",
        ),
        *(
            (("experiments", name, "model", "standardise"), False, "n_components needs standardise: true")
            for name in ("regnet", "v2ra", "visual2sound_frame", "owens", "detect_and_play")
        ),
        (("metrics", "synk"), {}, "no metrics entry is called 'synk'"),
        (("representations", "stft", "n_ftt"), 3, "n_ftt"),
        (("interpolations", "flow", "every"), 4, r"looks at picture 6.*interpolations\.flow\.every: 4"),
        (("spacetime", "step"), 5, r"looks at picture 1.*divisor of spacetime\.every and spacetime\.step"),
    ],
)
def test_a_misspelt_key_or_name_is_named(path: tuple[str, ...], value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configuration.parse(with_change(*path, value=value))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], r"frame_sequence\.labels: name the classes to learn, mixtures\.gunshot does not cover all"),
        (["footstep", "gunshot"], "mixtures.gunshot is not laid over clips of 'gunshot'"),
        (["footstep", "rain"], "mixtures.gunshot is not laid over clips of 'rain'"),
    ],
)
def test_an_experiment_learns_no_class_that_its_mixture_leaves_out(labels: list[str], message: str) -> None:
    mixed = {"mixture": "gunshot", "labels": labels}
    with pytest.raises(ConfigError, match=message):
        configuration.parse(with_change("experiments", "frame_sequence", value=mixed))
    configuration.parse(with_change("experiments", "frame_sequence", value={**mixed, "labels": ["footstep"]}))


def test_mixture_and_labels_decide_the_trained_model() -> None:
    trained_by = [
        configuration.parse(with_change("experiments", "frame_sequence", value=change))
        .experiments["frame_sequence"]
        .trained_by()
        for change in ({}, {"labels": ["footstep"]}, {"labels": ["footstep"], "mixture": "gauss"})
    ]
    assert trained_by[0] != trained_by[1] != trained_by[2] != trained_by[0]


def test_streamed_pictures_need_not_be_stored() -> None:
    values = configuration.merge(VALUES, {"picture": {"stream": True}, "spacetime": {"step": 5}})
    assert configuration.parse(values).spacetime.step == 5


def test_inheritance_in_a_circle_is_refused() -> None:
    values = with_change("experiments", value={"frame_sequence": {"based_on": "frame_relation"}})
    values = configuration.merge(values, {"experiments": {"frame_relation": {"based_on": "frame_sequence"}}})
    with pytest.raises(ConfigError, match="circle"):
        configuration.parse(values)


def test_a_missing_and_a_broken_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such configuration file"):
        configuration.read(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match=r"broken\.yaml: is not YAML"):
        configuration.read(tmp_path / "broken.yaml")


def test_the_workflow_stops_before_planning(workflow_copy: Callable[[], Path], tmp_path: Path) -> None:
    workflow = workflow_copy()
    overlay = tmp_path / "typo.yaml"
    overlay.write_text("clips: {duratoin_s: 3}\n")
    with snakemake(workflow, tmp_path, "-n", "--configfile", str(overlay)) as process:
        text, _ = process.communicate()
    assert process.returncode != 0
    assert "clips.duratoin_s: there is no such key" in text
    assert not (tmp_path / "results").exists()


def test_the_pipeline_of_an_experiment_holds_the_flow_that_it_looks_at() -> None:
    values = with_change(
        "experiments", "frame_sequence", "visual", value=["lite0/flow/frames", "grid/dis/flow"]
    )
    config = configuration.parse(values)
    pipeline = config.pipeline("frame_sequence")
    assert pipeline["flows"] == {"dis": config.flows["dis"].model_dump(mode="json")}
    assert set(pipeline["interpolations"]) == {"flow"}
    assert set(pipeline["backbones"]) == {"lite0", "grid"}
    assert config.pipeline("frame_relation")["flows"] == {}


def test_flow_of_a_single_picture_is_refused() -> None:
    values = with_change("experiments", "frame_sequence", "visual", value=["grid/dis/flow"])
    values = configuration.merge(values, {"flows": {"dis": {"fps": 0.4}}})
    with pytest.raises(ConfigError, match=r"fewer than two pictures; raise flows\.dis\.fps"):
        configuration.parse(values)


def test_only_some_experiments_may_be_wanted() -> None:
    values = configuration.merge(VALUES, {"only": ["frame_*", "recorded"]})
    wanted = configuration.parse(values)
    assert set(wanted.experiments) == {
        "recorded",
        *(name for name in configuration.parse(VALUES).experiments if name.startswith("frame_")),
    }
    assert wanted.report.rows["autofoley_table5"] == {"Frame Sequence Network": "frame_sequence"}
    assert not wanted.report.rows["regnet_table8"]


def test_a_pattern_that_fits_nothing_is_named() -> None:
    values = configuration.merge(VALUES, {"only": ["frame_*", "recodred"]})
    with pytest.raises(ConfigError, match="only: no experiment is called 'recodred'"):
        configuration.parse(values)
