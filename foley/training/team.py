"""Several processes that train one system together: each takes its part of every batch.

Lightning Fabric starts the processes and adds their gradients up: over gloo on a CPU, over NCCL with one GPU
for each. The mean over the whole batch is descended, so that a system whose loss is a mean over clips learns
what one process would have taught it, but for rounding. What draws random numbers for each clip (dropout,
noise) or looks at the batch as a whole (batch normalisation) sees its part only, as always in such training.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from foley.errors import ConfigError, FoleyError
from foley.features.engines.devices import device_for_job
from foley.models.base import System

T = TypeVar("T")


class Team:
    """The processes; alone without `fabric`.

    Parameters
    ----------
    fabric : lightning_fabric.Fabric, optional
        Launched.
    """

    def __init__(self, fabric: Any = None) -> None:
        self._fabric = fabric
        self.size: int = 1 if fabric is None else fabric.world_size
        self.rank: int = 0 if fabric is None else fabric.global_rank
        self._weight = 1.0
        self._shared: set[int] = set()

    @property
    def leads(self) -> bool:
        """True in the one process that writes files."""
        return self.rank == 0

    def part(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take this process's clips of a batch; all of them where there are fewer clips than processes."""
        if len(chosen) < self.size:
            self._weight = 1 / self.size
            return chosen
        mine = chosen[self.rank :: self.size]
        self._weight = len(mine) / len(chosen)
        return mine

    def join(self, system: System, optimisers: Mapping[str, torch.optim.Optimizer]) -> None:
        """Let a system's steps share their gradients.

        A step that does not share them is refused when it comes to that.
        """
        if self._fabric is None:
            return
        system.share_gradients = self._share
        for optimiser in optimisers.values():
            optimiser.register_step_pre_hook(self._refuse_unshared)

    def mean(self, parts: dict[str, float]) -> dict[str, float]:
        """Mean over the whole batch of what each process computed of its part."""
        if self._fabric is None:
            return parts
        values = torch.tensor(list(parts.values()), dtype=torch.float64, device=self._fabric.device)
        values = self._fabric.all_reduce(values * self._weight, reduce_op="sum")
        return dict(zip(parts, values.tolist(), strict=True))

    def _share(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace gradients by those of the whole batch; all travel as one vector."""
        held = [value for value in parameters if value.grad is not None]
        gradients = [value.grad for value in held if value.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients]) * self._weight
        flat = self._fabric.all_reduce(flat, reduce_op="sum")
        for gradient, total in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(total.view_as(gradient))
        self._shared |= {id(value) for value in held}

    def _refuse_unshared(self, optimiser: torch.optim.Optimizer, *_: Any) -> None:
        for group in optimiser.param_groups:
            for value in group["params"]:
                if value.grad is not None and id(value) not in self._shared:
                    raise FoleyError(
                        "this system takes steps of its own and cannot be trained by several processes; set "
                        "training.processes: 1"
                    )
        self._shared.clear()


def in_processes(n_processes: int, device: str, function: Callable[[Team, str], T]) -> T:
    """Call a function in several processes at once; give what the first one returned.

    They are forked, so that what is in memory is shared and not copied; before that, nothing may have been
    computed on a GPU.

    Parameters
    ----------
    n_processes : int
        On ``cuda``, GPUs of this machine.
    device : str
        ``cpu`` or ``cuda``.
    function : callable
        Gets its team and its own device.

    Raises
    ------
    ConfigError
        If Lightning Fabric or GPUs are missing.
    """
    if n_processes == 1:
        return function(Team(), device_for_job(device))
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy
    except ImportError as error:
        raise ConfigError("training.processes: more than one needs `pip install foley[cluster]`") from error
    kind = device.partition(":")[0]
    if kind == "cuda" and torch.cuda.device_count() < n_processes:
        raise ConfigError(
            f"training.processes is {n_processes}, but there are {torch.cuda.device_count()} GPUs here"
        )
    strategy = DDPStrategy(start_method="fork", process_group_backend="nccl" if kind == "cuda" else "gloo")
    fabric = Fabric(accelerator=kind, devices=n_processes, strategy=strategy)

    def member(launched: Any) -> T:
        # The first process keeps the store by which the others find one another: were its work done before
        # they have, they would find the store gone.
        launched.barrier()
        return function(Team(launched), str(launched.device))

    result: T = fabric.launch(member)
    return result
