"""The training loop: one function, read top to bottom."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from foley.errors import FoleyError
from foley.models.base import System
from foley.seeds import derive_seed
from foley.store.files import atomic_path
from foley.training.config import TrainingConfig
from foley.training.examples import Examples

logger = logging.getLogger(__name__)


def train(
    system: System,
    examples: Examples,
    config: TrainingConfig,
    *,
    seed: int,
    device: str,
    state_dir: Path,
    score: Callable[[System], dict[str, float]],
) -> list[dict[str, Any]]:
    """Train a system on the training split.

    Every epoch draws its random numbers from a generator of its own, so a run that was killed and
    resumed gives the same weights as one that was not.

    Parameters
    ----------
    system : System
        On `device`; trained in place.
    examples : Examples
    config : TrainingConfig
    seed : int
    device : str
    state_dir : Path
        States are kept here, the last one too: whoever calls removes the folder once the trained
        system is stored. Its name must tell apart what may not resume from one another
        (configuration, code, data).
    score : callable
        Scores the system for the curve; what it says decides nothing.

    Returns
    -------
    list of dict
        One entry an epoch: ``epoch``, ``lr``, loss parts, and scores.

    Raises
    ------
    FoleyError
        If a loss is not finite.
    """
    indices = examples.where("train")
    optimisers = system.optimisers(config.lr, config.weight_decay)
    curve = _resume(system, optimisers, state_dir, device)
    for epoch in range(len(curve), config.epochs):
        lr = learning_rate(config, epoch)
        for optimiser in optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = lr
        epoch_seed = derive_seed(seed, "epoch", epoch)
        torch.manual_seed(epoch_seed)  # layers such as nn.Dropout know no other source
        generator = torch.Generator(device).manual_seed(epoch_seed)
        order = np.random.default_rng(epoch_seed).permutation(indices)
        system.train()
        sums: dict[str, float] = {}
        for chosen, batch in examples.batches(order, config.batch_size, device):
            for name, value in system.step(batch, optimisers, generator, config.clip_norm).items():
                if not math.isfinite(value):
                    raise FoleyError(f"loss {name} is {value} in epoch {epoch + 1}; lower training.lr")
                sums[name] = sums.get(name, 0.0) + value * len(chosen)
        line: dict[str, Any] = {"epoch": epoch + 1, "lr": lr}
        line |= {name: total / len(order) for name, total in sums.items()}
        if (epoch + 1) % config.score_every == 0 or epoch + 1 == config.epochs:
            line |= score(system)
        curve.append(line)
        logger.info("%s", json.dumps(line))
        if (epoch + 1) % config.save_every == 0 or epoch + 1 == config.epochs:
            _save(system, optimisers, curve, state_dir)
    return curve


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """Learning rate of an epoch, counted from 0.

    ``linear_after`` is that of REGNET's released code (``model.py``), of which the paper is silent:
    ``1 - max(0, epoch + 2 - constant_epochs) / (epochs - constant_epochs + 1)`` of the first.

    Examples
    --------
    >>> config = TrainingConfig(epochs=1000, schedule="linear_after", lr=901)
    >>> [learning_rate(config, epoch) for epoch in (98, 99, 100, 999)]
    [901.0, 900.0, 899.0, 0.0]
    """
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
    n_fallen = max(0, epoch + 2 - config.constant_epochs)
    return config.lr * (1 - n_fallen / (config.epochs - config.constant_epochs + 1))


def _save(
    system: System, optimisers: dict[str, torch.optim.Optimizer], curve: list[dict[str, Any]], state_dir: Path
) -> None:
    state = {
        "system": system.state_dict(),
        "optimisers": {name: optimiser.state_dict() for name, optimiser in optimisers.items()},
        "curve": json.dumps(curve),
    }
    with atomic_path(state_dir / "state.pt") as temporary:
        torch.save(state, temporary)


def _resume(
    system: System, optimisers: dict[str, torch.optim.Optimizer], state_dir: Path, device: str
) -> list[dict[str, Any]]:
    """Load the last state, if there is one; give the curve so far."""
    path = state_dir / "state.pt"
    if not path.is_file():
        return []
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, OSError, ValueError, EOFError, UnpicklingError) as error:
        logger.warning("%s: is damaged (%s); training starts from the beginning", path, error)
        return []
    system.load_state_dict(state["system"])
    for name, optimiser in optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    curve: list[dict[str, Any]] = json.loads(state["curve"])
    logger.info("resumed after epoch %d", len(curve))
    return curve
