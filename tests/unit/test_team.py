"""Several processes that train one system learn what one process learns."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from foley.errors import ConfigError, FoleyError
from foley.models.base import Batch
from foley.models.frame_sequence import System as FrameSequence
from foley.store.files import read_json
from foley.training import experiment
from foley.training.config import ExperimentConfig, TrainingConfig
from foley.training.examples import Examples
from foley.training.team import Team, in_processes
from tests.learnable import VISUAL, Dataset, train_small, write_dataset

pytest.importorskip("lightning_fabric")

SEQUENCE = ExperimentConfig(
    title="small",
    system="frame_sequence",
    visual=VISUAL[1:],
    representation="stft",
    # Nothing is drawn for a clip, so that all processes together do what one does.
    model={"n_fast": 12, "n_slow": 8, "n_cells": 2, "keep": 1.0, "keep_h": 1.0, "keep_c": 1.0},
    # 18 clips: batches of 7, 7 and 4; the processes' parts differ in size.
    training=TrainingConfig(epochs=3, batch_size=7, lr=0.01, clip_norm=0.5),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_dataset(tmp_path_factory.mktemp("dataset"))


def train(dataset: Dataset, folder: Path, **training: int) -> tuple[dict[str, torch.Tensor], str]:
    """Weights and curve."""
    changed = SEQUENCE.training.model_copy(update=training)
    train_small(dataset, folder, SEQUENCE.model_copy(update={"training": changed}))
    return load_file(folder / "model.safetensors"), (folder / "curve.jsonl").read_text()


def test_two_processes_train_what_one_trains_with_adam(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In double precision, where rounding is too small for Adam to make steps of it.
    build, batch = experiment.build_system, Examples.batch
    monkeypatch.setattr(experiment, "build_system", lambda *given: build(*given).double())

    def doubled(self: Examples, indices: NDArray[np.int64], device: str) -> Batch:
        single = batch(self, indices, device)
        seen = tuple(values.double() for values in single.visual)
        return replace(single, visual=seen, target=None if single.target is None else single.target.double())

    monkeypatch.setattr(Examples, "batch", doubled)
    one, _ = train(dataset, tmp_path / "one")
    two, _ = train(dataset, tmp_path / "two", processes=2)
    start, _ = train(dataset, tmp_path / "start", epochs=1)
    assert max(float((one[name] - start[name]).abs().max()) for name in one) > 0.01
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-8


def test_two_processes_train_what_one_trains(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Plain descent: Adam divides by the gradient's size, and so makes rounding as large as a step where the
    # gradient is next to nothing.
    def descent(self: FrameSequence, lr: float, weight_decay: float) -> dict[str, torch.optim.Optimizer]:
        return {"sgd": torch.optim.SGD(self.parameters(), lr=lr, momentum=0.9)}

    monkeypatch.setattr(FrameSequence, "optimisers", descent)
    one, curve_of_one = train(dataset, tmp_path / "one")
    two, curve_of_two = train(dataset, tmp_path / "two", processes=2)
    start, _ = train(dataset, tmp_path / "start", epochs=1)
    moved = max(float((one[name] - start[name]).abs().max()) for name in one)
    apart = max(float((one[name] - two[name]).abs().max()) for name in one)
    assert moved > 0.01
    assert apart < 2e-5, "weights differ by more than rounding"
    assert len(curve_of_one.splitlines()) == len(curve_of_two.splitlines()) == 3
    assert read_json(tmp_path / "two/model.json")["last_epoch"]["total"] == pytest.approx(
        read_json(tmp_path / "one/model.json")["last_epoch"]["total"], rel=1e-5
    )


def test_each_takes_its_part_and_weighs_it() -> None:
    def told(team: Team, device: str) -> tuple[list[list[int]], dict[str, float]]:
        parts = [team.part(np.arange(number)).tolist() for number in (5, 1)]
        team.part(np.arange(5))
        return parts, team.mean({"loss": float(team.rank)})

    parts, mean = in_processes(2, "cpu", told)
    assert parts == [[0, 2, 4], [0]]
    assert mean == {"loss": pytest.approx(2 / 5)}
    assert in_processes(1, "cpu", told) == ([[0, 1, 2, 3, 4], [0]], {"loss": 0.0})


def test_processes_are_processes() -> None:
    assert in_processes(2, "cpu", lambda team, device: os.getpid()) != os.getpid()


def test_nobody_leaves_before_all_have_met(monkeypatch: pytest.MonkeyPatch) -> None:
    meet = torch.distributed.init_process_group

    def late(*given: Any, **named: Any) -> None:
        meet(*given, **named)
        if torch.distributed.get_rank() == 1:
            time.sleep(1)
            torch.distributed.distributed_c10d._get_default_store().add("arrived", 1)

    monkeypatch.setattr(torch.distributed, "init_process_group", late)
    assert in_processes(2, "cpu", lambda team, device: team.rank) == 0


class Selfish(torch.nn.Module):
    """Takes steps without sharing gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))


def test_a_system_that_does_not_share_is_refused() -> None:
    class Fabric:
        world_size, global_rank = 2, 0

    system = Selfish()
    optimiser = torch.optim.SGD(system.parameters(), lr=0.1)
    team = Team(Fabric())
    team.join(system, {"sgd": optimiser})  # type: ignore[arg-type]
    (2 * system.weight).sum().backward()
    with pytest.raises(FoleyError, match=r"training\.processes: 1"):
        optimiser.step()


def test_more_gpus_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="GPUs here"):
        in_processes(torch.cuda.device_count() + 2, "cuda", lambda team, device: None)
