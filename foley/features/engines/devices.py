"""GPUs: one for each job.

Shards run side by side, as many as there are GPUs (``--resources gpu=4``), and no job knows of the
others. Each takes the first GPU whose lock file is free and keeps it as long as it lives.
"""

import os
import tempfile
from collections.abc import Callable
from functools import cache
from io import TextIOWrapper
from pathlib import Path

from foley.errors import ConfigError
from foley.store.files import try_lock


def gpus_there() -> int:
    """Number of GPUs that torch can use."""
    import torch

    return torch.cuda.device_count()


def device_for_job(device: str, n_gpus: Callable[[], int] = gpus_there) -> str:
    """Resolve ``cuda`` to a GPU that no other job of this user works on.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda`` (any free one) or ``cuda:<index>`` (that one).
    n_gpus : callable
        Number of GPUs.

    Returns
    -------
    str
        ``cpu`` or ``cuda:<index>``. With more jobs than GPUs, the surplus is spread by process id.

    Raises
    ------
    ConfigError
        If the device is not there.
    """
    if device == "cpu":
        return device
    kind, _, index = device.partition(":")
    n_there = n_gpus()
    if kind != "cuda" or (index and not index.isdigit()) or int(index or 0) >= n_there:
        raise ConfigError(
            f"device {device!r} is not there ({n_there} GPUs found); set device: cpu, or use a machine with "
            "a GPU and a CUDA build of torch"
        )
    return device if index else f"cuda:{_claim(n_there)[0]}"


@cache
def _claim(n_gpus: int) -> tuple[int, TextIOWrapper | None]:
    """Lock a GPU for the life of this process; the open file holds the lock."""
    for index in range(n_gpus):
        path = Path(tempfile.gettempdir()) / f"foley-{os.getuid()}-gpu{index}.lock"
        file = path.open("w")
        if try_lock(file.fileno()):
            return index, file
        file.close()
    return os.getpid() % n_gpus, None
