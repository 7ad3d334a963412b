"""Files of REGNET's authors become a model that dubs and features that experiments learn from."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from foley.cli.importing import import_checkpoints, import_feature_files
from foley.errors import ConfigError, FoleyError, StoreError
from foley.models import regnet
from foley.models.base import Batch
from foley.models.regnet_files import settings_of, write_features, write_mel
from foley.store.collect import join_shards
from foley.store.manifests import Clip, write_rows
from foley.store.shards import ShardReader
from foley.training.checkpoint import load_system
from foley.training.examples import read_examples
from tests.conftest import ROOT
from tests.unit.test_regnet_files import theirs

CONFIGS = [ROOT / "config.yaml", ROOT / "configs/regnet_vas.yaml"]
SPEC = regnet.DataSpec(("dog",), (1024, 1024), (215, 215), (21.5, 21.5), 80, 860, 22_050, 10.0)
SMALL = {"n_encoded": 16, "n_units": 4, "n_generated": 8, "n_seen": 4, "n_judged": (4, 6, 8), "n_noise": 5}
VARIANTS = {
    "last": {"bottleneck_dim": 3},
    "sampled": {"bottleneck": "sampled", "bottleneck_dim": 3},
    "convolution": {"bottleneck": "convolution", "bottleneck_dim": 3},
    "sees": {"regulariser": "sound_and_vision", "bottleneck_dim": 3},
    "none": {"regulariser": "none"},
    "paper": {"profile": "paper", "n_noise": 0, "bottleneck_dim": 3},
}


def make(**changes: object) -> regnet.System:
    config = regnet.Config.model_validate({**SMALL, **changes})
    return regnet.System(config, SPEC, torch.zeros(1, 80, 860), torch.Generator().manual_seed(1)).eval()


def save(folder: Path, system: regnet.System) -> list[Path]:
    """Write a small system as the authors write theirs."""
    paths = [folder / f"checkpoint_041000_net{name}" for name in "GD"]
    for path, tensors in zip(paths, theirs(system), strict=True):
        torch.save({"iteration": 41_000, "learning_rate": 2e-4, f"optimizer_{path.name[-4:]}": tensors}, path)
    return paths


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS.keys())
def test_tensors_tell_their_settings(changes: dict[str, object]) -> None:
    system = make(**changes)
    found = settings_of(system.state_dict(), n_visual=2048, n_bins=80)
    again = make(**{key: value for key, value in changes.items() if key == "profile"}, **found)
    assert {name: value.shape for name, value in again.state_dict().items()} == {
        name: value.shape for name, value in system.state_dict().items()
    }
    told = {"n_noise", "n_units", "projections", "regulariser", "bottleneck", "bottleneck_dim"}
    if changes.get("regulariser") == "none":
        told -= {"bottleneck", "bottleneck_dim"}
    assert again.config.model_dump(include=told) == system.config.model_dump(include=told)


@pytest.mark.parametrize("n_files", [1, 2])
def test_an_imported_model_predicts_what_the_authors_would(tmp_path: Path, n_files: int) -> None:
    system = make(bottleneck_dim=3)
    checkpoints = save(tmp_path, system)[:n_files]
    import_checkpoints(checkpoints, tmp_path / "model", experiment="regnet_dog", configs=CONFIGS)
    imported, facts = load_system(tmp_path / "model/model.safetensors", tmp_path / "model/model.json", "cpu")
    visual = tuple(torch.randn(1, 215, 1024, generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    batch = Batch(visual=visual, labels=torch.tensor([0]))
    with torch.no_grad():
        expected = system.predict(batch, torch.Generator().manual_seed(0)).spectrogram
        made = imported.predict(batch, torch.Generator().manual_seed(0)).spectrogram
    torch.testing.assert_close(made, expected)
    assert imported.spec.classes == ("dog",)
    assert facts["pipeline"]["flows"]["tvl1"]["fps"] == 21.5
    assert facts["pipeline"]["backbones"]["bninception"]["network"] == "bninception"
    assert len(facts["imported"]) == n_files


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    _, judge = save(tmp_path, make())
    with pytest.raises(StoreError, match=r"netG\) first"):
        import_checkpoints([judge], tmp_path / "model", experiment="regnet_dog", configs=CONFIGS)
    with pytest.raises(ConfigError, match=r"'regnet_cat'.*regnet_dog"):
        import_checkpoints([judge], tmp_path / "model", experiment="regnet_cat", configs=CONFIGS)
    with pytest.raises(ConfigError, match="system recorded"):
        import_checkpoints([judge], tmp_path / "model", experiment="recorded", configs=CONFIGS)
    assert not (tmp_path / "model").exists()


def clip(number: int) -> Clip:
    return Clip(
        clip_id=f"dog_{number}_00",
        recording_id=f"dog_{number}",
        label="dog",
        shard=f"{number % 2:03d}",
        group="",
        split="test" if number == 3 else "train",
        path=f"/films/dog/video_{number:05d}.mp4",
        start_s=0.0,
        duration_s=10.0,
        fps=25.0,
    )


@pytest.fixture
def theirs_and_ours(tmp_path: Path) -> tuple[Path, Path, list[Path]]:
    """Features of three of four clips, the tables of the clips in two shards, and the configuration."""
    overlay = tmp_path / "two.yaml"
    overlay.write_text(yaml.safe_dump({"shards": 2}))
    for shard in ("000", "001"):
        rows = [clip(number) for number in range(4) if clip(number).shard == shard]
        write_rows(tmp_path / f"results/vas/clips/{shard}.tsv", Clip, rows)
    folder = tmp_path / "features"
    generator = np.random.default_rng(0)
    for number in (0, 1, 3):
        film = f"video_{number:05d}"
        for kind in ("rgb", "flow"):
            part = folder / f"dog/feature_{kind}_bninception_dim1024_21.5fps"
            write_features(part / f"{film}.pkl", generator.random((214, 1024)).astype(np.float32))
        mel = generator.random((80, 860)).astype(np.float32)
        write_mel(folder / f"dog/melspec_10s_22050hz/{film}_mel.npy", mel)
    return folder, tmp_path / "results", [*CONFIGS, overlay]


def test_imported_features_are_learned_from(theirs_and_ours: tuple[Path, Path, list[Path]]) -> None:
    folder, results, configs = theirs_and_ours
    import_feature_files(folder, experiment="regnet_dog", configs=configs, results=results)
    features = results / "vas/features"
    names = ["visual/bninception/native/frames", "visual/bninception/tvl1/flow", "audio/mel"]
    for name in names:
        join_shards([features / name / f"{shard}.h5" for shard in ("000", "001")], features / f"{name}.h5")
    examples = read_examples(
        rows_paths=[str(results / f"vas/clips/{shard}.tsv") for shard in ("000", "001")],
        visual=[name.removeprefix("visual/") for name in names[:2]],
        visual_paths=[str(features / f"{name}.h5") for name in names[:2]],
        audio_paths=[str(features / f"{names[2]}.h5")],
        labels=("dog",),
    )
    assert [row.clip_id for row in examples.rows] == ["dog_0_00", "dog_1_00", "dog_3_00"]
    assert [values.shape for values in examples.visual] == [(3, 215, 1024)] * 2
    assert examples.visual_hz == pytest.approx((21.5, 21.5))
    assert examples.target is not None
    assert examples.target.shape == (3, 80, 860)
    written = pickle.loads(
        (folder / "dog/feature_rgb_bninception_dim1024_21.5fps/video_00001.pkl").read_bytes()
    )
    np.testing.assert_allclose(examples.visual[0][1, :214], written, atol=1e-3)
    assert (
        examples.visual[0][:, 214] == 0
    ).all()  # their extraction loses a picture, their loader adds zeros
    assert ShardReader(features / "audio/mel.h5").item_attributes("dog_1_00")["sample_rate_hz"] == 22_050


def test_nothing_found_and_no_clips_are_said(theirs_and_ours: tuple[Path, Path, list[Path]]) -> None:
    folder, results, configs = theirs_and_ours
    with pytest.raises(FoleyError, match="holds no file of any clip for bninception/native/frames"):
        import_feature_files(folder / "dog", experiment="regnet_dog", configs=configs, results=results)
    with pytest.raises(FoleyError, match=r"000\.tsv.*--until collect_clips"):
        import_feature_files(folder, experiment="regnet_dog", configs=configs, results=results / "none")
