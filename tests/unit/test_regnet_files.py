"""The layout of REGNET's authors: what is in the files comes out, and nothing is run."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from foley.errors import StoreError
from foley.models import regnet, regnet_files
from foley.models.base import DataSpec

SPEC = DataSpec(("dog",), (3, 3), (8, 8), (21.5, 21.5), 6, 32, 22_050, 0.4)
SMALL = {
    "n_noise": 2,
    "n_encoded": 8,
    "n_units": 2,
    "n_generated": 8,
    "n_judged": (4, 4, 4),
    "bottleneck_dim": 3,
}
FEATURES = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


class Rude:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
def test_pickled_features_of_any_protocol_are_read(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "video_00001.pkl"
    path.write_bytes(pickle.dumps(FEATURES, protocol=protocol))
    np.testing.assert_array_equal(regnet_files.read_features(path), FEATURES)


def test_what_is_written_is_read_and_any_unpickler_reads_it(tmp_path: Path) -> None:
    regnet_files.write_features(tmp_path / "a.pkl", FEATURES)
    np.testing.assert_array_equal(pickle.loads((tmp_path / "a.pkl").read_bytes()), FEATURES)
    np.testing.assert_array_equal(regnet_files.read_features(tmp_path / "a.pkl"), FEATURES)
    regnet_files.write_mel(tmp_path / "a_mel.npy", FEATURES)
    np.testing.assert_array_equal(regnet_files.read_mel(tmp_path / "a_mel.npy"), FEATURES)


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    made = tmp_path / "made"
    path = tmp_path / "rude.pkl"
    path.write_bytes(pickle.dumps(Rude(made)))
    with pytest.raises(StoreError, match=r"rude\.pkl.*mkdir"):
        regnet_files.read_features(path)
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2]),
        pickle.dumps(np.arange(4)),
        pickle.dumps(np.array([["a", None]], dtype=object)),
    ],
)
def test_other_content_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.pkl"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"odd\.pkl"):
        regnet_files.read_features(path)


@pytest.mark.parametrize("name", ["missing.npy", "object.npy"])
def test_spectrograms_that_cannot_be_read_are_errors(tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError, match=name):
        regnet_files.read_mel(tmp_path / name)


def theirs(system: regnet.System) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Names as the authors' modules give them, by hand, for the tensors of a small system."""
    state = system.state_dict()
    g, d = {}, {}
    for i in range(3):
        for ours, part in ((4 * i, "0.conv"), (4 * i + 1, "1")):
            g |= _moved(state, f"encoder.convolutions.{ours}.", f"module.encoder.convolutions.{i}.{part}.")
    g |= _moved(state, "encoder.recurrent.", "module.encoder.BiLSTM.")
    g |= _moved(state, "encoder.projection.", "module.encoder.BiLSTM_proj.")
    g |= _moved(state, "regulariser.recurrent.", "module.auxiliary.BiLSTM.")
    g |= _moved(state, "regulariser.projection.", "module.auxiliary.BiLSTM_proj.")
    g |= _moved(state, "generator.draft.", "module.decoder.model.")
    for i in range(5):
        g |= _moved(state, f"generator.detail.{3 * i}.", f"module.postnet.convolutions.{i}.0.conv.")
        g |= _moved(state, f"generator.detail.{3 * i + 1}.", f"module.postnet.convolutions.{i}.1.")
    d |= _moved(state, "discriminator.visual.", "feature_conv.")
    d |= _moved(state, "discriminator.sound.", "mel_conv.")
    d |= _moved(state, "discriminator.patches.", "down_sampling.")
    return g, d


def _moved(state: dict[str, torch.Tensor], ours: str, their: str) -> dict[str, torch.Tensor]:
    return {their + name[len(ours) :]: value for name, value in state.items() if name.startswith(ours)}


def make(seed: int) -> regnet.System:
    torch.manual_seed(seed)
    config = regnet.Config.model_validate(SMALL)
    return regnet.System(config, SPEC, torch.zeros(1, 6, 32), torch.Generator().manual_seed(seed))


def test_checkpoints_fill_every_tensor(tmp_path: Path) -> None:
    trained, fresh = make(1), make(2)
    state: dict[str, torch.Tensor] = {"averages": fresh.averages}
    for name, tensors in zip(("G", "D"), theirs(trained), strict=True):
        path = tmp_path / f"checkpoint_041000_net{name}"
        torch.save({"iteration": 41_000, "learning_rate": 2e-4, f"optimizer_net{name}": tensors}, path)
        state |= regnet_files.read_checkpoint(path)
    fresh.load_state_dict(state)
    for name, value in trained.state_dict().items():
        torch.testing.assert_close(fresh.state_dict()[name], value, rtol=0, atol=0)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_000001_netG"
    torch.save({"optimizer_netG": {"head.weight": torch.zeros(1)}}, path)
    with pytest.raises(StoreError, match=r"head\.weight"):
        regnet_files.read_checkpoint(path)
    torch.save({"state": 1}, path)
    with pytest.raises(StoreError, match="optimizer_netG"):
        regnet_files.read_checkpoint(path)
    path.write_bytes(pickle.dumps(Rude(tmp_path / "made"), protocol=2))
    with pytest.raises(StoreError, match="checkpoint_000001_netG"):
        regnet_files.read_checkpoint(path)
    assert not (tmp_path / "made").exists()
