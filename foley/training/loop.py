"""The training loop: one function, read top to bottom."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foley.errors import FoleyError
from foley.models.base import System
from foley.seeds import derive_seed
from foley.training.checkpoint import Stateful, load_state, save_state
from foley.training.config import TrainingConfig
from foley.training.examples import Examples
from foley.training.team import Team

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
    team: Team | None = None,
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
    team : Team, optional
        Processes that take this training's batches in parts; all call this function.

    Returns
    -------
    list of dict
        One entry an epoch: ``epoch``, ``lr``, loss parts, and scores.

    Raises
    ------
    FoleyError
        If a loss is not finite.
    """
    team = team or Team()
    indices = examples.where("train")
    optimisers = system.optimisers(config.lr, config.weight_decay)
    team.join(system, optimisers)
    state, curve = load_state(state_dir, device)
    if curve:
        system.load_state_dict(state["system"])
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(state[name])
        logger.info("resumed after epoch %d", len(curve))
    for epoch in range(len(curve), config.epochs):
        lr = learning_rate(config, epoch)
        for optimiser in optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = lr * group.get("lr_share", 1.0)
        epoch_seed = derive_seed(seed, "epoch", epoch)
        torch.manual_seed(epoch_seed)  # layers such as nn.Dropout know no other source
        generator = torch.Generator(device).manual_seed(epoch_seed)
        order = np.random.default_rng(epoch_seed).permutation(indices)
        system.train()
        sums: dict[str, float] = {}
        for start in range(0, len(order), config.batch_size):
            chosen = order[start : start + config.batch_size]
            batch = examples.batch(team.part(chosen), device)
            parts = system.step(batch, optimisers, generator, config.clip_norm)
            for name, value in team.mean(parts).items():
                if not math.isfinite(value):
                    raise FoleyError(f"loss {name} is {value} in epoch {epoch + 1}; lower training.lr")
                sums[name] = sums.get(name, 0.0) + value * len(chosen)
        line: dict[str, Any] = {"epoch": epoch + 1, "lr": lr}
        line |= {name: total / len(order) for name, total in sums.items()}
        if (epoch + 1) % config.score_every == 0 or epoch + 1 == config.epochs:
            line |= score(system)
        curve.append(line)
        logger.info("%s", json.dumps(line))
        if team.leads and ((epoch + 1) % config.save_every == 0 or epoch + 1 == config.epochs):
            stateful: dict[str, Stateful] = {"system": system, **optimisers}
            save_state(state_dir, stateful, curve)
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
